"""Kernels of targets and weights of rows against NumPy in the same order, bit for bit."""

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.targets import smooth_targets, weigh_rows
from fastml.program.compiled import DTYPES

ROWS = [0, 1, 2, 7, 33]
WIDTHS = [1, 3, 15, 16, 17, 33]


def smooth(y, d, smoothing, classes, dtype):
    """Guarded y smoothed into d columns."""
    guards = Guards(dtype)
    y, got = guards.arrays(y, np.full((len(y), d), np.nan))
    kept = y.copy()
    smooth_targets(y, smoothing, classes, got)
    assert np.array_equal(y, kept) and guards.unharmed()
    return got


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_smoothed_distributions(smoothing, d, n, dtype):
    """(1 - ε)·y + ε / K, whose rows still sum to 1."""
    y = np.random.default_rng(n + d).dirichlet(np.ones(d), n)
    got = smooth(y, d, smoothing, d, dtype)
    expected = (1 - smoothing) * y.astype(dtype).astype(np.float64) + smoothing / d
    np.testing.assert_allclose(got, expected, rtol=0, atol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(got.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=2 * d * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("d", WIDTHS[1:])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_labels_are_smoothed_as_their_one_hot_rows(smoothing, d, n, dtype):
    labels = np.random.default_rng(n + d).integers(d, size=n)
    got = smooth(labels[:, None], d, smoothing, d, dtype)
    assert np.array_equal(got, smooth(np.eye(d)[labels], d, smoothing, d, dtype))
    if smoothing:
        assert (got > 0).all()
    assert np.array_equal(got.argmax(axis=1), labels) or smoothing > 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_and_the_last_class_by_hand(dtype):
    got = smooth(np.array([[0], [3]]), 4, 0.5, 4, dtype)
    assert got.tolist() == [[0.625, 0.125, 0.125, 0.125], [0.125, 0.125, 0.125, 0.625]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", WIDTHS)
def test_binary_targets_have_two_classes(d, dtype):
    """Their number is not that of the columns: 0 and 1 become ε / 2 and 1 - ε / 2."""
    y = np.random.default_rng(d).integers(2, size=(9, d))
    assert np.array_equal(smooth(y, d, 0.25, 2, dtype), np.where(y, 0.875, 0.125))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("d", WIDTHS)
def test_weighed_rows(d, n, dtype):
    """One product for each element: the same bits as NumPy's."""
    rng, guards = np.random.default_rng(n + d), Guards(dtype)
    w, rows = guards.arrays(rng.choice([0, 0.3, 1, 7], size=(n, 1)), rng.normal(size=(n, d)))
    kept, expected = w.copy(), w * rows
    weigh_rows(w, rows)
    assert np.array_equal(rows, expected) and np.array_equal(w, kept) and guards.unharmed()
