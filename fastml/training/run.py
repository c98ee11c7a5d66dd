"""A job of an executor, in chunks of steps that let Python look at it in between."""

import math
import threading
import time
from contextlib import contextmanager

import numpy as np

from fastml.kernels.epochs import LIMIT
from fastml.kernels.job import JOB
from fastml.kernels.operation import instruction
from fastml.metrics import means_over_rows
from fastml.program import compiled
from fastml.program.memory import address_of
from fastml.program.plan import WHOLE
from fastml.program.program import assembled
from fastml.program.threads import ThreadCount

CHUNK_SECONDS = 0.05  # between two looks at Python: short enough for Ctrl-C and a progress bar
TRIAL = 16  # a chunk to compare numbers of threads by is this part of one: long beside the time to wake a thread
GROWTH = 64  # times the chunk before, at most: the first one tells how long steps take
SLOW, ELEMENT = 2e8, 20  # for the first chunk of a training: operations a second, at least; those of an element
LONG = 5e-4  # seconds of a chunk, of which to set it up is little
CAUTION = 8  # times slower than any training so far the next one may be
NO_RATES = np.zeros(1)  # for instructions without an update


class Data:
    """Arrays that a job reads and writes, in the order of the executors' arguments."""

    def __init__(
        self, dtype, x, y=None, weights=None, outputs=None, shuffle=False, steps=2, epochs=1, columns=1, chosen=None
    ):
        empty, numbers = np.zeros((0, 1), dtype), np.zeros(0, np.int64)
        self.rows = len(x) if chosen is None else len(chosen)
        self.x = x
        self.y = empty if y is None else y
        self.weights = empty if weights is None else weights
        self.outputs = empty if outputs is None else outputs
        self.shuffle = bool(shuffle)
        self.shuffles = self.shuffle and steps > 1  # as of one batch, the order means nothing
        self.chosen = chosen  # numbers of the rows of x, (rows,) int64, or None for all
        self.order = np.zeros(self.rows, np.int64) if self.shuffles else numbers if chosen is None else chosen
        self.totals = np.zeros((epochs, columns))
        self.fingerprint = None  # of the rows, once somebody asks

    def arguments(self):
        return self.x, self.y, self.weights, self.order, self.totals, self.outputs


class Run:
    """One job: instructions of a program over data, in epochs of batches. Steps are counted from its start.

    `rates` gives the learning rates of a number of updates from the t-th on, an array, or of all if it holds one.
    """

    following = None  # a Following, where rows are evaluated after each epoch
    pace = None  # operations a second of the slowest training so far
    work = None  # of a step, in operations, where that tells how long the first chunk may be
    kept = None  # the parameters after the best epoch, where a Limit wants them

    def __init__(
        self, execute, instructions, buffers, data, steps_per_epoch, batch_size, rates=None, plan=WHOLE, **counters
    ):
        self.execute, self.instructions, self.buffers, self.data = execute, instructions, buffers, data
        self.steps_per_epoch = steps_per_epoch
        self.rates = rates or (lambda t, count: NO_RATES)
        self.jobs = np.zeros(1, JOB)  # and the one that follows, where one does
        job = self.jobs[0]
        for name, value in (*counters.items(), *plan._asdict().items()):
            job[name] = value
        job["steps_per_epoch"], job["batch_size"], job["rows"] = self.steps_per_epoch, batch_size, data.rows
        job["shuffles"], job["chosen"] = data.shuffles, 0 if data.chosen is None else address_of(data.chosen)
        self.limit, self.ending = np.zeros(1, LIMIT), assembled([])
        self.thread_count = ThreadCount(plan.threads)
        self.chunk = self.trial = 1
        self.spent = 0.0, 0  # seconds of the last chunk, and how often threads offered their cores in it

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
        return 0 < int(self.limit["patience"][0]) <= int(self.limit["waited"][0])

    def until(self, limit, watched):
        """Has the executor end after the epoch, at least one, that reaches a Limit, however far it is to run.

        watched : the totals, their column and their rows that the limit looks at.
        """
        limit, to = limit._replace(waited=min(limit.waited, max(limit.patience - 1, 0))), self.limit
        for name in ("patience", "waited", "best", "tolerance", "scale", "strict"):
            to[name] = getattr(limit, name)
        totals, to["column"], to["rows"] = watched
        to["totals"], to["size"], to["columns"] = address_of(totals), totals.size, totals.shape[1]
        to["kept_words"] = 0
        if limit.keeps:
            self.kept = np.empty_like(self.buffers.params) if self.kept is None else self.kept
            to["kept"], to["kept_words"] = address_of(self.kept), self.kept.nbytes // 8
        self.end_epochs()

    def end_epochs(self):
        """Has the executor do what comes after each epoch: evaluate rows, and look whether the limit is reached."""
        found = [instruction("follow", after=address_of(self.jobs[1:]))] if self.following else []
        if self.limit["patience"][0]:
            found.append(instruction("watch", limit=address_of(self.limit)))
        if len(found) != len(self.ending):  # else it has the same addresses
            self.ending = assembled(found)

    def advance(self, stop):
        """Runs the steps up to `stop`, fewer where the loss is not finite or a limit is reached."""
        start = time.perf_counter()
        offers = self._enter(stop, self.thread_count.threads) or 0
        self.spent = time.perf_counter() - start, offers

    def prepare(self, stop):
        """Has the compiled job ready that `advance` would run, for one thread of a `Crew`.

        Returns its address and what must outlive its run, after which `spent` is to be set.
        """
        kept = self._enter(stop, 1, execute=compiled.prepare)
        return address_of(self.jobs), kept

    def _enter(self, stop, threads, **options):
        """Calls the executor, or what stands for it among the options, for the steps up to `stop`."""
        self.jobs["start"][0], self.jobs["stop"][0], self.jobs["threads"] = self.step, stop, threads
        rates = self.rates(self.t, stop - self.step)
        arrays = *self.buffers, *self.data.arguments()
        return self.execute(self.instructions, self.jobs, rates, *arrays, self.ending, **options)

    def chunks(self, stop):
        """Asks for the steps up to `stop` in chunks of about CHUNK_SECONDS: yields how far each is to go.

        Before the next one is asked for, who iterates has to run it by `advance`.
        """
        while self.step < stop and not (self.diverged or self.exhausted):
            before = self.step
            asked = self.trial if self.thread_count.compares else self.chunk
            yield min(stop, before + asked)
            (seconds, offers), steps = self.spent, max(1, self.step - before)
            seconds = max(seconds, 1e-9)
            ideal = steps * CHUNK_SECONDS / seconds
            grows = steps == asked == self.chunk < ideal / 2  # so that the time to wake threads may be most of it
            if self.jobs["threads"][0] == self.thread_count.threads and not grows:  # no other job had the CPUs
                self.thread_count.report(seconds / steps, offers / steps)
            if self.work and seconds > LONG:
                Run.pace = min(Run.pace or math.inf, steps * self.work / seconds)
            self.chunk, self.trial = max(1, int(min(ideal, GROWTH * self.chunk))), max(1, int(ideal / TRIAL))

    def finish(self, stop):
        """Runs up to `stop`, in chunks."""
        for next_stop in self.chunks(stop):
            self.advance(next_stop)

    def means(self, first, last):
        """Loss and metrics of the completed epochs first … last - 1: lists of floats, the means over the rows."""
        return (self.data.totals[first:last] / self.data.rows).tolist()


