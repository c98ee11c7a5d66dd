"""Stochastic gradient descent."""

from numba import njit


@njit(error_model="numpy", fastmath={"contract"})
def sgd_update(W, dW, learning_rate):
    """W -= learning_rate · dW

    W, dW : (size,), learning_rate : float64. Overwrites W.
    """
    rate = W.dtype.type(learning_rate)
    for i in range(W.size):
        W[i] -= rate * dW[i]
