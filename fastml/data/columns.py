"""Columns of a table: what one holds. `fastml.data.reading` gets them, `fastml.data.encodings` makes numbers of them.

A column is told by its values: number, boolean, date, duration, text or category. None, NaN, NaT and pandas' NA are
missing values.
"""

import numbers
from dataclasses import dataclass
from datetime import date, time, timedelta, timezone
from decimal import Decimal

import numpy as np

NUMERIC = ("number", "boolean", "date", "date with time zone", "duration")
CATEGORIES = {"text": str, "whole-number category": int, "boolean category": bool}
NOTHING = "nothing"  # the kind of a column whose values are all missing: it goes with each other one
DAY = 86_400e6  # microseconds


@dataclass(frozen=True)
class Column:
    """Values of one column. `label` is what errors call it, `kind` one of NUMERIC, CATEGORIES or NOTHING.

    values : (rows,) float64 with NaN for missing, dates in days from 1970, or a list with None for missing
    missing : (rows,) bool
    whole : the values as whole numbers where they came as such, an array or a list; float64 has no place for some
    """

    label: str
    kind: str
    values: np.ndarray | list
    missing: np.ndarray
    whole: np.ndarray | list | None = None


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
    whole = array if code in "iu" else None
    return numeric(label, "boolean" if code == "b" else "number", values, np.isnan(values), whole)


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
    if categorical and kinds == {"interval"}:  # as pandas.cut makes them: their bounds are their names
        present, kinds, types = list(map(str, present)), {"text"}, {str}
    if kinds == {"boolean", "number"}:  # True is 1, as where columns of both were put together
        kinds = {"number"}
    if None in kinds or "interval" in kinds or len(kinds) > 1:
        raise refused(label, {kind.__name__ for kind in types}, mixed=len(kinds) > 1 and None not in kinds)
    kind = kinds.pop() if kinds else NOTHING
    whole_numbers = categorical and kind == "number" and all(v == v // 1 for v in present)  # pandas may keep floats
    if kind == "text" or whole_numbers or (categorical and kind == "boolean"):
        if kind != "text":
            kind = {"number": "whole-number category", "boolean": "boolean category"}[kind]
        if types != {CATEGORIES[kind]}:
            present = list(map(CATEGORIES[kind], present))
        return Column(label, kind, spread(present, missing, [None] * len(values)), missing)
    whole = None
    if kind == "date":
        kind, present = read_dates(label, present)
    elif kind == "duration":
        present = in_days(np.array(list(map(since_midnight, present)), "timedelta64[us]"))
    else:
        whole = values if kind == "number" and all(issubclass(k, numbers.Integral) for k in types) else None
        try:
            present = np.fromiter(map(float, present), np.float64, len(present))
        except OverflowError:
            raise ValueError(f"{label} holds a number beyond the range of float64") from None
    return numeric(label, kind, spread(present, missing, np.full(len(values), np.nan)), missing, whole)


def read_dates(label, values):
    """The kind of dates, with a time zone or without, and their days from 1970."""
    values = [v.start_time.to_pydatetime() if type(v).__name__ == "Period" else v for v in values]
    zones = {getattr(v, "tzinfo", None) is not None for v in values}
    if len(zones) > 1:
        raise refused(label, {"dates with a time zone", "dates without"}, mixed=True)
    if zones == {False}:
        return "date", in_days(np.array(values, "datetime64[us]"))
    values = [v.astimezone(timezone.utc).replace(tzinfo=None) for v in values]
    return "date with time zone", in_days(np.array(values, "datetime64[us]"))


def since_midnight(value):
    """A time of day as a duration; other values as they are."""
    if not isinstance(value, time):
        return value
    return timedelta(0, (value.hour * 60 + value.minute) * 60 + value.second, value.microsecond)


def kind_of(kind):
    """The kind of a column whose values have this class, or None. That of an Interval of pandas has no encoding."""
    if kind in (str, np.str_):
        return "text"
    if kind in (bool, np.bool_):
        return "boolean"
    if kind.__module__.split(".")[0] == "pandas" and kind.__name__ in ("Period", "Interval"):
        return {"Period": "date", "Interval": "interval"}[kind.__name__]
    if issubclass(kind, (date, np.datetime64)):
        return "date"
    if issubclass(kind, (timedelta, time, np.timedelta64)):
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


def numeric(label, kind, values, missing, whole=None):
    """A column of numbers; ValueError where one is infinite."""
    if missing.all():
        return Column(label, NOTHING, values, missing)
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(f"{label} holds infinity at row {int(np.argmax(infinite))}: expected finite or missing values")
    return Column(label, kind, values, missing, whole)
