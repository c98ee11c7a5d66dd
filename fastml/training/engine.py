"""The engine of a model: its weights in flat buffers, the programs over them, and how far training has come."""

import math
from functools import partial

import numpy as np

from fastml.attributes import Constant, check_range
from fastml.layers import copied, method_of
from fastml.metrics import columns_of
from fastml.process.signals import hold_interrupts
from fastml.program import linking
from fastml.program.executors import EXECUTORS
from fastml.program.lowered import lowered
from fastml.program.memory import aligned_zeros
from fastml.program.plan import batches, make_plan
from fastml.program.program import Buffers
from fastml.training.following import Following
from fastml.training.inference import BLOCK
from fastml.training.loop import train
from fastml.training.run import Data, TrainingRun
from fastml.training.serving import Serving
from fastml.training.stepping import Stepping
from fastml.training.weight_access import WeightAccess


class Engine(WeightAccess, Serving, Stepping):
    """Runs a model of layers over data of width d_in. What comes in has been checked and converted.

    One thread trains at a time, as `rest.turn` says. Others may predict and evaluate beside it, with the weights that
    `rest` gives them.
    """

    shift = None  # of the columns of data, subtracted from them in float64 before they come here; see `shift_of`

    program = buffers = None

    def __init__(self, layers, d_in, dtype, seed, rest, initialize=True, aim=None):
        self.layers = copied(layers)  # what the user does to theirs must not change the size of buffers
        self.d_in, self.dtype, self.seed, self.rest = d_in, dtype, seed, rest
        self.aim = {}  # loss, metrics and optimizer, as `lower` takes them
        self.executor = "compiled"
        self.epochs = 0  # that the model has trained; they count for the random numbers
        self.updates = 0  # that the optimizer has made
        self.loss = math.inf  # before the last update
        self.fitted = not method_of(self.layers)  # whether the statistics of the data are known
        self.run = None  # the training under way
        self.adapter = None  # a DataAdapter, once rows were taken
        self.written = None  # the optimizer's attributes when its instructions were written
        self.inference = None  # what predictions and evaluations need, from the first one on
        for layer in self.layers:
            check_range(layer, Constant.values(layer), dtype)
        if aim:  # the arguments of `compile`
            self.compile(**aim)
        else:
            program = lowered(self.layers, d_in, BLOCK, dtype)
            self._take(program, Buffers.for_program(program, dtype))
        if initialize:  # a file has weights already
            self.program.initialize(self.buffers, seed)

    def __getstate__(self):
        """Without what can be made again; the copy of a model in training goes on where that rests.

        The copy has no `rest` until its model gives it one: it is made while that of the other is locked, when nobody
        may make a lock, see `fastml.process.forks`.
        """
        epochs, updates, loss = self.progress()
        kept = {"program": None, "run": None, "rest": None, "inference": None}
        kept |= {"backward": None, "stepper": None, "adapter": None, "written": None}
        kept["buffers"] = self.buffers.params.copy(), self.buffers.state.copy()
        return {**self.__dict__, **kept, "epochs": epochs, "updates": updates, "loss": loss}

    def __setstate__(self, state):
        self.__dict__.update(state)
        program = lowered(self.layers, self.d_in, BLOCK, self.dtype, **self.aim)
        params, kept = state["buffers"]
        buffers = Buffers.for_program(program, self.dtype)._replace(state=aligned_zeros(kept.size, self.dtype))
        self._take(program, buffers)
        self.buffers.params[:], self.buffers.state[:] = params, kept

    def compile(self, loss, metrics, optimizer, executor):
        """Sets the aim of training, with a new state of the optimizer: a Loss, Metrics, an Optimizer, a name."""
        for thing in (optimizer, loss):
            check_range(thing, thing.constants(), self.dtype)
        optimizer.check()
        aim = {"loss": loss, "metrics": metrics, "optimizer": optimizer}
        batch = self.program.batch if self.program else BLOCK  # room that most trainings will find enough
        program = lowered(self.layers, self.d_in, batch, self.dtype, **aim)
        buffers = self.buffers.with_work(program) if self.buffers else Buffers.for_program(program, self.dtype)
        buffers = buffers.with_state(program, optimizer)
        if not np.isfinite(buffers.state).all():
            raise ValueError(f"{optimizer!r} starts from values that are beyond the range of {self.dtype}")
        with self.rest.lock:
            self.aim, self.executor, self.updates, self.loss = aim, executor, 0, math.inf
            self._take(program, buffers._replace(params=self.buffers.params) if self.buffers else buffers)
            self.written, self.inference = attributes_of(optimizer), None

    def freeze(self, trainable):
        """Has the training leave out layers; `trainable` says of each whether it takes part. Not while one runs."""
        for layer, takes_part in zip(self.layers, trainable, strict=False):
            layer.trainable = takes_part
        program = self.program
        sizes = {"weighted": program.weighted, "height": program.height, "plan": program.plan}
        program = lowered(self.layers, self.d_in, program.batch, self.dtype, **self.aim, **sizes)
        with self.rest.lock:
            self._take(program, self.buffers.with_work(program))
            self.inference = None

    @property
    def frozen(self):
        """Whether no layer is trained."""
        return not any(parameter.trained for parameter in self.program.parameters)

    def own(self):
        """Before parameters change: gives those who read them an array of their own, the one that there is."""
        with self.rest.lock:
            if self.rest.shares(self.buffers.params):
                params = aligned_zeros(self.buffers.params.size, self.dtype)
                params[:] = self.buffers.params
                self.buffers = self.buffers._replace(params=params)

    def training(
        self, x, y, weights, chosen, batch_size, epochs, shuffle, make_progress, resumed=None, statistics=None,
        validation=None, **loop
    ):  # fmt: skip
        """Trains, or goes on from a TrainingState: a generator, as `fastml.training.loop.train`, which takes the rest.

        chosen : the numbers of the rows that it is for, (rows,) int64, or None for all
        validation : x, y, weights or None and chosen or None of the rows to evaluate after each epoch without Python in
        between, which `can_follow` must allow; or None
        """
        rows = len(x) if chosen is None else len(chosen)
        batch_size = min(batch_size, rows)
        steps_per_epoch, largest = batches(rows, batch_size, self._alone())
        plan = self._plan(largest)
        sizes = {"steps": steps_per_epoch, "epochs": epochs, "columns": columns_of(self.aim["metrics"])}
        data = Data(self.dtype, x, y, weights, shuffle=shuffle, chosen=chosen, **sizes)
        first, total = resumed.first if resumed else self.updates, epochs * steps_per_epoch
        rates = partial(self.aim["optimizer"].rates, first=first, total=total)
        rates(first, 1)  # so that a schedule that does not fit fails before anything changes
        if self.executor == "compiled":
            linking.link(self.program.training, self.dtype)  # so that whoever waits for a compilation can interrupt it
        with hold_interrupts() as hold, self.rest.training(self._end_run):
            self._room_for(largest, weights is not None, plan)
            self._refresh()
            self.adapt(statistics)
            counters = {"seed": self.seed, "epoch": self.epochs, "t": self.updates, "loss": self.loss}
            arguments = data, steps_per_epoch, batch_size, rates, plan
            counters["first"] = first
            counters["following"] = validation and Following(self, *validation, epochs, plan.threads)
            run = TrainingRun(self, self._chunk, self.program.training, self.buffers, *arguments, **counters)
            if resumed:
                resumed.enter_run(run)
            progress = make_progress(rows, epochs)
            self.run = run
            try:
                yield from train(run, epochs, progress=progress, resumed=resumed, hold=hold, **loop)
            finally:
                progress.close()

    def _end_run(self):
        """Keeps how far the training has come that was under way."""
        self.epochs, self.updates, self.loss = self.progress()
        self.run = None

    def _chunk(self, instructions, jobs, rates, _, *arrays, execute=None):
        """The executor, or what stands for it, for a chunk of training, with the optimizer's constants of now."""
        self._refresh()  # as a callback may have changed them
        self.own()
        if self.run.following:
            self.run.following.use(jobs[1:], self.buffers.params)
        execute = execute or EXECUTORS[self.executor]
        return execute(instructions, jobs, rates, self.buffers.params, *arrays)

    def _alone(self):
        return all(layer.alone for layer in self.layers)

    def _plan(self, rows, once=False):
        """The Plan of a training step, which is one of many, or only made `once`."""
        row_bytes = self.program.row_size * self.buffers.params.itemsize
        return make_plan(rows, row_bytes, self.buffers.params.nbytes, self.program.flops, self._alone(), once)

    def progress(self):
        """Epochs, updates and last loss with those of the training under way; an epoch that was begun counts."""
        if self.run is None:
            return self.epochs, self.updates, self.loss
        return self.epochs + -(-self.run.step // self.run.steps_per_epoch), self.run.t, self.run.loss

    def _room_for(self, batch, weighted, plan):
        """Makes sure that the program trains on `batch` rows at a time by this plan, with weights of rows or none."""
        program = self.program
        threads = max(plan.threads, program.plan.threads)
        height, kept = plan.block * threads or batch, plan._replace(threads=threads)
        enough = program.batch >= batch and program.height >= height
        if enough and program.weighted == weighted and program.plan == kept:
            return
        batch, height = max(batch, program.batch), max(height, min(program.height, BLOCK))
        aim = {**self.aim, "weighted": weighted, "height": height, "plan": kept}
        program = lowered(self.layers, self.d_in, batch, self.dtype, **aim)
        self._take(program, self.buffers.with_work(program))

    def _take(self, program, buffers):
        self.program, self.buffers, self.written = program, buffers, None

    def _refresh(self):
        """Writes the optimizer's constants into the instructions where they have changed since; whether they had."""
        try:
            changed = attributes_of(self.aim["optimizer"]) != self.written
        except ValueError:  # of arrays, which may be as they were or not
            changed = True
        if changed:
            self.stepper = None  # which goes by instructions that have their kernels
            self.program.refresh(self.aim["optimizer"], self.buffers)
            self.written = attributes_of(self.aim["optimizer"])
        return changed


def attributes_of(optimizer):
    """The attributes of an optimizer by name, and their types: a number is not the same as an array that equals it."""
    attributes = vars(optimizer)
    return dict(attributes), [*map(type, attributes.values())]
