"""Losses: the negative log-likelihood of the targets, and its gradient.

A forward kernel takes what enters the loss, z, writes the predictions a, and returns the SUM over the rows of each
row's loss, in float64. The backward kernel gives the gradient of the MEAN over the rows, dz, from the predictions:
the cross-entropies are fused with the sigmoid or softmax that makes probabilities of their logits, so that the
gradient is (a - y) / n whatever the size of the logits. In place is allowed: a may be z, and dz may be a.
"""

import numpy as np
from numba import njit

from fastml.kernels.activations import normalize_exp_rows, shift_rows, sigmoid_forward
from fastml.kernels.simd import elementwise

MEAN_SQUARED_ERROR = 1
BINARY_CROSSENTROPY = 2
CATEGORICAL_CROSSENTROPY = 3
SPARSE_CATEGORICAL_CROSSENTROPY = 4

scaled_difference = elementwise(lambda a, y, scale: scale * (a - y))


@njit(inline="always", error_model="numpy")
def loss_forward(kind, z, y, a):
    """Returns Σᵢ loss(zᵢ, yᵢ), where kind names the loss.

    z, a : (n, d), y : (n, d) or, for class labels, (n, 1). Overwrites a with the predictions.
    """
    if kind == BINARY_CROSSENTROPY:
        return sigmoid_cross_entropy_forward(z, y, a)
    if kind == CATEGORICAL_CROSSENTROPY:
        return softmax_cross_entropy_forward(z, y, a)
    if kind == SPARSE_CATEGORICAL_CROSSENTROPY:
        return sparse_softmax_cross_entropy_forward(z, y, a)
    return mean_squared_error_forward(z, y, a)


@njit(inline="always", error_model="numpy")
def loss_backward(kind, a, y, dz):
    """dz = ∂(mean over the rows of the loss) / ∂z, where kind names the loss.

    mean_squared_error: 2·(a - y) / (n·d); binary_crossentropy: (a - y) / (n·d); categorical_crossentropy:
    (a - y) / n; sparse_categorical_crossentropy: the same with the one-hot y.
    a, dz : (n, d), y : (n, d) or, for class labels, (n, 1). Overwrites dz.
    """
    n, d = a.shape
    real = a.dtype.type
    if kind == SPARSE_CATEGORICAL_CROSSENTROPY:
        scale = real(1.0 / n)
        for i in range(n):
            for j in range(d):
                dz[i, j] = scale * a[i, j]
            dz[i, int(y[i, 0])] -= scale
    elif kind == CATEGORICAL_CROSSENTROPY:
        scaled_difference((a, y), (dz,), (real(1.0 / n),))
    elif kind == BINARY_CROSSENTROPY:
        scaled_difference((a, y), (dz,), (real(1.0 / (n * d)),))
    else:
        scaled_difference((a, y), (dz,), (real(2.0 / (n * d)),))


@njit(inline="always", error_model="numpy")
def squared_error(a, y):
    """Σᵢ (1/d) Σⱼ (aᵢⱼ - yᵢⱼ)², as float64"""
    n, d = a.shape
    total = 0.0
    for i in range(n):
        for j in range(d):
            error = np.float64(a[i, j] - y[i, j])
            total += error * error
    return total / d


@njit(inline="always", error_model="numpy")
def mean_squared_error_forward(z, y, a):
    """Σᵢ (1/d) Σⱼ (zᵢⱼ - yᵢⱼ)², without the ½ of some texts;  a = z"""
    n, d = z.shape
    for i in range(n):
        for j in range(d):
            a[i, j] = z[i, j]
    return squared_error(z, y)


@njit(inline="always", error_model="numpy")
def sigmoid_cross_entropy_forward(z, y, a):
    """Σᵢ (1/d) Σⱼ max(z, 0) - z·y + log(1 + e^-|z|), which is -log of Bernoulli(y; sigmoid z);  a = sigmoid z"""
    n, d = z.shape
    zero = z.dtype.type(0)
    total = 0.0
    for i in range(n):
        for j in range(d):
            logit = z[i, j]
            total += max(logit, zero) - logit * y[i, j] + np.log1p(np.exp(-abs(logit)))
    sigmoid_forward((z,), (a,), ())
    return total / d


@njit(inline="always", error_model="numpy")
def softmax_cross_entropy_forward(z, y, a):
    """Σᵢ Σⱼ yᵢⱼ·(log Σₖ exp zᵢₖ - zᵢⱼ), which is -log of Categorical(y; softmax z);  a = softmax z

    The rows of y sum to 1, so that z may be shifted.
    """
    n, d = z.shape
    shift_rows(z, a)
    likelihood = 0.0
    for i in range(n):
        for j in range(d):
            likelihood += y[i, j] * a[i, j]
    return normalize_exp_rows(a) - likelihood


@njit(inline="always", error_model="numpy")
def sparse_softmax_cross_entropy_forward(z, y, a):
    """Σᵢ log Σₖ exp zᵢₖ - zᵢ,yᵢ: softmax_cross_entropy_forward with the class numbers y : (n, 1) as targets."""
    shift_rows(z, a)
    likelihood = 0.0
    for i in range(z.shape[0]):
        likelihood += a[i, int(y[i, 0])]
    return normalize_exp_rows(a) - likelihood
