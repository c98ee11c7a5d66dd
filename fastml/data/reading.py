"""Tables are read: those of pandas, polars and pyarrow, arrays, lists of rows, and dicts become columns with names.

Tables are read by narwhals, the extra ``tables``; the others without it. Columns are read once they are asked for, so
that those which nobody needs may hold what they like.
"""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastml.data.columns import read_array, read_objects
from fastml.data.series import read_series

LIBRARIES = ("pandas", "polars", "pyarrow")
EXPECTED = "a DataFrame of pandas or polars, a Table of pyarrow, a 2-D array, a list of rows or of dicts, or a dict"
SEVERAL = (list, tuple, np.ndarray)


class Table(NamedTuple):
    """A table that is read on demand: names or None, the number of columns, and a function from index to Column."""

    names: list | None
    count: int
    column: Callable


def is_table(x):
    """Whether x is a DataFrame of pandas or polars, a Table of pyarrow, or another table that narwhals knows.

    A lazy one is a table too. Without narwhals the three are told by name, so that others can say what to install.
    """
    module = type(x).__module__.split(".")[0]
    if module in ("builtins", "numpy"):
        return False
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        return module in LIBRARIES and type(x).__name__ in ("DataFrame", "LazyFrame", "Table")
    try:
        x = nw.to_native(x, pass_through=True)  # what another API of narwhals has wrapped
        return isinstance(nw.from_native(x, pass_through=True), (nw.DataFrame, nw.LazyFrame))
    except nw.exceptions.DuplicateError:
        return True


def is_dicts(x):
    """Whether x is a dict or a list of dicts, which are rows, or columns, with names."""
    first = x[0] if isinstance(x, (list, tuple)) and len(x) else x
    return isinstance(first, dict) and not hasattr(first, "tocsr")  # a sparse matrix of scipy may be a dict, too


def is_plain(table):
    """Whether all columns of a table hold numbers or booleans, and none is missing, so that it is a matrix already."""
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        return np.asarray(table).dtype.kind in "biuf"
    frame = nw.from_native(table)
    if isinstance(frame, nw.LazyFrame) or not all(t.is_numeric() or t == nw.Boolean for t in frame.schema.values()):
        return False
    columns = list(frame.iter_columns())
    gaps = any(c.is_null().any() or (c.dtype.is_float() and c.is_nan().any()) for c in columns)
    return not gaps


def read(table):
    """Names, or None, and columns of a table; an error where it has no rows, no columns, or is none."""
    found = opened(table)
    return found.names, [found.column(k) for k in range(found.count)]


def opened(table):
    """The Table in what a user gives; an error where it has no rows, no columns, or is none."""
    if is_table(table):
        return open_frame(table)
    if isinstance(table, np.ndarray):
        if table.ndim != 2 or table.dtype.names:
            raise ValueError(f"table must have shape (rows, columns), got {table.dtype} {table.shape}")
        if np.ma.is_masked(table):
            raise ValueError("table is a masked array with masked values: fill them first, as with NaN")
        check_size(*table.shape)
        array = np.asarray(table)
        return Table(None, array.shape[1], lambda k: read_array(f"column {k}", array[:, k]))
    if is_dicts(table):
        return open_dict(table) if isinstance(table, dict) else open_dicts(table)
    if isinstance(table, (list, tuple)):
        return open_rows(table)
    raise TypeError(f"table must be {EXPECTED}, got {type(table).__name__}")


def check_size(rows, columns):
    """ValueError for an empty table."""
    if columns == 0:
        raise ValueError("the table has no columns")
    if rows == 0:
        raise ValueError("the table has no rows")


def open_rows(rows):
    """The Table in a list of rows, which are lists, tuples or arrays."""
    for k, row in enumerate(rows):
        if not isinstance(row, SEVERAL):
            raise TypeError(f"row {k} is {type(row).__name__} {row!r}; table must be {EXPECTED}")
        if len(row) != len(rows[0]):
            raise ValueError(f"row {k} has {len(row)} values, but row 0 has {len(rows[0])}")
    check_size(len(rows), len(rows[0]) if rows else 1)
    columns = list(zip(*rows, strict=True))
    return Table(None, len(columns), lambda k: read_objects(f"column {k}", list(columns[k])))


