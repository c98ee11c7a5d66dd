"""Functions on vectors, in units of the last place, over their whole range: float32 against float64 for bit patterns
all over the place, both dtypes against decimal numbers for some."""

import math
from decimal import Decimal, getcontext, localcontext

import numpy as np
import pytest
from decimal_oracle import density, distribution, erf, expm1, log1p, sigmoid, softplus, tanh, ulps
from numba import njit

from fastml.kernels import vmath
from fastml.kernels.simd import elementwise
from fastml.program.compiled import DTYPES

DIGITS = 40
SAMPLES = 400  # of each region, see `arguments`
STRIDE = 997  # of all patterns of 32 bits, every so many


def each(function):
    """NumPy has no error function; Python's is exact enough an oracle of float32."""
    return lambda x: np.array([function(v) for v in x.tolist()])


# The formula, the numbers it takes, its oracles as decimal number and in float64, and how many units of the last place
# it may be off, as its docstring says; the density has no bound in one.
FUNCTIONS = {
    "exp": (vmath.exp, "all", Decimal.exp, np.exp, 1),
    "exp_nonpositive": (vmath.exp_nonpositive, "nonpositive", Decimal.exp, np.exp, 1),
    "expm1": (vmath.expm1, "all", expm1, np.expm1, 1.3),
    "expm1_nonpositive": (vmath.expm1_nonpositive, "nonpositive", expm1, np.expm1, 1.3),
    "log": (vmath.log, "positive", Decimal.ln, np.log, 1),
    "log1p": (vmath.log1p, "above -1", log1p, np.log1p, 1.25),
    "log1p_unit": (vmath.log1p_unit, "unit", log1p, np.log1p, 2),
    "softplus": (vmath.softplus, "all", softplus, lambda x: np.logaddexp(0, x), 2.5),
    "sigmoid": (vmath.sigmoid, "all", sigmoid, lambda x: 1 / (1 + np.exp(-x)), 2.5),
    "tanh": (vmath.tanh, "all", tanh, np.tanh, 2.5),
    "erf": (vmath.erf, "all", erf, each(math.erf), 1.5),
    "distribution": (
        lambda x: vmath.normal(x)[0],
        "all",
        distribution,
        lambda x: each(math.erfc)(-x / math.sqrt(2)) / 2,
        8,
    ),
    "density": (
        lambda x: vmath.normal(x)[1],
        "all",
        density,
        lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        3,
    ),
}
# The arguments for which each kind is made; a NaN is in all.
DOMAINS = {
    "all": lambda x: True,
    "nonpositive": lambda x: ~(x > 0),
    "positive": lambda x: True,  # of others, NaN
    "above -1": lambda x: True,
    "unit": lambda x: ~((x < 0) | (x > 1)),
}
KEEP_THE_SIGN_OF_ZERO = ("expm1", "log1p", "tanh", "erf")
NEVER_FLUSHED = (*KEEP_THE_SIGN_OF_ZERO, "expm1_nonpositive", "log", "log1p_unit")
LOWEST = {"float32": -87.33654, "float64": -708.396418}  # below, eˣ is no normal number
HIGHEST = {"float32": 88.72283, "float64": 709.782712}  # above, it is infinite

together = elementwise(lambda x: tuple(formula(x) for formula, *_ in FUNCTIONS.values()))


@njit(error_model="numpy")
def run(x, outputs):
    together((x,), outputs, ())


def evaluate(name, x):
    """The function at these numbers. All are compiled as one loop, as each alone would take as long."""
    outputs = tuple(np.empty_like(x) for _ in FUNCTIONS)
    run(x, outputs)
    return outputs[list(FUNCTIONS).index(name)]


def integers(dtype):
    return np.dtype(f"u{np.dtype(dtype).itemsize}")


def patterns(dtype, count):
    """Numbers whose bits are random: of all sizes, not normal ones and NaN among them."""
    integer = integers(dtype)
    return np.random.default_rng(7).integers(0, np.iinfo(integer).max, count, integer, endpoint=True).view(dtype)


def breakpoints(dtype, steps=40):
    """Numbers around those where a formula changes its case, or the rounding of x / ln 2 its result."""
    half_logs = np.arange(-40, 40) * math.log(2) / 4
    ends = [9.1, 9.5, 13.5, 19.1, 27, 38, 40, 87, 88, 89, 100, 709, 710, -LOWEST[dtype], HIGHEST[dtype]]
    ends = np.array([0.5**0.5 - 1, 0.5, 0.5**0.5, 1, 2**0.5 - 1, 2**0.5, 6, *ends])
    bits = np.concatenate([half_logs, ends, -ends]).astype(dtype).view(integers(dtype))
    around = np.arange(-steps, steps + 1).astype(integers(dtype))
    return (bits[:, None] + around).ravel().view(dtype)


