"""What the estimators have beyond scikit-learn's: against its results where it has the like, else by what must hold."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

import joblib
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import compute_sample_weight

import fastml
from fastml.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
IRIS, CANCER, DIABETES = (load(return_X_y=True) for load in (load_iris, load_breast_cancer, load_diabetes))
LABELS = make_multilabel_classification(n_samples=120, n_features=8, n_classes=4, random_state=0)
PLAIN = {"normalization": None, "random_state": 0}
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


def with_weights(theirs, ours):
    """scikit-learn's network with our weights."""
    theirs.coefs_, theirs.intercepts_ = ours.coefs_, ours.intercepts_
    return theirs


def same_start(kind, their_kind, X, y, **parameters):
    """Both estimators with the same weights, before the first update: ours, theirs.

    A first `partial_fit`, at a rate too small to move anything, makes the weights; both go on from ours.
    """
    first = {} if kind is MLPRegressor else {"classes": np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])}
    plain = {"normalize_y": False} if kind is MLPRegressor else {}
    ours = kind(**PLAIN, **plain, **parameters).set_params(learning_rate_init=1e-30).partial_fit(X, y, **first)
    theirs = their_kind(random_state=0, **parameters).set_params(learning_rate_init=1e-30).partial_fit(X, y, **first)
    for old, new in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        old[...] = new
    del theirs._optimizer
    for model in (ours, theirs):
        model.set_params(learning_rate_init=0.01)
    ours._compile(len(X), len(X))
    return ours, theirs


CASES = {
    "binary": (MLPClassifier, TheirClassifier, *CANCER),
    "multiclass": (MLPClassifier, TheirClassifier, *IRIS),
    "multilabel": (MLPClassifier, TheirClassifier, *LABELS),
    "regression": (MLPRegressor, TheirRegressor, DIABETES[0], DIABETES[1] / 100),
    "two outputs": (
        MLPRegressor,
        TheirRegressor,
        DIABETES[0],
        np.stack([DIABETES[1] / 100, DIABETES[0][:, 0]], axis=1),
    ),
    "counts": (MLPRegressor, TheirRegressor, DIABETES[0], np.floor(DIABETES[1] / 50)),
}


@pytest.mark.parametrize("activation", ["relu", "logistic", "tanh", "identity"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("case", CASES)
def test_updates_are_those_of_scikit_learn(case, solver, activation):
    """Full batches in float64, with alpha and weights of the rows: the same weights after each of 5 updates.

    epsilon is tiny, as it is added after the correction of Adam's start here, before it there.
    """
    kind, their_kind, X, y = CASES[case]
    X, y = X[:100] / np.abs(X).max(axis=0), y[:100]
    loss = {"loss": "poisson"} if case == "counts" else {}
    parameters = {
        "solver": solver,
        "alpha": 0.5,
        "batch_size": 100,
        "hidden_layer_sizes": (7, 5),
        "epsilon": 1e-20,
        **loss,
    }
    ours, theirs = same_start(kind, their_kind, X, y, activation=activation, **parameters)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, len(X))
    weights /= weights.mean()  # with which the penalty weighs the same in both
    for _ in range(5):
        ours.partial_fit(X, y, weights)
        theirs.partial_fit(X, y, weights)
        for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-12)
    if case not in ("two outputs", "counts"):  # their loss is a mean, its gradient of a sum; it has another constant
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)


@pytest.mark.parametrize("normalization", [None, "standard", "minmax", "robust"])
@pytest.mark.parametrize("batch_normalization", [False, True])
@pytest.mark.parametrize("case", ["multiclass", "multilabel", "binary", "regression", "two outputs"])
def test_weights_are_those_of_a_plain_network(case, batch_normalization, normalization):
    """scikit-learn's network predicts the same with `coefs_` and `intercepts_`: all normalizations are folded in."""
    kind, their_kind, X, y = CASES[case]
    parameters = {"hidden_layer_sizes": (9, 5), "max_iter": 3, "random_state": 0}
    ours = kind(normalization=normalization, batch_normalization=batch_normalization, **parameters).fit(X, y)
    theirs = with_weights(their_kind(**parameters).fit(X, y), ours)
    method = "predict" if kind is MLPRegressor else "predict_proba"
    np.testing.assert_allclose(getattr(ours, method)(X), getattr(theirs, method)(X), rtol=1e-7, atol=1e-9)


