"""Numbers that users set: checked whenever they are set."""

import math
import numbers


class Constant:
    """A hyper-parameter of a class: a float from `low`, or above it if `open_low`, to below `high`."""

    def __init__(self, low, high=math.inf, open_low=False):
        self.low, self.high, self.open_low = low, high, open_low

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        return self if instance is None else instance.__dict__[self.name]

    def __set__(self, instance, value):
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{self.name} must be a number, got {type(value).__name__}")
        if not self.low <= value < self.high or (self.open_low and value == self.low):
            bracket = "(" if self.open_low else "["
            raise ValueError(f"{self.name} must be in {bracket}{self.low}, {self.high}), got {value}")
        instance.__dict__[self.name] = float(value)

    @classmethod
    def values(cls, instance):
        """The hyper-parameters of an object, by name, in the order of its class."""
        names = [
            name for base in reversed(type(instance).__mro__) for name, v in vars(base).items() if isinstance(v, cls)
        ]
        return {name: instance.__dict__[name] for name in dict.fromkeys(names)}


def flag(name, value):
    """The value if it is True or False; TypeError otherwise."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value
