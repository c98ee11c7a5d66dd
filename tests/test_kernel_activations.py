"""Kernels of the activations against the textbook, one number at a time."""

import math

import numpy as np
import pytest
from functions import backward
from functions import forward as forward_into
from helpers import deviation

from fastml import ACTIVATIONS
from fastml.program.compiled import DTYPES

KINDS = [name for name in ACTIVATIONS if name != "linear"]
SHAPES = [(1, 1), (1, 3), (3, 7), (7, 16), (5, 17), (16, 33), (2, 64), (33, 65)]
RTOL = {"float32": 2e-6, "float64": 1e-14}
ALPHA = 0.3  # of leaky_relu and elu

SELU = 1.0507009873554805, 1.6732632423543772

FORMULAS = {
    "relu": lambda row: [max(v, 0.0) for v in row],
    "leaky_relu": lambda row: [v if v > 0 else ALPHA * v for v in row],
    "elu": lambda row: [v if v > 0 else ALPHA * math.expm1(v) for v in row],
    "selu": lambda row: [SELU[0] * (v if v > 0 else SELU[1] * math.expm1(v)) for v in row],
    "softplus": lambda row: [math.log1p(math.exp(v)) for v in row],
    "exponential": lambda row: [math.exp(v) for v in row],
    "sigmoid": lambda row: [1 / (1 + math.exp(-v)) for v in row],
    "tanh": lambda row: [math.tanh(v) for v in row],
    "silu": lambda row: [v / (1 + math.exp(-v)) for v in row],
    "gelu": lambda row: [v * math.erfc(-v / math.sqrt(2)) / 2 for v in row],
    "hard_sigmoid": lambda row: [min(max((v + 3) / 6, 0), 1) for v in row],
    "mish": lambda row: [v * math.tanh(math.log1p(math.exp(v))) for v in row],
    "softmax": lambda row: [math.exp(v) / math.fsum(math.exp(u) for u in row) for v in row],
}


def test_every_activation_has_its_formula_here():
    assert set(FORMULAS) == set(KINDS)


def forward(name, z):
    a = np.full_like(z, 7)
    forward_into(name, z, a, ALPHA)
    return a


def logits(shape, dtype, scale=2.0):
    return (scale * np.random.default_rng(sum(shape)).normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FORMULAS)
def test_forward_is_the_formula(name, shape, dtype):
    z = logits(shape, dtype)
    kept = z.copy()
    a = forward(name, z)
    expected = [FORMULAS[name](row) for row in z.astype(np.float64).tolist()]
    assert a.dtype == dtype
    np.testing.assert_allclose(a, expected, rtol=RTOL[dtype], atol=0)
    assert np.array_equal(z, kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", KINDS)
def test_forward_is_the_registrys_formula(name, shape, dtype):
    z = logits(shape, dtype)
    expected = ACTIVATIONS[name].forward(z.astype(np.float64), ALPHA)
    np.testing.assert_allclose(forward(name, z), expected, rtol=RTOL[dtype], atol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", KINDS)
def test_backward_is_the_central_difference(name, shape):
    """dz of the scalar Σ da·f(z), moved in every element at once along random directions."""
    rng = np.random.default_rng(3)
    z, da, step = logits(shape, "float64"), rng.normal(size=shape), 1e-6
    z[np.abs(z) < 1e-3] = 0.1  # away from kinks
    dz = np.empty_like(z)
    backward(name, z, forward(name, z), da, dz, ALPHA)
    for _ in range(4):
        direction = rng.choice([-1.0, 1.0], size=shape)
        difference = (da * (forward(name, z + step * direction) - forward(name, z - step * direction))).sum() / 2 / step
        assert (dz * direction).sum() == pytest.approx(difference, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", KINDS)
def test_backward_is_the_registrys_formula(name, shape, dtype):
    rng = np.random.default_rng(4)
    z, da = logits(shape, dtype), rng.normal(size=shape).astype(dtype)
    a = forward(name, z)
    dz = np.full_like(a, 7)
    backward(name, z, a, da, dz, ALPHA)
    expected = ACTIVATIONS[name].backward(*(array.astype(np.float64) for array in (z, a, da)), ALPHA)
    assert dz.dtype == dtype
    assert deviation(dz, expected) <= 20 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_in_place_is_the_same(name, dtype):
    z = logits((9, 19), dtype)
    da = logits((19, 9), dtype).reshape(9, 19)
    a, dz = forward(name, z), np.empty_like(z)
    backward(name, z, a, da, dz, ALPHA)
    backward(name, z if ACTIVATIONS[name].keeps_z else a, a, da, da, ALPHA)
    assert np.array_equal(da, dz)
    forward_into(name, z, z, ALPHA)
    assert np.array_equal(z, a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, limits", [("sigmoid", (0, 1)), ("tanh", (-1, 1)), ("relu", (0, 1e4))])
@pytest.mark.parametrize("size", [1e4, np.inf])
def test_extreme_logits_reach_the_limits(name, limits, size, dtype):
    low, high = limits if name != "relu" else (0, size)
    z = np.tile(np.array([-size, size], dtype), (3, 9))
    assert np.array_equal(forward(name, z), np.tile(np.array([low, high], dtype), (3, 9)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_extreme_logits(dtype):
    z = np.full((2, 17), -1e4, dtype)
    z[0, 4] = z[1, 2] = z[1, 11] = 1e4
    expected = np.zeros((2, 17), dtype)
    expected[0, 4], expected[1, 2], expected[1, 11] = 1, 0.5, 0.5
    assert np.array_equal(forward("softmax", z), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0, 1e4, -1e4])
@pytest.mark.parametrize("d", [1, 4, 16, 33])
def test_softmax_of_equal_logits_is_uniform(d, value, dtype):
    np.testing.assert_allclose(forward("softmax", np.full((3, d), value, dtype)), 1 / d, rtol=RTOL[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_rows_sum_to_one(shape, dtype):
    a = forward("softmax", logits(shape, dtype, scale=30))
    np.testing.assert_allclose(a.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=4 * shape[1] * np.finfo(dtype).eps)
    assert (a >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_and_sigmoid_keep_small_numbers(dtype):
    """Near zero tanh z is z, to full relative precision."""
    z = np.array([[1e-3, -1e-4, 1e-6, -1e-10, 1e-20, 0, -0.0]], dtype)
    expected = np.tanh(z.astype(np.float64))
    np.testing.assert_allclose(forward("tanh", z), expected, rtol=RTOL[dtype], atol=0)
    expected = 1 / (1 + np.exp(-z.astype(np.float64)))
    np.testing.assert_allclose(forward("sigmoid", z), expected, rtol=RTOL[dtype], atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_the_whole_range_in_fine_steps(name, dtype):
    z = np.linspace(-30, 30, 60_001).astype(dtype).reshape(1, -1)
    expected = ACTIVATIONS[name].forward(z.astype(np.float64), ALPHA)
    np.testing.assert_allclose(forward(name, z), expected, rtol=RTOL[dtype], atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("column", [0, 3, 16, 18])
@pytest.mark.parametrize("name", KINDS)
def test_nan_stays_nan_in_its_row(name, column, dtype):
    z = logits((3, 19), dtype)
    clean = forward(name, z)
    z[1, column] = np.nan
    a = forward(name, z)
    assert np.isnan(a[1, column])
    assert np.array_equal(a[[0, 2]], clean[[0, 2]])
