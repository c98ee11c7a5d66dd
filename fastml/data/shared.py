"""Arrays that many models train on: converted once for a dtype, each model takes the rows that are its own."""

import weakref

import numpy as np

from fastml.data.arrays import as_array, convert
from fastml.layers import codes_of, method_of

COPYING = "class_weight", "validation_split", "validation_data", "steps_per_epoch"  # options for copied rows alone


class Arrays:
    """The arrays that models share, each converted once for a dtype."""

    def __init__(self):
        self.known = {}

    def of(self, model, options):
        """The arguments of a model's training that are arrays, as a dict; see `fit_many` for the options.

        Its rows are told by their numbers where that will do; else they are copied.
        """
        x, y, weights, rows, some = (options.get(k) for k in ("x", "y", "sample_weight", "rows", "validation_rows"))
        if x is None:
            raise TypeError("x is missing: give it to fit_many or to the Task")
        if y is None:
            if rows is not None or some is not None:
                raise TypeError("y is missing: rows and validation_rows need x and y as arrays")
            return {"x": x, "y": y, "sample_weight": weights}
        x, y = self.converted(x, "x", model), self.plain(y, "y")
        weights = None if weights is None else self.plain(weights, "sample_weight")
        for name, array in (("y", y), ("sample_weight", weights)):
            if array is not None and (array.ndim == 0 or x.ndim == 0 or len(array) != len(x)):
                raise ValueError(f"{name} must have one row for each row of x: shapes {x.shape} of x, {array.shape}")
        if rows is None and some is None:
            return {"x": x, "y": y, "sample_weight": weights}
        if some is not None and (options.get("validation_data") is not None or options.get("validation_split")):
            raise ValueError("give validation_rows, validation_data or validation_split, not two of them")
        rows = None if rows is None else numbers_of(rows, len(x), "rows")
        some = None if some is None else numbers_of(some, len(x), "validation_rows")
        if not any(options.get(name) for name in COPYING) and self.fine(model, x, y, weights):
            return {"x": x, "y": y, "sample_weight": weights, "chosen": (rows, some)}
        found, arrays = {}, {"x": x, "y": y, "sample_weight": weights}
        if some is not None:
            found["validation_data"] = tuple(taken(array, some) for array in arrays.values() if array is not None)
        if rows is not None:
            arrays = {name: None if array is None else taken(array, rows) for name, array in arrays.items()}
        return found | arrays

    def fine(self, model, x, y, weights):
        """Whether a model takes all rows as they are, so that it can share them whichever of them are its own."""
        layers = model._built_layers()
        if method_of(layers) or codes_of(layers):
            return False
        adapter = model._adapter()

        def make():
            try:
                adapter.rows(x, y, weights)
            except (TypeError, ValueError):
                return False
            return True

        units = adapter.units(x.shape[1]) if x.ndim == 2 else 0
        key = id(x), id(y), id(weights), model.dtype, model.input_dim, units, adapter.loss.targets, *adapter.metrics
        return self.kept(key, (x, y, weights), make)

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
        """What `make` gives, once for a key with the ids of the sources, as long as these arrays are there."""
        found = self.known.get(key)
        if found is None:
            try:
                alive = [weakref.ref(each, lambda _: self.known.pop(key, None)) for each in sources_of(source)]
            except TypeError:  # of lists there are no weak references, so that they stay
                alive = source
            found = self.known[key] = alive, make()
        return found[1]


def sources_of(source):
    """The arrays of a tuple but for None, or the only one."""
    return [each for each in source if each is not None] if isinstance(source, tuple) else [source]


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
