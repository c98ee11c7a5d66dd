"""The loop around an executor: chunks of steps; between them progress, callbacks, Ctrl-C, the rescue of weights."""

import time
import warnings
from contextlib import contextmanager, nullcontext

import numpy as np

from fastml.callback import BEGIN, END, Limit, call, watches
from fastml.kernels.job import JOB
from fastml.program.plan import WHOLE
from fastml.program.threads import Crew
from fastml.training.snapshots import Rescue

CHUNK_SECONDS = 0.05  # between two looks at Python: short enough for Ctrl-C and a progress bar
TRIAL = 64  # a chunk to compare numbers of threads by is this part of one
GROWTH = 64  # times the chunk before, at most: the first one is a single step, which tells how long they take
NO_RATES = np.zeros(1)  # for tables without an update


class DivergenceError(ArithmeticError):
    """The loss or a weight became NaN or infinite. The model keeps the last finite weights."""


class Data:
    """Arrays that a job reads and writes, in the order of the executors' arguments."""

    def __init__(self, dtype, x, y=None, weights=None, outputs=None, shuffle=False, steps=2, epochs=1, columns=1):
        empty = np.zeros((0, 1), dtype)
        self.rows = len(x)
        self.x = x
        self.y = empty if y is None else y
        self.weights = empty if weights is None else weights
        self.outputs = empty if outputs is None else outputs
        self.shuffle = bool(shuffle)
        self.order = np.zeros(len(x) if shuffle and steps > 1 else 0, np.int64)  # of one batch, the order means nothing
        self.totals = np.zeros((epochs, columns))
        self.fingerprint = None  # of the rows, once somebody asks

    def arguments(self):
        return self.x, self.y, self.weights, self.order, self.totals, self.outputs


class Run:
    """One job: a table of a program over data, in epochs of batches. Steps are counted from its start.

    `rates` gives the learning rates of a number of updates from the t-th on, an array, or of all if it holds one.
    """

    def __init__(self, execute, table, buffers, data, steps_per_epoch, batch_size, rates=None, plan=WHOLE, **counters):
        self.execute, self.table, self.buffers, self.data = execute, table, buffers, data
        self.steps_per_epoch = steps_per_epoch
        self.rates = rates or (lambda t, count: NO_RATES)
        self.jobs = np.zeros(1, JOB)
        job = self.jobs[0]
        for name, value in (*counters.items(), *plan._asdict().items()):
            job[name] = value
        job["steps_per_epoch"], job["batch_size"], job["rows"] = self.steps_per_epoch, batch_size, data.rows
        self.crew = Crew(plan.threads)
        self.chunk = self.trial = 1

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
            if self.jobs["threads"] == self.crew.threads:  # no other job had the CPUs
                self.crew.report(seconds / steps, offers / steps)
            ideal = steps * CHUNK_SECONDS / seconds
            self.chunk, self.trial = max(1, int(min(ideal, GROWTH * self.chunk))), max(1, int(ideal / TRIAL))
            yield

    def means(self, first, last):
        """Loss and metrics of the completed epochs first … last - 1: lists of floats, the means over the rows."""
        return (self.data.totals[first:last] / self.data.rows).tolist()


class TrainingRun(Run):
    """The training of an Engine, whose parameters change their place when others read them."""

    def __init__(self, engine, *arguments, first=0, **options):
        self.engine, self.first = engine, first  # updates before the training
        self.loop = None  # while it trains
        super().__init__(*arguments, **options)

    @property
    def buffers(self):
        return self.engine.buffers

    @buffers.setter
    def buffers(self, buffers):
        """They are the engine's."""

    def own(self):
        """Before parameters are written to; see `Engine.own`."""
        self.engine.own()

    @contextmanager
    def resting(self, hold):
        """Lets other threads look at the model, and signals count, while code of the user's runs."""
        with self.engine.rest.resting(), hold.pause():
            yield

    def pause(self):
        """Lets other threads look at the model; returns whether one of them has changed its weights."""
        rest = self.engine.rest
        rest.pause(self.buffers.params)
        touched, rest.touched = rest.touched, False
        return touched


