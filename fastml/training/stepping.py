"""A single step of a model's engine, without the set-up of a training: what batch by batch training calls."""

import numpy as np

from fastml.metrics import columns_of
from fastml.program import linking
from fastml.training import loop
from fastml.training.loop import DivergenceError
from fastml.training.ready import SHORT, STEP, Ready, word
from fastml.training.snapshots import finite

EPOCH, UPDATES, LOSS, DIVERGED = map(word, ("epoch", "t", "loss", "diverged"))


class Step:
    """The training instructions of an engine as a job that stays ready, and room to go back to."""

    def __init__(self, engine, rows, weighted, plan):
        self.program, self.buffers, self.rows, self.weighted = engine.program, engine.buffers, rows, weighted
        arrays, columns = engine.buffers._asdict(), columns_of(engine.aim["metrics"])
        self.job = Ready(engine.program.training, engine.dtype, arrays, columns, plan, seed=engine.seed)
        self.params, self.state = np.empty_like(engine.buffers.params), np.empty_like(engine.buffers.state)

    def serves(self, engine, rows, weighted):
        """Whether it is for so many rows, with the engine's program and buffers as they are, but for the parameters."""
        if self.program is not engine.program or self.rows != rows or self.weighted != weighted:
            return False
        ours, theirs = self.buffers, engine.buffers
        return ours.grads is theirs.grads and ours.state is theirs.state and ours.work is theirs.work


class Stepping:
    """The part of an `Engine` that makes single steps."""

    stepper = None  # a Step, from the first one on

    def step(self, x, y, weights):
        """One step on all rows at once, as `fit` makes it: the means of loss and scores before it, or None.

        None where it needs a training's set-up: threads, or so much work that a Ctrl-C should not wait for it. A loss
        or weight that is not finite is a DivergenceError, and leaves the model as it was.
        """
        rows, weighted, optimizer = len(x), weights is not None, self.aim["optimizer"]
        while True:
            with self.rest.lock:  # so that nobody reads the parameters meanwhile
                step = self.stepper
                serves = step and step.serves(self, rows, weighted)
                if serves:
                    self._refresh()
                    serves = self.stepper is step  # unless that has written instructions, which may lack kernels
                if not serves and not self._makes_room(rows, weighted):
                    return None
                if serves or linking.linked(self.program.training):
                    if not serves:
                        self.stepper = step = Step(self, rows, weighted, self._plan(rows, once=True))
                    if weights is None and self.program.weighted:
                        weights = np.ones((rows, 1), self.dtype)
                    self.own()
                    rate = optimizer.rates(self.updates, 1, first=self.updates, total=1)
                    self._advance(step, {"x": x, "y": y, "weights": weights}, rate[0], rows)
                    return (step.job.totals[0] / rows).tolist()
            # Without the lock, which a fork in another thread may wait for while it has that of compilations.
            linking.link(self.program.training, self.dtype)

    def _makes_room(self, rows, weighted):
        """Whether a Step of so many rows is possible, for which there is then room; else it needs a training's."""
        plan = self._plan(rows, once=True)
        if self.frozen or self.executor != "compiled" or plan.threads > 1 or rows * self.program.flops > SHORT:
            return False
        self._room_for(rows, weighted or self.program.weighted, plan)
        self._refresh()  # of a program that is new
        return True

    def _advance(self, step, arrays, rate, rows):
        """Makes the step, or none where it leads to what is not finite."""
        job, params, state = step.job, self.buffers.params, self.buffers.state
        numbers, reals = job.numbers, job.reals  # the same memory
        step.params[...], step.state[...] = params, state
        before = self.epochs, self.updates, self.loss
        job.place("params", params)
        for name, array in arrays.items():
            if array is not None:
                job.place(name, array)
        job.rates[0], (numbers[EPOCH], numbers[UPDATES], reals[LOSS]) = rate, before
        numbers[DIVERGED] = numbers[STEP] = 0
        try:
            job.run(rows, rows, rows * self.program.flops)
        finally:  # also where a signal comes right after it
            job.let_go(*arrays)
            if numbers[STEP]:
                counters = self.epochs + 1, numbers[UPDATES].item(), reals[LOSS].item()
                self.epochs, self.updates, self.loss = counters
        if numbers[DIVERGED] or not (finite(params) and finite(state)):
            params[...], state[...] = step.params, step.state
            self.epochs, self.updates, self.loss = before
            raise DivergenceError(loop.DIVERGED.format(""))
