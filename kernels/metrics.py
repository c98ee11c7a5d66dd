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
    if kind == BINARY_ACCURACY:
        return binary_accuracy(a, y)
    if kind == CATEGORICAL_ACCURACY:
        return categorical_accuracy(a, y)
    if kind == SPARSE_CATEGORICAL_ACCURACY:
        return sparse_categorical_accuracy(a, y)
    if kind == MEAN_SQUARED_ERROR:
        return squared_error(a, y)
    return mean_absolute_error(a, y)


@njit(inline="always", error_model="numpy")
def binary_accuracy(a, y):
    """Σᵢ share of the outputs j with (aᵢⱼ > ½) = (yᵢⱼ > ½)"""
    n, d = a.shape
    hits = 0
    for i in range(n):
        for j in range(d):
            hits += (a[i, j] > 0.5) == (y[i, j] > 0.5)
    return hits / d


@njit(inline="always", error_model="numpy")
def largest(a, i):
    """Column of the largest element of row i, the first one if several are."""
    best = 0
    for j in range(1, a.shape[1]):
        if a[i, j] > a[i, best]:
            best = j
    return best


@njit(inline="always", error_model="numpy")
def categorical_accuracy(a, y):
    """Number of rows whose largest prediction stands where the largest target does."""
    hits = 0
    for i in range(a.shape[0]):
        hits += largest(a, i) == largest(y, i)
    return float(hits)


@njit(inline="always", error_model="numpy")
def sparse_categorical_accuracy(a, y):
    """Number of rows whose largest prediction stands at the class number y : (n, 1)."""
    hits = 0
    for i in range(a.shape[0]):
        hits += largest(a, i) == int(y[i, 0])
    return float(hits)


@njit(inline="always", error_model="numpy")
def squared_error(a, y):
    """Σᵢ (1/d) Σⱼ (aᵢⱼ - yᵢⱼ)²"""
    n, d = a.shape
    total = 0.0
    for i in range(n):
        for j in range(d):
            error = np.float64(a[i, j] - y[i, j])
            total += error * error
    return total / d


@njit(inline="always", error_model="numpy")
def mean_absolute_error(a, y):
    """Σᵢ (1/d) Σⱼ |aᵢⱼ - yᵢⱼ|"""
    n, d = a.shape
    total = 0.0
    for i in range(n):
        for j in range(d):
            total += abs(a[i, j] - y[i, j])
    return total / d