def limit_of(callbacks):
    """The Limit up to which epochs may pass before a callback must look at them, or None where one looks at each."""
    if not callbacks:
        return Limit(patience=0)
    limit = getattr(callbacks[0], "limit", None) if len(callbacks) == 1 else None
    return limit if isinstance(limit, Limit) else None


class Loop:
    """The epochs of a training job, and what happens between its chunks.

    `name` makes logs of the means of loss and metrics, `history` is a History, `validate` None or a function of the
    number of an epoch that returns more logs; `stopped` tells after an epoch whether to end, `progress` shows how far
    it is, `hold` keeps signals, which count between chunks and in the user's code. `initial` is the number of the first
    epoch. `refill` is None or a function that puts the rows of the next epoch into the run's data.
    """

    def __init__(self, run, epochs, name, history, callbacks, validate, stopped, progress, hold, initial, refill):
        self.run, self.epochs, self.name, self.history, self.callbacks = run, epochs, name, history, callbacks
        self.validate, self.stopped, self.progress, self.hold = validate, stopped, progress, hold
        self.initial, self.refill = initial, refill
        self.done = len(history.epoch)
        self.logs = {name: values[-1] for name, values in history.history.items() if values}
        self.watchers = [callback for callback in callbacks if watches(callback, "on_chunk_end")]
        self.beginners = [callback for callback in callbacks if watches(callback, "on_epoch_begin")]
        self.steppers = [callback for callback in callbacks if watches(callback, *BEGIN, *END)]
        self.rescue = None
        self.complete = False  # whether history and callbacks have seen all that the weights have

    def train(self):
        """Runs all epochs; returns the logs of the last. A loss or weight that is not finite is a DivergenceError."""
        run, self.rescue = self.run, Rescue(self.run)
        while self.done < self.epochs and not self.stopped():
            if run.step == self.done * run.steps_per_epoch:  # else it was begun before a resumption
                self.begin_epoch()
            alone = not (self.validate or self.progress.by_epoch or self.beginners or self.steppers or self.refill)
            limit = limit_of(self.callbacks) if alone else None
            if limit:
                run.until(limit)
            stop = (self.epochs if limit else self.done + 1) * run.steps_per_epoch
            self.complete = False
            for _ in self.steps(stop) if self.steppers else run.chunks(stop):
                self.after_chunk(stop, limit)
        return self.logs

    def begin_epoch(self):
        """Before the first step of an epoch: other rows, where each has its own, and callbacks that look at it."""
        if self.refill and self.done:
            with self.run.resting(self.hold):  # as a generator is code of the user's
                self.refill(self.run.data)
            self.rescue.take()  # steps before had other rows
        if self.beginners:
            with self.run.resting(self.hold):
                call(self.beginners, "on_epoch_begin", self.initial + self.done, {})
            self.rescue.take()

    def steps(self, stop):
        """Runs up to `stop`, or until a callback ends the training, step by step; yields after each."""
        run = self.run
        while run.step < stop and not (run.diverged or self.stopped()):
            self.step_hooks(BEGIN, {})
            self.rescue.take()  # callbacks may have changed weights or optimizer
            run.advance(run.step + 1)
            if not run.diverged and self.rescue.finite():
                self.step_hooks(END, self.means_so_far(), before=1)
            yield

    def step_hooks(self, hooks, logs, before=0):
        """Tells callbacks of the step that is next, or of the one before."""
        batch = self.run.step - before - self.done * self.run.steps_per_epoch
        with self.run.resting(self.hold):
            for hook in hooks:
                call([c for c in self.steppers if watches(c, hook)], hook, batch, dict(logs))

    def means_so_far(self):
        """Loss and metrics over the rows of the epoch under way."""
        run = self.run
        steps = run.step - self.done * run.steps_per_epoch
        last = steps == run.steps_per_epoch
        rows = run.data.rows if last else steps * int(run.jobs["batch_size"][0])
        return self.name((run.data.totals[self.done] / rows).tolist())

    def after_chunk(self, stop, limit):
        run, rescue = self.run, self.rescue
        looked_at = self.callbacks or run.step == stop  # what is not is found out by the next loss
        broken = run.diverged or (looked_at and not rescue.finite())
        if broken:
            rescue.replay()
        cut = self.steppers and not broken and run.step < stop and self.stopped()
        if cut:  # by a callback, between two steps
            self.tell_epochs(limit, [self.means_so_far()])
        else:
            self.tell_epochs(limit)
        self.progress.update(run.rows)
        if broken:
            raise DivergenceError(
                f"the loss or a weight became NaN or infinite in epoch {self.done + 1} of {self.epochs}; the model "
                "keeps its last finite weights. Usual causes: a learning_rate that is too high, or features or targets "
                "that are not scaled"
            )
        self.complete = not cut
        if self.watchers:
            with run.resting(self.hold):
                call(self.watchers, "on_chunk_end")
        if run.pause():
            rescue.take()
        rescue.take_when_due()
        self.hold.check()
        self.complete = False

    def tell_epochs(self, limit, cut=()):
        """Tells history, progress and callbacks of the epochs that have ended, or of the logs of one that was cut."""
        ended, callbacks = self.run.epochs + len(cut), self.callbacks
        if ended == self.done:
            return
        named = cut or [self.name(means) for means in self.run.means(self.done, ended)]
        looks = self.validate or (callbacks and not limit)  # at the model, which may take its time
        with self.run.resting(self.hold) if looks else nullcontext():
            for epoch, logs in enumerate(named, self.done):
                number = self.initial + epoch
                self.logs = logs | (self.validate(number) if self.validate else {})
                self.history.on_epoch_end(number, self.logs)
                self.progress.epoch(epoch + 1, self.logs)
                call(callbacks, "on_epoch_end", number, self.logs)
        if callbacks:
            self.rescue.take()  # they may have changed weights or optimizer: a replay starts behind them
        self.done = ended

    def end_early(self, error):
        """After an exception: the weights are those after a complete step, and callbacks may save them."""
        if self.rescue:
            self.rescue.replay()
        if not self.validate and limit_of(self.callbacks):  # else a complete epoch has been seen
            done = len(self.history.epoch)
            for epoch, means in enumerate(self.run.means(done, self.run.epochs), self.initial + done):
                self.history.on_epoch_end(epoch, self.name(means))
        if self.complete:
            with self.run.resting(self.hold):
                call(self.callbacks, "on_exception", error)


def train(run, epochs, callbacks, hold, resumed=None, **loop):
    """Runs all epochs of a training job, or those that are left of one that is `resumed`, a TrainingState.

    The other arguments are those of a `Loop`. Raises DivergenceError where the loss stops being finite; passes on what
    callbacks and Ctrl-C raise. However it ends, the parameters are those after a complete step.
    """
    with run.resting(hold):
        if resumed:
            resumed.enter_callbacks(callbacks)
        else:
            call(callbacks, "on_train_begin", {})
    run.loop = loop = Loop(run, epochs, callbacks=callbacks, hold=hold, **loop)
    try:
        logs = loop.train()
    except DivergenceError as error:
        loop.end_early(error)
        if not any(getattr(callback, "ends_divergence", False) for callback in callbacks):
            raise
        warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        logs = loop.logs
    except BaseException as error:
        loop.end_early(error)
        raise
    finally:
        run.loop = None  # or the data would wait for the garbage collector
    loop.progress.finish()
    with run.resting(hold):
        call(callbacks, "on_train_end", logs)
