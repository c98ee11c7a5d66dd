"""Losses: the negative log-likelihood of the targets, and its gradient.

A forward kernel takes what enters the loss, z, writes the predictions a, and returns the SUM over the rows of each
row's loss, in float64. A backward kernel gives the gradient of the MEAN over the rows, dz, from the predictions:
the cross-entropies are fused with the sigmoid or softmax that makes probabilities of their logits, so that
dz = (a - y) / n whatever the size of the logits. In place is allowed: a may be z.
"""

import numpy as np
from numba import njit

from fastml.kernels.activations import sigmoid_forward, softmax_row

MEAN_SQUARED_ERROR = 1
BINARY_CROSSENTROPY = 2
CATEGORICAL_CROSSENTROPY = 3
SPARSE_CATEGORICAL_CROSSENTROPY = 4


@njit(error_model="numpy")
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


@njit(error_model="numpy")
def loss_backward(kind, a, y, dz):
    """dz = ∂(mean over the rows of the loss) / ∂z, where kind names the loss.

    a, dz : (n, d), y : (n, d) or, for class labels, (n, 1). Overwrites dz.
    """
    if kind == BINARY_CROSSENTROPY:
        sigmoid_cross_entropy_backward(a, y, dz)
    elif kind == CATEGORICAL_CROSSENTROPY:
        softmax_cross_entropy_backward(a, y, dz)
    elif kind == SPARSE_CATEGORICAL_CROSSENTROPY:
        sparse_softmax_cross_entropy_backward(a, y, dz)
    else:
        mean_squared_error_backward(a, y, dz)


@njit(error_model="numpy")
def mean_squared_error_forward(z, y, a):
    """Σᵢ (1/d) Σⱼ (zᵢⱼ - yᵢⱼ)², without the ½ of some texts;  a = z"""
    n, d = z.shape
    total = 0.0
    for i in range(n):
        for j in range(d):
            a[i, j] = z[i, j]
            error = np.float64(z[i, j] - y[i, j])
            total += error * error
    return total / d


@njit(error_model="numpy")
def mean_squared_error_backward(a, y, dz):
    """dz = 2·(a - y) / (n·d)"""
    n, d = a.shape
    scale = a.dtype.type(2.0 / (n * d))
    for i in range(n):
        for j in range(d):
            dz[i, j] = scale * (a[i, j] - y[i, j])


@njit(error_model="numpy")
def sigmoid_cross_entropy_forward(z, y, a):
    """Σᵢ (1/d) Σⱼ max(z, 0) - z·y + log(1 + e^-|z|), which is -log of Bernoulli(y; sigmoid z);  a = sigmoid z"""
    n, d = z.shape
    zero = z.dtype.type(0)
    total = 0.0
    for i in range(n):
        for j in range(d):
            logit = z[i, j]
            total += max(logit, zero) - logit * y[i, j] + np.log1p(np.exp(-abs(logit)))
    sigmoid_forward(z, a)
    return total / d


@njit(error_model="numpy")
def sigmoid_cross_entropy_backward(a, y, dz):
    """dz = (a - y) / (n·d)"""
    n, d = a.shape
    scale = a.dtype.type(1.0 / (n * d))
    for i in range(n):
        for j in range(d):
            dz[i, j] = scale * (a[i, j] - y[i, j])


@njit(error_model="numpy")
def softmax_cross_entropy_forward(z, y, a):
    """Σᵢ Σⱼ yᵢⱼ·(log Σₖ exp zᵢₖ - zᵢⱼ), which is -log of Categorical(y; softmax z);  a = softmax z

    The rows of y sum to 1.
    """
    n, d = z.shape
    total = 0.0
    for i in range(n):
        top = z[i, 0]
        for j in range(1, d):
            top = max(top, z[i, j])
        weighted = z.dtype.type(0)
        for j in range(d):
            weighted += y[i, j] * (z[i, j] - top)
        top, normalizer = softmax_row(z, i, a)
        total += np.log(normalizer) - weighted
    return total


@njit(error_model="numpy")
def softmax_cross_entropy_backward(a, y, dz):
    """dz = (a - y) / n"""
    n, d = a.shape
    scale = a.dtype.type(1.0 / n)
    for i in range(n):
        for j in range(d):
            dz[i, j] = scale * (a[i, j] - y[i, j])


@njit(error_model="numpy")
def sparse_softmax_cross_entropy_forward(z, y, a):
    """Σᵢ log Σₖ exp zᵢₖ - zᵢ,yᵢ: softmax_cross_entropy_forward with the class numbers y : (n, 1) as targets."""
    total = 0.0
    for i in range(z.shape[0]):
        logit = z[i, int(y[i, 0])]
        top, normalizer = softmax_row(z, i, a)
        total += np.log(normalizer) - (logit - top)
    return total


@njit(error_model="numpy")
def sparse_softmax_cross_entropy_backward(a, y, dz):
    """dz = (a - onehot y) / n"""
    n, d = a.shape
    scale = a.dtype.type(1.0 / n)
    for i in range(n):
        for j in range(d):
            dz[i, j] = scale * a[i, j]
        dz[i, int(y[i, 0])] -= scale
