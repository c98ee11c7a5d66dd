"""Room for the rows of a job that stays ready: what comes as it usually does is copied there after a short look."""

from math import isfinite

import numpy as np

from fastml.layers import codes_of
from fastml.metrics import columns_of

MOST = 2**16  # numbers that an evaluation keeps room for: to copy more takes longer than to place an array


class Room:
    """Arrays x, y and weights of a job, for so many rows of an engine's model.

    `takes` is for rows without weights that are arrays of the shapes and dtypes that the model works with, or targets
    of whole numbers, of an engine without `shift`. What it refuses, a DataAdapter converts, or says why it cannot: then
    `put` is for that.
    """

    def __init__(self, engine, rows, weighted):
        aim, units = engine.aim, engine.program.d_out
        self.targets, self.units = aim["loss"].targets, units
        width = 1 if self.targets == "labels" else units
        self.x, self.y = np.zeros((rows, engine.d_in), engine.dtype), np.zeros((rows, width), engine.dtype)
        self.weights = np.ones((rows, 1), engine.dtype) if weighted else None
        self.column = self.y[:, 0] if width == 1 else None
        self.shape, self.dtype, self.rows = self.x.shape, self.x.dtype, (rows,)
        self.dtypes = self.dtype, np.dtype(np.float64)
        whole = columns_of(aim["metrics"]) <= len(aim["metrics"])  # one looks at all targets
        self.usual = not codes_of(engine.layers) and not whole

    @property
    def arrays(self):
        """The arrays by name."""
        found = {"x": self.x, "y": self.y, "weights": self.weights}
        return {name: array for name, array in found.items() if array is not None}

    def put(self, x, y, weights):
        """Copies rows that a DataAdapter has taken; weights are None where all count the same."""
        self.x[...], self.y[...] = x, y
        if self.weights is not None:
            self.weights[...] = 1 if weights is None else weights

    def takes(self, x, y):
        """Whether these rows need no closer look and are there now; else there is anything."""
        if type(x) is not np.ndarray or type(y) is not np.ndarray or not self.usual:
            return False
        own = self.y if y.shape == self.y.shape else self.column if y.shape == self.rows else None
        if own is None or x.shape != self.shape or x.dtype not in self.dtypes:
            return False
        whole = y.dtype.kind in "biu"  # numbers, which the dtype may not hold exactly, unless they are small
        if self.targets not in ("probabilities", "labels") if whole else y.dtype not in self.dtypes:
            return False
        if x.dtype == self.dtype and (whole or y.dtype == self.dtype):
            own[...], self.x[...] = y, x
        else:
            with np.errstate(over="ignore"):  # what becomes infinite is found out below
                own[...], self.x[...] = y, x
        if self.weights is not None:
            self.weights[...] = 1
        return isfinite(np.vdot(self.x, self.x)) and self.right(whole)

    def right(self, whole):
        """Whether the targets are such as the loss takes, that is, of its kind; nothing is right about NaN."""
        y, kind = self.y, self.targets
        if kind == "numbers":
            return isfinite(np.vdot(y, y))
        least, most = np.minimum.reduce(y, axis=None), np.maximum.reduce(y, axis=None)
        if kind == "counts":
            return least >= 0 and isfinite(most)
        if kind == "labels":
            return whole and least >= 0 and most < self.units
        if not (least >= 0 and most <= 1):
            return False
        return kind == "probabilities" or np.abs(y.sum(axis=1) - 1).max() < 1e-4
