"""Which columns of a table are learned from, and what becomes of each, in words."""

import re

import polars as pl

from fastml.commands import CommandError
from fastml.commands.figures import count

# names of columns that a program has added
COUNTS = r"(?i)^(column \d+|row names|index|unnamed.*|_?rowid_?|row|row_?(number|nr|num|id|index)|nr\.?|no\.?|#)$"
ONE_HOT = 16  # categories at most that are no sign of an identifier, as in `TableEncoder`


def choose(path, table, target):
    """The table without the target; CommandError where nothing is left."""
    rest = table.drop(target)
    if not rest.width:
        raise CommandError(f"{path} has no other column than {target!r} to learn from")
    return rest


def useless(column):
    """Why nothing can be learned from a column of the training rows, or None."""
    kind, present = column.dtype, column.drop_nulls()
    if not len(present):
        return "it has no values"
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        return f"it holds {kind}, which is neither a number nor text nor a date"
    different = present.n_unique()
    if different == 1 and len(present) == len(column):
        return "it is always the same"
    if kind == pl.String and different > ONE_HOT:
        counts = present.value_counts()["count"]
        if 2 * (counts == 1).sum() > len(present):
            return f"{count(different)} different texts in {count(len(present))} rows to learn from"
    return None


def counts_rows(column):
    """Why a column of all rows is no more than the number of the row, or None."""
    if not re.match(COUNTS, column.name) or not column.dtype.is_integer() or column.null_count() or len(column) < 2:
        return None
    return "it counts the rows" if bool((column.diff()[1:] == 1).all()) else None


def tells(column, target):
    """Why a column of all rows is the target itself, or None."""
    if column.dtype != target.dtype or not column.equals(target):
        return None
    return f"it is the same as the target {target.name!r}"


def suspicious(column):
    """A hint that a column of all rows may be a number of the row, or None."""
    if (
        column.dtype.is_integer()
        and not column.null_count()
        and len(column) > 1
        and bool((column.diff()[1:] > 0).all())
    ):
        return f"column {column.name!r} rises from row to row: if it is an identifier, leave it out with --drop"
    return None


def tell(encoder, left_out):
    """Rows (name, kind, what becomes of it) for the columns of a fitted encoder and those left out, {name: why}."""
    pairs = zip(encoder.feature_names_in_, encoder._encodings, strict=True)
    used = [(str(name), encoding.kind, encoding.tells()) for name, encoding in pairs]
    return used + [(name, "–", f"left out: {why}") for name, why in left_out.items()]
