"""Errors that tell what to use instead: for arguments and names that Keras has, and fastml calls otherwise or lacks."""

import difflib
import dis
import functools
import inspect
import sys

from fastml.keras_names import ARGUMENTS, SAME, canonical

IMPORT_FROM = dis.opmap["IMPORT_FROM"]


def told(function):
    """The function, which says of an argument that it does not have what to use in its place.

    Arguments that mean one of its own under another name, see `SAME`, are taken.
    """
    parameters = inspect.signature(function).parameters
    names = frozenset(parameters)

    @functools.wraps(function)
    def call(*args, **options):
        if options and not names.issuperset(options):
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


@functools.cache
def arguments_in_order(kind):
    """The names of the arguments that make an object of this class."""
    parameters = inspect.signature(kind).parameters.values()
    return tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)


@functools.cache
def arguments_of(kind):
    """The same as a set."""
    return frozenset(inspect.signature(kind).parameters)


class Told:
    """What has constructors that are `told`."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = told(cls.__init__)


def imports(frame):
    """Whether code is at a ``from … import``, which replaces the text of an AttributeError by one of its own."""
    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == IMPORT_FROM


def missing(owner, table, constructor=None, depth=1):
    """A `__getattr__` for a module: names of fastml that stand elsewhere, and sentences about those of a table.

    `constructor` gives what a name stands for beside these, or None. The code that asks is `depth` calls away.
    """

    def __getattr__(name):
        if name.startswith("__"):  # which Python itself asks for, also while fastml is being imported
            raise AttributeError(f"module '{owner}' has no attribute '{name}'")
        package = sys.modules["fastml"]
        found = constructor(name) if constructor else None
        if found is not None:
            return found
        if owner != "fastml" and name in package.__all__:
            return getattr(package, name)
        if name == "schedules":
            return sys.modules["fastml.schedules"]
        if name in table:
            told = f"{owner} has no {name}: {table[name]}"
            raise ImportError(told) if imports(sys._getframe(depth)) else AttributeError(told)
        raise AttributeError(f"module '{owner}' has no attribute '{name}'")

    return __getattr__


def constructors(registry, give):
    """For `missing`: names of Keras's classes stand for entries of a registry, ``AUC()`` for ``give("auc")``.

    They take no argument but `name`, where that is the entry's own.
    """

    def constructor(name):
        entry = canonical(name, registry)
        if not name[:1].isupper() or entry not in registry:
            return None

        def make(**options):
            if options.pop("name", entry) != entry:
                raise TypeError(f"{name}: in the logs it is called '{entry}'; other names there are not")
            translated(name, options, {})
            return give(entry)

        make.__name__ = make.__qualname__ = name
        make.__doc__ = f"What '{entry}' stands for, under Keras's name."
        return make

    return constructor
