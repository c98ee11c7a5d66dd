"""Gradient check: is backpropagation's gradient the derivative of the loss?"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastml.attributes import positive_integer
from fastml.kernels.job import JOB
from fastml.program import reference
from fastml.program.executors import EXECUTORS
from fastml.program.lowering import lower
from fastml.program.program import Buffers
from fastml.sequential import Sequential

STEP = 1e-5  # of the central difference, relative to a weight of size 1: its error is about STEP² and 1e-16 / STEP
KINK = 1e-3  # a difference of the slopes on both sides, over the largest gradient, that no curvature explains
IMAGINARY = 1e-30  # of the complex step, which has no difference to lose digits in


class GradientCheck(NamedTuple):
    """The weight whose gradient deviates most: from the complex step, and what the central difference says there.

    Errors are |difference| / the largest gradient of the model, those of the worst of all weights that were checked.
    """

    name: str  # layer and weight: "0.W"
    index: tuple
    gradient: float  # by backpropagation
    complex_step: float
    central: float
    complex_error: float
    central_error: float
    checked: int  # weights


@np.errstate(over="ignore", invalid="ignore")  # where W ± h leads beyond all bounds, the error is infinite or NaN
def gradient_check(
    model,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    most: int = 100,
    verbose: bool = True,
) -> GradientCheck:
    """Compares the gradients of a compiled model's loss over the rows of x and y with two numerical derivatives.

    The complex step, Im loss(W + ih) / h with h = 1e-30, is exact to rounding, also at the kinks of relu; it runs in
    the NumPy executor on complex numbers. The central difference, (loss(W + h) - loss(W - h)) / 2h with h = 1e-5, is
    good for about 8 digits; it runs in the model's executor. Where the slopes on both sides of W differ there is a
    kink: its error is then the distance of the gradient from what lies between the two, good for about 4 digits.

    Everything is computed in float64, whatever the model's dtype, from the model's weights; dropout layers drop the
    same units in all of it. The model is not changed.

    Parameters
    ----------
    model : Sequential
        Compiled.
    x, y, sample_weight : array-like
        As for `Sequential.fit`. A few rows are enough. ValueError where their loss or a gradient is not finite.
    most : int
        Weights to check of each array; drawn at random, always the same, where it has more.
    verbose : bool
        Whether to print the worst weight.

    Returns
    -------
    GradientCheck
        With ``complex_error`` around 1e-15 and ``central_error`` around 1e-9 where all is right.
    """
    most = positive_integer("most", most)
    engine, data = float64_twin(model, x, y, sample_weight)
    loss = LossOfWeights(engine, *data)
    value, gradients = engine.gradients(*data, engine.aim["loss"])
    if not all(np.isfinite(array).all() for array in (value, *gradients)):
        raise ValueError(f"the loss over x and y is {value:g}, or a gradient is not finite: scale x and y")
    largest = max(np.abs(g).max() for g in gradients) or 1.0

    checks = []
    for parameter, gradient, name in zip(engine.program.parameters, gradients, engine.names(), strict=True):
        if not parameter.trained:
            continue
        random = np.random.default_rng(parameter.offset)
        for k in np.sort(random.choice(parameter.size, size=min(most, parameter.size), replace=False)):
            value, place = gradient.flat[k], parameter.offset + k
            step, (left, right) = loss.complex_step(place), loss.one_sided(place)
            central = (left + right) / 2
            off = abs(value - central)
            if abs(left - right) > KINK * largest:  # then any slope between the two is one
                off = max(0.0, min(left, right) - value, value - max(left, right))
            index = tuple(int(i) for i in np.unravel_index(k, parameter.shape))
            numbers = value, step, central, abs(value - step) / largest, off / largest
            checks.append(GradientCheck(name, index, *map(float, numbers), 0))
    worst = max(checks, key=lambda check: np.nan_to_num(max(check.complex_error, check.central_error), nan=np.inf))
    worst = worst._replace(checked=len(checks))
    if verbose:
        print(
            f"gradient check of {worst.checked} weights; the worst is {worst.name}{list(worst.index)}:\n"
            f"  backpropagation     {worst.gradient: .15e}\n"
            f"  complex step        {worst.complex_step: .15e}   error {worst.complex_error:.1e}\n"
            f"  central difference  {worst.central: .15e}   error {worst.central_error:.1e}\n"
            f"errors are relative to the largest gradient, {largest:.3g}"
        )
    return worst


def float64_twin(model, x, y, sample_weight):
    """An Engine in float64 with the model's layers, aim and weights, and the data as it takes them."""
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}")
    model._check_compiled("gradient_check")
    twin = Sequential(model._built_layers(), input_dim=model.input_dim, dtype="float64", seed=model.seed)
    twin.compile(copy.copy(model.optimizer), model.loss, executor=model.executor)
    adapter = twin._adapter()
    x, y, weights = adapter.weighted(*adapter.rows(x, y, sample_weight))
    adapter.check_batches(len(x), len(x), model.optimizer)
    twin._build(x.shape[1])
    if model._engine:
        model._check_fitted("gradient_check")
        twin.set_weights(model.get_weights())
    twin._check_fitted("gradient_check")
    return twin._engine, (x, y, weights)


class LossOfWeights:
    """The loss of a batch as a function of the parameters, as training computes it."""

    def __init__(self, engine, x, y, weights):
        program = lower(engine.layers, engine.d_in, len(x), "float64", **engine.aim, weighted=weights is not None)
        self.execute, self.seed = EXECUTORS[engine.executor], engine.seed
        self.instructions = program.value
        weights = np.zeros((0, 1)) if weights is None else weights
        self.real = Buffers.for_program(program, np.float64), (x, y, weights)
        self.complex = Buffers.for_program(program, np.complex128), tuple(a.astype(complex) for a in (x, y, weights))
        for buffers, _ in (self.real, self.complex):
            buffers.params[:] = engine.buffers.params

    def complex_step(self, place):
        """∂ loss / ∂ params[place], from the imaginary part of the loss at W + ih."""
        return self._moved(place, 1j * IMAGINARY, reference.run, *self.complex).imag / IMAGINARY

    def one_sided(self, place):
        """∂ loss / ∂ params[place] from below and from above, from the losses at W - h, W and W + h."""
        down, here, up = (self._moved(place, step, self.execute, *self.real) for step in (-STEP, 0.0, STEP))
        return (here - down) / STEP, (up - here) / STEP

    def _moved(self, place, step, execute, buffers, data):
        """The loss with one parameter moved."""
        job = np.zeros(1, JOB)
        job["seed"], job["stop"], job["steps_per_epoch"] = self.seed, 1, 1
        job["rows"] = job["batch_size"] = len(data[0])
        job["threads"] = 1
        totals = np.zeros((1, 1), buffers.params.dtype)
        value = buffers.params[place]
        buffers.params[place] = value + step
        nothing = np.zeros(0, np.int64), totals, np.zeros((0, 1), buffers.params.dtype)
        execute(self.instructions, job, np.zeros(1), *buffers, *data, *nothing)
        buffers.params[place] = value
        return totals[0, 0] / len(data[0])
