"""What the texts of a column are: numbers, dates, times, truth values or text, decided by the whole column.

A file's columns are guessed one by one; where one can be read in two ways, the others tell how this file is written.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from fastml.commands import CommandError, listing
from fastml.commands.figures import many
from fastml.commands.files.moments import Dates, build, dates, times
from fastml.commands.files.numerals import Numerals, numerals, told_apart, values

# What stands for a missing value, beside nothing: the first in any column, the second in all but the target, where they
# may be a class, the third in columns that are no text.
GAPS = (
    *("NA", "N/A", "n/a", "na", "#N/A", "#NA", "<NA>", "N.A.", "n.a.", "NaN", "nan", "-nan", "NAN", "null", "NULL"),
    *("Null", "(null)", "?", "\\N", "#NULL!"),
)
NOTHINGS = ("None", "none", "NONE", "nil", "NIL")
VALUE_GAPS = (
    *NOTHINGS,
    *("-", "--", "---", "–", "—", ".", "..", "...", "*", "**", "x", "X", "/", ":", "n/d", "N/D", "nd", "ND", "NaT"),
    *("unknown", "Unknown", "UNKNOWN", "missing", "Missing", "blank", "(blank)"),
    *("#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#ERROR!"),
)
LONG = 2**53  # whole numbers beyond this are names, as float64 cannot tell them apart
FEW = 1000  # different texts that tell whether it is worth to look at all
EUROPEAN = ("€", "EUR", "kr", "kr.", "zł", "Kč", "PLN", "CZK", "DKK", "SEK", "NOK", "HUF", "CHF")
MOSTLY = 0.9  # share of the different texts that are numbers, from which on it is worth a remark
EPOCHS = {"s": ("seconds", 10**8, 5 * 10**9), "ms": ("milliseconds", 10**11, 5 * 10**12)}  # of 1973 to 2128
CLOCKS = r"(?i)(time|date|stamp|epoch|created|updated|_at$|_ts$|^ts$)"


class Style(NamedTuple):
    """How a file is written, where that is known.

    decimal : "." or ","; day_first : whether days come before months; gaps : texts; separator : between its columns
    """

    decimal: str | None = None
    day_first: bool | None = None
    gaps: tuple | None = None
    separator: str | None = None


AS_IT_IS = Style()  # of which nothing is known


@dataclass
class Guess:
    """A column of text and what it seems to hold: the kind is "number", "date", "time", "boolean" or "text".

    wanted : the kind that it must have, where that is known
    ready : its values, where the style does not matter; else what numerals or moments tell of its different texts
    """

    name: str
    texts: pl.Series
    wanted: str | None = None
    kind: str = "text"
    ready: pl.Series | None = None
    numbers: Numerals | None = None
    moments: Dates | None = None
    unit: str = ""
    notes: list = field(default_factory=list)

    @property
    def decimal(self):
        """The decimal sign that the column tells without doubt, or None."""
        if self.numbers:
            return self.numbers.decimal
        return "." if self.kind == "number" and self.ready.dtype == pl.Float64 else None


def without(texts, gaps):
    """Texts with null for what stands for a missing value."""
    found = texts.is_in(list(gaps))
    return texts.set(found, None) if found.any() else texts


def guess(texts, style, wanted=None, target=False):
    """The Guess for a column of text, without spaces around."""
    texts = without(texts, GAPS if style.gaps is None else style.gaps)
    found = Guess(texts.name, texts, wanted)
    if wanted == "text" or not any(read(found, texts, style) for read in READERS):
        found.texts = texts if target or style.gaps is not None else without(texts, NOTHINGS)
    return found


def distinct(texts, style):
    """The different texts of a column that is not text, without gaps."""
    present = texts.drop_nulls().unique()
    return present if style.gaps is not None else present.filter(~present.is_in(list(VALUE_GAPS)))


def read_plain(found, texts, style):
    """Numbers as machines write them: 12, -1.5, 1e-3."""
    parsed = texts.cast(pl.Float64, strict=False)
    failed = texts.filter(parsed.is_null() & texts.is_not_null()).unique()
    if style.gaps is None:
        failed = failed.filter(~failed.is_in(list(VALUE_GAPS)))
    if len(failed) or parsed.null_count() == len(parsed):
        return False
    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == parsed.null_count():
        return read_whole(found, texts, whole)
    if found.wanted is None and texts.str.contains(r"^[-+]?(\d{17,}|0\d+)$").any():  # names
        return True
    found.kind = "number"
    found.numbers = numerals(distinct(texts.head(FEW), style))
    if found.numbers and found.numbers.comma:  # 1.234 may be 1234
        found.numbers = numerals(distinct(texts, style))
    if not found.numbers or not found.numbers.comma:
        found.numbers, found.ready = None, parsed
    return True


def read_whole(found, texts, whole):
    """Whole numbers: seconds since 1970, dates such as 20200131, names such as 007, or numbers."""
    if found.wanted == "date" or (found.wanted is None and pl.Series([found.name]).str.contains(CLOCKS).item()):
        unit = unit_of_epoch(whole, found.wanted is None)
        if unit:
            found.kind, found.ready = "date", pl.select(pl.from_epoch(whole, unit)).to_series().cast(pl.Datetime("us"))
            found.notes.append(f"column {found.name!r} is read as {EPOCHS[unit][0]} since 1970")
            return True
    if found.wanted in (None, "date") and 19000101 <= whole.min() <= whole.max() <= 20991231:
        moments = dates(texts.drop_nulls().unique())
        if moments and (found.wanted or len(moments.texts) > 2):
            found.kind, found.moments = "date", moments
            return True
    if found.wanted is None and is_name(texts, whole):
        return True
    found.kind, found.ready = "number", whole
    return True


def is_name(texts, whole):
    """Whether whole numbers are names, such as 007 or numbers of twenty digits."""
    zeros = texts.filter(texts.str.starts_with("0") | texts.str.starts_with("-0"))
    return bool(zeros.str.contains(r"^-?0\d").any()) or bool((whole.abs() >= LONG).any())


def unit_of_epoch(whole, strict):
    """The unit in which whole numbers count from 1970, or None; if not strict, of numbers that are known to do so."""
    low, high = whole.min(), whole.max()
    for unit, (_, least, most) in EPOCHS.items():
        if (least <= low or not strict) and high <= most:
            return unit
    return None


def read_truth(found, texts, style):
    """True and false."""
    present = distinct(texts.head(FEW), style)
    if not 0 < len(present) <= 2 or not present.str.contains(r"^(?i:true|false)$").all():
        return False
    small = texts.str.to_lowercase()
    known = pl.select(pl.when(small == "true").then(True).when(small == "false").then(False)).to_series()
    odd = distinct(texts.filter(known.is_null()), style)
    if len(odd):
        return False
    found.kind, found.ready = "boolean", known.alias(found.name)
    return True


def read_numerals(found, texts, style):
    """Numbers as people write them."""
    present = distinct(texts, style)
    if not len(present):
        return False
    some = present.head(FEW)
    looks = some.str.contains(r"\d").mean()
    if looks < MOSTLY:
        return False
    known = numerals(present) if looks == 1 else None
    if known is None:
        plain = present.cast(pl.Float64, strict=False)
        odd = present.filter(plain.is_null())
        if len(odd) <= (1 - MOSTLY) * len(present):
            count = texts.is_in(odd.to_list()).sum()
            found.notes.append(
                f"column {found.name!r} is taken as text, as it holds numbers and {many(count, 'other value')}: "
                f"{listing(sorted(odd.to_list()), 3)}; if these stand for gaps, --na says so"
            )
        return False
    if known.parts["body"].str.contains(r"^0\d").any():  # a name, such as 007
        return False
    found.kind, found.numbers, found.unit = "number", known, known.unit
    return True


def read_dates(found, texts, style):
    present = distinct(texts, style)
    if not len(present) or not present.head(FEW).str.contains(r"\d").all():
        return False
    found.moments = dates(present)
    if found.moments is None:
        return False
    found.kind = "date"
    return True


def read_times(found, texts, style):
    present = distinct(texts, style)
    length = times(present) if len(present) else None
    if length is None:
        return False
    found.kind = "time"
    found.ready = spread(texts, present, length)
    return True


READERS = (read_plain, read_truth, read_numerals, read_dates, read_times)


def spread(texts, different, found):
    """The values of different texts, put where the texts are."""
    known = pl.DataFrame({"text": different, "value": found})
    joined = pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")
    return joined["value"].alias(texts.name)


def style_of(guesses, given, prior, separator):
    """The Style of a file: what is given, or what columns tell that can be read in one way only, or the prior one.

    Where commas separate the columns, and did not in the prior file, they are no decimal signs.
    """
    decimals = {g.decimal for g in guesses} - {None}
    orders = {g.moments.day_first for g in guesses if g.moments and g.moments.numeric} - {None}
    by_comma = "." if separator == "," else None
    unknown = prior.decimal or by_comma if separator == prior.separator else by_comma or prior.decimal
    decimal = given.decimal or (decimals.pop() if len(decimals) == 1 else prior.decimal if decimals else unknown)
    day_first = given.day_first
    if day_first is None:
        day_first = orders.pop() if len(orders) == 1 else prior.day_first
    return Style(decimal, day_first, given.gaps, separator)


def finish(found, style):
    """The column's values as a Series; CommandError where they can be read in two ways. Adds to its notes."""
    if found.ready is not None:
        return found.ready
    if found.kind == "number":
        series = values(found.numbers, decimal_sign(found, style))
        return spread(found.texts, found.numbers.parts["text"], series)
    if found.kind == "date":
        moments = found.moments
        first = moments.day_first
        if moments.numeric and first is None:
            first = style.day_first
            if first is None:
                first = moments.dotted or style.decimal == ","
                order = "day, month" if first else "month, day"
                found.notes.append(
                    f"dates in column {found.name!r} could be read in two ways and are taken as {order}, year: "
                    f"--day-first {'no' if first else 'yes'} tells the other"
                )
        series = build(moments.parts, first is True)
        if moments.zoned:
            series = series.dt.replace_time_zone("UTC")
        return spread(found.texts, moments.texts, series)
    return found.texts


