"""Functions of decimal numbers, to nearly as many digits as their context has, and their units in the last place."""

from decimal import Decimal
from functools import cache

import numpy as np


def small_or(x, series, formula):
    """The formula, or the first terms of its power series where it would cancel: the next is below 1e-40 of them."""
    if x == 0 or abs(x) >= Decimal("1e-10"):
        return formula(x)
    return sum((coefficient * x**k for k, coefficient in enumerate(series, 1)), Decimal(0))


def expm1(x):
    return small_or(x, (1, Decimal(1) / 2, Decimal(1) / 6, Decimal(1) / 24), lambda x: x.exp() - 1)


def log1p(u):
    return small_or(u, (1, -Decimal(1) / 2, Decimal(1) / 3, -Decimal(1) / 4), lambda u: (1 + u).ln())


def softplus(x):
    return max(x, Decimal(0)) + log1p((-abs(x)).exp())


def tanh(x):
    return expm1(2 * x) / (expm1(2 * x) + 2)


@cache
def pi():
    """By Machin's formula."""

    def arctan_of_inverse(n):
        return sum((Decimal((-1) ** k) / ((2 * k + 1) * Decimal(n) ** (2 * k + 1)) for k in range(40)), Decimal(0))

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))


def density(x):
    return (-x * x / 2).exp() / (2 * pi()).sqrt()


def distribution(x):
    """Φ as the power series of the error function near 0, as Laplace's continued fraction in the tail."""
    size = abs(x)
    if size < 4:
        term = total = size
        for k in range(1, 90):
            term *= size * size / (2 * k + 1)
            total += term
        tail = Decimal("0.5") - density(size) * total
    else:
        fraction = size
        for k in range(80, 0, -1):
            fraction = size + k / fraction
        tail = density(size) / fraction
    return 1 - tail if x > 0 else tail


def erf(x):
    slope = 2 / pi().sqrt()
    return small_or(x, (slope, 0, -slope / 3, 0), lambda x: 2 * distribution(x * Decimal(2).sqrt()) - 1)


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def ulps(got, expected):
    """The distance of a number from a Decimal, in units of the last place."""
    unit = np.spacing(np.abs(got.dtype.type(expected)))
    return abs(Decimal(float(got)) - expected) / Decimal(float(unit))
