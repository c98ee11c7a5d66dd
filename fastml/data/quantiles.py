"""Numbers as normal scores: a column becomes normally distributed, whatever its own distribution, outliers included."""

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from fastml.data.columns import NUMERIC

LEAST, MOST = 11, 999  # points of a column: an odd number, so that the median is among them
EACH = 30  # rows for each point


@dataclass(frozen=True)
class Quantiles:
    """Normal scores: Φ⁻¹ of the share of rows at fit whose value is less, a line between two of its `points`.

    points : quantiles of the column at equal steps of probability. A value that many rows have is several of them; it
    gets the score of the middle of these rows. Values beyond the ends are taken as the ends, missing ones as the
    median; if `missing`, a second column is 1 for those and 0 for others. Source of the number of points: Gorishniy,
    Kotelnikov & Babenko, "TabM", 2025.
    """

    encoding: ClassVar = "quantiles"
    kind: str
    points: list
    rows: int
    missing: bool

    def __post_init__(self):
        if self.kind not in NUMERIC:
            raise ValueError(f"no kind of numbers: {self.kind!r}")
        right = type(self.points) is list and len(self.points) >= 2 and all(type(p) is float for p in self.points)
        if not right or not np.isfinite(self.points).all() or (np.diff(self.points) < 0).any():
            raise ValueError("points must be a list of finite floats, at least two, none below the one before")
        if type(self.rows) is not int or not 1 <= self.rows < 2**53 or len(self.points) > MOST:
            raise ValueError(f"there are {len(self.points)} points of {self.rows!r} rows")
        if type(self.missing) is not bool:
            raise ValueError(f"missing is {self.missing!r}")

    @classmethod
    def fit(cls, column):
        """The encoding of a column."""
        present = column.values[~column.missing] if column.missing.any() else column.values
        count = int(np.clip(len(present) // EACH, LEAST, MOST)) // 2 * 2 + 1
        points = np.quantile(present.astype(np.float64), np.linspace(0, 1, count), method="nearest")
        return cls(column.kind, np.maximum.accumulate(points).tolist(), len(present), bool(column.missing.any()))

    @property
    def median(self):
        """What missing values are taken as."""
        return self.points[len(self.points) // 2]

    @property
    def width(self):
        """Number of columns in the output."""
        return 1 + self.missing

    def names(self, name):
        """Names of these columns."""
        return [name, f"{name} is missing"][: self.width]

    def write(self, column, out):
        """Encodes a column into out : (rows, width), which holds zeros."""
        values = np.where(column.missing, self.median, column.values) if column.missing.any() else column.values
        out[:, 0] = self.scores(values.astype(np.float64))
        if self.missing:
            out[:, 1] = column.missing

    @cached_property
    def curve(self):
        """The values that are among the points, and their scores: of one that is several points, of the middle one."""
        count = len(self.points)
        values, first, times = np.unique(self.points, return_index=True, return_counts=True)
        edge = 0.5 / max(self.rows, count)  # the ends are as far as so many rows would have them
        shares = ((first + (times - 1) / 2) / (count - 1)).clip(edge, 1 - edge)
        return values, np.array([NormalDist().inv_cdf(share) for share in shares.tolist()])

    def scores(self, values):
        """The normal scores of values (rows,); those of a constant column are 0."""
        return np.interp(values, *self.curve)

    def tells(self):
        """What happens to a column, in words."""
        if self.points[0] == self.points[-1]:
            return "constant: 0"
        told = f"normal scores, by {len(self.points)} quantiles"
        return told + ("; gaps become the median, with a flag" if self.missing else "")
