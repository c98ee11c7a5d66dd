"""Models from files, whole or for predictions alone, and tables from files as the commands read them."""

import os
import warnings

from fastml.ensemble import Ensemble
from fastml.files import saving
from fastml.sequential import Sequential


def estimator_of(description, model, custom):
    """The estimator of a description, which needs scikit-learn."""
    from fastml.sklearn import restored

    return restored(description, model, custom)


def trained_of(description, model, custom):
    """What of an estimator predicts, which does not."""
    from fastml.sklearn.files import restore_trained

    return restore_trained(description, model, custom)


def checked_objects(custom_objects):
    """A dict from names to functions and classes, or None; TypeError for anything else."""
    if custom_objects is not None and not isinstance(custom_objects, dict):
        raise TypeError(f"custom_objects must be a dict from names to what they mean, got {custom_objects!r}")
    return custom_objects


def load(path: str | os.PathLike, custom_objects: dict | None = None):
    """The model that `Sequential.save` wrote, or the `Ensemble` or estimator that its own `save` did.

    custom_objects : functions and classes of your own that it has, by the names under which `save` told them.

    Raises `ModelFileError`, a ValueError, where the file is none; ImportError for an estimator without scikit-learn.
    Nothing in a file is executed: it holds numbers, and names of fastml's own classes.
    """
    return saving.load(path, Sequential, estimator_of, checked_objects(custom_objects), Ensemble)


def load_predictor(path: str | os.PathLike, custom_objects: dict | None = None):
    """What predicts of the estimator in a file, without scikit-learn: for services, where `load` gives the estimator.

    It has `predict`, `predict_one`, and of a classifier `predict_proba` and `predict_proba_one`, with the same answers;
    see `fastml.trained.TrainedModel`. The file is checked as `load` does, which also says what `custom_objects` are.
    Of a file of a Sequential or an Ensemble it is that. Raises `ModelFileError` where the file is none.
    """
    return saving.load(path, Sequential, trained_of, checked_objects(custom_objects), Ensemble)


def read_table(path: str | os.PathLike, **how):
    """The table in a file as a polars DataFrame, read as `fastml train` reads it; needs the extra ``train``.

    Text in any layout, packed or not, and Parquet; each column is read as a whole, as numbers, dates, durations, truth
    values or text. Remarks on what was assumed are warnings.

    Parameters
    ----------
    path : path
        "-" is standard input.
    separator, encoding, header, names : optional
        The sign between columns, the name of the encoding, whether a line names the columns, and names instead.
    decimal, day_first, gaps : optional
        "." or ",", whether days stand before months, and the texts that are missing values beside empty fields.

    ValueError where the file cannot be read, or a column can be read in two ways.
    """
    from fastml.commands import CommandError
    from fastml.commands.files.style import Style
    from fastml.commands.files.table import Format, open_table
    from fastml.commands.files.typed import typed

    try:
        style = Style(**{name: how.pop(name) for name in ("decimal", "day_first", "gaps") if name in how})
        form = Format(**how, style=style)
        found = typed(open_table(path, form), style)
    except CommandError as error:
        raise ValueError(str(error)) from error
    for text in found.notes:
        warnings.warn(text, UserWarning, stacklevel=2)
    return found.frame
