"""Vectors and words against NumPy and Python, operation by operation, bit for bit."""

import operator
from fractions import Fraction

import numpy as np
import pytest
from guards import Guards
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.cpu import BITS
from fastml.kernels.simd import broadcast, elementwise, lanes, load, mask_for, real_type, store
from fastml.kernels.words import Words
from fastml.program.compiled import DTYPES

SIZES = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 1000]
COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": lambda u, v: (u < v) | (u > v),  # a NaN compares false here, too
}


def without_sign(builder, patterns, splat):
    """The pattern without its highest bit, the sign: shifted there and back."""
    return builder.lshr(builder.shl(patterns, splat(1)), splat(1))


# What works on Vec and on arrays alike.
COMMON = {
    "sum": lambda x, y: x + y,
    "sum with a number": lambda x, y: x + 2.5,
    "sum with a number before": lambda x, y: 2.5 + x,
    "difference": lambda x, y: x - y,
    "difference from a number": lambda x, y: 2.5 - x,
    "product": lambda x, y: x * y,
    "product with a number before": lambda x, y: 2.5 * x,
    "quotient": lambda x, y: x / y,
    "quotient of a number": lambda x, y: 2.5 / x,
    "negative": lambda x, y: -x,
    "magnitude": lambda x, y: abs(x),
}
# What is spelled differently: for Vec and for arrays.
OWN = {
    "sign of another": (lambda x, y: x.call("copysign", y), np.copysign),
    "bits": (lambda x, y: x.bits(without_sign), lambda x, y: abs(x)),
    "where, with numbers": (lambda x, y: x.where("<", 0.5, -1.0, 2.0), lambda x, y: np.where(x < 0.5, -1.0, 2.0)),
}
OWN |= {
    f"where {sign}": (lambda x, y, sign=sign: x.where(sign, y, y, x), lambda x, y, f=f: np.where(f(x, y), y, x))
    for sign, f in COMPARISONS.items()
}
VECTORS = COMMON | {name: pair[0] for name, pair in OWN.items()}
ARRAYS = COMMON | {name: pair[1] for name, pair in OWN.items()}

every_operation = elementwise(lambda x, y: tuple(formula(x, y) for formula in VECTORS.values()))
fused = elementwise(lambda x, y, z: x.fma(y, z))
roots = elementwise(lambda x: x.sqrt())
inverses = elementwise(lambda x: x.inverse())
exchanged = elementwise(lambda x, y, factor, shift: (factor * y + shift, x))


@njit(error_model="numpy")
def run_every_operation(inputs, outputs):
    every_operation(inputs, outputs, ())


@njit(error_model="numpy")
def run_fused(inputs, output):
    fused(inputs, (output,), ())


@njit(error_model="numpy")
def run_roots(x, output):
    roots((x,), (output,), ())


@njit(error_model="numpy")
def run_inverses(x, output):
    inverses((x,), (output,), ())


@njit(error_model="numpy")
def run_exchanged(inputs, outputs, scalars):
    exchanged(inputs, outputs, scalars)


def pairs(dtype):
    """Every special number with every other, and random ones."""
    info = np.finfo(dtype)
    special = [0, 1, 0.5, 2.5, 1 / 3, info.eps, info.max, info.smallest_normal, info.smallest_subnormal, np.inf]
    special = np.array([*special, *(-np.array(special)), np.nan], dtype)
    x, y = (grid.ravel() for grid in np.meshgrid(special, special))
    rng = np.random.default_rng(0)
    return tuple(np.concatenate([v, rng.normal(size=200).astype(dtype)]) for v in (x, y))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", VECTORS)
