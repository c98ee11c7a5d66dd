"""How a file is written, as a whole: which sign is the decimal one, whether days come before months.

A column that can be read in two ways is decided by what the user says, or by the file's other columns, or by the file
that the model was trained with, if it has the same separator. Where none of these tells, there is a remark or an error.
"""

from typing import NamedTuple

import polars as pl

from fastml.commands import CommandError
from fastml.commands.files.moments import build
from fastml.commands.files.numerals import ends_in_zero, told_apart, values

EUROPEAN = ("€", "EUR", "kr", "kr.", "zł", "Kč", "PLN", "CZK", "DKK", "SEK", "NOK", "HUF", "CHF")


class Style(NamedTuple):
    """How a file is written, where that is known.

    decimal : "." or ","; day_first : whether days come before months; gaps : texts; separator : between its columns
    """

    decimal: str | None = None
    day_first: bool | None = None
    gaps: tuple | None = None
    separator: str | None = None


AS_IT_IS = Style()  # of which nothing is known


def style_of(guesses, given, prior, separator):
    """The Style of a file: what is given, or what columns tell that can be read in one way only, or the prior one."""
    prior = prior if separator == prior.separator else AS_IT_IS
    decimals = {g.decimal for g in guesses} - {None}
    orders = {g.moments.day_first for g in guesses if g.moments and g.moments.numeric} - {None}
    decimal = given.decimal or (decimals.pop() if len(decimals) == 1 else None if decimals else prior.decimal)
    day_first = given.day_first
    if day_first is None:
        day_first = orders.pop() if len(orders) == 1 else None if orders else prior.day_first
    return Style(decimal, day_first, given.gaps, separator)


def values_of(found, style, given=AS_IT_IS):
    """The column's values as a Series; CommandError where they can be read in two ways. Adds to its notes."""
    if given.decimal and found.decimal not in (None, given.decimal):
        found.notes.append(
            f"column {found.name!r} has {found.decimal!r} as its decimal sign, other than --decimal says"
        )
    if found.ready is not None:
        return found.ready
    if found.kind == "number":
        return spread(found.texts, found.numbers.parts["text"], values(found.numbers, decimal_sign(found, style)))
    if found.kind == "date":
        series = build(found.moments.parts, day_first(found, style, given) is True)
        if found.moments.zoned:
            series = series.dt.replace_time_zone("UTC")
        return spread(found.texts, found.moments.texts, series)
    return found.texts


def spread(texts, different, found):
    """The values of different texts, put where the texts are."""
    known = pl.DataFrame({"text": different, "value": found})
    joined = pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")
    return joined["value"].alias(texts.name)


def day_first(found, style, given):
    """Whether days come before months in a column of dates. Adds remarks where that is assumed."""
    moments, first = found.moments, found.moments.day_first
    if moments.numeric and first is None:
        known = style.day_first if given.day_first is not None or not moments.dotted else None
        first = (moments.dotted or style.decimal == ",") if known is None else known
        if known is None and not moments.dotted:
            order = "day, month" if first else "month, day"
            found.notes.append(
                f"dates in column {found.name!r} could be read in two ways and are taken as {order}, year: "
                f"--day-first {'no' if first else 'yes'} tells the other"
            )
    elif moments.numeric and given.day_first not in (None, first):
        found.notes.append(f"dates in column {found.name!r} can be read in one way only, other than --day-first says")
    if moments.short:
        order = "" if not moments.numeric else " as day, month, year" if first else " as month, day, year"
        found.notes.append(
            f"dates in column {found.name!r} have years of two digits, and are read{order}, of 1969 to 2068"
        )
    return first


def decimal_sign(found, style):
    """The decimal sign of a column of numerals."""
    numbers = found.numbers
    if numbers.decimal or not numbers.grouped:
        return numbers.decimal or "."  # those without a sign are whole numbers
    if style.decimal:
        return style.decimal
    body = numbers.parts["body"]
    if not body.str.contains(",", literal=True).any():
        return sign_of_points(found, style, body)
    if told_apart(body) or body.str.contains(r",[0-9]{3},").any():
        return "."
    example = numbers.parts["text"].filter(body.str.contains(",", literal=True)).min()
    if style.separator == ",":
        found.notes.append(
            f"commas in column {found.name!r} are taken for thousands, as in {example!r}: else say --decimal ,"
        )
        return "."
    raise CommandError(
        f"column {found.name!r} can be read in two ways, as {example!r} may be {example.replace(',', '')} or "
        f"{example.replace(',', '.')}: --decimal , or --decimal . tells which"
    )


def sign_of_points(found, style, body):
    """The decimal sign where points stand before three digits in all numbers that have one. Adds a remark.

    They group where some numbers below 1000 have none, and others end in a zero that no program would write behind a
    decimal point alone.
    """
    example = found.numbers.parts["text"].filter(body.str.contains(".", literal=True)).min()
    apart, european = told_apart(body), style.separator == ";" or found.unit in EUROPEAN
    groups = apart and (european or ends_in_zero(body))
    if apart or european or style.separator != ",":
        word, other = ("thousands", ".") if groups else ("decimal signs", ",")
        found.notes.append(
            f"points in column {found.name!r} are taken for {word}, as in {example!r}: else say --decimal {other}"
        )
    return "," if groups else "."
