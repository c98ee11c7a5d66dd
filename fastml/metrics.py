"""Metrics: how good predictions are. Here those that are means over rows, with the formulas in NumPy.

"accuracy" becomes the metric that fits the targets: sparse_categorical_accuracy for class numbers,
categorical_accuracy for distributions, binary_accuracy for probabilities; for numbers (mean_squared_error) it is
binary for one output and categorical for several. root_mean_squared_error is the root of the mean over all rows and
outputs, as in Keras; scikit-learn takes the mean of the outputs' roots.

The executor sums these up while it trains, so that `fit` logs them for training rows as for validation rows. What
needs a data set as a whole is in `fastml.set_metrics`.

Short names are taken too, such as "mse", "mae", "acc" or "AUC"; `fit` logs a metric by the name that it was given.
``fastml.metrics.AUC()``, and so on for each metric by the name of Keras's class, is the same as its name.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastml.custom import called
from fastml.keras_names import MISSING, canonical
from fastml.registry import Wrapper, lookup
from fastml.set_metrics import SET_METRICS, SetMetric, for_targets
from fastml.telling import constructors, missing


class Metric(NamedTuple):
    operation: str  # the name of its kernel
    labels: bool  # whether the targets are class numbers
    score: Callable  # predictions a, targets y -> score of each row
    of_mean: Callable = float  # mean of the scores -> metric


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
    "binary_accuracy": Metric("binary_accuracy", False, binary_accuracy),
    "categorical_accuracy": Metric("categorical_accuracy", False, categorical_accuracy),
    "sparse_categorical_accuracy": Metric("sparse_categorical_accuracy", True, sparse_categorical_accuracy),
    "mean_squared_error": Metric("mean_squared_error", False, mean_squared_error),
    "root_mean_squared_error": Metric("mean_squared_error", False, mean_squared_error, math.sqrt),
    "mean_absolute_error": Metric("mean_absolute_error", False, mean_absolute_error),
}


class CustomMetric(str, Wrapper):
    """The name of a user's metric, which is what logs call it, and its function of y_true and y_pred."""

    def value(self, a, y):
        """The metric of predictions a and targets y; ValueError where the function fails."""
        y, a = y.view(), a.view()
        y.flags.writeable = a.flags.writeable = False  # targets are the user's, and other metrics follow
        try:
            return float(np.mean(self.source(y, a)))
        except Exception as error:
            raise ValueError(f"metric '{self}': {type(error).__name__}: {error}") from error

    def of_labels(self, a, y):
        """The same for targets that are class numbers, (n, 1), which it gets as integers (n,)."""
        return self.value(a, y[:, 0].astype(np.int64))


def named_metric(metric):
    """A metric as its name: of a user's function, a CustomMetric."""
    if not callable(metric) or isinstance(metric, (str, type)):
        return metric
    name = CustomMetric(called(metric))
    if name == "loss":
        raise ValueError("a metric cannot be called 'loss', which logs have already: give the function another name")
    name.source = metric
    return name


NAMES = {**METRICS, **SET_METRICS, "accuracy": None}


def resolve_metric(name, loss_name, loss, units):
    """The Metric or SetMetric that `name` means beside this loss and number of outputs.

    Raises ValueError for an unknown name and for a metric whose targets are not the loss's.
    """
    if isinstance(name, CustomMetric):
        return SetMetric(False, name.of_labels if loss.targets == "labels" else name.value)
    name = canonical(name, NAMES)
    of_set = SET_METRICS.get(name) if isinstance(name, str) else None
    if loss.targets == "counts" and (name == "accuracy" or (of_set and of_set.classes)):
        raise ValueError(f"metric '{name}' is for classes, but {loss_name} takes counts: use 'mean_absolute_error'")
    if name == "accuracy":
        several = "binary_accuracy" if units == 1 else "categorical_accuracy"
        name = {
            "labels": "sparse_categorical_accuracy",
            "distributions": "categorical_accuracy",
            "probabilities": "binary_accuracy",
            "numbers": several,
        }[loss.targets]
    metric = lookup(NAMES, name, "metric")
    if of_set and of_set.classes:
        return for_targets(of_set, loss.targets, units)
    labels = not of_set and metric.labels
    if labels != (loss.targets == "labels"):
        wanted = "class numbers" if labels else "targets with a column for each output"
        raise ValueError(f"metric '{name}' compares with {wanted}, but the loss is '{loss_name}'; use 'accuracy'")
    return metric


def means_over_rows(metrics):
    """Those of the metrics that the executor sums up."""
    return [metric for metric in metrics if isinstance(metric, Metric)]


def columns_of(metrics):
    """Columns of the totals: the loss, and the metrics that are means over rows."""
    return 1 + len(means_over_rows(metrics))


def named(names, metrics, means, a=None, y=None):
    """A dict from "loss" and the names of the metrics to their values.

    `means` are those of loss and scores over the rows. Metrics of the whole set are in it where its predictions `a`
    are given. A metric is NaN where the loss is, or predictions are not finite: they have no class, no rank, no error.
    """
    loss, *scores = means
    logs, scores = {"loss": loss}, iter(scores)
    known = not math.isnan(loss) and (a is None or bool(np.isfinite(a).all()))
    for name, metric in zip(names, metrics, strict=True):
        if isinstance(metric, Metric):
            score = next(scores)
            logs[name] = metric.of_mean(score) if known else math.nan
        elif a is not None:
            logs[name] = metric.value(a, y) if known else math.nan
    return logs


def more_is_better(name):
    """Whether a metric of this name in the logs, also a user's own, such as val_macro_f1, is the better the higher."""
    name = canonical(name.removeprefix("val_"), NAMES)
    return "accuracy" in name or any(word in SET_METRICS for word in name.split("_"))


__getattr__ = missing("fastml.metrics", MISSING, constructors(NAMES, str))
