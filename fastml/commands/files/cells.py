"""What the texts of a column are: numbers, dates, times, truth values or text, decided by the whole column.

A file's columns are guessed one by one; where one can be read in two ways, the others tell how this file is written.
"""

import re
from dataclasses import dataclass, field

import polars as pl

from fastml.commands import listing
from fastml.commands.figures import many
from fastml.commands.files.moments import Dates, dates, looks_like_date, times
from fastml.commands.files.numerals import NOTHING, Numerals, numerals
from fastml.commands.files.style import spread

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
    *("#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#ERROR!", "#WERT!", "#NV", "#BEZUG!", "#ZAHL!", "#VALEUR!"),
    *("#N/D", "#N/V", "[NULL]", "not available"),
    *("#NOMBRE!", "#¡VALOR!", "#¡DIV/0!", "-nan(ind)", "1.#QNAN", "1.#IND", "-1.#IND"),
)
LONG = 2**53  # whole numbers beyond this are names, as float64 cannot tell them apart
FEW = 1000  # different texts that tell whether it is worth to look at all
MOSTLY = 0.9  # share of the different texts that are numbers, from which on it is worth a remark
EPOCHS = {  # of 1973 to 2128
    "s": ("seconds", 10**8, 5 * 10**9),
    "ms": ("milliseconds", 10**11, 5 * 10**12),
    "us": ("microseconds", 10**14, 5 * 10**15),
    "ns": ("nanoseconds", 10**17, 5 * 10**18),
}
CALENDAR = (19000101, 20991231), (190001010000, 209912312359), (19000101000000, 20991231235959)  # dates, and with times
TYPES = {"number": pl.Float64, "boolean": pl.Boolean, "date": pl.Datetime("us"), "time": pl.Duration("us")}
NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?")
CLOCKS = r"(?i)(time|date|stamp|epoch|created|updated|_at$|_ts$|^ts$)"


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
        return "." if self.kind == "number" and self.ready.dtype == pl.Float64 and self.ready.count() else None


def without(texts, gaps):
    """Texts with null for what stands for a missing value."""
    found = texts.is_in(list(gaps))
    return texts.set(found, None) if found.any() else texts


def without_given(texts, gaps):
    """Texts with null for the gaps that a user gives, numbers among them in any writing: -999 is -999.0, too."""
    texts = without(texts, gaps)
    numbers = [float(gap) for gap in gaps if NUMBER.fullmatch(gap)]
    found = texts.cast(pl.Float64, strict=False).is_in(numbers).fill_null(False) if numbers else None
    return texts if found is None or not found.any() else texts.set(found, None)


def guess(texts, style, wanted=None, target=False):
    """The Guess for a column of text, without spaces around."""
    texts = without(texts, GAPS) if style.gaps is None else without_given(texts, style.gaps)
    found = Guess(texts.name, texts, wanted)
    if wanted not in (None, "text") and not any(len(distinct(part, style)) for part in (texts.head(FEW), texts)):
        found.kind, found.ready = wanted, pl.Series(texts.name, [None] * len(texts), TYPES[wanted])
        return found
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
    if parsed.is_nan().any():  # in any case, and with a sign
        texts, parsed = texts.set(parsed.is_nan().fill_null(False), None), parsed.fill_nan(None)
        found.texts = texts
    failed = texts.filter(parsed.is_null() & texts.is_not_null()).unique()
    if style.gaps is None:
        failed = failed.filter(~failed.is_in(list(VALUE_GAPS)))
    if len(failed) or parsed.null_count() == len(parsed):
        return False
    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == parsed.null_count():
        return read_whole(found, texts, whole)
    if found.wanted is None and texts.str.contains(r"^[-+]?([0-9]{17,}|0[0-9]+)$").any():  # names
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
    low, high = whole.min(), whole.max()
    if found.wanted in (None, "date") and any(least <= low <= high <= most for least, most in CALENDAR):
        moments = dates(texts.drop_nulls().unique())
        if moments and (found.wanted or len(moments.texts) > 2):
            found.kind, found.moments = "date", moments
            return True
    if found.wanted == "date" or (found.wanted is None and pl.Series([found.name]).str.contains(CLOCKS).item()):
        unit = unit_of_epoch(whole)
        if unit:
            found.kind, found.ready = "date", pl.select(pl.from_epoch(whole, unit)).to_series().cast(pl.Datetime("us"))
            found.notes.append(f"column {found.name!r} is read as {EPOCHS[unit][0]} since 1970")
            return True
    if found.wanted is None and is_name(texts, whole):
        return True
    found.kind, found.ready = "number", whole
    return True


def is_name(texts, whole):
    """Whether whole numbers are names, such as 007 or numbers of twenty digits."""
    zeros = texts.filter(texts.str.starts_with("0") | texts.str.starts_with("-0"))
    return bool(zeros.str.contains(r"^-?0[0-9]").any()) or bool((whole.abs() >= LONG).any())


def unit_of_epoch(whole):
    """The unit in which whole numbers count from 1970, by their size, or None."""
    low, high = whole.min(), whole.max()
    return next((unit for unit, (_, least, most) in EPOCHS.items() if least <= low and high <= most), None)


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
    looks = some.str.contains(rf"[0-9]|{NOTHING}").mean()
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
    if known.parts["body"].str.contains(r"^0[0-9]+$").any():  # a name, such as 007
        return False
    found.kind, found.numbers, found.unit = "number", known, known.unit
    return True


def read_dates(found, texts, style):
    present = distinct(texts, style)
    if not len(present) or not present.head(FEW).str.contains(r"[0-9]").all():
        return False
    found.moments = dates(present)
    if found.moments is None:
        odd = present.filter(~looks_like_date(present))
        if 0 < len(odd) <= (1 - MOSTLY) * len(present):
            count = texts.is_in(odd.to_list()).sum()
            found.notes.append(
                f"column {found.name!r} is taken as text, as it holds dates and {many(count, 'other value')}: "
                f"{listing(sorted(odd.to_list()), 3)}; if these stand for gaps, --na says so"
            )
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
