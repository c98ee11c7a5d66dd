"""Dates, times of day and durations as people and programs write them.

31.01.2020, 1/31/2020 5:45 PM, 2020-01-31T17:45:00+01:00, 31-Jan-20, 3. März 2020, 2020-01, 17:45. Whether the day or
the month comes first is told by a whole column, or where that is not enough, by the file's other columns.
"""

from typing import NamedTuple

import polars as pl

NAMES = (  # of the months in English, German, French, Spanish, Italian, Portuguese and Dutch, and short ones
    "january januar janvier enero gennaio janeiro januari",
    "february februar février fevrier febrero febbraio fevereiro februari",
    "march märz maerz mars marzo março maart mrz mrt",
    "april avril abril aprile",
    "may mai mayo maggio maio mei",
    "june juni juin junio giugno junho",
    "july juli juillet julio luglio julho",
    "august août aout agosto augustus",
    "september septembre septiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro",
    "november novembre noviembre novembro",
    "december dezember décembre decembre diciembre dicembre dezembro",
)
MONTHS = {  # by the beginnings of names, of which French jui is that of two
    name[:size]: month
    for month, names in enumerate(NAMES, 1)
    for name in names.split()
    for size in range(3, len(name) + 1)
    if name[:size] != "jui"
}
CLOCK = (
    r"(?P<hour>[01]?[0-9]|2[0-3])[:.](?P<minute>[0-5][0-9])"
    r"(?:[:.](?P<second>[0-5][0-9])(?:[.,](?P<fraction>[0-9]{1,9}))?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
)
ZONE = r"\s*(?P<zone>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?"
BEHIND = rf"(?:(?:[T\s]|,\s?)\s*{CLOCK}{ZONE})?$"
BEFORE = r"^(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
MONTH = rf"(?P<name>(?i:{'|'.join(sorted(MONTHS, key=len, reverse=True))}))\.?"
YEAR, WHOLE_YEAR = r"(?P<year>[0-9]{4}|[0-9]{2})", r"(?P<year>[0-9]{4})"
DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|er)?"
TWO_NUMBERS = rf"{BEFORE}(?P<first>[0-9]{{1,2}})[-/. ]\s?(?P<second_place>[0-9]{{1,2}})[-/. ]\s?{YEAR}{BEHIND}"
FORMS = (
    rf"{BEFORE}{WHOLE_YEAR}[-/.](?P<first>[0-9]{{1,2}})[-/.](?P<second_place>[0-9]{{1,2}}){BEHIND}",
    TWO_NUMBERS,
    rf"{BEFORE}{DAY}[-/\s.]\s?(?:de\s)?{MONTH}[-/\s,]\s?(?:de\s)?{YEAR}{BEHIND}",
    rf"{BEFORE}{MONTH}\s{DAY},?\s{WHOLE_YEAR}{BEHIND}",
    rf"^{DAY}/?{MONTH}/?{WHOLE_YEAR}(?::{CLOCK}{ZONE})?$",  # of SAS, and of servers' logs
    rf"{BEFORE}{MONTH}\s+{DAY}\s{CLOCK}{ZONE}\s{WHOLE_YEAR}$",  # of C's asctime
    rf"^{MONTH}(?:[-/\s]\s?{WHOLE_YEAR}|[-/](?P<short>[0-9]{{2}}))$",  # a month
)
COMPACT = r"^(?P<year>(?:19|20)[0-9]{2})(?P<first>[0-9]{2})(?P<second_place>[0-9]{2})$"
COMPACT_TIME = (
    r"^(?P<year>(?:19|20)[0-9]{2})(?P<first>0[1-9]|1[0-2])(?P<second_place>0[1-9]|[12][0-9]|3[01])"
    r"(?P<hour>[01][0-9]|2[0-3])(?P<minute>[0-5][0-9])(?P<second>[0-5][0-9])?$"
)
YEAR_AND_MONTH = r"^(?P<year>(?:19|20)[0-9]{2})[-/](?P<first>0[1-9]|1[0-2])$"
LENGTH = (
    r"^(?P<minus>-?)(?P<days>[0-9]+ days?,? )?(?P<hour>[0-9]{1,4}):(?P<minute>[0-5][0-9])"
    r"(?::(?P<second>[0-5][0-9])(?:[.,](?P<fraction>[0-9]{1,9}))?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?$"
)
PIVOT = 69  # two digits from here on are years of the last century, as POSIX has it
PIECES = ("year", "first", "second_place", "day", "name", "hour", "minute", "second", "fraction", "half", "zone")


class Dates(NamedTuple):
    """Different texts that are dates, in pieces.

    numeric : whether day and month stand before the year as numbers, and their order matters
    day_first : whether the day comes first, None where both are possible
    dotted : whether the parts stand between points, as where the day comes first
    zoned : whether they have time zones; short : whether years have two digits
    """

    texts: pl.Series
    parts: pl.DataFrame
    numeric: bool
    day_first: bool | None
    dotted: bool
    zoned: bool
    short: bool


