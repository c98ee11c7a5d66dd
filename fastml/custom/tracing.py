"""Tracing: what a user's function of NumPy computes, step by step, as a Formula that both executors run.

The function is called once, with Traced in place of arrays; each operator and function of NumPy on these becomes a
step. So there is no Python in the compiled code, it has full vectors, and the steps tell the derivative
(`fastml.custom.derivatives`). What no step can be, such as a condition of ``if``, is refused in a sentence.
"""

import difflib
import numbers

import numpy as np

from fastml.custom.functions import ARRAY_FUNCTIONS, FUNCTIONS, REDUCED, clip, count, mean, reduced
from fastml.custom.shapes import BY_AXES, COLUMNS, ROWS, shown
from fastml.kernels.formulas import Formula, Step, operands


class Recorder:
    """The steps so far. Equal ones are one; what is known of numbers alone is computed at once."""

    def __init__(self):
        self.steps, self.known = [], {}
        self.columns = 1  # that arrays must have at least, as one of them is taken by its number

    def input(self, number, shape):
        return self.step("input", (number,), shape)

    def number(self, value):
        return self.step("constant", (float(value),), ())

    def step(self, op, args, shape):
        """The Traced of a step."""
        axes = "".join(axis for axis in "nd" if axis in shape)
        step = Step(op, tuple(args), axes)
        key = repr(step)  # tells -0.0 from 0.0
        if key not in self.known:
            self.known[key] = len(self.steps)
            self.steps.append(step)
        return Traced(self, self.known[key], shape)

    def at(self, number, shape=None):
        """The Traced of a step there is, in a shape that goes with all others if none is given."""
        return Traced(self, number, BY_AXES[self.steps[number].axes] if shape is None else shape)

    def constant(self, number):
        """The value of a step that is a number, or None."""
        step = self.steps[number]
        return step.args[0] if step.op == "constant" else None

    def formula(self, *results):
        """The Formula of these Traced: of the steps that they need."""
        needed, open_ = set(), [result.number for result in results]
        while open_:
            number = open_.pop()
            if number not in needed:
                needed.add(number)
                open_ += operands(self.steps[number])
        order = {number: k for k, number in enumerate(sorted(needed))}
        steps = []
        for number in order:
            step = self.steps[number]
            steps.append(step._replace(args=tuple(order[k] for k in step.args)) if operands(step) else step)
        return Formula(tuple(steps), tuple(order[result.number] for result in results))


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array of numbers in a user's function: a step of a Recorder."""

    def __init__(self, recorder, number, shape):
        self.recorder, self.number, self.shape = recorder, number, shape

    holds = False  # whether it is a condition, of NumPy's type bool
    ndim = property(lambda self: len(self.shape))

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, where=True, **options):
        if method == "reduce" and ufunc in REDUCED and out is None and where is True:
            return sum_or_max(REDUCED[ufunc], *inputs, **options)
        if out is not None:
            raise TypeError("arrays cannot be changed in place: write z = z + 1 in place of z += 1")
        if method != "__call__" or where is not True:
            raise TypeError(f"numpy.{ufunc.__name__} is used in a way that cannot be compiled (where or {method})")
        function = FUNCTIONS.get(ufunc.__name__)
        if function is None:
            raise TypeError(refusal(ufunc.__name__))
        if options:
            raise TypeError(f"numpy.{ufunc.__name__} takes no argument {next(iter(options))!r} here")
        return function(*(self._like(value) for value in inputs))

    def __array_function__(self, function, types, args, kwargs):
        made = ARRAY_FUNCTIONS.get(function.__name__)
        if made is None:
            raise TypeError(refusal(f"numpy.{function.__name__}"))
        return made(*args, **kwargs)

    def _like(self, value):
        """A number as the Traced of a constant."""
        if isinstance(value, Traced):
            if value.recorder is not self.recorder:
                raise TypeError("an array of another call of the function was kept: use what is passed in alone")
            return value
        if isinstance(value, (numbers.Real, np.bool_)) or (isinstance(value, np.ndarray) and value.ndim == 0):
            number = self.recorder.number(value)
            number.holds = isinstance(value, (bool, np.bool_))
            return number
        kind = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"numbers are expected beside what is passed in, got {kind}")

    def sum(self, axis=None, keepdims=False):
        return reduced("sum", self, axis, keepdims)

    def mean(self, axis=None, keepdims=False):
        return mean(self, axis, keepdims)

    def max(self, axis=None, keepdims=False):
        return reduced("max", self, axis, keepdims)

    def min(self, axis=None, keepdims=False):
        return -reduced("max", -self, axis, keepdims)

    def var(self, axis=None, keepdims=False):
        centred = self - mean(self, axis, keepdims=True)
        return mean(centred * centred, axis, keepdims)

    def std(self, axis=None, keepdims=False):
        return np.sqrt(self.var(axis, keepdims))

    def clip(self, min=None, max=None):
        return clip(self, min, max)

    def astype(self, dtype, **options):
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"astype({dtype!r}) cannot be compiled: all is computed in the dtype of the model")
        return self.recorder.at(self.number, self.shape)

    def __getitem__(self, key):
        """Columns by number: ``y[:, 0]``, ``y[..., -1]``."""
        first, column = key if isinstance(key, tuple) and len(key) == 2 else (None, None)
        whole = first is Ellipsis or (isinstance(first, slice) and first == slice(None))
        if self.shape != (ROWS, COLUMNS) or not whole or not isinstance(column, (int, np.integer)):
            raise TypeError(f"of what is passed in, whole columns can be taken, as in y[:, 0]; got [{key!r}]")
        self.recorder.columns = max(self.recorder.columns, column + 1 if column >= 0 else -column)
        place = self.recorder.step("numbers", (), (1, COLUMNS))
        wanted = column if column >= 0 else count(self.recorder) + column
        return np.where(place == wanted, self, 0.0).sum(axis=1)

    def __setitem__(self, key, value):
        raise TypeError("arrays cannot be changed in place: write numpy.where(condition, yes, no)")

    def __bool__(self):
        raise TypeError("a condition is of many numbers at once: write numpy.where(condition, yes, no) in place of if")

    def __float__(self):
        raise TypeError("functions of one number, such as those of math, cannot be used: take numpy's")

    __int__ = __index__ = __complex__ = __float__

    def __len__(self):
        raise TypeError("how many rows there are is not known while a function is compiled")

    def __iter__(self):
        raise TypeError("loops over arrays cannot be compiled: use functions of whole arrays")

    def __array__(self, *arguments, **options):
        raise TypeError("it stands for numbers that are not known yet: use functions of NumPy on it")

    def __repr__(self):
        return f"Traced{shown(self.shape)}"


def sum_or_max(op, x, axis=0, keepdims=False):
    """What ``numpy.add.reduce`` and ``numpy.maximum.reduce`` give."""
    return reduced(op, x, axis, keepdims)


def refusal(name):
    """Says that a function is none of those that can be compiled."""
    known = sorted({*FUNCTIONS, *ARRAY_FUNCTIONS})
    close = difflib.get_close_matches(name.removeprefix("numpy."), known, n=1, cutoff=0.75)
    hint = f"did you mean {close[0]}?" if close else "docs/custom/README.md says which can"
    return f"{name} cannot be compiled; {hint}"


def traced(what, function, recorder, *arguments, **options):
    """What a user's function gives for Traced, a Traced or a tuple of them; errors begin with `what`, its name."""
    try:
        found = function(*arguments, **options)
        several = isinstance(found, (tuple, list))
        results = [recorder.number(0.0)._like(result) for result in (found if several else [found])]
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{what}: {' '.join(str(error).split()) or type(error).__name__}") from error
    return tuple(results) if several else results[0]
