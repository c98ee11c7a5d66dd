"""The loop around an executor: chunks of steps; between them progress, callbacks, Ctrl-C, the rescue of weights."""

import time
from contextlib import nullcontext

import numpy as np

from fastml.callbacks import Limit, call
from fastml.interrupts import hold_interrupts
from fastml.kernels.instruction import JOB
from fastml.plan import WHOLE
from fastml.threads import Crew

CHUNK_SECONDS = 0.05  # between two looks at Python: short enough for Ctrl-C and a progress bar
TRIAL = 64  # a chunk to compare numbers of threads by is this part of one
SNAPSHOT_SECONDS = 1.0  # between two copies of the weights, from which training is replayed if it diverges
ASSUMED_FLOPS = 1e9  # a second, for the length of the first chunk
NO_RATES = np.zeros(1)  # for tables without an update


class DivergenceError(ArithmeticError):
    """The loss or a weight became NaN or infinite. The model keeps the last finite weights."""


class Data:
    """Arrays that a job reads and writes, in the order of the executors' arguments."""

    def __init__(self, dtype, x, y=None, weights=None, outputs=None, shuffle=False, epochs=1, columns=1):
        empty = np.zeros((0, 1), dtype)
        self.rows = len(x)
        self.x = x
        self.y = empty if y is None else y
        self.weights = empty if weights is None else weights
        self.outputs = empty if outputs is None else outputs
        self.order = np.zeros(len(x) if shuffle else 0, np.int64)
        self.totals = np.zeros((epochs, columns))

    def arguments(self):
        return self.x, self.y, self.weights, self.order, self.totals, self.outputs


class Run:
    """One job: a table of a program over data, in epochs of batches. Steps are counted from its start.

    `rates` gives the learning rates of a number of updates from the t-th on, an array, or of all if it holds one.
    """

    def __init__(
        self, execute, table, program, buffers, data, steps_per_epoch, batch_size, rates=None, plan=WHOLE, **counters
    ):
        self.execute, self.table, self.buffers, self.data = execute, table, buffers, data
        self.steps_per_epoch = steps_per_epoch
        self.rates = rates or (lambda t, count: NO_RATES)
        self.jobs = np.zeros(1, JOB)
        job = self.jobs[0]
        for name, value in (*counters.items(), *plan._asdict().items()):
            job[name] = value
        job["steps_per_epoch"], job["batch_size"], job["rows"] = self.steps_per_epoch, batch_size, data.rows
        self.crew = Crew(plan.threads)
        self.chunk = max(1, int(CHUNK_SECONDS * ASSUMED_FLOPS / max(1, program.flops * min(batch_size, data.rows))))
        self.trial = self.chunk

    @property
    def step(self):
        """Steps completed."""
        return int(self.jobs["step"][0])

    @property
    def epochs(self):
        """Epochs completed."""
        return self.step // self.steps_per_epoch

    @property
    def rows(self):
        """Rows of the completed steps."""
        epochs, steps = divmod(self.step, self.steps_per_epoch)
        return epochs * self.data.rows + steps * int(self.jobs["batch_size"][0])

    @property
    def t(self):
        """Updates that the optimizer has made since it was new."""
        return int(self.jobs["t"][0])

    @property
    def loss(self):
        """Mean loss of the batch before the last update."""
        return float(self.jobs["loss"][0])

    @property
    def diverged(self):
        return bool(self.jobs["diverged"][0])

    @property
    def exhausted(self):
        """Whether the limit of `until` is reached."""
        return 0 < int(self.jobs["patience"][0]) <= int(self.jobs["waited"][0])

    def until(self, limit):
        """Has the executor end after the epoch, at least one, that reaches a Limit, however far it is to run."""
        limit = limit._replace(waited=min(limit.waited, max(limit.patience - 1, 0)))
        for name, value in limit._asdict().items():
            self.jobs[name] = value

    def advance(self, stop):
        """Runs the steps up to `stop`, fewer where the loss is not finite or a limit is reached; returns its offers."""
        self.jobs["start"], self.jobs["stop"] = self.step, stop
        rates = self.rates(self.t, stop - self.step)
        self.jobs["threads"] = self.crew.threads
        return self.execute(self.table, self.jobs, rates, *self.buffers, *self.data.arguments()) or 0

    def chunks(self, stop):
        """Runs up to `stop` in chunks of about CHUNK_SECONDS, and yields after each."""
        while self.step < stop and not (self.diverged or self.exhausted):
            start, before = time.perf_counter(), self.step
            steps = self.trial if self.crew.compares else self.chunk
            offers = self.advance(min(stop, before + steps))
            seconds, steps = max(time.perf_counter() - start, 1e-9), max(1, self.step - before)
            self.crew.report(seconds / steps, offers / steps)
            ideal = steps * CHUNK_SECONDS / seconds
            self.chunk, self.trial = max(1, int(min(ideal, 8 * self.chunk))), max(1, int(ideal / TRIAL))
            yield

    def means(self, first, last):
        """Loss and metrics of the completed epochs first … last - 1: lists of floats, the means over the rows."""
        return (self.data.totals[first:last] / self.data.rows).tolist()


