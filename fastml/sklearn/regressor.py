"""The regressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from fastml.losses import Huber, Loss, MeanAbsoluteError, MeanSquaredError, Poisson
from fastml.sklearn.base import BaseMLP
from fastml.sklearn.chunks import as_columns, begin, spread_of
from fastml.sklearn.network import Aim
from fastml.trained import TrainedRegressor

LOSSES = {
    "squared_error": MeanSquaredError,
    "absolute_error": MeanAbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
}


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers, one or several for each row.

    Parameters and attributes are those of scikit-learn's class of the name; the following are new, or take more.

    Parameters
    ----------
    loss : str or Loss
        "squared_error", "absolute_error", "huber", "poisson", or one of `fastml.losses` for numbers or counts.
    activation : str, Activation, function, or list
        scikit-learn's names and those of `fastml.ACTIVATIONS`, or a function of your own; a list has one for each
        hidden layer.
    solver : str or Optimizer
        Also all names of `fastml.OPTIMIZERS`, of which "rprop" takes all rows as a batch, or an optimizer of fastml.
    learning_rate_init : float or Schedule
        A schedule of fastml counts updates.
    dropout : float or list
        Share of the outputs of hidden layers to drop while training; a list has one for each.
    batch_normalization : bool
        Whether hidden layers normalize their sums by the batch.
    normalization : "standard", "minmax", "robust" or None
        How columns of X are normalized first, by the rows of `fit`, or by all rows that `partial_fit` has seen; with
        warm_start, by those of the first `fit`. None trains on X as it is, as scikit-learn does.
    normalize_y : bool
        Whether to train on targets of mean 0 and standard deviation 1; predictions are in the units of y and in
        float64, losses are not. Not for counts.
    early_stopping : bool
        Whether rows that are not trained on say when to end, and which epoch's weights to keep: that of the least loss
        among those whose score is no worse than the best but for chance, that is, by its standard error (of accuracy,
        balanced accuracy and roc_auc; for other scores, by nothing). It ends after n_iter_no_change epochs without
        progress of the score or, among such epochs, of that loss. Where validation_fraction is less than 10 rows, the
        mean of five folds says how many epochs to train, and all rows are trained on. `fit` raises ValueError where
        the score is not defined in any epoch.
    scoring : str, callable or None
        What early stopping goes by: any scorer, larger is better; None is R².
    callbacks : list
        Callbacks of fastml, called after each epoch.
    n_ensemble : int
        Networks, the mean of whose predictions counts. Each has its own start values, order of rows, and rows to stop
        early by; they train side by side. `spread` tells how far they are apart. Not with `partial_fit`.
    bootstrap : bool
        Whether each of them trains on as many rows as there are, drawn with replacement.
    oob_score : bool
        Whether to score the rows by those networks that have not seen them, with bootstrap.
    time_limit : float or None
        Seconds after which `fit` ends with what it has; the networks of an ensemble that have not begun are left out.
    n_threads : int or None
        Threads to use; None is for as many as `fastml.set_num_threads` allows.
    dtype : "auto", "float32" or "float64"
        What the arithmetic is done in; "auto" is the dtype of X. float32 is about twice as fast.

    Attributes
    ----------
    model_ : Sequential or Ensemble
        The network, or those of an ensemble.
    estimators_ : list
        Of an ensemble its members, estimators with a network each. Attributes that tell of its training are means over
        them, and `n_iter_` that of the longest.
    oob_score_ : float
        The score, as of `score`, of the rows of X by those networks of an ensemble that have not seen them.
    oob_prediction_ : array (rows,) or (rows, outputs)
        Their predictions for each row of X by those networks; NaN where there is none.
    encoder_ : TableEncoder or None
        What makes numbers of a table with text, dates or gaps, or of an array with gaps; then it also normalizes them.
    best_epoch_ : int or None
        The epoch, from 1, whose weights are kept, with early_stopping.
    about_ : dict or None
        Plain values that `save` writes with the estimator.
    history_ : dict
        ``loss`` and, with validation rows, ``val_loss``: a list with a number for each epoch.
    coefs_, intercepts_ : list of array
        Weights and biases from X as it comes to predictions as they are: normalizations are folded in.

    Examples
    --------
    >>> import numpy as np
    >>> from fastml.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> model = MLPRegressor(hidden_layer_sizes=(32,), learning_rate_init=0.01, random_state=0).fit(X, X[:, 0] ** 2)
    >>> float(model.score(X, X[:, 0] ** 2)) > 0.99
    True
    """

    _parameter_constraints = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(LOSSES)), Loss],
        "normalize_y": ["boolean"],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dropout=0.0,
        batch_normalization=False,
        normalization="standard",
        normalize_y=True,
        scoring=None,
        callbacks=None,
        n_ensemble=1,
        bootstrap=False,
        oob_score=False,
        time_limit=None,
        n_threads=None,
        dtype="auto",
    ):
        self._set(locals())

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None):
        """Trains on X (rows, features) and y (rows,) or (rows, outputs); returns the estimator.

        X may be sparse; it is made dense, once. It may be a table of pandas, polars or pyarrow, a list of dicts, also
        with text, dates and gaps: see `fastml.TableEncoder`, by which the columns of later tables are put in order. In
        arrays NaN is a gap, by the same rules. A table of numbers without gaps is taken as an array; scikit-learn
        demands that its columns stay in their order. Gaps that come later are taken as the median.

        Rows weigh `sample_weight` in the loss. X_val and y_val are rows to validate with after each epoch, whose scores
        and losses are kept; with early_stopping they also decide when to end, instead of a share of X.
        Raises ValueError or TypeError for what cannot be used.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(lambda self: self._check_solver())
    def partial_fit(self, X, y, sample_weight=None):
        """Goes once through these rows, with weights and optimizer as they are; returns the estimator.

        Other threads must wait until it is done before they predict.

        First it adds them to the statistics by which X and y are normalized. What the network computes stays the same
        by that, once 32 rows have told what the spread of a column is; a column that begins to vary begins to count.
        The first rows of a table say what its columns are; see `fastml.sklearn.growth` for what later ones add.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """The predictions for X (rows, features): (rows,), or (rows, outputs) where there were several."""
        return self._decode(self._checked_outputs(X))

    def _checks(self):
        return {**super()._checks(), "y_numeric": True}

    def _take_targets(self, y, fresh, incremental):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        outputs = y.shape[1] if y.ndim == 2 else 1
        if not fresh and outputs != self.n_outputs_:
            raise ValueError(f"y has {outputs} columns, but the estimator was fitted to {self.n_outputs_}")
        self.n_outputs_ = outputs
        return y

    def _make_aim(self):
        loss = LOSSES[self.loss]() if isinstance(self.loss, str) else self.loss
        if loss.targets not in ("numbers", "counts"):
            raise ValueError(f"loss {loss!r} is for classes: use MLPClassifier")
        sums = isinstance(loss, (MeanSquaredError, Poisson))
        factor = self.n_outputs_ * (0.5 if isinstance(loss, MeanSquaredError) else 1.0) if sums else 1.0
        return Aim(loss, loss.link, self.n_outputs_, factor)

    def _begin_targets(self, y, weights, whole):
        loss = self._aim.loss
        if isinstance(loss, Poisson) and (y < 0).any():
            raise ValueError("Some value(s) of y are negative, but the poisson loss takes counts, from 0 on")
        self._target_mean = self._target_spread = None
        if self.normalize_y and loss.targets == "numbers":
            self._take_target_statistics(begin("standard", as_columns(y), weights, np.float64, whole))

    def _take_target_statistics(self, running):
        """Normalizes targets by these statistics."""
        self._targets, self._target_mean, self._target_spread = running, running.mean, spread_of(running)

    def _target_scale(self):
        return () if self._target_mean is None else (self._target_spread, self._target_mean)

    def _encode(self, y):
        y = as_columns(y)
        return y if self._target_mean is None else (y - self._target_mean) / self._target_spread

    def _finite(self, outputs):
        return super()._finite(outputs) and bool(np.isfinite(self._decode(outputs)).all())

    def _trained(self):
        return TrainedRegressor(self._target_mean, self._target_spread, *self._parts())

    def _out_of_bag(self, outputs):
        self.oob_prediction_ = self._decode(outputs)

    def _score_of(self, predictions, y, weights):
        return r2_score(np.asarray(y, np.float64), predictions, sample_weight=weights)
