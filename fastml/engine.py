"""The engine of a model: its weights in flat buffers, the programs over them, and how far training has come."""

import copy
import math
from functools import partial

import numpy as np

from fastml import compiled, reference
from fastml.constants import Constant, check_range
from fastml.data import as_array, convert
from fastml.layers import method_of
from fastml.lowering import lower
from fastml.metrics import means_over_rows
from fastml.normalization import shift_of
from fastml.plan import WHOLE, make_plan
from fastml.predictor import FEW, Predictor
from fastml.program import Buffers, aligned_zeros
from fastml.training import Data, Run, train

EXECUTORS = {"compiled": compiled.run, "numpy": reference.run}
BLOCK = 256  # rows at a time, where they do not influence each other


class Engine:
    """Runs a model of layers over data of width d_in. What comes in has been checked and converted."""

    shift = None  # of the columns of data, subtracted from them in float64 before they come here; see `shift_of`

    def __init__(self, layers, d_in, dtype, seed):
        self.layers = copy.deepcopy(layers)  # what the user does to theirs must not change the size of buffers
        self.d_in, self.dtype, self.seed = d_in, dtype, seed
        self.aim = {}  # loss, metrics and optimizer, as `lower` takes them
        self.executor = "compiled"
        self.epochs = 0  # that the model has trained; they count for the random numbers
        self.updates = 0  # that the optimizer has made
        self.loss = math.inf  # before the last update
        self.fitted = not method_of(self.layers)  # whether the statistics of the data are known
        self.run = None  # the training under way
        self.written = None  # the optimizer's numbers when its table was written
        for layer in self.layers:
            check_range(layer, Constant.values(layer), dtype)
        program = lower(self.layers, d_in, BLOCK, dtype)  # room that most trainings will find enough
        self._take(program, Buffers.for_program(program, dtype))
        self.program.initialize(self.buffers, seed)

    def __getstate__(self):
        """Without what can be made again; a copy that a callback makes goes on where the training is."""
        epochs, updates, loss = self._progress()
        kept = {"program": None, "run": None, "predictor": None, "buffers": (self.buffers.params, self.buffers.state)}
        return {**self.__dict__, **kept, "epochs": epochs, "updates": updates, "loss": loss}

    def __setstate__(self, state):
        self.__dict__.update(state)
        program = lower(self.layers, self.d_in, BLOCK, self.dtype, **self.aim)
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
        program = lower(self.layers, self.d_in, self.program.batch, self.dtype, **aim)
        self.aim, self.executor, self.updates, self.loss = aim, executor, 0, math.inf
        self._take(program, self.buffers.for_training(program, optimizer))

    def weights(self):
        """Views of the weights, in the order of the layers; where data are shifted, the mean is that of data before."""
        weights = [parameter.view(self.buffers.params) for parameter in self.program.parameters]
        return weights if self.shift is None else [self.statistics()["mean"], *weights[1:]]

    def set_weights(self, weights):
        """Overwrites all weights, or raises ValueError and leaves them."""
        targets = self.weights()
        if len(weights) != len(targets):
            raise ValueError(f"weights must be {len(targets)} arrays, got {len(weights)}")
        arrays = [as_array(w, f"weights[{k}]") for k, w in enumerate(weights)]
        for k, (array, target) in enumerate(zip(arrays, targets, strict=True)):
            if array.shape != target.shape:
                raise ValueError(f"weights[{k}] has shape {array.shape}, but the model has {target.shape}")
        wide = [np.float64] * bool(method_of(self.layers))  # a mean may be what is subtracted before the cast
        dtypes = wide + [self.dtype] * len(arrays)
        arrays = [convert(a, f"weights[{k}]", dtypes[k]) for k, a in enumerate(arrays)]
        shift = shift_of(*arrays[:2], self.dtype) if wide else None
        if wide:
            arrays[0] = convert(arrays[0] if shift is None else np.where(shift, 0, arrays[0]), "weights[0]", self.dtype)
        for k, (array, parameter) in enumerate(zip(arrays, self.program.parameters, strict=True)):
            if parameter.name == "variance" and (array < 0).any():
                raise ValueError(f"weights[{k}] is the variance of layer {parameter.layer}: it must not be negative")
        for array, parameter in zip(arrays, self.program.parameters, strict=True):
            parameter.view(self.buffers.params)[...] = array
        self.fitted, self.loss, self.shift, self.predictor = True, math.inf, shift, None

    def names(self):
        """Names of the weights: the position of the layer, and its name in the layer."""
        return [f"{parameter.layer}.{parameter.name}" for parameter in self.program.parameters]

    def statistics(self):
        """Mean, float64, and scale of the columns, (d_in,), with which data are normalized; None if they are not."""
        if not (self.fitted and method_of(self.layers)):
            return None
        mean, scale = (parameter.view(self.buffers.params) for parameter in self.program.parameters[:2])
        return {"mean": mean.astype(np.float64) + (0.0 if self.shift is None else self.shift), "scale": scale}

    def adapt(self, statistics):
        """Normalizes data by these from now on, {"mean", "scale"} of `fastml.normalization`; None changes nothing."""
        if statistics:
            mean, scale = statistics["mean"], statistics["scale"]
            self.shift, self.predictor, self.fitted = shift_of(mean, scale, self.dtype), None, True
            left = mean if self.shift is None else np.where(self.shift, 0, mean)
            for parameter, values in zip(self.program.parameters, (left, scale), strict=False):
                parameter.view(self.buffers.params)[...] = values

    def fit(self, x, y, weights, batch_size, epochs, shuffle, make_progress, statistics=None, **loop):
        """Trains; see `fastml.training.train` for the rest of the arguments."""
        batch_size = min(batch_size, len(x))
        steps_per_epoch, largest = batches(len(x), batch_size, self._alone())
        plan = self._plan(largest)
        self._room_for(largest, weights is not None, plan, training=True)
        shuffle = shuffle and steps_per_epoch > 1  # in a full batch, the order of the rows means nothing
        data = Data(self.dtype, x, y, weights, shuffle=shuffle, epochs=epochs, columns=self._columns())
        first, total = self.updates, epochs * steps_per_epoch
        optimizer = self.aim["optimizer"]
        rates = partial(optimizer.rates, first=first, total=total)
        rates(first, 1)  # so that a schedule that does not fit fails before anything changes
        self._write_constants(self.program)
        self.adapt(statistics)
        counters = {"seed": self.seed, "epoch": self.epochs, "t": first, "loss": self.loss}
        table, arguments = self.program.training, (data, steps_per_epoch, batch_size, rates, plan)
        execute = partial(self._with_current_constants, self.program)
        run = Run(execute, table, self.program, self.buffers, *arguments, **counters)
        progress = make_progress(len(x), epochs)
        self.run = run
        try:
            train(run, epochs, progress=progress, **loop)
        finally:
            self.epochs, self.updates, self.loss = self._progress()
            self.run = None
            progress.close()

    def evaluate(self, x, y, weights=None):
        """Means over the rows of loss and scores, and the predictions if a metric needs them all, else None."""
        if weights is None and self.program.weighted:
            weights = np.ones((len(x), 1), self.dtype)  # rather than another program
        batch, plan = min(BLOCK, len(x)), self._plan_inference(len(x))
        self._room_for(batch, weights is not None, plan)
        whole = self._columns() <= len(self.aim["metrics"])
        outputs = np.empty((len(x), self.program.d_out), self.dtype) if whole else None
        data = Data(self.dtype, x, y, weights, outputs, columns=self._columns())
        return self._once(self.program.evaluation, data, batch, plan=plan).means(0, 1)[0], outputs

    def predict(self, x, outputs):
        """Writes the outputs for the rows of x."""
        batch, plan = min(BLOCK, len(x)), self._plan_inference(len(x))
        self._room_for(batch, self.program.weighted, plan)
        self._once(self.program.prediction, Data(self.dtype, x, outputs=outputs), batch, plan=plan)

    def few(self):
        """The Predictor of the model as it is, or None where it cannot be used."""
        if self.predictor is None and self.executor == "compiled" and self.fitted:
            self._room_for(FEW, self.program.weighted, WHOLE)
            self.predictor = Predictor(self, self.program, self.buffers)
        return self.predictor

    def gradients(self, x, y, weights=None):
        """Loss over all rows, as training sees it, and the gradients, shaped like the weights."""
        plan = self._plan(len(x))
        height = plan.block * plan.threads or len(x)
        aim = {**self.aim, "weighted": weights is not None, "height": height, "plan": plan}
        program = lower(self.layers, self.d_in, len(x), self.dtype, **aim)
        buffers = self.buffers.with_work(program)  # all rows at once may need much, and only now
        run = self._once(program.gradient, Data(self.dtype, x, y, weights), len(x), program, buffers, plan)
        return run.means(0, 1)[0][0], [p.view(buffers.grads).copy() for p in program.parameters]

    def _alone(self):
        return all(layer.alone for layer in self.layers)

    def _plan(self, rows):
        """The Plan of a training step."""
        row_bytes = self.program.row_size * self.buffers.params.itemsize
        return make_plan(rows, row_bytes, self.buffers.params.nbytes, self.program.flops, self._alone())

    def _plan_inference(self, rows):
        """The Plan of an evaluation or prediction, which is a third of the work and goes BLOCK rows at a time."""
        rows = min(rows, BLOCK)
        return make_plan(rows, 1, 1, self.program.flops / 3, alone=False)

    def _progress(self):
        """Epochs, updates and last loss with those of the training under way; an epoch that was begun counts."""
        if self.run is None:
            return self.epochs, self.updates, self.loss
        return self.epochs + -(-self.run.step // self.run.steps_per_epoch), self.run.t, self.run.loss

    def _columns(self):
        return 1 + len(means_over_rows(self.aim["metrics"]))

    def _room_for(self, batch, weighted, plan, training=False):
        """Makes sure that the program takes `batch` rows at a time by this plan, and weights of the rows or none."""
        program = self.program
        threads = max(plan.threads, program.plan.threads)
        height = plan.block * threads or batch
        kept = (plan if training else program.plan)._replace(threads=threads)
        enough = program.batch >= batch and program.height >= height
        if enough and program.weighted == weighted and program.plan == kept:
            return
        batch, height = max(batch, program.batch), max(height, min(program.height, BLOCK))
        aim = {**self.aim, "weighted": weighted, "height": height, "plan": kept}
        program = lower(self.layers, self.d_in, batch, self.dtype, **aim)
        self._take(program, self.buffers.with_work(program))

    def _take(self, program, buffers):
        self.program, self.buffers = program, buffers
        self.predictor = None  # which was for others

    def _write_constants(self, program):
        """Brings the training table of a program up to the optimizer's constants."""
        program.refresh(self.aim["optimizer"], self.buffers)
        self.written = numbers_of(self.aim["optimizer"])

    def _with_current_constants(self, program, table, *arguments):
        """The executor, for the training table of a program, with the optimizer's constants as they are now.

        A callback that evaluates may have made another program for the engine; the one that trains is meant.
        """
        if numbers_of(self.aim["optimizer"]) != self.written:  # by a callback
            self._write_constants(program)
        return EXECUTORS[self.executor](table, *arguments)

    def _once(self, table, data, batch_size, program=None, buffers=None, plan=WHOLE):
        """Runs a table over all rows, batch by batch."""
        program, buffers = program or self.program, buffers or self.buffers
        steps = -(-data.rows // batch_size)
        run = Run(EXECUTORS[self.executor], table, program, buffers, data, steps, batch_size, plan=plan, seed=self.seed)
        for _ in run.chunks(steps):
            pass
        return run


def numbers_of(optimizer):
    """The attributes of an optimizer that its instructions may hold, by name."""
    return {name: value for name, value in vars(optimizer).items() if value is None or isinstance(value, (float, bool))}


def batches(rows, batch_size, alone):
    """How many batches the rows are, and the rows of the largest.

    The last one takes what is left. Unless rows stand alone, a single one that is left joins the batch before it.
    """
    steps, rest = divmod(rows, batch_size)
    if not alone and rest == 1 and steps:
        return steps, batch_size + 1
    return steps + (rest > 0), batch_size
