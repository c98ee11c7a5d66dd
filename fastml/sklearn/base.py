"""What the estimators share: checks, the network, the epochs, and what is known after them."""

import warnings
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from fastml.data.arrays import check_unmasked
from fastml.data.gaps import filled
from fastml.data.row_weights import as_row_weights
from fastml.files import saving
from fastml.program.threads import num_threads
from fastml.sklearn.chunks import Step, assumed_of, begin
from fastml.sklearn.constraints import CONSTRAINTS
from fastml.sklearn.epochs import Epochs
from fastml.sklearn.files import describe_estimator
from fastml.sklearn.fitted import Fitted
from fastml.sklearn.folds import Folds, epochs_by_folds
from fastml.sklearn.growth import begin_table
from fastml.sklearn.inputs import checked_rows
from fastml.sklearn.labels import check_present
from fastml.sklearn.lbfgs import minimize_loss
from fastml.sklearn.medians import begin_medians, known_medians, learn_medians
from fastml.sklearn.network import activation_of, make_model, make_optimizer, plain_weights
from fastml.sklearn.stopping import Patience
from fastml.sklearn.validation import Score, split_off
from fastml.sklearn.wide import dense
from fastml.training.run import completed

BATCH = 200  # rows of a batch, at most, where batch_size is "auto"
STATISTICS = (  # which go with the network
    "_inputs", "_targets", "_target_mean", "_target_spread", "encoder_", "_medians", "_middle",
)  # fmt: skip


