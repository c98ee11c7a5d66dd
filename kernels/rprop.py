"""Rprop: each weight has a step of its own, which grows while the sign of its slope stays and shrinks when it turns.

Igel & Hüsken, "Improving the Rprop Learning Algorithm", NC 2000: iRprop- and, with backtracking, iRprop+.
"""

from fastml.kernels.operands import GradientPart, Number, OfSlice, Part, StatePart
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise


def adapted(dW, previous, step, eta_minus, eta_plus, step_min, step_max):
    """The agreement dW · previous as a sign, and the step times η⁺ or η⁻, within its bounds."""
    agreement = sign(dW) * sign(previous)
    longer, shorter = step * eta_plus, step * eta_minus
    longer = longer.where(">", step_max, step_max, longer)
    shorter = shorter.where("<", step_min, step_min, shorter)
    return agreement, agreement.where(">", 0.0, longer, agreement.where("<", 0.0, shorter, step))


def sign(x):
    """-1, 0 or 1, which cannot underflow to 0 in a product as small slopes do; a NaN stays a NaN."""
    return x.where(">", 0.0, 1.0, x.where("<", 0.0, -1.0, x))


@elementwise
def rprop_step(W, dW, previous, step, eta_minus, eta_plus, step_min, step_max):
    agreement, step = adapted(dW, previous, step, eta_minus, eta_plus, step_min, step_max)
    dW = agreement.where("<", 0.0, 0.0, dW)
    return W - sign(dW) * step, dW, step


@elementwise
def rprop_backtrack_step(W, dW, previous, step, move, worse, eta_minus, eta_plus, step_min, step_max):
    agreement, step = adapted(dW, previous, step, eta_minus, eta_plus, step_min, step_max)
    move = agreement.where("<", 0.0, -worse * move, -sign(dW) * step)
    return W + move, agreement.where("<", 0.0, 0.0, dW), step, move


@operation
def rprop_update(
    W: Part(),
    dW: GradientPart(),
    previous: StatePart(0),
    step: StatePart(1),
    eta_minus: Number(),
    eta_plus: Number(),
    step_min: Number(),
    step_max: Number(),
):
    """Where the slope kept its sign, step = min(η⁺·step, step_max); where it turned, step = max(η⁻·step, step_min) and
    dW counts as 0. Then W -= sign(dW)·step and previous = dW.

    W, dW, previous, step : (size,), the others float64. Overwrites W, previous and step.
    """
    real = W.dtype.type
    bounds = real(eta_minus), real(eta_plus), real(step_min), real(step_max)
    rprop_step((W, dW, previous, step), (W, previous, step), bounds)


@operation
def rprop_backtrack_update(
    W: Part(),
    dW: GradientPart(),
    previous: StatePart(0),
    step: StatePart(1),
    move: StatePart(2),
    worse: OfSlice("worse"),
    eta_minus: Number(),
    eta_plus: Number(),
    step_min: Number(),
    step_max: Number(),
):
    """As rprop_update, but where the slope turned, the last move is taken back if the loss grew (worse 1.0, else 0.0).

    W, dW, previous, step, move : (size,), the others float64. Overwrites W, previous, step and move.
    """
    real = W.dtype.type
    bounds = real(eta_minus), real(eta_plus), real(step_min), real(step_max)
    rprop_backtrack_step((W, dW, previous, step, move), (W, previous, step, move), (real(worse), *bounds))
