"""The part of a report on where a model is wrong: the rows that are predicted worst, and groups of rows."""

import numpy as np
import polars as pl
from scipy.stats import t

from fastml.commands.figures import alike, count, many, percent, typeset
from fastml.commands.report import page
from fastml.commands.report.rows import texts
from fastml.commands.scores import label_text
from fastml.commands.uncertainty import wilson

WORST, MOST_COLUMNS, NARROW = 10, 6, 3  # rows that are shown, and columns of them; those that leave room beside them
GROUPED, MOST_GROUPS = 4, 6  # columns to group by, and categories of one
MISSING, OTHERS = "missing", "all others"


def section(training, order):
    """Worst rows and errors by group; `order` holds names of columns, what matters most first."""
    rows, tables = worst(training, order[:MOST_COLUMNS]), groups(training, order)
    explained = page.paragraph(told(training)) if tables else ""
    parts = [page.side_by_side(rows, page.block(explained, *tables))]
    if min(len(order), MOST_COLUMNS) > NARROW:
        parts = [rows, explained, page.side_by_side(*tables)]
    return page.section("Where it is wrong", *parts)


def worst(training, names):
    """The test rows that are predicted worst, with the values of these columns."""
    y, p, rows = training.truth, training.answer, len(training.truth)
    if training.task == "classification":
        labels = [label_text(label) for label in training.estimator.classes_]
        chance, chosen = p[np.arange(rows), y], p.argmax(axis=1)
        order = np.argsort(chance, kind="stable")[:WORST]
        head = ("row", "true", "predicted", "probability of the true")
        cells = [(labels[y[k]], labels[chosen[k]], percent(chance[k])) for k in order]
        wrong = int((chosen[order] != y[order]).sum())
        text = f"The {len(order)} of {many(rows, 'test row')} whose true class has the lowest probability"
        text += (
            ""
            if wrong == len(order)
            else f"; {wrong or 'none'} of them {'is' if wrong == 1 else 'are'} predicted wrong"
        )
        numbers = [0, 3]
    else:
        order = np.argsort(-np.abs(p - y), kind="stable")[:WORST]
        head = ("row", "true", "predicted", "predicted − true")
        cells = list(zip(*map(alike, (y[order], p[order], (p - y)[order])), strict=True))
        text, numbers = f"The {len(order)} of {many(rows, 'test row')} that are predicted worst", [0, 1, 2, 3]
    table = training.table.select(names)
    held = zip(*(texts(column[order]) for column in table.iter_columns()), strict=True)
    numbers += [len(head) + k for k, kind in enumerate(table.dtypes) if kind.is_numeric() or kind.is_temporal()]
    rest = len(training.table.columns) - len(names)
    text += f", and what they hold in the {len(names)} columns that matter most" if rest else ", and what they hold"
    text += ". Row 1 is the first of the data."
    lines = [(count(int(training.numbers[k])), *c, *h) for k, c, h in zip(order, cells, held, strict=True)]
    return page.table(text, (*head, *names), lines, numbers)


def told(training):
    """What the tables of groups show."""
    what = "The accuracy" if training.task == "classification" else "The mean absolute error"
    return (
        f"{what} by groups of rows, for the columns that matter most: categories, or quarters of the rows by size. The "
        "lines are 95% intervals; of many groups, some differ by chance."
    )


def groups(training, order):
    """Tables of how well groups of rows are predicted, for some columns."""
    found = []
    for name in order:
        codes, labels = grouped(training.table[name])
        if len(labels) > 1:
            found.append(group_table(training, name, codes, labels))
        if len(found) == GROUPED:
            break
    return found


def group_table(training, name, codes, labels):
    """A table of groups, codes : (rows,) which of `labels` a row has."""
    y, p, classifies = training.truth, training.answer, training.task == "classification"
    value = (p.argmax(axis=1) == y).astype(float) if classifies else np.abs(p - y)
    parts = [value[codes == k] for k in range(len(labels))]
    means = [part.mean() for part in parts]
    told = map(percent, means) if classifies else alike(means)
    rows = []
    for label, part, mean, text in zip(labels, parts, means, told, strict=True):
        interval = wilson(part.sum(), len(part)) if classifies else around_mean(part)
        rows.append((label, mean, *interval, text, count(len(part))))
    head = (name, "accuracy" if classifies else "mean absolute error", "test rows")
    return page.bars(f"By {name}.", head, rows)


def around_mean(values):
    """The ends of the 95 % interval of a mean that is not below 0, by Student's t; of a single value, nothing."""
    mean, rows = values.mean(), len(values)
    half = t.ppf(0.975, rows - 1) * values.std(ddof=1) / np.sqrt(rows) if rows > 1 else 0.0
    return max(0.0, mean - half), mean + half


def grouped(column):
    """The group of each row of a column, and names of the groups: categories, few values, or quarters by size."""
    ordered = column.dtype.is_numeric() or column.dtype.is_temporal()
    present = column.drop_nulls()
    if ordered and present.n_unique() > MOST_GROUPS:
        return quarters(column)
    present = present if ordered else present.cast(pl.String)
    counts = present.alias("value").value_counts(name="rows")
    values = counts.sort("value" if ordered else ["rows", "value"], descending=[False] if ordered else [True, False])
    values = values["value"]
    kept = values if len(values) <= MOST_GROUPS else values[: MOST_GROUPS - 1]
    known = {value: k for k, value in enumerate(kept.to_list())}
    rest, gone = len(kept), len(kept) + (len(kept) < len(values))
    keys = column.to_list() if ordered else column.cast(pl.String).to_list()
    codes = np.array([gone if key is None else known.get(key, rest) for key in keys])
    labels = [typeset(text) for text in texts(kept)] if ordered else texts(kept)
    return codes, labels + [OTHERS] * (len(kept) < len(values)) + [MISSING] * bool(column.null_count())


def quarters(column):
    """Groups of a column of numbers or dates by size, of about the same number of rows."""
    present = column.drop_nulls().sort()
    values = column.to_physical().cast(pl.Float64).to_numpy()
    ordered = np.sort(values[~np.isnan(values)])
    ends = np.unique(ordered[[round(share * (len(ordered) - 1)) for share in (0.25, 0.5, 0.75)]])
    codes = np.searchsorted(ends, values)  # the quarter up to and with an end
    codes[np.isnan(values)] = len(ends) + 1
    used, labels = [], []
    for k in range(len(ends) + 1):
        rows = np.flatnonzero(np.searchsorted(ends, ordered) == k)
        if len(rows):
            used.append(k)
            low, high = texts(present[[int(rows[0]), int(rows[-1])]])
            labels.append(typeset(low if low == high else f"{low} to {high}"))
    if column.null_count():
        used.append(len(ends) + 1)
        labels.append(MISSING)
    return np.searchsorted(used, codes), labels
