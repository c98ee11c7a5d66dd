"""Adamax (Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 2)."""

from fastml.kernels.operands import GradientPart, Number, OfSlice, Part, StatePart
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise


@elementwise
def adamax_step(W, dW, m, u, beta_1, rest_1, beta_2, keep, step, epsilon):
    m = dW.fma(rest_1, beta_1 * m)
    u, size = beta_2 * u, abs(dW) + epsilon
    u = size.where("<", u, u, size)  # a NaN in dW stays one
    return keep * W - step * m / u, m, u


@operation
def adamax_update(
    W: Part(),
    dW: GradientPart(),
    m: StatePart(0),
    u: StatePart(1),
    t: OfSlice("t"),
    learning_rate: OfSlice("rate"),
    weight_decay: Number(),
    beta_1: Number(),
    beta_2: Number(),
    epsilon: Number(),
):
    """m = β₁m + (1-β₁)dW,  u = max(β₂u, |dW| + ε),  W = (1 - learning_rate·weight_decay)·W - learning_rate·m̂ / u

    with m̂ = m / (1-β₁ᵗ). W, dW, m, u : (size,), t : int64 from 1, the others float64. ε stands in the maximum, as in
    PyTorch; the paper has none, and Keras adds it to u. Overwrites W, m and u.
    """
    real = W.dtype.type
    decays = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - learning_rate * weight_decay)
    step = learning_rate / (1 - beta_1**t)
    adamax_step((W, dW, m, u), (W, m, u), (*decays, real(step), real(epsilon)))
