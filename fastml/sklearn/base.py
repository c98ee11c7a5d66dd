"""What the estimators share: checks, the network, the epochs, and what is known after them."""

import warnings
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from fastml.data.arrays import check_unmasked
from fastml.data.gaps import filled
from fastml.data.row_weights import as_row_weights
from fastml.data.tables import TableEncoder
from fastml.files import saving
from fastml.program.threads import num_threads
from fastml.sklearn.chunks import Step, assumed_of
from fastml.sklearn.constraints import CONSTRAINTS
from fastml.sklearn.files import describe_estimator
from fastml.sklearn.fitted import Fitted
from fastml.sklearn.folds import epochs_by_folds
from fastml.sklearn.inputs import checked_rows
from fastml.sklearn.labels import check_present
from fastml.sklearn.medians import begin_medians, known_medians, learn_medians
from fastml.sklearn.members import Members
from fastml.sklearn.network import activation_of
from fastml.sklearn.trainer import Trainer
from fastml.sklearn.validation import split_off
from fastml.sklearn.wide import dense
from fastml.training.fitting import deadline_of
from fastml.training.run import completed, completes_here

ATTRIBUTES = "model_", "about_", "estimators_", "oob_score_", "oob_prediction_", "oob_decision_function_"  # of a fit
STATISTICS = (  # which go with the network
    "_inputs", "_targets", "_target_mean", "_target_spread", "encoder_", "_medians", "_middle",
)  # fmt: skip


class BaseMLP(Fitted, Trainer, BaseEstimator):
    """The parameters and the training of both estimators. A subclass says what targets become, and outputs."""

    _parameter_constraints = CONSTRAINTS
    _known_outputs = None  # rows and outputs for them, of a copy that a scorer gets
    _encodes = _encodes_arrays = False  # whether to encode tables of numbers without gaps, and arrays, too
    about_ = None  # a dict of plain values that `save` writes with the estimator; see its docstring

    @property
    def _count(self):
        """Networks that there are to be."""
        return self.n_ensemble

    def _encoder(self, dtype):
        """What is to make numbers of tables, and of arrays with gaps."""
        return TableEncoder(dtype=dtype)

    def _embedding_layers(self):
        """Layers that stand before the dense ones, behind those of the encoder."""
        return []

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

    def _fit(self, *rows, **options):
        self._validate_params()
        with num_threads(self.n_threads):
            told = completed(self._fitting(*rows, here=completes_here(), **options))
        for each in told:
            warnings.warn(*each, stacklevel=3)
        return self

    def _fitting(self, X, y, sample_weight=None, validation=(None, None, None), incremental=False, here=False):
        """The training by parameters that are valid, a generator as `fastml.training.run.completed` runs it.

        It returns what the user is to be told, a list of arguments of `warnings.warn`. Where nobody else is to run what
        the generator gives, an ensemble is trained `here`, its members side by side.
        """
        before, step, begun, deadline = dict(vars(self)), None, False, deadline_of(self.time_limit)
        try:
            rows, validation, fresh, step = self._prepare(X, y, sample_weight, validation, incremental, before)
            if self._count > 1:
                begun = not fresh  # as an error leaves networks that are further than they were
                members = Members(self, *rows, validation, fresh, deadline)
                if here:
                    members.train()
                else:
                    yield from members.generator()
                return members.told_of_all()
            arrays, begun = self._network(*rows, fresh, incremental), True
            if step:
                step.take()
            told = yield from self._train(*arrays, validation, incremental, deadline)
            return [told] if told else []
        except BaseException:
            if not begun or self.n_iter_ == 0:  # it was refused, or no epoch was complete: no trace is left
                kept = {} if step is None or step.undo() else {k: vars(self)[k] for k in STATISTICS if k in vars(self)}
                vars(self).clear()
                vars(self).update(before | kept)
            raise

    def _prepare(self, X, y, sample_weight, validation, incremental, before):
        """Checks all there is, and takes from it what stands before and behind the network.

        Returns the rows to train on, as X, y and weights; those to validate with, or Folds, or None; whether the
        network is to be a fresh one; and where it goes on by `partial_fit`, the Step from the statistics `before`, the
        attributes, to those after.
        """
        if "model_" in vars(self) and "_inputs" not in vars(self):  # of an older version
            vars(self).update(assumed_of(self))
            before.update(vars(self))
        for name in ("_medians", "_middle"):  # which older versions had not
            vars(self).setdefault(name, None)
        self._check_ensemble()
        fresh = not hasattr(self, "model_") or not (self.warm_start or incremental)
        folds = self._folds(X, y, sample_weight) if fresh and not incremental and validation[0] is None else None
        X, y = self._checked(X, y, fresh, learns=incremental and not fresh)
        weights = self._checked_weights(sample_weight, X, "sample_weight")
        y = self._take_targets(y, fresh, incremental)
        if folds:
            validation = None
        elif self._count > 1 and validation[0] is None:  # each member splits off its own
            self._check_validation(*validation)
            validation = None
        else:
            (X, y, weights), validation = self._split(X, y, weights, validation, incremental)
        weights = self._row_weights(y, weights)
        if weights is not None and not weights.any():  # which Sequential refuses, too
            given = {"sample_weight": sample_weight, "class_weight": getattr(self, "class_weight", None)}
            name = " times ".join(name for name, value in given.items() if value is not None)
            raise ValueError(f"{name} is 0 for every row: the loss would be 0 / 0")
        if fresh:
            for name in ATTRIBUTES:
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
        if fresh:
            self._begin_inputs(X, weights, whole=not incremental)
        return (X, y, weights), folds or validation, fresh, step

    def _check_ensemble(self):
        """ValueError for what an ensemble cannot be, or a single network."""
        if self._count == 1 and (self.bootstrap or self.oob_score):
            name = "bootstrap" if self.bootstrap else "oob_score"
            raise ValueError(f"{name}=True is for ensembles: it needs n_ensemble of 2 or more")
        there = len(vars(self).get("estimators_", [None]))
        if self.warm_start and "model_" in vars(self) and there != self._count:
            raise ValueError(
                f"n_ensemble is {self._count}, but warm_start goes on with what the fit before has trained: {there}"
            )
        if self.oob_score and not self.bootstrap:
            raise ValueError("oob_score=True needs bootstrap=True: else no network leaves out rows to be scored by")

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
            self._check_validation(X_val, y_val, weights_val)
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

    def _check_validation(self, X_val, y_val, weights_val):
        if X_val is None and (y_val is not None or weights_val is not None):
            raise ValueError("y_val and sample_weight_val come with X_val, which is missing")

    def _strata(self, y):
        return None

    def _row_weights(self, y, weights):
        """The weights of the rows, with those of their classes."""
        return weights

    def _start(self, y, weights, whole):
        """Forgets an earlier training. Do the rows come as a `whole`, or will more follow?"""
        self._forget()
        self._aim, self._targets = self._make_aim(), None
        self._begin_targets(y, weights, whole)
        self.out_activation_ = activation_of(self._aim.link)

    def _begin_targets(self, y, weights, whole):
        """Takes from y what targets are normalized by, if they are."""
