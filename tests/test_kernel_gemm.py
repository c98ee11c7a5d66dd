"""Matrix products at every edge of their tiles, panels and blocks, against NumPy in float64, amid guards."""

from itertools import product as combinations

import numpy as np
import pytest
from functions import FUSED, backward, forward, function
from guards import Guards
from helpers import same_bits
from numba import njit

from fastml.kernels.cpu import BITS
from fastml.kernels.dense import NONE
from fastml.kernels.gemm import product
from fastml.kernels.tiling import FAR, GROUP, HEIGHT, LARGE, PAD, PANEL, ROWS, SCRATCH, TERMS, VECTORS
from fastml.program.compiled import DTYPES

rows = product()
columns = product(a_is="columns")
ones = product(a_is="ones")
transposed = product(b_transposed=True)


@njit(error_model="numpy")
def run_rows(a, first, b, start, accumulate, c, f, u, out, room):
    rows(a, first, b, start, accumulate, c, f, u, out, room)


@njit(error_model="numpy")
def run_columns(a, first, b, start, accumulate, c, f, u, out, room):
    columns(a, first, b, start, accumulate, c, f, u, out, room)


@njit(error_model="numpy")
def run_ones(a, first, b, start, accumulate, c, f, u, out, room):
    ones(a, first, b, start, accumulate, c, f, u, out, room)


@njit(error_model="numpy")
def run_transposed(a, first, b, start, accumulate, c, f, u, out, room):
    transposed(a, first, b, start, accumulate, c, f, u, out, room)