def test_attributes_are_those_of_scikit_learn():
    """Every public one, but `_`-less parameters; with and without early stopping."""
    for kind, their_kind, (X, y) in ((MLPClassifier, TheirClassifier, IRIS), (MLPRegressor, TheirRegressor, DIABETES)):
        for early in (False, True):
            fitted = [k(early_stopping=early, **SMALL).fit(X, y) for k in (kind, their_kind)]
            public = [{n for n in vars(m) if n.endswith("_") and not n.startswith("_")} for m in fitted]
            assert public[1] - public[0] == {"coefs_", "intercepts_"}  # which are properties
            for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
                assert getattr(fitted[0], name) == getattr(fitted[1], name)
            assert [c.shape for c in fitted[0].coefs_] == [c.shape for c in fitted[1].coefs_]
            assert len(fitted[0].loss_curve_) == 5 and fitted[0].loss_ == fitted[0].loss_curve_[-1]
            assert (fitted[0].validation_scores_ is None) == (not early)


def test_parameters_of_scikit_learn_have_its_defaults():
    for kind, their_kind in ((MLPClassifier, TheirClassifier), (MLPRegressor, TheirRegressor)):
        ours, theirs = kind().get_params(), their_kind().get_params()
        assert {name: ours[name] for name in theirs} == theirs


@pytest.mark.parametrize(
    "solver", ["sgd", "adam", "adamw", "adamax", "rmsprop", "adagrad", "rprop", "lbfgs", fastml.SGD(0.1, 0.9)]
)
def test_every_solver_learns(solver):
    rate = {"sgd": 0.1, "adagrad": 0.05}.get(solver if isinstance(solver, str) else "", 0.01)
    model = MLPClassifier((16,), solver=solver, learning_rate_init=rate, max_iter=100, random_state=0).fit(*IRIS)
    assert model.score(*IRIS) > 0.95


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson", fastml.Huber(2.0)])
def test_every_loss_learns(loss):
    model = MLPRegressor(loss, (16,), max_iter=100, learning_rate_init=0.01, random_state=0).fit(*DIABETES)
    assert model.score(*DIABETES) > 0.45


def test_layers_may_differ():
    activations = ["tanh", "relu", fastml.Activation("leaky_relu", 0.2)]
    model = MLPClassifier((6, 5, 4), activations, dropout=[0.5, 0.0, 0.2], max_iter=2).fit(*IRIS)
    found = [type(layer).__name__ for layer in model.model_.layers]
    assert found == ["Normalization", "Dense", "Dropout", "Dense", "Dense", "Dropout", "Dense"]
    dense = [layer for layer in model.model_.layers if isinstance(layer, fastml.Dense)]
    assert [layer.activation for layer in dense] == ["tanh", "relu", "leaky_relu", "softmax"]


def test_balanced_classes_weigh_the_same():
    X, y = IRIS[0][:110], IRIS[1][:110]  # 50, 50 and 10
    balanced = MLPClassifier(class_weight="balanced", **SMALL).fit(X, y)
    weighted = MLPClassifier(**SMALL).fit(X, y, compute_sample_weight("balanced", y))
    by_hand = MLPClassifier(class_weight={0: 1, 1: 1, 2: 5}, **SMALL).fit(X, y)
    np.testing.assert_array_equal(balanced.predict_proba(X), weighted.predict_proba(X))
    np.testing.assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X), rtol=1e-6)


def test_own_validation_rows():
    """They are scored after each epoch, also without early stopping; with it, the best weights come back."""
    X, y = CANCER
    rows = {"X_val": X[400:], "y_val": y[400:]}
    model = MLPClassifier(max_iter=6, random_state=0).fit(X[:400], y[:400], **rows)
    assert len(model.validation_scores_) == len(model.history_["val_loss"]) == 6
    assert model.validation_scores_[-1] == model.score(X[400:], y[400:])
    stopped = MLPClassifier(early_stopping=True, learning_rate_init=0.05, n_iter_no_change=3, random_state=0)
    stopped.fit(X[:400], y[:400], **rows)
    assert stopped.n_iter_ < 200
    assert stopped.score(X[400:], y[400:]) == stopped.best_validation_score_ == max(stopped.validation_scores_)


@pytest.mark.parametrize(
    "scoring", ["roc_auc", "neg_log_loss", lambda model, X, y: -np.abs(model.predict(X) - y).sum()]
)
def test_any_scorer_decides(scoring):
    X, y = CANCER
    model = MLPClassifier(early_stopping=True, scoring=scoring, max_iter=20, random_state=0).fit(X, y)
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_epochs_end_where_scikit_learn_ends_them():
    """By the same rule, applied to our losses."""
    model = MLPClassifier(tol=1e-2, n_iter_no_change=4, max_iter=500, random_state=0).fit(*IRIS)
    best, count = np.inf, 0
    for epoch, loss in enumerate(model.loss_curve_, 1):  # noqa: B007 - its last value counts
        count = count + 1 if loss > best - 1e-2 else 0
        best = min(best, loss)
        if count > 4:
            break
    assert model.n_iter_ == epoch < 500
    assert model.best_loss_ == best


