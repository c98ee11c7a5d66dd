"""Kernels that copy rows into the workspace and back."""

import numpy as np
import pytest

from fastml.compiled import DTYPES
from fastml.kernels.rows import gather_rows, store_rows

IN_ORDER = np.zeros(0, np.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 3, 7, 16, 17, 64])
def test_gather_takes_a_batch_in_the_order_given(d, dtype):
    rng = np.random.default_rng(d)
    data, order = rng.normal(size=(40, d)).astype(dtype), rng.permutation(40)
    for first, n in ((0, 1), (5, 16), (39, 1), (0, 40), (33, 7)):
        rows = np.empty((n, d), dtype)
        gather_rows(data, order, first, rows)
        assert np.array_equal(rows, data[order[first : first + n]])
        gather_rows(data, IN_ORDER, first, rows)
        assert np.array_equal(rows, data[first : first + n])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 3, 7, 16, 17, 64])
def test_store_writes_its_rows_and_no_others(d, dtype):
    rows = np.random.default_rng(d).normal(size=(9, d)).astype(dtype)
    for first in (0, 5, 11):
        data = np.full((20, d), 7, dtype)
        store_rows(rows, first, data)
        expected = np.full((20, d), 7, dtype)
        expected[first : first + 9] = rows
        assert np.array_equal(data, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_keep_every_bit(dtype):
    """NaN payloads, negative zero and subnormal numbers."""
    data = np.array([[np.nan, -0.0, np.inf], [np.finfo(dtype).smallest_subnormal, 1, 2]], dtype)
    data.view(f"u{data.itemsize}")[0, 0] ^= 5
    rows, back = np.empty_like(data), np.empty_like(data)
    gather_rows(data, IN_ORDER, 0, rows)
    store_rows(rows, 0, back)
    assert data.tobytes() == rows.tobytes() == back.tobytes()
