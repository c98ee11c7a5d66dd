"""Stochastic gradient descent."""

from numba import njit

from fastml.kernels.simd import elementwise

sgd_step = elementwise(lambda W, dW, minus_rate: dW.fma(minus_rate, W))


@njit(inline="always", error_model="numpy")
def sgd_update(W, dW, learning_rate):
    """W -= learning_rate · dW

    W, dW : (size,), learning_rate : float64. Overwrites W.
    """
    sgd_step((W, dW), (W,), (W.dtype.type(-learning_rate),))
