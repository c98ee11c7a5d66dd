"""Rows to validate with: how they are split off, the score of an estimator for them, and how far chance moves it."""

import copy
import math
import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_random_state

ONE = 1 + 1e-9  # row, whose share in a score is rounded


def split_off(X, y, weights, share, random_state, strata):
    """The rows to train on and a share to validate with, by chance, as X, y and weights; ValueError for less than 2.

    Where there are `strata`, classes (rows,), each has its share of the rows to validate with; one that is too rare for
    that has one of them, if it has another to train on.
    """
    train, rest = rows_apart(len(y), share, check_random_state(random_state).randint(2**31), strata)
    return parts_of((X, y, weights), train), parts_of((X, y, weights), rest)


def parts_of(arrays, rows):
    """The rows with these indices of arrays, a tuple; None stays."""
    return tuple(None if array is None else _safe_indexing(array, rows) for array in arrays)


def rows_apart(rows, share, seed, strata):
    """Indices of the rows to train on, and of those to validate with; otherwise as `split_off`."""
    train, rest = train_test_split(np.arange(rows), random_state=seed, test_size=share, stratify=strata)
    if len(rest) < 2:
        raise ValueError(
            f"The validation set is too small: {len(rest)} rows. Raise validation_fraction, or give more rows"
        )
    return (train, rest) if strata is None else with_all_classes(train, rest, strata)


def with_all_classes(train, rest, classes):
    """Indices of both parts, in which classes without a row in the second have got one from the first."""
    kinds, own = np.unique(classes, return_inverse=True)
    counts = np.bincount(own[train], minlength=len(kinds))
    moved = [train[own[train] == k][0] for k in np.setdiff1d(np.arange(len(kinds)), own[rest]) if counts[k] > 1]
    if not moved:
        return train, rest
    return train[~np.isin(train, moved)], np.concatenate([rest, moved])


class Score:
    """The score of rows to validate with, larger is better, of an estimator with the weights as they are.

    NaN where outputs are not finite, which scorers refuse, or make of what they like, and where it is not defined;
    then `error` holds why, if the scorer said so. `margin(score)` is its standard error, for some metrics.
    """

    def __init__(self, estimator, X, y, weights):
        self.estimator, self.rows, self.error = estimator, (X, y, weights), None
        self.scorer = None if estimator.scoring is None else check_scoring(estimator, estimator.scoring)
        if self.scorer:
            self.blind = copy.copy(estimator)  # to names of columns, which these rows have lost
            vars(self.blind).pop("feature_names_in_", None)
            self.blind.encoder_, self.blind.n_features_in_ = None, X.shape[1]
        self.margin = margin_of(estimator, y, weights)

    def __call__(self):
        if self.scorer is None:
            return self.estimator._score(*self.rows)
        X, y, weights = self.rows
        outputs = self.estimator._outputs(X)
        if not self.estimator._finite(outputs):
            return math.nan
        self.blind._known_outputs = X, outputs
        routed = {} if weights is None else {"sample_weight": weights}
        with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)  # there is an error if it stays so
            try:
                return float(self.scorer(self.blind, X, y, **routed))
            except (ArithmeticError, ValueError) as error:
                self.error = error
                return math.nan


def margin_of(estimator, y, weights):
    """A function from a score to its standard error: of accuracy, balanced accuracy and the area under ROC; else 0.

    It is at least what one row makes, or one pair of rows: 0, of a score of 1 on few rows, would be no measure of
    chance. That of the area is from Hanley & McNeil, "The meaning and use of the area under a receiver operating
    characteristic curve", 1982; of several classes it is that of the rarest.
    """
    scoring = estimator.scoring
    if scoring is None and hasattr(estimator, "classes_"):
        scoring = "accuracy"
    if not isinstance(scoring, str) or not hasattr(estimator, "classes_") or np.ndim(y) != 1:
        return lambda score: 0.0
    effective = len(y) if weights is None else weights.sum() ** 2 / (weights**2).sum()
    counts = np.unique(y, return_counts=True)[1]
    if scoring == "accuracy":
        return lambda score: max(ONE / effective, math.sqrt(max(0.0, score * (1 - score)) / effective))
    if scoring == "balanced_accuracy":
        share, least = (1 / counts).sum() / len(counts) ** 2, ONE / (len(counts) * counts.min())
        return lambda score: max(least, math.sqrt(max(0.0, score * (1 - score)) * share))
    if scoring.startswith("roc_auc") and len(counts) > 1:
        return lambda score: error_of_area(score, int(counts.min()), int(counts.sum() - counts.min()))
    return lambda score: 0.0


def error_of_area(area, positives, negatives):
    """Standard error of an area under ROC, of so many rows of each class."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (first - area**2) + (negatives - 1) * (second - area**2)
    return max(ONE, math.sqrt(max(0.0, spread) * positives * negatives)) / (positives * negatives)
