"""Start values: range, mean and variance, and that no two parameters share their numbers."""

import numpy as np
import pytest

from fastml import INITIALIZERS, Dense, Sequential
from fastml.program.random import Stream

SHAPE = (300, 200)
CONSTANT = ("zeros", "ones")
VARIANCES = {"zeros": 0, "glorot": 2 / 500, "he": 2 / 300, "lecun": 1 / 300}
KURTOSIS = {"uniform": 9 / 5, "normal": 3}
MOMENTS = {
    "zeros": (0, 0, 0),
    "ones": (1, 1, 1),
    "random_uniform": (0, 0.05**2 / 3, 0.05**4 / 5),
}  # mean, mean square, mean fourth power
for scheme in ("glorot", "he", "lecun"):
    for law, kurtosis in KURTOSIS.items():
        variance = VARIANCES[scheme]
        MOMENTS[f"{scheme}_{law}"] = (0, variance, kurtosis * variance**2)


@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mean_and_variance(name, seed):
    """Within five standard deviations of what the formula says."""
    values = INITIALIZERS[name](Stream(seed, 0), SHAPE)
    mean, square, fourth = MOMENTS[name]
    assert abs(values.mean() - mean) <= 5 * np.sqrt((square - mean**2) / values.size)
    assert abs((values**2).mean() - square) <= 5 * np.sqrt(max(0, fourth - square**2) / values.size)


def test_every_initializer_has_its_moments_here():
    """An orthogonal matrix, whose elements depend on each other, is tested by its product."""
    assert set(MOMENTS) == set(INITIALIZERS) - {"orthogonal"}


@pytest.mark.parametrize("shape", [(5, 5), (9, 4), (4, 9), (1, 7), (7, 1)])
def test_orthogonal_columns_or_rows_are_orthonormal(shape):
    Q = INITIALIZERS["orthogonal"](Stream(3, 0), shape)
    product = Q.T @ Q if shape[0] >= shape[1] else Q @ Q.T
    np.testing.assert_allclose(product, np.eye(min(shape)), rtol=0, atol=1e-14)


def test_orthogonal_signs_are_fair():
    """Without the signs of R, LAPACK's Householder reflections give a diagonal that is mostly negative."""
    diagonals = np.array([np.diag(INITIALIZERS["orthogonal"](Stream(seed, 0), (4, 4))) for seed in range(400)])
    assert abs((diagonals > 0).mean() - 0.5) <= 5 * 0.5 / np.sqrt(diagonals.size)


@pytest.mark.parametrize("value", [0.25, -1, np.float32(3)])
def test_a_number_stands_for_all_weights(value):
    W, b = Sequential([Dense(4, kernel_initializer=value, bias_initializer=value)], input_dim=3).get_weights()
    assert (W == value).all() and (b == value).all()


def test_an_array_is_the_weights():
    start = np.arange(12.0).reshape(3, 4)
    model = Sequential([Dense(4, kernel_initializer=start, bias_initializer=[1, 2, 3, 4])], input_dim=3)
    start[:] = 0  # the layer has a copy
    W, b = model.get_weights()
    assert np.array_equal(W, np.arange(12.0).reshape(3, 4)) and np.array_equal(b, [1, 2, 3, 4])


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
    assert name in CONSTANT or not np.array_equal(a, other)


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name not in CONSTANT])
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
