"""Activation functions, a = f(z), and their derivatives: from the output a, so that z need not be kept, where a tells
it, and else from z.

At the kinks of relu, leaky_relu, elu and selu, z = 0, the derivative is that for z < 0.
"""

import math

from fastml.kernels import vmath
from fastml.kernels.elementwise import apply, function
from fastml.kernels.operands import Function, Rows
from fastml.kernels.operation import operation
from fastml.kernels.simd import Vec
from fastml.kernels.sweeps import rowwise

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


def leaky_relu(z, alpha):
    return z.where("<", 0.0, alpha * z, z)


def leaky_relu_slope(a, da, alpha):
    return a.where(">", 0.0, da, alpha * da)


def elu(z, alpha, scale):
    return scale * z.where("<", 0.0, alpha * vmath.expm1_nonpositive(z.where(">", 0.0, 0.0, z)), z)


def elu_slope(a, da, alpha, scale):
    return da * a.where(">", 0.0, scale, a + alpha * scale)


def softplus_slope(a, da):
    return -da * vmath.expm1_nonpositive(-a)


def silu(z):
    return z * vmath.sigmoid(z)


def silu_slope(z, da):
    s = vmath.sigmoid(z)
    return da * s * (1.0 + z * (1.0 - s))


def gelu(z):
    return z * vmath.normal(z)[0]


def gelu_slope(z, da):
    cumulative, density = vmath.normal(z)
    return da * z.fma(density, cumulative)


def tanh_softplus(z):
    """w = tanh(log(1 + eᶻ)) and 1 - w as fractions of e = e^-|z|, in which neither overflows nor cancels."""
    e = vmath.exp_nonpositive(-abs(z))
    square = e * e
    numerator = z.where("<", 0.0, square + e * 2.0, 1.0 + e * 2.0)
    rest = z.where("<", 0.0, 2.0, square * 2.0)
    return numerator / (numerator + rest), rest / (numerator + rest)


def mish(z):
    return z * tanh_softplus(z)[0]


def mish_slope(z, da):
    w, rest = tanh_softplus(z)
    return da * (w + z * rest * (1.0 + w) * vmath.sigmoid(z))


def hard_sigmoid(z):
    t = (z + 3.0) * (1 / 6)  # which keeps its digits near -3
    return t.where("<", 0.0, 0.0, t.where(">", 1.0, 1.0, t))  # a NaN stays a NaN


def hard_sigmoid_slope(a, da):
    return a.where(">", 0.0, a.where("<", 1.0, da * (1 / 6), 0.0), 0.0)


def selu_constants(z):
    return z.constant(SELU_ALPHA), z.constant(SELU_SCALE)


# Each as f(z, alpha) and as slope(u, da, alpha) = da · f′(z), where u is the output a or the pre-activation z.
for name, f, slope in (
    ("relu", lambda z, alpha: relu(z), lambda a, da, alpha: relu_slope(a, da)),
    ("leaky_relu", leaky_relu, leaky_relu_slope),
    (
        "elu",
        lambda z, alpha: elu(z, alpha, z.constant(1.0)),
        lambda a, da, alpha: elu_slope(a, da, alpha, a.constant(1.0)),
    ),
    (
        "selu",
        lambda z, alpha: elu(z, *selu_constants(z)),
        lambda a, da, alpha: elu_slope(a, da, *selu_constants(a)),
    ),
    ("softplus", lambda z, alpha: vmath.softplus(z), lambda a, da, alpha: softplus_slope(a, da)),
    ("exponential", lambda z, alpha: vmath.exp(z), lambda a, da, alpha: a * da),
    ("sigmoid", lambda z, alpha: vmath.sigmoid(z), lambda a, da, alpha: sigmoid_slope(a, da)),
    ("tanh", lambda z, alpha: vmath.tanh(z), lambda a, da, alpha: tanh_slope(a, da)),
    ("silu", lambda z, alpha: silu(z), lambda z, da, alpha: silu_slope(z, da)),
    ("gelu", lambda z, alpha: gelu(z), lambda z, da, alpha: gelu_slope(z, da)),
    ("mish", lambda z, alpha: mish(z), lambda z, da, alpha: mish_slope(z, da)),
    ("hard_sigmoid", lambda z, alpha: hard_sigmoid(z), lambda a, da, alpha: hard_sigmoid_slope(a, da)),
):
    function(name, lambda z, _, alpha, f=f: f(z, alpha))
    function(f"{name}_slope", slope)


@operation
def activation_forward(function: Function(), z: Rows("d_out"), a: Rows("d_out")):
    """a = f(z)

    z, a : (n, d). Overwrites a, which may be z.
    """
    apply(function, z, z, a)


@operation
def activation_backward(function: Function(), u: Rows("d_out"), da: Rows("d_out"), dz: Rows("d_out")):
    """dz = da · f′(z), where the function is the slope of f, from u, which is the output a or z.

    u, da, dz : (n, d). Overwrites dz, which may be da.
    """
    apply(function, u, da, dz)


def greater(u, v):
    """The greater of each pair of lanes; v where it is NaN is left out."""
    return u.where("<", v, v, u)


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


@operation
def softmax_forward(z: Rows("d_out"), a: Rows("d_out")):
    """aⱼ = exp zⱼ / Σₖ exp zₖ of each row.

    z, a : (n, d). Overwrites a, which may be z.
    """
    softmax_rows((z, a), (), ())


@operation
def softmax_backward(a: Rows("d_out"), da: Rows("d_out"), dz: Rows("d_out")):
    """dzⱼ = aⱼ · (daⱼ - Σₖ daₖ·aₖ), the product with the Jacobian aⱼ·(δⱼₖ - aₖ).

    a, da, dz : (n, d). Overwrites dz, which may be da.
    """
    softmax_backward_rows((a, da, dz), (), ())
