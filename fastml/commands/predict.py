"""``fastml predict``: what a model says about the rows of a table."""

import sys

import numpy as np
import polars as pl

from fastml import load
from fastml.commands import CommandError, check_column, files, listing, one_line
from fastml.commands.scores import label_text
from fastml.saving import ModelFileError

OUTPUTS = (".csv", ".tsv", ".parquet", ".pq")


def predict(options):
    """Runs the command."""
    if options.output:
        files.check_output(options.output, OUTPUTS, options.data)
    estimator = read_model(options.model)
    names = list(map(str, estimator.feature_names_in_))
    table = files.read_table(options.data, columns_of_text(estimator, names))
    for name in options.keep:
        check_column(options.data, table, name)
    rows = files.select(options.data, table, names)
    files.check_finite(options.data, rows)
    ignored = [name for name in table.columns if name not in (*names, *options.keep)]
    if ignored:
        print(f"fastml: note: columns that the model does not use: {one_line(listing(ignored))}", file=sys.stderr)
    found = predictions(options.data, estimator, rows)
    kept = [name for name in options.keep if name not in found]
    if len(kept) < len(options.keep):
        raise CommandError(f"--keep {listing(set(options.keep) - set(kept))}: a column of predictions has this name")
    result = pl.DataFrame([*table.select(kept), *(pl.Series(name, values) for name, values in found.items())])
    if options.output:
        files.write_table(options.output, result)
        print(f"fastml: {result.height} predictions written to {options.output}", file=sys.stderr)
    else:
        sys.stdout.write(result.write_csv())


def read_model(path):
    """The estimator in a file; CommandError where it is none that takes tables."""
    try:
        estimator = load(path)
    except ModelFileError as error:
        raise CommandError(one_line(error)) from error
    except IsADirectoryError:
        raise CommandError(f"{path} is a folder, not a file") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    if not hasattr(estimator, "predict_proba") and not hasattr(estimator, "n_features_in_"):
        raise CommandError(f"{path} holds a network that knows no columns of tables: use fastml.load in Python")
    if getattr(estimator, "feature_names_in_", None) is None or (estimator.encoder_ and not estimator.encoder_._named):
        raise CommandError(f"{path} was trained with columns that have no names: use fastml.load in Python")
    return estimator


def columns_of_text(estimator, names):
    """Names of columns whose values are text to the model, even where they look like numbers."""
    if estimator.encoder_ is None:
        return []
    pairs = zip(names, estimator.encoder_._encodings, strict=True)
    return [name for name, encoding in pairs if encoding.kind == "text"]


def predictions(path, estimator, rows):
    """Columns of predictions, {name: (rows,) array}, of a table with the columns of the model in their order."""
    if estimator.encoder_ is None:  # an estimator that was made in Python, with numbers without gaps
        gaps = [column.name for column in rows.iter_columns() if column.null_count()]
        if gaps:
            raise CommandError(f"{path}: {listing(gaps)} with missing values, of which there were none in training")
    try:
        values = estimator.predict(rows)
        found = columns("prediction", values, range(1, 1 + (values.shape[1] if values.ndim == 2 else 1)))
        if hasattr(estimator, "classes_"):
            found |= columns("probability", estimator.predict_proba(rows), map(label_text, estimator.classes_))
    except (TypeError, ValueError) as error:
        raise CommandError(f"{path}: {one_line(error)}") from error
    return found


def columns(word, values, names):
    """An array (rows,) or (rows, columns) as columns."""
    if values.ndim == 1:
        return {word: np.asarray(values)}
    return {f"{word} {name}": np.ascontiguousarray(values[:, k]) for k, name in enumerate(names)}
