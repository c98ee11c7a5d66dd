"""Columns that hold at prediction what they held at fit, but written otherwise: each becomes one of the kind at fit.

Booleans may come as 0 and 1, categories as plain whole numbers, numbers as text, dates and times of day as ISO 8601
text, as JSON and files of text have them; and the reverse. What could mean two things is refused.
"""

import re
from datetime import time

import numpy as np

from fastml.data.columns import DAY, NOTHING, Column, in_days, numeric, since_midnight

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"([+-]?\d+)(\.0*)?", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
BOOLEANS = {"true": 1.0, "false": 0.0}
EXPECTED = {
    "number": "a number",
    "boolean": "True or False, or 1 or 0",
    "boolean category": "True or False, or 1 or 0",
    "whole-number category": "a whole number",
    "date": "a date as YYYY-MM-DD, with or without a time HH:MM:SS",
    "date with time zone": "a date and time with its distance from UTC, as 2024-02-29T12:00:00+01:00",
    "duration": "a time of day as HH:MM:SS",
}
PLAIN = ("number", "boolean", "whole-number category", "boolean category")  # which stand for numbers


def as_kind(column, kind, known=()):
    """The column as one of this kind; `known` are the categories, if it has such.

    TypeError where the one does not stand for the other; it names the first row that does not.
    """
    if column.kind == "text" and kind == "text":
        return same_text(column, known)
    if column.kind in (kind, NOTHING) or kind == NOTHING:
        return column
    if column.kind in PLAIN and kind in PLAIN:
        return of_numbers(column, kind)
    if column.kind == "text" and kind in EXPECTED:
        return of_text(column, kind)
    if kind == "text" and column.kind in PLAIN and any(map(WHOLE.fullmatch, known)):
        return as_text(column, known)
    raise differs(column, kind)


def differs(column, kind, row=None, value=None):
    """The TypeError of a column that is not of the kind at fit."""
    told = f"{column.label} is of kind {column.kind}, but at fit it was of kind {kind}"
    return TypeError(told if row is None else f"{told}: it holds {value!r} at row {row}, expected {EXPECTED[kind]}")


def of_numbers(column, kind):
    """A column of numbers, booleans or categories that are such, as another of them."""
    values = column.values
    if isinstance(values, list):
        values = [np.nan if v is None else float(v) for v in values]
    values = np.asarray(values, np.float64)
    if kind == "number":
        return numeric(column.label, kind, values, column.missing)
    if kind.startswith("boolean"):
        wrong = ~(column.missing | (values == 0) | (values == 1))
    else:
        wrong = ~(column.missing | (values == np.floor(values)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise differs(column, kind, row, values[row].item())
    if kind == "boolean":
        return numeric(column.label, kind, values, column.missing)
    make = bool if kind == "boolean category" else int
    exact = values.tolist() if column.whole is None or make is bool else column.whole
    missing = column.missing.tolist()
    return Column(
        column.label, kind, [None if m else make(v) for v, m in zip(exact, missing, strict=True)], column.missing
    )


def of_text(column, kind):
    """A column of text as one of numbers, booleans, dates or times of day; TypeError where one value is none."""
    values = np.full(len(column.values), np.nan)
    reader = READERS[kind]
    for row, text in enumerate(column.values):
        if text is None:
            continue
        try:
            values[row] = reader(text.strip())
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise differs(column, kind, row, text) from None
    found = "number" if kind.endswith("category") else kind
    read = numeric(column.label, found, values, column.missing)
    return of_numbers(read, kind) if found != kind else read


def number_of(text):
    """The number in a text; TypeError for none."""
    return float(NUMBER.fullmatch(text).group())


def day_of(text, zoned):
    """Days from 1970 of a date in ISO 8601; a ValueError or TypeError unless it has a time zone, or has none."""
    match = DATE.fullmatch(text)
    text = match.group()
    zone = match.group(4)
    if (zone is not None) is not zoned:
        raise ValueError
    moment = np.datetime64(text[: len(text) - len(zone)] if zone else text, "us")
    days = in_days(np.array([moment]))[0]
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        days -= (1 if zone[0] == "+" else -1) * (hours * 60 + minutes) * 60e6 / DAY
    return days


def time_of(text):
    """Days from midnight of a time of day in ISO 8601."""
    moment = time.fromisoformat(TIME.fullmatch(text).group())
    return since_midnight(moment).total_seconds() * 1e6 / DAY


READERS = {
    "number": number_of,
    "whole-number category": number_of,
    "boolean": lambda text: BOOLEANS[text.lower()] if text.lower() in BOOLEANS else number_of(text),
    "boolean category": lambda text: BOOLEANS[text.lower()] if text.lower() in BOOLEANS else number_of(text),
    "date": lambda text: day_of(text, False),
    "date with time zone": lambda text: day_of(text, True),
    "duration": time_of,
}


def as_text(column, known):
    """A column of numbers as text, in the form in which the categories that are known have them."""
    known, values = set(known), []
    exact = column.values if column.whole is None else column.whole
    for value, missing in zip(exact if isinstance(exact, list) else exact.tolist(), column.missing, strict=True):
        if missing:
            values.append(None)
            continue
        text = str(int(value)) if value == int(value) else repr(float(value))
        longer = f"{text}.0"
        values.append(longer if text not in known and longer in known else text)
    return Column(column.label, "text", values, column.missing)


def same_text(column, known):
    """A column of text in which "3.0" is "3" where that alone is a category that is known, or the reverse."""
    if not any(map(WHOLE.fullmatch, known)):
        return column
    known, other = set(known), {}
    for text in set(column.values) - known - {None}:
        match = WHOLE.fullmatch(text)
        for form in (match.group(1), f"{match.group(1)}.0") if match else ():
            if form in known:
                other[text] = form
    if not other:
        return column
    return Column(column.label, "text", [other.get(text, text) for text in column.values], column.missing)
