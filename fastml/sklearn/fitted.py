"""What the estimators know once they are fitted: outputs of the network, and what they stand for."""

import math
from functools import partial

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastml.sklearn.inputs import checked_numbers
from fastml.sklearn.medians import known_medians
from fastml.sklearn.wide import dense


class Fitted:
    """The part of an estimator that predicts. A subclass says what a TrainedModel of it is."""

    def _finite(self, outputs):
        """Whether the network's outputs and what they stand for are finite."""
        return bool(np.isfinite(outputs).all())

    def _score(self, X, y, weights):
        outputs = self._outputs(X)
        if not self._finite(outputs):
            return math.nan
        with np.errstate(over="ignore", invalid="ignore"):
            return float(self._score_of(self._decode(outputs), y, weights))

    def _dense(self, X):
        """X as an array, of its own dtype, as the network casts it once it is normalized; a sparse one of its dtype."""
        return dense(X, self.model_.dtype if self.model_._engine.shift is None else None)

    def _dtype(self, X):
        if self.dtype != "auto":
            return self.dtype
        return "float32" if X.dtype == np.float32 else "float64"

    def _outputs(self, X):
        """The network's outputs (rows, units) for checked X."""
        return self._trained().outputs(X)

    def _parts(self):
        """What a TrainedModel is made of, behind what a kind of it has of its own."""
        names, medians = vars(self).get("feature_names_in_"), partial(known_medians, self)
        return self.model_, self.encoder_, names, self.n_features_in_, medians, self.n_threads, self.about_

    def _decode(self, outputs):
        """Labels or numbers for the network's outputs."""
        return self._trained().decode(outputs)

    def predict_one(self, row):
        """The label or number of one row: an array (columns,), a dict by names of columns, or a table of one row.

        `predict` for inner loops and services: it takes microseconds, where `predict` takes as many milliseconds.
        """
        check_is_fitted(self)
        return self._trained().predict_one(row)

    def _checked_outputs(self, X):
        check_is_fitted(self)
        if self._known_outputs is not None and self._known_outputs[0] is X:
            return self._known_outputs[1]
        return self._outputs(checked_numbers(self, X))

    def _check_solver(self):
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit needs a solver that goes in steps; lbfgs takes all rows at once")
        if self._count > 1 or "estimators_" in vars(self):
            raise AttributeError("partial_fit is for a single network: n_ensemble=1")
        return True

    def _check_several(self):
        if "estimators_" not in vars(self) and (self._count == 1 or "model_" in vars(self)):
            raise AttributeError("spread needs an ensemble, n_ensemble of 2 or more")
        return True

    @available_if(lambda self: self._check_several())
    def spread(self, X):
        """How far the networks of an ensemble are apart: the standard deviation of what they predict for rows of X.

        An array (rows,) or (rows, outputs) in the units of y, or (rows, classes) of probabilities. It is 0 where all
        say the same; it grows where rows are unlike those of `fit`.
        """
        check_is_fitted(self)
        return self._trained().spread_of(checked_numbers(self, X))

    def _html_repr(self):
        """What notebooks show: scikit-learn's box of parameters, and once there is one, the network below it."""
        shown = super()._html_repr()
        return shown + self.model_._repr_html_() if "model_" in vars(self) else shown

    def __sklearn_is_fitted__(self):
        return "model_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = True
        return tags