@pytest.mark.parametrize("parameters", [{}, {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1}])
def test_it_ends_and_weighs_the_same_whether_one_looks_at_each_epoch(parameters):
    """Without callbacks, epochs pass until the loss makes no progress; 'adaptive' then goes on with a lower rate."""
    for kind, (X, y) in ((MLPClassifier, IRIS), (MLPRegressor, DIABETES)):
        options = {"tol": 1e-2, "n_iter_no_change": 3, "max_iter": 300, "random_state": 0, **parameters}
        passed, looked = (kind(callbacks=c, **options).fit(X, y) for c in (None, [fastml.Callback()]))
        assert passed.loss_curve_ == looked.loss_curve_ and passed.n_iter_ == looked.n_iter_ < 300
        for found, expected in zip(passed.coefs_, looked.coefs_, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_lbfgs_trains_with_all_rows_also_where_others_would_stop_early():
    plain, early = (MLPClassifier(solver="lbfgs", early_stopping=e, **SMALL).fit(*IRIS) for e in (False, True))
    np.testing.assert_array_equal(plain.predict_proba(IRIS[0]), early.predict_proba(IRIS[0]))


def test_callbacks_see_each_epoch():
    seen = []

    class Note(fastml.Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append((epoch, logs["loss"]))
            self.model.stop_training = epoch == 2

    model = MLPClassifier(callbacks=[Note()], max_iter=50, random_state=0).fit(*IRIS)
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    assert model.loss_curve_ == [loss for _, loss in seen]


def test_warm_start_goes_on():
    model = MLPRegressor(warm_start=True, **SMALL).fit(*DIABETES)
    first = model.coefs_[0]
    model.fit(*DIABETES)
    assert len(model.loss_curve_) == 10 and model.loss_curve_[5] < model.loss_curve_[0]
    assert not np.array_equal(model.coefs_[0], first)


def test_partial_fit_of_labels():
    X, y = LABELS
    model = MLPClassifier((16,), learning_rate_init=0.01, random_state=0)
    for _ in range(150):
        model.partial_fit(X, y)
    assert model.predict_proba(X).shape == y.shape and model.score(X, y) > 0.7
    assert len(model.loss_curve_) == 150


def test_the_dtype_is_that_of_the_data_or_as_told():
    X, y = IRIS
    for dtype, given, expected in (
        ("auto", np.float32, "float32"),
        ("auto", int, "float64"),
        ("float32", float, "float32"),
    ):
        model = MLPClassifier(dtype=dtype, **SMALL).fit(X.astype(given), y)
        assert model.model_.dtype == expected == model.predict_proba(X).dtype == model.coefs_[0].dtype


def test_a_new_fit_takes_the_dtype_of_its_data():
    model = MLPClassifier(**SMALL).fit(IRIS[0].astype(np.float32), IRIS[1])
    assert model.fit(*IRIS).model_.dtype == "float64"


def test_what_is_refused_leaves_no_trace():
    model = MLPClassifier(**SMALL).fit(*IRIS)
    expected, before = model.predict_proba(IRIS[0]), set(vars(model))
    for X, y, parameters in (
        (IRIS[0][:, :2] * np.nan, IRIS[1], {}),
        (IRIS[0][:, :2] * np.inf, IRIS[1], {}),
        (IRIS[0][:, :2], IRIS[1][:10], {}),
        (IRIS[0][:, :2], IRIS[1] * 0.5 + 0.1, {}),
        (IRIS[0][:, :2], IRIS[1], {"activation": "rectify"}),
        (IRIS[0][:, :2], IRIS[1], {"loss": fastml.BinaryCrossentropy()}),
        (IRIS[0][:5], IRIS[1][:5], {"early_stopping": True}),
        (*IRIS, {"callbacks": [3]}),
        (*IRIS, {"callbacks": [3], "warm_start": True}),
    ):
        kept = model.get_params()
        with pytest.raises((TypeError, ValueError)):
            model.set_params(**parameters).fit(X, y)
        model.set_params(**kept)
        assert set(vars(model)) == before and len(model.loss_curve_) == 5
        np.testing.assert_array_equal(model.predict_proba(IRIS[0]), expected)


def test_threads_are_limited_during_the_fit_alone(monkeypatch):
    found, before = [], fastml.get_num_threads()

    class Note(fastml.Callback):
        def on_epoch_end(self, epoch, logs):
            found.append(fastml.get_num_threads())

    MLPClassifier(n_threads=1, callbacks=[Note()], **SMALL).fit(*IRIS)
    assert set(found) == {1} and fastml.get_num_threads() == before


def test_meta_estimators():
    search = GridSearchCV(MLPClassifier(**SMALL), {"alpha": [1e-4, 1e-2]}, n_jobs=2, cv=3).fit(*IRIS)
    assert set(search.best_params_) == {"alpha"}
    pipeline = make_pipeline(FunctionTransformer(), MLPRegressor(max_iter=50, random_state=0))
    assert cross_val_score(pipeline, *DIABETES, cv=3).shape == (3,)
    weights = np.where(IRIS[1] == 2, 0.0, 1.0)
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(FunctionTransformer(), MLPClassifier(**SMALL).set_fit_request(sample_weight=True))
        routed.fit(*IRIS, sample_weight=weights)
    direct = MLPClassifier(**SMALL).fit(*IRIS, weights)
    np.testing.assert_array_equal(routed.predict_proba(IRIS[0]), direct.predict_proba(IRIS[0]))
    assert not np.array_equal(direct.coefs_[0], MLPClassifier(**SMALL).fit(*IRIS).coefs_[0])


def test_copies_predict_the_same_and_go_on(tmp_path):
    X, y = IRIS
    model = MLPClassifier(**SMALL).partial_fit(X, y, classes=[0, 1, 2])
    joblib.dump(model, tmp_path / "model")
    copies = [pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")]
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    for one in (model, *copies):
        one.partial_fit(X, y)
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert not hasattr(clone(model), "model_")


def test_ctrl_c_keeps_what_was_trained():
    class Interrupt(fastml.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 3:
                raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = MLPClassifier(callbacks=[Interrupt()], random_state=0).fit(*IRIS)
    assert model.n_iter_ == 4 and model.predict(IRIS[0]).shape == (150,)


def test_it_warns_where_it_has_not_converged():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match="not converged in max_iter=5"):
            MLPClassifier(**SMALL).fit(*IRIS)


MISTAKES = {
    "hidden_layer_sizes must be whole numbers > 0": {"hidden_layer_sizes": (5, 0)},
    "activation has 2 entries for 1 hidden layers": {"activation": ["relu", "relu"]},
    "dropout has 3 entries for 1": {"dropout": [0.1, 0.2, 0.3]},
    "activation 'rectify' is unknown; there are: identity, logistic, ": {"activation": "rectify"},
    "'solver' parameter": {"solver": "newton"},
    "'learning_rate_init' parameter": {"learning_rate_init": 0.0},
    "'dtype' parameter": {"dtype": "float16"},
    "does not fit multiclass targets: they take SparseCategoricalCrossentropy": {"loss": fastml.BinaryCrossentropy()},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_in_parameters(message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**MISTAKES[message]).fit(*IRIS)


def test_mistakes_in_calls():
    X, y = IRIS
    for warm in (False, True):
        with pytest.raises(ValueError, match="sample_weight holds -1 at row 0"):
            MLPClassifier(warm_start=warm, max_iter=1).fit(X, y).fit(X, y, -np.ones(150))
    for parameters in ({"batch_normalization": True}, {"dropout": 0.1}):
        with pytest.raises(ValueError, match="need a solver that goes in steps"):
            MLPClassifier(solver="lbfgs", **parameters).fit(X, y)
    with pytest.raises(ValueError, match="X_val needs a solver that goes in steps"):
        MLPClassifier(solver="lbfgs").fit(X, y, X_val=X, y_val=y)
    for changes in ("adaptive", "invscaling"):
        with pytest.raises(ValueError, match="changes a number, but learning_rate_init is CosineDecay"):
            MLPClassifier(solver="sgd", learning_rate=changes, learning_rate_init=fastml.CosineDecay(0.1)).fit(X, y)
    with pytest.raises(ValueError, match="X_val needs y_val"):
        MLPClassifier().fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="come with X_val, which is missing"):
        MLPClassifier().fit(X, y, y_val=y)
    with pytest.raises(ValueError, match="validation set is too small: 1 rows"):
        MLPRegressor(early_stopping=True).fit(X[:5], X[:5, 0])
    with pytest.raises(ValueError, match="classes not in"):
        MLPClassifier(max_iter=1).fit(X[:100], y[:100], X_val=X, y_val=y)
    with pytest.raises(ValueError, match="must be passed on the first call"):
        MLPClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="is for classes: use MLPClassifier"):
        MLPRegressor(fastml.BinaryCrossentropy()).fit(X, y)
    with pytest.raises(ValueError, match="are negative, but the poisson loss"):
        MLPRegressor("poisson").fit(X, y - 1.0)
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lbfgs").partial_fit(X, y, classes=[0, 1, 2])
    model = MLPRegressor(max_iter=1, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="y has 2 columns, but the estimator was fitted to 1"):
        model.fit(X, X[:, :2])
    digits = load_digits(n_class=2, return_X_y=True)
    with pytest.raises(ValueError, match="features"):
        model.predict(digits[0])
