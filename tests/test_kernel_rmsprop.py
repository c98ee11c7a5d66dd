"""The kernel of RMSprop against its formula in Python's own numbers."""

import math

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.rmsprop import rmsprop_update
from fastml.program.compiled import DTYPES

# learning rate, weight decay, rho, epsilon
CONSTANTS = [(0.001, 0.0, 0.9, 1e-8), (0.1, 0.5, 0.99, 1e-3), (0.3, 0.01, 0.0, 1.0)]


def step(w, g, v, rate, weight_decay, rho, epsilon):
    """One weight and its state after an update."""
    v = rho * v + (1 - rho) * g * g
    return w - rate * weight_decay * w - rate * g / (math.sqrt(v) + epsilon), v


@pytest.mark.parametrize("constants", CONSTANTS)
def test_twenty_steps(constants):
    """On ½·k·(w - 1)², for several weights at once."""
    k, start = [0.5, 1.0, 2.0, 1e-6, 1e6], [3.0, -2.0, 0.25, 7.0, 1.5]
    W, v = np.array(start), np.zeros(5)
    expected = [(w, 0.0) for w in start]
    for _ in range(20):
        rmsprop_update(W, np.array(k) * (W - 1), v, *constants)
        expected = [step(w, kj * (w - 1), vj, *constants) for (w, vj), kj in zip(expected, k, strict=True)]
        np.testing.assert_allclose(W, [w for w, _ in expected], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(v, [vj for _, vj in expected], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 3, 7, 15, 16, 17, 33, 64, 1000])
def test_every_size(size, dtype):
    rng, guards = np.random.default_rng(size), Guards(dtype)
    W, dW, v = guards.arrays(*rng.normal(size=(2, size)), rng.random(size))
    start, kept = list(zip(W.tolist(), dW.tolist(), v.tolist(), strict=True)), dW.copy()
    rmsprop_update(W, dW, v, *CONSTANTS[1])
    expected = np.array([step(*numbers, *CONSTANTS[1]) for numbers in start]).reshape(size, 2)
    np.testing.assert_allclose(W, expected[:, 0], rtol=0, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(v, expected[:, 1], rtol=4 * np.finfo(dtype).eps, atol=0)
    assert np.array_equal(dW, kept) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_step_does_not_depend_on_the_size_of_the_gradient(dtype):
    """By hand, v = (1 - rho)·dW², so that each weight moves by rate / √(1 - rho) against the gradient's sign."""
    sizes = np.array([1e-3, 1, 1e3, 1e9])
    W, v = np.zeros(8, dtype), np.zeros(8, dtype)
    rmsprop_update(W, np.concatenate([sizes, -sizes]).astype(dtype), v, 0.25, 0.0, 0.75, 1e-30)
    np.testing.assert_allclose(W, [-0.5] * 4 + [0.5] * 4, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_without_gradient_only_decays(dtype):
    """0 / (0 + ε) is 0: dead neurons do not become NaN."""
    W, dW, v = np.ones(17, dtype), np.zeros(17, dtype), np.zeros(17, dtype)
    rmsprop_update(W, dW, v, 0.5, 0.0, 0.9, 1e-8)
    assert (W == 1).all() and not v.any()
    rmsprop_update(W, dW, v, 0.5, 0.5, 0.9, 1e-8)
    assert (W == 0.75).all() and not v.any()
