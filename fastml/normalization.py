"""What normalization takes from the rows of the data: centre and scale of each column."""

import numpy as np


def statistics(method, x, weights=None):
    """``{"mean": centre, "scale": factor}`` for the columns of x : (rows, d), arrays (d,) float64.

    `method` is one of `Normalization.METHODS`. Sums are made in float64, of what is left of the least value, so that a
    small spread beside a large mean is not lost. The scale of a constant column is 0, and so it is where 1 / spread is
    beyond the range of x's dtype. ValueError for a column whose spread is.

    weights : (rows,) or None. A row of weight k counts like k rows; one of weight 0 does not count.
    """
    if weights is not None:
        x, weights = x[weights > 0], weights[weights > 0]
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
        scale = np.where(span == 0, 0, 1 / spread).astype(x.dtype)
    return {"mean": np.where(span == 0, low, centre), "scale": np.where(np.isfinite(scale), scale, 0)}