def arguments(name, dtype):
    """Numbers from all of the range in which the result is neither 0 nor infinite, near 0 and at the ends, too."""
    rng = np.random.default_rng(5)
    low, high, middle = LOWEST[dtype], HIGHEST[dtype], (-2, 2)
    domain = FUNCTIONS[name][1]
    if domain == "unit":
        low, high, middle = 0.0, 1.0, (0.4, 0.5)
    elif domain == "positive":
        low, high, middle = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max, (0.5, 2)
    elif domain == "above -1":
        low, high, middle = -1 + np.finfo(dtype).epsneg, np.finfo(dtype).max, (-0.5, 1)
    elif name in ("distribution", "density"):  # e^(-x² / 2)
        low, high = -math.sqrt(-2 * low), math.sqrt(-2 * low)
    tiny = 10 ** rng.uniform(-38 if dtype == "float32" else -300, 0, SAMPLES) * rng.choice([-1, 1], SAMPLES)
    regions = [(low / 2, high / 2), middle, (low / 20, high / 20)]
    x = np.concatenate([[low, high, 0], tiny, *(2 * rng.uniform(*region, SAMPLES) for region in regions)])
    x = np.concatenate([x.astype(dtype), breakpoints(dtype, 1), patterns(dtype, SAMPLES)])
    return np.unique(x[(x >= low) & (x <= (0 if domain == "nonpositive" else high))])


def all_over_the_place():
    """Every 997th pattern of 32 bits, special numbers, breakpoints, those that are not normal; in blocks."""
    info = np.finfo("float32")
    special = [0.0, 1, np.inf, np.nan, info.max, info.smallest_normal, info.smallest_subnormal]
    ends = np.arange(0, 2**32, 2**22, dtype=np.uint64)
    yield np.concatenate([special, np.negative(special), breakpoints("float32")]).astype("float32")
    for start in ends.tolist():
        yield np.arange(start, start + 2**22, STRIDE, dtype=np.uint32).view("float32")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_over_all_patterns_of_bits(name):
    """Also of results that are not normal numbers, which may be 0, and of NaN and infinities."""
    _, domain, _, oracle, bound = FUNCTIONS[name]
    info = np.finfo("float32")
    for x in all_over_the_place():
        x = x[DOMAINS[domain](x)] if domain in ("nonpositive", "unit") else x
        got = evaluate(name, x).astype(float)
        with np.errstate(all="ignore"):
            expected = oracle(x.astype(float))
            rounded = expected.astype("float32")
        assert np.array_equal(np.isnan(got), np.isnan(expected)), x[np.isnan(got) != np.isnan(expected)]
        infinite = np.isinf(rounded)
        assert np.array_equal(got[infinite], rounded[infinite]), x[infinite]
        finite = np.isfinite(rounded)
        x, got, expected = x[finite], got[finite], expected[finite]
        unit = np.ldexp(1.0, np.maximum(np.frexp(expected)[1], info.minexp + 1) - 24)
        flushed = (got == 0) & (np.abs(expected) < info.smallest_normal) & (x != 0) & (name not in NEVER_FLUSHED)
        errors = np.where(flushed, 0, np.abs(got - expected) / unit)
        if len(x):
            worst = errors.argmax()
            assert errors[worst] <= bound, f"{errors[worst]:.3f} ulp at {x[worst]!r}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_units_of_the_last_place(name, dtype):
    _, _, oracle, _, bound = FUNCTIONS[name]
    x = arguments(name, dtype)
    x = x[x != 0] if name == "log" else x
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
        "expm1": math.expm1,
        "expm1_nonpositive": math.expm1,
        "log": math.log,
        "log1p": math.log1p,
        "log1p_unit": math.log1p,
        "erf": math.erf,
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
                for argument in (x, -x) if FUNCTIONS[name][1] == "all" else (x,):
                    decimal = FUNCTIONS[name][2](Decimal(argument))
                    assert float(decimal) == pytest.approx(twin(argument), rel=1e-14)
                    with np.errstate(all="ignore"):
                        assert FUNCTIONS[name][3](np.array([argument])) == pytest.approx(float(decimal), rel=1e-13)
    assert getcontext().prec != DIGITS


