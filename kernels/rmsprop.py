"""RMSprop (Tieleman & Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012)."""

from fastml.kernels.operands import GradientPart, Number, OfSlice, Part, StatePart
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise


@elementwise
def rmsprop_step(W, dW, v, rho, rest, keep, learning_rate, epsilon):
    v = (dW * dW).fma(rest, rho * v)
    return keep * W - learning_rate * dW / (v.sqrt() + epsilon), v


@operation
def rmsprop_update(
    W: Part(),
    dW: GradientPart(),
    v: StatePart(0),
    learning_rate: OfSlice("rate"),
    weight_decay: Number(),
    rho: Number(),
    epsilon: Number(),
):
    """v = ρv + (1-ρ)dW²,  W = (1 - learning_rate·weight_decay)·W - learning_rate·dW / (√v + ε)

    W, dW, v : (size,), the others float64. Overwrites W and v. ε stands outside of the root, as in PyTorch; Keras has
    it inside.
    """
    real = W.dtype.type
    decays = real(rho), real(1 - rho), real(1 - learning_rate * weight_decay)
    rmsprop_step((W, dW, v), (W, v), (*decays, real(learning_rate), real(epsilon)))
