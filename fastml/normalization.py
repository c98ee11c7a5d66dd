"""What normalization takes from the rows of the data: centre and scale of each column."""

import numpy as np


def statistics(method, x):
    """``{"mean": centre, "scale": factor}`` for the columns of x : (rows, d), arrays (d,) float64.

    `method` is one of `Normalization.METHODS`. Sums are made in float64. The scale of a constant column is 0, and so it
    is where 1 / spread is beyond the range of x's dtype. ValueError for a column whose spread is.
    """
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    with np.errstate(all="ignore"):
        if method == "standard":
            centre = x.mean(axis=0, dtype=np.float64)
            spread = np.sqrt(np.mean((x - centre) ** 2, axis=0))
        elif method == "minmax":
            centre, spread = low, high - low
        else:
            quarter, centre, three_quarters = np.quantile(x.astype(np.float64), (0.25, 0.5, 0.75), axis=0)
            spread = three_quarters - quarter
            spread = np.where(spread == 0, (high - low) / 2, spread)
        if not np.isfinite(spread).all():
            column = int(np.argmin(np.isfinite(spread)))
            raise ValueError(f"x holds values in column {column} whose spread is beyond the range of float64: scale it")
        scale = np.where(low == high, 0, 1 / spread).astype(x.dtype)
    return {"mean": centre, "scale": np.where(np.isfinite(scale), scale, 0)}
