"""``fastml predict``: what a model says about the rows of a table."""

import sys

import numpy as np
import polars as pl

from fastml.commands import CommandError, listing
from fastml.commands.asking import answer_of, ask, compared, remark
from fastml.commands.figures import many
from fastml.commands.outputs import as_csv, check_output, write_table
from fastml.commands.scores import METRICS, label_text

DIGITS = 12  # of numbers that are predicted
OUTPUTS = (".csv", ".tsv", ".parquet", ".pq")


def predict(options):
    """Runs the command `predict`."""
    if options.output:
        check_output(options.output, OUTPUTS, options.data)
    options.keep = list(dict.fromkeys(options.keep))
    asked = ask(options, keep=options.keep)
    used = {*asked.rows.columns, *options.keep, asked.about.get("target")}
    ignored = [name for name in asked.columns if name not in used]
    if ignored:
        remark(f"columns that the model does not use: {listing(ignored)}")
    answer = answer_of(asked)
    found = predictions(asked.estimator, answer)
    kept = [name for name in options.keep if name not in found]
    if len(kept) < len(options.keep):
        raise CommandError(f"--keep {listing(set(options.keep) - set(kept))}: a column of predictions has this name")
    result = pl.DataFrame([*asked.kept.select(kept), *(pl.Series(name, values) for name, values in found.items())])
    if options.output:
        write_table(options.output, result)
        print(f"fastml: {many(result.height, 'prediction')} written to {options.output}", file=sys.stderr)
    else:
        sys.stdout.write(as_csv(result))
        sys.stdout.flush()
    if asked.target is not None:
        tell_score(asked, answer)


def tell_score(asked, answer):
    """Says on standard error how right the predictions were, where the target is there."""
    try:
        y, answer = compared(asked, answer)
    except CommandError as error:
        remark(f"no score: {error}")
        return
    kind = "classification" if hasattr(asked.estimator, "classes_") else "regression"
    told = ", ".join(f"{m.title} {m.text(m.of(y, answer))}" for m in list(METRICS[kind].values())[:2])
    remark(f"by the answers in column {asked.target.name!r}, of {many(len(y), 'row')}: {told}")


def predictions(estimator, answer):
    """Columns of predictions, {name: (rows,) array}, from what the model says."""
    if not hasattr(estimator, "classes_"):
        found = columns("prediction", answer, range(1, 1 + (answer.shape[1] if answer.ndim == 2 else 1)))
        return {name: pl.Series(values).round_sig_figs(DIGITS) for name, values in found.items()}
    if estimator.kind == "multilabel":
        values = (answer > 0.5).astype(int)
        found = columns("prediction", values, range(1, 1 + values.shape[1]))
    else:
        found = {"prediction": estimator.classes_[answer.argmax(axis=1)]}
    return found | columns("probability", answer, map(label_text, estimator.classes_))


def columns(word, values, names):
    """An array (rows,) or (rows, columns) as columns."""
    if values.ndim == 1:
        return {word: np.asarray(values)}
    return {f"{word} {name}": np.ascontiguousarray(values[:, k]) for k, name in enumerate(names)}
