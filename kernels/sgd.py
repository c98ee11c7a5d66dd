"""Gradient descent, with momentum, and with Nesterov's look-ahead."""

from fastml.kernels.operands import GradientPart, Number, OfSlice, Part, StatePart
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise

sgd_step = elementwise(lambda W, dW, keep, minus_rate: dW.fma(minus_rate, keep * W))


@elementwise
def momentum_step(W, dW, v, keep, minus_rate, momentum):
    v = v.fma(momentum, dW)
    return v.fma(minus_rate, keep * W), v


@elementwise
def nesterov_step(W, dW, v, keep, minus_rate, momentum):
    v = v.fma(momentum, dW)
    return v.fma(momentum, dW).fma(minus_rate, keep * W), v


@operation
def sgd_update(
    W: Part(),
    dW: GradientPart(),
    learning_rate: OfSlice("rate"),
    weight_decay: Number(),
):
    """W = (1 - learning_rate · weight_decay) · W - learning_rate · dW

    W, dW : (size,), the others float64. Overwrites W.
    """
    real = W.dtype.type
    sgd_step((W, dW), (W,), (real(1 - learning_rate * weight_decay), real(-learning_rate)))


@operation
def momentum_update(
    W: Part(),
    dW: GradientPart(),
    v: StatePart(0),
    learning_rate: OfSlice("rate"),
    weight_decay: Number(),
    momentum: Number(),
):
    """v = momentum · v + dW,  W = (1 - learning_rate · weight_decay) · W - learning_rate · v

    W, dW, v : (size,), the others float64. Overwrites W and v. Polyak, 1964, with the rate outside of v, as in PyTorch.
    """
    real = W.dtype.type
    constants = real(1 - learning_rate * weight_decay), real(-learning_rate), real(momentum)
    momentum_step((W, dW, v), (W, v), constants)


@operation
def nesterov_update(
    W: Part(),
    dW: GradientPart(),
    v: StatePart(0),
    learning_rate: OfSlice("rate"),
    weight_decay: Number(),
    momentum: Number(),
):
    """v = momentum · v + dW,  W = (1 - learning_rate · weight_decay) · W - learning_rate · (dW + momentum · v)

    W, dW, v : (size,), the others float64. Overwrites W and v. W is the point that looks ahead (Sutskever et al., "On
    the importance of initialization and momentum in deep learning", ICML 2013), with the rate outside of v.
    """
    real = W.dtype.type
    constants = real(1 - learning_rate * weight_decay), real(-learning_rate), real(momentum)
    nesterov_step((W, dW, v), (W, v), constants)
