"""Activation functions: their names, what the compiled kernels call them, and the formulas in NumPy.

============  ==========================================  =======================  ===================================
name          f(z)                                        derivative from          source
============  ==========================================  =======================  ===================================
linear        z
sigmoid       1 / (1 + e⁻ᶻ)                               a·(1 - a)
tanh          tanh z                                      1 - a²
relu          max(z, 0)                                   1 for a > 0, else 0      Nair & Hinton, ICML 2010
leaky_relu    z for z > 0, else alpha·z                   1 for a > 0, else alpha  Maas, Hannun & Ng, 2013
elu           z for z > 0, else alpha·(eᶻ - 1)            1 for a > 0, else        Clevert et al., ICLR 2016
                                                          a + alpha
selu          1.0507 · elu with alpha = 1.6733            as elu                   Klambauer et al., NeurIPS 2017
softplus      log(1 + eᶻ)                                 1 - e⁻ᵃ                  Dugas et al., NeurIPS 2000
exponential   eᶻ                                          a
softmax       eᶻ / Σ eᶻ over the row                      aᵢ·(δᵢₖ - aₖ)
silu          z·sigmoid(z)                                z                        Elfwing et al., 2017
gelu          z·Φ(z), Φ the normal distribution's         z                        Hendrycks & Gimpel, 2016
mish          z·tanh(log(1 + eᶻ))                         z                        Misra, BMVC 2020
hard_sigmoid  (z + 3) / 6, cut off at 0 and 1             1/6 for 0 < a < 1        Howard et al., ICCV 2019
============  ==========================================  =======================  ===================================

Where the output a tells the derivative, the pre-activation z is not kept. At a kink, z = 0, the derivative is that from
below: 0 for relu, alpha for leaky_relu and elu, 1.7581 for selu; at those of hard_sigmoid, z = ±3, it is 0. alpha is
0.01 for leaky_relu and 1 for elu, if not given otherwise. gelu is exact, not the approximation by tanh.

The formulas compare real parts only, so that they also take complex numbers: `gradient_check` differentiates with them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastml.kernels.activations import SELU_ALPHA, SELU_SCALE


class ActivationFunction(NamedTuple):
    forward: Callable  # z, alpha -> a
    backward: Callable  # z, a, da, alpha -> dz; z is that of the forward pass only if the function keeps it
    alpha: float | None = None  # the value of the parameter if none is given; None for functions without
    keeps_z: bool = False


def magnitude(z):
    """|z|, as a function whose slope at 0 is -1."""
    return np.where(z.real <= 0, -z, z)


def positive_part(z):
    """max(z, 0), as a function whose slope at 0 is 0; a NaN stays one."""
    return np.where(z.real <= 0, 0, z)


def sigmoid(z):
    """1 / (1 + e⁻ᶻ), stable at both ends."""
    e = np.exp(-magnitude(z))
    return np.where(z.real > 0, 1, e) / (1 + e)


def softplus(z):
    """log(1 + eᶻ), stable at both ends."""
    return positive_part(z) + np.log1p(np.exp(-magnitude(z)))


def elu(z, alpha):
    """z for z > 0, else alpha·(eᶻ - 1)."""
    return np.where(z.real > 0, z, alpha * np.expm1(np.where(z.real > 0, 0, z)))


def softmax(z):
    """Each row: exp(z) / Σ exp(z), stable for logits of any size."""
    e = np.exp(z - z.real.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(z, a, da, alpha):
    return a * (da - (da * a).sum(axis=1, keepdims=True))


def silu_backward(z, a, da, alpha):
    s = sigmoid(z)
    return da * (s + z * s * (1 - s))


def normal_density(z):
    """φ(z), the density of the standard normal law."""
    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def normal_distribution(z):
    """Φ(z), the distribution of the standard normal law. For complex z to first order in the imaginary part."""
    value = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[np.float64])(z.real)
    if np.iscomplexobj(z):
        return value + 1j * z.imag * normal_density(z.real)
    return value.astype(z.dtype)


def gelu_backward(z, a, da, alpha):
    return da * (normal_distribution(z) + z * normal_density(z))


def mish_backward(z, a, da, alpha):
    w = np.tanh(softplus(z))
    return da * (w + z * (1 - w * w) * sigmoid(z))


def hard_sigmoid(z):
    """(z + 3) / 6, cut off at 0 and 1, as a function whose slope at both ends is 0."""
    t = (z + 3) / 6
    return np.where(t.real <= 0, 0, np.where(t.real >= 1, 1, t))


ACTIVATIONS = {
    "linear": ActivationFunction(lambda z, alpha: z, lambda z, a, da, alpha: da),
    "sigmoid": ActivationFunction(lambda z, alpha: sigmoid(z), lambda z, a, da, alpha: da * a * (1 - a)),
    "tanh": ActivationFunction(lambda z, alpha: np.tanh(z), lambda z, a, da, alpha: da * (1 - a * a)),
    "relu": ActivationFunction(lambda z, alpha: positive_part(z), lambda z, a, da, alpha: da * (a.real > 0)),
    "leaky_relu": ActivationFunction(
        lambda z, alpha: np.where(z.real <= 0, alpha * z, z),
        lambda z, a, da, alpha: da * np.where(a.real > 0, 1, alpha),
        alpha=0.01,
    ),
    "elu": ActivationFunction(
        elu,
        lambda z, a, da, alpha: da * np.where(a.real > 0, 1, a + alpha),
        alpha=1.0,
    ),
    "selu": ActivationFunction(
        lambda z, alpha: SELU_SCALE * elu(z, SELU_ALPHA),
        lambda z, a, da, alpha: da * np.where(a.real > 0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA),
    ),
    "softplus": ActivationFunction(lambda z, alpha: softplus(z), lambda z, a, da, alpha: -da * np.expm1(-a)),
    "exponential": ActivationFunction(lambda z, alpha: np.exp(z), lambda z, a, da, alpha: da * a),
    "softmax": ActivationFunction(lambda z, alpha: softmax(z), softmax_backward),
    "silu": ActivationFunction(lambda z, alpha: z * sigmoid(z), silu_backward, keeps_z=True),
    "gelu": ActivationFunction(lambda z, alpha: z * normal_distribution(z), gelu_backward, keeps_z=True),
    "hard_sigmoid": ActivationFunction(
        lambda z, alpha: hard_sigmoid(z), lambda z, a, da, alpha: da * ((a.real > 0) & (a.real < 1)) / 6
    ),
    "mish": ActivationFunction(lambda z, alpha: z * np.tanh(softplus(z)), mish_backward, keeps_z=True),
}
