"""Activation functions, a = f(z), and their derivatives: from the output a, so that z need not be kept, where a tells
it, and else from z.

In place is allowed: a may be z, but for silu, gelu and mish, and dz may be da. At the kinks of relu, leaky_relu, elu
and selu, z = 0, the derivative is that for z < 0.
"""

import math

from numba import njit

from fastml.kernels import vmath
from fastml.kernels.simd import Vec, elementwise
from fastml.kernels.sweeps import rowwise

LINEAR = 0  # a = z needs no instruction
RELU = 1
LEAKY_RELU = 2
ELU = 3
SELU = 4
SOFTPLUS = 5
EXPONENTIAL = 6
SIGMOID = 7
TANH = 8
SOFTMAX = 9
SILU = 10
GELU = 11
MISH = 12

# Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017: they make mean 0 and variance 1 a fixed point.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def relu(z):
    return z.where("<", 0.0, 0.0, z)  # a NaN stays a NaN


def relu_slope(a, da):
    return a.where(">", 0.0, da, 0.0)


def tanh_slope(a, da):
    return da * (1.0 - a * a)


def sigmoid_slope(a, da):
    return da * a * (1.0 - a)


relu_forward, relu_backward = elementwise(relu), elementwise(relu_slope)

leaky_relu_forward = elementwise(lambda z, alpha: z.where("<", 0.0, alpha * z, z))
leaky_relu_backward = elementwise(lambda a, da, alpha: a.where(">", 0.0, da, alpha * da))

elu_forward = elementwise(
    lambda z, alpha, scale: scale * z.where("<", 0.0, alpha * vmath.expm1_nonpositive(z.where(">", 0.0, 0.0, z)), z)
)
elu_backward = elementwise(lambda a, da, alpha, scale: da * a.where(">", 0.0, scale, a + alpha * scale))

softplus_forward = elementwise(vmath.softplus)
softplus_backward = elementwise(lambda a, da: -da * vmath.expm1_nonpositive(-a))

exponential_forward = elementwise(vmath.exp)
exponential_backward = elementwise(lambda a, da: a * da)

sigmoid_forward = elementwise(vmath.sigmoid)
sigmoid_backward = elementwise(sigmoid_slope)

tanh_forward = elementwise(vmath.tanh)
tanh_backward = elementwise(tanh_slope)


@elementwise
def silu_forward(z):
    return z * vmath.sigmoid(z)


@elementwise
def silu_backward(z, da):
    s = vmath.sigmoid(z)
    return da * s * (1.0 + z * (1.0 - s))


@elementwise
def gelu_forward(z):
    return z * vmath.normal(z)[0]


@elementwise
def gelu_backward(z, da):
    cumulative, density = vmath.normal(z)
    return da * z.fma(density, cumulative)


def tanh_softplus(z):
    """w = tanh(log(1 + eᶻ)) and 1 - w as fractions of e = e^-|z|, in which neither overflows nor cancels."""
    e = vmath.exp_nonpositive(-abs(z))
    square = e * e
    numerator = z.where("<", 0.0, square + e * 2.0, 1.0 + e * 2.0)
    rest = z.where("<", 0.0, 2.0, square * 2.0)
    return numerator / (numerator + rest), rest / (numerator + rest)


@elementwise
def mish_forward(z):
    return z * tanh_softplus(z)[0]


@elementwise
def mish_backward(z, da):
    w, rest = tanh_softplus(z)
    return da * (w + z * rest * (1.0 + w) * vmath.sigmoid(z))


def greater(u, v):
    """The greater of each pair of lanes; v where it is NaN is left out."""
    return u.where("<", v, v, u)


# What a matrix product applies to its result before it writes it (`gemm.py`): the activation whose code it is given,
# or, for the negative code, the derivative, where e is the output of the activation and the result its gradient.
EPILOGUES = {
    RELU: lambda z, e: relu(z),
    -RELU: lambda da, e: relu_slope(e, da),
    TANH: lambda z, e: vmath.tanh(z),
    -TANH: lambda da, e: tanh_slope(e, da),
    SIGMOID: lambda z, e: vmath.sigmoid(z),
    -SIGMOID: lambda da, e: sigmoid_slope(e, da),
}


