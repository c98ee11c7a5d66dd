"""Losses of users: the loss of each row, from targets and predictions."""

import numpy as np

from fastml.custom.derivatives import Differentiation
from fastml.custom.formulas import computed
from fastml.custom.functions import mean
from fastml.custom.shapes import COLUMNS, ROWS, check_columns, shown
from fastml.custom.tracing import Recorder, traced
from fastml.kernels.custom import loss_operations


class RowLoss:
    """The loss of each row and its gradient, of a function of targets and predictions, both (n, d).

    f gives the loss of each row, (n,), or of each output, (n, d), of which the mean counts. TypeError or ValueError
    where it cannot be compiled.
    """

    def __init__(self, what, f):
        recorder = Recorder()
        a, y = (recorder.input(k, (ROWS, COLUMNS)) for k in range(2))
        value = traced(what, f, recorder, y, a)
        if isinstance(value, tuple) or value.shape not in ((ROWS,), (ROWS, 1), (ROWS, COLUMNS)):
            got = "several results" if isinstance(value, tuple) else f"the shape {shown(value.shape)}"
            raise ValueError(f"{what} must give the loss of each row, (n,), or of each output, (n, d), got {got}")
        if len(value.shape) == 2 and value.shape[1] == COLUMNS:
            value = mean(value, axis=-1)
        (slope,) = Differentiation(recorder).gradients(value, recorder.input("scale", ()), [a])
        self.what, self.columns = what, recorder.columns
        self.value, self.slope = recorder.formula(value), recorder.formula(slope)

    def operation(self):
        """The name of the operations, before _forward and _backward."""
        name = f"custom_{self.value.digest}{self.slope.digest}"
        loss_operations(name, self.value, self.slope, self._forward, self._backward)
        return name

    def check(self, units):
        """ValueError where there are fewer outputs than the function takes by their numbers."""
        check_columns(self.what, self.columns, units)

    def forward(self, z, y):
        """The loss of each row in NumPy, in double precision."""
        z, y = (array.astype(np.result_type(array, np.float64)) for array in (z, y))
        return np.broadcast_to(computed(self.value, {0: z, 1: y})[0], (len(z), 1))[:, 0]

    def backward(self, a, y, scale):
        """The gradient of the sum over rows in NumPy, times the scale."""
        return computed(self.slope, {0: a, 1: y, "scale": a.dtype.type(scale)})[0]

    def _forward(self, z, y, a, terms, losses):
        losses[...], a[...] = self.forward(z, y), z

    def _backward(self, n, a, y, dz):
        dz[...] = self.backward(a, y, 1 / n)
