"""scikit-learn's own machinery with trainings side by side: the bits of one after the other, and errors as ever."""

import os
import signal
import threading
import time
import warnings

import joblib
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: there are no estimators")

from sklearn.base import clone  # noqa: E402
from sklearn.ensemble import BaggingClassifier  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    RandomizedSearchCV,
    RepeatedKFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import fastml  # noqa: E402
from fastml.sklearn import MLPClassifier, MLPRegressor, side_by_side  # noqa: E402
from fastml.sklearn.backend import Task  # noqa: E402
from fastml.training.side_by_side import SideBySide  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = X[:, 0] * X[:, 1]
LABELS = np.array(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 1)]
CLASSIFIER = MLPClassifier((8,), max_iter=5, random_state=0)
REGRESSOR = MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, random_state=0)
GRID = {"hidden_layer_sizes": [(3,), (5, 4)], "alpha": [1e-4, 1e-2], "solver": ["adam", "sgd", "lbfgs"]}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def taken(monkeypatch):
    """How many trainings were run side by side, and by how many threads."""
    found, begin = [], SideBySide.begin

    def noted(self, training):
        found.append(self.threads)
        return begin(self, training)

    monkeypatch.setattr(SideBySide, "begin", noted)
    monkeypatch.setattr("fastml.program.threads.available", lambda: 4)
    return found


CALLS = {
    "cross_validate": (lambda: cross_validate(CLASSIFIER, X, LABELS, cv=4, return_train_score=True), 4),
    "repetitions": (lambda: cross_validate(REGRESSOR, X, Y, cv=RepeatedKFold(n_splits=3, n_repeats=2)), None),
    "several scores": (lambda: cross_validate(REGRESSOR, X, Y, scoring=["r2", "neg_mean_absolute_error"]), 5),
    "predictions": (lambda: cross_val_predict(CLASSIFIER, X, LABELS, method="predict_proba"), 5),
    "weights": (lambda: cross_validate(REGRESSOR, X, Y, params={"sample_weight": np.linspace(1, 2, 120)}), 5),
    "early stopping": (lambda: cross_validate(clone(CLASSIFIER).set_params(early_stopping=True), X, LABELS), None),
    "grid": (lambda: searched(GridSearchCV(CLASSIFIER, GRID, cv=3)), 36),
    "random": (lambda: searched(RandomizedSearchCV(REGRESSOR, GRID, n_iter=4, random_state=0), Y), 20),
    "pipeline": (lambda: cross_validate(make_pipeline(StandardScaler(), CLASSIFIER), X, LABELS), 5),
    "bagging": (lambda: BaggingClassifier(CLASSIFIER, random_state=0).fit(X, LABELS).predict_proba(X), None),
    "learning curve": (lambda: learning_curve(REGRESSOR, X, Y, cv=3)[1:3], 15),
    "search in folds": (lambda: cross_validate(GridSearchCV(REGRESSOR, {"alpha": [0.1, 1]}, cv=2), X, Y, cv=2), None),
    "others": (lambda: cross_validate(LogisticRegression(), X, LABELS), 0),
}


def searched(search, y=LABELS):
    search.fit(X, y)
    kept = {name: values for name, values in search.cv_results_.items() if "time" not in name}
    return {**kept, "best": search.predict(X)}


def plain(found):
    """Results as arrays by name, without what time they took."""
    if isinstance(found, dict):
        return {name: np.ma.asarray(values).tolist() for name, values in found.items() if "time" not in name}
    return {k: np.asarray(values).tolist() for k, values in enumerate(found)}


@pytest.mark.parametrize("name", CALLS)
def test_results_are_those_of_one_after_the_other(name, taken):
    call, count = CALLS[name]
    np.random.seed(0)  # noqa: NPY002, as repetitions without a random_state draw from it
    expected = plain(call())
    assert not taken
    np.random.seed(0)  # noqa: NPY002
    with side_by_side():
        found = plain(call())
    assert found == expected and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert count is None or (len(taken) == count and set(taken) <= {4})


def test_the_number_of_threads(taken):
    with side_by_side(n_threads=2):
        cross_validate(REGRESSOR, X, Y)
        assert set(taken) == {2}
        cross_validate(REGRESSOR, X, Y, n_jobs=1)  # one after the other, as asked for
    assert len(taken) == 5 and fastml.get_num_threads() == 4


def test_an_error_is_that_of_its_own_training(taken):
    wrong = {"alpha": [0.1, -1.0, 0.2]}
    warnings.filterwarnings("ignore", message="One or more of the test scores are non-finite")
    with side_by_side(), pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 9"):
        search = GridSearchCV(REGRESSOR, wrong, cv=3).fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True, False]
    with side_by_side(), pytest.raises(ValueError, match="alpha"):
        GridSearchCV(REGRESSOR, wrong, cv=3, error_score="raise").fit(X, Y)
    with side_by_side():
        assert np.isfinite(cross_validate(REGRESSOR, X, Y)["test_score"]).all()
    assert threading.active_count() == threads_without_tasks()


