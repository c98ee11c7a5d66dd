"""Axes that fit what is drawn: without far outliers, of any unit, and of values that are all the same."""

from typing import NamedTuple

import numpy as np

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LARGEST = 1e306  # that is drawn
MIDDLE, SCRATCH = 0.99, 3.0  # of the values; how many times as wide as they the axis may be before it is cut


class Scale(NamedTuple):
    """Of values, (value - offset) / 10**exponent is drawn, and `words` after the name of the axis say so."""

    offset: float = 0.0
    exponent: int = 0

    @classmethod
    def of(cls, low, high):
        """For an axis from low to high: numbers from 0.001 to a million stay as they are."""
        size, spread = max(abs(low), abs(high)), high - low
        offset = 0.0
        if 0 < spread < 1e-4 * size:  # all about the same: their differences are drawn
            offset, size = float(f"{low:.3e}") if spread > 1e-4 * size else low, spread
        exponent = int(np.floor(np.log10(size) / 3)) * 3 if size and not 1e-3 <= size < 1e6 else 0
        return cls(float(offset), exponent)

    def __call__(self, values):
        values = np.asarray(values, float) - self.offset
        half = self.exponent // 2  # 10**-324 is 0
        return values / 10.0**half / 10.0 ** (self.exponent - half)

    @property
    def words(self):
        """What is to be said beside the name of an axis."""
        text = f" − {self.offset:g}" if self.offset > 0 else f" + {-self.offset:g}" if self.offset else ""
        return text + (f", in 10{str(self.exponent).translate(SUPERSCRIPTS)}" if self.exponent else "")


def limits(*arrays):
    """The ends of an axis for all values, or for all but far outliers; not the same where values are.

    An axis is cut where the middle 99 % of the values would take less than a third of it: half their width beyond.
    """
    values = np.concatenate([np.ravel(array) for array in arrays])
    values = values[np.isfinite(values)].clip(-LARGEST, LARGEST)
    if not len(values):
        return 0.0, 1.0
    low, high = values.min(), values.max()
    first, last = np.quantile(values, ((1 - MIDDLE) / 2, (1 + MIDDLE) / 2), method="closest_observation")
    width = last - first
    if width > 0 and high - low > SCRATCH * width and len(values) > 20:
        low, high = max(low, first - width / 2), min(high, last + width / 2)
    if not high > low:
        half = abs(low) / 2 or 1.0
        return float(low - half), float(high + half)
    margin = 0.04 * (high - low)
    return float(low - margin), float(high + margin)


def outside(values, ends):
    """Which values an axis with these ends leaves out."""
    return ~((values >= ends[0]) & (values <= ends[1]))


def thinned(x, y, most=300):
    """A curve of at most so many points, evenly along its way; both ends and the shape stay."""
    if len(x) <= most:
        return x, y
    way = np.append(0, np.cumsum(np.hypot(np.diff(x), np.diff(y))))
    kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], most)).clip(0, len(x) - 1))
    kept = np.unique([0, *kept, len(x) - 1])
    return x[kept], y[kept]
