"""Losses and their gradients against the formulas in NumPy."""

import numpy as np
import pytest

from fastml import LOSSES
from fastml.kernels.operations import OPERATIONS

ROWS, UNITS = 64, 10


def make_targets(random, kind):
    """Targets of the kind that a loss takes."""
    labels = random.integers(UNITS, size=(ROWS, 1))
    made = {
        "numbers": random.standard_normal((ROWS, UNITS)),
        "counts": random.poisson(2, (ROWS, UNITS)),
        "probabilities": random.random((ROWS, UNITS)),
        "distributions": labels == np.arange(UNITS),
        "labels": labels,
    }
    return made[kind].astype("float32")


def constants_of(loss):
    """The hyper-parameters that the kernels of a loss take."""
    return tuple(value for name, value in loss.constants().items() if name != "label_smoothing")


@pytest.mark.parametrize("name", LOSSES)
def test_loss_forward(compare, random, rival, name):
    loss = LOSSES[name]()
    y, z = make_targets(random, loss.targets), random.standard_normal((ROWS, UNITS), "float32")
    a, terms, losses = np.empty_like(z), np.empty_like(z), np.empty_like(z[:, 0])
    run, constants = OPERATIONS[f"{name}_forward"].kernel, constants_of(loss)

    def kernel():
        run(*constants, z, y, a, terms, losses)
        return losses, a

    def numpy():
        return loss.forward({"delta": 1.0}, z, y)

    compare(f"{name} forward {ROWS}x{UNITS} float32", rival, kernel, numpy)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_backward(compare, random, rival, name):
    loss = LOSSES[name]()
    y, a = make_targets(random, loss.targets), random.random((ROWS, UNITS), "float32")
    dz = np.empty_like(a)
    run, constants = OPERATIONS[f"{name}_backward"].kernel, constants_of(loss)

    def kernel():
        run(*constants, ROWS, a, y, dz)
        return (dz,)

    compare(f"{name} backward {ROWS}x{UNITS} float32", rival, kernel, lambda: (loss.backward({"delta": 1.0}, a, y),))
