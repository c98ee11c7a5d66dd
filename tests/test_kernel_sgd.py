"""The kernels of gradient descent, with momentum and Nesterov's look-ahead, against formulas in Python's numbers."""

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.sgd import momentum_update, nesterov_update, sgd_update
from fastml.program.compiled import DTYPES

RATES = [(0.1, 0.0), (0.3, 0.5)]  # learning rate, weight decay
MOMENTA = [0.0, 0.5, 0.9]


def plain(w, g, v, rate, weight_decay, momentum):
    return w - rate * weight_decay * w - rate * g, v


def heavy_ball(w, g, v, rate, weight_decay, momentum):
    v = momentum * v + g
    return w - rate * weight_decay * w - rate * v, v


def look_ahead(w, g, v, rate, weight_decay, momentum):
    v = momentum * v + g
    return w - rate * weight_decay * w - rate * (g + momentum * v), v


KERNELS = {
    "sgd": (plain, lambda W, dW, v, rate, weight_decay, momentum: sgd_update(W, dW, rate, weight_decay)),
    "momentum": (heavy_ball, momentum_update),
    "nesterov": (look_ahead, nesterov_update),
}


def test_twenty_steps():
    """On ½·k·(w - 1)², whose minimum is 1; by hand, w = 1 + (1 - rate·k)ᵗ·(w₀ - 1)."""
    k, start = np.array([0.5, 1.0, 2.0, 3.0]), np.array([3.0, -2.0, 0.25, 1e3])
    W = start.copy()
    for t in range(1, 21):
        sgd_update(W, k * (W - 1), 0.1, 0.0)
        expected = [1 + (1 - 0.1 * kj) ** t * (w0 - 1) for kj, w0 in zip(k, start, strict=True)]
        np.testing.assert_allclose(W, expected, rtol=1e-12, atol=0)


def test_twenty_steps_of_decay_alone():
    """Without a gradient, w = (1 - rate·weight_decay)ᵗ·w₀."""
    W, nothing = np.array([3.0, -2.0, 1e3]), np.zeros(3)
    for t in range(1, 21):
        sgd_update(W, nothing, 0.1, 0.25)
        np.testing.assert_allclose(W, 0.975**t * np.array([3.0, -2.0, 1e3]), rtol=1e-14)


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("name", KERNELS)
def test_twenty_steps_of_every_kernel(name, rates, momentum):
    """On ½·k·(w - 1)², for several weights at once."""
    step, kernel = KERNELS[name]
    k, start = [0.5, 1.0, 2.0, 1e-6], [3.0, -2.0, 0.25, 1e3]
    W, v = np.array(start), np.zeros(4)
    expected = [(w, 0.0) for w in start]
    for _ in range(20):
        kernel(W, np.array(k) * (W - 1), v, *rates, momentum)
        expected = [step(w, kj * (w - 1), vj, *rates, momentum) for (w, vj), kj in zip(expected, k, strict=True)]
        np.testing.assert_allclose(W, [w for w, _ in expected], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(v, [vj for _, vj in expected], rtol=1e-12, atol=1e-12)


def test_momentum_multiplies_the_rate_in_the_end():
    """By hand: with a constant gradient v becomes dW / (1 - momentum), for both kinds of momentum."""
    for name in ("momentum", "nesterov"):
        W, v = np.zeros(1), np.zeros(1)
        for _ in range(200):
            before = W.copy()
            KERNELS[name][1](W, np.full(1, 2.0), v, 0.1, 0.0, 0.75)
        np.testing.assert_allclose(v, 8, rtol=1e-14)
        np.testing.assert_allclose(before - W, 0.8, rtol=1e-12)


def test_without_momentum_all_kernels_are_one():
    rng = np.random.default_rng(0)
    W, dW = rng.normal(size=(2, 33))
    results = [W.copy() for _ in KERNELS]
    for result, (_, kernel) in zip(results, KERNELS.values(), strict=True):
        kernel(result, dW, np.ones(33), 0.3, 0.1, 0.0)
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 3, 7, 15, 16, 17, 33, 64, 1000])
@pytest.mark.parametrize("name", KERNELS)
def test_every_size(name, size, dtype):
    step, kernel = KERNELS[name]
    rng, guards = np.random.default_rng(size), Guards(dtype)
    W, dW, v = guards.arrays(*rng.normal(size=(3, size)))
    start, kept = list(zip(W.tolist(), dW.tolist(), v.tolist(), strict=True)), dW.copy()
    kernel(W, dW, v, 0.3, 0.5, 0.9)
    expected = np.array([step(*numbers, 0.3, 0.5, 0.9) for numbers in start]).reshape(size, 2)
    np.testing.assert_allclose(W, expected[:, 0], rtol=0, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(v, expected[:, 1], rtol=0, atol=8 * np.finfo(dtype).eps)
    assert np.array_equal(dW, kept) and guards.unharmed()
