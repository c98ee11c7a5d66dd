"""The classifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, column_or_1d

from fastml.losses import BinaryCrossentropy, CrossEntropy, SparseCategoricalCrossentropy
from fastml.sklearn.base import BaseMLP
from fastml.sklearn.network import Aim
from fastml.trained import TrainedClassifier


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that predicts classes: two, several, or several labels at a time.

    Parameters and attributes are those of scikit-learn's class of the name; the following are new, or take more.

    Parameters
    ----------
    activation : str, Activation, function, or list
        scikit-learn's names and those of `fastml.ACTIVATIONS`, or a function of your own; a list has one for each
        hidden layer.
    solver : str or Optimizer
        Also all names of `fastml.OPTIMIZERS`, of which "rprop" takes all rows as a batch, or an optimizer of fastml.
    learning_rate_init : float or Schedule
        A schedule of fastml counts updates.
    loss : "log_loss" or CrossEntropy
        A cross-entropy of fastml may smooth labels: BinaryCrossentropy for two classes and for labels,
        SparseCategoricalCrossentropy for several classes.
    class_weight : dict, "balanced" or None
        Weights of the rows by class; "balanced" makes all classes weigh the same.
    dropout : float or list
        Share of the outputs of hidden layers to drop while training; a list has one for each.
    batch_normalization : bool
        Whether hidden layers normalize their sums by the batch.
    normalization : "standard", "minmax", "robust" or None
        How columns of X are normalized first, by the rows of `fit`, or by all rows that `partial_fit` has seen; with
        warm_start, by those of the first `fit`. None trains on X as it is, as scikit-learn does.
    early_stopping : bool
        Whether rows that are not trained on say when to end, and which epoch's weights to keep: that of the least loss
        among those whose score is no worse than the best but for chance, that is, by its standard error (of accuracy,
        balanced accuracy and roc_auc; for other scores, by nothing). It ends after n_iter_no_change epochs without
        progress of the score or, among such epochs, of that loss. Where validation_fraction is less than 10 rows, the
        mean of five folds says how many epochs to train, and all rows are trained on. `fit` raises ValueError where
        the score is not defined in any epoch.
    scoring : str, callable or None
        What early stopping goes by: any scorer, larger is better; None is accuracy.
    callbacks : list
        Callbacks of fastml, called after each epoch.
    n_ensemble : int
        Networks, the mean of whose probabilities counts. Each has its own start values, order of rows, and rows to stop
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
    oob_decision_function_ : array (rows, classes)
        Their probabilities for each row of X by those networks; NaN where there is none.
    encoder_ : TableEncoder or None
        What makes numbers of a table with text, dates or gaps, or of an array with gaps; then it also normalizes them.
    best_epoch_ : int or None
        The epoch, from 1, whose weights are kept, with early_stopping.
    about_ : dict or None
        Plain values that `save` writes with the estimator.
    history_ : dict
        ``loss`` and, with validation rows, ``val_loss``: a list with a number for each epoch.
    coefs_, intercepts_ : list of array
        Weights and biases from X as it comes: normalizations are folded in.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastml.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> float(MLPClassifier(max_iter=500, random_state=0).fit(X, y).score(X, y)) > 0.95
    True
    """

    _parameter_constraints = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), CrossEntropy],
        "class_weight": [dict, StrOptions({"balanced"}), list, None],
    }

    def __init__(
        self,
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
        loss="log_loss",
        class_weight=None,
        dropout=0.0,
        batch_normalization=False,
        normalization="standard",
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
        """Trains on X (rows, features) and y, labels (rows,) or 0 and 1 (rows, labels); returns the estimator.

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
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Goes once through these rows, with weights and optimizer as they are; returns the estimator.

        Other threads must wait until it is done before they predict.

        The first call needs `classes`, all labels that will ever come, unless y (rows, labels) has several at a time.

        First it adds the rows to the statistics by which X is normalized. What the network computes stays the same by
        that, once 32 rows have told what the spread of a column is; a column that begins to vary begins to count. The
        first rows of a table say what its columns are; see `fastml.sklearn.growth` for what later ones add.
        """
        if not hasattr(self, "model_"):
            if classes is None and not type_of_target(y).startswith("multilabel"):
                raise ValueError("classes must be passed on the first call to partial_fit: all labels there are")
            self._announced = None if classes is None else unique_labels(classes)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(f"`classes={classes}` is not the same as on the first call, {self.classes_}")
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """The labels (rows,) for X (rows, features), or 0 and 1 (rows, labels)."""
        return self._decode(self._checked_outputs(X))

    def predict_proba(self, X):
        """Probabilities (rows, classes), in the order of `classes_`, or (rows, labels) of each label."""
        outputs = self._checked_outputs(X)
        return self._trained().probabilities(outputs)

    def predict_proba_one(self, row):
        """Probabilities (classes,) for one row, as `predict_one` takes it."""
        check_is_fitted(self)
        return self._trained().predict_proba_one(row)

    def predict_log_proba(self, X):
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _take_targets(self, y, fresh, incremental):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        several = y.ndim == 2
        if several and not type_of_target(y).startswith("multilabel"):
            raise ValueError("y with several columns must hold 0 and 1, a column for each label")
        classes = np.arange(y.shape[1]) if several else np.unique(y)
        announced = getattr(self, "_announced", None) if incremental else None
        if fresh:
            self.classes_ = classes if announced is None else announced
            self._kind = "multilabel" if several else "binary" if len(self.classes_) <= 2 else "multiclass"
            self.n_outputs_ = len(self.classes_) if self._kind != "binary" else 1
        elif several != (self._kind == "multilabel") or (several and len(classes) != len(self.classes_)):
            raise ValueError(f"y has shape {y.shape}, but the estimator was fitted to {len(self.classes_)} classes")
        if not several and not incremental and not fresh and not np.array_equal(classes, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        if not several and not np.isin(classes, self.classes_).all():
            raise ValueError(f"`y` has classes not in `self.classes_`: {classes}, there are {self.classes_}")
        return y

    def _strata(self, y):
        return y if self._kind != "multilabel" else None

    def _row_weights(self, y, weights):
        if self.class_weight is None:
            return weights
        by_class = compute_sample_weight(self.class_weight, y)
        return by_class if weights is None else weights * by_class

    def _make_aim(self):
        several = self._kind == "multiclass"
        kind = SparseCategoricalCrossentropy if several else BinaryCrossentropy
        loss = kind() if isinstance(self.loss, str) else self.loss
        if not isinstance(loss, kind):
            raise ValueError(f"loss {loss!r} does not fit {self._kind} targets: they take {kind.__name__}")
        return Aim(loss, loss.link, self.n_outputs_, 1.0 if several else float(self.n_outputs_))

    def _encode(self, y):
        if self._kind == "multilabel":
            return np.asarray(y, np.float64)
        numbers = np.searchsorted(self.classes_, y)
        return numbers if self._kind == "multiclass" else numbers[:, None].astype(np.float64)

    def _trained(self):
        return TrainedClassifier(self.classes_, self._kind, *self._parts())

    def _out_of_bag(self, outputs):
        self.oob_decision_function_ = self._trained().probabilities(outputs)

    def _score_of(self, predictions, y, weights):
        return accuracy_score(y, predictions, sample_weight=weights)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
