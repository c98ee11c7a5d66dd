"""The loop around an executor: chunks of steps; between them progress, callbacks, Ctrl-C, snapshots of weights."""

import math
import time
import warnings
from contextlib import nullcontext

from fastml.callback import BEGIN, END, Limit, call, watches
from fastml.training.run import unwrapped
from fastml.training.snapshots import Snapshot


class DivergenceError(ArithmeticError):
    """The loss or a weight became NaN or infinite. The model keeps the last finite weights."""


DIVERGED = (
    "the loss or a weight became NaN or infinite{}; the model keeps its last finite weights. Usual causes: a "
    "learning_rate that is too high, or features or targets that are not scaled"
)


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
    epoch. `refill` is None or a function that puts the rows of the next epoch into the run's data. `deadline` is the
    time, by `time.perf_counter`, from which on no chunk begins.
    """

    def __init__(
        self, run, epochs, name, history, callbacks, validate, stopped, progress, hold, initial, refill,
        deadline=math.inf
    ):  # fmt: skip
        self.run, self.epochs, self.name, self.history, self.callbacks = run, epochs, name, history, callbacks
        self.validate, self.stopped, self.progress, self.hold = validate, stopped, progress, hold
        self.initial, self.refill, self.deadline = initial, refill, deadline
        self.done = len(history.epoch)
        self.logs = {name: values[-1] for name, values in history.history.items() if values}
        self.watchers = [callback for callback in callbacks if watches(callback, "on_chunk_end")]
        self.beginners = [callback for callback in callbacks if watches(callback, "on_epoch_begin")]
        self.steppers = [callback for callback in callbacks if watches(callback, *BEGIN, *END)]
        self.snapshot = None
        self.complete = False  # whether history and callbacks have seen all that the weights have
        self.over = False  # whether a chunk was the last as there is no time left

    def train(self):
        """Asks for the steps of all epochs, as `train` below does; returns the logs of the last."""
        run, self.snapshot = self.run, Snapshot(self.run)
        while self.done < self.epochs and not self.stopped() and not self.late:
            if run.step == self.done * run.steps_per_epoch:  # else it was begun before a resumption
                self.begin_epoch()
            alone = not (self.validate or self.progress.by_epoch or self.beginners or self.steppers or self.refill)
            limit = limit_of(self.callbacks) if alone else None
            watched = limit and run.watched(limit, list(self.name([0.0] * run.data.totals.shape[1])))
            if watched:
                run.until(limit, watched)
                self.snapshot.take()  # those before do not know the limit
            if limit and limit.keeps:
                self.callbacks[0].best_now = run.best_weights if watched else None
            limit = limit if watched else None
            stop = (self.epochs if limit else self.done + 1) * run.steps_per_epoch
            self.complete = False
            yield from self.single_steps(stop) if self.steppers else self.chunks(stop, limit)
        return self.logs

    def chunks(self, stop, limit):
        """Asks for the steps up to `stop`, chunk by chunk."""
        for next_stop in self.run.chunks(stop):
            yield self.run, next_stop
            self.after_chunk(stop, limit)
            if self.over:
                break

    @property
    def late(self):
        """Whether there is no time left."""
        return time.perf_counter() >= self.deadline

    def begin_epoch(self):
        """Before the first step of an epoch: other rows, where each has its own, and callbacks that look at it."""
        if self.refill and self.done:
            with self.run.resting(self.hold):  # as a generator is code of the user's
                self.refill(self.run.data)
            self.snapshot.take()  # steps before had other rows
        if self.beginners:
            with self.run.resting(self.hold):
                call(self.beginners, "on_epoch_begin", self.initial + self.done, {})
            self.snapshot.take()

    def single_steps(self, stop):
        """Asks for the steps up to `stop`, or until a callback ends the training, one by one."""
        run = self.run
        while run.step < stop and not (run.diverged or self.stopped() or self.late):
            self.step_hooks(BEGIN, {})
            self.snapshot.take()  # callbacks may have changed weights or optimizer
            yield run, run.step + 1
            if not run.diverged and self.snapshot.finite():
                self.step_hooks(END, self.means_so_far(), before=1)
            self.after_chunk(stop, None)

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
        run, snapshot = self.run, self.snapshot
        self.over = self.late
        looked_at = self.callbacks or run.epochs > self.done or self.over  # what is not is found out by the next loss
        broken = run.diverged or (looked_at and not snapshot.finite())
        if broken:
            snapshot.replay()
        cut = self.steppers and not broken and run.step < stop and self.stopped()
        if cut:  # by a callback, between two steps
            self.tell_epochs(limit, [self.means_so_far()])
        else:
            self.tell_epochs(limit)
        self.progress.update(run.rows)
        if broken:
            raise DivergenceError(DIVERGED.format(f" in epoch {self.done + 1} of {self.epochs}"))
        self.complete = not cut
        if self.watchers:
            with run.resting(self.hold):
                call(self.watchers, "on_chunk_end")
        if run.pause():
            snapshot.take()
        snapshot.take_when_due()
        self.hold.check()
        self.complete = False

    def logs_of(self, first, last):
        """Logs of the completed epochs first … last - 1, with those of the rows to validate where the executor did."""
        run, logs = self.run, [self.name(means) for means in self.run.means(first, last)]
        if run.following:
            for entry, means in zip(logs, run.following.means(first, last), strict=True):
                entry.update((f"val_{name}", value) for name, value in self.name(means).items())
        return logs

    def tell_epochs(self, limit, cut=()):
        """Tells history, progress and callbacks of the epochs that have ended, or of the logs of one that was cut."""
        ended, callbacks = self.run.epochs + len(cut), self.callbacks
        if ended == self.done:
            return
        named = cut or self.logs_of(self.done, ended)
        looks = self.validate or (callbacks and not limit)  # at the model, which may take its time
        with self.run.resting(self.hold) if looks else nullcontext():
            for epoch, logs in enumerate(named, self.done):
                number = self.initial + epoch
                self.logs = logs | (self.validate(number) if self.validate else {})
                self.history.on_epoch_end(number, self.logs)
                self.progress.epoch(epoch + 1, self.logs)
                call(callbacks, "on_epoch_end", number, self.logs)
        if callbacks:
            self.snapshot.take()  # they may have changed weights or optimizer: a replay starts behind them
        self.done = ended

    def end_early(self, error):
        """After an exception: the weights are those after a complete step, and callbacks may save them."""
        if self.snapshot:
            self.snapshot.replay()
        if not self.validate and limit_of(self.callbacks):  # else a complete epoch has been seen
            done = len(self.history.epoch)
            for epoch, logs in enumerate(self.logs_of(done, self.run.epochs), self.initial + done):
                self.history.on_epoch_end(epoch, logs)
        if self.complete:
            with self.run.resting(self.hold):
                call(self.callbacks, "on_exception", error)


def train(run, epochs, callbacks, hold, resumed=None, **loop):
    """Trains a job through all epochs, or those that are left of one that is `resumed`, a TrainingState.

    It is a generator of pairs (run, stop): whoever iterates has the run `advance` to its step `stop` before the next
    one, or throws in what keeps it from that; see `fastml.training.run.completed`. The other arguments are those of a
    `Loop`. Raises DivergenceError where the loss stops being finite; passes on what
    callbacks and Ctrl-C raise. However it ends, the parameters are those after a complete step.
    """
    with run.resting(hold):
        if resumed:
            resumed.enter_callbacks(callbacks)
        else:
            call(callbacks, "on_train_begin", {})
    run.loop = loop = Loop(run, epochs, callbacks=callbacks, hold=hold, **loop)
    try:
        logs = yield from loop.train()
    except DivergenceError as error:
        loop.end_early(error)
        if not any(getattr(callback, "ends_divergence", False) for callback in callbacks):
            raise
        warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        logs = loop.logs
    except BaseException as error:
        loop.end_early(unwrapped(error))
        raise
    finally:
        run.loop = None  # or the data would wait for the garbage collector
    loop.progress.finish()
    with run.resting(hold):
        call(callbacks, "on_train_end", logs)
