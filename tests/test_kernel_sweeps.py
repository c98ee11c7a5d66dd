"""Loops over rows and columns, by small formulas on whole numbers, whose sums are exact in any order."""

import numpy as np
import pytest
from guards import Guards
from numba import njit

from fastml.kernels.columns import columnwise
from fastml.kernels.simd import Vec, lanes, real_type, types
from fastml.kernels.sweeps import rowwise
from fastml.program.compiled import DTYPES

ROWS = [0, 1, 2, 5, 33]
WIDTHS = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65]
SHAPES = [(n, d) for n in ROWS for d in WIDTHS]


def greater(u, v):
    return u.where("<", v, v, u)


@columnwise
def column_loops(columns, factor):
    """x, a; shift, total, largest:  total = Σᵢ xᵢ, largest = maxᵢ xᵢ from 0 on, a = factor·x + shift"""
    shift, zero = columns.vector(0), columns.constant(0.0)

    def both(i, total, largest):
        x = columns.load(0, i)
        return [total + x, greater(largest, x)]

    total, largest = columns.rows(both, zero, zero)
    columns.rows(lambda i: columns.store(1, i, factor * columns.load(0, i) + shift))
    columns.put(1, total)
    columns.put(2, largest)


@columnwise
def distance_from_first(columns):
    """x, a:  aᵢ = xᵢ - x₀"""
    first = columns.load(0, columns.first)
    columns.rows(lambda i: columns.store(1, i, columns.load(0, i) - first))


@rowwise
def row_loops(row, factor):
    """x, a; w, total, largest, moment:  a = factor·w·x, total = Σⱼ aⱼ, largest = maxⱼ aⱼ, moment = Σⱼ j·aⱼ"""
    w = row.value(0)

    def scaled(part, total, largest, moment):
        part.store(1, factor * w * part.load(0))
        a = part.load(1)
        return [total + a, greater(largest, part.only(a, -np.inf)), moment + part.numbers() * a]

    start = row.constant(0.0), row.constant(-np.inf), row.constant(0.0)
    total, largest, moment = row.parts(scaled, *start)
    for k, vec, combine in ((1, total, Vec.__add__), (2, largest, greater), (3, moment, Vec.__add__)):
        row.put(k, row.across(vec, combine))


@rowwise
def in_all_lanes(row):
    """x, a:  aⱼ = Σₖ xₖ + the number of columns, counted where there are some"""

    def counted(part, total, count):
        return [total + part.load(0), count + part.only(row.constant(1.0), 0.0)]

    total, count = row.parts(counted, row.constant(0.0), row.constant(0.0))
    total, count = row.across(total, Vec.__add__), row.across(count, Vec.__add__)
    row.parts(lambda part: part.store(1, total + count))


@rowwise
def picked(row):
    """x; k, a:  aᵢ = xᵢₖ with k of the row"""
    row.put(1, row.element(0, row.value(0)))


@njit(error_model="numpy")
def run_columns(matrices, vectors, scalars, first, last):
    column_loops(matrices, vectors, scalars, first, last)


@njit(error_model="numpy")
def run_distance(matrices):
    distance_from_first(matrices, (), (), 0, matrices[0].shape[1])


@njit(error_model="numpy")
def run_rows(matrices, vectors, scalars):
    row_loops(matrices, vectors, scalars)


@njit(error_model="numpy")
def run_lanes(matrices):
    in_all_lanes(matrices, (), ())


@njit(error_model="numpy")
def run_picked(matrices, vectors):
    picked(matrices, vectors, ())


def whole(shape, seed=0):
    """Whole numbers from -99 to 99, none of them 0."""
    values = np.random.default_rng(seed).integers(1, 100, size=shape)
    return values * np.random.default_rng(seed + 1).choice([-1, 1], size=shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_columns(shape, dtype):
    """Two sums at once along each column, a matrix and vectors to read and to write, also of no rows."""
    n, d = shape
    guards = Guards(dtype)
    x, a, shift, total, largest = guards.arrays(whole(shape), np.full(shape, np.nan), whole(d), *np.full((2, d), 7))
    kept = x.copy(), shift.copy()
    run_columns((x, a), (shift, total, largest), (a.dtype.type(3),), 0, d)
    assert np.array_equal(total, x.sum(axis=0)) and np.array_equal(largest, x.max(axis=0, initial=0))
    assert np.array_equal(a, 3 * x + shift)
    assert np.array_equal(x, kept[0]) and np.array_equal(shift, kept[1]) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] > 1])
