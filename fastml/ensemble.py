"""Several trained models as one: the mean of their outputs, and how far these lie apart."""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastml.data.arrays import as_array, as_row, put
from fastml.data.shared import numbers_of
from fastml.files import saving
from fastml.sequential import Sequential
from fastml.tasks import Results


class Ensemble:
    """Several trained models as one, whose output is the mean of theirs: of probabilities, where they give such.

    They may differ in all but the width of the data and that of the outputs; the dtype of the outputs is the widest of
    theirs. Rows on which they disagree are those that they know little about: see `spread`.

    Parameters
    ----------
    models : list of Sequential, or Results of `fit_many`
        Models with weights. Of Results, those that have finished; if one of them failed, its error is raised.

    Raises TypeError or ValueError for others, and for models that do not fit together.

    Example
    -------
    >>> import numpy as np, fastml
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> def net(seed):
    ...     model = fastml.Sequential([fastml.Dense(8, "tanh"), fastml.Dense(1)], seed=seed)
    ...     model.compile("adam", "mse")
    ...     return model
    >>> ensemble = fastml.Ensemble(fastml.fit_many(map(net, range(5)), x, x[:, 0], epochs=20))
    >>> ensemble
    Ensemble(5 models, 3 features, 1 output)
    >>> ensemble.predict(x).shape, ensemble.spread(x).shape
    ((200, 1), (200, 1))
    """

    def __init__(self, models: Iterable[Sequential] | Results) -> None:
        if isinstance(models, Results):
            models = finished(models)
        if isinstance(models, Sequential) or not hasattr(models, "__iter__"):
            raise TypeError(f"models must be a list of Sequential, got {type(models).__name__}")
        self.models = list(models)
        if not self.models:
            raise ValueError("models is empty: an ensemble needs at least one that is trained")
        widths = set()
        for number, model in enumerate(self.models):
            if not isinstance(model, Sequential):
                raise TypeError(f"model {number} must be a Sequential, got {type(model).__name__}")
            if not model._engine:
                raise ValueError(f"model {number} has no weights yet: fit it, or build it")
            widths.add((model.input_dim, model._engine.program.d_out))
        if len(widths) > 1:
            told = ", ".join(f"{d_in} features and {d_out} outputs" for d_in, d_out in sorted(widths))
            raise ValueError(f"the models do not fit together: there are such with {told}")
        self.input_dim, self.units = widths.pop()

    @property
    def dtype(self) -> str:
        """That of the outputs, "float32" or "float64": the widest of the models'."""
        return np.result_type(*(model.dtype for model in self.models)).name

    def predict(self, x: ArrayLike, batch_size: int | None = None, verbose: int | str = "auto") -> NDArray:
        """The mean of the models' outputs for the rows of x : (rows, features), as an array (rows, units).

        Other arguments as of `Sequential.predict`, which also tells what is raised.
        """
        return self._mean(model.predict(x, batch_size, verbose) for model in self.models)

    def predict_one(self, x: ArrayLike, out: NDArray | None = None) -> NDArray:
        """The mean of the models' outputs for a single row x : (features,), as an array (units,)."""
        as_row(x, "x")
        return put(self._mean(model.predict_one(x) for model in self.models), out, "out")

    def _mean(self, outputs):
        """The mean of arrays, in the order of the models."""
        total = next(outputs).astype(self.dtype)
        for part in outputs:
            total += part
        total /= len(self.models)
        return total

    def spread(self, x: ArrayLike) -> NDArray:
        """The standard deviation of the models' outputs for the rows of x, (rows, units); 0 where all say the same."""
        mean = squares = None  # of those so far: Welford, "Note on a method for calculating corrected sums", 1962
        for count, model in enumerate(self.models, 1):
            outputs = model.predict(x).astype(self.dtype)
            if mean is None:
                mean, squares = outputs, np.zeros_like(outputs)
                continue
            before = outputs - mean
            mean += before / count
            squares += before * (outputs - mean)
        return np.sqrt(squares / len(self.models))

    def out_of_bag(self, x: ArrayLike, rows: Iterable[ArrayLike]) -> NDArray:
        """The mean for each row of x by those models that have not been trained on it, (rows, units).

        An honest score without rows that are kept aside, and with folds as rows the predictions of a cross-validation.
        Rows on which all models were trained have NaN, with a warning.

        rows : for each model, those rows of x that it was trained on, numbers or a mask, as in its `Task`.
        """
        if not hasattr(rows, "__iter__"):
            raise TypeError(f"rows must be a list with the rows of each model, got {type(rows).__name__}")
        rows = list(rows)
        if len(rows) != len(self.models):
            raise ValueError(f"rows must have those of each of the {len(self.models)} models, got {len(rows)}")
        x = as_array(x, "x")
        total, count = np.zeros((len(x), self.units), self.dtype), np.zeros((len(x), 1), int)
        for number, (model, own) in enumerate(zip(self.models, rows, strict=True)):
            out = np.ones(len(x), bool)
            out[numbers_of(own, len(x), f"rows of model {number}")] = False
            if out.any():
                total[out] += model.predict(x[out])
                count[out] += 1
        if not count.all():
            warnings.warn(
                f"{(count == 0).sum()} of {len(x)} rows were trained on by all models: they have NaN. Take more models",
                UserWarning,
                stacklevel=2,
            )
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(self.dtype)

    def save(self, path: str | os.PathLike, include_optimizer: bool = True) -> None:
        """Writes all models to one safetensors file, from which `fastml.load` makes the ensemble again.

        As `Sequential.save`, which tells the rest.
        """
        for model in self.models:
            model._check_built("save")
        saving.save(self, path, include_optimizer)

    @property
    def _takes(self):
        """The dtype in which rows best come."""
        return np.result_type(*(model._takes for model in self.models))

    def __len__(self):
        return len(self.models)

    def __iter__(self):
        return iter(self.models)

    def __getitem__(self, number):
        return self.models[number]

    def __repr__(self):
        told = [(len(self.models), "model"), (self.input_dim, "feature"), (self.units, "output")]
        return f"Ensemble({', '.join(f'{n} {what}' + 's' * (n != 1) for n, what in told)})"

    def _repr_html_(self):
        """What notebooks show: how many models there are, and the first of them."""
        return f"<p>{html.escape(repr(self))}, of which the first:</p>{self.models[0]._repr_html_()}"


def finished(results):
    """The models of Results that have finished; ValueError where there is none, or the error of one that failed."""
    models = [result.model for result in results.check() if result.finished]
    if not models:
        told = results.told() or "there is none"
        raise ValueError(f"no model has finished: {told}; results.models has them as far as they are")
    if None in models:
        raise ValueError("the models of these Results were let go by `then`: have that return them")
    return models