def dates(texts):
    """Dates of a Series of different texts, or None where they are not all dates."""
    for form in (*FORMS, COMPACT, COMPACT_TIME, YEAR_AND_MONTH):
        if not texts.head(20).str.contains(form).all():
            continue
        parts = texts.str.extract_groups(form).struct.unnest()
        if "short" in parts.columns:
            parts = parts.with_columns(pl.coalesce("year", "short").alias("year")).drop("short")
        if parts["year"].null_count() or (form is YEAR_AND_MONTH and seasons(parts)):
            continue
        missing = [pl.lit(None, pl.String).alias(piece) for piece in PIECES if piece not in parts.columns]
        parts = parts.with_columns(missing)
        zones = parts["zone"].null_count()
        if 0 < zones < len(texts):
            return None
        order = order_of(parts, form)
        if order is NotImplemented or build(parts, order is True).null_count():
            return None
        dotted = form is TWO_NUMBERS and bool(texts.str.contains(r"^[0-9]+\.").all())
        short = bool((parts["year"].str.len_chars() == 2).any())
        if dotted and short and order is False:  # rather versions of programs
            return None
        return Dates(texts, parts, form is TWO_NUMBERS, order, dotted, not zones, short)
    return None


def looks_like_date(texts):
    """Which texts are written like dates."""
    return pl.select(pl.any_horizontal(texts.str.contains(form) for form in FORMS)).to_series()


def seasons(parts):
    """Whether years and months may be seasons, such as 2010-11 and 2011-12."""
    year, month = (parts[piece].cast(pl.Int32) for piece in ("year", "first"))
    return bool(((year + 1) % 100 == month).all())


def order_of(parts, form):
    """Whether the day comes first, None where both fit; NotImplemented where neither does."""
    if form is not TWO_NUMBERS:
        return False
    first, second = (parts[piece].cast(pl.Int32).max() for piece in ("first", "second_place"))
    if first > 12 and second > 12:
        return NotImplemented
    return True if first > 12 else False if second > 12 else None


def build(parts, day_first):
    """The moments, (rows,) Datetime in microseconds, in UTC where there are zones; null for a day that is not there."""

    def number(piece, default=0):
        return pl.col(piece).cast(pl.Int32).fill_null(default)

    year = number("year")
    short = pl.col("year").str.len_chars() == 2
    year = pl.when(short).then(year + pl.when(year >= PIVOT).then(1900).otherwise(2000)).otherwise(year)
    named = pl.col("name").str.to_lowercase().replace_strict(MONTHS, default=None, return_dtype=pl.Int32)
    first, second = ("second_place", "first") if day_first else ("first", "second_place")
    month = pl.coalesce(named, pl.col(first).cast(pl.Int32))
    day = pl.coalesce(pl.col("day").cast(pl.Int32), pl.col(second).cast(pl.Int32), 1)
    pieces = (part.cast(pl.String).str.zfill(width) for part, width in ((year, 4), (month, 2), (day, 2)))
    text = pl.concat_str(*pieces, separator="-")
    date = text.str.to_date("%Y-%m-%d", strict=False)
    moment = date.cast(pl.Datetime("us")) + clock(number) - offset()
    return parts.select(moment).to_series()


def clock(number):
    """The time since midnight of pieces, a Duration; null where there is no such time."""
    hour = number("hour")
    late = pl.col("half").str.to_lowercase().str.starts_with("p").fill_null(False)
    twelve = pl.col("half").is_not_null()
    right = pl.when(twelve).then(hour.is_between(1, 12)).otherwise(True)
    hour = pl.when(twelve).then(hour % 12 + pl.when(late).then(12).otherwise(0)).otherwise(hour)
    fraction = pl.col("fraction").fill_null("0").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int32)
    whole = pl.duration(hours=hour, minutes=number("minute"), seconds=number("second"), microseconds=fraction)
    return pl.when(right).then(whole)


def offset():
    """How far the zone of pieces is from UTC."""
    zone = pl.col("zone")
    signs = zone.str.replace_all(r"[^0-9]", "")
    hours = signs.str.slice(0, 2).cast(pl.Int32, strict=False).fill_null(0)
    minutes = signs.str.slice(2, 2).cast(pl.Int32, strict=False).fill_null(0)
    sign = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    return pl.duration(minutes=pl.when(zone.is_null()).then(0).otherwise(sign * (60 * hours + minutes)))


def times(texts):
    """Times of day or durations, (rows,) Duration, of a Series of texts, or None where they are not all such."""
    if not texts.head(20).str.contains(LENGTH).all():
        return None
    parts = texts.str.extract_groups(LENGTH).struct.unnest()
    if parts["minute"].null_count():
        return None

    def number(piece):
        return pl.col(piece).cast(pl.Int32).fill_null(0)

    days = pl.col("days").str.extract(r"([0-9]+)").cast(pl.Int64).fill_null(0)
    length = pl.duration(days=days) + clock(number)
    found = parts.select(pl.when(pl.col("minus") == "-").then(-length).otherwise(length)).to_series()
    return None if found.null_count() else found
