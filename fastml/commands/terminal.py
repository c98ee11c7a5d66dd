"""What `fastml train` and `evaluate` show on the terminal."""

import shutil
import sys

from fastml.commands import one_line
from fastml.commands.figures import many, span

MOST_COLUMNS = 30  # that are listed


def note(text):
    """Prints a remark, in one line."""
    print(f"        note: {one_line(text)}")


def shown(text, width):
    """A text in so many characters at most, without those that would harm a terminal."""
    text = "".join(c if c.isprintable() else "·" for c in text)
    return text if len(text) <= width else text[: width - 1] + "…"


def print_columns(training):
    """What becomes of the columns, in lines that fit."""
    width = shutil.get_terminal_size().columns - 1 if sys.stdout.isatty() else 120
    rows = [row for row in training.columns if row[0] not in training.left_out]
    rows, more = rows[:MOST_COLUMNS], rows[MOST_COLUMNS:]
    rows = [(shown(name, 24), kind, becomes) for name, kind, becomes in rows]
    first, second = (max(len(row[k]) for row in rows) for k in (0, 1))
    used, features = training.estimator.n_features_in_, training.estimator.model_.input_dim
    print(f"Columns {used}, which {'becomes' if used == 1 else 'become'} {many(features, 'feature')}:")
    for name, kind, becomes in rows:
        print(shown(f"  {name:<{first}}  {kind:<{second}}  {becomes}", width))
    if more:
        print(f"  … and {len(more)} more")


def print_scores(training):
    """The model, an interval for it, and the baseline, on the test rows; and what else was trained to compare with."""
    rows = [("on the test rows", "model", "95% interval", *(rival.name for rival in training.rivals), "baseline")]
    for score in training.scores:
        text, values = score.metric.text, (*score.others, score.theirs)
        rows.append((score.metric.title, text(score.ours), span(text, *score.interval), *map(text, values)))
    print()
    print_table(rows)
    print(f"baseline: {training.baseline}", flush=True)


def print_table(rows):
    """Rows of texts, of which the first is the header, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{row[0]:<{widths[0]}}" + "".join(f"  {t:>{w}}" for t, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    print("\n".join([lines[0], "-" * len(lines[0]), *lines[1:]]))
