"""Gaps in plain numbers: NaN where all values at fit were there is taken as the median, as in tables."""

import numpy as np

from fastml.data.kinds import as_kind
from fastml.data.reading import arranged, listing, opened

FLOATS = (np.float64, np.float32)
COLUMNS = 64  # whose medians are computed at a time


def medians_of(x):
    """Medians (columns,) float64 of the columns of x : (rows, columns), which has no gaps."""
    blocks = (np.array(x[:, k : k + COLUMNS].T, np.float64, order="C") for k in range(0, x.shape[1], COLUMNS))
    return np.concatenate([np.median(block, axis=1, overwrite_input=True) for block in blocks])


def filled(x, medians, names=None):
    """x : (rows, columns) with medians in place of NaN; x itself where there is none. ValueError without medians.

    These may be a function that gives them, which is asked where there is a gap.
    """
    if x.dtype.kind != "f" or not isinstance(x, np.ndarray):
        return x
    with np.errstate(all="ignore"):
        if not np.isnan(x.sum()):  # a quick look: infinite values of both signs have a sum of NaN, too
            return x
    gaps = np.isnan(x)
    if not gaps.any():
        return x
    medians = medians() if callable(medians) else medians
    if medians is None:
        columns = np.flatnonzero(gaps.any(axis=0)).tolist()
        told = listing([str(names[k]) for k in columns] if names is not None else columns)
        raise ValueError(f"X has missing values (NaN) in columns {told}, for which the model knows no medians")
    with np.errstate(over="ignore"):
        return np.where(gaps, medians, x).astype(x.dtype, copy=False)


def plain_matrix(X, names, columns, told):
    """A matrix (rows, columns) of float32 or float64 from what holds numbers alone, with NaN for gaps.

    Columns of tables, and those of dicts, are found by their names. ValueError or TypeError for other columns.
    """
    if hasattr(X, "tocsr") or (isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf"):
        if np.ma.is_masked(X):
            raise ValueError("X is a masked array with masked values: fill them first, as with NaN")
        if X.shape[1] != columns:
            raise ValueError(f"X has {X.shape[1]} columns, but the model takes {columns}")
        return X if X.dtype in FLOATS else X.astype(np.float64)
    found = arranged(opened(X), None if names is None else list(names), columns, told)
    return np.column_stack([as_kind(column, "number").values for column in found])
