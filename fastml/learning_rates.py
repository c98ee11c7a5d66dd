"""The learning-rate finder: one short training with a rate that grows from step to step."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastml.attributes import Constant, Whole, positive_integer
from fastml.callbacks import constant_rate
from fastml.data.arrays import as_matrix
from fastml.training.loop import DivergenceError

MEMORY = 0.9  # of the running mean of the loss
HOPELESS = 4.0  # times the best loss: the rate is beyond all use


class _Range:
    """Checks the arguments of `find_learning_rate`."""

    start = Constant(0, open_low=True)
    stop = Constant(0, open_low=True)
    steps = Whole(10)

    def __init__(self, start, stop, steps):
        self.start, self.stop, self.steps = start, stop, steps
        if self.start >= self.stop:
            raise ValueError(f"start must be less than stop, got {start} and {stop}")


class LearningRates(NamedTuple):
    """What `find_learning_rate` found: arrays of rates and of the smoothed loss at each, and a suggestion."""

    rates: NDArray
    losses: NDArray
    suggestion: float

    def __repr__(self):
        return f"LearningRates({len(self.rates)} from {self.rates[0]:.2g} to {self.rates[-1]:.2g}, suggestion {self})"

    def __str__(self):
        return f"{self.suggestion:.2g}"

    def __float__(self):
        return self.suggestion


def steepest(rates, losses):
    """The rate at which the losses fall most steeply over its logarithm."""
    if len(rates) < 3:
        raise ValueError("the loss grew beyond all bounds within three steps: scale the data, or start lower")
    return float(rates[int(np.argmin(np.gradient(losses, np.log(rates))))])


def find_learning_rate(
    model,
    x: ArrayLike,
    y: ArrayLike,
    batch_size: int = 32,
    start: float = 1e-6,
    stop: float = 10.0,
    steps: int = 100,
) -> LearningRates:
    """Learning rates from start to stop, each tried for one step of a copy of the compiled model, and a suggestion.

    The loss of each batch before its step goes into a running mean, corrected for its start. It ends early where that
    is four times its best, or where the loss is no longer finite. The suggestion is the rate at which the smoothed loss
    falls most steeply over the logarithm of the rate. The model is left as it is. Source: Smith, "Cyclical Learning
    Rates for Training Neural Networks", WACV 2017. Raises ValueError where the optimizer has no constant rate, and as
    `fit` does.
    """
    model._check_compiled("find_learning_rate")
    trial = _Range(start, stop, steps)
    constant_rate("find_learning_rate", model.optimizer)
    batch_size = positive_integer("batch_size", batch_size)
    model = copy.deepcopy(model)
    x = as_matrix(x, "x")
    adapter, statistics = model._adapter().adapted(x)
    _, y, _ = adapter.rows(x, y)
    model._build(x.shape[1])
    model._engine.adapt(statistics)  # to all rows, not to those of the first step
    rates = np.geomspace(trial.start, trial.stop, trial.steps)
    tried, losses, mean, best = [], [], 0.0, math.inf
    rows, random = len(x), np.random.default_rng(model.seed)
    batch_size = min(batch_size, rows)
    order = np.concatenate([random.permutation(rows) for _ in range(-(-trial.steps * batch_size // rows))])
    for k, rate in enumerate(rates):
        model.optimizer.learning_rate = rate
        batch = order[k * batch_size : (k + 1) * batch_size]
        try:
            (loss,) = model.fit(x[batch], y[batch], batch_size=len(batch), verbose=0, shuffle=False).history["loss"]
        except DivergenceError:
            break
        mean = MEMORY * mean + (1 - MEMORY) * loss
        smoothed = mean / (1 - MEMORY ** (k + 1))
        if k and smoothed > HOPELESS * best:
            break
        best = min(best, smoothed)
        tried.append(rate)
        losses.append(smoothed)
    return LearningRates(np.array(tried), np.array(losses), steepest(tried, losses))
