"""Initializers: start values that keep the size of signals from layer to layer.

Each takes a random stream and the shape, (d_in, d_out) for weights, and returns float64. For biases, (units,), d_in and
d_out are both units, as in Keras.
"""

import numpy as np


def zeros(random, shape):
    """All zero: the usual start of biases."""
    return np.zeros(shape)


def glorot_uniform(random, shape):
    """Uniform in ±√(6 / (d_in + d_out)): variance 2 / (d_in + d_out), for tanh and sigmoid (Xavier; Glorot & Bengio,
    AISTATS 2010)."""
    limit = np.sqrt(6 / (shape[0] + shape[-1]))
    return limit * (2 * random.uniform(shape) - 1)


def he_normal(random, shape):
    """Normal with variance 2 / d_in, for relu and its family (He et al., ICCV 2015). Not truncated, as in PyTorch;
    Keras truncates at two standard deviations."""
    return np.sqrt(2 / shape[0]) * random.normal(shape)


INITIALIZERS = {"zeros": zeros, "glorot_uniform": glorot_uniform, "he_normal": he_normal}
