"""Sums in float64, of numbers and of formulas; in one order, whoever asks."""

import math

import numpy as np
import pytest
from guards import Guards
from numba import njit

from fastml.kernels.cpu import BITS
from fastml.kernels.sums import SUMS, add, sum_rows, summed
from fastml.program.compiled import DTYPES

BLOCK = SUMS * BITS // 64  # elements that are added side by side
SIZES = [0, 1, 2, 3, 7, 15, 16, 17, 33, *(BLOCK + k for k in (-1, 0, 1)), *(3 * BLOCK + k for k in (-1, 0, 1)), 1000]

cubes_of = summed(lambda value: value * value * value)
shifted_sum_of = summed(lambda value: value - 1.0)


@njit(error_model="numpy")
def cubes(array):
    return cubes_of(array)


@njit(error_model="numpy")
def shifted_sum(array):
    return shifted_sum_of(array)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_sum_over_the_rows(n, dtype):
    guards = Guards(dtype)
    losses = guards.array(np.random.default_rng(n).random(n))
    kept = losses.copy()
    total = sum_rows(losses)
    assert type(total) is float and total == pytest.approx(math.fsum(losses.tolist()), rel=1e-14, abs=0)
    assert np.array_equal(losses, kept) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_every_element_counts_once(n, dtype):
    """Powers of two tell which: in float64 their sum is exact."""
    values = np.zeros(n, dtype)
    for k in range(0, n, 50):
        values[...] = 0
        values[k : k + 50] = 2.0 ** np.arange(len(values[k : k + 50]))
        assert sum_rows(values) == 2.0 ** len(values[k : k + 50]) - 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_the_sum_of_a_formula(n, dtype):
    guards = Guards(dtype)
    values = guards.array(np.random.default_rng(n).normal(size=n))
    assert cubes(values) == pytest.approx(math.fsum(v**3 for v in values.tolist()), rel=1e-13, abs=1e-13)
    assert guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_lanes_without_an_element_add_what_the_formula_gives_for_0(n, dtype):
    """So that formulas must give 0 there: those of the kernels do."""
    rest = -n % (BITS // 64)
    assert shifted_sum(np.ones(n, dtype)) == -rest


def test_the_sum_is_taken_in_float64():
    """In float32 it would stop at 2**24."""
    assert sum_rows(np.ones(2**24 + 3, np.float32)) == 2**24 + 3
    assert cubes(np.full(2, 2.0**100, np.float32)) == 2.0**301


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_the_order_depends_on_the_size_alone(n, dtype):
    """The same bits wherever the array stands."""
    values = np.random.default_rng(n).normal(size=n) * 10.0 ** np.random.default_rng(n + 1).integers(-8, 8, size=n)
    room = np.empty(n + 32, dtype)
    found = set()
    for offset in range(17):
        room[offset : offset + n] = values
        found.add(sum_rows(room[offset : offset + n]))
    assert len(found) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_shows(bad, dtype):
    for n in (1, 5, BLOCK, 2 * BLOCK + 3):
        for k in (0, n // 2, n - 1):
            values = np.ones(n, dtype)
            values[k] = bad
            np.testing.assert_equal(sum_rows(values), bad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_add(size, dtype):
    """One sum for each element: the same bits as NumPy's."""
    guards, rng = Guards(dtype), np.random.default_rng(size)
    terms, total = guards.arrays(*rng.normal(size=(2, size)))
    kept, expected = terms.copy(), total + terms
    add(terms, total)
    assert np.array_equal(total, expected) and np.array_equal(terms, kept) and guards.unharmed()
