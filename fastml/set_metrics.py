"""Metrics of a whole data set, which are no means over rows: from all predictions a and targets y, in NumPy.

`evaluate` computes them, and `fit` for its validation data after each epoch (val_auc, …). For training rows `fit` does
not log them: the mean over the batches would be another number than the metric, and what all predictions of an epoch
give, made with weights that changed in between, is the metric of no model; ``model.evaluate(x, y)`` tells it.

==================  ====================================================================================================
name                definition
==================  ====================================================================================================
auc                 area under the ROC curve: how likely a row of a class has a higher score than a row of none, where
                    equal scores count ½ (Hanley and McNeil, Radiology 143, 1982); exact. Several classes: the mean over
                    the classes, each against the rest. NaN, with a warning, where all rows or none are of a class
precision           TP / (TP + FP): of the rows that are predicted to be of a class, those that are
recall              TP / (TP + FN): of the rows of a class, those that are predicted to be
f1                  2·TP / (2·TP + FP + FN), the harmonic mean of the two
r2                  1 - Σ(y - a)² / Σ(y - ȳ)², the mean over the outputs; where all y are the same 1 for a = y, else 0;
                    NaN, with a warning, for a single row
==================  ====================================================================================================

Conventions are scikit-learn's. With two classes, be it by one output or by two, precision, recall and f1 are those of
class 1, and a row is of class 1 where a > ½; with more classes, or several labels in a row, they are the mean over
these, in which classes count that occur in targets or predictions. 0 / 0 is 0. Rows have no weights. Predictions are
probabilities and rates, as for the other metrics, also where the last layer is linear and `predict` returns logits.
With a loss over numbers, metrics of classes want targets 0 and 1: one-hot rows, where there are several outputs.

Of all of these more is better.
"""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from fastml.keras_names import canonical
from fastml.registry import Wrapper


class SetMetric(NamedTuple):
    classes: bool  # whether of classes, or of numbers
    value: Callable  # predictions a : (n, d), targets y -> float


def classes_of(y):
    """The class of each row: y : (n, 1) holds it, or the largest of y : (n, d) stands there."""
    return y[:, 0].astype(np.int64) if y.shape[1] == 1 else y.argmax(axis=1)


def auc(a, y, exclusive):
    """ROC AUC: the mean over labels, or over classes where these are `exclusive`, of which two are one label."""
    if not exclusive:
        members = (y > 0.5).T
    elif a.shape[1] == 2:
        members, a = (classes_of(y) == 1)[None], a[:, 1:]
    else:
        members = classes_of(y) == np.arange(a.shape[1])[:, None]
    sizes = np.count_nonzero(members, axis=1)
    for k in np.flatnonzero((sizes == 0) | (sizes == len(a))):
        every = "every row" if sizes[k] else "no row"
        name = "class 1" if len(members) == 1 else f"{'class' if exclusive else 'output'} {k}"
        warnings.warn(f"metric 'auc' is NaN: {every} of the data is of {name}", UserWarning, stacklevel=2)
        return math.nan
    return float(np.mean([ranked(scores, rows) for scores, rows in zip(a.T, members, strict=True)]))


def ranked(scores, members):
    """The share of pairs of a member and another row in which the member has the higher score; equal ones count ½.

    Whole numbers until the last division. That is the area under the ROC curve, by trapezoids.
    """
    inside, outside = np.sort(scores[members]), np.sort(scores[~members])
    if np.isnan(inside[-1]) or np.isnan(outside[-1]):
        return math.nan
    lower, upper = (int(np.searchsorted(outside, inside, side).sum()) for side in ("left", "right"))
    return (lower + upper) / (2 * len(inside) * len(outside))


def tallies(a, y, exclusive):
    """Rows that are rightly predicted, predicted, and meant to be of a class: three arrays over the classes."""
    if not exclusive:
        predicted, meant = a > 0.5, y > 0.5
        return [np.count_nonzero(rows, axis=0) for rows in (predicted & meant, predicted, meant)]
    predicted, meant = a.argmax(axis=1), classes_of(y)
    found = [np.bincount(rows, minlength=a.shape[1]) for rows in (predicted[predicted == meant], predicted, meant)]
    wanted = np.array([False, True]) if a.shape[1] == 2 else found[1] + found[2] > 0
    return [rows[wanted] for rows in found]


def mean_ratio(parts, wholes):
    return float(np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0).mean())


def precision(a, y, exclusive):
    hits, predicted, _ = tallies(a, y, exclusive)
    return mean_ratio(hits, predicted)


def recall(a, y, exclusive):
    hits, _, meant = tallies(a, y, exclusive)
    return mean_ratio(hits, meant)


def f1(a, y, exclusive):
    hits, predicted, meant = tallies(a, y, exclusive)
    return mean_ratio(2 * hits, predicted + meant)


def r2(a, y):
    if len(y) < 2:
        warnings.warn("metric 'r2' is NaN: it needs at least 2 rows", UserWarning, stacklevel=2)
        return math.nan
    a, y = a.astype(np.float64), y.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = y - y[0]  # exactly 0 where all are the same, which y less its rounded mean is not
        errors, spread = ((y - a) ** 2).sum(axis=0), ((spread - spread.mean(axis=0)) ** 2).sum(axis=0)
        constant = np.where(errors == 0, 1.0, 0.0)
        return float((1 - np.divide(errors, spread, out=1 - constant, where=spread != 0)).mean())


SET_METRICS = {
    "auc": SetMetric(True, auc),
    "precision": SetMetric(True, precision),
    "recall": SetMetric(True, recall),
    "f1": SetMetric(True, f1),
    "r2": SetMetric(False, r2),
}


def for_targets(metric, targets, units):
    """The SetMetric as it is for targets of a kind and a number of outputs."""
    if not metric.classes:
        return metric
    exclusive = targets in ("labels", "distributions") or (targets == "numbers" and units > 1)
    return metric._replace(value=partial(metric.value, exclusive=exclusive))


def check_classes(y, name, targets, metrics):
    """ValueError where one of the metrics, which are names, is of classes, but the targets are other numbers."""
    metrics = (canonical(metric, SET_METRICS) for metric in metrics if not isinstance(metric, Wrapper))
    metric = next((metric for metric in metrics if metric in SET_METRICS and SET_METRICS[metric].classes), None)
    if metric is None or targets != "numbers":
        return
    others = (y != 0) & (y != 1)
    if others.any():
        row, column = (int(i) for i in np.argwhere(others)[0])
        raise ValueError(f"metric '{metric}' is for targets 0 and 1, but {name} holds {y[row, column]:g} at row {row}")
    wrong = y.sum(axis=1) != 1
    if y.shape[1] > 1 and wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"metric '{metric}' is for one-hot rows, but {name} holds {np.count_nonzero(y[row])} ones in row {row}; "
            "for several labels in a row use the loss 'binary_crossentropy'"
        )
