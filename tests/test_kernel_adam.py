"""The kernel of Adam against algorithm 1 of the paper, and of AdamW's, in Python's own numbers."""

import math

import numpy as np
import pytest
from guards import Guards

from fastml.kernels.adam import adam_update
from fastml.program.compiled import DTYPES


def trajectory(w, gradient, steps, rate, weight_decay, beta_1, beta_2, epsilon):
    """The weight after each step, for one weight with its gradient as a function."""
    m = v = 0.0
    weights = []
    for t in range(1, steps + 1):
        g = gradient(w)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        w -= rate * m_hat / (math.sqrt(v_hat) + epsilon) + rate * weight_decay * w
        weights.append(w)
    return weights


CONSTANTS = [(0.001, 0.0, 0.9, 0.999, 1e-8), (0.1, 0.0, 0.5, 0.9, 1e-3), (0.3, 0.0, 0, 0, 1e-8)]
CONSTANTS += [(0.001, 0.01, 0.9, 0.999, 1e-8), (0.1, 2.0, 0.5, 0.9, 1e-3)]  # rate, weight decay, betas, epsilon


@pytest.mark.parametrize("constants", CONSTANTS)
def test_twenty_steps(constants):
    """On ½·k·(w - 1)², for several weights at once."""
    k, start = [0.5, 1.0, 2.0, 1e-6, 1e6], [3.0, -2.1, 0.25, 7.0, 1.5]
    W, m, v = np.array(start), np.zeros(5), np.zeros(5)
    expected = [trajectory(w0, lambda w, kj=kj: kj * (w - 1), 20, *constants) for w0, kj in zip(start, k, strict=True)]
    for t in range(1, 21):
        adam_update(W, np.array(k) * (W - 1), m, v, t, *constants)
        np.testing.assert_allclose(W, [weights[t - 1] for weights in expected], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@pytest.mark.parametrize("size", [0, 1, 3, 7, 15, 16, 17, 33, 64, 1000])
def test_the_first_step_of_every_size(size, weight_decay, dtype):
    """By hand, m̂ = dW and v̂ = dW²: every weight decays, and moves by the learning rate against the gradient's sign."""
    rng, guards = np.random.default_rng(size), Guards(dtype)
    dW = rng.choice([-1, 1], size=size) * (1 + rng.random(size=size))
    W, dW, m, v = guards.arrays(rng.normal(size=size), dW, np.zeros(size), np.zeros(size))
    start, kept = W.astype(np.float64), dW.copy()
    adam_update(W, dW, m, v, 1, 0.25, weight_decay, 0.9, 0.999, 1e-30)
    expected = (1 - 0.25 * weight_decay) * start - 0.25 * np.sign(kept)
    np.testing.assert_allclose(W, expected, rtol=0, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(m, 0.1 * kept, rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(v, 0.001 * kept**2, rtol=8 * np.finfo(dtype).eps)
    assert np.array_equal(dW, kept) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_without_gradient_stays(dtype):
    """The paper's 0 / (0 + ε) is 0: dead neurons do not become NaN."""
    W, dW, m, v = np.ones(17, dtype), np.zeros(17, dtype), np.zeros(17, dtype), np.zeros(17, dtype)
    for t in range(1, 4):
        adam_update(W, dW, m, v, t, 0.1, 0.0, 0.9, 0.999, 1e-8)
    assert (W == 1).all() and not m.any() and not v.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_decay_does_not_pass_through_the_moments(dtype):
    """Decoupled: without a gradient w = (1 - rate·weight_decay)ᵗ·w₀, and m and v stay 0."""
    W, dW, m, v = np.ones(17, dtype), np.zeros(17, dtype), np.zeros(17, dtype), np.zeros(17, dtype)
    for t in range(1, 11):
        adam_update(W, dW, m, v, t, 0.5, 0.5, 0.9, 0.999, 1e-8)
        assert (W == 0.75**t).all() and not m.any() and not v.any()


def test_many_steps_in_float32_stay_near_float64():
    """1 - β₂ᵗ is computed in float64: in float32 the first steps would be off by per cents."""
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(20, 33))
    results = []
    for dtype in DTYPES:
        W, m, v = (np.zeros(33, dtype) for _ in range(3))
        for t, g in enumerate(gradients, 1):
            adam_update(W, g.astype(dtype), m, v, t, 0.01, 0.0, 0.9, 0.999, 1e-8)
        results.append(W)
    np.testing.assert_allclose(*results, rtol=0, atol=1e-6)
