"""The kernel of Adam against algorithm 1 of the paper in Python's own numbers."""

import math

import numpy as np
import pytest

from fastml.compiled import DTYPES
from fastml.kernels.adam import adam_update


def trajectory(w, gradient, steps, rate, beta_1, beta_2, epsilon):
    """The weight after each step, for one weight with its gradient as a function."""
    m = v = 0.0
    weights = []
    for t in range(1, steps + 1):
        g = gradient(w)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        w -= rate * m_hat / (math.sqrt(v_hat) + epsilon)
        weights.append(w)
    return weights


@pytest.mark.parametrize("constants", [(0.001, 0.9, 0.999, 1e-8), (0.1, 0.5, 0.9, 1e-3), (0.3, 0, 0, 1e-8)])
def test_twenty_steps(constants):
    """On ½·k·(w - 1)², for several weights at once."""
    k, start = [0.5, 1.0, 2.0, 1e-6, 1e6], [3.0, -2.0, 0.25, 7.0, 1.5]
    W, m, v = np.array(start), np.zeros(5), np.zeros(5)
    expected = [trajectory(w0, lambda w, kj=kj: kj * (w - 1), 20, *constants) for w0, kj in zip(start, k, strict=True)]
    for t in range(1, 21):
        adam_update(W, np.array(k) * (W - 1), m, v, t, constants[0], 0.0, *constants[1:])
        np.testing.assert_allclose(W, [weights[t - 1] for weights in expected], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 3, 7, 16, 17, 33, 64, 1000])
def test_the_first_step_of_every_size(size, dtype):
    """By hand, m̂ = dW and v̂ = dW², so that every weight moves by the learning rate against the gradient's sign."""
    rng = np.random.default_rng(size)
    dW = rng.choice([-1, 1], size=size).astype(dtype) * (1 + rng.random(size=size)).astype(dtype)
    buffers = [np.full(size + 128, 7, dtype) for _ in range(3)]
    W, m, v = (buffer[64 : 64 + size] for buffer in buffers)
    for array in (W, m, v):
        array[...] = 0
    kept = dW.copy()
    adam_update(W, dW, m, v, 1, 0.25, 0.0, 0.9, 0.999, 1e-8)
    rtol = 1e-6 if dtype == "float32" else 2e-8  # in float64 epsilon shows
    np.testing.assert_allclose(W, -0.25 * np.sign(kept), rtol=rtol)
    np.testing.assert_allclose(m, 0.1 * kept, rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(v, 0.001 * kept**2, rtol=8 * np.finfo(dtype).eps)
    assert np.array_equal(dW, kept)
    for buffer in buffers:
        assert (buffer[:64] == 7).all() and (buffer[64 + size :] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_without_gradient_stays(dtype):
    """The paper's 0 / (0 + ε) is 0: dead neurons do not become NaN."""
    W, dW, m, v = np.ones(17, dtype), np.zeros(17, dtype), np.zeros(17, dtype), np.zeros(17, dtype)
    for t in range(1, 4):
        adam_update(W, dW, m, v, t, 0.1, 0.0, 0.9, 0.999, 1e-8)
    assert (W == 1).all() and not m.any() and not v.any()


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