def sign_of_points(found, style, body):
    """The decimal sign where points stand before three digits in all numbers that have one. Adds a remark."""
    example = found.numbers.parts["text"].filter(body.str.contains(".", literal=True)).min()
    groups = told_apart(body)
    if groups or style.separator == ";" or found.unit in EUROPEAN:
        word, other = ("thousands", ".") if groups else ("decimal signs", ",")
        found.notes.append(
            f"points in column {found.name!r} are taken for {word}, as in {example!r}: else say --decimal {other}"
        )
    return "," if groups else "."


def decimal_sign(found, style):
    """The decimal sign of a column of numerals."""
    numbers = found.numbers
    if numbers.decimal:
        return numbers.decimal
    body = numbers.parts["body"]
    if not numbers.grouped:
        return "."  # whole numbers
    if style.decimal:
        return style.decimal
    if not body.str.contains(",", literal=True).any():
        return sign_of_points(found, style, body)
    if told_apart(body) or body.str.contains(r",\d{3},").any():
        return "."
    example = numbers.parts["text"].filter(body.str.contains(",", literal=True)).min()
    raise CommandError(
        f"column {found.name!r} can be read in two ways, as {example!r} may be {example.replace(',', '')} or "
        f"{example.replace(',', '.')}: --decimal , or --decimal . tells which"
    )
