"""A trained network with what stands before and behind it: from rows as people have them to labels or numbers.

The estimators of `fastml.sklearn` predict by it, and `fastml.load_predictor` makes it from their files, without
scikit-learn.
"""

import numpy as np

from fastml.data.gaps import FLOATS, filled, plain_matrix
from fastml.data.rows import row_values
from fastml.ensemble import Ensemble
from fastml.program.threads import num_threads

BLOCK = 2**22  # numbers of a sparse matrix that are made dense at a time


class TrainedModel:
    """What predicts of a fitted estimator: `predict` for rows, `predict_one` for a single one.

    Attributes
    ----------
    network : Sequential or Ensemble
    encoder_ : TableEncoder or None
        What makes numbers of a table; None where the rows are numbers already.
    feature_names_in_ : array of str or None
        Names of the columns, where those at fit had names.
    n_features_in_ : int
        Their number.
    medians : array (columns,), a function that gives it, or None
        What stands for gaps, where the rows are numbers that had none at fit.
    about_ : dict or None
        What the file tells besides: plain values.
    """

    def __init__(self, network, encoder, names, columns, medians=None, n_threads=None, about=None):
        self.network, self.encoder_, self.feature_names_in_, self.n_features_in_ = network, encoder, names, columns
        self.medians, self.n_threads, self.about_ = medians, n_threads, about
        self._told = set()  # of which columns there was a warning

    def predict(self, X):
        """Labels or numbers for the rows of X: a table, an array, a list of rows or of dicts, or a dict.

        The columns of a table are found by their names.
        """
        return self.decode(self.outputs(self.matrix(X)))

    def predict_one(self, row):
        """The label or number of one row: an array (columns,), a dict by names of columns, or a table of one row."""
        return self.decode(self.output_of(row))[0]

    def matrix(self, X):
        """X as the numbers that the network takes."""
        if self.encoder_ is not None:
            return self.encoder_.transform(X)
        return self.filled(plain_matrix(X, self.feature_names_in_, self.n_features_in_, self._told))

    def filled(self, X):
        """X, a matrix of plain numbers, with medians in place of NaN."""
        return filled(X, self.medians, self.feature_names_in_)

    def outputs(self, X):
        """The network's outputs (rows, units) for a matrix of numbers; a sparse one is made dense in blocks."""
        return self._in_blocks(self.network.predict, X)

    def spread(self, X):
        """The standard deviation of what the networks of an ensemble predict for the rows of X; see `spread_of`."""
        return self.spread_of(self.matrix(X))

    def spread_of(self, X):
        """The same for a matrix of numbers: (rows,) or (rows, outputs), of a classifier (rows, classes)."""
        if not isinstance(self.network, Ensemble):
            raise ValueError("spread needs an ensemble, but there is a single network")
        return self._spread(self._in_blocks(self.network.spread, X))

    def _spread(self, outputs):
        """The standard deviation of what the outputs stand for, of that of the outputs."""
        raise NotImplementedError

    def _in_blocks(self, function, X):
        """What a function gives for the rows of a matrix of numbers; a sparse one is made dense in blocks."""
        parts = [X]
        if hasattr(X, "tocsr"):
            X, height = X.tocsr(), max(1, BLOCK // max(1, X.shape[1]))
            parts = (X[start : start + height].toarray() for start in range(0, X.shape[0], height))
        with num_threads(self.n_threads):
            found = [function(np.ascontiguousarray(part)) for part in parts]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def output_of(self, row):
        """The network's outputs (1, units) for one row, as `predict_one` takes it."""
        x = self.numbers_of(row) if self.encoder_ is None else self.encoder_.transform_one(row)
        network = self.network
        dtype = network._takes
        if x.dtype != dtype:
            with np.errstate(over="ignore"):
                cast = x.astype(dtype)
            x = cast if np.isfinite(cast).all() else x  # of which the network says what is wrong
        return network.predict_one(x)[None]

    def numbers_of(self, row):
        """One row of plain numbers, (columns,) float."""
        if type(row) is not np.ndarray or row.ndim != 1 or row.dtype not in FLOATS:
            names, values = row_values(row)
            return self.matrix([values] if names is None else dict(zip(names, values, strict=True)))[0]
        if len(row) != self.n_features_in_:
            raise ValueError(f"row has {len(row)} values, but the model takes {self.n_features_in_} columns")
        return self.filled(row[None])[0] if np.isnan(row).any() else row

    def decode(self, outputs):
        """Labels or numbers for outputs (rows, units)."""
        raise NotImplementedError


class TrainedClassifier(TrainedModel):
    """What predicts of a classifier. `kind` is "binary", "multiclass" or "multilabel".

    Attribute `classes_` : the labels (classes,); others as `TrainedModel`.
    """

    def __init__(self, classes, kind, *others, **named):
        super().__init__(*others, **named)
        self.classes_, self.kind = classes, kind

    def predict_proba(self, X):
        """Probabilities (rows, classes) for the rows of X, in the order of `classes_`, or of each label."""
        return self.probabilities(self.outputs(self.matrix(X)))

    def predict_proba_one(self, row):
        """Probabilities (classes,) for one row, as `predict_one` takes it."""
        return self.probabilities(self.output_of(row))[0]

    def probabilities(self, outputs):
        """Probabilities (rows, classes) from outputs (rows, units)."""
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        return np.hstack([1 - outputs, outputs]) if self.kind == "binary" else outputs

    def _spread(self, outputs):
        if len(self.classes_) == 1:
            return np.zeros_like(outputs)
        return np.hstack([outputs, outputs]) if self.kind == "binary" else outputs

    def decode(self, outputs):
        """Labels (rows,), or 0 and 1 (rows, labels)."""
        if self.kind == "multilabel":
            return (outputs > 0.5).astype(int)
        if self.kind == "multiclass":
            return self.classes_[outputs.argmax(axis=1)]
        return self.classes_[(outputs[:, 0] > 0.5).astype(int) if len(self.classes_) == 2 else [0] * len(outputs)]


class TrainedRegressor(TrainedModel):
    """What predicts of a regressor. Targets are ``mean + scale · outputs``, or the outputs where these are None."""

    def __init__(self, mean, scale, *others, **named):
        super().__init__(*others, **named)
        self.mean, self.scale = mean, scale

    def decode(self, outputs):
        """Numbers (rows,), or (rows, outputs) where there are several."""
        if self.mean is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                outputs = self.mean + self.scale * outputs.astype(np.float64)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _spread(self, outputs):
        outputs = outputs if self.mean is None else self.scale * outputs.astype(np.float64)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs
