"""Kernels of normalization against float64 NumPy, at widths beside every multiple of a vector."""

import numpy as np
import pytest
from guards import Guards
from helpers import same_bits

from fastml.kernels.normalization import (
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference,
    batchnorm_track,
    normalize,
)
from fastml.program.compiled import DTYPES

ROWS = [1, 2, 3, 16, 33]
WIDTHS = [1, 3, 15, 16, 17, 33]
SHAPES = [(n, d) for n in ROWS for d in WIDTHS]
EPSILON = 1e-3
JUNK = 1e30  # in all that is overwritten


def columns(shape, seed=0):
    """Rows whose columns differ in mean and scale; and γ, β."""
    n, d = shape
    rng = np.random.default_rng(n + 100 * d + seed)
    x = rng.normal(size=shape) * 10 ** rng.uniform(-1, 1, d) + rng.uniform(-5, 5, d)
    return x, rng.uniform(0.5, 2, d), rng.normal(size=d)


def junk(guards, *shapes):
    return guards.arrays(*(np.full(shape, JUNK) for shape in shapes))


def forward(x, gamma, beta, dtype, epsilon=EPSILON):
    """What batchnorm_forward makes of guarded copies: mean, variance, inverse, x̂, a."""
    guards, d = Guards(dtype), x.shape[1]
    inputs = guards.arrays(x, gamma, beta)
    kept = [array.copy() for array in inputs]
    outputs = junk(guards, d, d, d, x.shape, x.shape)
    batchnorm_forward(*inputs, epsilon, (0, d), *outputs)
    assert guards.unharmed()
    assert same_bits(inputs, kept)
    return outputs


def backward(da, x_hat, gamma, inverse, dtype):
    """What batchnorm_backward makes of guarded copies: dγ, dβ, dx."""
    guards, d = Guards(dtype), da.shape[1]
    inputs = guards.arrays(da, x_hat, gamma, inverse)
    kept = [array.copy() for array in inputs]
    outputs = junk(guards, d, d, da.shape)
    batchnorm_backward(*inputs, (0, d), *outputs)
    assert guards.unharmed()
    assert same_bits(inputs, kept)
    return outputs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_normalize(shape, dtype):
    """Two operations on each element: the same bits as NumPy's. In place, too."""
    x, scale, mean = columns(shape)
    guards = Guards(dtype)
    x, mean, scale, a = guards.arrays(x, mean, scale, np.full(shape, JUNK))
    kept = x.copy()
    normalize(x, mean, scale, a)
    assert np.array_equal(a, (kept - mean) * scale) and np.array_equal(x, kept)
    normalize(x, mean, scale, x)
    assert np.array_equal(x, a) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_of_the_batch(shape, dtype):
    """Within what sums over the rows may be rounded."""
    x, gamma, beta = (array.astype(dtype) for array in columns(shape))
    mean, variance, inverse, x_hat, a = forward(x, gamma, beta, dtype)
    exact = x.astype(np.float64)
    rounding = (shape[0] + 4) * np.finfo(dtype).eps
    spread = exact.max(axis=0) - exact.min(axis=0)
    assert (np.abs(mean - exact.mean(axis=0)) <= rounding * (spread + np.abs(exact.mean(axis=0)))).all()
    largest = (np.abs(exact) + spread).max(axis=0)
    assert (np.abs(variance - exact.var(axis=0)) <= 4 * rounding * (largest * spread)).all()
    np.testing.assert_allclose(inverse, 1 / np.sqrt(variance.astype(np.float64) + EPSILON), rtol=4 * rounding)
    expected = (exact - mean.astype(np.float64)) * inverse
    np.testing.assert_allclose(x_hat, expected, rtol=2 * rounding, atol=2 * rounding)
    np.testing.assert_allclose(a, gamma * x_hat.astype(np.float64) + beta, rtol=0, atol=4 * rounding)


@pytest.mark.parametrize("shape", SHAPES)
def test_forward_in_double_precision(shape):
    """To 12 digits the formula, all at once."""
    x, gamma, beta = columns(shape)
    mean, variance, inverse, x_hat, a = forward(x, gamma, beta, "float64")
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(variance, x.var(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(inverse, (x.var(axis=0) + EPSILON) ** -0.5, rtol=1e-12)
    expected = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + EPSILON)
    np.testing.assert_allclose(x_hat, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(a, gamma * expected + beta, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e6, 1e30])
def test_a_constant_column_becomes_beta(value, dtype):
    """Exactly, whatever the number: of differences nothing is left."""
    x, gamma, beta = columns((7, 17))
    beta = beta.astype(dtype)
    x[:, ::2] = value
    mean, variance, inverse, x_hat, a = forward(x, gamma, beta, dtype)
    assert (mean[::2] == np.dtype(dtype).type(value)).all() and not variance[::2].any()
    assert not x_hat[:, ::2].any() and (a[:, ::2] == beta[::2]).all()
    assert x_hat[:, 1::2].all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_small_variance_beside_a_large_mean(dtype):
    """Σx² - (Σx)² / n would lose it, and even a sum of the x would: this one is of differences."""
    rng = np.random.default_rng(1)
    offset = 2.0**14 if dtype == "float32" else 2.0**40
    x = offset + rng.integers(-512, 512, size=(257, 17)) / 512
    assert np.array_equal(x, x.astype(dtype))
    mean, variance, *_ = forward(x, np.ones(17), np.zeros(17), dtype)
    expected = (x - offset).var(axis=0)
    shift = np.finfo(dtype).eps * offset  # the mean is rounded, and the variance is taken around it
    np.testing.assert_allclose(mean - offset, (x - offset).mean(axis=0), rtol=0, atol=shift)
    assert (np.abs(variance - expected) <= shift**2 + 300 * np.finfo(dtype).eps * expected).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 17), (2, 1), (5, 16), (33, 33)])
