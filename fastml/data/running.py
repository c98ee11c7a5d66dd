"""Statistics of columns whose rows come in chunks: those of all rows so far, in float64."""

import numpy as np

from fastml.data.statistics import measured, scale_of
from fastml.program.random import Stream

ROWS = 32  # that a column must have had since it varies for its spread to be trusted
SAMPLE = 1000  # rows, at most, of which quantiles are those of all
NUMBERS = 10**6  # that the samples of all columns hold, where these are not so many that ROWS of each are more
GOLDEN = (5**0.5 - 1) / 2


def rows_of_sample(columns):
    """How many rows a sample of so many columns holds, at most."""
    return min(SAMPLE, max(ROWS, NUMBERS // max(1, columns)))


def around(middle, reach):
    """What is so far below and above, or the ends of the range of float64."""
    with np.errstate(over="ignore"):
        return np.nan_to_num(middle - reach), np.nan_to_num(middle + reach)


class Running:
    """Centre and spread of each column over all rows so far, by one of `Normalization.METHODS`.

    `with_rows` gives that of more rows; nothing is changed in place. Means and standard deviations of chunks are merged
    as in Chan, Golub & LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979, with
    standard deviations in place of sums of squares, which may overflow. Quantiles are those of a sample of the rows,
    drawn by chance of a fixed seed; they are exact at first and up to 1000 rows, or fewer of more than 1000 columns.

    Attributes: rows and their weight in all, low, high, centre, spread : (d,) float64, and `varied` : (d,), the rows
    since each column varies, those of the chunk included in which it began. With quantiles, which "robust" needs, also
    the sample : (k, d) with weights and keys : (k,), or `points` : (3, d), quartiles, see `assume`.
    """

    KEPT = ("rows", "weight", "low", "high", "centre", "spread", "varied", "points", "sample", "weights", "keys")
    points = None

    def __init__(self, method, quantiles=None, **kept):
        self.method, self.quantiles = method, method == "robust" if quantiles is None else quantiles
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
        """{"mean", "scale"} for a network of dtype, as of `fastml.data.statistics.statistics`."""
        return {"mean": self.mean, "scale": scale_of(self.high - self.low, self.spread, dtype)}

    def assume(self, middle, reach):
        """Lets a median, with quartiles this far from it, stand for the rows so far, of which none is kept."""
        low, high = around(middle, reach)
        self.quantiles, self.points = True, np.stack([low, middle, high])

    def with_rows(self, x, weights=None, dtype=np.float64, columns=None):
        """The Running of the rows so far and of x : (rows, d), which a network of dtype takes; ValueError as there.

        Of so many columns, d unless given, there are samples, which share the room for them.
        """
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
            new._draw(self, x, weights, rows_of_sample(columns or x.shape[1]))
        if self.rows:
            new._merge(self, weight / new.weight)
        new.varied = np.where(new.constant, 0, rows + (self.varied if self.rows else 0))
        return new

    def median(self):
        """The median of each column, of the sample."""
        return self._quantile(0.5) if self.points is None else self.points[1]

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

    def _draw(self, before, x, weights, most):
        """A sample of the rows: those whose random numbers, one for each, are least, and at most so many."""
        keys = Stream(before.rows, 0).uniform((len(x),))
        weights = np.ones(len(x)) if weights is None else weights
        parts = x.astype(np.float64), weights, keys
        if before.rows:
            parts = [np.concatenate(pair) for pair in zip(before._drawn(most), parts, strict=True)]
        if len(parts[2]) > most:
            least = np.sort(np.argpartition(parts[2], most)[:most])
            parts = [part[least] for part in parts]
        self.sample, self.weights, self.keys = parts

    def _drawn(self, most):
        """The sample, its weights and keys. For rows that are not kept, at most so many values with their quartiles.

        These are evenly spaced, in an order in which the first of them always are, nearly (multiples of the golden
        ratio). Their keys are the least of as many random numbers as there were rows, by the exponential steps between
        these (Rényi, "On the theory of order statistics", 1953): so they give way to later rows as rows would.
        """
        if self.points is None:
            return self.sample, self.weights, self.keys
        kept = min(self.rows, most)
        steps = -np.log1p(-Stream(0, 0).uniform((kept,))) / (self.rows - np.arange(kept))
        order = (np.arange(kept) * GOLDEN % 1).argsort().argsort()
        places = np.linspace(-2, 2, kept)[order] if kept > 1 else np.zeros(1)  # the quartiles are at -1, 0 and 1
        with np.errstate(over="ignore"):
            values = self.points[1] + places[:, None] * (self.points[2] / 2 - self.points[0] / 2)
        return np.nan_to_num(values), np.full(kept, self.weight / self.rows), -np.expm1(-steps.cumsum())

    def _quantile(self, shares):
        how = {} if (self.weights == 1).all() else {"weights": self.weights, "method": "inverted_cdf"}
        return np.quantile(self.sample, shares, axis=0, **how)

    def to_dict(self):
        """What a file holds of it; `from_dict` brings it back exactly."""
        kept = {name: vars(self)[name] for name in self.KEPT if vars(self).get(name) is not None}
        return {"method": self.method, "quantiles": self.quantiles, **kept}

    @classmethod
    def from_dict(cls, kept):
        """The Running that was described; ValueError or TypeError for anything else."""
        unknown = set(kept) - {"method", "quantiles", *cls.KEPT}
        if unknown:
            raise ValueError(f"statistics have no {', '.join(sorted(unknown))}")
        return cls(**kept)
