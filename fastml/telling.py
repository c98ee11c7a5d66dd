"""Errors that tell what to use instead: for arguments and names that Keras has, and fastml calls otherwise or lacks."""

import difflib
import functools
import inspect
import sys

from fastml.keras_names import ARGUMENTS, MISSING, SAME, canonical


def told(function):
    """The function, which says of an argument that it does not have what to use in its place.

    Arguments that mean one of its own under another name, see `SAME`, are taken.
    """
    parameters = inspect.signature(function).parameters
    rest = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())

    @functools.wraps(function)
    def call(*args, **options):
        if not (rest or options.keys() <= parameters.keys()):
            owner = type(args[0]).__name__ if function.__name__ == "__init__" else function.__name__
            options = translated(owner, options, parameters)
        return function(*args, **options)

    return call


def translated(owner, options, parameters):
    """The options under their names here; TypeError for one that there is not."""
    own = [name for name, p in parameters.items() if name != "self" and p.kind is not p.VAR_KEYWORD]
    found = {}
    if owner == "CosineDecay" and "alpha" in options:  # the last rate as a share of the first
        first = options.get("initial_learning_rate", options.get("learning_rate"))
        if first is None or "final" in options:
            raise TypeError("CosineDecay: alpha needs initial_learning_rate by name, and no final; or pass final")
        options = {**options, "final": options["alpha"] * first}
        del options["alpha"]
    for name, value in options.items():
        here = SAME.get(owner, {}).get(name, name)
        if here not in own:
            close = difflib.get_close_matches(name, own, n=1)
            why = ARGUMENTS.get(name) or (f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(own)}")
            raise TypeError(f"{owner} has no argument '{name}': {why}")
        if here in found:
            raise TypeError(f"{owner} got {here} twice, also as '{name}'")
        found[here] = value
    return found


class Told:
    """What has constructors that are `told`."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = told(cls.__init__)


def missing(owner, table):
    """A `__getattr__` for a module: names of fastml that stand elsewhere, and sentences about those of a table."""

    def __getattr__(name):
        package = sys.modules["fastml"]
        if name in getattr(package, "__all__", ()) and owner != "fastml":
            return getattr(package, name)
        if name == "schedules":
            return sys.modules["fastml.schedules"]
        if name in table:
            raise AttributeError(f"{owner} has no {name}: {table[name]}")
        raise AttributeError(f"module '{owner}' has no attribute '{name}'")

    return __getattr__


def constructors(owner, registry, give):
    """A `__getattr__` for a module in which names of Keras's classes stand for entries of a registry.

    ``AUC()`` is ``give("auc")``. They take no argument but `name`, where that is the entry's own.
    """
    fallback = missing(owner, MISSING)

    def __getattr__(name):
        entry = canonical(name, registry)
        if not name[:1].isupper() or entry not in registry:
            return fallback(name)

        def constructor(**options):
            if options.pop("name", entry) != entry:
                raise TypeError(f"{name}: in the logs it is called '{entry}'; other names there are not")
            if options:
                translated(name, options, {})
            return give(entry)

        constructor.__name__ = constructor.__qualname__ = name
        constructor.__doc__ = f"What '{entry}' stands for, under Keras's name."
        return constructor

    return __getattr__
