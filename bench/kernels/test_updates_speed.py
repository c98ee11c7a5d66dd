"""The optimizers' updates against their formulas in NumPy."""

import numpy as np
import pytest

from fastml import SGD, Adagrad, Adam, RMSprop, Rprop
from fastml.kernels.adagrad import adagrad_update
from fastml.kernels.adam import adam_update
from fastml.kernels.rmsprop import rmsprop_update
from fastml.kernels.rprop import rprop_backtrack_update, rprop_update
from fastml.kernels.sgd import momentum_update, nesterov_update, sgd_update

BOUNDS = (0.5, 1.2, 1e-6, 50.0)
UPDATES = {  # the optimizer, its kernel, and what the kernel takes behind the arrays
    "sgd": (SGD(), sgd_update, (0.01, 0.0)),
    "momentum": (SGD(momentum=0.9), momentum_update, (0.01, 0.0, 0.9)),
    "nesterov": (SGD(momentum=0.9, nesterov=True), nesterov_update, (0.01, 0.0, 0.9)),
    "adam": (Adam(0.01), adam_update, (1, 0.01, 0.0, 0.9, 0.999, 1e-8)),
    "rmsprop": (RMSprop(0.01), rmsprop_update, (0.01, 0.0, 0.9, 1e-8)),
    "adagrad": (Adagrad(), adagrad_update, (0.01, 0.0, 1e-10)),
    "rprop": (Rprop(), rprop_update, BOUNDS),
    "rprop with backtracking": (Rprop(backtrack=True), rprop_backtrack_update, (0.0, *BOUNDS)),
}


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("size", [1_000, 100_000])
def test_update(compare, random, rival, size, name):
    optimizer, update, constants = UPDATES[name]
    W, dW = random.standard_normal(size, "float32"), random.standard_normal(size, "float32")
    state = [np.full(size, start, "float32") for start in optimizer.start]
    W_numpy, state_numpy = W.copy(), [array.copy() for array in state]
    s = {**optimizer.constants(), "op": optimizer.op}

    def kernel():
        update(W, dW, *state, *constants)
        return W, *state

    def numpy():
        optimizer.update(s, W_numpy, dW, state_numpy, 1, 0.01, False)
        return W_numpy, *state_numpy

    compare(f"{name} update {size} float32", rival, kernel, numpy)
