"""DataAdapter: rows as a user gives them become the arrays that a model's program takes."""

import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fastml.data.arrays import as_features, as_matrix, as_targets, split
from fastml.data.row_weights import as_row_weights, class_weights, with_mean_one
from fastml.data.statistics import renewed, shift_of
from fastml.layers import codes_of, method_of
from fastml.losses import Loss, name_of
from fastml.program.lowering import check_output
from fastml.set_metrics import check_classes


class DataAdapter(NamedTuple):
    """What a compiled model expects of its data."""

    layers: list
    loss: Loss
    dtype: str
    d_in: int | None  # width of the data, where the model knows it
    metrics: Iterable[str] = ()
    known: dict | None = None  # the statistics of Normalization, where the model has them
    shift: np.ndarray | None = None  # what is subtracted from the columns of x before the cast, where something is
    d_out: int | None = None  # width of the output, where that has been checked

    def units(self, d_in):
        """Width of the output for inputs of width d_in."""
        for layer in self.layers:
            d_in = layer.units_out(d_in)
        return d_in

    def checked(self, d_in):
        """The same with the width of the output for inputs of width d_in, which has to be one that the loss takes."""
        if self.d_out is not None:
            return self
        units = self.units(d_in)
        check_output(self.layers, self.loss, units)
        return self._replace(d_out=units)

    def features(self, x, name):
        """x, checked and converted."""
        return as_features(x, name, self.dtype, self.d_in, codes_of(self.layers), self.shift)

    def of_data(self, engine):
        """The DataAdapter that takes data as this engine does."""
        return self._replace(known=engine.statistics(), shift=engine.shift)

    def adapted(self, x, weights=None):
        """The DataAdapter of a model that has taken statistics from rows x, and these, or None if they stay."""
        method = method_of(self.layers)
        found = method and renewed(method, self.known, x, self.dtype, weights)
        return (self._replace(shift=shift_of(**found, dtype=self.dtype)), found) if found else (self, None)

    def rows(self, x, y, weights=None, name=""):
        """x, y and weights of the rows, checked and converted; errors name them with `name` in front."""
        x = self.features(x, name + "x")
        units = self.checked(x.shape[1]).d_out
        y = as_targets(y, name + "y", self.dtype, name_of(self.loss), self.loss.targets, units, len(x))
        check_classes(y, name + "y", self.loss.targets, self.metrics)
        return x, y, as_row_weights(weights, name + "sample_weight", len(x))

    def validation(self, validation_data, width):
        """The rows to validate with, which have the width of those to train on, or None."""
        if validation_data is None:
            return None
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            raise ValueError("validation_data must be a tuple (x, y) or (x, y, sample_weight)")
        return self._replace(d_in=width).rows(*validation_data, name="validation_data ")

    def weighted(self, x, y, weights, class_weight=None, name=""):
        """x, y and the weights as a program takes them, with mean 1, or None where all rows count the same."""
        name += "sample_weight"
        if class_weight is not None:
            by_class = class_weights(class_weight, y, self.loss, name_of(self.loss), self.units(x.shape[1]))
            name = "class_weight" if weights is None else "class_weight with sample_weight"
            weights = by_class if weights is None else weights * by_class
        return x, y, None if weights is None else with_mean_one(weights, name, self.dtype)

    def training(self, x, y, sample_weight, class_weight, validation_data, validation_split):
        """The rows to train on, and those to validate with or None, each as x, y and weights.

        And the statistics that Normalization is to take from the former, or None where those it has stay.
        """
        x = as_matrix(x, "x", self.d_in)
        self, statistics = self._of_training_rows(x, sample_weight, validation_split)
        x, y, weights = self.rows(x, y, sample_weight)
        validation = self.validation(validation_data, x.shape[1])
        (x, y, weights), rest = split((x, y, weights), validation_split)
        if rest and validation:
            raise ValueError("give validation_data or validation_split, not both")
        if validation or rest:
            name = "validation_data " if validation else "validation_split's "
            validation = self.weighted(*(validation or rest), name=name)
        return self.weighted(x, y, weights, class_weight), validation, statistics

    def chosen(self, x, y, weights, rows, some):
        """x, y, weights and numbers of the rows to train on, and the same of those to validate with, or None.

        rows, some : their numbers, (rows,) int64. x and y are all rows, which many models may share; what is not chosen
        weighs nothing.
        """
        x, y, weights = self.rows(x, y, weights)

        def of(numbers, name):
            if weights is None:
                return x, y, None, numbers
            kept, spread = slice(None) if numbers is None else numbers, np.zeros((len(x), 1), self.dtype)
            spread[kept] = with_mean_one(weights[kept], name, self.dtype)
            return x, y, spread, numbers

        return of(rows, "sample_weight"), None if some is None else of(some, "validation_rows sample_weight")

    def _of_training_rows(self, x, sample_weight, validation_split):
        """`adapted` to those of the rows that are not split off."""
        if not method_of(self.layers):
            return self, None
        weights = as_row_weights(sample_weight, "sample_weight", len(x))
        (x, weights), _ = split((x, weights), validation_split)
        return self.adapted(x, weights)

    def check_batches(self, rows, batch_size, optimizer):
        """ValueError where a step has too few rows for the layers; a warning where the optimizer wants all of them."""
        if optimizer.full_batch and batch_size < rows:
            name = type(optimizer).__name__
            warnings.warn(
                f"{name} goes by the signs of the gradient over all rows: on a batch of some of them they are mostly "
                f"noise, which does not average out. Pass batch_size={rows}",
                UserWarning,
                stacklevel=7,  # where fit is called
            )
        if min(rows, batch_size) == 1 and not all(layer.alone for layer in self.layers):
            raise ValueError(
                "BatchNormalization needs batches of at least 2 rows: the variance of a single row is 0, so that all "
                f"inputs would become 0; got {rows} rows in batches of {min(rows, batch_size)}"
            )