def largest_of(row, z):
    """maxₖ zₖ of a row: softmax does not change by what all zₖ have in common, and less that none overflows."""
    lowest = -math.inf
    (top,) = row.parts(lambda part, top: [greater(top, part.only(part.load(z), lowest))], row.constant(lowest))
    return row.across(top, greater)


def softmax_of(row, z, a, top):
    """Writes aⱼ = exp(zⱼ - top) / Σₖ exp(zₖ - top) of a row; returns that sum."""

    def exponentials(part, total):
        e = vmath.exp_nonpositive(part.load(z) - top)
        part.keep(a, e)
        return [total + part.only(e, 0.0)]

    (total,) = row.parts(exponentials, row.constant(0.0))
    total = row.across(total, Vec.__add__)
    row.parts(lambda part: part.store(a, part.load(a) / total))
    return total


@rowwise
def softmax_rows(row):
    softmax_of(row, 0, 1, largest_of(row, 0))


@rowwise
def softmax_backward_rows(row):
    """dzⱼ = aⱼ · (daⱼ - Σₖ daₖ·aₖ), the product with the Jacobian aⱼ·(δⱼₖ - aₖ)."""
    (inner,) = row.parts(lambda part, inner: [part.load(0).fma(part.load(1), inner)], row.constant(0.0))
    inner = row.across(inner, Vec.__add__)
    row.parts(lambda part: part.store(2, part.load(0) * (part.load(1) - inner)))


@njit(inline="always", error_model="numpy")
def activation_forward(kind, alpha, z, a):
    """a = f(z), where kind names f, and alpha is the slope of leaky_relu or the scale of elu below 0, float64.

    z, a : (n, d). Overwrites a.
    """
    real = z.dtype.type
    if kind == RELU:
        relu_forward((z,), (a,), ())
    elif kind == LEAKY_RELU:
        leaky_relu_forward((z,), (a,), (real(alpha),))
    elif kind == ELU or kind == SELU:
        alpha, scale = (SELU_ALPHA, SELU_SCALE) if kind == SELU else (alpha, 1.0)
        elu_forward((z,), (a,), (real(alpha), real(scale)))
    elif kind == SOFTPLUS:
        softplus_forward((z,), (a,), ())
    elif kind == EXPONENTIAL:
        exponential_forward((z,), (a,), ())
    elif kind == SIGMOID:
        sigmoid_forward((z,), (a,), ())
    elif kind == TANH:
        tanh_forward((z,), (a,), ())
    elif kind == SOFTMAX:
        softmax_rows((z, a), (), ())
    elif kind == SILU:
        silu_forward((z,), (a,), ())
    elif kind == GELU:
        gelu_forward((z,), (a,), ())
    elif kind == MISH:
        mish_forward((z,), (a,), ())


@njit(inline="always", error_model="numpy")
def activation_backward(kind, alpha, z, a, da, dz):
    """dz = da · f′(z), where kind names f, with alpha as in activation_forward. z is read for silu, gelu and mish only.

    z, a, da, dz : (n, d). Overwrites dz.
    """
    real = a.dtype.type
    if kind == RELU:
        relu_backward((a, da), (dz,), ())
    elif kind == LEAKY_RELU:
        leaky_relu_backward((a, da), (dz,), (real(alpha),))
    elif kind == ELU or kind == SELU:
        alpha, scale = (SELU_ALPHA, SELU_SCALE) if kind == SELU else (alpha, 1.0)
        elu_backward((a, da), (dz,), (real(alpha), real(scale)))
    elif kind == SOFTPLUS:
        softplus_backward((a, da), (dz,), ())
    elif kind == EXPONENTIAL:
        exponential_backward((a, da), (dz,), ())
    elif kind == SIGMOID:
        sigmoid_backward((a, da), (dz,), ())
    elif kind == TANH:
        tanh_backward((a, da), (dz,), ())
    elif kind == SOFTMAX:
        softmax_backward_rows((a, da, dz), (), ())
    elif kind == SILU:
        silu_backward((z, da), (dz,), ())
    elif kind == GELU:
        gelu_backward((z, da), (dz,), ())
    elif kind == MISH:
        mish_backward((z, da), (dz,), ())
