"""Metrics: how good predictions a are, as the SUM over the rows of each row's score, in float64."""

import numpy as np
from numba import njit

BINARY_ACCURACY = 1
CATEGORICAL_ACCURACY = 2
SPARSE_CATEGORICAL_ACCURACY = 3
MEAN_SQUARED_ERROR = 4
MEAN_ABSOLUTE_ERROR = 5


@njit(inline="always", error_model="numpy")
def metric(kind, a, y):
    """Returns Σᵢ score(aᵢ, yᵢ), where kind names the metric.

    a : (n, d), y : (n, d) or, for class labels, (n, 1).
    """
    if kind == CATEGORICAL_ACCURACY or kind == SPARSE_CATEGORICAL_ACCURACY:
        return class_hits(kind == SPARSE_CATEGORICAL_ACCURACY, a, y)
    return mean_scores(kind, a, y)


@njit(inline="always", error_model="numpy")
def class_hits(labels, a, y):
    """Number of rows whose largest prediction stands where the largest target does, or at the class number y : (n, 1).

    The first of several that are equally large counts.
    """
    n, d = a.shape
    hits = 0.0
    for i in range(n):
        predicted = wanted = 0
        for j in range(1, d):
            if a[i, j] > a[i, predicted]:
                predicted = j
            if not labels and y[i, j] > y[i, wanted]:
                wanted = j
        if labels:
            wanted = int(y[i, 0])
        if predicted == wanted:
            hits += 1
    return hits


@njit(inline="always", error_model="numpy")
def mean_scores(kind, a, y):
    """Σᵢ (1/d) Σⱼ of (aᵢⱼ - yᵢⱼ)², |aᵢⱼ - yᵢⱼ|, or for binary_accuracy 1 where both are above ½ or neither is."""
    n, d = a.shape
    total = 0.0
    for i in range(n):
        for j in range(d):
            error = np.float64(a[i, j] - y[i, j])
            if kind == MEAN_SQUARED_ERROR:
                total += error * error
            elif kind == MEAN_ABSOLUTE_ERROR:
                total += abs(error)
            elif (a[i, j] > 0.5) == (y[i, j] > 0.5):
                total += 1
    return total / d