def test_forward_and_backward_in_place(shape, dtype):
    x, gamma, beta = (array.astype(dtype) for array in columns(shape))
    da = columns(shape, seed=1)[0].astype(dtype)
    mean, variance, inverse, x_hat, a = forward(x, gamma, beta, dtype)
    dgamma, dbeta, dx = backward(da, x_hat, gamma, inverse, dtype)
    others = [np.empty_like(array) for array in (mean, variance, inverse, x_hat)]
    batchnorm_forward(x, gamma, beta, EPSILON, (0, shape[1]), *others, x)
    for got, expected in zip([*others, x], [mean, variance, inverse, x_hat, a], strict=True):
        assert np.array_equal(got, expected)
    others = [np.empty_like(dgamma), np.empty_like(dbeta)]
    batchnorm_backward(da, x_hat, gamma, inverse, (0, shape[1]), *others, da)
    for got, expected in zip([*others, da], [dgamma, dbeta, dx], strict=True):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 17), (2, 1), (5, 16), (33, 33), (7, 100)])
def test_a_span_of_columns_is_as_all_of_them(shape, dtype):
    """Bit for bit, wherever it starts; other columns are not written."""
    n, d = shape
    x, gamma, beta = (array.astype(dtype) for array in columns(shape))
    da = columns(shape, seed=1)[0].astype(dtype)
    whole = forward(x, gamma, beta, dtype)
    _, _, inverse, x_hat, _ = whole
    whole_back = backward(da, x_hat, gamma, inverse, dtype)
    for first, last in ((0, d), (0, d // 2), (d // 2, d), (d // 3, d // 3), (d // 3, d - d // 4), (d - 1, d)):
        guards = Guards(dtype)
        outputs = junk(guards, d, d, d, shape, shape)
        batchnorm_forward(x, gamma, beta, EPSILON, (first, last), *outputs)
        back = junk(guards, d, d, shape)
        batchnorm_backward(da, x_hat, gamma, inverse, (first, last), *back)
        for got, all_ in zip([*outputs, *back], [*whole, *whole_back], strict=True):
            expected = np.full_like(all_, JUNK)
            expected[..., first:last] = all_[..., first:last]
            assert np.array_equal(got, expected)
        assert guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_backward_is_its_formula(shape, dtype):
    x, gamma, beta = (array.astype(dtype) for array in columns(shape))
    da = columns(shape, seed=1)[0].astype(dtype)
    _, _, inverse, x_hat, _ = forward(x, gamma, beta, dtype)
    dgamma, dbeta, dx = backward(da, x_hat, gamma, inverse, dtype)
    exact = [array.astype(np.float64) for array in (da, x_hat, gamma, inverse)]
    da, x_hat, gamma, inverse = exact
    n, rounding = shape[0], (shape[0] + 8) * np.finfo(dtype).eps
    assert (np.abs(dbeta - da.sum(axis=0)) <= rounding * np.abs(da).sum(axis=0)).all()
    assert (np.abs(dgamma - (da * x_hat).sum(axis=0)) <= rounding * np.abs(da * x_hat).sum(axis=0)).all()
    expected = gamma * inverse * (da - (da.sum(axis=0) + x_hat * (da * x_hat).sum(axis=0)) / n)
    terms = np.abs(da) + (np.abs(da).sum(axis=0) + np.abs(x_hat) * np.abs(da * x_hat).sum(axis=0)) / n
    assert (np.abs(dx - expected) <= rounding * gamma * inverse * terms).all()


@pytest.mark.parametrize("shape", [(2, 1), (2, 17), (3, 3), (5, 16), (7, 33)])
def test_backward_is_the_central_difference(shape):
    """Of the scalar Σ da·a, with respect to every element of x, γ and β."""
    x, gamma, beta = columns(shape)
    da = np.random.default_rng(9).normal(size=shape)
    _, _, inverse, x_hat, _ = forward(x, gamma, beta, "float64")
    dgamma, dbeta, dx = backward(da, x_hat, gamma, inverse, "float64")
    room, step = [np.empty(shape[1]) for _ in range(3)] + [np.empty(shape), np.empty(shape)], 1e-5
    for array, gradient in ((x, dx), (gamma, dgamma), (beta, dbeta)):
        expected = np.empty_like(array)
        for index in np.ndindex(array.shape):
            value, sums = array[index], []
            for moved in (value + step, value - step):
                array[index] = moved
                batchnorm_forward(x, gamma, beta, EPSILON, (0, shape[1]), *room)
                sums.append((da * room[-1]).sum())
            array[index] = value
            expected[index] = (sums[0] - sums[1]) / (2 * step)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-7 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", WIDTHS)
def test_one_row_is_beta_and_has_no_gradient(d, dtype):
    """By hand: x̂ is 0, so that only β has a slope."""
    x, gamma, beta = columns((1, d))
    _, variance, inverse, x_hat, a = forward(x, gamma, beta, dtype)
    assert not variance.any() and not x_hat.any() and np.array_equal(a[0], beta.astype(dtype))
    np.testing.assert_allclose(inverse, EPSILON**-0.5, rtol=4 * np.finfo(dtype).eps)
    da = columns((1, d), seed=1)[0].astype(dtype)
    dgamma, dbeta, dx = backward(da, x_hat, gamma, inverse, dtype)
    assert not dgamma.any() and not dx.any() and np.array_equal(dbeta, da[0])


@pytest.mark.parametrize("shape", [(3, 3), (16, 17)])
def test_the_gradient_is_orthogonal_to_what_normalization_removes(shape):
    """Σ dx = 0 and Σ dx·x̂ = 0 but for ε: neither the mean of a column nor its scale changes the output."""
    x, gamma, beta = columns(shape)
    da = columns(shape, seed=1)[0]
    _, _, inverse, x_hat, _ = forward(x, gamma, beta, "float64", epsilon=1e-300)
    _, _, dx = backward(da, x_hat, gamma, inverse, "float64")
    size = np.abs(dx).sum(axis=0)
    assert (np.abs(dx.sum(axis=0)) <= 1e-13 * size).all()
    assert (np.abs((dx * x_hat).sum(axis=0)) <= 1e-13 * size).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_inference(shape, dtype):
    """By the statistics that it is given, whatever the rows; in place, too."""
    x, gamma, beta = columns(shape)
    rng, guards = np.random.default_rng(2), Guards(dtype)
    mean, variance = rng.normal(size=shape[1]), rng.uniform(0, 4, shape[1])
    inputs = guards.arrays(x, gamma, beta, mean, variance)
    x, gamma, beta, mean, variance = (array.astype(np.float64) for array in inputs)
    (a,) = junk(guards, shape)
    batchnorm_inference(*inputs, EPSILON, a)
    x_hat = (x - mean) / np.sqrt(variance + EPSILON)
    bound = 8 * np.finfo(dtype).eps * (gamma * np.abs(x_hat) + np.abs(beta))
    assert (np.abs(a - (gamma * x_hat + beta)) <= bound).all()
    assert np.array_equal(inputs[0], x)
    batchnorm_inference(*inputs, EPSILON, inputs[0])
    assert np.array_equal(inputs[0], a) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 3, 256, 10**6])
