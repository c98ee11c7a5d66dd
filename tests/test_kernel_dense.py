"""Kernels of the dense layer against NumPy in float64, at widths beside every multiple of a vector."""

import numpy as np
import pytest

from fastml.compiled import DTYPES
from fastml.kernels.dense import dense_backward_weights, dense_forward

SHAPES = [(1, 1, 1), (1, 3, 7), (3, 1, 16), (7, 17, 1), (16, 16, 16), (17, 33, 3), (5, 64, 31), (33, 7, 65)]
SHAPES += [(100, 28, 48), (64, 128, 100), (31, 300, 10), (2, 5, 257)]
MARGIN = 64  # elements before and after each array that must neither be read nor written


def guarded(values, dtype):
    """A copy of the array amid NaNs, and a function that asserts that these are untouched."""
    buffer = np.full(values.size + 2 * MARGIN, np.nan, dtype)
    view = buffer[MARGIN:-MARGIN].reshape(values.shape)
    view[...] = values

    def check():
        assert np.isnan(buffer[:MARGIN]).all() and np.isnan(buffer[-MARGIN:]).all()

    return view, check


def operands(shape, dtype):
    """Guarded x, W, b and dz."""
    n, d_in, d_out = shape
    rng = np.random.default_rng(sum(shape))
    return [guarded(rng.normal(size=s), dtype) for s in ((n, d_in), (d_in, d_out), (d_out,), (n, d_out))]


def assert_product(got, a, b, extra=0):
    """got = a·b + extra, within the rounding errors that any order of the sum may make."""
    a, b, extra = (np.asarray(v, np.float64) for v in (a, b, extra))
    terms = a.shape[1] + 1
    bound = terms * np.finfo(got.dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(extra))
    assert (np.abs(got - (a @ b + extra)) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_forward(shape, dtype):
    (x, check_x), (W, check_W), (b, check_b), _ = operands(shape, dtype)
    z, check_z = guarded(np.full((shape[0], shape[2]), 1e30), dtype)
    kept = x.copy(), W.copy(), b.copy()
    dense_forward(x, W, b, z)
    assert_product(z, x, W, b)
    for check in (check_x, check_W, check_b, check_z):
        check()
    assert all(np.array_equal(v, k) for v, k in zip((x, W, b), kept, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_backward_weights(shape, dtype):
    n, d_in, d_out = shape
    (x, check_x), _, _, (dz, check_dz) = operands(shape, dtype)
    dW, check_dW = guarded(np.full((d_in, d_out), 1e30), dtype)
    db, check_db = guarded(np.full(d_out, 1e30), dtype)
    kept = x.copy(), dz.copy()
    dense_backward_weights(x, dz, dW, db)
    assert_product(dW, x.T, dz)
    assert_product(db.reshape(1, -1), np.ones((1, n)), dz)
    for check in (check_x, check_dz, check_dW, check_db):
        check()
    assert np.array_equal(x, kept[0]) and np.array_equal(dz, kept[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_come_out_exactly(dtype):
    rng = np.random.default_rng(1)
    x, W, b = (rng.integers(-9, 10, size=s).astype(dtype) for s in ((19, 37), (37, 21), 21))
    z, dW, db = np.empty((19, 21), dtype), np.empty((37, 21), dtype), np.empty(21, dtype)
    dense_forward(x, W, b, z)
    assert np.array_equal(z, x @ W + b)
    dense_backward_weights(x, z, dW, db)
    assert np.array_equal(dW, x.T @ z) and np.array_equal(db, z.sum(axis=0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_does_not_depend_on_its_neighbours(dtype):
    """Bit for bit the same in a batch of any size."""
    (x, _), (W, _), (b, _), _ = operands((33, 50, 37), dtype)
    together = np.empty((33, 37), dtype)
    dense_forward(x, W, b, together)
    for n in (1, 2, 3, 5, 8, 15, 16, 17):
        z = np.empty((n, 37), dtype)
        dense_forward(x[7 : 7 + n], W, b, z)
        assert np.array_equal(z, together[7 : 7 + n])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(bad, dtype):
    (x, _), (W, _), (b, _), _ = operands((9, 20, 18), dtype)
    x[4, 19] = bad
    z = np.zeros((9, 18), dtype)
    dense_forward(x, W, b, z)
    finite = np.isfinite(z)
    assert not finite[4].any()
    assert np.delete(finite, 4, axis=0).all()
