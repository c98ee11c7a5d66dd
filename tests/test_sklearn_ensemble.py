"""Estimators with several networks: n_ensemble, bootstrap, out-of-bag scores, spread, time limits, and their files."""

import os
import signal
import threading
import time

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import cross_val_predict

import fastml
from fastml import Ensemble
from fastml.callbacks import LambdaCallback
from fastml.sklearn import MLPClassifier, MLPRegressor, side_by_side

X, Y = load_iris(return_X_y=True)
XR, YR = make_regression(200, 4, random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**parameters):
    return MLPClassifier((8,), random_state=0, **{"n_ensemble": 3, "max_iter": 20, **parameters})


def regressor(**parameters):
    return MLPRegressor(hidden_layer_sizes=(8,), random_state=0, **{"n_ensemble": 3, "max_iter": 20, **parameters})


def test_probabilities_and_predictions_are_means_over_the_members():
    fitted = classifier().fit(X, Y)
    each = np.stack([member.predict_proba(X) for member in fitted.estimators_])
    assert isinstance(fitted.model_, Ensemble) and len(fitted.estimators_) == 3
    np.testing.assert_allclose(fitted.predict_proba(X), each.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.spread(X), each.std(axis=0), atol=1e-12)
    np.testing.assert_array_equal(fitted.predict(X), each.mean(axis=0).argmax(axis=1))
    assert fitted.predict_one(X[3]) == fitted.predict(X[3:4])[0]

    fitted = regressor().fit(XR, YR)
    each = np.stack([member.predict(XR) for member in fitted.estimators_])
    np.testing.assert_allclose(fitted.predict(XR), each.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(fitted.spread(XR), each.std(axis=0), rtol=1e-9)


def test_spread_of_two_classes_has_a_column_for_each():
    fitted = classifier().fit(X[:100], Y[:100])
    each = np.stack([member.predict_proba(X) for member in fitted.estimators_])
    np.testing.assert_allclose(fitted.spread(X), each.std(axis=0), atol=1e-12)


def test_members_differ_and_random_state_repeats_them():
    first, second = classifier(bootstrap=True).fit(X, Y), classifier(bootstrap=True).fit(X, Y)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    weights = [member.coefs_[0] for member in first.estimators_]
    assert not np.array_equal(weights[0], weights[1])
    third = clone(first).set_params(random_state=1).fit(X, Y)
    assert not np.array_equal(first.predict_proba(X), third.predict_proba(X))


@pytest.mark.parametrize("parameters", [{}, {"bootstrap": True}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_bits_do_not_depend_on_threads_nor_on_who_runs_them(parameters):
    alone = classifier(n_threads=1, **parameters).fit(X, Y)
    beside = classifier(**parameters).fit(X, Y)
    np.testing.assert_array_equal(alone.predict_proba(X), beside.predict_proba(X))
    proba = cross_val_predict(classifier(**parameters), X, Y, method="predict_proba", cv=3)
    with side_by_side():
        np.testing.assert_array_equal(
            cross_val_predict(classifier(**parameters), X, Y, method="predict_proba", cv=3), proba
        )


def test_a_member_is_what_its_seed_gives_alone():
    """Without bootstrap and rows to stop early by, a member has all rows: so it is a network by itself."""
    fitted = regressor().fit(XR, YR)
    member = fitted.estimators_[1]
    alone = regressor(n_ensemble=1).set_params(random_state=member.random_state).fit(XR, YR)
    np.testing.assert_array_equal(member.predict(XR), alone.predict(XR))
    assert member.loss_curve_ == alone.loss_curve_


def test_out_of_bag_scores_are_of_rows_that_members_have_not_seen():
    """A member that learns its rows by heart and nothing else is worthless for the others."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 20)), draw.integers(0, 2, 60)
    fitted = MLPClassifier((64,), max_iter=300, random_state=0, n_ensemble=20, bootstrap=True, oob_score=True)
    fitted.fit(x, y)
    assert fitted.score(x, y) > 0.95
    assert fitted.oob_score_ < 0.75
    known = ~np.isnan(fitted.oob_decision_function_[:, 0])
    assert fitted.oob_score_ == accuracy_score(y[known], fitted.oob_decision_function_[known].argmax(axis=1))

    fitted = regressor(n_ensemble=40, bootstrap=True, oob_score=True).fit(XR, YR)
    assert fitted.oob_prediction_.shape == YR.shape
    assert fitted.oob_score_ == r2_score(YR, fitted.oob_prediction_)


def test_rows_in_all_bags_are_told():
    with pytest.warns(UserWarning, match="rows are in the bags of all networks"):
        fitted = classifier(n_ensemble=2, bootstrap=True, oob_score=True).fit(X, Y)
    assert np.isnan(fitted.oob_decision_function_).any()


def test_early_stopping_parts_the_rows_of_each_member_anew():
    fitted = classifier(early_stopping=True, n_ensemble=4, max_iter=60).fit(X, Y)
    scores = [member.validation_scores_ for member in fitted.estimators_]
    assert all(member.best_epoch_ >= 1 for member in fitted.estimators_)
    assert len({tuple(each) for each in scores}) > 1
    best = [member.best_validation_score_ for member in fitted.estimators_]
    assert fitted.best_validation_score_ == pytest.approx(np.mean(best))
    assert fitted.n_iter_ == max(member.n_iter_ for member in fitted.estimators_)
    assert fitted.validation_scores_[0] == pytest.approx(np.mean([each[0] for each in scores]))


def test_what_stands_before_the_networks_is_common(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("abcd")).assign(kind=np.where(X[:, 0] > 5, "long", None))
    fitted = classifier(bootstrap=True, oob_score=True, n_ensemble=40).fit(table, Y)
    assert all(member.encoder_ is fitted.encoder_ for member in fitted.estimators_)
    fitted.save(tmp_path / "table.safetensors")
    again = fastml.load(tmp_path / "table.safetensors")
    trained = fastml.load_predictor(tmp_path / "table.safetensors")
    np.testing.assert_array_equal(again.predict_proba(table), fitted.predict_proba(table))
    np.testing.assert_array_equal(trained.predict_proba(table), fitted.predict_proba(table))
    np.testing.assert_array_equal(trained.spread(table), fitted.spread(table))
    assert again.oob_score_ == fitted.oob_score_
    assert [m.loss_curve_ for m in again.estimators_] == [m.loss_curve_ for m in fitted.estimators_]
    np.testing.assert_array_equal(again.estimators_[2].predict_proba(table), fitted.estimators_[2].predict_proba(table))


def test_warm_start_goes_on_with_each_member(tmp_path):
    fitted = regressor(warm_start=True).fit(XR, YR)
    losses = [member.loss_ for member in fitted.estimators_]
    fitted.save(tmp_path / "warm.safetensors")
    again = fastml.load(tmp_path / "warm.safetensors").fit(XR, YR)
    fitted.fit(XR, YR)
    assert all(member.loss_ < loss for member, loss in zip(fitted.estimators_, losses, strict=True))
    assert len(fitted.estimators_[0].loss_curve_) == 40
    np.testing.assert_array_equal(again.predict(XR), fitted.predict(XR))
    for count in (1, 4):
        with pytest.raises(ValueError, match=f"n_ensemble is {count}, but warm_start goes on with .*: 3"):
            fitted.set_params(n_ensemble=count).fit(XR, YR)
    alone = regressor(n_ensemble=1, warm_start=True).fit(XR, YR)
    with pytest.raises(ValueError, match="n_ensemble is 3, but warm_start goes on with .*: 1"):
        alone.set_params(n_ensemble=3).fit(XR, YR)


def test_sparse_rows_gaps_and_weights_go_as_with_one_network():
    sparse = pytest.importorskip("scipy.sparse")
    weights = np.where(Y == 1, 2.0, 1.0)
    dense = classifier().fit(X, Y, sample_weight=weights)
    np.testing.assert_array_equal(
        classifier().fit(sparse.csr_matrix(X), Y, sample_weight=weights).predict_proba(X), dense.predict_proba(X)
    )
    holed = X.copy()
    holed[::7, 2] = np.nan
    assert classifier(bootstrap=True).fit(holed, Y).score(holed, Y) > 0.5
    outputs = regressor().fit(XR, np.column_stack([YR, -YR]))
    assert outputs.predict(XR).shape == outputs.spread(XR).shape == (200, 2)


def test_callbacks_are_copied_for_each_member():
    seen = []
    callback = LambdaCallback(on_train_begin=lambda logs: seen.append("begin"))
    classifier(callbacks=[callback]).fit(X, Y)
    assert seen == ["begin"] * 3


def test_an_error_names_the_member_and_leaves_no_trace():
    class Fails(fastml.Callback):
        count = []

        def on_epoch_end(self, epoch, logs):
            self.count.append(epoch)
            if len(self.count) == 30:
                raise RuntimeError("as it were")

    estimator = classifier(callbacks=[Fails()])
    with pytest.raises(RuntimeError, match=r"^member \d: as it were"):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "model_") and not hasattr(estimator, "estimators_")


def test_ctrl_c_keeps_the_members_as_they_are():
    class Stops(fastml.Callback):
        count = []

        def on_epoch_end(self, epoch, logs):
            self.count.append(epoch)
            if len(self.count) == 40:
                raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        fitted = classifier(callbacks=[Stops()], max_iter=1000, tol=0).fit(X, Y)
    assert fitted.predict(X).shape == (150,) and 1 <= len(fitted.estimators_) <= 3
    assert 40 <= len(Stops.count) < 1000


def test_a_time_limit_ends_one_network_and_many():
    endless = {"max_iter": 10**7, "n_iter_no_change": np.inf, "tol": 0}
    for parameters in ({"n_ensemble": 1}, {"n_ensemble": 3}, {"n_ensemble": 1, "early_stopping": True}):
        start = time.perf_counter()
        fitted = classifier(time_limit=0.3, **parameters).set_params(**endless).fit(X, Y)
        assert time.perf_counter() - start < 30
        assert fitted.n_iter_ > 0 and (fitted.early_stopping or fitted.score(X, Y) > 0.6)


@pytest.mark.filterwarnings("ignore:.*rows are in the bags of all networks")
def test_a_time_limit_that_leaves_out_members_says_so():
    """Also with out-of-bag scores, which are those of the members that there are."""
    x, y = np.tile(X, (100, 1)), np.tile(Y, 100)
    endless = {"max_iter": 10**7, "n_iter_no_change": np.inf, "tol": 0, "time_limit": 0.3}
    with pytest.warns(UserWarning, match=r"time_limit has ended the training: \d+ of 50 networks are there"):
        fitted = classifier(n_ensemble=50, bootstrap=True, oob_score=True, **endless).fit(x, y)
    assert 1 <= len(fitted.estimators_) == len(fitted.model_) < 50
    assert 0 < fitted.oob_score_ <= 1


def test_a_time_limit_counts_for_lbfgs():
    x, y = np.tile(X, (300, 1)), np.tile(Y, 300)
    endless = {"solver": "lbfgs", "max_iter": 10**6, "max_fun": 10**7, "tol": 0, "n_ensemble": 1}
    start = time.perf_counter()
    fitted = MLPClassifier((300, 300), random_state=0, time_limit=0.5, **endless).fit(x, y)
    assert time.perf_counter() - start < 20
    assert fitted.n_iter_ >= 1 and fitted.score(x, y) > 0.5


def test_bootstrap_draws_among_the_rows_that_count():
    weights = np.zeros(150)
    weights[[0, 60]] = 1
    fitted = classifier(bootstrap=True, n_ensemble=8).fit(X, Y, sample_weight=weights)
    assert len(fitted.estimators_) == 8


def test_a_time_limit_before_the_first_epoch_keeps_what_there_is():
    x, y = np.tile(X, (200, 1)), np.tile(Y, 200)
    fitted = classifier(n_ensemble=1, time_limit=1e-9, early_stopping=True, batch_size=1).fit(x, y)
    assert fitted.n_iter_ == 0 and fitted.best_validation_score_ is None
    assert fitted.predict(x).shape == y.shape
    with pytest.warns(UserWarning, match="time_limit has ended the training: 1 of 3 networks"):
        fitted = classifier(time_limit=1e-9, batch_size=1).fit(x, y)
    assert fitted.predict(x).shape == y.shape


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"n_ensemble": 1, "bootstrap": True}, "bootstrap=True is for ensembles"),
        ({"n_ensemble": 1, "oob_score": True}, "oob_score=True is for ensembles"),
        ({"oob_score": True}, "needs bootstrap=True"),
        ({"n_ensemble": 0}, "'n_ensemble' parameter"),
        ({"n_ensemble": 2.5}, "'n_ensemble' parameter"),
        ({"time_limit": 0}, "'time_limit' parameter"),
        ({"time_limit": "1 s"}, "'time_limit' parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(parameters, told):
    with pytest.raises(ValueError, match=told):
        classifier(**parameters).fit(X, Y)


def test_what_is_for_one_network_or_for_several_says_so():
    with pytest.raises(AttributeError) as caught:
        classifier().partial_fit(X, Y)
    assert "n_ensemble=1" in str(caught.value.__cause__)
    with pytest.raises(AttributeError) as caught:
        classifier(n_ensemble=1).fit(X, Y).spread(X)
    assert "n_ensemble of 2 or more" in str(caught.value.__cause__)
    with pytest.raises(AttributeError, match="see those of estimators_"):
        classifier().fit(X, Y).coefs_  # noqa: B018


@pytest.mark.filterwarnings("default")
def test_the_warning_says_how_many_have_not_converged():
    with pytest.warns(ConvergenceWarning, match=r"max_iter=20 epochs.*\(3 of 3 networks have not\)") as caught:
        classifier().fit(X, Y)
    assert caught[0].filename == __file__


@pytest.mark.skipif(os.name == "nt", reason="signals are sent to this process")
def test_ctrl_c_ends_members_that_take_no_steps():
    """By lbfgs, each trains as a whole."""
    x, y = np.tile(X, (100, 1)), np.tile(Y, 100)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        fitted = MLPClassifier((50,), solver="lbfgs", max_iter=200, tol=0, n_ensemble=200, random_state=0).fit(x, y)
    assert 1 <= len(fitted.estimators_) < 200


@pytest.mark.filterwarnings("ignore:time_limit has ended")
def test_warm_start_keeps_members_that_time_does_not_reach():
    x, y = np.tile(X, (50, 1)), np.tile(Y, 50)
    fitted = classifier(n_ensemble=4, warm_start=True, bootstrap=True).fit(x, y)
    fitted.set_params(time_limit=1e-9).fit(x, y)
    assert len(fitted.estimators_) == len(fitted.model_) == 4
    fitted.set_params(time_limit=None).fit(x, y)


def test_a_warm_start_that_fails_leaves_what_belongs_together():
    class Fails(fastml.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 3:
                raise RuntimeError("as it were")

    fitted = classifier(warm_start=True).fit(X, Y)
    with pytest.raises(RuntimeError, match="as it were"):
        fitted.set_params(callbacks=[Fails()]).fit(X, Y)
    curves = [member.loss_curve_ for member in fitted.estimators_]
    assert len(curves) == 3 and max(map(len, curves)) == len(fitted.loss_curve_) > 20
    each = np.mean([member.predict_proba(X) for member in fitted.estimators_], axis=0)
    np.testing.assert_allclose(fitted.predict_proba(X), each, rtol=1e-12)


def test_what_a_model_is_counts_and_not_what_a_parameter_says(tmp_path):
    fitted = classifier().fit(X, Y).set_params(n_ensemble=1)
    fitted.save(tmp_path / "three.safetensors")
    again = fastml.load(tmp_path / "three.safetensors")
    np.testing.assert_array_equal(again.spread(X), fitted.spread(X))
    with pytest.raises(AttributeError) as caught:
        fitted.partial_fit(X, Y)
    assert "single network" in str(caught.value.__cause__)


def test_few_rows_share_the_time_among_their_folds():
    x, y = X[::3], Y[::3]
    endless = {"max_iter": 10**6, "n_iter_no_change": np.inf, "tol": 0, "n_ensemble": 1}
    start = time.perf_counter()
    fitted = classifier(early_stopping=True, time_limit=1.0, **endless).fit(x, y)
    assert time.perf_counter() - start < 20
    assert fitted.n_iter_ > 0 and fitted.predict(x).shape == y.shape