def test_an_operation_is_numpys(name, dtype):
    x, y = pairs(dtype)
    outputs = tuple(np.empty_like(x) for _ in VECTORS)
    run_every_operation((x, y), outputs)
    got = outputs[list(VECTORS).index(name)]
    with np.errstate(all="ignore"):
        expected = ARRAYS[name](x, y).astype(dtype)
    np.testing.assert_array_equal(got, expected)
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.signbit(got[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_fused_product_is_rounded_once(dtype):
    """To the nearest number; (1 + ε)² - (1 + 2·ε) is ε², which two roundings lose."""
    rng, epsilon = np.random.default_rng(1), np.finfo(dtype).eps
    x, y = rng.normal(size=(2, 500)).astype(dtype)
    z = -(x * y) * rng.choice([1, 1 + 4 * epsilon, 0.5], size=500).astype(dtype)
    ends = 1 + epsilon, 1 + epsilon, -1 - 2 * epsilon
    x, y, z = (np.append(values, np.array(end, dtype)) for values, end in zip((x, y, z), ends, strict=True))
    got = np.empty_like(x)
    run_fused((x, y, z), got)
    assert got[-1] == np.dtype(dtype).type(epsilon) ** 2
    for xi, yi, zi, value in zip(x.tolist(), y.tolist(), z.tolist(), got, strict=True):
        error = abs(Fraction(float(value)) - (Fraction(xi) * Fraction(yi) + Fraction(zi)))
        assert error <= Fraction(float(np.spacing(np.abs(value)))) / 2


def spread(dtype, low, high, size=200_000):
    """Positive numbers: random ones with any exponent from low to high, powers of two, and their neighbours."""
    rng = np.random.default_rng(3)
    numbers = np.ldexp(rng.uniform(0.5, 1, size), rng.integers(low + 1, high + 1, size)).astype(dtype)
    powers = np.ldexp(np.ones(high - low), np.arange(low, high)).astype(dtype)
    return np.concatenate([numbers, powers, np.nextafter(powers, 0), np.nextafter(powers, dtype(np.inf))])


def assert_last_digit(got, expected):
    """Equal but for a unit in the last place."""
    np.testing.assert_array_less(np.abs(got - expected), 1.5 * np.spacing(np.abs(expected)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_root_is_right_but_for_the_last_digit(dtype):
    """Of normal numbers of every size, and of those below."""
    info = np.finfo(dtype)
    x = np.concatenate([spread(dtype, info.minexp, info.maxexp), [info.max, info.smallest_normal]]).astype(dtype)
    got = np.empty_like(x)
    run_roots(x, got)
    assert_last_digit(got, np.sqrt(x))
    squares = np.arange(1, 2000, dtype=dtype) ** 2
    got = np.empty_like(squares)
    run_roots(squares, got)
    assert_last_digit(got, np.sqrt(squares))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_root_of_a_subnormal_number(dtype):
    """As right as the number itself, whose digits end early: half of a part in a thousand."""
    least = np.finfo(dtype).smallest_subnormal
    x = least * np.concatenate([np.arange(1, 200), 2 ** np.arange(0, 22)]).astype(dtype)
    got = np.empty_like(x)
    run_roots(x, got)
    np.testing.assert_allclose(got, np.sqrt(x), rtol=5e-4, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_roots_of_special_numbers(dtype):
    """Zeros keep their sign, infinity stays, below 0 there is none."""
    least = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, np.inf, np.nan, -1.0, -np.inf, -least] * 5, dtype)
    got = np.empty_like(x)
    run_roots(x, got)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(got, np.sqrt(x))
    assert np.array_equal(np.signbit(got[:2]), [False, True])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_inverse_is_right_but_for_the_last_digit(dtype):
    """Wherever it is a normal number."""
    info = np.finfo(dtype)
    x = spread(dtype, info.minexp + 1, info.maxexp - 2)
    got = np.empty_like(x)
    run_inverses(x, got)
    assert_last_digit(got, 1 / x)
    special = np.array([np.inf, np.nan, 1, 2] * 5, dtype)
    got = np.empty_like(special)
    run_inverses(special, got)
    np.testing.assert_array_equal(got, 1 / special)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_roots_and_inverses_of_every_size(size, dtype):
    """The last vector, which has a mask, gives the same bits as the whole ones."""
    guards = Guards(dtype)
    x, root, inverse = guards.arrays(1 + np.arange(size) % 4, *np.full((2, size), 7))
    run_roots(x, root)
    run_inverses(x, inverse)
    for got, expected in ((root, np.sqrt(x)), (inverse, 1 / x)):
        assert_last_digit(got, expected)
        for number in np.unique(x):
            assert len(np.unique(got[x == number])) == 1
    assert guards.unharmed()


@intrinsic
def copy_first(typingctx, x, a, count):
    """aⱼ = xⱼ for the first `count` lanes of a vector."""

    def codegen(context, builder, signature, args):
        real = real_type(x.dtype)
        source, target = (
            make_array(kind)(context, builder, array).data for kind, array in zip((x, a), args[:2], strict=True)
        )
        mask = mask_for(builder, args[2], lanes(real))
        store(builder, load(builder, source, real), target, mask)
        return context.get_dummy_value()

    return types.void(x, a, types.int64), codegen


@njit
def run_copy_first(x, a, count):
    copy_first(x, a, count)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_store_under_a_mask_writes_its_lanes_and_no_other(dtype):
    width = lanes(real_type(types.float32 if dtype == "float32" else types.float64))
    x = np.arange(1, width + 1, dtype=dtype)
    for count in range(-2, width + 3):
        guards = Guards(dtype)
        (a,) = guards.arrays(np.zeros(width))
        run_copy_first(x, a, count)
        first = min(max(count, 0), width)
        assert a.tolist() == [*x[:first], *[0.0] * (width - first)], count
        assert guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_every_size(size, dtype):
    """Several outputs, which may be the inputs; nothing beyond the ends is read or written."""
    guards = Guards(dtype)
    x, y, a, b = guards.arrays(np.arange(size), -np.arange(size), *np.full((2, size), 7))
    scalars = a.dtype.type(2), a.dtype.type(1)
    run_exchanged((x, y), (a, b), scalars)
    assert np.array_equal(a, 1 - 2 * np.arange(size)) and np.array_equal(b, np.arange(size))
    run_exchanged((x, y), (x, y), scalars)
    assert np.array_equal(x, a) and np.array_equal(y, b) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_matrices_are_gone_through_row_by_row(dtype):
    x, y = np.arange(2 * 35, dtype=dtype).reshape(2, 5, 7)
    a, b = np.empty((2, 5, 7), dtype)
    run_exchanged((x, y), (a, b), (x.dtype.type(2), x.dtype.type(1)))
    assert np.array_equal(a, 2 * y + 1) and np.array_equal(b, x)


# Words of 64 bits: the same formula on LLVM values and on Python's whole numbers, modulo 2**64.

NUMBERS = [0, 1, 2, 0xFFFFFFFF, 2**32, 0xD2511F53, 2**63 - 1, 2**63, 2**64 - 1, 0x123456789ABCDEF0]


def combined(a, b, number):
    """All that the generator does: with words, plain numbers, and NumPy's on either side."""
    shifted, product = a >> number(32), number(0x9E3779B9) * a
    return a + b, a * b, a & b, a ^ b, shifted, product, a + 5, 3 * a, (a ^ 7) & number(2**64 - 1)


def expected_words(a, b):
    return [value % 2**64 for value in combined(a, b, int)]


@intrinsic
def scalar_words(typingctx, a, b):
    def codegen(context, builder, signature, args):
        words = combined(*(Words(builder, value) for value in args), np.uint64)
        return cgutils.pack_array(builder, [word.value for word in words])

    return types.UniTuple(types.uint64, 9)(a, b), codegen


@intrinsic
def vector_words(typingctx, a, b):
    """Of a + lane and b, lane by lane: 4 lanes of each result."""

    def codegen(context, builder, signature, args):
        a, b = (Words(builder, broadcast(builder, value, 4)) for value in args)
        lane_numbers = Words(builder, ir.Constant(ir.VectorType(ir.IntType(64), 4), list(range(4))))
        words = combined(a + lane_numbers, b, np.uint64)
        parts = [builder.extract_element(word.value, ir.IntType(32)(k)) for k in range(4) for word in words]
        return cgutils.pack_array(builder, parts)

    return types.UniTuple(types.uint64, 36)(a, b), codegen


@njit
def run_scalar_words(a, b):
    return scalar_words(a, b)


@njit
def run_vector_words(a, b):
    return vector_words(a, b)


@pytest.mark.parametrize("a", NUMBERS)
def test_words_are_whole_numbers_modulo_two_to_the_64(a):
    for b in NUMBERS:
        assert list(run_scalar_words(np.uint64(a), np.uint64(b))) == expected_words(a, b)


@pytest.mark.parametrize("a", NUMBERS)
def test_a_vector_of_words_is_each_of_them(a):
    for b in NUMBERS:
        expected = [value for lane in range(4) for value in expected_words((a + lane) % 2**64, b)]
        assert list(run_vector_words(np.uint64(a), np.uint64(b))) == expected


# The width of vectors.


def test_a_vector_has_as_many_elements_as_fit():
    assert BITS in (128, 256, 512)
    assert lanes(real_type(types.float32)) == BITS // 32 and lanes(real_type(types.float64)) == BITS // 64
