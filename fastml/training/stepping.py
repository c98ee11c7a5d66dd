"""A single step of a model's engine, without the set-up of a training: what batch by batch training calls."""

import numpy as np

from fastml.metrics import columns_of
from fastml.program import linking
from fastml.training import loop
from fastml.training.loop import DivergenceError
from fastml.training.ready import SHORT, STEP, Ready, word
from fastml.training.room import Room
from fastml.training.snapshots import finite

EPOCH, UPDATES, LOSS, DIVERGED = map(word, ("epoch", "t", "loss", "diverged"))


class Step:
    """The training instructions of an engine as a job that stays ready, and room to go back to."""

    def __init__(self, engine, rows, weighted, plan):
        self.program, self.buffers, self.rows, self.weighted = engine.program, engine.buffers, rows, weighted
        self.room = Room(engine, rows, weighted or engine.program.weighted)
        arrays, columns = engine.buffers._asdict() | self.room.arrays, columns_of(engine.aim["metrics"])
        self.job = Ready(engine.program.training, engine.dtype, arrays, columns, plan, seed=engine.seed)
        self.job.room = self.room
        self.params, self.state = np.empty_like(engine.buffers.params), np.empty_like(engine.buffers.state)

    def serves(self, engine, rows, weighted):
        """Whether it is for so many rows, with the engine's program and buffers as they are, but for the parameters."""
        return self.rows == rows and self.weighted == weighted and self.is_of(engine)

    def is_of(self, engine):
        """Whether it is for the engine's program and buffers as they are, but for the parameters."""
        ours, theirs = self.buffers, engine.buffers
        same = ours.grads is theirs.grads and ours.state is theirs.state and ours.work is theirs.work
        return same and self.program is engine.program


class Stepping:
    """The part of an `Engine` that makes single steps."""

    stepper = None  # a Step, from the first one on

    def step_soon(self, x, y):
        """`step` on rows as the user gives them, where the last one was on as many and these need no closer look.

        None otherwise.
        """
        with self.rest.lock:
            step = self.stepper
            if not step or step.weighted or not step.is_of(self) or self._refresh() or not step.room.takes(x, y):
                return None
            return self._advance(step)

    def step(self, x, y, weights):
        """One step on all rows at once, as `fit` makes it: the means of loss and scores before it, or None.

        None where it needs a training's set-up: threads, or so much work that a Ctrl-C should not wait for it. A loss
        or weight that is not finite is a DivergenceError, and leaves the model as it was.
        """
        rows, weighted = len(x), weights is not None
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
                    step.room.put(x, y, weights)
                    return self._advance(step)
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

    def _advance(self, step):
        """Makes the step on the rows in its room, or none where it leads to what is not finite; returns the means."""
        self.own()
        job, params, state, rows = step.job, self.buffers.params, self.buffers.state, step.rows
        numbers, reals = job.numbers, job.reals  # the same memory
        job.rates[0] = self.aim["optimizer"].rates(self.updates, 1, first=self.updates, total=1)[0]
        step.params[...], step.state[...] = params, state
        job.place("params", params)
        numbers[EPOCH], numbers[UPDATES], reals[LOSS] = before = self.epochs, self.updates, self.loss
        numbers[DIVERGED] = numbers[STEP] = 0
        try:
            job.run(rows, rows, rows * self.program.flops)
        finally:  # also where a signal comes right after it
            if numbers[STEP]:
                counters = self.epochs + 1, numbers[UPDATES].item(), reals[LOSS].item()
                self.epochs, self.updates, self.loss = counters
        if numbers[DIVERGED] or not (finite(params) and finite(state)):
            params[...], state[...] = step.params, step.state
            self.epochs, self.updates, self.loss = before
            raise DivergenceError(loop.DIVERGED.format(""))
        return (job.totals[0] / rows).tolist()
