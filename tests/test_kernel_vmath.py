"""Functions on vectors against Python's decimal numbers, in units of the last place, over their whole range."""

import math
from decimal import Decimal, getcontext, localcontext
from functools import cache

import numpy as np
import pytest
from numba import njit

from fastml.compiled import DTYPES
from fastml.kernels import vmath
from fastml.kernels.simd import elementwise

DIGITS = 40
SAMPLES = 600  # of each region, see `arguments`


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


# The formula, the numbers it takes, its oracle, and how many units of the last place it may be off: as its docstring
# says, and where that says nothing, what those it is made of explain.
FUNCTIONS = {
    "exp": (vmath.exp, "all", Decimal.exp, 1.25),
    "exp_nonpositive": (vmath.exp_nonpositive, "nonpositive", Decimal.exp, 1.25),
    "expm1_nonpositive": (vmath.expm1_nonpositive, "nonpositive", expm1, 2),
    "log1p_unit": (vmath.log1p_unit, "unit", log1p, 2),
    "softplus": (vmath.softplus, "all", softplus, 3),
    "sigmoid": (vmath.sigmoid, "all", lambda x: 1 / (1 + (-x).exp()), 2.5),
    "tanh": (vmath.tanh, "all", tanh, 3),
    "distribution": (lambda x: vmath.normal(x)[0], "all", distribution, 8),
    "density": (lambda x: vmath.normal(x)[1], "all", density, 3),
}
DOMAINS = ("all", "nonpositive", "unit")
LOWEST = {"float32": -87.0, "float64": -708.0}  # below, eˣ counts as 0
HIGHEST = {"float32": 88.37, "float64": 709.43}  # above, it is infinite

together = elementwise(
    lambda *domains: tuple(formula(domains[DOMAINS.index(name)]) for formula, name, _, _ in FUNCTIONS.values())
)


@njit(error_model="numpy")
def run(inputs, outputs):
    together(inputs, outputs, ())


def evaluate(name, x):
    """The function at these numbers. All are compiled as one loop, as each alone would take as long."""
    outputs = tuple(np.empty_like(x) for _ in FUNCTIONS)
    run((x,) * len(DOMAINS), outputs)
    return outputs[list(FUNCTIONS).index(name)]


def arguments(name, dtype):
    """Numbers from all of the range in which the result is neither 0 nor infinite, near 0 and at the ends, too."""
    rng = np.random.default_rng(5)
    if FUNCTIONS[name][1] == "unit":
        low, high, middle = 0.0, 1.0, (0.45, 0.55)
    else:
        low, high, middle = LOWEST[dtype], HIGHEST[dtype], (-2, 2)
        if name in ("distribution", "density"):  # e^(-x² / 2)
            low, high = -math.sqrt(-2 * low), math.sqrt(-2 * low)
    tiny = 10 ** rng.uniform(-38 if dtype == "float32" else -300, 0, SAMPLES) * rng.choice([-1, 1], SAMPLES)
    regions = [(low, high), middle, (low / 10, high / 10)]
    x = np.concatenate([[low, high, 0], tiny, *(rng.uniform(*region, SAMPLES) for region in regions)])
    x = x.astype(dtype)
    return np.unique(x[(x >= low) & (x <= (0 if FUNCTIONS[name][1] == "nonpositive" else high))])


def ulps(got, expected):
    """The distance of a number from a Decimal, in units of the last place."""
    unit = np.spacing(np.abs(got.dtype.type(expected)))
    return abs(Decimal(float(got)) - expected) / Decimal(float(unit))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_units_of_the_last_place(name, dtype):
    _, _, oracle, bound = FUNCTIONS[name]
    x = arguments(name, dtype)
    with localcontext() as context:
        context.prec = DIGITS
        errors = [ulps(a, oracle(Decimal(v))) for v, a in zip(x.tolist(), evaluate(name, x), strict=True)]
    worst = max(range(len(x)), key=errors.__getitem__)
    assert errors[worst] <= bound, f"{errors[worst]:.2f} ulp at {x[worst]!r}"


def test_the_oracles_are_pythons_functions():
    """To the 15 digits that these have."""
    twins = {
        "exp": math.exp,
        "exp_nonpositive": math.exp,
        "expm1_nonpositive": math.expm1,
        "log1p_unit": math.log1p,
        "softplus": lambda x: math.log1p(math.exp(x)),
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "tanh": math.tanh,
        "distribution": lambda x: math.erfc(-x / math.sqrt(2)) / 2,
        "density": lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    }
    assert set(twins) == set(FUNCTIONS)
    with localcontext() as context:
        context.prec = DIGITS
        for name, twin in twins.items():
            for x in (1e-12, 1e-9, 0.3, 0.9, 2.5, 3.9, 4.1, 8.0):
                x = x if FUNCTIONS[name][1] != "nonpositive" else -x
                assert float(FUNCTIONS[name][2](Decimal(x))) == pytest.approx(twin(x), rel=1e-14)
                if FUNCTIONS[name][1] == "all":
                    assert float(FUNCTIONS[name][2](Decimal(-x))) == pytest.approx(twin(-x), rel=1e-14)
    assert getcontext().prec != DIGITS


