"""The kernels of Rprop against the paper's pseudocode, one weight at a time, bit for bit."""

from itertools import product

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.rprop import rprop_backtrack_update, rprop_update
from fastml.program.compiled import DTYPES

ETA_MINUS, ETA_PLUS, STEP_MIN, STEP_MAX = CONSTANTS = 0.5, 1.2, 1e-3, 2.0


def minus(w, g, previous, step):
    """iRprop-: w, what counts as the slope, and the step after an update."""
    real = type(w)
    if np.sign(g) * np.sign(previous) > 0:
        step = min(step * real(ETA_PLUS), real(STEP_MAX))
    elif np.sign(g) * np.sign(previous) < 0:
        step, g = max(step * real(ETA_MINUS), real(STEP_MIN)), real(0)
    return w - np.sign(g) * step, g, step


def plus(w, g, previous, step, move, worse):
    """iRprop+: the same, and the move."""
    real = type(w)
    if np.sign(g) * np.sign(previous) < 0:
        step = max(step * real(ETA_MINUS), real(STEP_MIN))
        move = -move if worse else real(0)
        return w + move, real(0), step, move
    _, g, step = minus(w, g, previous, step)
    move = -np.sign(g) * step
    return w + move, g, step, move


def cases(dtype):
    """All slopes with all slopes before them, and with steps at both bounds, beside them and between: (5, cases).

    The rows: W, dW, previous, step, move. The smallest slopes have a product that is 0.
    """
    smallest = np.finfo(dtype).smallest_subnormal
    slopes = [0.0, -0.0, 0.3, -0.7, 1e30, -1e30, smallest, -smallest, 1e-30, -1e-30]
    steps = [STEP_MIN, 1.5 * STEP_MIN, 0.1, STEP_MAX / 1.1, STEP_MAX]
    columns = [(w, *rest, 0.25) for w, *rest in product([0.0, -3.5], slopes, slopes, steps)]
    return np.array(columns).T.astype(dtype)


def update(arrays, worse=None):
    """The kernel on guarded copies of W, dW, previous, step (and move); returns these after it."""
    guards = Guards(arrays.dtype)
    copies = guards.arrays(*arrays[: 4 if worse is None else 5])
    if worse is None:
        rprop_update(*copies, *CONSTANTS)
    else:
        rprop_backtrack_update(*copies, worse, *CONSTANTS)
    assert guards.unharmed() and np.array_equal(copies[1], arrays[1], equal_nan=True)
    return [copies[0], *copies[2:]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_case_of_irprop_minus(dtype):
    arrays = cases(dtype)
    expected = zip(*(minus(*column[:4]) for column in arrays.T), strict=True)
    for got, wanted in zip(update(arrays), expected, strict=True):
        assert np.array_equal(got, np.array(wanted))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("worse", [0.0, 1.0])
def test_every_case_of_irprop_plus(worse, dtype):
    arrays = cases(dtype)
    expected = zip(*(plus(*column, worse) for column in arrays.T), strict=True)
    for got, wanted in zip(update(arrays, worse), expected, strict=True):
        assert np.array_equal(got, np.array(wanted))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 3, 7, 15, 16, 17, 33, 64, 1000])
def test_every_size(size, dtype):
    rng = np.random.default_rng(size)
    arrays = np.stack([*rng.normal(size=(3, size)), rng.uniform(STEP_MIN, STEP_MAX, size), rng.normal(size=size)])
    arrays = arrays.astype(dtype)
    expected = np.array([minus(*column[:4]) for column in arrays.T]).reshape(size, 3).T
    for got, wanted in zip(update(arrays), expected, strict=True):
        assert np.array_equal(got, wanted)
    for worse in (0.0, 1.0):
        expected = np.array([plus(*column, worse) for column in arrays.T]).reshape(size, 4).T
        for got, wanted in zip(update(arrays, worse), expected, strict=True):
            assert np.array_equal(got, wanted)


def run(slope, w, steps, start, backtrack=False, value=None):
    """The path of one weight from w, by the kernel."""
    W, previous, step, move = (np.full(1, number) for number in (w, 0.0, start, 0.0))
    path, last = [w], np.inf
    for _ in range(steps):
        dW = np.array([slope(W[0])])
        if backtrack:
            now = value(W[0])
            rprop_backtrack_update(W, dW, previous, step, move, float(now > last), *CONSTANTS)
            last = now
        else:
            rprop_update(W, dW, previous, step, *CONSTANTS)
        path.append(W[0])
    return path


def test_a_path_by_hand():
    """Down a slope from 0 the steps grow by 1.2; past the valley at 1 the weight rests once, then turns with half."""
    path = run(lambda w: w - 1.0, 0.0, 6, 0.5)
    #        0.5   ·1.2        rests   -0.6·0.5       over the valley again: rests, and on with 0.15
    np.testing.assert_allclose(path, [0, 0.5, 1.1, 1.1, 0.8, 0.8, 0.95], rtol=1e-15)


def test_a_path_with_backtracking_by_hand():
    """Beyond the valley the loss grew, so that the move is taken back; then half of the step from there."""
    path = run(lambda w: w - 1.0, 0.5, 4, 1.5, backtrack=True, value=lambda w: (w - 1.0) ** 2)
    np.testing.assert_allclose(path, [0.5, 2.0, 0.5, 1.25, 1.25], rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_slope_that_is_nan_shows_in_the_weight(dtype):
    arrays = np.array([[1, 1, 1], [np.nan, 0.5, 0.5], [0.5, np.nan, 0.5], [0.1] * 3, [0] * 3], dtype)
    for results in (update(arrays), update(arrays, 0.0), update(arrays, 1.0)):
        assert np.isnan(results[0][0]) and np.isfinite(results[0][1:]).all()
