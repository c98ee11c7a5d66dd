"""The part of a report on what a model goes by: permutation importance, and partial dependence."""

import numpy as np
from sklearn.inspection import permutation_importance

from fastml.commands.figures import count, in_units, many, percent
from fastml.commands.report import page
from fastml.commands.report.dependence import dependence
from fastml.commands.report.rows import chosen_rows
from fastml.commands.scores import normalized, outcome_of_numbers

MOST_BARS, MOST_ROWS, REPEATS = 20, 2000, 5  # of columns; of the test rows, to measure with; of shuffles


def importance(training, seed):
    """Names of the columns, what matters most first, and (name, mean, spread) of what the metric loses without each.

    `permutation_importance` on columns of the table.
    """
    metric, names = training.stop, training.table.columns
    kept = chosen_rows(training.table.height, MOST_ROWS, seed)
    encoder, truth, rows = training.estimator.encoder_, training.truth[kept], np.arange(len(kept))[:, None]
    x = encoder.transform(training.table[kept])

    def score(estimator, places, y):
        """The score where column k of the table has the values of rows places[:, k]."""
        mixed = x.copy()
        for k in np.flatnonzero((places != rows).any(axis=0)):
            mixed[:, encoder._places[k]] = x[places[:, k], encoder._places[k]]
        value = metric.of(y, normalized(outcome_of_numbers(estimator, mixed)))
        return value if metric.larger else -value

    places = np.tile(rows, (1, len(names)))
    found = permutation_importance(
        training.estimator, places, truth, scoring=score, n_repeats=REPEATS, random_state=seed % 2**32
    )
    means, spreads = np.nan_to_num(found.importances_mean), np.nan_to_num(found.importances_std)
    order = np.argsort(-means, kind="stable")
    return [names[k] for k in order], [(names[k], means[k], spreads[k]) for k in order]


def section(training, order, bars, seed):
    """Importance and partial dependence."""
    metric, rows = training.stop, training.table.height
    used = min(rows, MOST_ROWS)
    text = places(metric, max([abs(mean) for _, mean, _ in bars] + [1e-300]))
    shown = [(n, m, m - s, m + s, f"{text(m)} ± {text(s)}") for n, m, s in bars[:MOST_BARS]]
    told = (
        f"How much worse the {metric.title} becomes when the values of a column are shuffled among the test rows: the "
        f"mean and, after ± and as a line across the end of the bar, the standard deviation of {REPEATS} shuffles. "
        "Columns that say the same as others have less; what matters to the model need not be a cause."
    )
    part = f"{count(used)} of {many(rows, 'test row')}, drawn by chance" if used < rows else many(rows, "test row")
    columns = f", the {MOST_BARS} largest of {len(bars)} columns" if len(bars) > MOST_BARS else ""
    head = "column", f"{metric.title}, {'lost' if metric.larger else 'gained'}"
    table = page.bars(f"Permutation importance, on {part}{columns}.", head, shown)
    explained, parts = dependence(training, order, seed)
    return page.section("What it goes by", page.side_by_side(table, page.block(page.paragraph(told), explained)), parts)


def places(metric, largest):
    """How to write values of a metric of which this is the largest, all with as many digits behind the point."""
    if metric.text is percent:
        return lambda value: f"{100 * value:.1f}".replace("-0.0", "0.0") + "%"
    if metric.text is in_units:
        return in_units
    digits = int(np.clip(2 - np.floor(np.log10(largest)), 3, 6))
    return lambda value: f"{value + 0:.{digits}f}".replace(f"-{0:.{digits}f}", f"{0:.{digits}f}")
