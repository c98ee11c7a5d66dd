"""The engine of a model: its weights in flat buffers, the programs over them, and how far training has come."""

from fastml import compiled, reference
from fastml.program import Buffers, aligned, lower
from fastml.training import Data, Run, train

EXECUTORS = {"compiled": compiled.run, "numpy": reference.run}
BLOCK = 256  # rows at a time, where they do not influence each other


class Engine:
    """Runs a model of layers over data of width d_in. What comes in has been checked and converted."""

    def __init__(self, layers, d_in, dtype, seed):
        self.layers, self.d_in, self.dtype, self.seed = layers, d_in, dtype, seed
        self.aim = {}  # loss, metrics and optimizer, as `lower` takes them
        self.executor = "compiled"
        self.epochs = 0  # that the model has trained; they count for the random numbers
        self.updates = 0  # that the optimizer has made
        self.program = lower(layers, d_in, 1, dtype)
        self.buffers = Buffers.for_program(self.program, dtype)
        self.program.initialize(self.buffers, seed)

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.buffers = Buffers(*map(aligned, self.buffers))  # pickle and copy put arrays anywhere

    def compile(self, loss, metrics, optimizer, executor):
        """Sets the aim of training, with a new state of the optimizer: a Loss, Metrics, an Optimizer, a name."""
        aim = {"loss": loss, "metrics": metrics, "optimizer": optimizer}
        self.program = lower(self.layers, self.d_in, self.program.batch, self.dtype, **aim)
        self.aim, self.executor, self.updates = aim, executor, 0
        self.buffers = self.buffers.for_training(self.program)

    def weights(self):
        """Views of the weights, in the order of the layers."""
        return [parameter.view(self.buffers.params) for parameter in self.program.parameters]

    def fit(self, x, y, batch_size, epochs, shuffle, make_progress, **loop):
        """Trains; see `fastml.training.train` for the rest of the arguments."""
        self._room_for(min(batch_size, len(x)))
        data = Data(self.dtype, len(x), x, y, shuffle=shuffle, epochs=epochs, columns=self._columns())
        table, counters = self.program.training, {"seed": self.seed, "epoch": self.epochs, "t": self.updates}
        run = Run(self._with_current_constants, table, self.program, self.buffers, data, batch_size, **counters)
        progress = make_progress(epochs * run.steps_per_epoch, epochs)
        try:
            train(run, epochs, progress=progress, **loop)
        finally:
            progress.close()
            self.updates = run.t
            self.epochs += -(-run.step // run.steps_per_epoch)

    def evaluate(self, x, y):
        """Means over the rows of loss and metrics."""
        self._room_for(min(BLOCK, len(x)))
        data = Data(self.dtype, len(x), x, y, columns=self._columns())
        return self._once(self.program.evaluation, data, self.program.batch).means(0)

    def predict(self, x, outputs):
        """Writes the outputs for the rows of x."""
        self._room_for(min(BLOCK, len(x)))
        self._once(self.program.prediction, Data(self.dtype, len(x), x, outputs=outputs), self.program.batch)

    def gradients(self, x, y):
        """Loss over all rows and the gradients, shaped like the weights."""
        self._room_for(len(x))
        run = self._once(self.program.gradient, Data(self.dtype, len(x), x, y), len(x))
        return run.means(0)[0], [p.view(self.buffers.grads).copy() for p in self.program.parameters]

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

    def _once(self, table, data, batch_size):
        run = Run(EXECUTORS[self.executor], table, self.program, self.buffers, data, batch_size)
        for _ in run.chunks(run.steps_per_epoch):
            pass
        return run
