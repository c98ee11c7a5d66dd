"""Attributes that users set: checked whenever they are set."""

import inspect
import math
import numbers
import operator
from functools import cache

import numpy as np


def positive_integer(name, value, most=2**31 - 1, least=1):
    """The value as an int from `least` to `most`; TypeError or ValueError otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {value!r}") from None
    if not least <= count <= most:
        raise ValueError(f"{name} must be from {least} to {most}, got {count}")
    return count


def check_batch_size(batch_size, name="batch_size"):
    """Checks a number of rows at a time that has no effect; TypeError or ValueError for what is none."""
    if batch_size is not None:
        positive_integer(name, batch_size)


class Checked:
    """An attribute whose values go through `check`, which returns them or raises."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        return self if instance is None else instance.__dict__[self.name]

    def __set__(self, instance, value):
        instance.__dict__[self.name] = self.check(value)


class Constant(Checked):
    """A hyper-parameter: a float from `low`, or above it if `open_low`, to below `high`; or None if `optional`.

    `why` ends the error for a number outside, where the bounds need a reason.
    """

    def __init__(self, low, high=math.inf, open_low=False, optional=False, why=""):
        self.low, self.high, self.open_low, self.optional, self.why = low, high, open_low, optional, why

    def check(self, value):
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{self.name} must be a number, got {type(value).__name__}")
        if not self.low <= value < self.high or (self.open_low and value == self.low):
            bracket = "(" if self.open_low else "["
            raise ValueError(f"{self.name} must be in {bracket}{self.low}, {self.high}), got {value}{self.why}")
        return float(value)

    @classmethod
    def values(cls, instance):
        """The hyper-parameters of an object, by name, in the order of its class."""
        return {name: instance.__dict__[name] for name in names_of(cls, type(instance))}


@cache
def names_of(kind, owner):
    """The names of a class's attributes of a kind, in the order of its bases."""
    return tuple(
        dict.fromkeys(n for base in reversed(owner.__mro__) for n, e in vars(base).items() if isinstance(e, kind))
    )


class Finite(Checked):
    """Any finite float, or None."""

    def check(self, value):
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{self.name} must be a number or None, got {type(value).__name__}")
        if not math.isfinite(value):
            raise ValueError(f"{self.name} must be finite, got {value}")
        return float(value)


class Whole(Checked):
    """An int from `least` to `most`, 2**53 unless told, which floats hold exactly; or None if `optional`."""

    def __init__(self, least, optional=False, most=2**53):
        self.least, self.optional, self.most = least, optional, most

    def check(self, value):
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{self.name} must be an integer, got {type(value).__name__} {value!r}")
        if value < self.least:
            raise ValueError(f"{self.name} must be at least {self.least}, got {value}")
        if value > self.most:
            most = "2**53" if self.most == 2**53 else self.most
            raise ValueError(f"{self.name} must be at most {most}, got {value}")
        return int(value)


class Flag(Checked):
    """True or False."""

    def check(self, value):
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{self.name} must be True or False, got {value!r}")
        return bool(value)


def call_of(thing):
    """The call that makes the like of an object: its class with the arguments that are not the default."""
    arguments = []
    for name, parameter in inspect.signature(type(thing)).parameters.items():
        value = getattr(thing, name, parameter.default)
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if not np.array_equal(value, parameter.default) or not arguments:
            arguments.append(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value!r}")
    return f"{type(thing).__name__}({', '.join(arguments)})"


def check_range(owner, values, dtype):
    """ValueError where a value, of those of `owner` by name, is 0 or infinite in the dtype, but not by itself."""
    for name, value in values.items():
        if isinstance(value, float) and value and not 1e-30 < abs(value) < 1e30:  # else it has a place in any dtype
            with np.errstate(over="ignore", under="ignore"):
                rounded = float(np.dtype(dtype).type(value))
            if rounded != value and (rounded == 0 or math.isinf(rounded)):
                raise ValueError(f"{name} of {owner!r} is {value}, which is {rounded:g} in {dtype}")
