"""What predictions are worth: metrics on rows that were not trained with, beside a baseline."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastml.commands.figures import in_units, percent, plain


class Metric(NamedTuple):
    """A name, how its values look, whether more is better, and its function.

    `of(y, p)` takes y : (rows,) and p : (rows,) predictions; for classes, y : (rows,) class numbers and
    p : (rows, classes) probabilities. It is NaN where these rows cannot tell.
    """

    title: str
    text: Callable
    larger: bool
    of: Callable


def balanced(y, p):
    """The mean over classes that there are of the share of their rows that is recognised."""
    right = p.argmax(axis=1) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)]))


def auc(y, p):
    """The area under the ROC curve, the mean over classes against the rest; NaN where there is one class only."""
    classes = [1] if p.shape[1] == 2 else range(p.shape[1])
    areas = [area(y == k, p[:, k]) for k in classes if 0 < (y == k).sum() < len(y)]
    return float(np.mean(areas)) if areas else float("nan")


def area(y, p):
    """The share of pairs of a row of a class, y : (rows,) of bool, and another that p puts in order; half for ties."""
    if (p == p[0]).all():
        return 0.5
    rows, count = len(y), int(y.sum())
    return float((ranks(p)[y].sum() - count * (count + 1) / 2) / (count * (rows - count)))


def ranks(values):
    """The place of each value in their order, from 1 on; equal ones share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def f1(y, p):
    """The mean over the classes that occur of 2·TP / (2·TP + FP + FN)."""
    found, size = p.argmax(axis=1), p.shape[1]
    hits, true, said = (np.bincount(part, minlength=size) for part in (y[found == y], y, found))
    there = true + said > 0
    return float((2 * hits[there] / (true + said)[there]).mean())


def log_loss(y, p):
    """The mean of -log p of the true class, with p kept from 0 by the precision of float64."""
    least = np.finfo(np.float64).eps
    return float(-np.log(np.clip(p[np.arange(len(y)), y], least, 1 - least)).mean())


def r2(y, p):
    """The share of the targets' variance that is explained; NaN where they have none."""
    return float(1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()) if np.ptp(y) > 0 else float("nan")


CLASSIFICATION = {
    "accuracy": Metric("accuracy", percent, True, lambda y, p: float((p.argmax(axis=1) == y).mean())),
    "balanced_accuracy": Metric("balanced accuracy", percent, True, balanced),
    "f1": Metric("F1, mean of classes", plain, True, f1),
    "roc_auc": Metric("area under ROC", plain, True, auc),
    "log_loss": Metric("log loss", plain, False, log_loss),
}
REGRESSION = {
    "r2": Metric("R²", plain, True, r2),
    "rmse": Metric("root mean squared error", in_units, False, lambda y, p: float(np.sqrt(((y - p) ** 2).mean()))),
    "mae": Metric("mean absolute error", in_units, False, lambda y, p: float(np.abs(y - p).mean())),
}
METRICS = {"classification": CLASSIFICATION, "regression": REGRESSION}
DEFAULT = {"classification": ("accuracy", "log_loss"), "regression": ("r2", "r2")}  # to report, and to stop by


def outcome(estimator, table):
    """Predictions, or probabilities of the classes."""
    answer = estimator.predict_proba(table) if hasattr(estimator, "classes_") else estimator.predict(table)
    return answer.astype(np.float64)


def outcome_of_numbers(estimator, x):
    """The same for rows as the network takes them, (rows, features), from the estimator's encoder."""
    trained = estimator._trained()
    outputs = trained.outputs(x)
    answer = trained.probabilities(outputs) if hasattr(estimator, "classes_") else trained.decode(outputs)
    return answer.astype(np.float64)


def normalized(p):
    """Probabilities whose sum is 1 in float64, too."""
    return p / p.sum(axis=1, keepdims=True) if p.ndim == 2 else p


def numbered(estimator, y):
    """Labels as class numbers; other targets as they are."""
    return np.searchsorted(estimator.classes_, y) if hasattr(estimator, "classes_") else y


def label_text(label):
    """A class as files and people write it."""
    return str(label).lower() if isinstance(label, (bool, np.bool_)) else str(label)


def scorer(metric):
    """A function for scikit-learn that is larger for better models."""

    def score(estimator, table, y):
        y, p = numbered(estimator, y), normalized(outcome(estimator, table))
        if metric.of is r2 and not np.ptp(y):  # a few rows that happen to be equal: the order of models is the same
            return -float(((y - p) ** 2).mean())
        value = metric.of(y, p)
        return value if metric.larger else -value

    return score


def baseline(estimator, y, rows):
    """What one would predict for so many rows without looking, from the targets y of training, and its name.

    The mean, or the shares of the classes.
    """
    if not hasattr(estimator, "classes_"):
        return np.full(rows, y.mean()), f"always the mean, {in_units(y.mean())}"
    shares = np.bincount(numbered(estimator, y), minlength=len(estimator.classes_)) / len(y)
    return np.tile(shares, (rows, 1)), f"always {label_text(estimator.classes_[shares.argmax()])}"
