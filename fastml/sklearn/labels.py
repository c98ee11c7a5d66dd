"""Targets that are missing: None, NaN, NaT and NA have no loss, so whoever gives them has to say what they mean."""

import numpy as np

SHOWN = 10  # rows that are named, at most


def check_present(y, name="y"):
    """ValueError that names the rows where a target is missing, whatever y is: a list, an array or a column."""
    rows = missing_rows(y)
    if len(rows):
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        listed = ", ".join(map(str, rows[:SHOWN].tolist()))
        word = "row" if len(rows) == 1 else "rows"
        raise ValueError(
            f"{name} has missing values (None, NaN, NaT or NA) at {word} {listed}{more}, counted from 0: "
            "leave these rows out, or give them a target"
        )


def missing_rows(y):
    """Indices of the rows of y, of one or several columns, in which a target is missing."""
    if y is None or hasattr(y, "tocsr"):
        return np.zeros(0, int)
    if isinstance(y, (list, tuple)):  # NumPy would make text of a NaN beside text
        found = [any(map(absent, row)) if isinstance(row, (list, tuple)) else absent(row) for row in y]
        return np.flatnonzero(np.array(found, bool))
    try:
        array = np.asarray(y)
    except Exception:  # which others report
        return np.zeros(0, int)
    if array.ndim == 0:
        return np.zeros(0, int)
    if array.dtype.kind == "f":
        found = np.isnan(array)
    elif array.dtype.kind in "mM":
        found = np.isnat(array)
    elif array.dtype == object:
        found = np.fromiter(map(absent, array.ravel()), bool, array.size).reshape(array.shape)
    else:
        return np.zeros(0, int)
    return np.flatnonzero(found.reshape(len(found), -1).any(axis=1)) if found.size else np.zeros(0, int)


def absent(value):
    """Whether a value stands for a missing one."""
    kind = type(value)
    if value is None or kind.__name__ in ("NAType", "NaTType"):
        return True
    if kind is str or kind is int:
        return False
    try:
        return np.ndim(value) == 0 and bool(value != value)  # as only NaN and NaT are
    except (TypeError, ValueError):
        return False
