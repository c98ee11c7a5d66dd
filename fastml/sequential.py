"""Sequential: the model that users build, train and ask."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastml.attributes import check_batch_size, positive_integer
from fastml.callbacks import History
from fastml.contents import Contents
from fastml.data.arrays import as_list, as_row, put
from fastml.layer import Layer, check_name
from fastml.loss import unchanging
from fastml.losses import Loss, name_of, resolve_loss
from fastml.metrics import named_metric, resolve_metric
from fastml.model import BaseModel
from fastml.optimizers import Optimizer, resolve_optimizer
from fastml.program.compiled import check_dtype
from fastml.program.executors import EXECUTORS
from fastml.program.lowering import check_output
from fastml.program.random import check_seed, draw_seed
from fastml.registry import lookup
from fastml.telling import told
from fastml.training.feeding import collected, holds_batches
from fastml.training.fitting import training
from fastml.training.predictor import Predictor
from fastml.training.progress import check_verbose
from fastml.training.rest import Rest
from fastml.training.run import completed
from fastml.training.stepwise import Stepwise


class Sequential(Contents, Stepwise, BaseModel):
    """Layers, one after the other.

    Parameters
    ----------
    layers : list of Layer
        From input to output; more can follow by `add`. The first may be an `Input`.
    input_dim : int, optional
        Width of the data; otherwise taken from the first data that comes.
    dtype : "float32" or "float64"
        What all arithmetic is done in.
    seed : int, optional
        From 0 to 2**64 - 1. The same seed and data give the same weights, bit for bit, on the same machine. Drawn by
        chance if not given; ``model.seed`` tells it.
    name : str, optional
        What the model is called, "sequential" if not given.

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

    @told
    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        *,
        input_dim: int | None = None,
        dtype: DTypeLike = "float32",
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        self._name = check_name(name)
        self.dtype = check_dtype(dtype)
        self.seed = draw_seed() if seed is None else check_seed(seed)
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
        name = f", name={self._name!r}" if self._name else ""
        return f"Sequential([{', '.join(map(repr, self.layers))}], dtype={self.dtype!r}{name})"

    @told
    def compile(
        self,
        optimizer: str | Optimizer = "adam",
        loss: str | Loss | Callable = "mean_squared_error",
        metrics: Iterable[str | Callable] | None = (),
        *,
        executor: str = "compiled",
    ) -> None:
        """Says how to train.

        Parameters
        ----------
        optimizer : name or Optimizer
            A name of `OPTIMIZERS`, or an instance such as ``Adam(learning_rate=0.01)``. Its state starts anew.
        loss : name, Loss or function
            A name of `LOSSES`, such as "mse" for short, an instance such as ``Huber(delta=2.0)``, or a function of your
            own of y_true and y_pred, see docs/custom.
        metrics : list of names and functions
            accuracy, binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, mean_squared_error,
            root_mean_squared_error, mean_absolute_error; auc, precision, recall, f1, r2, which `fit` logs for
            validation rows alone, as they are no means over batches (see `fastml.set_metrics`). So are functions of
            your own of y_true and y_pred, both (rows, units), or (rows,) for class numbers, that give a number.
        executor : "compiled" or "numpy"
            What runs the model: machine code, or the readable reference.

        Raises ValueError for unknown names and for a loss that does not fit the output layer.
        """
        optimizer, loss = resolve_optimizer(optimizer), unchanging(resolve_loss(loss))
        check_output(self._built_layers(), loss)
        metrics = [named_metric(metric) for metric in as_list(metrics, "metrics", "names or functions")]
        for name in metrics:
            resolve_metric(name, name_of(loss), loss, units=1)
        if len(set(metrics)) < len(metrics):
            raise ValueError(f"metrics names one twice: {metrics}")
        lookup(EXECUTORS, executor, "executor")
        with self._rest.turn:
            self._check_idle("compile")
            with self._rest.lock:
                if self._engine:
                    self._engine.compile(**self._aim(self.input_dim, optimizer, loss, metrics, executor))
                self.optimizer, self.loss, self.metrics, self.executor = optimizer, loss, metrics, executor

    @told
    def fit(
        self,
        x: ArrayLike | Iterable,
        y: ArrayLike | None = None,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable | None = (),
        validation_split: float = 0.0,
        validation_data: tuple | None = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | str | None = None,
        sample_weight: ArrayLike | None = None,
        resume: bool | str | os.PathLike = False,
        *,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_freq: int | Iterable[int] = 1,
        validation_batch_size: int | None = None,
        time_limit: float | None = None,
    ) -> History:
        """Trains the model; returns its History.

        Parameters
        ----------
        x : array-like (rows, features)
            Finite numbers. Converted to the model's dtype; no copy is made where they have it, but for `Embedding`,
            whose codes nobody may change once they are checked, and for `Normalization` of columns far from 0. Or,
            without y, batches (x, y) or (x, y, sample_weight) in their order: a list, which is one epoch, or an
            iterator, of which each epoch takes `steps_per_epoch`.
        y : array-like
            Targets: (rows, units) for the losses over numbers and probabilities, (rows,) where units is 1, class
            numbers (rows,) for sparse_categorical_crossentropy. The two cross-entropies of classes take one-hot rows
            and class numbers for each other.
        batch_size : int
            Rows in a step, 32 for None; the last batch of an epoch may be shorter, or with BatchNormalization one row
            longer.
        epochs : int
            Times to go through the rows; with `initial_epoch`, the number of the last epoch. Later calls continue with
            weights and optimizer as they are.
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
            Not with `steps_per_epoch` or an iterator.
        initial_epoch : int
            Number of the first epoch, from 0, where an earlier fit made those before.
        steps_per_epoch : int
            Steps that make an epoch; of arrays, the next epoch goes on with the rows that follow.
        validation_freq : int or list of int
            Validate after each so many epochs, or after these, counted from 1.
        validation_batch_size : int
            Taken as Keras takes it, and without effect: all validation rows are evaluated at once.
        time_limit : float
            Seconds after which the training ends, within about 50 ms, also within an epoch, which the History then
            lacks; the rest is as at the end of all epochs: `EarlyStopping` gives back the weights of its best epoch.

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
        given = {name: value for name, value in locals().items() if name != "self"}
        return completed(training(self, Sequential, **given))

    def _fitting(self, x, y, **options):
        """`fit` with these of its arguments, a generator of pairs (run, stop): see `fastml.training.run.completed`."""
        return training(self, Sequential, **{**FIT_DEFAULTS, "x": x, "y": y, **options})

    @told
    def evaluate(
        self,
        x: ArrayLike | Iterable,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        """Loss and metrics over the rows of x and y, with the weights as they are, without dropout.

        Returns the loss, or a list [loss, metric, …] if there are metrics, or with `return_dict` a dict from name to
        value. Floats. `sample_weight` weighs the loss as in `fit`, and x may be batches as there. `batch_size` and
        `verbose` are taken as Keras takes them, and change nothing. Raises as `fit` does.
        """
        self._check_compiled("evaluate")
        check_batch_size(batch_size)
        check_verbose(verbose)
        if y is None:
            if not holds_batches(x):
                raise TypeError("y is None: pass numbers, evaluate(x, y), or x as batches (x, y)")
            (x, y, sample_weight), _ = collected(x)
        logs = self._logs_soon(x, y) if sample_weight is None else None
        logs = logs or self._on_rows(
            "evaluate", lambda to: (*to.weighted(*to.rows(x, y, sample_weight)), to), self._logs
        )
        if return_dict:
            return logs
        return list(logs.values()) if self.metrics else logs["loss"]

    def predict(self, x: ArrayLike, batch_size: int | None = None, verbose: int | str = "auto") -> NDArray:
        """Outputs of the model for the rows of x : (rows, features), as an array (rows, units) of the model's dtype.

        `batch_size` and `verbose` are taken as Keras takes them, and change nothing.
        """
        engine = self._engine
        if batch_size is not None or verbose != "auto":
            check_batch_size(batch_size)
            check_verbose(verbose)
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


FIT_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(Sequential.fit).parameters.items()
    if parameter.default is not parameter.empty
}
