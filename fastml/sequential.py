"""Sequential: the model that users build, train and ask."""

import secrets
import threading

import numpy as np

from fastml import compiled, reference
from fastml.callbacks import History, call
from fastml.data import as_array, as_features, as_targets, convert
from fastml.layers import Activation, Layer, positive_integer
from fastml.losses import LOSSES
from fastml.metrics import resolve_metric
from fastml.optimizers import resolve_optimizer
from fastml.program import Buffers, lower
from fastml.progress import make_progress
from fastml.registry import lookup
from fastml.summary import format_summary
from fastml.training import Data, Run, train

EXECUTORS = {"compiled": compiled.run, "numpy": reference.run}
BLOCK = 256  # rows at a time, where they do not influence each other


class Sequential:
    """Layers, one after the other.

    Parameters
    ----------
    layers : list of Layer
        From input to output; more can follow by `add`.
    input_dim : int, optional
        Width of the data; otherwise taken from the first data that comes.
    dtype : "float32" or "float64"
        What all arithmetic is done in.
    seed : int, optional
        From 0 to 2**64 - 1. The same seed and data give the same weights, bit for bit, on the same machine. Drawn by
        chance if not given; ``model.seed`` tells it.

    Example
    -------
    >>> import numpy as np, fastml
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> model = fastml.Sequential([fastml.Dense(8, "tanh"), fastml.Dense(1, "sigmoid")], seed=1)
    >>> model.compile(optimizer=fastml.Adam(0.05), loss="binary_crossentropy")
    >>> history = model.fit(x, [0, 1, 1, 0], epochs=300, verbose=0)
    >>> (model.predict(x)[:, 0] > 0.5).tolist()
    [False, True, True, False]
    """

    def __init__(self, layers=None, *, input_dim=None, dtype="float32", seed=None):
        try:
            self.dtype = np.dtype(dtype).name
        except TypeError:
            self.dtype = None
        if self.dtype not in compiled.DTYPES:
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        self.seed = secrets.randbits(64) if seed is None else check_seed(seed)
        self.input_dim = None if input_dim is None else positive_integer("input_dim", input_dim)
        self.layers = []
        self.optimizer = self.loss = None
        self.metrics = ()
        self.executor = "compiled"
        self.stop_training = False
        self.history = None
        self._program = self._buffers = None
        self._epochs = self._updates = 0
        self._lock = threading.RLock()
        if isinstance(layers, Layer):
            raise TypeError("layers must be a list of layers, got a single layer")
        for layer in layers or ():
            self.add(layer)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state):
        self.__dict__.update(state, _lock=threading.RLock())

    def __repr__(self):
        return f"Sequential([{', '.join(map(repr, self.layers))}], dtype={self.dtype!r})"

    def add(self, layer):
        """Appends a layer. Not possible once the model has weights."""
        if not isinstance(layer, Layer):
            raise TypeError(f"a layer is expected, such as Dense(10); got {type(layer).__name__} {layer!r}")
        if self._program:
            raise RuntimeError("this model has its weights already: add layers before fit, predict or build")
        self.layers.append(layer)

    def build(self, input_dim=None):
        """Makes the start values of the weights, for data of this width."""
        if input_dim is not None:
            input_dim = positive_integer("input_dim", input_dim)
            if self.input_dim not in (None, input_dim):
                raise ValueError(f"input_dim is {self.input_dim} already, got {input_dim}")
            self.input_dim = input_dim
        if self.input_dim is None:
            raise ValueError("the width of the data is not known yet: give input_dim, or fit or predict first")
        self._prepare(1)

    def compile(self, optimizer="adam", loss="mean_squared_error", metrics=(), *, executor="compiled"):
        """Says how to train.

        Parameters
        ----------
        optimizer : name or Optimizer
            sgd, adam, or an instance such as ``Adam(learning_rate=0.01)``. Its state starts anew.
        loss : name
            mean_squared_error, binary_crossentropy, categorical_crossentropy or sparse_categorical_crossentropy.
        metrics : list of names
            accuracy, binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, mean_squared_error or
            mean_absolute_error.
        executor : "compiled" or "numpy"
            What runs the model: machine code, or the readable reference.

        Raises ValueError for unknown names and for a loss that does not fit the output layer.
        """
        optimizer = resolve_optimizer(optimizer)
        check_output(self.layers, loss, lookup(LOSSES, loss, "loss"))
        if isinstance(metrics, str):
            raise TypeError(f"metrics must be a list of names, got the name {metrics!r}: write [{metrics!r}]")
        for name in metrics:
            resolve_metric(name, loss, LOSSES[loss], units=1)
        lookup(EXECUTORS, executor, "executor")
        with self._lock:
            self.optimizer, self.loss, self.metrics, self.executor = optimizer, loss, tuple(metrics), executor
            self._updates = 0
            if self._program:
                self._lower(self._program.batch)
                self._buffers = self._buffers.fresh_state(self._program)

    def fit(
        self,
        x,
        y,
        batch_size=32,
        epochs=1,
        verbose="auto",
        callbacks=(),
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
    ):
        """Trains the model; returns its History.

        Parameters
        ----------
        x : array-like (rows, features)
            Finite numbers. Converted to the model's dtype; no copy is made where they have it.
        y : array-like
            Targets: (rows, units) for the losses over numbers and probabilities, (rows,) where units is 1, class
            numbers (rows,) for sparse_categorical_crossentropy.
        batch_size : int
            Rows in a step; the last batch of an epoch may be shorter.
        epochs : int
            Times to go through the rows. Later calls continue with weights and optimizer as they are.
        verbose : 0, 1, 2 or "auto"
            Show nothing, a progress bar, a line an epoch; "auto" is a bar on a terminal or in a notebook.
        callbacks : list
            Objects with ``on_epoch_end(epoch, logs)``; see `Callback`.
        validation_split : float
            Share of the rows, the last ones, to keep out of the training and evaluate after each epoch.
        validation_data : tuple (x, y)
            Rows to evaluate after each epoch, instead of a split.
        shuffle : bool
            Whether to take the rows in a new order in each epoch.

        Raises
        ------
        RuntimeError
            Before `compile`.
        TypeError, ValueError
            For data that cannot be used; the message names the argument, what came and what was expected.
        DivergenceError
            Where the loss becomes NaN or infinite; the model keeps the last finite weights.
        KeyboardInterrupt
            At Ctrl-C, within about 50 ms; the model keeps the weights of the last complete step.
        """
        self._check_compiled("fit")
        with self._lock:
            batch_size = positive_integer("batch_size", batch_size)
            epochs = positive_integer("epochs", epochs)
            x, y = self._data(x, y)
            validation = self._validation_data(validation_data)
            if validation_split:
                if validation:
                    raise ValueError("give validation_data or validation_split, not both")
                x, y, validation = split(x, y, validation_split)
            if hasattr(callbacks, "on_epoch_end"):
                raise TypeError("callbacks must be a list of callbacks, got a single one")
            callbacks = list(callbacks or ())
            self.stop_training = False
            self.history = History()
            call(callbacks, "set_model", self)

            self._prepare(min(batch_size, len(x)))
            program, names = self._program, self._names()
            data = Data(self.dtype, len(x), x, y, shuffle=shuffle, epochs=epochs, columns=len(names))
            counters = {"seed": self.seed, "epoch": self._epochs, "t": self._updates}
            execute = self._refreshing(program.training)
            run = Run(execute, program.training, program, self._buffers, data, batch_size, **counters)
            validate = validation and (lambda: self._evaluate(*validation, prefix="val_"))
            progress = make_progress(verbose, epochs * run.steps_per_epoch, epochs)
            try:
                train(run, epochs, names, progress, self.history, callbacks, validate, lambda: self.stop_training)
            finally:
                progress.close()
                self._updates = run.t
                self._epochs += -(-run.step // run.steps_per_epoch)
            return self.history

    def evaluate(self, x, y, return_dict=False):
        """Loss and metrics over the rows of x and y, with the weights as they are.

        Returns the loss, or a list [loss, metric, …] if there are metrics, or with `return_dict` a dict from name to
        value. Floats. Raises as `fit` does.
        """
        self._check_compiled("evaluate")
        with self._lock:
            x, y = self._data(x, y)
            logs = self._evaluate(x, y)
        if return_dict:
            return logs
        return list(logs.values()) if self.metrics else logs["loss"]

    def predict(self, x):
        """Outputs of the model for the rows of x : (rows, features), as an array (rows, units) of the model's dtype."""
        with self._lock:
            self._check_layers()
            x = as_features(x, "x", self.dtype, self.input_dim)
            self.input_dim = x.shape[1]
            self._prepare(min(BLOCK, len(x)))
            outputs = np.empty((len(x), self._program.d_out), self.dtype)
            data = Data(self.dtype, len(x), x, outputs=outputs)
            self._run_once(self._program.prediction, data, self._program.batch)
        return outputs

    def gradients(self, x, y):
        """The loss over all rows at once and its gradients: a float and arrays shaped like those of `get_weights`."""
        self._check_compiled("gradients")
        with self._lock:
            x, y = self._data(x, y)
            self._prepare(len(x))
            run = self._run_once(self._program.gradient, Data(self.dtype, len(x), x, y), len(x))
            return run.means(0)[0], [p.view(self._buffers.grads).copy() for p in self._program.parameters]

    def get_weights(self):
        """Copies of the weights, layer by layer: W (d_in, units), b (units,), …"""
        with self._lock:
            self._check_built("get_weights")
            return [p.view(self._buffers.params).copy() for p in self._program.parameters]

    def set_weights(self, weights):
        """Overwrites the weights with arrays in the order and shapes of `get_weights`, all or none."""
        with self._lock:
            self._check_built("set_weights")
            parameters = self._program.parameters
            if len(weights) != len(parameters):
                raise ValueError(f"weights must be {len(parameters)} arrays, got {len(weights)}")
            arrays = [as_array(w, f"weights[{k}]") for k, w in enumerate(weights)]
            for k, (array, parameter) in enumerate(zip(arrays, parameters, strict=True)):
                if array.shape != parameter.shape:
                    raise ValueError(f"weights[{k}] has shape {array.shape}, but the model has {parameter.shape}")
            arrays = [convert(a, f"weights[{k}]", self.dtype) for k, a in enumerate(arrays)]
            for array, parameter in zip(arrays, parameters, strict=True):
                parameter.view(self._buffers.params)[...] = array

    def summary(self):
        """Prints the layers, their shapes and numbers of parameters."""
        print(format_summary(self))

    # What follows is the way from the description to a run.

    def _check_compiled(self, method):
        if self.loss is None:
            raise RuntimeError(f"call compile(optimizer, loss) before {method}")

    def _check_built(self, method):
        if not self._program and self.input_dim is None:
            raise RuntimeError(f"{method} needs weights: give input_dim, or call build(input_dim) or fit first")
        self._prepare(1)

    def _data(self, x, y, x_name="x", y_name="y"):
        """x and y, checked and converted; the width of x becomes the model's."""
        self._check_layers()
        x = as_features(x, x_name, self.dtype, self.input_dim)
        units = self._units(x.shape[1])
        loss = LOSSES[self.loss]
        check_output(self.layers, self.loss, loss, units)
        y = as_targets(y, y_name, self.dtype, self.loss, loss.targets, units, len(x))
        self.input_dim = x.shape[1]
        return x, y

    def _validation_data(self, validation_data):
        if validation_data is None:
            return None
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
            raise ValueError("validation_data must be a tuple (x, y)")
        return self._data(*validation_data, "validation_data x", "validation_data y")

    def _units(self, d_in):
        """Width of the output for inputs of width d_in."""
        for layer in self.layers:
            d_in = layer.units_out(d_in)
        return d_in

    def _check_layers(self):
        if not self.layers:
            raise ValueError("the model has no layers: add one, such as Dense(10)")

    def _prepare(self, batch):
        """Makes sure that there is a program, and that it takes `batch` rows at a time."""
        self._check_layers()
        if self._program is None or self._program.batch < batch:
            self._lower(batch)

    def _lower(self, batch):
        arguments = {}
        if self.loss:
            loss = LOSSES[self.loss]
            units = self._units(self.input_dim)
            metrics = [resolve_metric(name, self.loss, loss, units) for name in self.metrics]
            arguments = {"loss": loss, "metrics": metrics, "optimizer": self.optimizer}
        self._program = lower(self.layers, self.input_dim, batch, self.dtype, **arguments)
        new = self._buffers is None
        self._buffers = Buffers.for_program(self._program, self.dtype, self._buffers)
        if new:
            self._program.initialize(self._buffers, self.seed)

    def _refreshing(self, table):
        """The executor, told before each chunk what the optimizer's hyper-parameters are now."""
        execute = EXECUTORS[self.executor]

        def refreshed(*arguments):
            for field, value in self.optimizer.constants().items():
                table[field][-1] = value
            execute(*arguments)

        return refreshed

    def _run_once(self, table, data, batch_size):
        run = Run(EXECUTORS[self.executor], table, self._program, self._buffers, data, batch_size)
        for _ in run.chunks(run.steps_per_epoch):
            pass
        return run

    def _evaluate(self, x, y, prefix=""):
        """A dict from the names of loss and metrics, with a prefix, to their means over the rows."""
        self._prepare(min(BLOCK, len(x)))
        data = Data(self.dtype, len(x), x, y, columns=len(self._names()))
        means = self._run_once(self._program.evaluation, data, self._program.batch).means(0)
        return {prefix + name: value for name, value in zip(self._names(), means, strict=True)}

    def _names(self):
        return ["loss", *self.metrics]


def check_seed(seed):
    """The seed as an int of 64 bits; TypeError or ValueError otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer, got {type(seed).__name__}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be from 0 to 2**64 - 1, got {seed}")
    return int(seed)


def check_output(layers, name, loss, units=None):
    """ValueError unless the last layer gives what the loss takes; `units` is the number of outputs, where known."""
    last = layers[-1].expand()[-1] if layers else None
    activation = last.activation if isinstance(last, Activation) else "linear"
    if layers and loss.link != "linear" and activation not in (loss.link, "linear"):
        raise ValueError(
            f"{name} takes logits: the last layer's activation must be '{loss.link}', which is fused with the loss, or "
            f"'linear', not '{activation}'"
        )
    if units == 1 and loss.link == "softmax":
        raise ValueError(f"{name} needs an output for each class, at least 2; for one output use binary_crossentropy")


def split(x, y, share):
    """(x, y) without the last rows, and these as a pair."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise ValueError(f"validation_split must be a share of the rows, from 0 to below 1, got {share!r}")
    kept = int(len(x) * (1 - share))
    if not 0 < kept < len(x):
        raise ValueError(f"validation_split {share} of {len(x)} rows leaves nothing to train on or to validate with")
    return x[:kept], y[:kept], (x[kept:], y[kept:])