class TrainingRun(Run):
    """The training of an Engine, whose parameters change their place when others read them."""

    def __init__(self, engine, *arguments, first=0, following=None, **options):
        self.engine, self.first = engine, first  # updates before the training
        self.loop = None  # while it trains
        super().__init__(*arguments, **options)
        program, batch = engine.program, int(self.jobs["batch_size"][0])
        self.work = program.params_size + batch * (program.flops + ELEMENT * program.row_size)
        pace = max(SLOW, (Run.pace or SLOW) / CAUTION)
        self.chunk = 1 if following else max(1, int(CHUNK_SECONDS * pace / self.work))
        if following:
            self.following = following
            self.jobs = np.concatenate([self.jobs, np.zeros(1, JOB)])
            following.enter(self.jobs[1:], self.buffers.params)
            self.end_epochs()

    @property
    def buffers(self):
        return self.engine.buffers

    @buffers.setter
    def buffers(self, buffers):
        """They are the engine's."""

    def watched(self, limit, names):
        """The totals, their column and their rows that tell what a Limit looks at; None where the executor cannot.

        names : of the columns.
        """
        monitor, of_validation = limit.monitor.removeprefix("val_"), limit.monitor.startswith("val_")
        if of_validation and not self.following:
            return None
        scores = means_over_rows(self.engine.aim["metrics"])
        column = names.index(monitor) if monitor in names else None
        if column is None or (column and scores[column - 1].of_mean is not float):
            return None
        of = self.following if of_validation else self.data
        return of.totals, column, of.rows

    def best_weights(self):
        """Copies of the weights after the best epoch."""
        return [weights.copy() for weights in self.engine.weights(self.kept)]

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


def unwrapped(error):
    """An error of the user's code as that has raised it: of a StopIteration, generators make a RuntimeError."""
    wrapped = isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration)
    return error.__cause__ if wrapped else error


_here = threading.local()


@contextmanager
def completed_by(other):
    """Has `completed`, in this thread, leave its generator to another function in the ``with`` block."""
    _here.completed = other
    try:
        yield
    finally:
        _here.completed = None


def completes_here():
    """Whether `completed`, in this thread, runs its generator itself."""
    return getattr(_here, "completed", None) is None


def completed(training):
    """Runs what a generator of pairs (run, stop) asks for, one after the other; returns what it returns."""
    other = getattr(_here, "completed", None)
    if other:
        return other(training)
    try:
        run, stop = next(training)
        while True:
            try:
                run.advance(stop)
            except BaseException as error:
                run, stop = training.throw(error)
            else:
                run, stop = next(training)
    except StopIteration as end:
        return end.value
    except RuntimeError as error:
        found = unwrapped(error)
        if found is error:
            raise
    raise found
