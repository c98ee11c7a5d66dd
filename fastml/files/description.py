"""Descriptions: objects of fastml as plain data, and back. Only constructors of this package are called.

Functions and classes of users are described by their names; who makes the objects again must have them.
"""

import inspect
from functools import partial

import numpy as np

from fastml.custom import called
from fastml.initializers import INITIALIZERS
from fastml.registry import lookup

CLASSES = {}  # fastml's, by name: those that are derived from Described


class Described:
    """What can be described: made again by its class, from the arguments of the constructor.

    A class that is but the `base` of others is no class of things.
    """

    def __init_subclass__(cls, base=False, **options):
        super().__init_subclass__(**options)
        if not base and cls.__module__.startswith("fastml."):
            CLASSES[cls.__name__] = cls

    def described(self):
        """The arguments that make the like of it, by name: attributes, where `arguments` does not say others."""
        parameters = inspect.signature(type(self)).parameters.values()
        names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        return self.attributes(names) | getattr(self, "arguments", {})

    def attributes(self, names):
        """The attributes of these names; TypeError where one lacks."""
        for name in names:
            if not hasattr(self, name):
                kind = type(self).__name__
                raise TypeError(f"{kind} cannot be described: its argument {name!r} is no attribute of the same name")
        return {name: getattr(self, name) for name in names}


LATER = {"name": None, "trainable": True, "use_bias": True}  # which the first version of the format does not know
LATER |= {"from_logits": None, "clipnorm": None, "derivative": None}  # and what is usual


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
    if isinstance(thing, Described):
        note(custom, kind)
        return {"class": "custom", "arguments": {"name": kind.__name__, "arguments": arguments(thing, custom)}}
    if callable(thing):
        note(custom, thing)
        return {"class": "function", "arguments": {"name": called(thing)}}
    raise TypeError(f"{thing!r} cannot be saved: its class {kind.__name__} is not one of fastml's own")


def arguments(thing, custom):
    """The arguments of a thing as plain data, those of `LATER` only where they are not as usual."""
    found = {name: value for name, value in thing.described().items() if name not in LATER or value != LATER[name]}
    return {name: describe(value, custom) for name, value in found.items()}


def note(custom, thing):
    """Puts a user's function or class into a dict by its name."""
    name = called(thing)
    if custom.setdefault(name, thing) is not thing and custom[name] != thing:
        raise ValueError(f"two functions or classes of your own are called {name!r}: a file could not tell them apart")


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