NAN, INF = math.nan, math.inf

# Values at NaN, ±infinity, the ends of the range of the dtype, and both zeros; SAME is the argument.
SAME = "same"
SPECIAL = {
    "exp": [(NAN, NAN), (INF, INF), (-INF, 0), ("max", INF), ("-max", 0), (0.0, 1), (-0.0, 1)],
    "exp_nonpositive": [(NAN, NAN), (-INF, 0), ("-max", 0), (0.0, 1), (-0.0, 1)],
    "expm1": [(NAN, NAN), (INF, INF), (-INF, -1), ("max", INF), ("-max", -1), (0.0, SAME), (-0.0, SAME)],
    "expm1_nonpositive": [(NAN, NAN), (-INF, -1), ("-max", -1), (0.0, 0), (-0.0, 0)],
    "log": [(NAN, NAN), (INF, INF), (-INF, NAN), ("-max", NAN), (-1, NAN), (0.0, -INF), (-0.0, -INF), (1, 0)],
    "log1p": [(NAN, NAN), (INF, INF), (-INF, NAN), ("-max", NAN), (-2, NAN), (-1, -INF), (0.0, SAME), (-0.0, SAME)],
    "log1p_unit": [(NAN, NAN), (0.0, 0), (-0.0, 0)],
    "softplus": [(NAN, NAN), (INF, INF), (-INF, 0), ("max", SAME), ("-max", 0)],
    "sigmoid": [(NAN, NAN), (INF, 1), (-INF, 0), ("max", 1), ("-max", 0), (0.0, 0.5), (-0.0, 0.5)],
    "tanh": [(NAN, NAN), (INF, 1), (-INF, -1), ("max", 1), ("-max", -1), (0.0, SAME), (-0.0, SAME)],
    "erf": [(NAN, NAN), (INF, 1), (-INF, -1), ("max", 1), ("-max", -1), (0.0, SAME), (-0.0, SAME)],
    "distribution": [(NAN, NAN), (INF, 1), (-INF, 0), ("max", 1), ("-max", 0), (0.0, 0.5), (-0.0, 0.5)],
    "density": [(NAN, NAN), (INF, 0), (-INF, 0), ("max", 0), ("-max", 0)],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    largest = {"max": np.finfo(dtype).max, "-max": np.finfo(dtype).min}
    x = np.array([largest.get(value, value) for value, _ in SPECIAL[name]], dtype)
    expected = np.array(
        [at if value == SAME else value for at, (_, value) in zip(x, SPECIAL[name], strict=True)], dtype
    )
    got = evaluate(name, x)
    np.testing.assert_array_equal(got, expected)
    if name in KEEP_THE_SIGN_OF_ZERO:
        assert np.array_equal(np.signbit(got[x == 0]), [False, True])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_nan_stays_one(name, dtype):
    """Whatever else stands in its bits, of which the formulas shift some."""
    x = patterns(dtype, 4000)
    quiet = np.array(np.nan, dtype).view(x.view(integers(dtype)).dtype)
    nans = (x.view(integers(dtype)) | quiet).view(dtype)
    assert np.isnan(nans).all() and np.isnan(evaluate(name, nans)).all()


def beside(x, dtype, steps=3):
    """The numbers next to x."""
    x = np.array(x, dtype).view(integers(dtype))
    return (x + np.arange(-steps, steps + 1).astype(integers(dtype))).view(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "exp_nonpositive", "sigmoid"])
def test_where_the_exponential_becomes_0(name, dtype):
    """Not as long as it is a normal number, and then for good."""
    info = np.finfo(dtype)
    end = math.log(info.smallest_normal)
    above = evaluate(name, np.linspace(end * (1 - 4 * info.eps), 0.98 * end, 1000, dtype=dtype))
    below = np.linspace(end * (1 + 4 * info.eps), 1.2 * end, 5000, dtype=dtype)
    assert (above >= info.smallest_normal).all()
    values = evaluate(name, below)
    assert (values < info.smallest_normal).all() and (np.diff(values) <= 0).all()
    assert not values[below < 1.02 * end].any()
    assert name != "exp" or not values.any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "expm1"])