NAN, INF = math.nan, math.inf

# Values at NaN, ±infinity, the ends of the range of the dtype, and both zeros.
SPECIAL = {
    "exp": [(NAN, NAN), (INF, INF), (-INF, 0), ("max", INF), ("-max", 0), (0.0, 1), (-0.0, 1)],
    "exp_nonpositive": [(NAN, NAN), (-INF, 0), ("-max", 0), (0.0, 1), (-0.0, 1)],
    "expm1_nonpositive": [(NAN, NAN), (-INF, -1), ("-max", -1), (0.0, 0), (-0.0, 0)],
    "log1p_unit": [(NAN, NAN), (0.0, 0), (-0.0, 0)],
    "softplus": [(NAN, NAN), (INF, INF), (-INF, 0), ("max", "max"), ("-max", 0)],
    "sigmoid": [(NAN, NAN), (INF, 1), (-INF, 0), ("max", 1), ("-max", 0), (0.0, 0.5), (-0.0, 0.5)],
    "tanh": [(NAN, NAN), (INF, 1), (-INF, -1), ("max", 1), ("-max", -1), (0.0, 0.0), (-0.0, -0.0)],
    "distribution": [(NAN, NAN), (INF, 1), (-INF, 0), ("max", 1), ("-max", 0), (0.0, 0.5), (-0.0, 0.5)],
    "density": [(NAN, NAN), (INF, 0), (-INF, 0), ("max", 0), ("-max", 0)],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    largest = {"max": np.finfo(dtype).max, "-max": np.finfo(dtype).min}
    x, expected = (
        np.array([largest.get(value, value) for value in side], dtype) for side in zip(*SPECIAL[name], strict=True)
    )
    got = evaluate(name, x)
    np.testing.assert_array_equal(got, expected)
    if name == "tanh":
        assert np.array_equal(np.signbit(got[1:]), np.signbit(expected[1:]))


def beside(x, dtype):
    """The numbers next below, at, and next above x."""
    x = np.dtype(dtype).type(x)
    return np.array([np.nextafter(x, -x.dtype.type(np.inf)), x, np.nextafter(x, x.dtype.type(np.inf))])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "exp_nonpositive"])
def test_where_the_exponential_becomes_0(name, dtype):
    below, at, above = evaluate(name, beside(LOWEST[dtype], dtype))
    assert below == 0 and above >= at >= np.finfo(dtype).smallest_normal


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_the_exponential_becomes_infinite(dtype):
    below, at, above = evaluate("exp", beside(HIGHEST[dtype], dtype))
    assert np.finfo(dtype).max / 2 < below <= at < np.inf and above == np.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, value", [("expm1_nonpositive", -1), ("softplus", 0), ("sigmoid", 0)])
def test_beyond_the_lower_end(name, value, dtype):
    """Where e^-|x| is 0, so is what is made of it: exactly, and not a number that is not normal."""
    x = np.linspace(1.001, 1.2, 50, dtype=dtype) * np.dtype(dtype).type(LOWEST[dtype])
    assert (evaluate(name, x) == value).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_normal_law_beyond_its_lower_end(dtype):
    x = np.linspace(1.001, 50, 500, dtype=dtype) * np.dtype(dtype).type(math.sqrt(-2 * LOWEST[dtype]))
    assert not evaluate("distribution", -x).any() and (evaluate("distribution", x) == 1).all()
    assert not evaluate("density", x).any() and not evaluate("density", -x).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_bounds_and_symmetries(dtype):
    """What a distribution function may not exceed, however it is rounded; and odd or even functions."""
    x = arguments("tanh", dtype)
    assert np.array_equal(evaluate("tanh", -x), -evaluate("tanh", x))
    assert np.array_equal(evaluate("density", -x), evaluate("density", x))
    for name, low, high in (("tanh", -1, 1), ("sigmoid", 0, 1), ("distribution", 0, 1), ("softplus", 0, np.inf)):
        values = evaluate(name, x)
        assert values.min() >= low and values.max() <= high
    for name in ("sigmoid", "distribution"):
        total = evaluate(name, x) + evaluate(name, -x)
        assert np.abs(total - 1).max() <= 2 * np.finfo(dtype).eps
    assert (evaluate("softplus", x) >= np.maximum(x, 0)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_that_are_not_normal_keep_their_digits(dtype):
    """Near 0 expm1, log1p and tanh are the identity, but for the last bit, which a division by 2 may take."""
    smallest = np.finfo(dtype).smallest_subnormal
    x = smallest * np.array([1, 2, 3, 1000, 12345], dtype)
    assert np.array_equal(evaluate("expm1_nonpositive", -x), -x)
    for name in ("log1p_unit", "tanh"):
        assert np.abs(evaluate(name, x) - x).max() <= smallest
    for name, value in (("exp", 1), ("softplus", math.log(2)), ("sigmoid", 0.5), ("distribution", 0.5)):
        np.testing.assert_allclose(evaluate(name, x), value, rtol=2 * np.finfo(dtype).eps)
