"""Kernels of penalties and of clipping against sums that are not rounded, and at the edges of their conditions."""

import math

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.regularization import clip_value, norm_factor, penalty_backward, penalty_forward, scale
from fastml.program.compiled import DTYPES

SIZES = [0, 1, 3, 7, 15, 16, 17, 33, 64, 1000]
WEIGHTS = [(0.1, 0.0), (0.0, 0.3), (0.2, 0.05), (0.0, 0.0)]  # l1, l2


def clip_norm(dW, clip):
    """Both parts of clipping by norm; returns the factor."""
    factor = norm_factor(dW, clip)
    scale(dW, factor)
    return factor


def normal(size, dtype, seed=0):
    return np.random.default_rng(size + seed).normal(size=size).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("l1, l2", WEIGHTS)
def test_penalty(l1, l2, size, dtype):
    guards = Guards(dtype)
    W = guards.array(normal(size, dtype))
    kept = W.copy()
    value = penalty_forward(W, l1, l2)
    expected = l1 * math.fsum(abs(w) for w in kept.tolist()) + l2 * math.fsum(w * w for w in kept.tolist())
    assert type(value) is float and value == pytest.approx(expected, rel=1e-14, abs=0)
    assert np.array_equal(W, kept) and guards.unharmed()


def test_the_penalty_is_summed_in_float64():
    """In float32 the sum would stop at 2**24, and the square of 1e30 would be infinite."""
    assert penalty_forward(np.ones(2**24 + 3, np.float32), 1.0, 0.0) == 2**24 + 3
    assert penalty_forward(np.full(2, 2.0**100, np.float32), 0.0, 1.0) == 2.0**201


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("l1, l2", WEIGHTS)
def test_slope_of_the_penalty(l1, l2, size, dtype):
    """Added to what dW holds; the slope of |W| at both zeros is 0."""
    guards = Guards(dtype)
    W, dW = guards.arrays(normal(size, dtype), normal(size, dtype, seed=1))
    W[::5], W[1::5] = 0, -0.0
    kept, start = W.astype(np.float64), dW.astype(np.float64)
    penalty_backward(W, dW, l1, l2)
    np.testing.assert_allclose(dW, start + l1 * np.sign(kept) + 2 * l2 * kept, rtol=0, atol=4 * np.finfo(dtype).eps)
    assert np.array_equal(dW[::5], start[::5]) and np.array_equal(dW[1::5], start[1::5])
    assert np.array_equal(W, kept) and guards.unharmed()


def test_the_slope_is_the_central_difference_of_the_penalty():
    W, dW, step = normal(33, "float64"), np.zeros(33), 1e-6
    penalty_backward(W, dW, 0.2, 0.05)
    for k in range(33):
        sums = []
        for moved in (W[k] + step, W[k] - step):
            other = W.copy()
            other[k] = moved
            sums.append(penalty_forward(other, 0.2, 0.05))
        assert dW[k] == pytest.approx((sums[0] - sums[1]) / (2 * step), rel=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("clip", [0.5, 2.0, 100.0])
def test_clipping_by_value(clip, size, dtype):
    guards = Guards(dtype)
    dW = guards.array(normal(size, dtype))
    kept = dW.copy()
    clip_value(dW, clip)
    assert dW.tobytes() == np.clip(kept, -clip, clip).astype(dtype).tobytes() and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_clipping_by_value_of_special_numbers(dtype):
    """Infinities are cut, a NaN shows, zeros keep their sign, the bound itself stays."""
    dW = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 0.5, -0.5, np.finfo(dtype).max], dtype)
    clip_value(dW, 0.5)
    expected = np.array([0.5, -0.5, np.nan, 0.0, -0.0, 0.5, -0.5, 0.5], dtype)
    np.testing.assert_array_equal(dW, expected)
    assert np.array_equal(np.signbit(dW[3:5]), [False, True])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("clip", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("length", [0.5, 2.0])
def test_clipping_by_norm(length, clip, size, dtype):
    """The direction stays; a gradient that is not too long keeps all of its bits."""
    guards = Guards(dtype)
    dW = guards.array(length * clip / max(size, 1) ** 0.5 * normal(size, dtype))
    kept = dW.copy()
    norm = math.sqrt(math.fsum(g * g for g in kept.tolist()))
    factor = norm_factor(dW, clip)
    assert type(factor) is float and factor == pytest.approx(min(1, clip / norm) if norm else 1, rel=1e-14)
    assert dW.tobytes() == kept.tobytes()  # only measured
    scale(dW, factor)
    if norm <= clip:
        assert factor == 1 and dW.tobytes() == kept.tobytes()
    else:
        rtol = float(2 * np.finfo(dtype).eps) + size * 2.0**-54  # of the norm: half of that of a sum of squares
        np.testing.assert_allclose(dW, clip / norm * kept.astype(np.float64), rtol=rtol)
        assert np.linalg.norm(dW.astype(np.float64)) == pytest.approx(clip, rel=rtol)
    assert guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_norm_that_is_the_bound_stays(dtype):
    """3² + 4² = 5²."""
    for clip, expected in ((5.0, [3, -4]), (2.5, [1.5, -2])):
        dW = np.array([3, -4], dtype)
        clip_norm(dW, clip)
        assert dW.tolist() == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_clipping_by_norm_of_special_numbers(dtype):
    """Zeros stay zeros; what is not finite is not hidden."""
    dW = np.zeros(17, dtype)
    clip_norm(dW, 1e-300)
    assert not dW.any()
    for value in (np.nan, np.inf):
        dW = np.ones(17, dtype)
        dW[5] = value
        clip_norm(dW, 1.0)
        assert np.isnan(dW[5])


def test_the_norm_is_summed_in_float64():
    """The square of 1e30 is infinite in float32, and the gradient would become 0."""
    dW = np.full(4, 1e30, np.float32)
    clip_norm(dW, 1.0)
    np.testing.assert_allclose(dW, 0.5, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_a_gradient_scaled_in_parts(size, dtype):
    """As threads do it: one product for each element, the same bits as NumPy's."""
    guards = Guards(dtype)
    dW = guards.array(normal(size, dtype))
    kept = dW.copy()
    for part in (slice(0, size // 3), slice(size // 3, size)):
        scale(dW[part], 0.3)
    assert dW.tobytes() == (np.dtype(dtype).type(0.3) * kept).tobytes() and guards.unharmed()
