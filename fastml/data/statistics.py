"""What normalization takes from the rows of the data: centre and scale of each column, in float64, before any cast.

Beside them goes the question whether the cast comes too early: in a column whose mean is many spreads away from 0, as
seconds since 1970 are, float32 would lose the digits that tell its rows apart. The mean of such a column is subtracted
in float64, where the data come in, and what is left is cast: `shift_of` names these columns.
"""

import numpy as np

FAR = 2.0**8  # spreads between a mean and 0, from where on a cast to float32 comes after the subtraction
WHOLE = 2.0**24  # float32 holds the whole numbers up to here


def statistics(method, x, weights=None, dtype=None):
    """``{"mean": centre, "scale": factor}`` for the columns of x : (rows, d), arrays (d,), the mean in float64.

    `method` is one of `Normalization.METHODS`. The scale of a constant column is 0, and so it is where 1 / spread is
    beyond the range of dtype, that of x if none is given. ValueError for a column whose spread is beyond float64.

    weights : (rows,) or None. A row of weight k counts like k rows; one of weight 0 does not count.
    """
    dtype = x.dtype if dtype is None else dtype
    low, high, centre, spread = measured(method, x, weights, dtype)
    return {"mean": centre, "scale": scale_of(high - low, spread, dtype)}


def scale_of(span, spread, dtype):
    """Factors of dtype for columns of this range, float64 (d,), and spread; 0 where there is none."""
    with np.errstate(all="ignore"):
        scale = np.where(span == 0, 0, 1 / spread).astype(dtype)
    return np.where(np.isfinite(scale), scale, 0)


def measured(method, x, weights, dtype):
    """Least and largest value, centre and spread of the columns of x : (rows, d), as a network of dtype sees them.

    A column that would lose digits by the cast is taken as it came.
    """
    if weights is not None:
        x, weights = x[weights > 0], weights[weights > 0]
    if x.dtype == dtype:
        return measure(method, x, weights)
    with np.errstate(over="ignore", invalid="ignore"):
        cast = x.astype(dtype)
        near = np.isfinite(cast).all(axis=0)
        found = np.empty((4, x.shape[1]))
        if near.all():
            found[:] = measure(method, cast, weights)
        elif near.any():
            found[:, near] = measure(method, np.ascontiguousarray(cast[:, near]), weights)
        near[near] = np.abs(found[2, near]) <= FAR * found[3, near]
    if not near.all():
        found[:, ~near] = measure(method, x[:, ~near], weights)
    return found


def measure(method, x, weights=None):
    """Least and largest value, centre and spread of the columns of x : (rows, d), arrays (d,) float64.

    Sums are made of what is left of the least value, so that a small spread beside a large mean is not lost. Where all
    values are equal, that is the centre.
    """
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    with np.errstate(all="ignore"):
        span = high - low
        if not np.isfinite(span).all():
            column = int(np.argmin(np.isfinite(span)))
            raise ValueError(f"x holds values in column {column} whose spread is beyond the range of float64: scale it")
        if method == "standard":
            share = (x - low) / np.where(span == 0, 1, span)  # from 0 to 1: its square cannot overflow
            middle = np.average(share, axis=0, weights=weights)
            centre = low + span * middle
            spread = span * np.sqrt(np.average((share - middle) ** 2, axis=0, weights=weights))
        elif method == "minmax":
            centre, spread = low, span
        else:
            how = {} if weights is None else {"weights": weights, "method": "inverted_cdf"}
            quarter, centre, three_quarters = np.quantile(x.astype(np.float64), (0.25, 0.5, 0.75), axis=0, **how)
            spread = three_quarters - quarter
            spread = np.where(spread == 0, span / 2, spread)
    return low, high, np.where(span == 0, low, centre), spread


def renewed(method, known, x, dtype, weights=None):
    """The statistics after rows x of a model that knows these, {"mean", "scale"} or None; None where they stay.

    What is known stays, but for columns that were constant so far and vary in these rows: of those with a weight,
    where rows have weights.
    """
    if not np.isfinite(x).all():
        return None  # others say where
    if known is None:
        return statistics(method, x, dtype=dtype)
    columns = np.flatnonzero(known["scale"] == 0)
    if not columns.size:
        return None
    x = x[:, columns] if weights is None else x[np.ix_(weights > 0, columns)]
    varies = (x != x[:1]).any(axis=0)
    if not varies.any():
        return None
    found = statistics(method, x[:, varies], dtype=dtype)
    result = {name: values.copy() for name, values in known.items()}
    for name, values in found.items():
        result[name][columns[varies]] = values
    return result


def shift_of(mean, scale, dtype):
    """What to subtract from each column before the cast to dtype, float64 (d,), or None where that is no better.

    It is the mean where that is far from 0 beside the spread, 1 / scale, or in a constant column, no exact number in
    float32; else 0.
    """
    if np.dtype(dtype) == np.float64:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.abs(mean).astype(dtype).astype(np.float64)  # as for those who only know the rounded one
        far = np.where(scale == 0, size > WHOLE, size * np.abs(scale) > FAR)
    return np.where(far, mean, 0.0) if far.any() else None
