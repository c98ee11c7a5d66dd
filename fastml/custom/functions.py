"""What users' functions may use: universal functions of NumPy and SciPy, and some that sum, as steps of a Formula.

Those that are no step of their own are made of others. They take and give what `fastml.custom.tracing` traces.
"""

import math

import numpy as np

from fastml.custom.shapes import BY_AXES, COLUMNS, ROWS, together
from fastml.kernels.formulas import LIBRARY

LARGEST_POWER = 2**20  # up to which a power is made of products


def count(recorder):
    """The number of columns, which is not known while a function is compiled."""
    return recorder.input(COLUMNS, ())


def elementary(op):
    """The function that makes a step of each call, but for what is known or changes nothing."""

    def function(*args):
        recorder, numbers_ = args[0].recorder, [arg.number for arg in args]
        shape = together(*(arg.shape for arg in args))
        values = [recorder.constant(number) for number in numbers_]
        if op in CONSTANT and None not in values:
            with np.errstate(all="ignore"):
                return recorder.at(recorder.number(CONSTANT[op](*values)).number, shape)
        same = unchanged(op, values)
        if same is not None and args[same].shape == shape:
            return recorder.at(args[same].number, shape)  # a number, also where the other was a condition
        return recorder.step(op, numbers_, shape)

    return function


def unchanged(op, values):
    """The argument that is the result whatever the other is, or None: of x + 0, x·1, x / 1."""
    neutral = {"add": 0.0, "subtract": 0.0, "multiply": 1.0, "divide": 1.0}.get(op)
    if neutral is None or neutral not in values:
        return None
    return 0 if values[1] == neutral else 1 if op in ("add", "multiply") else None


def divide(x, y):
    """x / y; by a number that is computed, which is so in double precision, as a product with its reciprocal."""
    recorder = x.recorder
    if x.shape and not recorder.steps[y.number].axes and recorder.constant(y.number) != 1.0:
        return x * divided(recorder.number(1.0), y)
    return divided(x, y)


def reduced(op, x, axis, keepdims):
    """The sum or maximum over the columns of each row."""
    if axis not in (-1, len(x.shape) - 1, (-1,)) or not x.shape:
        raise ValueError(f"axis={axis}: each row is computed by itself, write axis=-1 for its columns")
    if x.shape[-1] == ROWS:
        raise ValueError("a sum or mean over rows cannot be compiled: each row is computed by itself")
    recorder, shape = x.recorder, (*x.shape[:-1], 1) if keepdims else x.shape[:-1]
    if x.shape[-1] == 1 or COLUMNS not in recorder.steps[x.number].axes:  # the same in all columns
        times = count(recorder) if op == "sum" and x.shape[-1] == COLUMNS else recorder.number(1.0)
        found = recorder.at(x.number) * times
    else:
        found = recorder.step(op, (x.number,), BY_AXES[recorder.steps[x.number].axes.replace(COLUMNS, "")])
    found = recorder.at(found.number, shape)
    found.holds = op == "max" and x.holds
    return found


def mean(x, axis=None, keepdims=False):
    total = reduced("sum", x, axis, keepdims)
    return total / count(x.recorder) if x.shape[-1] == COLUMNS else total


def clip(a, a_min=None, a_max=None, *, min=None, max=None):
    low, high = a_min if min is None else min, a_max if max is None else max
    a = a if low is None else np.maximum(a, low)
    return a if high is None else np.minimum(a, high)


def maximum(x, y):
    """The larger one; where one is NaN, NaN."""
    if x.recorder.constant(x.number) is not None:
        return np.where(x >= y, x, y)
    larger = np.where(x < y, y, x)
    return larger if x.recorder.constant(y.number) is not None else np.where(np.equal(y, y), larger, y)


def power(x, y):
    """x to the power of y: of products where y is a whole number, by logarithms where it is another."""
    exponent = x.recorder.constant(y.number)
    if exponent is None or abs(exponent) > LARGEST_POWER:
        return elementary("power")(x, y)
    if exponent in (0.5, -0.5):
        return np.sqrt(x) if exponent > 0 else 1 / np.sqrt(x)
    if exponent != int(exponent):
        return elementary("root_power")(x, y)
    result, square, rest = None, x, abs(int(exponent))
    while rest:
        if rest % 2:
            result = square if result is None else result * square
        square, rest = square * square, rest // 2
    result = x.recorder.number(1.0) if result is None else result
    return 1 / result if exponent < 0 else x.recorder.at(result.number, result.shape)  # a number, also of conditions


def xlogy(x, y):
    return np.where(np.equal(x, 0), 0.0, x * np.log(np.where(np.equal(x, 0), 1.0, y)))


def full_like(x, fill_value, dtype=None):
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise TypeError(f"dtype={dtype!r} cannot be compiled: all is computed in the dtype of the model")
    return x.recorder.at(x._like(fill_value).number, x.shape)


