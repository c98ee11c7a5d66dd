"""Which rows test: some by chance, or the latest; and hints where those by chance make it too easy."""

import math
from typing import NamedTuple

import numpy as np
import polars as pl

from fastml.commands import CommandError, check_column, listing
from fastml.commands.figures import many, percent
from fastml.commands.target import LEAST_ROWS, share_out

TOLD = 0.01  # of the test rows that are among the training rows, too, from which on it is told


class Shares(NamedTuple):
    """Numbers of rows to train with and to test with, the share of the former to validate with, remarks, and how."""

    train: np.ndarray
    test: np.ndarray
    validation: float
    notes: list
    how: str


def share(options, table, goal):
    """The Shares of the rows of a table that have a target."""
    classes = goal.task == "classification"
    if options.split == "random":
        train, test, validation = share_out(goal.values, options.test_size, classes, options.seed)
        how = "drawn by chance" + (", as many of each class as its share" if classes else "")
        return Shares(train, test, validation, [], how)
    name = time_column(options, table)
    return by_time(table[name].filter(goal.kept), goal.values, options.test_size, classes)


def time_column(options, table):
    """The column that tells which rows are the latest; CommandError where there is none, or it cannot tell."""
    name = options.split.removeprefix("time").removeprefix(":")
    if name:
        check_column(options.data, table, name)
    else:
        dates = [c.name for c in table.iter_columns() if c.dtype.is_temporal() and c.name != options.target]
        if len(dates) != 1:
            held = f"several columns of dates, {listing(dates)}" if dates else "no column of dates"
            raise CommandError(f"--split time: {options.data} has {held}: name the column with --split time:COLUMN")
        name = dates[0]
    if name == options.target:
        raise CommandError(f"--split time:{name}: this is the target")
    if not (table[name].dtype.is_temporal() or table[name].dtype.is_numeric()):
        raise CommandError(f"--split time:{name}: the column holds {table[name].dtype}, neither dates nor numbers")
    return name


def by_time(column, values, share, classes):
    """The Shares where the latest rows by a column test: rows of the same time are all among them, or none."""
    if len(values) < LEAST_ROWS:
        raise CommandError(f"there are {len(values)} rows with a target, at least {LEAST_ROWS} are needed")
    ranks = column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    counts = np.bincount(ranks)
    later = np.append(np.cumsum(counts[::-1])[::-1], 0)  # rows from each rank on
    first = 1 + int(np.abs(later[1:] - share * len(values)).argmin())
    rows = np.flatnonzero(ranks < first), np.flatnonzero(ranks >= first)
    notes = []
    if counts[0]:
        count = "counts" if counts[0] == 1 else "count"
        notes.append(f"{many(counts[0], 'row')} without a value of {column.name!r} {count} as the earliest")
    if classes:
        known, found = np.unique(values[rows[0]], return_counts=True)
        known = known[found > 1]
        kept = tuple(part[np.isin(values[part], known)] for part in rows)
        lost = sum(map(len, rows)) - sum(map(len, kept))
        if lost:
            notes.append(f"{many(lost, 'row')} of classes with fewer than 2 earlier rows are left out")
        if len(known) < 2:
            raise CommandError(f"--split time:{column.name}: the earlier rows are of fewer than 2 classes")
        rows = kept
    train, test = rows
    kinds = len(known) if classes else 1
    validation = max(2, kinds, round(0.1 * len(train)))
    if len(test) < 2 or len(train) - validation < max(LEAST_ROWS // 4, kinds):
        raise CommandError(
            f"--split time:{column.name}: no value parts the rows into enough earlier and later ones: "
            f"{len(train)} to learn from, {len(test)} to test with"
        )
    if abs(len(test) - share * len(values)) > 0.25 * share * len(values):
        notes.append(f"{percent(len(test) / len(values))} of the rows test, as many share a value of {column.name!r}")
    start = column.filter(pl.Series(ranks == first))[0]
    start = str(start).removesuffix(" 00:00:00")
    how = f"the latest by {column.name!r}, from {start} on; it learned from earlier ones alone"
    return Shares(train, test, math.nextafter(validation / len(train), 0), notes, how)


def hints(options, rest, values, shares):
    """Remarks on what makes a test easier than the use of the model, for the columns `rest` that are learned from."""
    found = []
    if options.split == "random":
        dates = [c.name for c in rest.iter_columns() if c.dtype in (pl.Date, pl.Datetime)]
        rising = [c.name for c in rest.iter_columns() if rises(c)]
        for names, what in ((dates, "holds dates"), (rising, "rises from row to row")):
            if names:
                found.append(
                    f"column {names[0]!r} {what}, and test rows are drawn from all over it, which may be too easy: "
                    f"--split {quoted(names[0])} tests on the latest rows, as when the model predicts what is to come"
                )
                break
    again = again_among(rest, values, shares)
    if again > TOLD * len(shares.test):
        found.append(
            f"{many(again, 'test row')} of {len(shares.test)} {'is' if again == 1 else 'are'} also among "
            "the rows to learn from, value by value: for these it need not generalize"
        )
    return found


def again_among(rest, values, shares):
    """How many test rows are among those to learn from, with their targets: by digests, which take little memory."""
    flat = [column for column in rest.iter_columns() if not column.dtype.is_nested()]
    digests = pl.DataFrame(
        [column.alias(f"{k}") for k, column in enumerate([*flat, pl.Series("", values)])]
    ).hash_rows()
    return int(np.isin(digests.gather(shares.test).to_numpy(), digests.gather(shares.train).to_numpy()).sum())


def rises(column):
    """Whether the whole numbers of a column rise from row to row."""
    return column.dtype.is_integer() and not column.null_count() and column.is_sorted() and column.is_unique().all()


def quoted(name):
    """The value of --split for a column, as a shell takes it."""
    import shlex

    return shlex.quote(f"time:{name}")
