"""The kernel of stochastic gradient descent against its formula in Python's own numbers."""

import numpy as np
import pytest

from fastml.compiled import DTYPES
from fastml.kernels.sgd import sgd_update


def test_twenty_steps():
    """On ½·k·(w - 1)², whose minimum is 1; by hand, w = 1 + (1 - rate·k)ᵗ·(w₀ - 1)."""
    k, start = np.array([0.5, 1.0, 2.0, 3.0]), np.array([3.0, -2.0, 0.25, 1e3])
    W = start.copy()
    for t in range(1, 21):
        sgd_update(W, k * (W - 1), 0.1, 0.0)
        expected = [1 + (1 - 0.1 * kj) ** t * (w0 - 1) for kj, w0 in zip(k, start, strict=True)]
        np.testing.assert_allclose(W, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 3, 7, 16, 17, 33, 64, 1000])
def test_every_size(size, dtype):
    rng = np.random.default_rng(size)
    buffer = np.full(size + 128, 7, dtype)
    W, dW = buffer[64 : 64 + size], rng.normal(size=size).astype(dtype)
    W[...] = start = rng.normal(size=size).astype(dtype)
    kept = dW.copy()
    sgd_update(W, dW, 0.3, 0.0)
    np.testing.assert_allclose(W, start - 0.3 * kept.astype(np.float64), rtol=0, atol=4 * np.finfo(dtype).eps)
    assert np.array_equal(dW, kept)
    assert (buffer[:64] == 7).all() and (buffer[64 + size :] == 7).all()