def test_where_the_exponential_becomes_infinite(name, dtype):
    """At the very number behind which it exceeds the largest of its dtype by half a unit."""
    x = beside(math.log(2) * np.finfo(dtype).maxexp, dtype)
    with localcontext() as context:
        context.prec = DIGITS
        end = Decimal(2) ** int(np.finfo(dtype).maxexp)
        end -= end / 2 ** (np.finfo(dtype).nmant + 2)
        fits = np.array([Decimal(v).exp() < end for v in x.tolist()])
    assert fits.any() and not fits.all()
    assert np.array_equal(np.isfinite(evaluate(name, x)), fits)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name, low, high",
    [("expm1", -1, INF), ("expm1_nonpositive", -1, None), ("softplus", 0, SAME), ("sigmoid", 0, 1), ("tanh", -1, 1)]
    + [("erf", -1, 1), ("exp", 0, INF), ("exp_nonpositive", 0, None), ("distribution", 0, 1), ("density", 0, 0)],
)
def test_beyond_the_ends(name, low, high, dtype):
    """All numbers so large that the function has come to its limit, exactly."""
    x = np.abs(patterns(dtype, 10_000))
    x = x[(x > (89.5 if dtype == "float32" else 745)) & (x <= np.finfo(dtype).max)]
    assert len(x) > 1000
    assert (evaluate(name, -x) == low).all()
    if high is not None:
        assert np.array_equal(evaluate(name, x), x if high == SAME else np.full_like(x, high))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bounds_and_symmetries(dtype):
    """What a distribution function may not exceed, however it is rounded; and odd or even functions."""
    rng = np.random.default_rng(3)
    x = np.concatenate([arguments("tanh", dtype), breakpoints(dtype), rng.uniform(-20, 20, 500_000).astype(dtype)])
    x = x[~np.isnan(x)]
    for name in ("tanh", "erf"):
        assert np.array_equal(evaluate(name, -x), -evaluate(name, x))
    assert np.array_equal(evaluate("density", -x), evaluate("density", x))
    for name, low, high in (("tanh", -1, 1), ("erf", -1, 1), ("sigmoid", 0, 1), ("distribution", 0, 1)):
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
    for name in ("log1p", "log1p_unit", "tanh"):
        assert np.array_equal(evaluate(name, x), x)
    assert np.abs(evaluate("expm1", x) - x).max() <= smallest
    np.testing.assert_allclose(evaluate("erf", x), x * (2 / math.sqrt(math.pi)), rtol=1e-4, atol=smallest)
    for name, value in (("exp", 1), ("softplus", math.log(2)), ("sigmoid", 0.5), ("distribution", 0.5)):
        np.testing.assert_allclose(evaluate(name, x), value, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(evaluate("log", x), [math.log(v) for v in x.tolist()], rtol=2 * np.finfo(dtype).eps)


TURNS = {"sin": (vmath.sin_turns, np.sin), "cos": (vmath.cos_turns, np.cos)}
turns = elementwise(lambda x: tuple(formula(x) for formula, _ in TURNS.values()))


@njit(error_model="numpy")
def run_turns(x, outputs):
    turns((x,), outputs, ())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TURNS)
def test_waves_by_turns(name, dtype):
    """Against the sine or cosine of the fraction of a turn, which is exact, to two units in the last place of 1."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=20_000) * scale for scale in (1e-30, 1e-3, 0.3, 3.0, 1e3, 1e6)])
    eighths = np.arange(-40, 41) / 8
    x = np.concatenate([x, eighths, np.nextafter(eighths, np.inf), [0.0, -0.0, 1e-300, 5e-324]]).astype(dtype)
    outputs = tuple(np.empty_like(x) for _ in TURNS)
    run_turns(x, outputs)
    found = outputs[list(TURNS).index(name)].astype(np.longdouble)
    fraction = x.astype(np.longdouble) - np.round(x.astype(np.longdouble))
    expected = TURNS[name][1](2 * np.longdouble("3.14159265358979323846264338327950288") * fraction)
    assert np.abs(found - expected).max() <= 2 * np.finfo(dtype).eps
    assert np.abs(found).max() <= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_waves_at_the_ends(dtype):
    """Beyond where numbers have fractions, a wave is whatever it is, but not beyond 1; of infinity there is none."""
    large = np.finfo(dtype).max
    x = np.array([2.0**22, 2.0**23 + 1, 2.0**53, 1e30, large, -large, np.inf, -np.inf, np.nan], dtype)
    outputs = tuple(np.empty_like(x) for _ in TURNS)
    run_turns(x, outputs)
    for found in outputs:
        assert np.isfinite(found[:-3]).all() and np.abs(found[:-3]).max() <= 1
        assert np.isnan(found[-3:]).all()
