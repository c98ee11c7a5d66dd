"""The engine of a model: its weights in flat buffers, the programs over them, and how far training has come."""

import copy

import numpy as np

from fastml import compiled, reference
from fastml.program import Buffers, lower
from fastml.training import Data, Run, train

EXECUTORS = {"compiled": compiled.run, "numpy": reference.run}
BLOCK = 256  # rows at a time, where they do not influence each other


class Engine:
    """Runs a model of layers over data of width d_in. What comes in has been checked and converted."""

    def __init__(self, layers, d_in, dtype, seed):
        self.layers = copy.deepcopy(layers)  # what the user does to theirs must not change the size of buffers
        self.d_in, self.dtype, self.seed = d_in, dtype, seed
        self.aim = {}  # loss, metrics and optimizer, as `lower` takes them
        self.executor = "compiled"
        self.epochs = 0  # that the model has trained; they count for the random numbers
        self.updates = 0  # that the optimizer has made
        self.run = None  # the training under way
        self.program = lower(self.layers, d_in, 1, dtype)
        self.buffers = Buffers.for_program(self.program, dtype)
        self.program.initialize(self.buffers, seed)

    def __getstate__(self):
        """Without what can be made again; a copy that a callback makes goes on where the training is."""
        epochs, updates = self._progress()
        kept = {"program": None, "run": None, "buffers": (self.buffers.params, self.buffers.state)}
        return {**self.__dict__, **kept, "epochs": epochs, "updates": updates}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.program = lower(self.layers, self.d_in, 1, self.dtype, **self.aim)
        self.buffers = Buffers.for_program(self.program, self.dtype)
        self.buffers.params[:], self.buffers.state[:] = state["buffers"]

    def compile(self, loss, metrics, optimizer, executor):
        """Sets the aim of training, with a new state of the optimizer: a Loss, Metrics, an Optimizer, a name."""
        for name, value in optimizer.constants().items():
            if value > 0 and np.dtype(self.dtype).type(value) == 0:
                raise ValueError(f"{name} is {value}, which is 0 in {self.dtype}")
        aim = {"loss": loss, "metrics": metrics, "optimizer": optimizer}
        self.program = lower(self.layers, self.d_in, self.program.batch, self.dtype, **aim)
        self.aim, self.executor, self.updates = aim, executor, 0
        self.buffers = self.buffers.for_training(self.program)

    def weights(self):
        """Views of the weights, in the order of the layers."""
        return [parameter.view(self.buffers.params) for parameter in self.program.parameters]

    def fit(self, x, y, batch_size, epochs, shuffle, make_progress, **loop):
        """Trains; see `fastml.training.train` for the rest of the arguments."""
        batch_size = min(batch_size, len(x))
        self._room_for(batch_size)
        data = Data(self.dtype, x, y, shuffle=shuffle, epochs=epochs, columns=self._columns())
        table, counters = self.program.training, {"seed": self.seed, "epoch": self.epochs, "t": self.updates}
        run = Run(self._with_current_constants, table, self.program, self.buffers, data, batch_size, **counters)
        progress = make_progress(epochs * run.steps_per_epoch, epochs)
        self.run = run
        try:
            train(run, epochs, progress=progress, **loop)
        finally:
            self.epochs, self.updates = self._progress()
            self.run = None
            progress.close()

    def evaluate(self, x, y):
        """Means over the rows of loss and metrics."""
        self._room_for(min(BLOCK, len(x)))
        data = Data(self.dtype, x, y, columns=self._columns())
        return self._once(self.program.evaluation, data, self.program.batch).means(0)

    def predict(self, x, outputs):
        """Writes the outputs for the rows of x."""
        self._room_for(min(BLOCK, len(x)))
        self._once(self.program.prediction, Data(self.dtype, x, outputs=outputs), self.program.batch)

    def gradients(self, x, y):
        """Loss over all rows and the gradients, shaped like the weights."""
        program = lower(self.layers, self.d_in, len(x), self.dtype, **self.aim)
        buffers = self.buffers.with_work(program)  # all rows at once may need much, and only now
        run = self._once(program.gradient, Data(self.dtype, x, y), len(x), program, buffers)
        return run.means(0)[0], [p.view(buffers.grads).copy() for p in program.parameters]

    def _progress(self):
        """Epochs and updates with those of the training under way; an epoch that was begun counts."""
        if self.run is None:
            return self.epochs, self.updates
        return self.epochs + -(-self.run.step // self.run.steps_per_epoch), self.run.t

    def _columns(self):
        return 1 + len(self.aim["metrics"])

    def _room_for(self, batch):
        """Makes sure that the program takes `batch` rows at a time; only the workspace changes."""
        if self.program.batch < batch:
            self.program = lower(self.layers, self.d_in, batch, self.dtype, **self.aim)
            self.buffers = self.buffers.with_work(self.program)

    def _with_current_constants(self, table, *arguments):
        """The executor, for a training table whose last instruction takes the optimizer's constants as they are now."""
        for field, value in self.aim["optimizer"].constants().items():
            table[field][-1] = value
        EXECUTORS[self.executor](table, *arguments)

    def _once(self, table, data, batch_size, program=None, buffers=None):
        program, buffers = program or self.program, buffers or self.buffers
        run = Run(EXECUTORS[self.executor], table, program, buffers, data, batch_size)
        for _ in run.chunks(run.steps_per_epoch):
            pass
        return run
