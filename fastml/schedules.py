"""Learning-rate schedules: the rate as a function of the updates made. Pass one where an optimizer takes a rate.

`Adam(CosineDecay(0.01))` anneals over the whole of a `fit`. Steps are updates, that is batches, not epochs; where a
schedule's `steps` is None, it covers the updates of each `fit`, and else it counts from `compile`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fastml.attributes import Constant, Flag, Whole, call_of
from fastml.files.description import Described
from fastml.keras_names import MISSING
from fastml.telling import Told, missing

__all__ = [  # what fastml itself gives of this file
    "SCHEDULES", "CosineDecay", "CosineLog", "ExponentialDecay", "OneCycle", "PiecewiseConstantDecay", "Schedule",
    "StepDecay",
]  # fmt: skip


class Schedule(Told, Described, base=True):
    """A learning rate that changes. A subclass gives `at`."""

    steps = None  # that the schedule takes; None for those of each fit

    def at(self, step, steps):
        """Learning rates, float64, for the updates number `step`, an array counted from 0, of `steps` in all."""
        raise NotImplementedError

    def __repr__(self):
        return call_of(self)


class ExponentialDecay(Schedule):
    """learning_rate · decay_rate^(step / decay_steps); with `staircase` the exponent is rounded down.

    The same as Keras's; PyTorch's ExponentialLR(gamma) has decay_steps = 1 and steps once an epoch.
    """

    steps = math.inf
    learning_rate = Constant(0)
    decay_rate = Constant(0, open_low=True)
    decay_steps = Whole(1)
    staircase = Flag()

    def __init__(
        self, learning_rate: float, decay_steps: int, decay_rate: float = 0.96, staircase: bool = False
    ) -> None:
        self.learning_rate = learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase

    def at(self, step, steps):
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.learning_rate * self.decay_rate**exponent


class StepDecay(ExponentialDecay):
    """learning_rate · decay_rate^⌊step / decay_steps⌋: it falls every `decay_steps` updates (PyTorch's StepLR)."""

    def __init__(self, learning_rate: float, decay_steps: int, decay_rate: float = 0.1) -> None:
        super().__init__(learning_rate, decay_steps, decay_rate, staircase=True)


class CosineDecay(Schedule):
    """Up to learning_rate in `warmup_steps` updates, in equal steps from learning_rate / (warmup_steps + 1), then down
    to `final` along half a cosine until `steps`; `final` from there on.

    Without warm-up it is PyTorch's CosineAnnealingLR (Loshchilov & Hutter, "SGDR", ICLR 2017, without restarts); the
    warm-up is its LinearLR (Goyal et al., "Accurate, Large Minibatch SGD", 2017).
    """

    learning_rate = Constant(0)
    final = Constant(0)
    steps = Whole(1, optional=True)
    warmup_steps = Whole(0)

    def __init__(
        self, learning_rate: float, steps: int | None = None, warmup_steps: int = 0, final: float = 0.0
    ) -> None:
        self.learning_rate = learning_rate
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.final = final
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps must be fewer than steps, got {warmup_steps} of {steps}")

    def at(self, step, steps):
        if self.warmup_steps >= steps:
            raise ValueError(f"warmup_steps is {self.warmup_steps}, but there are only {steps} updates in all")
        rising = self.learning_rate * (step + 1) / (self.warmup_steps + 1)
        share = np.clip((step - self.warmup_steps) / (steps - self.warmup_steps), 0, 1)
        falling = self.final + (self.learning_rate - self.final) * (1 + np.cos(np.pi * share)) / 2
        return np.where(step < self.warmup_steps, rising, falling)


class PiecewiseConstantDecay(Schedule):
    """values[0] up to update number boundaries[0], that one included, then values[1], and so on; as Keras's.

    boundaries : list of int, rising, from 0; updates are counted from 0
    values : list of float, one more than boundaries, from 0 on
    """

    steps = math.inf

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        self.boundaries = numbers_in("boundaries", boundaries, Whole(0))
        self.values = numbers_in("values", values, Constant(0))
        if len(self.values) != len(self.boundaries) + 1:
            got = f"{len(self.values)} for {len(self.boundaries)} boundaries"
            raise ValueError(f"values must be one more than boundaries, got {got}")
        if any(a >= b for a, b in pairwise(self.boundaries)):
            raise ValueError(f"boundaries must rise, got {list(self.boundaries)}")

    def at(self, step, steps):
        return np.array(self.values)[np.searchsorted(self.boundaries, step)]


def numbers_in(name, values, kind):
    """The values as a tuple, each checked as an attribute of this kind is."""
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise TypeError(f"{name} must be a list of numbers, got {type(values).__name__} {values!r}")
    kind.name = f"each of {name}"
    return tuple(kind.check(value) for value in np.asarray(values).tolist())


class OneCycle(Schedule):
    """From learning_rate / div_factor up to learning_rate in the first share `warmup` of the steps, then down to the
    start's 1 / final_div_factor, both along half a cosine.

    PyTorch's OneCycleLR with cycle_momentum=False (Smith & Topin, "Super-Convergence", 2018): momentum stays as it is.
    """

    learning_rate = Constant(0)
    warmup = Constant(0, 1)
    div_factor = Constant(1)
    final_div_factor = Constant(1)
    steps = Whole(2, optional=True)

    def __init__(
        self,
        learning_rate: float,
        steps: int | None = None,
        warmup: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.learning_rate = learning_rate
        self.steps = steps
        self.warmup = warmup
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor

    def at(self, step, steps):
        start = self.learning_rate / self.div_factor
        end = start / self.final_div_factor
        top, last = max(self.warmup * steps - 1, 0), steps - 1
        rising = half_cosine(start, self.learning_rate, step / max(top, 1e-9))
        falling = half_cosine(self.learning_rate, end, (step - top) / max(last - top, 1e-9))
        return np.where(step < top, rising, falling)


class CosineLog(Schedule):
    """`cycles` times up from `final` to learning_rate and down again until `steps`, each twice as long as the last:
    final + (learning_rate - final)·½·(1 - cos(2π·log₂(1 + (2^cycles - 1)·t))) at the share t of the steps.

    "coslog4" of Holzmüller, Grinsztajn & Steinwart, "Better by Default", 2024: large rates many times, and several ends
    from which weights may be kept.
    """

    learning_rate = Constant(0)
    final = Constant(0)
    steps = Whole(1, optional=True)
    cycles = Whole(1, most=20)

    def __init__(self, learning_rate: float, steps: int | None = None, cycles: int = 4, final: float = 0.0) -> None:
        self.learning_rate = learning_rate
        self.steps = steps
        self.cycles = cycles
        self.final = final

    def at(self, step, steps):
        turns = np.log2(1 + (2**self.cycles - 1) * np.clip(step / steps, 0, 1))
        return self.final + (self.learning_rate - self.final) * (1 - np.cos(2 * np.pi * turns)) / 2


def half_cosine(start, end, share):
    """From start at share 0 to end at share 1."""
    return end + (start - end) / 2 * (1 + np.cos(np.pi * np.clip(share, 0, 1)))


SCHEDULES = {
    "step": StepDecay,
    "exponential": ExponentialDecay,
    "cosine": CosineDecay,
    "one_cycle": OneCycle,
    "cosine_log": CosineLog,
    "piecewise_constant": PiecewiseConstantDecay,
}


__getattr__ = missing("fastml.schedules", MISSING)
