"""What keeps weights and gradients small: penalties on the weights, and clipping of the gradient."""

import math

from numba import njit

from fastml.kernels.operands import GradientPart, Job, Number, OfSlice, Part, Size, Slice, Totals, Whole
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise
from fastml.kernels.sums import summed

cut = elementwise(lambda dW, clip: dW.where(">", clip, clip, dW.where("<", -clip, -clip, dW)))
scaled = elementwise(lambda dW, factor: factor * dW)
absolutes = summed(abs)
squares = summed(lambda W: W * W)


@elementwise
def penalty_slopes(W, dW, l1, twice_l2):
    """dW + l₁·sign W + 2·l₂·W, with the sign of 0 as 0."""
    return W.fma(twice_l2, dW + W.where(">", 0.0, l1, W.where("<", 0.0, -l1, 0.0)))


@njit(inline="always", error_model="numpy")
def penalty_forward(W, l1, l2):
    """Returns l₁·Σ|W| + l₂·ΣW², in float64.

    W : (size,), l1, l2 : float64.
    """
    return l1 * absolutes(W) + l2 * squares(W)


@operation
def add_penalty(
    job: Job(), slice_: Slice(), W: Whole("params"), l1: Number(), l2: Number(), total: Size(), totals: Totals()
):
    """The epoch's total and the loss of the batch += the penalty, once for each row, by the first thread.

    W : (size,), totals : (epochs · columns,) float64, `total` a column of these.
    """
    if slice_.thread == 0:
        value = slice_.n * penalty_forward(W, l1, l2)
        totals[slice_.epoch * job.columns + total] += value
        slice_.batch_loss += value
        job.batch_loss = slice_.batch_loss


@operation
def penalty_backward(W: Part(), dW: GradientPart(), l1: Number(), l2: Number()):
    """dW += l₁·sign W + 2·l₂·W

    W, dW : (size,), l1, l2 : float64. Overwrites dW.
    """
    penalty_slopes((W, dW), (dW,), (W.dtype.type(l1), W.dtype.type(2 * l2)))


@operation
def clip_value(dW: GradientPart(), clip: Number()):
    """Each element of dW cut at ±clip.

    dW : (size,), clip : float64. Overwrites dW.
    """
    cut((dW,), (dW,), (dW.dtype.type(clip),))


@njit(inline="always", error_model="numpy")
def norm_factor(dW, clip):
    """Returns clip / ‖dW‖ where ‖dW‖ > clip, else 1, in float64 (Pascanu et al., "On the difficulty of training
    recurrent neural networks", ICML 2013).

    dW : (size,), of all weights of the model, clip : float64.
    """
    norm = math.sqrt(squares(dW))
    return clip / norm if norm > clip else 1.0


@operation
def measure_norm(slice_: Slice(), dW: Whole("grads"), clip: Number()):
    """The slice's factor = `norm_factor`, by each thread for itself. dW : (size,), the whole gradient."""
    slice_.factor = norm_factor(dW, clip)


@operation
def scale(dW: GradientPart(), factor: OfSlice("factor")):
    """dW = factor · dW

    dW : (size,), factor : float64. Overwrites dW.
    """
    scaled((dW,), (dW,), (dW.dtype.type(factor),))
