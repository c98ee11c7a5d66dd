"""Chunks of many models as tasks of joblib: processes of this machine by loky, and a cluster of Dask."""

import os
import signal
import time

import numpy as np
import pytest

joblib = pytest.importorskip("joblib", reason="joblib comes with scikit-learn, which is not installed")

import fastml  # noqa: E402
from fastml import SGD, Dense, Sequential, Task, fit_chunks, fit_many  # noqa: E402

X = np.random.default_rng(0).normal(size=(80, 3))
Y = X[:, :1] * X[:, 1:2]
pytestmark = pytest.mark.filterwarnings(r"ignore:\d+ of \d+ models failed:UserWarning")


def net(seed=1, rate=0.01):
    model = Sequential([Dense(4, "tanh"), Dense(1)], seed=seed)
    model.compile(SGD(rate), "mse")
    return model


def tasks(count=11):
    folds = np.arange(80) % 4
    return [Task(lambda seed=seed: net(seed), rows=folds != seed % 4) for seed in range(count)]


def same(found, expected):
    assert [result.number for result in found] == list(range(len(expected)))
    for result, other in zip(found, expected, strict=True):
        assert result.finished and result.history.history == other.history.history
        for one, two in zip(result.model.get_weights(), other.model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


def test_processes_give_the_bits_of_one():
    expected = fit_many(tasks(), X, Y, epochs=3)
    with joblib.parallel_config("loky", n_jobs=2):
        same(fit_chunks(tasks(), X, Y, epochs=3, size=3), expected)
        same(fit_chunks((task for task in tasks()), X, Y, epochs=3), expected)
    with joblib.parallel_config("threading", n_jobs=2):
        same(fit_chunks(tasks(), X, Y, epochs=3, size=5), expected)


def threads_of(result):
    return os.getpid(), fastml.get_num_threads()


def test_workers_share_the_cores_and_keep_what_then_gives():
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        found = fit_chunks(tasks(6), X, Y, size=2, then=threads_of)
    assert {threads for _, threads in (result.value for result in found)} == {1}
    assert os.getpid() not in {process for process, _ in (result.value for result in found)}
    assert found.models == [None] * 6


def killed_once(marker, seed):
    """A model whose maker kills its process, the first time that it is asked."""

    def make():
        if not marker.exists():
            marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return net(seed)

    return make


@pytest.mark.filterwarnings("ignore:A worker stopped:UserWarning")
def test_a_killed_workers_chunk_is_done_again(tmp_path):
    marker, models = tmp_path / "killed", [net(seed) for seed in range(8)]
    expected = fit_many([net(seed) for seed in range(8)], X, Y, epochs=2)
    models[5] = killed_once(marker, 5)
    with joblib.parallel_config("loky", n_jobs=2):
        found = fit_chunks(models, X, Y, epochs=2, size=2)
    assert int(marker.read_text()) != os.getpid()
    same(found, expected)


@pytest.mark.filterwarnings("ignore:A worker stopped:UserWarning")
def test_one_that_kills_every_worker_is_given_up(tmp_path):
    def make():
        with (tmp_path / "killed").open("a") as file:
            file.write(".")
        os.kill(os.getpid(), signal.SIGKILL)

    with joblib.parallel_config("loky", n_jobs=2):
        found = fit_chunks([net(), make], X, Y, tries=2, size=1)
    assert found.finished == [0] and found.failed == [1]
    assert str(found[1].error) == "model 1: the worker of its chunk was killed again and again"
    assert 2 <= len((tmp_path / "killed").read_text()) <= 3


def test_errors_name_models_by_their_number_among_all():
    models = [net(seed, rate=1e30 if seed == 4 else 0.01) for seed in range(6)]
    with joblib.parallel_config("loky", n_jobs=2):
        found = fit_chunks(models, X, Y, size=3, epochs=2)
    assert found.failed == [4] and str(found[4].error).startswith("model 4: ")
    with pytest.raises(fastml.DivergenceError, match="^model 4: "):
        found.check()


def test_a_time_limit_counts_for_all():
    start = time.perf_counter()
    with joblib.parallel_config("loky", n_jobs=2):
        found = fit_chunks([net(seed) for seed in range(6)], X, Y, size=1, epochs=10**7, time_limit=1.0)
    assert time.perf_counter() - start < 60
    assert found.unfinished == list(range(6)) and found.interrupted == "time_limit"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"models": []}, ValueError, "models is empty"),
        ({"models": iter([])}, ValueError, "models gave none"),
        ({"models": net()}, TypeError, "models must be a list"),
        ({"size": 0}, ValueError, "size must be"),
        ({"tries": 0}, ValueError, "tries must be"),
        ({"n_threads": 2}, TypeError, "fit_chunks has no argument 'n_threads'"),
        ({"verbose": 2}, ValueError, "verbose must be 0, 1 or 'auto', got 2"),
        ({"then": 3}, TypeError, "then must be a function"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        fit_chunks(**{"models": [net()], "x": X, "y": Y, **arguments})


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="needs Dask, the extra dask")
    before = dict(os.environ)  # Dask sets the threads of its workers for this process as well
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            yield client
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cluster_of_dask_gives_the_same_bits(cluster):
    with joblib.parallel_config("dask"):
        same(fit_chunks(tasks(), X, Y, epochs=3, size=3), fit_many(tasks(), X, Y, epochs=3))
        found = fit_chunks(tasks(4), X, Y, size=1, then=threads_of)
    assert {threads for _, threads in (result.value for result in found)} == {1}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dask_does_the_chunk_of_a_killed_worker_again(cluster, tmp_path):
    marker, models = tmp_path / "killed", [net(seed) for seed in range(8)]
    models[5] = killed_once(marker, 5)
    with joblib.parallel_config("dask"):
        found = fit_chunks(models, X, Y, epochs=2, size=2)
    assert marker.exists()
    same(found, fit_many([net(seed) for seed in range(8)], X, Y, epochs=2))


class Odd(Exception):
    """One that cannot be made of its arguments."""

    def __init__(self, text, more):
        super().__init__(text)


def fails():
    raise Odd("as it were", 3)


def test_an_error_that_cannot_travel_is_told_in_words():
    with joblib.parallel_config("loky", n_jobs=2):
        found = fit_chunks([fails, net()], X, Y, size=1)
    assert found.finished == [1] and found.failed == [0]
    assert type(found[0].error) is RuntimeError and "model 0: " in str(found[0].error)
    assert "as it were" in str(found[0].error)


def test_one_model_twice_is_refused():
    model = net()
    with pytest.raises(ValueError, match="model 2 is the same object as model 0: make a model for each"):
        fit_chunks([model, net(), model], X, Y, size=1)


def test_backends_that_give_all_at_once():
    pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
    expected = fit_many(tasks(6), X, Y, epochs=3)
    with fastml.sklearn.side_by_side(2):
        same(fit_chunks(tasks(6), X, Y, epochs=3, size=2), expected)