def open_dicts(rows):
    """The Table in a list of rows that are dicts by names of columns. What a row does not have is missing in it."""
    for k, row in enumerate(rows):
        if not isinstance(row, dict):
            raise TypeError(f"row {k} is {type(row).__name__} {row!r}, but row 0 is a dict")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    names = as_names(keys)
    check_size(len(rows), len(names))
    return Table(names, len(keys), lambda k: read_objects(f"column {names[k]!r}", [row.get(keys[k]) for row in rows]))


def open_dict(table):
    """The Table in a dict: one row, where it holds values, or columns, where it holds lists and arrays of them."""
    held = [name for name, value in table.items() if holds_several(value)]
    if not held:
        return open_dicts([table])
    if len(held) < len(table):
        other = next(name for name in table if name not in held)
        raise TypeError(f"the dict holds a list at {held[0]!r} and a single value at {other!r}: expected one row")
    names, columns = as_names(table), list(table.values())
    lengths = list(map(len, columns))
    if len(set(lengths)) > 1:
        k = next(k for k, length in enumerate(lengths) if length != lengths[0])
        raise ValueError(f"column {names[k]!r} has {lengths[k]} values, but column {names[0]!r} has {lengths[0]}")
    check_size(lengths[0], len(names))

    def column(k):
        label, values = f"column {names[k]!r}", columns[k]
        if isinstance(values, np.ndarray):
            return read_array(label, values)
        return read_objects(label, list(values)) if isinstance(values, (list, tuple)) else read_series(label, values)

    return Table(names, len(names), column)


def holds_several(value):
    """Whether a value in a dict is a column, not the value of one row."""
    if isinstance(value, SEVERAL):
        return np.ndim(value) > 0 if isinstance(value, np.ndarray) else True
    return type(value).__module__.split(".")[0] in LIBRARIES and hasattr(value, "__len__")


def open_frame(table):
    """The Table in a table that narwhals knows."""
    try:
        import narwhals.stable.v2 as nw
    except ImportError as error:
        raise ImportError("tables need narwhals: pip install 'fastml-cpu[tables]'") from error
    table = nw.to_native(table, pass_through=True)
    try:
        frame = nw.from_native(table)
    except nw.exceptions.DuplicateError:
        as_names(table.column_names if hasattr(type(table), "column_names") else table.columns)
        raise
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(f"table is a lazy {type(table).__name__}: collect it first, as by table.collect()")
    check_size(*frame.shape)
    names, columns = as_names(frame.columns), list(frame.iter_columns())
    return Table(names, len(names), lambda k: read_series(f"column {names[k]!r}", columns[k]))


def as_names(keys):
    """Names of columns as text, a list: ValueError where two of them are the same."""
    names = list(map(str, keys))
    check_unique(names)
    return names


def check_unique(names):
    """ValueError unless names are different."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{len(names)} columns have {len(set(names))} names: there are several {twice[0]!r}")


def listing(names):
    """Names as text, the first twenty of them."""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(map(repr, names[:20])) + more


def arranged(found, names, count, told):
    """The columns, one by one, of what `opened` has found, in the order of the names at fit, or None, of so many.

    Further columns are told of by a warning, unless the set `told` holds their names, and not read. ValueError where
    one is missing, or where the ones have names and the others none.
    """
    if names is None or found.names is None:
        if names is not None or found.names is not None:
            there, here = ("a table with", "one without") if names is not None else ("rows without", "a table with")
            raise ValueError(f"fit was given {there} names of columns, this is {here}: pass what fit was given")
        if found.count != count:
            raise ValueError(f"the table has {found.count} columns, but at fit it had {count}")
        return map(found.column, range(count))
    if found.names == names:
        return map(found.column, range(count))
    places, known = {name: k for k, name in enumerate(found.names)}, set(names)
    missing, further = [n for n in names if n not in places], [n for n in found.names if n not in known]
    if missing:
        raise ValueError("; ".join(said(missing, "missing") + said(further, "unknown, as not there at fit")))
    if not told.issuperset(further):
        told.update(further)
        told_of = said(further, "not known from fit and ignored")[0]
        warnings.warn(f"the table has further columns: {told_of}", UserWarning, stacklevel=5)
    return (found.column(places[name]) for name in names)


def said(names, what):
    """A list of the sentence that these columns are so, or an empty one."""
    if not names:
        return []
    return [f"column {names[0]!r} is {what}" if len(names) == 1 else f"columns {listing(names)} are {what}"]
