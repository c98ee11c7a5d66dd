"""Losses and their gradients against the formulas in NumPy."""

import numpy as np
import pytest

from fastml import LOSSES
from fastml.kernels.losses import loss_backward, loss_forward

ROWS, UNITS = 64, 10


def make_targets(random, kind):
    """Targets of the kind that a loss takes."""
    labels = random.integers(UNITS, size=(ROWS, 1))
    made = {
        "numbers": random.standard_normal((ROWS, UNITS)),
        "probabilities": random.random((ROWS, UNITS)),
        "distributions": labels == np.arange(UNITS),
        "labels": labels,
    }
    return made[kind].astype("float32")


@pytest.mark.parametrize("name", LOSSES)
def test_loss_forward(compare, random, rival, name):
    loss = LOSSES[name]
    y, z = make_targets(random, loss.targets), random.standard_normal((ROWS, UNITS), "float32")
    a = np.empty_like(z)

    def kernel():
        total = loss_forward(loss.code, z, y, a)
        return np.float32(total), a  # the terms of the sum are float32 on both sides

    def numpy():
        losses, predictions = loss.forward(z, y)
        return losses.sum(), predictions

    compare(f"{name} forward {ROWS}x{UNITS} float32", rival, kernel, numpy)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_backward(compare, random, rival, name):
    loss = LOSSES[name]
    y, a = make_targets(random, loss.targets), random.random((ROWS, UNITS), "float32")
    dz = np.empty_like(a)

    def kernel():
        loss_backward(loss.code, a, y, dz)
        return (dz,)

    compare(f"{name} backward {ROWS}x{UNITS} float32", rival, kernel, lambda: (loss.backward(a, y),))
