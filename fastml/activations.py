"""Activation functions: their names, what the compiled kernels call them, and the formulas in NumPy.

The derivative is a function of the output a, so the pre-activation z need not be kept.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastml.kernels import activations as kernels


class ActivationFunction(NamedTuple):
    code: int
    forward: Callable  # z -> a
    backward: Callable  # a, da -> dz


def sigmoid(z):
    """1 / (1 + e⁻ᶻ), stable at both ends."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def softmax(z):
    """Each row: exp(z) / Σ exp(z), stable for logits of any size."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(a, da):
    return a * (da - (da * a).sum(axis=1, keepdims=True))


ACTIVATIONS = {
    "linear": ActivationFunction(kernels.LINEAR, lambda z: z, lambda a, da: da),
    "relu": ActivationFunction(kernels.RELU, lambda z: np.maximum(z, 0), lambda a, da: da * (a > 0)),
    "sigmoid": ActivationFunction(kernels.SIGMOID, sigmoid, lambda a, da: da * a * (1 - a)),
    "tanh": ActivationFunction(kernels.TANH, np.tanh, lambda a, da: da * (1 - a * a)),
    "softmax": ActivationFunction(kernels.SOFTMAX, softmax, softmax_backward),
}
