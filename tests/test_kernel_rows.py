"""Kernels that copy rows into the workspace and back."""

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.rows import gather_rows, store_rows
from fastml.program.compiled import DTYPES

IN_ORDER = np.zeros(0, np.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 3, 7, 16, 17, 64])
def test_gather_takes_a_batch_in_the_order_given(d, dtype):
    rng, guards = np.random.default_rng(d), Guards(dtype)
    data, order = guards.array(rng.normal(size=(40, d))), rng.permutation(40)
    for first, n in ((0, 1), (5, 16), (39, 1), (0, 40), (33, 7), (0, 0), (40, 0)):
        for numbers in (order, IN_ORDER):
            rows = guards.array(np.full((n, d), np.nan))
            gather_rows(data.ravel(), numbers, first, rows)
            assert np.array_equal(rows, data[order[first : first + n]] if numbers.size else data[first : first + n])
    assert guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 3, 7, 16, 17, 64])
def test_store_writes_its_rows_and_no_others(d, dtype):
    guards = Guards(dtype)
    rows = guards.array(np.random.default_rng(d).normal(size=(9, d)))
    for first in (0, 5, 11):
        data = guards.array(np.full((20, d), 7))
        store_rows(rows, first, data.ravel())
        expected = np.full((20, d), 7, dtype)
        expected[first : first + 9] = rows
        assert np.array_equal(data, expected)
    store_rows(rows[:0], 3, data.ravel())
    assert np.array_equal(data, expected) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_keep_every_bit(dtype):
    """NaN payloads, negative zero and subnormal numbers."""
    data = np.array([[np.nan, -0.0, np.inf], [np.finfo(dtype).smallest_subnormal, 1, 2]], dtype)
    data.view(f"u{data.itemsize}")[0, 0] ^= 5
    rows, back = np.empty_like(data), np.empty_like(data)
    for order in (IN_ORDER, np.arange(2)):
        gather_rows(data.ravel(), order, 0, rows)
        store_rows(rows, 0, back.ravel())
        assert data.tobytes() == rows.tobytes() == back.tobytes()
        rows[...], back[...] = 0, 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_may_be_taken_several_times(dtype):
    """And others not at all, as in a sample with replacement."""
    data, order = np.arange(15, dtype=dtype).reshape(5, 3), np.array([4, 4, 0, 2, 4, 0])
    rows = np.empty((6, 3), dtype)
    gather_rows(data.ravel(), order, 0, rows)
    assert np.array_equal(rows, data[order])
