"""Losses: what each takes, the likelihood it comes from, and the formulas in NumPy.

The loss of a batch is the mean over its rows; where a row has several independent outputs (mean_squared_error,
binary_crossentropy) the row's loss is the mean over them, as in Keras and PyTorch.

===============================  =======================  =============================  ==========================
name                             likelihood               output layer                   targets
===============================  =======================  =============================  ==========================
mean_squared_error               Gaussian, unit variance  any                            numbers (rows, units)
binary_crossentropy              Bernoulli                sigmoid, or linear for logits  0 … 1 (rows, units)
categorical_crossentropy         categorical              softmax, or linear for logits  one-hot rows or
                                                                                         distributions
sparse_categorical_crossentropy  categorical              softmax, or linear for logits  class numbers (rows,)
===============================  =======================  =============================  ==========================

The cross-entropies are computed from the logits: a sigmoid or softmax output layer is fused with its loss, which makes
the gradient (a - y) / rows and keeps both finite for logits of any size. With a linear output layer the loss is the
same and `predict` returns logits.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastml.activations import sigmoid, softmax
from fastml.kernels import losses as kernels


class Loss(NamedTuple):
    code: int
    link: str  # the output activation that is fused into the loss
    targets: str  # "numbers", "probabilities", "distributions" or "labels"
    forward: Callable  # z, y -> loss of each row, predictions a
    backward: Callable  # a, y -> gradient of the mean loss with respect to z


def mean_squared_error_forward(z, y):
    return ((z - y).astype(np.float64) ** 2).mean(axis=1), z


def mean_squared_error_backward(a, y):
    return 2 * (a - y) / a.size


def binary_crossentropy_forward(z, y):
    rows = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
    return rows.mean(axis=1, dtype=np.float64), sigmoid(z)


def binary_crossentropy_backward(a, y):
    return (a - y) / a.size


def log_softmax(z):
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def categorical_crossentropy_forward(z, y):
    return -(y * log_softmax(z)).sum(axis=1, dtype=np.float64), softmax(z)


def categorical_crossentropy_backward(a, y):
    return (a - y) / len(a)


def one_hot(y, classes):
    return (y == np.arange(classes)).astype(y.dtype)


def sparse_categorical_crossentropy_forward(z, y):
    return categorical_crossentropy_forward(z, one_hot(y, z.shape[1]))


def sparse_categorical_crossentropy_backward(a, y):
    return categorical_crossentropy_backward(a, one_hot(y, a.shape[1]))


LOSSES = {
    "mean_squared_error": Loss(
        kernels.MEAN_SQUARED_ERROR, "linear", "numbers", mean_squared_error_forward, mean_squared_error_backward
    ),
    "binary_crossentropy": Loss(
        kernels.BINARY_CROSSENTROPY,
        "sigmoid",
        "probabilities",
        binary_crossentropy_forward,
        binary_crossentropy_backward,
    ),
    "categorical_crossentropy": Loss(
        kernels.CATEGORICAL_CROSSENTROPY,
        "softmax",
        "distributions",
        categorical_crossentropy_forward,
        categorical_crossentropy_backward,
    ),
    "sparse_categorical_crossentropy": Loss(
        kernels.SPARSE_CATEGORICAL_CROSSENTROPY,
        "softmax",
        "labels",
        sparse_categorical_crossentropy_forward,
        sparse_categorical_crossentropy_backward,
    ),
}
