"""From the columns of a file to columns with types: numbers, dates, durations, truth values and text."""

from typing import NamedTuple

import polars as pl

from fastml.commands import CommandError
from fastml.commands.files.cells import GAPS, NOTHINGS, guess, without
from fastml.commands.files.style import AS_IT_IS, Style, style_of, values_of
from fastml.commands.files.table import open_table

WANTED = {"number": "number", "boolean": "boolean", "date": "date", "date with time zone": "date", "duration": "time"}
BOTH = {"number", "boolean"}  # 0 and 1 may stand for false and true
HOLDS = {"number": "numbers", "boolean": "true and false", "date": "dates", "time": "times", "text": "text"}


class Typed(NamedTuple):
    """A frame of typed columns, and what is known of its file.

    units : of numbers, {column: unit}; texts : the target as it stands in a file of text, or None; notes : remarks
    """

    name: str
    frame: pl.DataFrame
    style: Style
    units: dict
    texts: pl.Series | None
    notes: list


def typed(table, given=AS_IT_IS, prior=AS_IT_IS, kinds=None, target=None):
    """The Typed columns of a Table.

    given, prior : the Style that the user says it has, and that of the file which the model was trained with
    kinds : what columns must be, {name: kind of an encoder}, where that is known; target : which is to be predicted
    """
    kinds = kinds or {}
    if table.separator is None:
        frame = checked(table, kinds, target)
        return Typed(table.name, frame, given, {}, None, table.notes)
    given = given._replace(gaps=prior.gaps if given.gaps is None else given.gaps)
    guesses = [guess(c, given, wanted(kinds.get(c.name)), c.name == target) for c in table.frame.iter_columns()]
    style = style_of(guesses, given, prior, table.separator)
    columns, units, notes = [], {}, [*table.notes]
    for found in guesses:
        check(table.name, found)
        columns.append(values_of(found, style, given).alias(found.name))
        notes += found.notes
        if found.unit:
            units[found.name] = found.unit
    texts = None if target is None else table.frame[target]
    return Typed(table.name, pl.DataFrame(columns), style, units, texts, notes)


def checked(table, kinds, target):
    """The typed frame of a Parquet file, whose texts have the gaps of other files, so that both make the same model."""
    columns = []
    for column in table.frame.iter_columns():
        if kinds.get(column.name) and (column.dtype.is_nested() or column.dtype == pl.Binary):
            raise CommandError(f"{table.name}: column {column.name!r} holds {column.dtype}, which no model takes")
        if column.dtype == pl.String:
            column = without(column, ("", *GAPS) if column.name == target else ("", *GAPS, *NOTHINGS))
        columns.append(column)
    return pl.DataFrame(columns)


def wanted(kind):
    """What a column of a file must hold for an encoding of this kind, or None."""
    return None if kind is None else WANTED.get(kind, "text")


def check(name, found):
    """CommandError where a column is not what it must be."""
    if found.wanted in (None, found.kind) or not found.texts.count() or {found.wanted, found.kind} == BOTH:
        return
    value = next((text for text in found.texts.drop_nulls().unique(maintain_order=True) if not fits(text, found)), None)
    told = f", such as {value!r} in row {found.texts.index_of(value) + 1}" if value is not None else ""
    raise CommandError(
        f"{name}: column {found.name!r} held {HOLDS[found.wanted]} in training, here it holds {HOLDS[found.kind]}{told}"
    )


def fits(text, found):
    """Whether a text is alone what the column must hold."""
    return guess(pl.Series(found.name, [text]), AS_IT_IS, found.wanted).kind == found.wanted


def read_table(path, form=None, **options):
    """The typed frame of the table in a file."""
    return typed(open_table(path, form) if form else open_table(path), **options).frame
