"""The kernel of Adamax against algorithm 2 of the paper, in Python's own numbers."""

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.adamax import adamax_update
from fastml.program.compiled import DTYPES

# learning rate, weight decay, beta_1, beta_2, epsilon
CONSTANTS = [(0.002, 0.0, 0.9, 0.999, 1e-8), (0.1, 0.5, 0.5, 0.9, 1e-3), (0.3, 0.01, 0.0, 0.0, 1.0)]


def step(w, g, m, u, t, rate, weight_decay, beta_1, beta_2, epsilon):
    """One weight and its state after update number t."""
    m = beta_1 * m + (1 - beta_1) * g
    u = max(beta_2 * u, abs(g) + epsilon)
    return w - rate * weight_decay * w - rate / (1 - beta_1**t) * m / u, m, u


@pytest.mark.parametrize("constants", CONSTANTS)
def test_twenty_steps(constants):
    """On ½·k·(w - 1)², for several weights at once."""
    k, start = [0.5, 1.0, 2.0, 1e-6, 1e6], [3.0, -2.0, 0.25, 7.0, 1.5]
    W, m, u = np.array(start), np.zeros(5), np.zeros(5)
    expected = [(w, 0.0, 0.0) for w in start]
    for t in range(1, 21):
        adamax_update(W, np.array(k) * (W - 1), m, u, t, *constants)
        expected = [step(w, kj * (w - 1), *mu, t, *constants) for (w, *mu), kj in zip(expected, k, strict=True)]
        for got, numbers in zip((W, m, u), zip(*expected, strict=True), strict=True):
            np.testing.assert_allclose(got, numbers, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 3, 7, 15, 16, 17, 33, 64, 1000])
def test_every_size(size, dtype):
    """Both sides of the maximum, as the states are as large as the gradients."""
    rng, guards = np.random.default_rng(size), Guards(dtype)
    W, dW, m, u = guards.arrays(*rng.normal(size=(3, size)), rng.random(size))
    start, kept = list(zip(*(a.tolist() for a in (W, dW, m, u)), strict=True)), dW.copy()
    adamax_update(W, dW, m, u, 3, *CONSTANTS[1])
    expected = np.array([step(*numbers, 3, *CONSTANTS[1]) for numbers in start]).reshape(size, 3)
    epsilon = np.finfo(dtype).eps
    np.testing.assert_allclose(W, expected[:, 0], rtol=8 * epsilon, atol=8 * epsilon)
    np.testing.assert_allclose(m, expected[:, 1], rtol=0, atol=8 * epsilon)
    np.testing.assert_allclose(u, expected[:, 2], rtol=4 * epsilon, atol=0)
    assert np.array_equal(dW, kept) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_step_does_not_depend_on_the_size_of_the_gradient(dtype):
    """By hand, m̂ = dW and u = |dW|, so that each weight moves by the rate against the gradient's sign."""
    sizes = np.array([1e-3, 1, 1e3, 1e9])
    W, m, u = np.zeros((3, 8), dtype)
    adamax_update(W, np.concatenate([sizes, -sizes]).astype(dtype), m, u, 1, 0.25, 0.0, 0.75, 0.999, 1e-30)
    np.testing.assert_allclose(W, [-0.25] * 4 + [0.25] * 4, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_without_gradient_only_decays(dtype):
    """0 / ε is 0: dead neurons do not become NaN."""
    W, dW, m, u = np.ones(17, dtype), *np.zeros((3, 17), dtype)
    adamax_update(W, dW, m, u, 1, 0.5, 0.0, 0.9, 0.999, 1e-8)
    assert (W == 1).all() and not m.any()
    adamax_update(W, dW, m, u, 2, 0.5, 0.5, 0.9, 0.999, 1e-8)
    assert (W == 0.75).all() and not m.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nan_in_the_gradient_is_not_hidden_by_the_maximum(dtype):
    W, dW, m, u = np.ones((4, 5), dtype)
    dW[2] = np.nan
    adamax_update(W, dW, m, u, 1, 0.1, 0.0, 0.9, 0.999, 1e-8)
    assert np.isnan(W).tolist() == np.isnan(u).tolist() == [False, False, True, False, False]