PRODUCTS = {"rows": run_rows, "columns": run_columns, "ones": run_ones, "transposed": run_transposed}
WIDTH = {"float32": BITS // 32, "float64": BITS // 64}
ALPHA = 0.3
MORE_COLUMNS = 3, 2  # of a, before and behind those that a product of columns takes
JUNK = 1e30

# n, k, d: the sides 1, primes, and what is beside multiples of half a tile, a tile, a vector and a panel
SIDES = [1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 31, 33]
WIDE = [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 81, 95, 96, 97, 127, 131]
SHAPES = [*combinations([1, 3, 4, 5, 8, 9], [1, 2, 17], WIDE), *combinations(SIDES, [1, 5, 8, 16, 23], [1, 3, 16, 50])]
SHAPES += [(n, k, d) for n in (1, 7, 16) for k in (127, TERMS - 1, TERMS, TERMS + 1, 2 * TERMS + 3) for d in (5, 49)]

# Rows of b that are far apart, where the product is not large
DISTANT = FAR // 4  # columns, of which rows of float32 are far apart, as are those of float64
SHAPES += [(n, 2 * TERMS + 3, d) for n in (1, 9) for d in (DISTANT // 4, DISTANT // 2) if n * TERMS * d < LARGE // 3]

# Beyond LARGE multiplications, with several blocks of rows and of terms, and rests of each
PACKED = [(2 * HEIGHT + 13, TERMS + 9, 61), (HEIGHT + 4, 2 * TERMS + 1, 65), (40, 4 * TERMS, 203)]
PACKED += [
    (97, TERMS + 9, 1100),
    (1, TERMS + 3, LARGE // TERMS),
    (LARGE // 300 + 1, 100, 3),
    (HEIGHT, TERMS, 128),
    (3 * HEIGHT + 1, 157, 149),
    (LARGE // (DISTANT * TERMS) + 1, TERMS + 9, DISTANT),
    (LARGE // (DISTANT * TERMS) + 1, 2 * TERMS + 9, 2 * DISTANT),
    (LARGE // (DISTANT * TERMS) + 2, TERMS + 9, DISTANT + 37),
]


def shapes_of(kind, n, k, d):
    """Shapes of a and b as a product takes them."""
    a = {"columns": (k, sum(MORE_COLUMNS) + n), "ones": (0, 0)}.get(kind, (n, k))
    return a, (d, k) if kind == "transposed" else (k, d)


def as_product(kind, a, b, n):
    """The operands as float64 matrices (n, k) and (k, d)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    if kind == "columns":
        a = a[:, MORE_COLUMNS[0] : MORE_COLUMNS[0] + n].T
    if kind == "ones":
        a = np.ones((n, len(b)))
    return a, b.T if kind == "transposed" else b


def computed(kind, shape, dtype, start="bias", name=None, slope=False, seed=0):
    """c, the exact sum before an activation or a slope is applied, and a bound of its rounding errors; u."""
    n, k, d = shape
    rng, guards = np.random.default_rng((n, k, d, seed)), Guards(dtype)
    a, b = (guards.array(rng.normal(size=size)) for size in shapes_of(kind, n, k, d))
    bias, c = guards.array(rng.normal(size=d)), guards.array(rng.normal(size=(n, d)))
    u, room = guards.array(rng.normal(size=(n, d))), guards.array(np.full(SCRATCH, np.nan))
    before = {"bias": bias, "none": np.zeros(d), "c": c.copy()}[start].astype(np.float64)
    first = MORE_COLUMNS[0] if kind == "columns" else 0
    if start != "c":
        c[...] = JUNK  # to be overwritten
    kept = [array.copy() for array in (a, b, bias, u)]
    f = function(f"{name}_slope" if slope else name, dtype, ALPHA)
    PRODUCTS[kind](a, first, b, bias if start == "bias" else bias[:0], start == "c", c, f, u if slope else c, c, room)
    assert guards.unharmed() and same_bits([a, b, bias, u], kept)
    exact, other = as_product(kind, a, b, n)
    bound = (k + 2) * np.finfo(dtype).eps * (np.abs(exact) @ np.abs(other) + np.abs(before))
    return c, exact @ other + before, bound, u


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("start", ["bias", "none", "c"])
@pytest.mark.parametrize("kind", PRODUCTS)
def test_every_edge(kind, start, dtype):
    for shape in SHAPES:
        c, expected, bound, _ = computed(kind, shape, dtype, start)
        assert (np.abs(c - expected) <= bound).all(), shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", PACKED)
@pytest.mark.parametrize("kind", PRODUCTS)
def test_large_products(kind, shape, dtype):
    """They copy their operands where these crowd, in several blocks; what is copied is not read behind its end."""
    n, k, d = shape
    assert n * k * d >= LARGE
    for start in ("bias", "c"):
        c, expected, bound, _ = computed(kind, shape, dtype, start)
        assert (np.abs(c - expected) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", PRODUCTS)
def test_no_rows_or_no_columns(kind, dtype):
    """There is nothing to write."""
    for shape in ((0, 5, 7), (5, 3, 0), (0, 1, 0)):
        c, *_ = computed(kind, shape, dtype)
        assert c.size == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 21, 50), (17, 5, 64), (5, TERMS + 70, 3), PACKED[0]])
@pytest.mark.parametrize("kind", ["rows", "transposed"])
@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("slope", [False, True])
def test_a_function_is_applied_once_to_the_whole_sum(slope, name, kind, shape, dtype):
    """Also where the terms go in several blocks: f of the very bits that the product without it gives."""
    plain, _, _, u = computed(kind, shape, dtype)
    c, _, _, again = computed(kind, shape, dtype, name=name, slope=slope)
    assert same_bits([u], [again])
    expected = np.empty_like(c)
    if slope:
        backward(name, u, u, plain, expected, ALPHA)
    else:
        forward(name, plain, expected, ALPHA)
    assert same_bits([c], [expected])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", PRODUCTS)
def test_rows_and_columns_of_the_result_do_not_depend_on_their_neighbours(kind, dtype):
    """Bit for bit: any part of a small product is what it is in the whole, wherever tiles and panels begin."""
    n, k, d = 37, 29, 131
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=size).astype(dtype) for size in shapes_of("rows", n, k, d))
    bias, room = rng.normal(size=d).astype(dtype), np.empty(SCRATCH, dtype)

    def part(rows, columns):
        """The elements of the result in these slices, computed alone."""
        x, W = a[rows], b[:, columns]
        x = {"columns": x.T, "ones": x[:0]}.get(kind, x)
        W = W.T if kind == "transposed" else W
        c = np.empty((len(range(n)[rows]), len(range(d)[columns])), dtype)
        arrays = np.ascontiguousarray(x), 0, np.ascontiguousarray(W), np.ascontiguousarray(bias[columns])
        PRODUCTS[kind](*arrays, False, c, NONE, c, c, room)
        return c

    whole = part(slice(None), slice(None))
    for some in (slice(0, 1), slice(1, 9), slice(5, 37), slice(30, 37), slice(16, 32)):
        assert same_bits([part(some, slice(None))], [whole[some]])
    for some in (slice(0, 1), slice(1, 18), slice(48, 64), slice(40, 131), slice(100, 131)):
        assert same_bits([part(slice(None), some)], [np.ascontiguousarray(whole[:, some])])


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_of_a_large_product_are_the_same_in_parts(dtype):
    """As threads share out the rows of dW: a part may be too small to be packed. Both kinds add terms in one order."""
    k, n = TERMS + 37, 2 * HEIGHT + 31
    d = 2 * LARGE // (n * k) + 1
    rng = np.random.default_rng(1)
    a, b, room = rng.normal(size=(k, n)).astype(dtype), rng.normal(size=(k, d)).astype(dtype), np.empty(SCRATCH, dtype)
    none, whole = np.empty(0, dtype), np.empty((n, d), dtype)
    assert n * k * d >= LARGE > n // 4 * k * d
    run_columns(a, 0, b, none, False, whole, NONE, whole, whole, room)
    for first, last in ((0, n // 4), (n // 4, n // 2), (n - 16, n), (n - 1, n), (0, n)):
        c = np.empty((last - first, d), dtype)
        run_columns(a, first, b, none, False, c, NONE, c, c, room)
        assert same_bits([c], [whole[first:last]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_a_large_product_are_the_same_in_parts(dtype):
    """As threads share out the rows of a batch."""
    n, k = 3 * HEIGHT + 5, TERMS + 37
    d = 2 * LARGE // (n * k) + 1
    rng = np.random.default_rng(2)
    a, b, bias, room = (rng.normal(size=s).astype(dtype) for s in ((n, k), (k, d), d, SCRATCH))
    assert n * k * d >= LARGE > n // 4 * k * d
    for run, matrix in ((run_rows, b), (run_transposed, np.ascontiguousarray(b.T))):
        whole = np.empty((n, d), dtype)
        run(a, 0, matrix, bias, False, whole, NONE, whole, whole, room)
        for first, last in ((0, n // 4), (n // 4, n), (n - 16, n), (n - 1, n)):
            c = np.empty((last - first, d), dtype)
            run(a[first:last], 0, matrix, bias, False, c, NONE, c, c, room)
            assert same_bits([c], [whole[first:last]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", PRODUCTS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_its_own_results_only(bad, kind, dtype):
    """Whatever stands in the lanes that a mask leaves out, or in the copies."""
    n, k, d = 11, 19, 53
    for place in ((0, 0), (4, 18), (10, 7), (7, 0)):
        rng, guards = np.random.default_rng(0), Guards(dtype)
        a, b = (guards.array(rng.normal(size=size)) for size in shapes_of(kind, n, k, d))
        c, room = guards.array(np.zeros((n, d))), guards.array(np.full(SCRATCH, np.nan))
        i, p = place
        if kind == "columns":
            a[p, MORE_COLUMNS[0] + i] = bad
        elif kind == "ones":
            b[p, i] = bad
        else:
            a[i, p] = bad
        PRODUCTS[kind](a, MORE_COLUMNS[0] if kind == "columns" else 0, b, c[0, :0], False, c, NONE, c, c, room)
        expected = np.ones((n, d), bool)
        if kind == "ones":
            expected[:, i] = False
        else:
            expected[i] = False
        assert np.array_equal(np.isfinite(c), expected) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_there_is_room_for_every_copy(dtype):
    """A group of panels, each with its last block filled up, and a block of strips."""
    width = WIDTH[dtype]
    deepest = -(-TERMS // width) * width
    assert deepest * VECTORS * width <= PANEL
    assert HEIGHT % ROWS == 0 and GROUP * PANEL + HEIGHT * (TERMS + PAD) <= SCRATCH