class BaseMLP(Fitted, BaseEstimator):
    """The parameters and the training of both estimators. A subclass says what targets become, and outputs."""

    _parameter_constraints = CONSTRAINTS
    _known_outputs = None  # rows and outputs for them, of a copy that a scorer gets
    _encodes = False  # whether to encode tables of numbers without gaps, too
    about_ = None  # a dict of plain values that `save` writes with the estimator; see its docstring

    def _set(self, parameters):
        """Keeps the arguments of the constructor, untouched, as scikit-learn wants it."""
        for name, value in parameters.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def save(self, path, include_optimizer=True):
        """Writes the fitted estimator to a safetensors file, from which `fastml.load` makes it again.

        Preprocessing, class labels and the network are in it; with `include_optimizer`, `partial_fit` goes on with the
        same bits. Callbacks, functions for scoring and random generators are not. Otherwise as `Sequential.save`.

        The attribute `about_` may be set to a dict of what a reader of the file is to know, such as the task, metrics
        or versions: text, numbers, bools, None, and lists and dicts of such. A new `fit` forgets it.
        """
        check_is_fitted(self)
        saving.save(self.model_, path, include_optimizer, describe_estimator(self))

    @property
    def coefs_(self):
        """Weights of each layer, from inputs as they come to outputs as they leave: normalizations are folded in."""
        return self._plain()[0]

    @property
    def intercepts_(self):
        """Biases of each layer, beside `coefs_`."""
        return self._plain()[1]

    def _plain(self):
        if "model_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has no weights before fit")
        if self.encoder_ and self.encoder_.embeddings:
            raise AttributeError("a network with embeddings is not one of plain layers: see model_.get_weights()")
        return plain_weights(self.model_, *self._target_scale())

    def _target_scale(self):
        """Scale and shift from the network's outputs to targets, or nothing."""
        return ()

    def _fit(self, *rows, **options):
        self._validate_params()
        with num_threads(self.n_threads):
            return completed(self._fitting(*rows, **options))

    def _fitting(self, X, y, sample_weight=None, validation=(None, None, None), incremental=False):
        """The training by parameters that are valid, a generator as `fastml.training.run.completed` runs it."""
        before, ready, step = dict(vars(self)), None, None
        try:
            *ready, step = self._prepare(X, y, sample_weight, validation, incremental, before)
            if step:
                step.take()
            if self.solver == "lbfgs":
                self._minimize(*ready[:3])
            else:
                yield from self._train(*ready, incremental)
        except BaseException:
            if ready is None or self.n_iter_ == 0:  # it was refused, or no epoch was complete: no trace is left
                kept = {} if step is None or step.undo() else {k: vars(self)[k] for k in STATISTICS if k in vars(self)}
                vars(self).clear()
                vars(self).update(before | kept)
            raise
        return self

    def _prepare(self, X, y, sample_weight, validation, incremental, before):
        """Checks all there is, and makes what the training needs: rows, targets, their weights, batch, validation.

        And, where it goes on by `partial_fit`, the Step from the statistics `before`, the attributes, to those after.
        """
        if "model_" in vars(self) and "_inputs" not in vars(self):  # of an older version
            vars(self).update(assumed_of(self))
            before.update(vars(self))
        for name in ("_medians", "_middle"):  # which older versions had not
            vars(self).setdefault(name, None)
        fresh = not hasattr(self, "model_") or not (self.warm_start or incremental)
        folds = self._folds(X, y, sample_weight) if fresh and not incremental and validation[0] is None else None
        X, y = self._checked(X, y, fresh, learns=incremental and not fresh)
        weights = self._checked_weights(sample_weight, X, "sample_weight")
        y = self._take_targets(y, fresh, incremental)
        if folds:
            validation = None
        else:
            (X, y, weights), validation = self._split(X, y, weights, validation, incremental)
        weights = self._row_weights(y, weights)
        if weights is not None and not weights.any():  # which Sequential refuses, too
            given = {"sample_weight": sample_weight, "class_weight": getattr(self, "class_weight", None)}
            name = " times ".join(name for name, value in given.items() if value is not None)
            raise ValueError(f"{name} is 0 for every row: the loss would be 0 / 0")
        if fresh:
            for name in ("model_", "about_"):
                vars(self).pop(name, None)
            self._start(y, weights, whole=not incremental)
        step, X = None, X if hasattr(X, "tocsr") else dense(X)
        if fresh:
            begin_medians(self, X, whole=not incremental)
        elif incremental:
            step, X = self._step(before, dense(X), y, weights)
        X = self._filled(X)
        if validation:
            validation = (self._filled(validation[0]), *validation[1:])
        targets, batch = self._encode(y), self._rows_of_batch(X.shape[0])
        if fresh:
            self._make_model(X, weights, batch, whole=not incremental)
        if fresh or not incremental:
            self._compile(X.shape[0], batch)
        self.n_iter_ = 0
        return self._dense(X), targets, weights, batch, folds or validation, step

    def _folds(self, X, y, weights):
        """The Folds by which few rows tell when to stop, or None."""
        if not self.early_stopping or self.warm_start or self.solver == "lbfgs" or y is None:
            return None
        return epochs_by_folds(self, X, y, weights)

    def _step(self, before, x, y, weights):
        """The Step to the statistics with these rows, those with gaps left out, and the rows with medians in gaps."""
        gaps = np.isnan(x).any(axis=1)
        complete = ~gaps if gaps.any() else slice(None)
        learn_medians(self, x[complete])
        x = self._filled(x)
        return Step(self, before, x, y, weights, complete), x

    def _filled(self, X):
        """X with medians in place of NaN, where there is no encoder for that."""
        if self.encoder_ is not None:
            return X
        return filled(X, partial(known_medians, self), vars(self).get("feature_names_in_"))

    def _checked(self, X, y, reset, learns=False):
        """X as numbers and y, checked; see `checked_rows`."""
        return checked_rows(self, X, y, reset, learns, **self._checks())

    def _checked_weights(self, weights, X, name):
        """Weights of the rows of X, from 0 on, or None."""
        check_unmasked(weights, name)
        weights = None if weights is None else _check_sample_weight(weights, X, dtype=np.float64)
        return as_row_weights(weights, name, X.shape[0])

    def _checks(self):
        """How scikit-learn is to check X and y."""
        return {"multi_output": True}

    def _split(self, X, y, weights, validation, incremental):
        """The rows to train on and those to validate with, or None, as X, y and weights."""
        X_val, y_val, weights_val = validation
        if self.solver == "lbfgs":  # which has no epochs after which one could validate
            if X_val is not None:
                raise ValueError("X_val needs a solver that goes in steps; lbfgs takes all rows at once")
            return (X, y, weights), None
        if X_val is None:
            if y_val is not None or weights_val is not None:
                raise ValueError("y_val and sample_weight_val come with X_val, which is missing")
            if not self.early_stopping:
                return (X, y, weights), None
            if incremental:
                raise ValueError("partial_fit does not support early_stopping=True")
            return split_off(X, y, weights, self.validation_fraction, self.random_state, self._strata(y))
        if y_val is None:
            raise ValueError("X_val needs y_val")
        check_present(y_val, "y_val")
        X_val, y_val = self._checked(X_val, y_val, reset=False)
        y_val = self._take_targets(y_val, fresh=False, incremental=True)
        weights_val = self._checked_weights(weights_val, X_val, "sample_weight_val")
        return (X, y, weights), (X_val, y_val, weights_val)

    def _strata(self, y):
        return None

    def _row_weights(self, y, weights):
        """The weights of the rows, with those of their classes."""
        return weights

    def _start(self, y, weights, whole):
        """Forgets an earlier training. Do the rows come as a `whole`, or will more follow?"""
        self.n_iter_ = self.t_ = 0
        self.loss_curve_, self.history_ = [], {}
        self.validation_scores_ = self.best_validation_score_ = self.best_loss_ = self.best_epoch_ = None
        self._patience = Patience(self.tol, self.n_iter_no_change)
        self._aim, self._targets = self._make_aim(), None
        self._begin_targets(y, weights, whole)
        self.out_activation_ = activation_of(self._aim.link)

    def _rows_of_batch(self, rows):
        if self.solver == "lbfgs":
            return rows
        whole = self.solver == "rprop" or getattr(self.solver, "full_batch", False)
        if self.batch_size == "auto":
            return rows if whole else min(BATCH, rows)
        if self.batch_size > rows:
            warnings.warn(
                f"batch_size {self.batch_size} is more than there are rows: all {rows} are a batch", stacklevel=7
            )
        return min(self.batch_size, rows)

    def _begin_targets(self, y, weights, whole):
        """Takes from y what targets are normalized by, if they are."""

    def _make_model(self, x, weights, batch, whole):
        mean = 1.0 if weights is None else weights.mean()
        penalty = self.alpha / (batch * mean) if mean > 0 else 0.0
        generator = check_random_state(self.random_state)
        dtype = self._dtype(x)
        self.model_ = make_model(self, self._aim, penalty, x.shape[1], dtype, generator)
        self._inputs = None
        if self.encoder_ is not None:
            self._inputs = begin_table(self.encoder_, x.shape[0], whole, x)
        elif self.normalization:
            self._inputs = begin(self.normalization, x, weights, dtype, whole)
            self.model_._engine.adapt(self._inputs.statistics(dtype))
        self.n_layers_ = 2 + np.size(self.hidden_layer_sizes)

    def _compile(self, rows, batch):
        optimizer = "sgd"  # which lbfgs does not use
        if self.solver != "lbfgs":
            optimizer = make_optimizer(self, self._aim.factor, rows, -(-rows // batch))
        self.model_.compile(optimizer, self._aim.loss)

    def _train(self, x, targets, weights, batch, validation, incremental):
        """Epochs until max_iter, or until there was no progress for long enough; a single one if `incremental`."""
        options = {"shuffle": bool(self.shuffle), "sample_weight": weights}
        folds, most = None, 1 if incremental else self.max_iter
        if isinstance(validation, Folds):
            folds, validation, most = validation, None, validation.epochs
        if validation:
            X_val, y_val, weights_val = validation
            options["validation_data"] = self._dense(X_val), self._encode(y_val), weights_val
        epochs = Epochs(self, Score(self, *validation) if validation else None, folds)
        ended = yield from epochs.run(x, targets, batch, most, **options)
        if not (ended or incremental):
            warnings.warn(
                f"the training has not converged in max_iter={self.max_iter} epochs: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _minimize(self, x, targets, weights):
        adapter = self.model_._adapter()
        x, targets, weights = adapter.weighted(*adapter.rows(x, targets, weights))
        stops = self.tol, self.max_iter, self.max_fun, self.verbose
        self.n_iter_, self.loss_ = minimize_loss(self.model_, x, targets, weights, self._aim.factor, *stops)
