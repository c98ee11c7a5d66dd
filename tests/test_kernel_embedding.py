"""Kernels of embeddings: they copy and add what codes name, and touch nothing beside it."""

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.embedding import copy_columns, embed_backward, embed_forward
from fastml.program.compiled import DTYPES

ROWS, D_IN, COLUMN, CATEGORIES = 37, 4, 2, 11
WIDTHS = [1, 2, 3, 7, 8, 15, 16, 17, 40]
PLACES = [0, 3]


def arrays(guards, width, place, rows=ROWS):
    """Data with codes in one column, and an array of outputs with columns on both sides of the vectors."""
    rng = np.random.default_rng(width)
    x = rng.normal(size=(rows, D_IN))
    x[:, COLUMN] = rng.integers(CATEGORIES - 1, size=rows)  # the last one does not occur
    return guards.array(x), guards.array(rng.normal(size=(rows, place + width + 2)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("width", WIDTHS)
def test_columns_are_copied(width, place, dtype):
    guards = Guards(dtype)
    rng = np.random.default_rng(0)
    x, a = guards.arrays(rng.normal(size=(ROWS, width + 3)), rng.normal(size=(ROWS, place + width + 2)))
    expected = a.copy()
    expected[:, place : place + width] = x[:, 1 : 1 + width]
    copy_columns(x, 1, width, place, a)
    assert np.array_equal(a, expected) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("width", WIDTHS)
def test_forward_takes_the_rows_that_codes_name(width, place, dtype):
    guards = Guards(dtype)
    x, a = arrays(guards, width, place)
    W = guards.array(np.random.default_rng(1).normal(size=(CATEGORIES, width)))
    expected = a.copy()
    expected[:, place : place + width] = W[x[:, COLUMN].astype(int)]
    embed_forward(x, COLUMN, W, place, a)
    assert np.array_equal(a, expected) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("width", WIDTHS)
def test_backward_adds_in_the_order_of_the_rows(width, place, accumulate, dtype):
    """So that it is the same bits as NumPy's, whole and in parts, also with NaN in what is overwritten."""
    guards = Guards(dtype)
    x, da = arrays(guards, width, place)
    start = np.random.default_rng(1).normal(size=(CATEGORIES, width)) if accumulate else np.zeros((CATEGORIES, width))
    expected = start.astype(dtype)
    np.add.at(expected, x[:, COLUMN].astype(int), da[:, place : place + width])
    for cuts in ((0, CATEGORIES), (0, 1, CATEGORIES), (0, 4, 4, 9, CATEGORIES)):
        dW = guards.array(start if accumulate else np.full_like(start, np.nan))
        for first, last in zip(cuts, cuts[1:], strict=False):
            others = np.delete(dW, np.s_[first:last], axis=0).tobytes()
            embed_backward(x, COLUMN, da, place, (first, last), not accumulate, dW)
            assert np.delete(dW, np.s_[first:last], axis=0).tobytes() == others
        assert dW.tobytes() == expected.tobytes() and guards.unharmed()
    assert accumulate or not dW[-1].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_rows(dtype):
    guards = Guards(dtype)
    (x, a), W = arrays(guards, 5, 1, rows=0), guards.array(np.ones((CATEGORIES, 5)))
    dW = guards.array(np.ones((CATEGORIES, 5)))
    copy_columns(x, 0, 2, 1, a)
    embed_forward(x, COLUMN, W, 1, a)
    embed_backward(x, COLUMN, a, 1, (0, CATEGORIES), False, dW)
    assert (dW == 1).all()
    embed_backward(x, COLUMN, a, 1, (0, CATEGORIES), True, dW)
    assert not dW.any() and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_codes_as_large_as_there_may_be(dtype):
    """Up to 2²⁴, float32 holds every whole number."""
    categories = 2**24
    x, a = np.array([[categories - 1], [0], [-0.0]], dtype), np.zeros((3, 1), dtype)
    W = np.zeros((categories, 1), dtype)
    W[-1], W[0] = 5, 7
    embed_forward(x, 0, W, 0, a)
    assert a.ravel().tolist() == [5, 7, 7]
