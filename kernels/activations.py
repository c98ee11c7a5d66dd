"""Activation functions, a = f(z), and their derivatives, taken from the output a so that z need not be kept.

In place is allowed: a may be z, and dz may be da.
"""

import numpy as np
from numba import njit

from fastml.kernels import vmath
from fastml.kernels.simd import elementwise

LINEAR = 0  # a = z needs no instruction
RELU = 1
SIGMOID = 2
TANH = 3
SOFTMAX = 4

# The derivative of relu at 0 is taken as 0; a NaN stays a NaN.
relu_forward = elementwise(lambda z: z.where("<", 0.0, 0.0, z))
relu_backward = elementwise(lambda a, da: a.where(">", 0.0, da, 0.0))

sigmoid_forward = elementwise(vmath.sigmoid)
sigmoid_backward = elementwise(lambda a, da: da * a * (1.0 - a))

tanh_forward = elementwise(vmath.tanh)
tanh_backward = elementwise(lambda a, da: da * (1.0 - a * a))

exp_nonpositive = elementwise(vmath.exp_nonpositive)


@njit(inline="always", error_model="numpy")
def activation_forward(kind, z, a):
    """a = f(z), where kind names f.

    z, a : (n, d). Overwrites a.
    """
    if kind == RELU:
        relu_forward((z,), (a,), ())
    elif kind == SIGMOID:
        sigmoid_forward((z,), (a,), ())
    elif kind == TANH:
        tanh_forward((z,), (a,), ())
    elif kind == SOFTMAX:
        softmax_forward(z, a)


@njit(inline="always", error_model="numpy")
def activation_backward(kind, a, da, dz):
    """dz = da · f′(z), where kind names f.

    a, da, dz : (n, d). Overwrites dz.
    """
    if kind == RELU:
        relu_backward((a, da), (dz,), ())
    elif kind == SIGMOID:
        sigmoid_backward((a, da), (dz,), ())
    elif kind == TANH:
        tanh_backward((a, da), (dz,), ())
    elif kind == SOFTMAX:
        softmax_backward(a, da, dz)


@njit(inline="always", error_model="numpy")
def softmax_forward(z, a):
    """aᵢⱼ = exp(zᵢⱼ) / Σₖ exp(zᵢₖ)

    z, a : (n, d). Overwrites a.
    """
    shift_rows(z, a)
    normalize_exp_rows(a)


@njit(inline="always", error_model="numpy")
def shift_rows(z, a):
    """aᵢⱼ = zᵢⱼ - maxₖ zᵢₖ: softmax does not change by that, and its exponentials cannot overflow.

    z, a : (n, d). Overwrites a.
    """
    n, d = z.shape
    for i in range(n):
        top = z[i, 0]
        for j in range(1, d):
            top = max(top, z[i, j])
        for j in range(d):
            a[i, j] = z[i, j] - top


@njit(inline="always", error_model="numpy")
def normalize_exp_rows(a):
    """aᵢⱼ = exp(aᵢⱼ) / totalᵢ with totalᵢ = Σₖ exp(aᵢₖ); returns Σᵢ log totalᵢ, which the losses need, as float64.

    a : (n, d), not positive. Overwrites a.
    """
    n, d = a.shape
    exp_nonpositive((a,), (a,), ())
    logs = 0.0
    for i in range(n):
        total = a[i, 0]
        for j in range(1, d):
            total += a[i, j]
        for j in range(d):
            a[i, j] /= total
        logs += np.log(total)
    return logs


@njit(inline="always", error_model="numpy")
def softmax_backward(a, da, dz):
    """dzⱼ = aⱼ · (daⱼ - Σₖ daₖ·aₖ), the product with the Jacobian aⱼ·(δⱼₖ - aₖ).

    a, da, dz : (n, d). Overwrites dz.
    """
    n, d = a.shape
    for i in range(n):
        inner = da[i, 0] * a[i, 0]
        for j in range(1, d):
            inner += da[i, j] * a[i, j]
        for j in range(d):
            dz[i, j] = a[i, j] * (da[i, j] - inner)
