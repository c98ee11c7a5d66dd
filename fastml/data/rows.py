"""One row of a table becomes numbers: what `TableEncoder.transform` does, without the set-up for columns."""

from math import isfinite

import numpy as np

from fastml.data.columns import Column, read_objects
from fastml.data.encodings import Codes, Number, OneHot
from fastml.data.reading import Table, arranged, as_names, holds_several, is_table, opened

COMMON = {"text": str, "whole-number category": int, "boolean category": bool}
LARGEST = 2**53  # up to which float64 has all whole numbers
LARGE = 1e38  # beyond which float32 may have no place: the way of columns says so


def is_row(x):
    """Whether x may be one row: a list, tuple or array (columns,), a dict of values, or a table."""
    if isinstance(x, np.ndarray):
        return x.ndim == 1
    if isinstance(x, (list, tuple)):
        return len(x) > 0 and not any(isinstance(value, (list, tuple, dict, np.ndarray)) for value in x)
    return isinstance(x, dict) or is_table(x)


def row_values(row):
    """Names, or None, and values, a list, of one row; ValueError for a table of more, TypeError for what is no row."""
    if isinstance(row, np.ndarray) and row.ndim == 1:
        return None, list(row) if row.dtype.kind in "Mm" else row.tolist()
    if isinstance(row, dict):
        several = next((name for name, value in row.items() if holds_several(value)), None)
        if several is not None:
            raise TypeError(f"row holds {type(row[several]).__name__} at {several!r}, expected a single value")
        return as_names(row), list(row.values())
    name = f"{type(row).__module__.split('.')[0]}.{type(row).__name__}"
    if name == "pandas.Series":  # a row of a frame, as by iloc
        return as_names(row.index), row.tolist()
    if name in FRAMES and len(row) == 1:
        try:
            return FRAMES[name](row)
        except Exception:  # types that the library does not give as Python's values
            return of_columns(row)
    if not is_row(row):
        shape = f" {row.shape}" if isinstance(row, np.ndarray) else ""
        kind = type(row).__name__
        raise TypeError(f"row must be an array (columns,), a dict, or a table or Series of one row, got {kind}{shape}")
    if isinstance(row, (list, tuple)):
        return None, list(row)
    return of_columns(row)


def of_columns(row):
    """Names and columns of one value of a table of one row."""
    found = opened(row)
    columns = [found.column(k) for k in range(found.count)]
    if len(columns[0].missing) != 1:
        raise ValueError(f"row is a table of {len(columns[0].missing)} rows, expected one")
    return found.names, columns


FRAMES = {  # the shortest way to the values of one row
    "pandas.DataFrame": lambda row: (as_names(row.columns), row.to_numpy(dtype=object)[0].tolist()),
    "polars.DataFrame": lambda row: (row.columns, list(row.row(0))),
    "pyarrow.Table": lambda row: (as_names(row.column_names), [column[0].as_py() for column in row.columns]),
}


class RowReader:
    """Reads rows for a fitted encoder. Common values are looked up at once, others go the way of columns."""

    def __init__(self, encoder):
        self.encoder, self.names, self.count = encoder, encoder._given_names(), encoder.n_features_in_
        pairs = zip(encoder._encodings, encoder._places, strict=True)
        self.writers = [writer_of(encoding, place.start) for encoding, place in pairs]

    def read(self, row):
        """The numbers (features,) of one row, see `row_values`."""
        values = self.of_dict(row) if type(row) is dict else None
        if values is None:
            names, values = row_values(row)
            if names != self.names:
                values = self.in_order(names, values)
            elif len(values) != self.count:
                raise ValueError(f"row has {len(values)} values, but at fit there were {self.count} columns")
        out = np.zeros(self.encoder._width, self.encoder.dtype)
        for k, (value, write) in enumerate(zip(values, self.writers, strict=True)):
            if write is None or not write(value, out):
                self.write(k, value, out)
        return out

    def of_dict(self, row):
        """The values of a dict that has the columns and no others, or None."""
        if self.names is None or len(row) != self.count:
            return None
        try:
            return [row[name] for name in self.names]
        except KeyError:
            return None

    def in_order(self, names, values):
        """The values in the order of the columns at fit."""
        found = Table(names, len(values), values.__getitem__)
        return arranged(found, self.names, self.count, self.encoder._told)

    def write(self, k, value, out):
        """Encodes a value of the k-th column into its part of out : (features,)."""
        encoder = self.encoder
        encoding, place = encoder._encodings[k], encoder._places[k]
        if encoding.kind == "text" and type(value).__name__ == "Interval":  # a category of pandas.cut
            value = str(value)
        name = repr(str(encoder.feature_names_in_[k])) if self.names is not None else k
        column = value if isinstance(value, Column) else read_objects(f"column {name}", [value])
        encoding.write(encoder._checked(column, encoding), out[None, place])


def writer_of(encoding, start):
    """A function that writes a common value of a column to out[start], …, and says whether it could; or None.

    Its arithmetic is that of `write` of the encoding, a value at a time.
    """
    if isinstance(encoding, Number) and encoding.kind == "number":
        return number_writer(encoding, start)
    if isinstance(encoding, Number) and encoding.kind == "boolean":
        return boolean_writer(encoding, start)
    if isinstance(encoding, (OneHot, Codes)) and encoding.kind in COMMON:
        return category_writer(encoding, start)
    return None


def number_writer(encoding, start):
    mean, std, median, flagged = encoding.mean, encoding.std, encoding.median, encoding.missing

    def write(value, out):
        if value is None or (type(value) is float and value != value):
            value = median
            if flagged:
                out[start + 1] = 1
        elif type(value) is int and -LARGEST <= value <= LARGEST:
            value = float(value)
        elif type(value) is not float:
            return False
        if std:
            result = (value - mean) / std
            if not -LARGE < result < LARGE:
                return False
            out[start] = result
        return std or isfinite(value)

    return write


def boolean_writer(encoding, start):
    median, flagged = encoding.median, encoding.missing

    def write(value, out):
        if value is None:
            out[start] = median
            if flagged:
                out[start + 1] = 1
        elif value is True or value is False:
            out[start] = value
        else:
            return False
        return True

    return write


def category_writer(encoding, start):
    kind, one_hot = COMMON[encoding.kind], isinstance(encoding, OneHot)
    codes = {category: code for code, category in enumerate(encoding.categories)}
    flag = start + len(codes) if one_hot and encoding.missing else None

    def write(value, out):
        if type(value) is kind:
            code = codes.get(value)
            if code is None:  # it may be another form of one that is known
                return False
            if one_hot:
                out[start + code] = 1
            else:
                out[start] = code + 1
        elif value is None:
            if flag is not None:
                out[flag] = 1
        else:
            return False
        return True

    return write
