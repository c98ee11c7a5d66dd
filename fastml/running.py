"""Statistics of columns whose rows come in chunks: those of all rows so far, in float64."""

import numpy as np

from fastml.normalization import measured, scale_of
from fastml.random import Stream

ROWS = 32  # that a column must have had since it varies for its spread to be trusted
SAMPLE = 1000  # rows of which quantiles are those of all


class Running:
    """Centre and spread of each column over all rows so far, by one of `Normalization.METHODS`.

    `with_rows` gives that of more rows; nothing is changed in place. Means and standard deviations of chunks are merged
    as in Chan, Golub & LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979, with
    standard deviations in place of sums of squares, which may overflow. Quantiles are those of a sample of the rows,
    drawn by chance of a fixed seed; they are exact at first and up to 1000 rows.

    Attributes: rows and their weight in all, low, high, centre, spread : (d,) float64, and `varied` : (d,), the rows
    since each column varies, those of the chunk included in which it began.
    """

    KEPT = ("rows", "weight", "low", "high", "centre", "spread", "varied", "sample", "weights", "keys")

    def __init__(self, method, quantiles=False, **kept):
        self.method, self.quantiles = method, quantiles or method == "robust"
        self.rows = self.weight = 0
        vars(self).update(kept)

    @property
    def mean(self):
        """The centre of each column; that of one that is constant is its value."""
        return np.where(self.high == self.low, self.low, self.centre)

    @property
    def constant(self):
        """Which columns have not varied so far."""
        return self.high == self.low

    @property
    def trusted(self):
        """Of which columns enough rows are known for the spread to say something."""
        return self.varied >= ROWS

    def reach(self, dtype):
        """How far a column goes from its least to its largest value, in units of its normalization for dtype."""
        return (self.high - self.low) * scale_of(self.high - self.low, self.spread, dtype)

    def statistics(self, dtype):
        """{"mean", "scale"} for a network of dtype, as of `fastml.normalization.statistics`."""
        return {"mean": self.mean, "scale": scale_of(self.high - self.low, self.spread, dtype)}

    def with_rows(self, x, weights=None, dtype=np.float64):
        """The Running of the rows so far and of x : (rows, d), which a network of dtype takes; ValueError as there."""
        if weights is not None:
            x, weights = x[weights > 0], weights[weights > 0]
        rows = len(x)
        if not rows:
            return self
        low, high, centre, spread = measured(self.method, x, weights, dtype)
        weight = float(rows if weights is None else weights.sum())
        new = Running(self.method, self.quantiles, rows=self.rows + rows, weight=self.weight + weight)
        new.low, new.high, new.centre, new.spread = low, high, centre, spread
        if self.quantiles:
            new._draw(self, x, weights)
        if self.rows:
            new._merge(self, weight / new.weight)
        new.varied = np.where(new.constant, 0, rows + (self.varied if self.rows else 0))
        return new

    def median(self):
        """The median of each column, of the sample."""
        return self._quantile(0.5)

    def _merge(self, before, share):
        """Brings in the rows before; those here have this share of the weight of all."""
        with np.errstate(over="ignore"):
            self.low, self.high = np.minimum(self.low, before.low), np.maximum(self.high, before.high)
            span = self.high - self.low
        if not np.isfinite(span).all():
            column = int(np.argmin(np.isfinite(span)))
            raise ValueError(f"x holds values in column {column} whose spread is beyond the range of float64: scale it")
        if self.method == "minmax":
            self.centre, self.spread = self.low, span
        elif self.method == "robust":
            quarter, self.centre, three_quarters = self._quantile((0.25, 0.5, 0.75))
            spread = three_quarters - quarter
            self.spread = np.where(spread == 0, span / 2, spread)
        else:
            step = self.centre - before.centre
            within = np.hypot(np.sqrt(1 - share) * before.spread, np.sqrt(share) * self.spread)
            self.spread = np.hypot(within, np.sqrt(share * (1 - share)) * step)
            self.centre = before.centre + share * step

    def _draw(self, before, x, weights):
        """A sample of the rows: those whose random numbers, one for each, are least."""
        keys = Stream(before.rows, 0).uniform(len(x))
        weights = np.ones(len(x)) if weights is None else weights
        parts = x.astype(np.float64), weights, keys
        if before.rows:
            kept = before.sample, before.weights, before.keys
            parts = [np.concatenate(pair) for pair in zip(kept, parts, strict=True)]
        if len(parts[2]) > SAMPLE:
            least = np.sort(np.argpartition(parts[2], SAMPLE)[:SAMPLE])
            parts = [part[least] for part in parts]
        self.sample, self.weights, self.keys = parts

    def _quantile(self, shares):
        how = {} if (self.weights == 1).all() else {"weights": self.weights, "method": "inverted_cdf"}
        return np.quantile(self.sample, shares, axis=0, **how)

    def to_dict(self):
        """What a file holds of it; `from_dict` brings it back exactly."""
        kept = {name: getattr(self, name) for name in self.KEPT if hasattr(self, name)}
        return {"method": self.method, "quantiles": self.quantiles, **kept}

    @classmethod
    def from_dict(cls, kept):
        """The Running that was described; ValueError or TypeError for anything else."""
        unknown = set(kept) - {"method", "quantiles", *cls.KEPT}
        if unknown:
            raise ValueError(f"statistics have no {', '.join(sorted(unknown))}")
        return cls(**kept)
