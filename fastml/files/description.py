"""Descriptions: objects of fastml as plain data, and back. Only constructors of this package are called.

Functions and classes of users are described by their names; who makes the objects again must have them.
"""

import inspect
import math

import numpy as np

from fastml.custom import called
from fastml.initializers import INITIALIZERS, Given
from fastml.registry import Wrapper, lookup
from fastml.telling import arguments_in_order

CLASSES = {}  # fastml's, by name: those that are derived from Described


class Described:
    """What can be described: made again by its class, from the arguments of the constructor.

    A class that is but the `base` of others is no class of things.
    """

    _shared = ()  # arguments of the base that may be set afterwards: a user's constructor need not take them

    def __init_subclass__(cls, base=False, **options):
        super().__init_subclass__(**options)
        if not base and cls.__module__.startswith("fastml."):
            CLASSES[cls.__name__] = cls

    def described(self):
        """The arguments that make the like of it, by name: attributes, where `arguments` does not say others."""
        return self.attributes(arguments_in_order(type(self))) | getattr(self, "arguments", {})

    def attributes(self, names):
        """The attributes of these names; TypeError where one lacks."""
        for name in names:
            if not hasattr(self, name):
                kind = type(self).__name__
                raise TypeError(f"{kind} cannot be described: its argument {name!r} is no attribute of the same name")
        return {name: getattr(self, name) for name in names}


SEQUENCES = {"list": list, "tuple": tuple}
LATER = {"name": None, "trainable": True, "use_bias": True}  # which the first version of the format does not know
LATER |= {"from_logits": None, "clipnorm": None, "derivative": None}  # and what is usual


class Unknown(ValueError):
    """A description has the name of a user's function or class that was not passed."""


def describe(thing, custom=None):
    """A number, string, None, array or object as what JSON holds: objects by class and constructor's arguments.

    So are what JSON would make something else of: infinite numbers, lists, which are arrays, tuples, and dicts by
    column. Users' functions and classes are put into the dict `custom` by their names, under which the description has
    them; ValueError where two have one name. TypeError for anything else.
    """
    custom = {} if custom is None else custom
    if isinstance(thing, Wrapper):
        thing = thing.source
    if isinstance(thing, Given):  # an initializer that the user gave as a number or an array
        thing = thing.values
    if isinstance(thing, np.ndarray) and thing.dtype.kind in "biufU":
        return nested(thing.tolist(), custom)
    if isinstance(thing, np.generic):
        thing = thing.item()
    if isinstance(thing, float) and not math.isfinite(thing):
        return {"class": "float", "arguments": {"value": str(float(thing))}}
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    for name, function in INITIALIZERS.items():
        if thing is function:
            return name
    kind = type(thing)
    if kind in SEQUENCES.values():
        return {"class": kind.__name__, "arguments": {"values": [describe(entry, custom) for entry in thing]}}
    if isinstance(thing, dict):
        if not all(isinstance(column, (int, np.integer)) for column in thing):
            raise TypeError("a dict can be saved only where its keys are whole numbers")
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


def nested(values, custom):
    """The description of a value, of lists as those of arrays: lists of lists."""
    if isinstance(values, list):
        return [nested(value, custom) for value in values]
    return describe(values, custom)


def arguments(thing, custom):
    """The arguments of a thing as plain data, of fastml's those of `LATER` only where they are not as usual.

    TypeError where the like of a user's could not be made of them.
    """
    kind, found = type(thing), thing.described()
    if CLASSES.get(kind.__name__) is kind:
        found = {name: value for name, value in found.items() if name not in LATER or value != LATER[name]}
        return {name: nested(list(v) if type(v) is tuple else v, custom) for name, v in found.items()}
    for p in inspect.signature(kind).parameters.values():
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in found:
            raise TypeError(f"{kind.__name__} cannot be saved: its constructor needs {p.name!r}, which no file has")
    plain = {}
    for name, value in found.items():
        try:
            plain[name] = describe(value, custom)
        except TypeError as error:
            raise TypeError(f"{kind.__name__} cannot be saved with its argument {name!r}: {error}") from error
    return plain


def note(custom, thing):
    """Puts a user's function or class into a dict by its name."""
    name = called(thing)
    if custom.setdefault(name, thing) is not thing and custom[name] != thing:
        raise ValueError(f"two functions or classes of your own are called {name!r}: a file could not tell them apart")


def restore(description, custom=None):
    """What was described. ValueError or TypeError where it is not a description.

    custom : dict from their names to users' functions and classes.
    """
    if isinstance(description, list):
        array = np.array(description)
        return array if array.dtype != object else np.array([restore(entry, custom) for entry in description])
    if not isinstance(description, dict):
        return description
    if set(description) != {"class", "arguments"} or not isinstance(description["arguments"], dict):
        raise ValueError(f"no description of an object: {description}")
    if description["class"] == "dict":
        entries = {int(column): restore(value, custom) for column, value in description["arguments"].items()}
        if list(map(str, entries)) != list(description["arguments"]):
            raise ValueError(f"columns must be whole numbers, got {', '.join(description['arguments'])}")
        return entries
    arguments = description["arguments"]
    if description["class"] == "float":
        return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[arguments["value"]]
    if description["class"] in SEQUENCES:
        return SEQUENCES[description["class"]](restore(value, custom) for value in arguments["values"])
    if description["class"] == "function":
        return own(arguments, custom)
    if description["class"] == "custom":
        kind, arguments = own(arguments, custom), arguments["arguments"]
        return remade(kind, {name: restore(value, custom) for name, value in arguments.items()})
    kind = lookup(CLASSES, description["class"], "class")
    return kind(**{name: restore(value, custom) for name, value in arguments.items()})


def remade(kind, given):
    """The object of a user's class with these arguments, each in the way in which the constructor takes it."""
    call = inspect.signature(kind).bind_partial()
    parameters = call.signature.parameters.values()
    taken = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name in given}
    shared = {name: given[name] for name in getattr(kind, "_shared", ()) if name in given}
    call.arguments.update({name: given[name] for name in taken})
    others = {name: value for name, value in given.items() if name not in taken and name not in shared}
    made = kind(*call.args, **call.kwargs, **others)
    for name, value in shared.items():
        setattr(made, name, value)
    return made


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
