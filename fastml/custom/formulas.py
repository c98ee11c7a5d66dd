"""Formulas of users' functions in NumPy, for the reference. They also take complex numbers, whose real parts decide."""

import math

import numpy as np

from fastml.activations import magnitude, normal_distribution, sigmoid, softplus
from fastml.kernels.formulas import LIBRARY, evaluated


def truth(compare):
    """1 where it is so, else 0."""
    return lambda x, y: compare(np.real(x), np.real(y)) * 1


def absolute(x):
    return np.where(np.real(x) == 0, 0, magnitude(x)) if np.iscomplexobj(x) else np.abs(x)


def erf(x):
    """The error function; of complex numbers to first order in the imaginary part."""
    value = np.vectorize(math.erf, otypes=[np.float64])(np.real(x))
    if np.iscomplexobj(x):
        return value + 1j * np.imag(x) * 2 / math.sqrt(math.pi) * np.exp(-(np.real(x) ** 2))
    return value.astype(x.dtype)


def cbrt(x):
    """The root of the third degree; of complex numbers to first order in the imaginary part."""
    value = np.cbrt(np.real(x))
    return value + 1j * np.imag(x) / (3 * value * value) if np.iscomplexobj(x) else value


def power(x, y):
    """x to the power of y; of complex numbers to first order in the imaginary parts."""
    a, b = np.real(x), np.real(y)
    value = np.power(a, b)
    if np.iscomplexobj(x) or np.iscomplexobj(y):
        slopes = b * np.power(a, b - 1), np.where(a == 0, 0, value * np.log(a))
        terms = [np.where(im == 0, 0, im * slope) for im, slope in zip((np.imag(x), np.imag(y)), slopes, strict=True)]
        return value + 1j * sum(terms)
    return value


def whole(round_):
    return lambda x: round_(np.real(x)).astype(x.dtype)


def largest(x):
    """The largest of each row, by its real part, with its imaginary part."""
    return np.take_along_axis(x, np.real(x).argmax(axis=1)[:, None], axis=1)


NUMPY = {name: getattr(np, name) for name in ("add", "subtract", "multiply", "divide", "negative", "sqrt", "exp")}
NUMPY |= {name: getattr(np, name) for name in ("expm1", "log", "log1p", "tanh", *LIBRARY)}
NUMPY |= {name: truth(getattr(np, name)) for name in ("less", "less_equal", "greater", "greater_equal", "equal")}
NUMPY |= {name: whole(getattr(np, name)) for name in ("floor", "ceil", "rint", "trunc", "sign")}
NUMPY |= {
    "not_equal": truth(np.not_equal),
    "abs": absolute,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": erf,
    "normal": normal_distribution,
    "cbrt": cbrt,
    "power": power,
    "root_power": power,
    "where": lambda condition, yes, no: np.where(np.real(condition) != 0, yes, no),
    "sum": lambda x: x.sum(axis=1, keepdims=True),
    "max": largest,
}


def computed(formula, arrays):
    """The results for a dict from what inputs are called to arrays, which are (n, d), (1, d) or numbers."""
    columns = next(iter(arrays.values())).shape[-1]
    table = NUMPY | {"numbers": lambda: np.arange(columns)[None]}
    with np.errstate(all="ignore"):
        return evaluated(formula, table, {**arrays, "d": columns}, float)
