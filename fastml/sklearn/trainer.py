"""The part of an estimator that makes its network and trains it, on rows that are checked and numbers already."""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastml.sklearn.chunks import begin
from fastml.sklearn.epochs import Epochs
from fastml.sklearn.folds import Folds
from fastml.sklearn.growth import begin_table
from fastml.sklearn.lbfgs import minimize_loss
from fastml.sklearn.network import make_model, make_optimizer, plain_weights
from fastml.sklearn.stopping import Patience
from fastml.sklearn.validation import Score

BATCH = 200  # rows of a batch, at most, where batch_size is "auto"


class Trainer:
    """The training of one network by an estimator's parameters, its attributes in TRAINING, and its weights."""

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
        if "estimators_" in vars(self):
            raise AttributeError("an ensemble has several networks: see those of estimators_")
        if self._embedding_layers() or (self.encoder_ and self.encoder_.embeddings):
            raise AttributeError("a network with embeddings is not one of plain layers: see model_.get_weights()")
        return plain_weights(self.model_, *self._target_scale())

    _all_epochs = False  # whether all epochs are meant to be trained, so that nothing needs to converge

    @property
    def _most_epochs(self):
        return self.max_iter

    @property
    def _most_patience(self):
        return self.n_iter_no_change

    def _target_scale(self):
        """Scale and shift from the network's outputs to targets, or nothing."""
        return ()

    def _forget(self):
        """Begins a training anew."""
        self.n_iter_ = self.t_ = 0
        self.loss_curve_, self.history_ = [], {}
        self.validation_scores_ = self.best_validation_score_ = self.best_loss_ = self.best_epoch_ = None
        self._patience = Patience(self.tol, self._most_patience)

    def _rows_of_batch(self, rows):
        if self.solver == "lbfgs":
            return rows
        whole = self.solver == "rprop" or getattr(self.solver, "full_batch", False)
        if self.batch_size == "auto":
            return rows if whole else min(BATCH, rows)
        if self.batch_size > rows:
            warnings.warn(
                f"batch_size {self.batch_size} is more than there are rows: all {rows} are a batch", stacklevel=8
            )
        return min(self.batch_size, rows)

    def _begin_inputs(self, x, weights, whole):
        """Takes the statistics by which rows x are normalized, where the network or an encoder does that."""
        self._inputs = None
        if self.encoder_ is not None:
            self._inputs = begin_table(self.encoder_, x.shape[0], whole, x)
        elif self.normalization:
            self._inputs = begin(self.normalization, x, weights, self._dtype(x), whole)
        self.n_layers_ = 2 + np.size(self.hidden_layer_sizes)

    def _network(self, X, y, weights, fresh, incremental):
        """Makes the network ready, a `fresh` one or what there is; returns what `_train` takes of these rows."""
        targets, batch = self._encode(y), self._rows_of_batch(X.shape[0])
        if fresh:
            mean = 1.0 if weights is None else weights.mean()
            penalty = self.alpha / (batch * mean) if mean > 0 else 0.0
            generator, dtype = check_random_state(self.random_state), self._dtype(X)
            self.model_ = make_model(self, self._aim, penalty, X.shape[1], dtype, generator)
            if self._inputs is not None and self.encoder_ is None:
                self.model_._engine.adapt(self._inputs.statistics(dtype))
        if fresh or not incremental:
            self._compile(X.shape[0], batch)
        self.n_iter_ = 0
        return self._dense(X), targets, weights, batch

    def _compile(self, rows, batch):
        optimizer = "sgd"  # which lbfgs does not use
        if self.solver != "lbfgs":
            optimizer = make_optimizer(self, self._aim.factor, rows, -(-rows // batch))
        self.model_.compile(optimizer, self._aim.loss)

    def _train(self, x, targets, weights, batch, validation, incremental=False, deadline=np.inf):
        """Trains until max_iter, or until there was no progress for long enough; for one epoch if `incremental`.

        A generator, see `fastml.training.run.completed`. It returns what the user is to be told, as the arguments of
        `warnings.warn`, or None.
        """
        if self.solver == "lbfgs":
            return self._minimize(x, targets, weights, deadline)
        options = {"shuffle": bool(self.shuffle), "sample_weight": weights}
        if deadline < np.inf:
            options["time_limit"] = max(deadline - time.perf_counter(), 1e-9)
        folds, most = None, 1 if incremental else self._most_epochs
        if isinstance(validation, Folds):
            folds, validation, most = validation, None, validation.epochs
        if validation:
            X_val, y_val, weights_val = validation
            options["validation_data"] = self._dense(X_val), self._encode(y_val), weights_val
        epochs = Epochs(self, Score(self, *validation) if validation else None, folds)
        ended = yield from epochs.run(x, targets, batch, most, **options)
        if epochs.interrupted:
            return "Training interrupted by user.", UserWarning
        if ended or incremental or self._all_epochs or time.perf_counter() >= deadline:
            return None
        told = f"the training has not converged in max_iter={self._most_epochs} epochs: raise max_iter or tol"
        return told, ConvergenceWarning

    def _minimize(self, x, targets, weights, deadline):
        adapter = self.model_._adapter()
        x, targets, weights = adapter.weighted(*adapter.rows(x, targets, weights))
        stops = self.tol, self._most_epochs, self.max_fun, self.verbose, deadline
        self.n_iter_, self.loss_, told = minimize_loss(self.model_, x, targets, weights, self._aim.factor, *stops)
        return told and (told, ConvergenceWarning)
