"""Arrays that many models train on: converted once for a dtype, each model takes the rows that are its own."""

import threading

import numpy as np

from fastml.data.arrays import as_array, convert
from fastml.layers import method_of


class Arrays:
    """The arrays that models share, each converted once for a dtype."""

    def __init__(self):
        self.lock, self.known = threading.Lock(), {}

    def of(self, model, options):
        """x, y and weights of the rows of a model, and those of its validation or None; see `fit_many`."""
        x, y, weights, rows, some = (options.get(k) for k in ("x", "y", "sample_weight", "rows", "validation_rows"))
        if x is None:
            raise TypeError("x is missing: give it to fit_many or to the Task")
        if y is None:
            if rows is not None or some is not None:
                raise TypeError("y is missing: rows and validation_rows need x and y as arrays")
            return x, y, weights, None
        x, y = self.converted(x, "x", model), self.plain(y, "y")
        weights = None if weights is None else self.plain(weights, "sample_weight")
        validation = None
        if some is not None:
            if options.get("validation_data") is not None or options.get("validation_split"):
                raise ValueError("give validation_rows, validation_data or validation_split, not two of them")
            chosen = numbers_of(some, len(x), "validation_rows")
            validation = tuple(taken(array, chosen) for array in (x, y, weights) if array is not None)
        if rows is not None:
            chosen = numbers_of(rows, len(x), "rows")
            x, y, weights = (None if array is None else taken(array, chosen) for array in (x, y, weights))
        return x, y, weights, validation

    def converted(self, x, name, model):
        """x as a model takes it, where its dtype is all that matters and all its numbers are fine; else as it came."""
        array = self.plain(x, name)
        if array.dtype == model.dtype or method_of(model.layers):  # which may be shifted before it is rounded
            return array
        return self.kept((id(x), model.dtype), x, lambda: rounded(array, name, model.dtype))

    def plain(self, values, name):
        """The values as an array of numbers."""
        if type(values) is np.ndarray:
            return values
        return self.kept((id(values), None), values, lambda: as_array(values, name))

    def kept(self, key, source, make):
        """What `make` gives, once for a key that has the source's id."""
        with self.lock:
            if key not in self.known:
                self.known[key] = source, make()
            return self.known[key][1]


def rounded(array, name, dtype):
    """The array in a dtype, or as it is where some of it has no place there: whoever takes that says so."""
    try:
        return convert(array, name, dtype)
    except (TypeError, ValueError):
        return array


def numbers_of(rows, count, name):
    """Numbers of rows, int64, from numbers or a mask; TypeError or ValueError for what is neither."""
    rows = np.asarray(rows)
    if rows.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, numbers of rows or a mask, got shape {rows.shape}")
    if rows.dtype == bool:
        if len(rows) != count:
            raise ValueError(f"{name} is a mask of {len(rows)} rows, but x has {count}")
        rows = np.flatnonzero(rows)
    elif rows.size and rows.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers or bools, got {rows.dtype}")
    if not rows.size:
        raise ValueError(f"{name} is empty: there is no row to take")
    if rows.min() < 0 or rows.max() >= count:
        wrong = rows[(rows < 0) | (rows >= count)][0]
        raise ValueError(f"{name} holds {wrong}, but x has the rows 0 to {count - 1}")
    return rows.astype(np.int64)


def taken(array, numbers):
    """The rows with these numbers."""
    if array.ndim == 0 or len(array) <= numbers.max():
        raise ValueError(f"an array of shape {array.shape} does not have the rows of x")
    return array[numbers]
