"""The column to predict: whether it holds classes or numbers, and how the rows are shared out."""

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import polars as pl

from fastml.commands import CommandError, listing
from fastml.commands.figures import many

FEW = 10  # different whole numbers, at most, that are taken for classes
LEAST_ROWS = 20
LEAST_OF_A_CLASS = 5  # so that there is one to train with and one to validate with when half of the rows test
MOST_CLASSES = 100


class Target(NamedTuple):
    """What is to be predicted. `values` : (rows,) labels or float64; `kept` : (rows,) bool, which rows have a value."""

    task: str
    why: str
    values: np.ndarray
    kept: np.ndarray
    notes: list


def read_target(column, task="auto", texts=None):
    """The Target in a column of a table; CommandError where nothing can be learned from it.

    `texts` : the column as it stands in a file of text; classes keep these names, such as "01".
    """
    name, kept, notes = column.name, column.is_not_null().to_numpy(), []
    present, written = column.drop_nulls(), None if texts is None else texts.filter(kept)
    if not len(present):
        raise CommandError(f"the target {name!r} has no values")
    if len(present) < len(column):
        notes.append(missing(column, texts))
    detected, told = detect(present)
    why = f"{'as' if task == 'auto' else 'as asked for;'} the target {name!r} {told}"
    task = detected if task == "auto" else task
    if task == "regression":
        return Target(task, why, numbers(present), kept, notes)
    values = labels(present, written)
    counts = Counter(values.tolist())
    rare = [label for label, count in counts.items() if count < LEAST_OF_A_CLASS]
    if rare and len(counts) - len(rare) >= 2:
        lost = np.isin(values, rare)
        notes.append(
            f"{many(lost.sum(), 'row')} of classes with fewer than {LEAST_OF_A_CLASS} left out: {listing(rare, 5)}"
        )
        kept = kept.copy()
        kept[np.flatnonzero(kept)[lost]] = False
        values = values[~lost]
        counts = Counter(values.tolist())
    check_classes(name, counts)
    return Target(task, why, values, kept, notes)


def missing(column, texts):
    """A remark on rows without a target, with the texts that were taken for a gap."""
    signs = [] if texts is None else texts.filter(column.is_null()).drop_nulls().unique().sort().to_list()
    told = f", where it is {listing(signs, 3)}; --na tells other signs of a gap" if signs else ""
    return f"{many(column.null_count(), 'row')} without a target left out{told}"


def whole(column):
    """Whether a column holds whole numbers only."""
    return column.dtype.is_integer() or (column.dtype.is_float() and bool((column == column.round()).all()))


def detect(column):
    """The task that fits a column without missing values, and why."""
    kind, different = column.dtype, column.n_unique()
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return "classification", f"holds text, {different} different values"
    if kind == pl.Boolean:
        return "classification", "is true or false"
    if not kind.is_numeric():
        raise CommandError(f"the target {column.name!r} is a {kind}: only classes and numbers can be predicted")
    if not whole(column):
        return "regression", f"holds numbers, {different} different ones"
    if different <= FEW:
        return "classification", f"holds whole numbers, {different} different ones"
    return "regression", f"holds whole numbers, {different} different ones"


def numbers(column, constant=False):
    """A column as float64; CommandError where it cannot be, or is constant, unless that is allowed."""
    if not column.dtype.is_numeric():
        raise CommandError(f"the target {column.name!r} holds no numbers, which regression needs")
    values = column.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        raise CommandError(f"the target {column.name!r} holds an infinite value")
    if values.min() == values.max() and not constant:
        raise CommandError(f"the target {column.name!r} is always {values[0]:g}: there is nothing to learn")
    return values


def labels(column, texts=None):
    """A column as an array of text, int64 or bool; CommandError where its values are no classes.

    `texts` : how they are written; 1.0, +1 and true stay so, unless one is written in two ways.
    """
    numeric = column.dtype.is_numeric()
    if numeric and not whole(column):
        raise CommandError(
            f"the target {column.name!r} holds numbers with fractions, which are no classes: use --task regression"
        )
    if texts is not None and texts.n_unique() == column.n_unique():
        numeric = numeric and column.dtype.is_integer() and bool((column.cast(pl.String) == texts).all())
        column = column if numeric else texts
    if numeric:
        return column.cast(pl.Int64).to_numpy()
    return column.to_numpy() if column.dtype == pl.Boolean else np.array(column.cast(pl.String).to_list())


def check_classes(name, counts):
    """CommandError unless there are enough classes, and not too many."""
    if len(counts) == 1:
        raise CommandError(f"the target {name!r} is always {next(iter(counts))!r}: there is nothing to learn")
    rows = sum(counts.values())
    if len(counts) > MOST_CLASSES or (len(counts) > FEW and rows < 5 * len(counts)):
        raise CommandError(f"the target {name!r} has {len(counts)} classes in {rows} rows, which is too many")
    rare = [label for label, count in counts.items() if count < LEAST_OF_A_CLASS]
    if rare:
        raise CommandError(f"the target {name!r} has fewer than {LEAST_OF_A_CLASS} rows of {listing(rare, 5)}")


def share_out(values, share, classes, seed):
    """Row numbers to train with and to test with, in order, and the share of the former to validate with.

    CommandError where there are too few rows.
    """
    from sklearn.model_selection import train_test_split

    if len(values) < LEAST_ROWS:
        raise CommandError(f"there are {len(values)} rows with a target, at least {LEAST_ROWS} are needed")
    kinds = len(np.unique(values)) if classes else 1
    test = max(2, kinds, round(share * len(values)))
    validation = max(2, kinds, round(0.1 * (len(values) - test)))
    if len(values) - test - validation < max(LEAST_ROWS // 4, kinds):
        raise CommandError(f"{len(values)} rows are too few for a share of {share:g} to test with")
    found = train_test_split(
        np.arange(len(values)), test_size=test, random_state=seed % 2**32, stratify=values if classes else None
    )
    train, test = (np.sort(rows) for rows in found)
    return train, test, math.nextafter(validation / len(train), 0)
