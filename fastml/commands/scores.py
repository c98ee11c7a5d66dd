"""What predictions are worth: metrics on rows that were not trained with, beside a baseline."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.metrics import f1_score, log_loss, r2_score, roc_auc_score


class Metric(NamedTuple):
    """A name, how its values look, whether more is better, and its function.

    `of(y, p)` takes y : (rows,) and p : (rows,) predictions; for classes, y : (rows,) class numbers and
    p : (rows, classes) probabilities.
    """

    title: str
    text: Callable
    larger: bool
    of: Callable


def percent(value):
    return f"{value:.1%}".replace("-0.0%", "0.0%")


def plain(value):
    return f"{value:.3f}".replace("-0.000", "0.000")


def in_units(value):
    """A number in the units of the target."""
    return f"{value:.4g}" if abs(value) < 1e4 or abs(value) >= 1e9 else f"{value:,.0f}"


def balanced(y, p):
    """The mean over classes that there are of the share of their rows that is recognised."""
    right = p.argmax(axis=1) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)]))


def auc(y, p):
    """The area under the ROC curve, the mean over classes against the rest; NaN where there is one class only."""
    if p.shape[1] == 2:
        return roc_auc_score(y, p[:, 1]) if 0 < y.sum() < len(y) else float("nan")
    areas = [roc_auc_score(y == k, p[:, k]) for k in range(p.shape[1]) if 0 < (y == k).sum() < len(y)]
    return float(np.mean(areas)) if areas else float("nan")


CLASSIFICATION = {
    "accuracy": Metric("accuracy", percent, True, lambda y, p: float((p.argmax(axis=1) == y).mean())),
    "balanced_accuracy": Metric("balanced accuracy", percent, True, balanced),
    "f1": Metric("F1, mean of classes", plain, True, lambda y, p: f1_score(y, p.argmax(axis=1), average="macro")),
    "roc_auc": Metric("area under ROC", plain, True, auc),
    "log_loss": Metric("log loss", plain, False, lambda y, p: log_loss(y, p, labels=range(p.shape[1]))),
}
REGRESSION = {
    "r2": Metric("R²", plain, True, lambda y, p: float(r2_score(y, p))),
    "rmse": Metric("root mean squared error", in_units, False, lambda y, p: float(np.sqrt(((y - p) ** 2).mean()))),
    "mae": Metric("mean absolute error", in_units, False, lambda y, p: float(np.abs(y - p).mean())),
}
METRICS = {"classification": CLASSIFICATION, "regression": REGRESSION}
DEFAULT = {"classification": ("accuracy", "log_loss"), "regression": ("r2", "r2")}  # to report, and to stop by


def outcome(estimator, table):
    """Predictions, or probabilities of the classes."""
    answer = estimator.predict_proba(table) if hasattr(estimator, "classes_") else estimator.predict(table)
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
        value = metric.of(numbered(estimator, y), normalized(outcome(estimator, table)))
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


def print_scores(scores, title, other):
    """A table of scores, (Metric, value of the model, another value or None)."""
    rows = [(title, "model", other)]
    rows += [(m.title, m.text(a), "–" if b is None else m.text(b)) for m, a, b in scores]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    print("\n".join([lines[0], "-" * len(lines[0]), *lines[1:]]))
