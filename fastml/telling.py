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

    @functools.wraps(function)
    def call(*args, **options):
        if not options.keys() <= parameters.keys():
            made = type(args[0]) if function.__name__ == "__init__" else None
            others = inspect.signature(made).parameters if made else {}
            options = translated(made.__name__ if made else function.__name__, options, parameters, others)
        return function(*args, **options)

    return call


def translated(owner, options, parameters, others=()):
    """The options under their names here; TypeError for one that there is not, which tells of `others` as well."""
    own = [name for name, p in parameters.items() if name != "self" and p.kind is not p.VAR_KEYWORD]
    passes_on = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    found = {}
    if owner == "CosineDecay" and "alpha" in options:
        options = with_final(**options)
    for name, value in options.items():
        here = SAME.get(owner, {}).get(name, name)
        if here not in own and not passes_on:
            every = [*own, *(other for other in others if other not in (*own, "common"))]
            close = difflib.get_close_matches(name, every, n=1)
            why = f"there are: {', '.join(every)}" if every else "it takes no arguments"
            why = ARGUMENTS.get(name) or (f"did you mean '{close[0]}'?" if close else why)
            raise TypeError(f"{owner} has no argument '{name}': {why}")
        if here in found:
            raise TypeError(f"{owner} got {here} twice, also as '{name}'")
        found[here] = value
    return found


def with_final(alpha, **options):
    """Arguments of a CosineDecay with the last rate itself, where Keras's alpha is its share of the first."""
    first = options.get("initial_learning_rate", options.get("learning_rate"))
    if first is None or "final" in options:
        raise TypeError("CosineDecay: alpha needs initial_learning_rate by name, and no final; or pass final")
    return options | {"final": alpha * first}


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
