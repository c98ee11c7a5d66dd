"""The part of a report on what a model says on average for the values of a column: partial dependence."""

import numpy as np
import polars as pl

from fastml.commands.figures import alike, in_units, many, percent
from fastml.commands.report import page, pictures
from fastml.commands.report.axes import limits
from fastml.commands.report.rows import chosen_rows, texts
from fastml.commands.scores import label_text, normalized, outcome

MOST_COLUMNS, MOST_CATEGORIES, GRID, SAMPLE = 6, 8, 20, 500  # SAMPLE of the test rows


def dependence(training, order, seed):
    """What the model says on average when a column has the same value in all rows: an explanation, and pictures."""
    kept = chosen_rows(training.table.height, SAMPLE, seed)
    table, found = training.table[kept], []
    for name in order[:MOST_COLUMNS]:
        values, numeric = grid(training.table[name])
        if len(values) > 1:
            found.append((name, values, numeric, mean_answers(training.estimator, table, name, values)))
    if not found:
        return "", ""
    names = [label_text(label) for label in getattr(training.estimator, "classes_", [])]
    lines = lines_of(names, training)
    found = [(name, values, numeric, means[:, lines] if names else means) for name, values, numeric, means in found]
    ends = limits(*(means for *_, means in found))
    if names:  # from 0 on, as far as probabilities go: of many classes all are small
        ends = 0.0, min(1.0, 1.1 * max(means.max() for *_, means in found))
    parts = []
    for k, (name, values, numeric, means) in enumerate(found):
        told = [names[line] for line in lines] if names else []
        parts.append((pictured if numeric else listed)(k, name, values, means, told, ends))
    part = " when a column has this value in all of them, and the others stay as they are"
    columns = "the column that matters" if len(found) == 1 else f"the {len(found)} columns that matter"
    text = (
        f"Partial dependence, below: the mean {subject(names, lines)} over {sample(kept, training)}{part}, for "
        f"{columns} most. Marks are at quantiles of a column, categories the most frequent ones. Values that go "
        "together in the table are torn apart here: it tells how the model reckons, not what would come of a change."
    )
    return page.paragraph(text), page.side_by_side(*parts, kind="pictures")


def subject(names, lines):
    """What is drawn, in words."""
    if not names:
        return "prediction"
    if len(names) == 2:
        return f"probability of {names[1]}"
    return (
        "probability of each class" if len(lines) == len(names) else f"probability of the {len(lines)} largest classes"
    )


def sample(kept, training):
    """Over which rows, in words."""
    rows = training.table.height
    return many(rows, "test row") if len(kept) == rows else f"{len(kept)} of {many(rows, 'test row')}, drawn by chance,"


def lines_of(names, training):
    """Which classes are shown: the second of two, or the most frequent ones."""
    if len(names) == 2:
        return [1]
    counts = np.bincount(training.truth, minlength=len(names)) if names else np.zeros(0)
    return np.sort(np.argsort(-counts, kind="stable")[: len(pictures.LINES)])


def grid(column):
    """Values of a column to ask the model about, and whether they are numbers that make a line."""
    present = column.drop_nulls()
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        shares = np.linspace(0.01, 0.99, GRID if column.dtype.is_numeric() else MOST_CATEGORIES)
        rows = np.unique(np.round(shares * (len(present) - 1)).astype(int)) if len(present) else []
        values = present.sort()[rows].unique(maintain_order=True) if len(present) else present
        distinct = present.unique().sort()
        if len(distinct) <= MOST_CATEGORIES:
            values = distinct
        elif len(values) <= MOST_CATEGORIES // 2:  # most are the same
            values = distinct[np.unique(np.round(shares * (len(distinct) - 1)).astype(int))]
        return values, bool(column.dtype.is_numeric() and len(values) > 4)
    counts = present.alias("value").value_counts(name="rows").sort(["rows", "value"], descending=[True, False])
    return counts["value"][:MOST_CATEGORIES], False


def mean_answers(estimator, table, name, values):
    """Mean predictions (values,), or probabilities (values, classes), where a column has each of these values."""
    place = table.columns.index(name)
    tables = []
    for value in values:
        same = pl.Series(name, [value], dtype=table.schema[name]).new_from_index(0, table.height)
        tables.append(table.clone().replace_column(place, same))
    answers = normalized(outcome(estimator, pl.concat(tables)))
    return answers.reshape(len(values), table.height, *answers.shape[1:]).mean(axis=1)


def pictured(k, name, values, means, names, ends):
    """Partial dependence on a column of numbers."""
    x = values.cast(pl.Float64).to_numpy()
    lines = means.T if means.ndim == 2 else means[None]
    shares = bool(names)
    low, high = lines[0].min(), lines[0].max()
    text = percent if shares else in_units
    alt = f"Partial dependence, a line of {len(x)} points, the first from {text(low)} to {text(high)}"
    svg = pictures.picture(f"dependence{k}", alt, pictures.dependence, x, lines, ends, shares)
    return page.figure(name, svg, "", names if len(names) > 1 else ())


def listed(k, name, values, means, names, ends):
    """Partial dependence on a column of categories, dates or few numbers."""
    shown = texts(values)
    if len(names) > 1:
        rows = [(value, *(percent(share) for share in mean)) for value, mean in zip(shown, means, strict=True)]
        body = page.table("Mean probability by value.", ("value", *names), rows, range(1, 1 + len(names)))
    else:
        means = means.reshape(-1)
        told = [percent(mean) for mean in means] if names else alike(means)
        rows = [(value, mean, mean, mean, text) for value, mean, text in zip(shown, means, told, strict=True)]
        head = "value", "mean probability" if names else "mean prediction"
        body = page.bars("By value.", head, rows, *ends)
    return f"<figure><h3>{page.escape(name)}</h3>{body}</figure>"
