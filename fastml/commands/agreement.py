"""What `fastml bench` checks before it measures: both executors compute the same.

In float64 the weights say so. In float32 they cannot: Adam divides a gradient by its size, so that one which is
rounding alone moves a weight by a whole learning rate, in a direction that the order of a sum decides. There, both
take each step from the same weights, and losses and gradients are compared; then both update by the same gradients.
Of the rows whose gradients are compared, none has a relu so close to 0 that rounding might decide whether it passes.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from fastml.commands import CommandError
from fastml.layers import Dense
from fastml.losses import MeanSquaredError, SparseCategoricalCrossentropy
from fastml.optimizers import Adam
from fastml.program.executors import EXECUTORS
from fastml.program.lowering import lower
from fastml.program.program import Buffers
from fastml.training.run import Data, Run

STEPS_PER_EPOCH, CHECKED = 32, 20  # steps that are compared
RATE = Adam().learning_rate
BOUND = 1e-12  # the most by which in float64 a weight may differ after them, and the loss, relatively
SURE = 4  # standard deviations of a sum's rounding error, which walks at random (Higham & Mary, 2019)
ROUNDINGS = 16  # in the update of one weight, at most


class Net(NamedTuple):
    """Widths from data to output, relu between them, and the rows of a batch."""

    widths: tuple
    batch: int

    @classmethod
    def of(cls, name, batch):
        """From a name such as 4-16-3."""
        return cls(tuple(map(int, name.split("-"))), batch)

    @property
    def classifies(self):
        return self.widths[-1] > 1

    def program(self, dtype):
        output, loss = (
            ("softmax", SparseCategoricalCrossentropy()) if self.classifies else ("linear", MeanSquaredError())
        )
        d_in, *hidden, d_out = self.widths
        layers = [*(Dense(units, "relu") for units in hidden), Dense(d_out, output)]
        return lower(layers, d_in, self.batch, dtype, loss=loss, optimizer=Adam())

    def data(self, dtype):
        """Random rows and targets of an epoch."""
        random, rows = np.random.default_rng(0), STEPS_PER_EPOCH * self.batch
        x = random.standard_normal((rows, self.widths[0]))
        y = random.integers(self.widths[-1], size=(rows, 1)) if self.classifies else random.standard_normal((rows, 1))
        return x.astype(dtype), y.astype(dtype)

    def run(self, dtype, executor, epochs=1):
        """A training on the data, the same for all executors."""
        program = self.program(dtype)
        buffers = Buffers.for_program(program, dtype)
        program.initialize(buffers, seed=1)
        data = Data(dtype, *self.data(dtype), shuffle=True, epochs=epochs)
        rates = partial(Adam().rates, first=0, total=epochs * STEPS_PER_EPOCH)
        counts = STEPS_PER_EPOCH, self.batch
        return Run(EXECUTORS[executor], program.training, buffers, data, *counts, rates, seed=1)


def compare(name, batch, dtype):
    """The largest difference: of a weight in float64; of a loss or gradient in float32, relative to the largest.

    CommandError where one is too large.
    """
    net = Net.of(name, batch)
    try:
        return compare_weights(net) if dtype == "float64" else compare_steps(net, dtype)
    except Disagreement as found:
        raise CommandError(f"the executors disagree on {name}: {found}") from None


def compare_weights(net):
    """The largest difference of a weight after steps in float64, by each executor on its own."""
    runs = [net.run("float64", executor) for executor in EXECUTORS]
    for run in runs:
        run.advance(CHECKED)
    difference = within("weight", *(run.buffers.params for run in runs), BOUND, scale=1)
    within("loss", *(run.data.totals for run in runs), BOUND)
    return difference


def compare_steps(net, dtype):
    """The largest relative difference of the losses in steps from the same weights, and of gradients at both ends."""
    compiled, reference = (net.run(dtype, executor) for executor in EXECUTORS)
    worst = compare_step(net, dtype, compiled)
    for step in range(CHECKED):
        reference.buffers.params[:] = compiled.buffers.params
        compiled.advance(step + 1)
        reference.advance(step + 1)
        worst = max(worst, within("loss", compiled.data.totals, reference.data.totals, bound_of(net, dtype)))
    at_once = net.run(dtype, "compiled")
    at_once.advance(CHECKED)
    within("weight after steps in one go", at_once.buffers.params, compiled.buffers.params, 0)
    return max(worst, compare_step(net, dtype, compiled))


def bound_of(net, dtype):
    """How far rounding may move a loss or gradient, relative to the largest of its array."""
    terms = 2 * sum(net.widths) + net.batch  # that are summed up, forwards, backwards and over the rows
    return SURE * np.sqrt(terms) * np.finfo(dtype).eps / 2


def compare_step(net, dtype, run):
    """The largest relative difference of the loss and the gradients of a step from where a run is."""
    program, bound = net.program(dtype), bound_of(net, dtype)
    x, y = clear_rows(net, program, run)
    steps = []
    for execute in EXECUTORS.values():
        buffers = Buffers.for_program(program, dtype)
        buffers.params[:], buffers.state[:] = run.buffers.params, run.buffers.state
        before, data = program.training[: program.updates], Data(dtype, x, y, shuffle=True)
        steps.append(Run(execute, before, buffers, data, 1, net.batch, run.rates, seed=1, t=run.t))
        steps[-1].advance(1)
    worst = within("loss", *(step.data.totals for step in steps), bound)
    for parameter in program.parameters:
        what = f"gradient of {parameter.name} in layer {parameter.layer}"
        worst = max(worst, within(what, *(parameter.view(step.buffers.grads) for step in steps), bound))
    compare_update(program, steps)
    return worst


def compare_update(program, steps):
    """Lets both executors update by the gradients of the first, and compares weights and state to the last bits."""
    for step in steps:
        step.buffers.grads[:] = steps[0].buffers.grads
        step.instructions, step.jobs["step"] = program.training[program.updates :], 0
        step.advance(1)
    compiled, reference = (step.buffers for step in steps)
    eps = np.finfo(reference.params.dtype).eps  # a weight that is rounded twice differs by so much, relatively
    scale = np.abs(reference.params) + ROUNDINGS * RATE
    within("weight after the same gradients", compiled.params, reference.params, eps, scale)
    states = (buffers.state.reshape(-1, program.params_size) for buffers in (compiled, reference))
    for k, pair in enumerate(zip(*states, strict=True)):
        within(f"state {k} of Adam", *pair, ROUNDINGS * eps)


def clear_rows(net, program, run):
    """x and y of as many rows as a batch has, for which no input of a relu could be of either sign by rounding."""
    arrays = [parameter.view(run.buffers.params).astype(np.float64) for parameter in program.parameters]
    a, clear = run.data.x.astype(np.float64), np.ones(len(run.data.x), bool)
    for W, b in zip(arrays[:-2:2], arrays[1:-2:2], strict=True):
        z, sizes = a @ W + b, np.abs(a) @ np.abs(W) + np.abs(b)
        clear &= (np.abs(z) > SURE * np.sqrt(len(W)) * np.finfo(run.data.x.dtype).eps / 2 * sizes).all(axis=1)
        a = np.maximum(z, 0)
    rows = np.flatnonzero(clear)[: net.batch]
    return run.data.x[rows], run.data.y[rows]


class Disagreement(Exception):
    """What differs, and by how much."""


def within(what, found, expected, bound, scale=None):
    """The largest difference over `scale`, the largest expected element if None; Disagreement where above the bound."""
    scale = np.abs(expected).max() if scale is None else scale
    difference = float((np.abs(found - expected) / scale).max())
    if not difference <= bound:  # a NaN is not
        raise Disagreement(f"a {what} differs by {difference:.1e}, of which rounding explains {bound:.1e}")
    return difference
