"""Batch normalization and dropout against NumPy."""

import numpy as np

from fastml.kernels.dropout import dropout_forward
from fastml.kernels.normalization import batchnorm_backward, batchnorm_forward
from fastml.program.random import dropout_mask

ROWS, WIDTH = 128, 512


def test_dropout_forward(compare, random, rival):
    x = random.standard_normal((ROWS, WIDTH), "float32")
    mask, a = np.empty_like(x), np.empty_like(x)

    def kernel():
        dropout_forward(1, 2, 3, 4, 0.5, 0, x, mask, a)
        return mask, a

    def numpy():
        drawn = dropout_mask(1, 2, 3, 4, 0.5, x.shape).astype("float32")
        return drawn, x * drawn

    compare(f"dropout {ROWS}x{WIDTH} float32", rival, kernel, numpy)


def test_batchnorm_forward_and_backward(compare, random, rival):
    x, da = random.standard_normal((ROWS, WIDTH), "float32"), random.standard_normal((ROWS, WIDTH), "float32")
    gamma, beta = random.standard_normal(WIDTH, "float32"), random.standard_normal(WIDTH, "float32")
    mean, variance, inverse, dgamma, dbeta = (np.empty_like(gamma) for _ in range(5))
    x_hat, a, dx = (np.empty_like(x) for _ in range(3))

    def kernel():
        batchnorm_forward(x, gamma, beta, 1e-5, (0, WIDTH), mean, variance, inverse, x_hat, a)
        batchnorm_backward(da, x_hat, gamma, inverse, (0, WIDTH), dgamma, dbeta, dx)
        return a, dgamma, dbeta, dx

    def numpy():
        scale = 1 / np.sqrt(x.var(axis=0) + np.float32(1e-5))
        normal = (x - x.mean(axis=0)) * scale
        slopes, shifts = (da * normal).sum(axis=0), da.sum(axis=0)
        down = gamma * scale * (da - (shifts + normal * slopes) / np.float32(ROWS))
        return gamma * normal + beta, slopes, shifts, down

    compare(f"batch normalization there and back {ROWS}x{WIDTH} float32", rival, kernel, numpy)
