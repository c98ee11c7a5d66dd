"""Start values: range, mean and variance, and that no two parameters share their numbers."""

import numpy as np
import pytest

from fastml import INITIALIZERS, Dense, Sequential
from fastml.random import Stream

SHAPE = (300, 200)
MOMENTS = {  # mean, variance, fourth central moment
    "zeros": (0, 0, 0),
    "glorot_uniform": (0, 2 / 500, 9 / 5 * (2 / 500) ** 2),
    "he_normal": (0, 2 / 300, 3 * (2 / 300) ** 2),
}


@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mean_and_variance(name, seed):
    """Within five standard deviations of what the formula says."""
    values = INITIALIZERS[name](Stream(seed, 0), SHAPE)
    mean, variance, fourth = MOMENTS[name]
    assert abs(values.mean() - mean) <= 5 * np.sqrt(variance / values.size)
    assert abs((values**2).mean() - variance) <= 5 * np.sqrt(max(0, fourth - variance**2) / values.size)


def test_glorot_uniform_fills_its_range():
    values, limit = INITIALIZERS["glorot_uniform"](Stream(0, 0), SHAPE), np.sqrt(6 / 500)
    assert np.abs(values).max() <= limit
    assert values.max() > 0.999 * limit and values.min() < -0.999 * limit


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (7, 3), (5,), (1,)])
def test_any_shape(name, shape):
    values = INITIALIZERS[name](Stream(0, 0), shape)
    assert values.shape == shape and values.dtype == np.float64
    assert np.isfinite(values).all()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_seed_decides(name):
    a, b, other = (INITIALIZERS[name](Stream(seed, 0), (4, 5)) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert name == "zeros" or not np.array_equal(a, other)


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name != "zeros"])
def test_each_parameter_gets_numbers_of_its_own(name):
    """Also two layers of the same shape, and weights and biases."""
    layers = [Dense(6, kernel_initializer=name, bias_initializer=name) for _ in range(3)]
    weights = Sequential(layers, input_dim=6, seed=0).get_weights()
    values = np.concatenate([w.ravel() for w in weights])
    assert np.unique(values).size == values.size


@pytest.mark.parametrize("kernel", INITIALIZERS)
@pytest.mark.parametrize("bias", INITIALIZERS)
def test_a_layer_uses_the_initializers_that_it_names(kernel, bias):
    model = Sequential([Dense(4, kernel_initializer=kernel, bias_initializer=bias)], input_dim=3, seed=9)
    W, b = model.get_weights()
    assert np.array_equal(W, INITIALIZERS[kernel](Stream(9, 0), (3, 4)).astype(np.float32))
    assert np.array_equal(b, INITIALIZERS[bias](Stream(9, 1), (4,)).astype(np.float32))


def test_float32_and_float64_start_alike():
    single, double = (Sequential([Dense(4)], input_dim=3, seed=9, dtype=d).get_weights() for d in ("f4", "f8"))
    for a, b in zip(single, double, strict=True):
        assert np.array_equal(a, b.astype(np.float32))
