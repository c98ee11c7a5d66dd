"""Columns of a table: what one holds, and how it becomes numbers. `fastml.tables` puts them together.

A column is told by its values: number, boolean, date, duration, text or category. None, NaN, NaT and pandas' NA are
missing values. Of the three encodings each is a few plain values that a file can hold.
"""

import numbers
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date, timedelta, timezone
from decimal import Decimal
from itertools import repeat
from typing import ClassVar

import numpy as np

NUMERIC = ("number", "boolean", "date", "date with time zone", "duration")
CATEGORIES = {"text": str, "whole-number category": int, "boolean category": bool}
NOTHING = "nothing"  # the kind of a column whose values are all missing: it goes with each other one
DAY = 86_400e6  # microseconds
MOST_CODES = 2**24  # float32 holds the whole numbers below exactly


@dataclass(frozen=True)
class Column:
    """Values of one column. `label` is what errors call it, `kind` one of NUMERIC, CATEGORIES or NOTHING.

    values : (rows,) float64 with NaN for missing, dates in days from 1970, or a list with None for missing
    missing : (rows,) bool
    """

    label: str
    kind: str
    values: np.ndarray | list
    missing: np.ndarray


def read_array(label, array, categorical=False, zoned=False):
    """The column in a NumPy array. `categorical` and `zoned` say what its dtype cannot: categories, a time zone."""
    code = array.dtype.kind
    if array.ndim != 1 or code not in "biufMmOUT":
        raise refused(label, {"list" if array.ndim > 1 else str(array.dtype)})
    if categorical or code in "OUT":
        return read_objects(label, array.tolist(), categorical)
    if code in "Mm":
        missing, days = np.isnat(array), in_days(array)
        kind = "duration" if code == "m" else "date with time zone" if zoned else "date"
        return numeric(label, kind, np.where(missing, np.nan, days), missing)
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        values = np.ascontiguousarray(array, np.float64)
    return numeric(label, "boolean" if code == "b" else "number", values, np.isnan(values))


def read_objects(label, values, categorical=False):
    """The column in a list of Python objects, which must be of one kind. Numbers in text stay text."""
    types = set(map(type, values))
    blank = {kind for kind in types if kind is type(None) or kind.__name__ in ("NAType", "NaTType")}
    unequal = tuple(k for k in types if issubclass(k, (float, np.floating, Decimal, np.datetime64, np.timedelta64)))
    missing = np.zeros(len(values), bool)
    if blank or unequal:  # only NaN and NaT are unequal to themselves; NA does not say
        found = (type(v) in blank or (isinstance(v, unequal) and v != v) for v in values)
        missing = np.fromiter(found, bool, len(values))
    present = [v for v, gone in zip(values, missing.tolist(), strict=True) if not gone] if missing.any() else values
    types = set(map(type, present))
    kinds = {kind_of(kind) for kind in types}
    if None in kinds or len(kinds) > 1:
        raise refused(label, {kind.__name__ for kind in types}, mixed=None not in kinds)
    kind = kinds.pop() if kinds else NOTHING
    if kind == "text" or (categorical and kind in ("number", "boolean")):
        if kind != "text":  # pandas may keep whole-number categories as floats
            if kind == "number" and any(v != v // 1 for v in present):
                raise refused(label, {"categories that are no whole numbers"})
            kind = {"number": "whole-number category", "boolean": "boolean category"}[kind]
        if types != {CATEGORIES[kind]}:
            present = list(map(CATEGORIES[kind], present))
        return Column(label, kind, spread(present, missing, [None] * len(values)), missing)
    if kind == "date":
        zones = {getattr(v, "tzinfo", None) is not None for v in present}
        if len(zones) > 1:
            raise refused(label, {"dates with a time zone", "dates without"}, mixed=True)
        if zones == {True}:
            kind = "date with time zone"
            present = [v.astimezone(timezone.utc).replace(tzinfo=None) for v in present]
        present = in_days(np.array(present, "datetime64[us]"))
    elif kind == "duration":
        present = in_days(np.array(present, "timedelta64[us]"))
    else:
        try:
            present = np.fromiter(map(float, present), np.float64, len(present))
        except OverflowError:
            raise ValueError(f"{label} holds a number beyond the range of float64") from None
    return numeric(label, kind, spread(present, missing, np.full(len(values), np.nan)), missing)


def kind_of(kind):
    """The kind of a column whose values have this class, or None."""
    if kind in (str, np.str_):
        return "text"
    if kind in (bool, np.bool_):
        return "boolean"
    if issubclass(kind, (date, np.datetime64)):
        return "date"
    if issubclass(kind, (timedelta, np.timedelta64)):
        return "duration"
    return "number" if issubclass(kind, (numbers.Real, Decimal)) else None


def refused(label, held, mixed=False):
    """The TypeError for a column that has no encoding."""
    held = " and ".join(sorted(held))
    if mixed:
        return TypeError(f"{label} mixes {held}: make all its values of one kind, or leave the column out")
    return TypeError(
        f"{label} holds {held}, for which there is no encoding: turn it into numbers, booleans, text or dates, "
        "or leave the column out"
    )


def spread(present, missing, values):
    """`values` with those that are not missing put in their places."""
    if not missing.any():
        return present
    if isinstance(values, np.ndarray):
        values[~missing] = present
    else:
        for row, value in zip(np.flatnonzero(~missing).tolist(), present, strict=True):
            values[row] = value
    return values


def in_days(array):
    """Days, float64, of an array of times or durations; of NaT anything."""
    return array.astype(f"{array.dtype.kind}8[us]").astype(np.int64) / DAY


def numeric(label, kind, values, missing):
    """A column of numbers; ValueError where one is infinite."""
    if missing.all():
        return Column(label, NOTHING, values, missing)
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(f"{label} holds infinity at row {int(np.argmax(infinite))}: expected finite or missing values")
    return Column(label, kind, values, missing)


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
        return told + (f"; missing: {text(self.median)}, and a flag" if self.missing else "")


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


def fit_column(column, one_hot_limit, embed_limit):
    """The encoding of a column, and a warning or None."""
    if column.kind == NOTHING:
        raise ValueError(f"{column.label} holds missing values only: leave the column out")
    if column.kind in NUMERIC:
        return Number.fit(column), None
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


ENCODINGS = {kind.encoding: kind for kind in (Number, OneHot, Codes)}


def describe(encoding):
    """An encoding as what JSON holds."""
    return {"encoding": encoding.encoding, **asdict(encoding)}


def restore(description):
    """The encoding that was described. ValueError, TypeError or KeyError where it is not a description."""
    arguments = dict(description)
    return ENCODINGS[arguments.pop("encoding")](**arguments)