def heaviside(x, y):
    """0 below 0, 1 above, y at 0, and NaN where x is."""
    return np.where(x < 0, 0.0, np.where(x > 0, 1.0, np.where(np.equal(x, 0), y, x)))


def logaddexp(x, y):
    """log(eˣ + eʸ), also where both are the same infinity."""
    infinite = np.equal(x, y) * np.equal(abs(x), math.inf)
    return np.where(infinite, x, y + elementary("softplus")(x - y))


def add(x, y):
    """x + y; of two conditions, whether one of them holds, as NumPy has it."""
    if x.holds and y.holds:
        return np.logical_or(x, y)
    return elementary("add")(x, y)


def condition(function):
    """The function, of which NumPy gives conditions: arrays of bool, here 1 where they hold and 0 elsewhere."""

    def marked(*args):
        found = function(*args)
        found = found.recorder.at(found.number, found.shape)
        found.holds = True
        return found

    return marked


def of_conditions(function):
    """The function, of which NumPy gives conditions where its arguments are."""

    def marked(*args):
        return condition(function)(*args) if all(arg.holds for arg in args) else function(*args)

    return marked


def subtract(x, y):
    if x.holds and y.holds:
        raise TypeError("a condition cannot be subtracted from another: use numpy.logical_xor or where")
    return elementary("subtract")(x, y)


def where(condition, yes, no):
    recorder = next(part for part in (condition, yes, no) if hasattr(part, "recorder")).recorder
    some = recorder.number(0.0)
    chosen, *branches = (some._like(part) for part in (condition, yes, no))
    return of_conditions(lambda *branches: elementary("where")(chosen, *branches))(*branches)


def method(name):
    """The function that calls a method of what is traced."""
    return lambda x, *args, **options: getattr(x, name)(*args, **options)


divided = elementary("divide")

# What steps are, in NumPy, on numbers alone. `fastml.custom.formulas` has them for arrays.
CONSTANT = {
    name: getattr(np, name)
    for name in ("add", "subtract", "multiply", "divide", "negative", "abs", "sqrt", "exp", "log", "tanh", "log1p")
}

PLAIN = ("add", "subtract", "multiply", "divide", "negative", "abs", "sign", "floor", "ceil", "rint", "trunc", "sqrt")
PLAIN += ("exp", "expm1", "log", "log1p", "tanh", "erf", *LIBRARY)
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
PLAIN += COMPARISONS

# By the names of NumPy's and SciPy's universal functions.
FUNCTIONS = {name: elementary(name) for name in PLAIN} | {
    "add": add,
    "subtract": subtract,
    "multiply": of_conditions(elementary("multiply")),
    "divide": divide,
    "absolute": elementary("abs"),
    "fabs": elementary("abs"),
    "positive": lambda x: x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "power": power,
    "float_power": power,
    "exp2": lambda x: np.exp(x * math.log(2)),
    "log2": lambda x: np.log(x) / math.log(2),
    "log10": lambda x: np.log(x) / math.log(10),
    "logaddexp": logaddexp,
    "maximum": of_conditions(maximum),
    "minimum": of_conditions(lambda x, y: -maximum(-x, -y)),
    "clip": clip,
    "heaviside": heaviside,
    "logical_and": lambda x, y: np.not_equal(x, 0) * np.not_equal(y, 0),
    "logical_or": lambda x, y: np.not_equal(elementary("add")(np.not_equal(x, 0), np.not_equal(y, 0)), 0),
    "logical_xor": lambda x, y: np.not_equal(np.not_equal(x, 0), np.not_equal(y, 0)),
    "logical_not": lambda x: np.equal(x, 0),
    "isnan": lambda x: np.not_equal(x, x),
    "expit": elementary("sigmoid"),
    "ndtr": elementary("normal"),
    "xlogy": xlogy,
}
FUNCTIONS |= {f"bitwise_{name}": FUNCTIONS[f"logical_{name}"] for name in ("and", "or", "xor")}
FUNCTIONS |= {"invert": FUNCTIONS["logical_not"]}
CONDITIONS = [*COMPARISONS, "isnan", "invert", *(name for name in FUNCTIONS if name.startswith(("logical", "bitwise")))]
FUNCTIONS |= {name: condition(FUNCTIONS[name]) for name in CONDITIONS}
REDUCED = {np.add: "sum", np.maximum: "max"}

ARRAY_FUNCTIONS = {
    "where": where,
    "sum": method("sum"),
    "mean": method("mean"),
    "max": method("max"),
    "amax": method("max"),
    "min": method("min"),
    "amin": method("min"),
    "var": method("var"),
    "std": method("std"),
    "clip": clip,
    "full_like": full_like,
    "zeros_like": lambda x, dtype=None: full_like(x, 0.0, dtype),
    "ones_like": lambda x, dtype=None: full_like(x, 1.0, dtype),
}
