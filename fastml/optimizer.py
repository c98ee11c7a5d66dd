"""What optimizers share: their hyper-parameters, the learning rate of each update, decoupled weight decay."""

import difflib
import math
import numbers

import numpy as np

from fastml.attributes import Constant, Flag, call_of
from fastml.custom.update import GIVEN, Update, hyperparameters
from fastml.files.description import Described
from fastml.keras_names import ARGUMENTS
from fastml.kernels.operation import HEADER, WORDS
from fastml.schedules import Schedule
from fastml.telling import Told, arguments_in_order, arguments_of

MOST_NUMBERS = WORDS - len(HEADER) - 3  # that an instruction has room for, beside the weights and their decay
SHARED = ("learning_rate", "weight_decay", "decay_all", "clipvalue", "clipnorm", "global_clipnorm")


class Number(float):
    """A learning rate that is a number, to be set where it stands."""

    def __getattr__(self, name):
        if name in ("assign", "numpy", "value"):
            raise AttributeError(f"learning_rate is a plain number, without {name}: set optimizer.learning_rate = …")
        raise AttributeError(f"'float' object has no attribute '{name}'")


class Rate(Constant):
    """A learning rate: a number, or a Schedule that gives one for each update."""

    def check(self, value):
        if isinstance(value, type) and issubclass(value, Schedule):
            raise TypeError(f"{self.name} is the class {value.__name__}: pass {value.__name__}(…)")
        if isinstance(value, str):
            raise TypeError(f"{self.name} must be a number or a Schedule such as CosineDecay(0.01), got {value!r}")
        if not isinstance(value, Schedule):
            return Number(super().check(value))
        if type(value).at is Schedule.at:
            raise TypeError(f"{self.name} is a bare Schedule: pass one of its subclasses, which say what the rates are")
        return value


class Optimizer(Told, Described, base=True):
    """How gradients change parameters. Its hyper-parameters may be set at any time, also while `fit` runs.

    Only what needs more state or other instructions needs a new `compile`: a momentum where it was 0, backtracking or
    clipnorm where there was none.
    """

    full_batch = False  # whether it only works on all rows at once
    decay_all = False
    clipvalue = clipnorm = global_clipnorm = None

    def __setattr__(self, name, value):
        """Refuses what looks like a hyper-parameter and would have no effect, such as lr; notes are free."""
        own = arguments_of(type(self))
        if name in ("op", "bounds") or callable(getattr(GradientDescent, name, None)):
            raise AttributeError(f"{name} of {type(self).__name__} cannot be set: all optimizers have one of their own")
        if name not in own and not hasattr(type(self), name):
            close = difflib.get_close_matches(name, own, n=1, cutoff=0.8)
            why = ARGUMENTS.get(name) or (f"did you mean '{close[0]}'?" if close else None)
            if why:
                raise AttributeError(f"{type(self).__name__} has no {name}: {why}")
        super().__setattr__(name, value)

    def __getattr__(self, name):
        why = f": {ARGUMENTS[name]}" if name in ARGUMENTS else ""
        raise AttributeError(f"{type(self).__name__} has no {name}{why}")

    @property
    def op(self):
        """The operation that carries the update out."""
        raise NotImplementedError

    def operands(self):
        """What the operation takes of the hyper-parameters, by the names of its operands."""
        return self.constants()

    start = ()  # the start value of each state array; there are as many, each as long as the parameters

    @property
    def bounds(self):
        """The least and the largest number that each state array may hold, as pairs."""
        return ((-math.inf, math.inf),) * len(self.start)

    powers = ()  # of each state array: how it goes with gradients, 2 where with their squares, -1 where against them

    def check(self):
        """ValueError where hyper-parameters do not go together."""

    def constants(self):
        """The hyper-parameters by name."""
        return Constant.values(self)

    def rates(self, t, count, first, total):
        """Learning rates, float64, of `count` updates from the t-th since `compile`, in a fit of `total` from `first`.

        One for all if it is constant.
        """
        rate = self.learning_rate
        if not isinstance(rate, Schedule):
            return np.array([rate])
        steps = np.arange(t, t + count)
        rates = rate.at(steps - first, total) if rate.steps is None else rate.at(steps, rate.steps)
        rates = np.ascontiguousarray(rates, dtype=np.float64)
        if rates.shape != steps.shape or not (np.isfinite(rates) & (rates >= 0)).all():
            raise ValueError(f"{rate!r} must give a finite rate from 0 on for each step, an array of {steps.shape}")
        return rates

    @staticmethod
    def update(s, W, dW, state, t, rate, worse):
        """The update in NumPy.

        s has the hyper-parameters by name, W, dW are parameters and gradients, state the list of state arrays; W and
        state are changed in place. t counts updates, this one included; worse tells whether the loss grew.
        """
        raise NotImplementedError

    def __repr__(self):
        return call_of(self)