@pytest.mark.parametrize("d", WIDTHS)
def test_track(d, n, dtype):
    """A share of the batch's mean, and of its variance times n / (n - 1)."""
    rng, guards = np.random.default_rng(d), Guards(dtype)
    values = rng.normal(size=d), rng.uniform(0, 4, d), rng.normal(size=d), rng.uniform(0, 4, d)
    batch_mean, batch_variance, mean, variance = guards.arrays(*values)
    kept = [array.astype(np.float64) for array in (batch_mean, batch_variance, mean, variance)]
    batchnorm_track(batch_mean, batch_variance, n, 0.9, (0, mean.size), mean, variance)
    atol = 16 * np.finfo(dtype).eps
    np.testing.assert_allclose(mean, 0.9 * kept[2] + 0.1 * kept[0], rtol=0, atol=atol)
    np.testing.assert_allclose(variance, 0.9 * kept[3] + 0.1 * kept[1] * n / (n - 1), rtol=0, atol=atol)
    assert np.array_equal(batch_mean, kept[0]) and np.array_equal(batch_variance, kept[1]) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_track_without_momentum_takes_the_batch(dtype):
    mean, variance = np.zeros(3, dtype), np.ones(3, dtype)
    batchnorm_track(np.array([1, 2, 4], dtype), np.array([0.5, 1, 2], dtype), 2, 0.0, (0, 3), mean, variance)
    assert mean.tolist() == [1, 2, 4] and variance.tolist() == [1, 2, 4]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nan_stays_in_its_column(dtype):
    x, gamma, beta = columns((5, 19))
    clean = forward(x, gamma, beta, dtype)
    for column in (0, 3, 16, 18):
        spoilt = x.copy()
        spoilt[2, column] = np.nan
        for got, expected in zip(forward(spoilt, gamma, beta, dtype), clean, strict=True):
            assert np.isnan(got[..., column]).all()
            assert np.array_equal(np.delete(got, column, axis=-1), np.delete(expected, column, axis=-1))
