"""Sequential: the model that users build, train and ask."""

import copy
import os
import secrets
from collections.abc import Iterable
from functools import partial
from threading import get_ident

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastml import saving
from fastml.building import Buildable
from fastml.callbacks import History, call, check_callbacks
from fastml.checkpoints import find
from fastml.compiled import check_dtype
from fastml.data import as_list, as_row, put
from fastml.engine import EXECUTORS
from fastml.layers import Layer, positive_integer
from fastml.losses import Loss, name_of, resolve_loss
from fastml.lowering import check_output
from fastml.metrics import resolve_metric
from fastml.optimizers import Optimizer, resolve_optimizer
from fastml.predictor import Predictor
from fastml.progress import check_verbose, make_progress
from fastml.random import check_seed
from fastml.registry import lookup
from fastml.rest import Rest
from fastml.summary import format_summary, html_summary

TRIES = 100  # to use rows while other threads change what they were checked for


class Sequential(Buildable):
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

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        *,
        input_dim: int | None = None,
        dtype: DTypeLike = "float32",
        seed: int | None = None,
    ) -> None:
        self.dtype = check_dtype(dtype)
        self.seed = secrets.randbits(64) if seed is None else check_seed(seed)
        self.input_dim = None if input_dim is None else positive_integer("input_dim", input_dim)
        self.layers = []
        self.optimizer = self.loss = None
        self.metrics = ()
        self.executor = "compiled"
        self.stop_training = False
        self.history = None
        self._engine = None  # from the moment that the width of the data is known
        self._rest = Rest()
        if isinstance(layers, Layer):
            raise TypeError("layers must be a list of layers, got a single layer")
        for layer in as_list(layers, "layers", "layers"):
            self.add(layer)

    def __repr__(self):
        return f"Sequential([{', '.join(map(repr, self.layers))}], dtype={self.dtype!r})"

    def add(self, layer: Layer) -> None:
        """Appends a layer. Not possible once the model has weights."""
        if not isinstance(layer, Layer) or type(layer).lower is Layer.lower:
            raise TypeError(f"a layer is expected, such as Dense(10); got {type(layer).__name__} {layer!r}")
        if self._engine:
            raise RuntimeError("this model has its weights already: add layers before fit, predict or build")
        if any(layer is other for other in self.layers):
            raise ValueError(f"{layer!r} is in the model already: make a new layer, weights are not shared")
        if layer.first and self.layers:
            raise ValueError(f"{type(layer).__name__} must be the first layer: {layer.first}")
        self.layers.append(layer)

    def build(self, input_dim: int | None = None) -> None:
        """Makes the start values of the weights, for data of this width."""
        if input_dim is not None:
            input_dim = positive_integer("input_dim", input_dim)
            if self.input_dim not in (None, input_dim):
                raise ValueError(f"input_dim is {self.input_dim} already, got {input_dim}")
        elif self.input_dim is None:
            raise ValueError("the width of the data is not known yet: give input_dim, or fit or predict first")
        self._build(input_dim or self.input_dim)

    def compile(
        self,
        optimizer: str | Optimizer = "adam",
        loss: str | Loss = "mean_squared_error",
        metrics: Iterable[str] | None = (),
        *,
        executor: str = "compiled",
    ) -> None:
        """Says how to train.

        Parameters
        ----------
        optimizer : name or Optimizer
            A name of `OPTIMIZERS`, or an instance such as ``Adam(learning_rate=0.01)``. Its state starts anew.
        loss : name or Loss
            A name of `LOSSES`, or an instance such as ``Huber(delta=2.0)``.
        metrics : list of names
            accuracy, binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, mean_squared_error,
            root_mean_squared_error, mean_absolute_error; auc, precision, recall, f1, r2, which `fit` logs for
            validation rows alone, as they are no means over batches (see `fastml.set_metrics`).
        executor : "compiled" or "numpy"
            What runs the model: machine code, or the readable reference.

        Raises ValueError for unknown names and for a loss that does not fit the output layer.
        """
        optimizer, loss = resolve_optimizer(optimizer), copy.copy(resolve_loss(loss))
        check_output(self._built_layers(), loss)
        metrics = as_list(metrics, "metrics", "names")
        for name in metrics:
            resolve_metric(name, name_of(loss), loss, units=1)
        if len(set(metrics)) < len(metrics):
            raise ValueError(f"metrics names one twice: {metrics}")
        lookup(EXECUTORS, executor, "executor")
        with self._rest.turn:
            self._check_idle("compile")
            with self._rest.lock:
                if self._engine:
                    self._aim(self._engine, optimizer, loss, metrics, executor)
                self.optimizer, self.loss, self.metrics, self.executor = optimizer, loss, metrics, executor

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable | None = (),
        validation_split: float = 0.0,
        validation_data: tuple | None = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | str | None = None,
        sample_weight: ArrayLike | None = None,
        resume: bool | str | os.PathLike = False,
    ) -> History:
        """Trains the model; returns its History.

        Parameters
        ----------
        x : array-like (rows, features)
            Finite numbers. Converted to the model's dtype; no copy is made where they have it, but for `Embedding`,
            whose codes nobody may change once they are checked, and for `Normalization` of columns far from 0.
        y : array-like
            Targets: (rows, units) for the losses over numbers and probabilities, (rows,) where units is 1, class
            numbers (rows,) for sparse_categorical_crossentropy.
        batch_size : int
            Rows in a step; the last batch of an epoch may be shorter, or with BatchNormalization one row longer.
        epochs : int
            Times to go through the rows. Later calls continue with weights and optimizer as they are.
        verbose : 0, 1, 2 or "auto"
            Show nothing, a progress bar, a line an epoch; "auto" is a bar on a terminal or in a notebook. Where the
            bar has little room, "loss 0.12/0.34" is the loss of training and validation rows.
        callbacks : list
            Objects with ``on_epoch_end(epoch, logs)``; see `Callback`.
        validation_split : float
            Share of the rows, the last ones, to keep out of the training and evaluate after each epoch.
        validation_data : tuple (x, y) or (x, y, sample_weight)
            Rows to evaluate after each epoch, instead of a split.
        shuffle : bool
            Whether to take the rows in a new order in each epoch.
        class_weight : dict or "balanced"
            Weights of the rows by class, for losses over classes: from class number to weight, or such that all
            classes together weigh the same. Not applied to validation data.
        sample_weight : array-like (rows,)
            Weights of the rows in the loss, from 0 on; only their ratios matter (see `fastml.losses`). Metrics are not
            weighted. Multiplied with those of class_weight.
        resume : path or bool
            The file of a `ModelCheckpoint`, from which the training that it is of goes on, at any step, with the bits
            it would have had; of a folder or a path with names in braces, the newest file that can be read. True is for
            the path of the ModelCheckpoint among the callbacks, and begins the training where there is no file yet. All
            else must be as in the call that was interrupted; what the optimizer's numbers were then, they are again.

        Raises
        ------
        RuntimeError
            Before `compile`.
        TypeError, ValueError
            For data that cannot be used; the message names the argument, what came and what was expected.
        DivergenceError
            Where the loss or a weight becomes NaN or infinite; the model keeps the last finite weights.
        KeyboardInterrupt
            At Ctrl-C, within about 50 ms, or after the compilation if it is the first training on this machine;
            the model keeps the weights of the last complete step.
        """
        self._check_compiled("fit")
        with self._rest.turn:
            self._check_idle("fit")
            batch_size = positive_integer("batch_size", batch_size)
            epochs = positive_integer("epochs", epochs, most=10**8)
            check_verbose(verbose)
            callbacks = check_callbacks(callbacks)
            if not isinstance(shuffle, (bool, np.bool_)):
                raise TypeError(f"shuffle must be True or False, got {shuffle!r}")
            resumed = find(resume, callbacks, Sequential)
            intake = self._intake()
            if resumed:
                intake = intake._replace(d_in=resumed.model.input_dim).of_data(resumed.model._engine)
            split = validation_data, validation_split
            (x, y, weights), validation, found = intake.training(x, y, sample_weight, class_weight, *split)
            intake.check_batches(len(x), batch_size, self.optimizer)
            if resumed:
                resumed.check(self, callbacks, epochs, (x, y, weights), min(batch_size, len(x)), bool(shuffle))
            self._build(x.shape[1])
            self.stop_training = False
            self.history = History()
            if resumed:
                resumed.enter_model(self)
            call(callbacks, "set_model", self)
            show = partial(make_progress, verbose)
            loop = {"name": self._named, "history": self.history, "callbacks": callbacks}
            loop["statistics"] = None if resumed else found
            loop["validate"] = validation and (lambda: self._logs(*validation, intake, prefix="val_"))
            loop["stopped"] = lambda: self.stop_training
            self._engine.fit(x, y, weights, batch_size, epochs, shuffle, show, resumed, **loop)
            return self.history

    def evaluate(
        self, x: ArrayLike, y: ArrayLike, return_dict: bool = False, sample_weight: ArrayLike | None = None
    ) -> float | list[float] | dict[str, float]:
        """Loss and metrics over the rows of x and y, with the weights as they are, without dropout.

        Returns the loss, or a list [loss, metric, …] if there are metrics, or with `return_dict` a dict from name to
        value. Floats. `sample_weight` weighs the loss as in `fit`. Raises as `fit` does.
        """
        self._check_compiled("evaluate")
        logs = self._on_rows("evaluate", lambda to: (*to.weighted(*to.rows(x, y, sample_weight)), to), self._logs)
        if return_dict:
            return logs
        return list(logs.values()) if self.metrics else logs["loss"]

    def predict(self, x: ArrayLike) -> NDArray:
        """Outputs of the model for the rows of x : (rows, features), as an array (rows, units) of the model's dtype."""
        engine = self._engine
        outputs = engine.few(Predictor.predict, x) if engine and type(x) is np.ndarray else None
        if outputs is None:
            outputs = self._on_rows("predict", lambda to: (to.features(x, "x"),), lambda x: self._engine.predict(x))
        return outputs

    def predict_one(self, x: ArrayLike, out: NDArray | None = None) -> NDArray:
        """Output of the model for a single row x : (features,), as an array (units,): `predict` for inner loops.

        Fastest where x is a NumPy array of the model's dtype. `out`, an array (units,) of that dtype, is overwritten
        and returned if given.
        """
        engine = self._engine
        output = engine.few(Predictor.predict_one, x, out) if engine and type(x) is np.ndarray else None
        if output is None:
            output = put(self.predict(as_row(x, "x"))[0], out, "out")
        return output

    def gradients(
        self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, list[NDArray]]:
        """The loss over all rows at once and its gradients: a float and arrays shaped like those of `get_weights`.

        Loss and gradients are those of training: penalties count, dropout layers drop (always the same units), batch
        normalization takes the statistics of these rows. Statistics, which are not trained, have the gradient 0.
        """
        self._check_compiled("gradients")

        def rows(intake):
            found = intake.weighted(*intake.rows(x, y, sample_weight))
            intake.check_batches(len(found[0]), len(found[0]), self.optimizer)
            return *found, intake.loss

        return self._on_rows("gradients", rows, lambda *rows: self._engine.gradients(*rows))

    def get_weights(self) -> list[NDArray]:
        """Copies of the weights, layer by layer: W (d_in, units), b (units,), …; the layers say what they have."""
        self._check_built("get_weights")
        with self._rest.visit():
            return [weights.copy() for weights in self._engine.weights()]

    def set_weights(self, weights: Iterable[ArrayLike]) -> None:
        """Overwrites the weights with arrays in the order and shapes of `get_weights`, all or none."""
        self._check_built("set_weights")
        self._engine.set_weights(as_list(weights, "weights", "arrays"))

    def summary(self) -> None:
        """Prints the layers with their shapes, parameters, memory and FLOP for a row."""
        print(format_summary(self._built_layers(), self.input_dim, self.dtype))

    def _repr_html_(self):
        return html_summary(self._built_layers(), self.input_dim, self.dtype)

    # What follows is the way from the description to a run.

    def _on_rows(self, method, rows, use):
        """What `use` gives for the rows, which the function `rows` takes from an Intake, x first.

        Once more where another thread has meanwhile changed what is subtracted from the data at first, or the loss, for
        which `use` gives None.
        """
        for _ in range(TRIES):
            intake = self._intake()
            found = rows(intake)
            self._build(found[0].shape[1])
            self._check_fitted(method)
            result = use(*found)
            if result is not None and self._engine.shift is intake.shift:
                return result
        raise RuntimeError(f"{method}: the loss of the model is not the one that it was compiled for; call compile")

    def _check_compiled(self, method):
        if self.loss is None:
            raise RuntimeError(f"call compile(optimizer, loss) before {method}")

    def _check_idle(self, method):
        if self._rest.trainer == get_ident():
            raise RuntimeError(f"{method} cannot be called while fit runs, that is, by a callback")


def load(path: str | os.PathLike):
    """The model that `Sequential.save` wrote, or the estimator that its own `save` did.

    Raises `ModelFileError`, a ValueError, where the file is none; ImportError for an estimator without scikit-learn.
    Nothing in a file is executed: it holds numbers, and names of fastml's own classes.
    """
    return saving.load(path, Sequential)
