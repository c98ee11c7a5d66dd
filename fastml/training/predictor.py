"""Predictions for a few rows, without the set-up of a run: the job stays ready, rows are copied in and out."""

from math import isfinite

import numpy as np

from fastml.kernels.job import JOB
from fastml.layers import codes_of
from fastml.program import compiled, linking
from fastml.program.program import aligned_zeros

FEW = 16  # rows


class Predictor:
    """The prediction of an engine with this program, for one thread at a time."""

    def __init__(self, engine, program):
        self.d_in, self.shift = engine.d_in, engine.shift
        self.dtype = np.dtype(engine.dtype if self.shift is None else np.float64)  # of rows; others take longer
        self.codes = codes_of(engine.layers)
        self.columns, self.categories = np.array(list(self.codes), np.int64), list(self.codes.values())
        self.x, self.outputs = np.zeros((FEW, engine.d_in), engine.dtype), np.zeros((FEW, program.d_out), engine.dtype)
        self.row, self.output, self.shape = self.x[0], self.outputs[0], (engine.d_in,)
        empty = np.zeros((0, 1), engine.dtype)
        self.params = np.zeros(0, engine.dtype)  # until `use` gives others
        work = aligned_zeros(program.work_size, engine.dtype)
        linking.link(program.prediction, engine.dtype)
        arrays = program.prediction, np.zeros(1), self.params, self.params, self.params, work, self.x, empty, empty
        self.arrays = *arrays, np.zeros(0, np.int64), np.zeros((1, 1)), self.outputs  # the job has their addresses only
        self.jobs = np.zeros(1, JOB)
        compiled.point_to(self.jobs, self.arrays)
        for name in ("shards", "threads", "steps_per_epoch", "batch_size", "rows", "stop"):
            self.jobs[name] = 1
        numbers = self.jobs.view(np.int64)
        places = (numbers[JOB.fields[name][1] // 8 :][:1] for name in ("step", "rows", "params", "params_size"))
        self.step, self.rows, self.place, self.size = places
        self.slices = compiled.new_slices(self.jobs, 1)
        self.enter, self.address = linking.executor(), self.jobs.ctypes.data

    def use(self, params):
        """Takes these parameters from now on."""
        if self.params is not params:
            self.params, self.place[0], self.size[0] = params, params.ctypes.data, params.size

    def predict(self, x):
        """The outputs for rows of shape (n, d_in) and of dtype, or None where they need a closer look."""
        n, d = x.shape if x.ndim == 2 else (0, 0)
        if d != self.d_in or x.dtype != self.dtype or not 0 < n <= FEW:
            return None
        rows = self.x[:n]
        if self.shift is None:
            rows[...] = x
        else:
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
