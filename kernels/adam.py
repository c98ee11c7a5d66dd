"""Adam (Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1)."""

import math

from fastml.kernels.operands import GradientPart, Number, OfSlice, Part, StatePart
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise


@elementwise
def adam_step(W, dW, m, v, beta_1, rest_1, beta_2, rest_2, keep, step, correction, epsilon):
    m = dW.fma(rest_1, beta_1 * m)
    v = (dW * dW).fma(rest_2, beta_2 * v)
    return keep * W - step * m * v.sqrt().fma(correction, epsilon).inverse(), m, v


@operation
def adam_update(
    W: Part(),
    dW: GradientPart(),
    m: StatePart(0),
    v: StatePart(1),
    t: OfSlice("t"),
    learning_rate: OfSlice("rate"),
    weight_decay: Number(),
    beta_1: Number(),
    beta_2: Number(),
    epsilon: Number(),
):
    """m = β₁m + (1-β₁)dW,  v = β₂v + (1-β₂)dW²,  W = (1 - learning_rate·weight_decay)·W - learning_rate·m̂ / (√v̂ + ε)

    with m̂ = m / (1-β₁ᵗ), v̂ = v / (1-β₂ᵗ). The decay is decoupled from the gradient (AdamW: Loshchilov & Hutter,
    "Decoupled Weight Decay Regularization", ICLR 2019). W, dW, m, v : (size,), t : int64 from 1, the others float64:
    powers of β lose their meaning in float32. ε is added after the bias correction, as in the paper's algorithm and in
    PyTorch (Keras adds it before). Overwrites W, m and v, in one pass over memory.
    """
    real = W.dtype.type
    step = learning_rate / (1 - beta_1**t)
    correction = 1 / math.sqrt(1 - beta_2**t)  # whose code is found sooner than that of np.sqrt
    decays = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
    keep = real(1 - learning_rate * weight_decay)
    constants = *decays, keep, real(step), real(correction), real(epsilon)
    adam_step((W, dW, m, v), (W, m, v), constants)
