"""Descriptions: objects of fastml as plain data, and back. Only constructors of this package are called."""

import inspect
from functools import partial

import numpy as np

from fastml.embedding import Embedding
from fastml.initializers import INITIALIZERS
from fastml.layer import Layer
from fastml.layers import Activation, BatchNormalization, Dense, Dropout, Normalization
from fastml.losses import LOSSES
from fastml.optimizers import OPTIMIZERS
from fastml.registry import lookup
from fastml.regularizers import L1, L1L2, L2
from fastml.schedules import SCHEDULES

LATER = {"name": None, "trainable": True, "use_bias": True, "from_logits": None, "clipnorm": None}  # and its default
LAYERS = (Activation, BatchNormalization, Dense, Dropout, Embedding, Normalization)
CLASSES = {
    kind.__name__: kind for kind in (*LAYERS, *LOSSES.values(), *OPTIMIZERS.values(), *SCHEDULES.values(), L1, L2, L1L2)
}


def describe(thing):
    """A number, string, None or object of `CLASSES` as what JSON holds: objects by class and constructor's arguments.

    So are dicts by column, whose keys JSON would make strings; tuples are lists.
    TypeError for anything else, such as an object of a user's own class.
    """
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    if thing in INITIALIZERS.values():
        return next(name for name, function in INITIALIZERS.items() if function is thing)
    if isinstance(thing, partial):  # an initializer that the user gave as a number or an array
        return thing.keywords["values"].tolist()
    name = type(thing).__name__
    if isinstance(thing, tuple):
        return [describe(entry) for entry in thing]
    if isinstance(thing, dict):
        return {"class": "dict", "arguments": {str(column): describe(value) for column, value in thing.items()}}
    if CLASSES.get(name) is not type(thing):
        raise TypeError(f"{thing!r} cannot be saved: its class {name} is not one of fastml's own")
    return {"class": name, "arguments": {k: describe(value) for k, value in arguments_of(thing).items()}}


def arguments_of(thing):
    """The arguments that make the like of an object, by name: its attributes, where it does not say others.

    Those of `LATER`, which the first version of the format does not know, only where they are not as usual.
    """
    parameters = inspect.signature(type(thing)).parameters.values()
    found = {p.name: getattr(thing, p.name) for p in parameters if p.kind is not p.VAR_KEYWORD}
    if isinstance(thing, Layer):
        found |= {"name": thing._name, "trainable": thing.trainable}
    found |= getattr(thing, "arguments", {})
    return {name: value for name, value in found.items() if name not in LATER or value != LATER[name]}


def restore(description):
    """What was described. ValueError or TypeError where it is not a description."""
    if not isinstance(description, dict):
        return np.array(description) if isinstance(description, list) else description
    if set(description) != {"class", "arguments"} or not isinstance(description["arguments"], dict):
        raise ValueError(f"no description of an object: {description}")
    if description["class"] == "dict":
        entries = {int(column): restore(value) for column, value in description["arguments"].items()}
        if list(map(str, entries)) != list(description["arguments"]):
            raise ValueError(f"columns must be whole numbers, got {', '.join(description['arguments'])}")
        return entries
    kind = lookup(CLASSES, description["class"], "class")
    return kind(**{name: restore(value) for name, value in description["arguments"].items()})