def test_a_span_of_columns(shape, dtype):
    """Others are not written, and not read: they hold NaNs."""
    n, d = shape
    for first, last in ((0, 1), (0, d - 1), (1, d), (d // 2, d), (d // 3, d // 2 + 1), (d, d), (1, 1)):
        guards, inside = Guards(dtype), slice(first, last)
        x, a, shift, total, largest = guards.arrays(*(np.full(s, np.nan) for s in (shape, shape, d, d, d)))
        x[:, inside], shift[inside] = whole((n, last - first)), whole(last - first)
        run_columns((x, a), (shift, total, largest), (a.dtype.type(3),), first, last)
        sums, maxima = x[:, inside].sum(axis=0), x[:, inside].max(axis=0, initial=0)
        results = (total, sums), (largest, maxima), (a, 3 * x[:, inside] + shift[inside])
        for got, part in results:
            expected = np.full_like(got, np.nan)
            expected[..., inside] = part
            assert np.array_equal(got, expected, equal_nan=True)
        assert guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0]])
def test_the_first_row(shape, dtype):
    guards = Guards(dtype)
    x, a = guards.arrays(whole(shape), np.full(shape, np.nan))
    run_distance((x, a))
    assert np.array_equal(a, x - x[0]) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows(shape, dtype):
    """Three sums at once along each row, of what has just been stored; lanes without a column count as told."""
    n, d = shape
    guards = Guards(dtype)
    x, a, w, *results = guards.arrays(whole(shape), np.full(shape, np.nan), whole(n), *np.full((3, n), 7))
    kept = x.copy(), w.copy()
    run_rows((x, a), (w, *results), (a.dtype.type(3),))
    expected = 3 * w[:, None].astype(np.float64) * x
    total, largest, moment = results
    assert np.array_equal(a, expected) and np.array_equal(total, expected.sum(axis=1))
    assert np.array_equal(largest, expected.max(axis=1, initial=-np.inf))
    if dtype == "float64" or d <= 17:  # else the sum is too large to be exact
        assert np.array_equal(moment, expected @ np.arange(d))
    assert np.array_equal(x, kept[0]) and np.array_equal(w, kept[1]) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_combined_across_a_row_stands_in_all_lanes(shape, dtype):
    guards = Guards(dtype)
    x, a = guards.arrays(whole(shape), np.full(shape, np.nan))
    run_lanes((x, a))
    assert np.array_equal(a, np.repeat(x.sum(axis=1, keepdims=True) + shape[1], shape[1], axis=1)) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", WIDTHS[1:])
def test_an_element_of_each_row(d, dtype):
    """In every column once."""
    guards = Guards(dtype)
    x, k, a = guards.arrays(whole((d, d)), np.random.default_rng(2).permutation(d), np.full(d, np.nan))
    run_picked((x,), (k, a))
    assert np.array_equal(a, x[np.arange(d), k.astype(int)]) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nan_behind_the_last_column_is_not_seen(dtype):
    """The next row starts there, so that a mask that reads too much finds it."""
    d = 2 * lanes(real_type(getattr(types, dtype))) + 1
    x = whole((3, d)).astype(dtype)
    x[1] = np.nan
    a, (total, largest, moment) = np.empty_like(x), np.empty((3, 3), dtype)
    run_rows((x, a), (np.ones(3, dtype), total, largest, moment), (a.dtype.type(1),))
    for result in (total, moment):
        assert np.isfinite(result[[0, 2]]).all() and np.isnan(result[1])
    assert np.array_equal(largest[[0, 2]], x[[0, 2]].max(axis=1))
