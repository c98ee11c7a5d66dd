"""Encodings: how a column of a table becomes numbers. Each is a few plain values that a file can hold."""

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import ClassVar

import numpy as np

from fastml.data.columns import CATEGORIES, NOTHING, NUMERIC
from fastml.data.quantiles import Quantiles

MOST_CODES = 2**24  # float32 holds the whole numbers below exactly


def check(condition, message):
    """ValueError unless the condition holds."""
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class Number:
    """Standardized: (value - mean) / std, with a mean and std of 0 and 1 for booleans; 0 where std is 0.

    Missing values are taken as the median. If `missing`, a second column is 1 for them and 0 for others.
    """

    encoding: ClassVar = "number"
    kind: str
    mean: float
    std: float
    median: float
    missing: bool

    def __post_init__(self):
        check(self.kind in NUMERIC, f"no kind of numbers: {self.kind!r}")
        for value in (self.mean, self.std, self.median):
            check(type(value) is float and np.isfinite(value), f"expected a finite float, got {value!r}")
        check(self.std >= 0, f"std is {self.std}")
        check(type(self.missing) is bool, f"missing is {self.missing!r}")

    @classmethod
    def fit(cls, column):
        """The encoding of a column. Powers of two, which are exact, keep squares and sums within float64."""
        present = column.values[~column.missing] if column.missing.any() else column.values
        exponent = int(np.frexp(np.abs(present).max())[1])
        small = np.ldexp(present, -exponent)
        constant = present.min() == present.max()
        moments = (present[0], 0) if constant else np.ldexp((small.mean(), small.std()), exponent)
        if column.kind == "boolean":
            moments = 0, 1
        median = np.ldexp(np.median(small), exponent)
        return cls(column.kind, float(moments[0]), float(moments[1]), float(median), bool(column.missing.any()))

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
        if self.std:
            with np.errstate(over="ignore", invalid="ignore"):
                out[:, 0] = values if column.kind == "boolean" else (values - self.mean) / self.std
            finite = np.isfinite(out[:, 0])
            if not finite.all():
                row = int(np.argmin(finite))
                raise ValueError(
                    f"{column.label} holds {values[row]:g} at row {row}, which is too far from the mean, "
                    f"{self.mean:g}, to be standardized in {out.dtype}"
                )
        if self.missing:
            out[:, 1] = column.missing

    def tells(self):
        """What happens to a column, in words."""
        unit = "" if self.kind in ("number", "boolean") else " days"

        def text(value):
            return str(np.datetime64(round(value), "D")) if self.kind.startswith("date") else f"{value:.4g}"

        told = f"standardized: mean {text(self.mean)}, std {self.std:.4g}{unit}" if self.std else "constant: 0"
        told = "0 or 1" if self.kind == "boolean" else told
        return told + (f"; gaps become {text(self.median)}, with a flag" if self.missing else "")


@dataclass(frozen=True)
class OneHot:
    """A column of 0 and 1 for each category, in sorted order, and if `missing` a last one for missing values.

    A category that is not among them has zeros.
    """

    encoding: ClassVar = "one-hot"
    kind: str
    categories: list
    missing: bool

    def __post_init__(self):
        check_categories(self.kind, self.categories)
        check(self.categories, "no categories")
        check(type(self.missing) is bool, f"missing is {self.missing!r}")

    @property
    def width(self):
        """Number of columns in the output."""
        return len(self.categories) + self.missing

    def names(self, name):
        """Names of these columns."""
        return [*(f"{name}={category}" for category in self.categories), f"{name} is missing"][: self.width]

    def write(self, column, out):
        """Encodes a column into out : (rows, width), which holds zeros."""
        found = codes(column, self.categories)
        rows = np.flatnonzero(found)
        out[rows, found[rows] - 1] = 1
        if self.missing:
            out[:, -1] = column.missing

    def tells(self):
        """What happens to a column, in words."""
        return f"one-hot: {len(self.categories)} categories" + (" and missing" if self.missing else "")


@dataclass(frozen=True)
class Codes:
    """One column of whole numbers: 1 for the first of the categories, and so on; 0 for others and missing values.

    The most frequent category comes first, among equals the lesser.
    """

    encoding: ClassVar = "codes"
    kind: str
    categories: list
    width: ClassVar = 1

    def __post_init__(self):
        check_categories(self.kind, self.categories)
        check(len(self.categories) < MOST_CODES, f"{len(self.categories)} categories are too many")

    def names(self, name):
        """Names of these columns."""
        return [name]

    def write(self, column, out):
        """Encodes a column into out : (rows, 1)."""
        out[:, 0] = codes(column, self.categories)

    def tells(self):
        """What happens to a column, in words."""
        return f"codes 1 to {len(self.categories)} of categories; 0: rare, unknown or missing"


@dataclass(frozen=True)
class Empty:
    """No column at all, of a column that had no value at fit."""

    encoding: ClassVar = "nothing"
    kind: str = NOTHING
    width: ClassVar = 0
    missing: ClassVar = False

    def __post_init__(self):
        check(self.kind == NOTHING, f"a column without values is of kind {self.kind!r}")

    def names(self, name):
        """Names of these columns: none."""
        return []

    def write(self, column, out):
        """Nothing."""

    def tells(self):
        """What happens to a column, in words."""
        return "no value at fit: left out"


def check_categories(kind, categories):
    """ValueError unless these are different categories of a kind."""
    check(kind in CATEGORIES, f"no kind of categories: {kind!r}")
    check(type(categories) is list, f"categories are {categories!r}")
    for category in categories:
        check(type(category) is CATEGORIES[kind], f"{category!r} is no {kind}")
    check(len(set(categories)) == len(categories), "a category is there twice")


def codes(column, categories):
    """1 for the first category, and so on, 0 for what is none, as an array (rows,) of integers."""
    known = {category: code for code, category in enumerate(categories, 1)}
    return np.fromiter(map(known.get, column.values, repeat(0)), np.int64, len(column.values))


def fit_column(column, one_hot_limit, embed_limit, numbers="standard"):
    """The encoding of a column, and a warning or None."""
    if column.kind == NOTHING:
        return Empty(), f"{column.label} holds missing values only: it is left out, and later values are ignored"
    if column.kind in NUMERIC:
        scored = numbers == "quantile" and column.kind != "boolean"
        return (Quantiles if scored else Number).fit(column), None
    counts = Counter(column.values)
    counts.pop(None, None)
    if len(counts) <= one_hot_limit:
        return OneHot(column.kind, sorted(counts), bool(column.missing.any())), None
    often = sorted((c for c, count in counts.items() if count > 1), key=lambda c: (-counts[c], c))[:embed_limit]
    present, coded = counts.total(), sum(counts[c] for c in often)
    warning = None
    if 2 * coded < present:
        warning = (
            f"{column.label} holds {len(counts)} categories in {present} rows, of which {present - coded} have no code "
            "of their own: if it is an identifier or free text, leave the column out"
        )
    return Codes(column.kind, often), warning


ENCODINGS = {kind.encoding: kind for kind in (Number, Quantiles, OneHot, Codes, Empty)}


def describe(encoding):
    """An encoding as what JSON holds."""
    return {"encoding": encoding.encoding, **asdict(encoding)}


def restore(description):
    """The encoding that was described. ValueError, TypeError or KeyError where it is not a description."""
    arguments = dict(description)
    return ENCODINGS[arguments.pop("encoding")](**arguments)
