"""Early stopping on few rows: how many epochs are best is asked of folds of them, and then all rows are trained on.

A share of few rows is hardly any: which epoch is the best for 5 rows is chance, and to train without them is a loss.
"""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils import _safe_indexing, check_random_state

from fastml.sklearn.labels import check_present
from fastml.sklearn.lone import LONE

FEW = 10  # rows to validate with, from where on they are a share of the rows
LEAST = 10  # rows in all that are worth folds
FOLDS = 5


class Folds(NamedTuple):
    """How many epochs to train, and after each of them the mean score and loss of the folds that have come so far."""

    epochs: int
    scores: list
    losses: list
    converged: bool  # most of them


def epochs_by_folds(estimator, X, y, weights):
    """The Folds of rows that are few, whose epochs are the median of the best of each; None where a split will do.

    So it is where the rows cannot be parted or used, too: others say what is wrong with them.
    """
    check_present(y)
    X = X.tocsr() if hasattr(X, "tocsr") else X
    try:
        target = np.asarray(y, object if isinstance(y, (list, tuple)) else None)
        if target.ndim == 2 and target.shape[1] == 1:
            y = target = target.ravel()
        parts = parted(estimator, target)
        found = [trained(estimator, X, y, weights, part, 1 / (2 * len(parts))) for part in parts]
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None
    if not found:
        return None
    copies, converged = zip(*found, strict=True)
    epochs = int(np.median([copy.best_epoch_ or 1 for copy in copies]))
    scores = means([copy.validation_scores_ for copy in copies], epochs)
    losses = means([copy.history_["val_loss"] for copy in copies], epochs)
    return Folds(epochs, scores, losses, 2 * sum(converged) > len(converged))


def means(lists, length):
    """The mean, by position, of numbers in lists, half of which are so long, without NaN where others have none."""
    columns = ([values[k] for values in lists if k < len(values)] for k in range(length))
    kept = ([value for value in column if not np.isnan(value)] or [np.nan] for column in columns)
    return [float(np.mean(column)) for column in kept]


def parted(estimator, y):
    """Indices of rows to train on and to validate with, for each fold; none where the rows are many, or too few.

    Each fold of a classifier has rows of all classes.
    """
    rows = len(y)
    if rows < LEAST or np.ceil(estimator.validation_fraction * rows) >= FEW:
        return []
    seed = check_random_state(estimator.random_state).randint(2**31)
    if y.ndim > 1 or not hasattr(estimator, "predict_proba"):
        return list(KFold(FOLDS, shuffle=True, random_state=seed).split(y))
    classes = np.unique(y.astype(str), return_inverse=True)[1]
    least = int(np.bincount(classes).min())
    if least < 2:
        return []
    return list(StratifiedKFold(min(FOLDS, least), shuffle=True, random_state=seed).split(y, classes))


def trained(estimator, X, y, weights, part, share):
    """A copy of the estimator, trained on a part of the rows until the others tell it to stop; and whether they did.

    It has this share of the time; half of it is for the training on all rows.
    """
    (X, y, weights), others = ([None if v is None else _safe_indexing(v, k) for v in (X, y, weights)] for k in part)
    copy = clone(estimator)
    known = copy.get_params(deep=False)
    copy.set_params(**{name: value for name, value in (LONE | {"callbacks": None}).items() if name in known})
    copy._encodes = estimator._encodes
    if estimator.time_limit is not None:
        copy.time_limit = share * estimator.time_limit
    with warnings.catch_warnings(record=True) as told:  # all rows have the same
        warnings.simplefilter("always")
        copy.fit(X, y, weights, *others)
    if any(str(warning.message).startswith("Training interrupted") for warning in told):
        raise KeyboardInterrupt  # of all folds, as there is nothing yet to keep
    return copy, not any(issubclass(warning.category, ConvergenceWarning) for warning in told)
