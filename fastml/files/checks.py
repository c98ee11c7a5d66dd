"""What is checked of a model file before anything is made of it: its description, then its tensors.

A checksum tells damage, but whoever forges a file makes a new one. So nothing in a file is believed: each number must
be one that a model can have, and nothing may be made that is larger than what the file holds.
"""

import json
import math

import numpy as np

from fastml.attributes import positive_integer
from fastml.initializers import Given
from fastml.layers import Layer, Normalization

MOST_TENSORS = 2**17  # in a file: each takes time and memory, also an empty one
MOST_BRACKETS = 10**5  # in a description, beside one for each number in the tensors: objects take 20 times their text
MOST_LAYERS = 2**12  # each takes time, also one without weights
MOST_WIDTH = 2**16  # of data, where there are no weights behind it
LARGEST = 2**53  # count of epochs or updates


def parse(text, numbers):
    """The description in a JSON text, of a file whose tensors hold so many numbers.

    ValueError for what JSON allows or Python does, but no description has: NaN, infinity, numbers beyond float64, a key
    twice, half a character; RecursionError for a deep one.
    """
    if text.count("[") + text.count("{") > MOST_BRACKETS + numbers:
        raise ValueError("the description has more brackets than that of a model of this size")
    description = json.loads(text, parse_constant=no_number, parse_float=finite, object_pairs_hook=unique)
    if not isinstance(description, dict):
        raise ValueError(f"the description is a {type(description).__name__}")
    json.dumps(description, ensure_ascii=False).encode()  # escapes may be halves of characters, which nobody can write
    return description


def no_number(text):
    raise ValueError(f"{text} in the description")


def finite(text):
    """The number in a text, a float."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the description holds {text[:30]}, which is beyond float64")
    return number


def unique(pairs):
    """A dict of pairs; ValueError where a key is there twice."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("the description has a key twice")
    return entries


def count(description, name):
    """A whole number from 0 on in a description."""
    return positive_integer(name, description[name], most=LARGEST, least=0)


def last_loss(training):
    """The loss before the last update, infinite where there was none."""
    loss = training["loss"]
    if loss is not None and (isinstance(loss, bool) or not isinstance(loss, (int, float))):
        raise TypeError(f"loss must be a number, got {loss!r}")
    return math.inf if loss is None else float(loss)


def check_count(layers):
    """ValueError for more layers than a model has, or more models than an ensemble."""
    if not isinstance(layers, list) or len(layers) > MOST_LAYERS:
        raise ValueError(f"layers or models must be a list of at most {MOST_LAYERS}")


def expected_tensors(layers, width, optimizer):
    """The tensors of a model with data of this width: {name: (shape, least, largest number, may be float64)}.

    Those of the optimizer's state are among them unless it is None. ValueError for what are no layers.
    """
    expected, bounds = {}, optimizer.bounds if optimizer else ()
    for position, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ValueError(f"layer {position} is {layer!r}")
        for weights in layer.parameters(width):
            if weights.role == "constant":
                continue
            if isinstance(weights.initializer, Given):  # an array, which must fit
                weights.initializer(None, weights.shape)
            name = f"{position}.{weights.name}"
            least = 0 if weights.name == "variance" else -math.inf
            wide = isinstance(layer, Normalization) and weights.name == "mean"  # see `fastml.data.statistics.shift_of`
            expected[f"weights.{name}"] = weights.shape, least, math.inf, wide
            if weights.role != "statistic":
                for k, bound in enumerate(bounds):
                    expected[f"optimizer.{k}.{name}"] = weights.shape, *bound, False
        width = layer.units_out(width)
    return expected


def check_tensors(tensors, expected, dtype):
    """ValueError unless the tensors are the expected ones, of this dtype, finite and within bounds."""
    for name in expected:
        if name not in tensors:
            raise ValueError(f"tensor {name} is missing")
    for name, array in tensors.items():
        if name not in expected:
            raise ValueError(f"tensor {name} is none of this model's")
        shape, least, largest, wide = expected[name]
        if array.shape != shape:
            raise ValueError(f"tensor {name} has shape {array.shape}, expected {shape}")
        if array.dtype.name != dtype and not (wide and array.dtype == np.float64):
            raise ValueError(f"tensor {name} has dtype {array.dtype}, expected {dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"tensor {name} holds NaN or infinity")
        real = array.dtype.type
        if array.min(initial=math.inf) < real(least) or array.max(initial=-math.inf) > real(largest):
            raise ValueError(f"tensor {name} holds numbers outside of {least:g} to {largest:g}")


def check_width(width, tensors):
    """ValueError for data so wide that no weights are behind it: its workspace would be larger than the file."""
    if width > MOST_WIDTH + sum(array.size for array in tensors.values()):
        raise ValueError(f"input_dim is {width}, but the file has no weights for so many columns")
