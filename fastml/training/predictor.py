"""Predictions for a few rows, without the set-up of a run: the job stays ready, rows are copied in and out."""

from math import isfinite

import numpy as np

from fastml.layers import codes_of
from fastml.program import linking
from fastml.program.memory import aligned_zeros
from fastml.training.ready import ALONE, ROWS, STEP, Ready

FEW = 256  # rows
LEAST = 16  # rows, of however large a model


class Predictor:
    """The prediction of an engine with this program, for one thread at a time."""

    def __init__(self, engine, program):
        self.d_in, self.shift = engine.d_in, engine.shift
        self.dtype = np.dtype(engine.dtype if self.shift is None else np.float64)  # of rows; others take longer
        self.codes = codes_of(engine.layers)
        self.columns, self.categories = np.array(list(self.codes), np.int64), list(self.codes.values())
        self.most = max(LEAST, min(FEW, int(3 * ALONE / max(1, program.flops))))  # rows
        x, outputs = (np.zeros((self.most, width), engine.dtype) for width in (engine.d_in, program.d_out))
        self.params = np.zeros(0, engine.dtype)  # until `use` gives others
        work = aligned_zeros(program.work_size, engine.dtype)
        arrays = {"params": self.params, "work": work, "x": x, "outputs": outputs}
        self.job = Ready(program.prediction, engine.dtype, arrays, stop=1, steps_per_epoch=1, batch_size=self.most)
        self.x, self.outputs, self.shape = self.job.arrays["x"], self.job.arrays["outputs"], (engine.d_in,)
        self.row, self.output, numbers = self.x[0], self.outputs[0], self.job.numbers
        self.step, self.rows = numbers[STEP:][:1], numbers[ROWS:][:1]
        self.enter = linking.executor(alone=self.most * program.flops / 3 <= ALONE)
        self.address = self.job.address

    def use(self, params):
        """Takes these parameters from now on."""
        if self.params is not params:
            self.params = params
            self.job.place("params", params)

    def predict(self, x):
        """The outputs for rows of shape (n, d_in) and of dtype, or None where they need a closer look."""
        n, d = x.shape if x.ndim == 2 else (0, 0)
        if d != self.d_in or x.dtype != self.dtype or not 0 < n <= self.most:
            return None
        rows = self.x[:n]
        if self.shift is None:
            rows[...] = x
        else:
            with np.errstate(over="ignore"):  # what becomes infinite is found out below
                np.subtract(x, self.shift, out=rows, casting="same_kind")
        if self.codes and not self.known(rows):  # let others say why
            return None
        if not isfinite(np.vdot(rows, rows)):  # NaN, infinite, or so large that the sum is: likewise
            return None
        self.step[0], self.rows[0] = 0, n
        self.enter(self.address, 0)
        return self.outputs[:n].copy()

    def predict_one(self, x, out):
        """The output for x : (d_in,) of dtype, in `out` if given, or None where x needs a closer look."""
        row, output, dtype = self.row, self.output, self.dtype
        if x.shape != self.shape or x.dtype != dtype:
            return None
        if out is not None and (type(out) is not np.ndarray or out.shape != output.shape or out.dtype != output.dtype):
            return None
        if self.shift is None:
            row[...] = x
        else:
            with np.errstate(over="ignore"):
                np.subtract(x, self.shift, out=row, casting="same_kind")
        if self.codes and not self.known(self.x[:1]):
            return None
        if not isfinite(np.vdot(row, row)):  # which, unlike a method, does not warn of an overflow
            return None
        self.step[0] = 0
        self.rows[0] = 1
        self.enter(self.address, 0)
        if out is None:
            return output.copy()
        out[...] = output
        return out

    def known(self, rows):
        """Whether the rows hold codes of categories where they should: few numbers, which Python compares sooner."""
        for codes in rows.take(self.columns, axis=1).tolist():
            for code, categories in zip(codes, self.categories, strict=True):
                if not (0 <= code < categories and code.is_integer()):
                    return False
        return True
