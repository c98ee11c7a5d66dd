"""Adam (Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1)."""

import numpy as np
from numba import njit


@njit(error_model="numpy", fastmath={"contract"})
def adam_update(W, dW, m, v, t, learning_rate, beta_1, beta_2, epsilon):
    """m = β₁m + (1-β₁)dW,  v = β₂v + (1-β₂)dW²,  W -= learning_rate · m̂ / (√v̂ + ε)

    with m̂ = m / (1-β₁ᵗ), v̂ = v / (1-β₂ᵗ). W, dW, m, v : (size,), t : int64 from 1, the others float64: powers of β
    lose their meaning in float32. ε is added after the bias correction, as in the paper's algorithm and in PyTorch
    (Keras adds it before). Overwrites W, m and v, in one pass over memory.
    """
    dtype = W.dtype.type
    b1, b2, c1, c2 = dtype(beta_1), dtype(beta_2), dtype(1 - beta_1), dtype(1 - beta_2)
    step = dtype(learning_rate / (1 - beta_1**t))
    correction = dtype(1 / np.sqrt(1 - beta_2**t))
    eps = dtype(epsilon)
    for i in range(W.size):
        g = dW[i]
        m[i] = b1 * m[i] + c1 * g
        v[i] = b2 * v[i] + c2 * (g * g)
        W[i] -= step * m[i] / (np.sqrt(v[i]) * correction + eps)
