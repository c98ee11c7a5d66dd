"""Activation functions, a = f(z), and their derivatives, taken from the output a so that z need not be kept.

In place is allowed: a may be z, and dz may be da.
"""

import numpy as np
from numba import njit

LINEAR = 0  # a = z needs no instruction
RELU = 1
SIGMOID = 2
TANH = 3
SOFTMAX = 4


@njit(error_model="numpy")
def activation_forward(kind, z, a):
    """a = f(z), where kind names f.

    z, a : (n, d). Overwrites a.
    """
    if kind == RELU:
        relu_forward(z, a)
    elif kind == SIGMOID:
        sigmoid_forward(z, a)
    elif kind == TANH:
        tanh_forward(z, a)
    elif kind == SOFTMAX:
        softmax_forward(z, a)


@njit(error_model="numpy")
def activation_backward(kind, a, da, dz):
    """dz = da · f′(z), where kind names f.

    a, da, dz : (n, d). Overwrites dz.
    """
    if kind == RELU:
        relu_backward(a, da, dz)
    elif kind == SIGMOID:
        sigmoid_backward(a, da, dz)
    elif kind == TANH:
        tanh_backward(a, da, dz)
    elif kind == SOFTMAX:
        softmax_backward(a, da, dz)


@njit(error_model="numpy")
def relu_forward(z, a):
    """a = max(z, 0); NaN stays NaN."""
    zero = z.dtype.type(0)
    n, d = z.shape
    for i in range(n):
        for j in range(d):
            a[i, j] = zero if z[i, j] < zero else z[i, j]


@njit(error_model="numpy")
def relu_backward(a, da, dz):
    """dz = da where a > 0, else 0; the derivative at 0 is taken as 0."""
    zero = a.dtype.type(0)
    n, d = a.shape
    for i in range(n):
        for j in range(d):
            dz[i, j] = da[i, j] if a[i, j] > zero else zero


@njit(error_model="numpy")
def sigmoid_forward(z, a):
    """a = 1 / (1 + e⁻ᶻ), with the exponential always of a negative number, so that it cannot overflow."""
    zero, one = z.dtype.type(0), z.dtype.type(1)
    n, d = z.shape
    for i in range(n):
        for j in range(d):
            e = np.exp(-abs(z[i, j]))
            a[i, j] = (one if z[i, j] >= zero else e) / (one + e)


@njit(error_model="numpy")
def sigmoid_backward(a, da, dz):
    """dz = da · a · (1 - a)"""
    one = a.dtype.type(1)
    n, d = a.shape
    for i in range(n):
        for j in range(d):
            dz[i, j] = da[i, j] * a[i, j] * (one - a[i, j])


@njit(error_model="numpy")
def tanh_forward(z, a):
    """a = tanh z"""
    n, d = z.shape
    for i in range(n):
        for j in range(d):
            a[i, j] = np.tanh(z[i, j])


@njit(error_model="numpy")
def tanh_backward(a, da, dz):
    """dz = da · (1 - a²)"""
    one = a.dtype.type(1)
    n, d = a.shape
    for i in range(n):
        for j in range(d):
            dz[i, j] = da[i, j] * (one - a[i, j] * a[i, j])


@njit(error_model="numpy")
def softmax_row(z, i, a):
    """Row i of softmax_forward; returns what the losses need of it, maxₖ zᵢₖ and Σₖ exp(zᵢₖ - maxₖ zᵢₖ)."""
    d = z.shape[1]
    top = z[i, 0]
    for j in range(1, d):
        top = max(top, z[i, j])
    total = z.dtype.type(0)
    for j in range(d):
        a[i, j] = np.exp(z[i, j] - top)
        total += a[i, j]
    for j in range(d):
        a[i, j] /= total
    return top, total


@njit(error_model="numpy")
def softmax_forward(z, a):
    """aᵢⱼ = exp(zᵢⱼ - maxₖ zᵢₖ) / Σₖ exp(zᵢₖ - maxₖ zᵢₖ): subtracting the largest changes nothing but overflow."""
    for i in range(z.shape[0]):
        softmax_row(z, i, a)


@njit(error_model="numpy")
def softmax_backward(a, da, dz):
    """dzⱼ = aⱼ · (daⱼ - Σₖ daₖ·aₖ), the product with the Jacobian aⱼ·(δⱼₖ - aₖ)."""
    n, d = a.shape
    for i in range(n):
        inner = a.dtype.type(0)
        for j in range(d):
            inner += da[i, j] * a[i, j]
        for j in range(d):
            dz[i, j] = a[i, j] * (da[i, j] - inner)