def threads_without_tasks():
    return sum(not isinstance(getattr(thread._target, "__self__", None), Task) for thread in threading.enumerate())


def test_time_limit(taken):
    long = clone(REGRESSOR).set_params(max_iter=10**6, tol=0, n_iter_no_change=10**6)
    grid = {"max_iter": [2, 2000]}
    start = time.perf_counter()
    with side_by_side(time_limit=0.5), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(long, {**grid, "alpha": np.linspace(0, 1, 40)}, cv=3).fit(X, Y)
    assert time.perf_counter() - start < 30
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores[0]) and np.isnan(scores[-1])
    assert search.best_score_ == np.nanmax(scores)


@pytest.mark.skipif(os.name == "nt", reason="signals are sent to this process")
def test_ctrl_c_ends_all(taken):
    long = clone(REGRESSOR).set_params(max_iter=10**7, tol=0, n_iter_no_change=10**7)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.perf_counter()
    with side_by_side(), warnings.catch_warnings(), pytest.raises(KeyboardInterrupt):
        warnings.simplefilter("ignore")
        cross_validate(long, X, Y)
    assert time.perf_counter() - start < 10
    assert threading.active_count() == threads_without_tasks()
    with side_by_side():
        assert np.isfinite(cross_validate(REGRESSOR, X, Y)["test_score"]).all()


def test_warnings_are_as_ever():
    with side_by_side(), pytest.warns(ConvergenceWarning, match="has not converged in max_iter=5"):
        cross_validate(REGRESSOR, X, Y, cv=2)


@pytest.mark.skipif(os.name == "nt", reason="signals are sent to this process")
def test_a_signal_ends_all_after_some_have_ended(taken):
    """What a handler raises is no error of a single training, whatever came before."""

    class Alarm(Exception):
        pass

    def ring(number, frame):
        raise Alarm

    long = clone(REGRESSOR).set_params(max_iter=10**7, tol=0, n_iter_no_change=10**7)
    search = GridSearchCV(long, [{"max_iter": [2]}, {"alpha": [0.1]}], cv=3, refit=False)
    before = signal.signal(signal.SIGTERM, ring)
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        with side_by_side(), warnings.catch_warnings(), pytest.raises(Alarm):
            warnings.simplefilter("ignore")
            search.fit(X, Y)
        assert signal.getsignal(signal.SIGTERM) is ring
    finally:
        timer.join()
        signal.signal(signal.SIGTERM, before)
    assert threading.active_count() == threads_without_tasks()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_lock_around_fit_is_no_deadlock(n_threads):
    lock = threading.Lock()

    def scored(seed):
        with lock:
            return clone(CLASSIFIER).set_params(random_state=seed).fit(X, LABELS).score(X, LABELS)

    alone = [scored(seed) for seed in range(6)]
    with side_by_side(n_threads):
        assert joblib.Parallel(n_jobs=-1)(joblib.delayed(scored)(seed) for seed in range(6)) == alone


@pytest.mark.skipif(os.name == "nt", reason="signals are sent to this process")
def test_ctrl_c_reaches_tasks_that_wait():
    waited = threading.Event()
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    start = time.perf_counter()
    timer.start()
    with side_by_side(), pytest.raises(KeyboardInterrupt):
        joblib.Parallel(n_jobs=-1)(joblib.delayed(waited.wait)(60) for _ in range(4))
    assert time.perf_counter() - start < 30
    waited.set()


@pytest.mark.skipif(os.name == "nt", reason="signals are sent to this process")
def test_ctrl_c_leaves_no_thread_behind():
    long = clone(REGRESSOR).set_params(max_iter=10**7, tol=0, n_iter_no_change=10**7)
    for seconds in (0.1, 0.2, 0.3):
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
        with side_by_side(), pytest.raises(KeyboardInterrupt):
            cross_validate(long, X, Y, cv=30)
        assert threading.active_count() == threads_without_tasks()


def test_a_task_that_takes_its_time_holds_up_nobody():
    """It waits for another, which ends only if that may go on."""
    done = threading.Event()

    def waits(number):
        if number == 0:
            return done.wait(60)
        clone(CLASSIFIER).fit(X, LABELS)
        if number == 3:
            done.set()
        return True

    with side_by_side(2):
        assert joblib.Parallel(n_jobs=-1)(joblib.delayed(waits)(number) for number in range(4)) == [True] * 4