class Rescue:
    """A copy of weights, optimizer state and job, from which a diverged run is replayed up to its last finite step.

    Steps are a function of these alone, so the replay gives the same bits. That costs a copy each second instead of a
    check of all weights in each step.
    """

    def __init__(self, run):
        self.run = run
        self.live = (run.buffers.params, run.buffers.state, run.jobs.view(np.int64), run.data.order)
        self.copies = [np.empty_like(array) for array in self.live]
        self.take()

    def finite(self):
        return np.isfinite(self.run.buffers.params).all() and np.isfinite(self.run.buffers.state).all()

    def take(self):
        for array, copy in zip(self.live, self.copies, strict=True):
            copy[...] = array
        self.epoch = self.run.epochs
        self.sums = self.run.data.totals[self.epoch : self.epoch + 1].copy()
        self.time = time.perf_counter()

    def take_when_due(self):
        if time.perf_counter() - self.time > SNAPSHOT_SECONDS and self.finite():
            self.take()

    def restore(self):
        for array, copy in zip(self.live, self.copies, strict=True):
            array[...] = copy
        self.run.data.totals[self.epoch : self.epoch + 1] = self.sums
        self.run.data.totals[self.epoch + 1 :] = 0

    def replay(self):
        """Takes a run back to the last step after which weights and optimizer state were finite."""
        failed, back = self.run.step, 1
        with hold_interrupts():
            while not self.finite():
                self.restore()
                self.run.advance(max(failed - back, self.run.step))
                back *= 2
            while self.run.step < failed and not self.run.diverged:
                self.take()
                self.run.advance(self.run.step + 1)
                if not self.finite():
                    self.restore()
                    return


def limit_of(callbacks):
    """The Limit up to which epochs may pass before a callback must look at them, or None where one looks at each."""
    if not callbacks:
        return Limit(patience=0)
    limit = getattr(callbacks[0], "limit", None) if len(callbacks) == 1 else None
    return limit if isinstance(limit, Limit) else None


def train(run, epochs, name, history, callbacks, validate, stopped, progress):
    """Runs all epochs of a training job.

    `name` makes logs of the means of loss and metrics, `history` is a History, `validate` None or a function that
    returns more logs; `stopped` tells after an epoch whether to end, `progress` shows how far it is. Raises
    DivergenceError where the loss stops being finite; passes on what callbacks and Ctrl-C raise. However it ends, the
    parameters are those after a complete step.
    """
    call(callbacks, "on_train_begin", {})
    rescue = Rescue(run)
    try:
        with hold_interrupts() as hold:
            logs = train_epochs(run, epochs, name, history, callbacks, validate, stopped, progress, rescue, hold)
    except BaseException:
        rescue.replay()
        if not validate and limit_of(callbacks):  # else a complete epoch has been seen, or is not complete without
            done = len(history.epoch)
            for epoch, means in enumerate(run.means(done, run.epochs), done):
                history.on_epoch_end(epoch, name(means))
        raise
    progress.finish()
    call(callbacks, "on_train_end", logs)


def train_epochs(run, epochs, name, history, callbacks, validate, stopped, progress, rescue, hold):
    """The epochs of `train`; returns the logs of the last. A Ctrl-C counts between chunks, and in the user's code."""
    logs, done = {}, 0
    while done < epochs and not stopped():
        limit = None if validate or progress.by_epoch else limit_of(callbacks)
        stop = (epochs if limit else done + 1) * run.steps_per_epoch
        if limit:
            run.until(limit)
        for _ in run.chunks(stop):
            looked_at = callbacks or run.step == stop  # what is not is found out by the next loss
            broken = run.diverged or (looked_at and not rescue.finite())
            if broken:
                rescue.replay()
            ended = run.epochs
            looks = ended > done and (validate or (callbacks and not limit))  # at the model, which may take its time
            with hold.pause() if looks else nullcontext():
                for epoch, means in enumerate(run.means(done, ended), done):
                    logs = name(means) | (validate() if validate else {})
                    history.on_epoch_end(epoch, logs)
                    progress.epoch(epoch + 1, logs)
                    call(callbacks, "on_epoch_end", epoch, logs)
            if callbacks and ended > done:
                rescue.take()  # they may have changed weights or optimizer: a replay starts behind them
            done = ended
            progress.update(run.rows)
            if broken:
                raise DivergenceError(
                    f"the loss or a weight became NaN or infinite in epoch {done + 1} of {epochs}; the model keeps its "
                    "last finite weights. Usual causes: a learning_rate that is too high, or features or targets that "
                    "are not scaled"
                )
            rescue.take_when_due()
            hold.check()
    return logs
