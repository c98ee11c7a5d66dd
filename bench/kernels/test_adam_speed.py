"""Adam's update against its formula in NumPy."""

import numpy as np
import pytest

from fastml import Adam
from fastml.kernels.adam import adam_update


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_adam_update(compare, random, rival, size):
    W, dW = random.standard_normal(size, "float32"), random.standard_normal(size, "float32")
    m, v = np.zeros_like(W), np.zeros_like(W)
    W_numpy, state = W.copy(), np.zeros((2, size), "float32")
    constants = Adam().constants()
    hyper = tuple(constants[name] for name in ("learning_rate", "beta_1", "beta_2", "epsilon"))

    def kernel():
        adam_update(W, dW, m, v, 1, *hyper)
        return W, m, v

    def numpy():
        Adam.update(constants, W_numpy, dW, state, 1)
        return W_numpy, *state

    compare(f"adam_update {size} float32", rival, kernel, numpy)
