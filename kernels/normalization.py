"""Normalization of columns: by stored statistics, and by those of the batch (batch normalization).

Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training", ICML 2015.
"""

import numpy as np
from numba import njit


@njit(inline="always", error_model="numpy")
def normalize(x, mean, scale, a):
    """aᵢⱼ = (xᵢⱼ - meanⱼ) · scaleⱼ

    x, a : (n, d), mean, scale : (d,). Overwrites a, which may be x.
    """
    n, d = x.shape
    for i in range(n):
        for j in range(d):
            a[i, j] = (x[i, j] - mean[j]) * scale[j]


@njit(inline="always", error_model="numpy")
def batchnorm_forward(x, gamma, beta, epsilon, mean, variance, inverse, x_hat, a):
    """a = γ·x̂ + β,  x̂ = (x - mean)·inverse,  inverse = 1 / √(variance + ε), with mean and biased variance of the batch.

    x, x_hat, a : (n, d), gamma, beta, mean, variance, inverse : (d,), epsilon : float64. Overwrites the last five; a
    may be x. Two passes: Σx² - (Σx)² / n would lose a small variance beside a large mean.
    """
    n, d = x.shape
    real = x.dtype.type
    for j in range(d):
        mean[j] = 0
        variance[j] = 0
    for i in range(n):
        for j in range(d):
            mean[j] += x[i, j]
    for j in range(d):
        mean[j] /= real(n)
    for i in range(n):
        for j in range(d):
            x_hat[i, j] = x[i, j] - mean[j]
            variance[j] += x_hat[i, j] * x_hat[i, j]
    for j in range(d):
        variance[j] /= real(n)
        inverse[j] = real(1) / np.sqrt(variance[j] + real(epsilon))
    for i in range(n):
        for j in range(d):
            x_hat[i, j] *= inverse[j]
            a[i, j] = gamma[j] * x_hat[i, j] + beta[j]


@njit(inline="always", error_model="numpy")
def batchnorm_inference(x, gamma, beta, mean, variance, epsilon, inverse, a):
    """a = γ·(x - mean) / √(variance + ε) + β, with the statistics that training has tracked.

    x, a : (n, d), gamma, beta, mean, variance, inverse : (d,), epsilon : float64. Overwrites inverse, 1 / √(variance +
    ε), and a, which may be x.
    """
    n, d = x.shape
    real = x.dtype.type
    for j in range(d):
        inverse[j] = real(1) / np.sqrt(variance[j] + real(epsilon))
    for i in range(n):
        for j in range(d):
            a[i, j] = gamma[j] * ((x[i, j] - mean[j]) * inverse[j]) + beta[j]


@njit(inline="always", error_model="numpy")
def batchnorm_backward(da, x_hat, gamma, inverse, dgamma, dbeta, dx):
    """dβ = Σᵢ daᵢ,  dγ = Σᵢ daᵢ·x̂ᵢ,  dx = γ·inverse·(da - (dβ + x̂·dγ) / n), as mean and variance depend on x, too.

    da, x_hat, dx : (n, d), gamma, inverse, dgamma, dbeta : (d,). Overwrites dgamma, dbeta and dx, which may be da.
    """
    n, d = da.shape
    real = da.dtype.type
    for j in range(d):
        dgamma[j] = 0
        dbeta[j] = 0
    for i in range(n):
        for j in range(d):
            dgamma[j] += da[i, j] * x_hat[i, j]
            dbeta[j] += da[i, j]
    for i in range(n):
        for j in range(d):
            inner = da[i, j] - (dbeta[j] + x_hat[i, j] * dgamma[j]) / real(n)
            dx[i, j] = gamma[j] * inverse[j] * inner


@njit(inline="always", error_model="numpy")
def batchnorm_track(batch_mean, batch_variance, n, momentum, mean, variance):
    """mean = momentum · mean + (1 - momentum) · batch_mean, and so the variance, with the batch's unbiased one.

    All (d,), n : int64, the rows of the batch, more than 1, momentum : float64. Overwrites mean and variance.
    """
    real = mean.dtype.type
    for j in range(mean.size):
        unbiased = batch_variance[j] * real(n / (n - 1))
        mean[j] += real(1 - momentum) * (batch_mean[j] - mean[j])
        variance[j] += real(1 - momentum) * (unbiased - variance[j])
