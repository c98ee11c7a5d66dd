"""Descriptions: objects of fastml as plain data, and back. Only constructors of this package are called.

Functions and classes of users are described by their names; who makes the objects again must have them.
"""

import inspect
from functools import partial

import numpy as np

from fastml.custom import called
from fastml.descent import GradientDescent, Optimizer
from fastml.embedding import Embedding
from fastml.initializers import INITIALIZERS
from fastml.layer import COMMON, Layer
from fastml.layers import Activation, BatchNormalization, Dense, Dropout, Normalization
from fastml.losses import LOSSES, Loss
from fastml.optimizers import OPTIMIZERS
from fastml.registry import lookup
from fastml.regularizers import L1, L1L2, L2
from fastml.schedules import SCHEDULES, Schedule

LATER = {"name": None, "trainable": True, "use_bias": True}  # and what is usual
LATER |= {"from_logits": None, "clipnorm": None, "derivative": None}
BASES = (Layer, Loss, Optimizer, Schedule)  # of which users may have classes of their own
LAYERS = (Activation, BatchNormalization, Dense, Dropout, Embedding, Normalization)
CLASSES = {
    kind.__name__: kind for kind in (*LAYERS, *LOSSES.values(), *OPTIMIZERS.values(), *SCHEDULES.values(), L1, L2, L1L2)
}


class Unknown(ValueError):
    """A description has the name of a user's function or class that was not passed."""


def describe(thing, custom=None):
    """A number, string, None or object as what JSON holds: objects by class and constructor's arguments.

    So are dicts by column, whose keys JSON would make strings; tuples are lists. Users' functions and classes are put
    into the dict `custom` by their names, under which the description has them; ValueError where two have one name.
    TypeError for anything else.
    """
    thing = getattr(thing, "source", thing)  # of what wraps a user's function or object
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    if thing in INITIALIZERS.values():
        return next(name for name, function in INITIALIZERS.items() if function is thing)
    if isinstance(thing, partial):  # an initializer that the user gave as a number or an array
        return thing.keywords["values"].tolist()
    custom = {} if custom is None else custom
    kind = type(thing)
    if isinstance(thing, tuple):
        return [describe(entry, custom) for entry in thing]
    if isinstance(thing, dict):
        return {"class": "dict", "arguments": {str(column): describe(value, custom) for column, value in thing.items()}}
    if CLASSES.get(kind.__name__) is kind:
        return {"class": kind.__name__, "arguments": arguments(thing, custom)}
    if isinstance(thing, BASES):
        note(custom, kind)
        return {"class": "custom", "arguments": {"name": kind.__name__, "arguments": arguments(thing, custom)}}
    if callable(thing):
        note(custom, thing)
        return {"class": "function", "arguments": {"name": called(thing)}}
    raise TypeError(f"{thing!r} cannot be saved: its class {kind.__name__} is not one of fastml's own")


def arguments(thing, custom):
    return {name: describe(value, custom) for name, value in arguments_of(thing).items()}


def note(custom, thing):
    """Puts a user's function or class into a dict by its name."""
    name = called(thing)
    if custom.setdefault(name, thing) is not thing and custom[name] != thing:
        raise ValueError(f"two functions or classes of your own are called {name!r}: a file could not tell them apart")


def arguments_of(thing):
    """The arguments that make the like of an object, by name: its attributes, where it does not say others.

    Those of `LATER`, which the first version of the format does not know, only where they are not as usual.
    """
    parameters = inspect.signature(type(thing)).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    if isinstance(thing, Layer):
        names = [name for name in names if name not in COMMON]
    if isinstance(thing, GradientDescent) and len(names) < len(parameters):  # a user's, which passes the others on
        names = dict.fromkeys((*names, *inspect.signature(GradientDescent).parameters))
    lacking = [name for name in names if not hasattr(thing, name)]
    if lacking:
        kind = type(thing).__name__
        raise TypeError(f"{kind} cannot be described: its argument {lacking[0]!r} is no attribute of the same name")
    found = {name: getattr(thing, name) for name in names}
    if isinstance(thing, Layer):
        found |= {"name": thing._name, "trainable": thing.trainable}
    found |= getattr(thing, "arguments", {})
    return {name: value for name, value in found.items() if name not in LATER or value != LATER[name]}


def restore(description, custom=None):
    """What was described. ValueError or TypeError where it is not a description.

    custom : dict from their names to users' functions and classes.
    """
    if not isinstance(description, dict):
        return np.array(description) if isinstance(description, list) else description
    if set(description) != {"class", "arguments"} or not isinstance(description["arguments"], dict):
        raise ValueError(f"no description of an object: {description}")
    if description["class"] == "dict":
        entries = {int(column): restore(value, custom) for column, value in description["arguments"].items()}
        if list(map(str, entries)) != list(description["arguments"]):
            raise ValueError(f"columns must be whole numbers, got {', '.join(description['arguments'])}")
        return entries
    arguments = description["arguments"]
    if description["class"] == "function":
        return own(arguments, custom)
    if description["class"] == "custom":
        kind, arguments = own(arguments, custom), arguments["arguments"]
    else:
        kind = lookup(CLASSES, description["class"], "class")
    return kind(**{name: restore(value, custom) for name, value in arguments.items()})


def own(arguments, custom):
    """The user's function or class of a name; `Unknown` where it was not passed."""
    name = arguments["name"]
    if name not in (custom or {}):
        raise Unknown(unknown([name]))
    if not callable(custom[name]):
        raise TypeError(f"custom_objects: {name!r} must be a function or class, got {type(custom[name]).__name__}")
    return custom[name]


def unknown(names):
    what = "functions or classes of these names" if len(names) > 1 else "the function or class of that name"
    passed = ", ".join(f"{name!r}: …" for name in names)
    return f"the model has {', '.join(names)}, not fastml's own: pass custom_objects={{{passed}}}, {what}"


def check_known(description, custom):
    """`Unknown` where a description has users' functions or classes that were not passed; it tells all of them."""
    lacking, open_ = {}, [description]
    while open_:
        part = open_.pop()
        if isinstance(part, dict):
            inner = part.get("arguments")
            if part.get("class") in ("function", "custom") and isinstance(inner, dict) and "name" in inner:
                lacking |= {} if inner["name"] in (custom or {}) else {str(inner["name"]): None}
            open_ += reversed(part.values())
        elif isinstance(part, list):
            open_ += reversed(part)
    if lacking:
        raise Unknown(unknown(list(lacking)))


def custom_objects(model):
    """The functions and classes of the user's own that a model has, by name."""
    found = {}
    for thing in (*model._built_layers(), model.optimizer, model.loss, *model.metrics):
        describe(thing, found)
    return found
