"""Adagrad (Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning", JMLR 12, 2011)."""

from fastml.kernels.operands import GradientPart, Number, OfSlice, Part, StatePart
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise


@elementwise
def adagrad_step(W, dW, v, keep, learning_rate, epsilon):
    v = dW.fma(dW, v)
    return keep * W - learning_rate * dW / (v.sqrt() + epsilon), v


@operation
def adagrad_update(
    W: Part(),
    dW: GradientPart(),
    v: StatePart(0),
    learning_rate: OfSlice("rate"),
    weight_decay: Number(),
    epsilon: Number(),
):
    """v += dW²,  W = (1 - learning_rate·weight_decay)·W - learning_rate·dW / (√v + ε)

    W, dW, v : (size,), the others float64. Overwrites W and v. ε stands outside of the root, as in PyTorch; Keras has
    it inside.
    """
    real = W.dtype.type
    constants = real(1 - learning_rate * weight_decay), real(learning_rate), real(epsilon)
    adagrad_step((W, dW, v), (W, v), constants)
