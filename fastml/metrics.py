"""Metrics: how good predictions are, as a mean over rows, with the formulas in NumPy.

"accuracy" becomes the metric that fits the targets: sparse_categorical_accuracy for class numbers,
categorical_accuracy for distributions, binary_accuracy for probabilities; for numbers (mean_squared_error) it is
binary for one output and categorical for several.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastml.kernels import metrics as kernels
from fastml.registry import lookup


class Metric(NamedTuple):
    code: int
    labels: bool  # whether the targets are class numbers
    score: Callable  # predictions a, targets y -> score of each row


def binary_accuracy(a, y):
    return ((a > 0.5) == (y > 0.5)).mean(axis=1)


def categorical_accuracy(a, y):
    return a.argmax(axis=1) == y.argmax(axis=1)


def sparse_categorical_accuracy(a, y):
    return a.argmax(axis=1) == y[:, 0]


def mean_squared_error(a, y):
    return ((a - y).astype(np.float64) ** 2).mean(axis=1)


def mean_absolute_error(a, y):
    return np.abs(a - y).mean(axis=1, dtype=np.float64)


METRICS = {
    "binary_accuracy": Metric(kernels.BINARY_ACCURACY, False, binary_accuracy),
    "categorical_accuracy": Metric(kernels.CATEGORICAL_ACCURACY, False, categorical_accuracy),
    "sparse_categorical_accuracy": Metric(kernels.SPARSE_CATEGORICAL_ACCURACY, True, sparse_categorical_accuracy),
    "mean_squared_error": Metric(kernels.MEAN_SQUARED_ERROR, False, mean_squared_error),
    "mean_absolute_error": Metric(kernels.MEAN_ABSOLUTE_ERROR, False, mean_absolute_error),
}


def resolve_metric(name, loss_name, loss, units):
    """The Metric that `name` means beside this loss and number of outputs.

    Raises ValueError for an unknown name and for a metric whose targets are not the loss's.
    """
    if name == "accuracy" and loss.targets == "counts":
        raise ValueError(f"metric 'accuracy' is for classes, but {loss_name} takes counts: use 'mean_absolute_error'")
    if name == "accuracy":
        several = "binary_accuracy" if units == 1 else "categorical_accuracy"
        name = {
            "labels": "sparse_categorical_accuracy",
            "distributions": "categorical_accuracy",
            "probabilities": "binary_accuracy",
            "numbers": several,
        }[loss.targets]
    metric = lookup({**METRICS, "accuracy": None}, name, "metric")
    if metric.labels != (loss.targets == "labels"):
        wanted = "class numbers" if metric.labels else "targets with a column for each output"
        raise ValueError(f"metric '{name}' compares with {wanted}, but the loss is '{loss_name}'; use 'accuracy'")
    return metric