class GradientDescent(Optimizer, base=True):
    """The optimizers with a learning rate, and the base of users' own, which have a method `step`; see docs/custom.

    learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm : see `fastml.optimizers`.
    """

    _shared = SHARED
    learning_rate = Rate(0)
    weight_decay = Constant(0)
    decay_all = Flag()
    clipvalue = Constant(0, open_low=True, optional=True)
    clipnorm = Constant(0, open_low=True, optional=True)
    global_clipnorm = Constant(0, open_low=True, optional=True)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        *,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        self._set(learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm)

    def step(self, W, dW, *state, learning_rate, t):
        """Of an optimizer of your own: the new W, and behind it the new state arrays, in functions of NumPy.

        W, dW and the state, of which there is an array for each start value in `start`, are vectors of a number each
        for some weights; t counts updates from 1. Arguments that are numbers are read anew at each update.
        """
        raise NotImplementedError

    def constants(self):
        if self._update is None:
            return super().constants()
        own, kind = hyperparameters(self, GIVEN + SHARED), type(self).__name__
        for name in self._update.constants:
            if name not in own and name not in SHARED:
                value = getattr(self, name)
                raise TypeError(f"{name} of {kind} was a number when it was compiled, got {value!r}: compile again")
        return super().constants() | own

    @property
    def _update(self):
        """The Update of an optimizer of the user's own, or None."""
        if type(self).step is GradientDescent.step:
            return None
        if "_traced" not in self.__dict__:
            self.trace()
        return self.__dict__["_traced"][0]

    def described(self):
        if self._update is None:
            return super().described()
        return super().described() | self.__dict__["_traced"][1] | self.attributes(SHARED)  # which a user's passes on

    def trace(self):
        """Takes the formula of a user's `step`, and what is no number in it, as they are now.

        TypeError or ValueError where it cannot be compiled.
        """
        what, names = f"optimizer {type(self).__name__}", arguments_in_order(type(self))
        if any(name not in self.__dict__ for name in SHARED):
            raise TypeError(f"{what}: its constructor must call super().__init__(learning_rate, **common)")
        if "t" in names:
            raise TypeError(f"{what}: t counts updates, its argument of this name must have another one")
        numbers_ = isinstance(self.start, (tuple, list)) and all(isinstance(s, numbers.Real) for s in self.start)
        if not numbers_:
            raise TypeError(f"{what}: start must be a tuple of numbers, one for each state array, got {self.start!r}")
        found = hyperparameters(self, GIVEN + SHARED)
        if len(found) > MOST_NUMBERS:
            raise ValueError(f"{what} has {len(found)} hyper-parameters, at most {MOST_NUMBERS} can be compiled")
        options = {name: vars(self)[name] for name in names if name in vars(self) and name not in (*found, *SHARED)}
        self.__dict__["_traced"] = Update(self, ["weight_decay", *found]), options

    @property
    def op(self):
        if self._update is None:
            raise NotImplementedError
        return self._update.operation()

    def operands(self):
        constants = self.constants()
        return constants | (self._update.operands(constants) if self._update else {})

    def _set(self, learning_rate, weight_decay, decay_all, clipvalue, clipnorm, global_clipnorm, **constants):
        """Sets what all of them take and their own constants."""
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.decay_all = decay_all
        self.clipvalue = clipvalue
        self.clipnorm = clipnorm
        self.global_clipnorm = global_clipnorm
        for name, value in constants.items():
            setattr(self, name, value)
        self.check()


def decay(s, W, rate):
    """W after the decoupled weight decay, in place."""
    if s["weight_decay"]:
        W *= W.dtype.type(1 - rate * s["weight_decay"])
