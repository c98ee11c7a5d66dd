"""Many models in one call: each as if it had trained alone, whatever becomes of the others."""

import copy
import gc
import os
import pickle
import signal
import threading
import time
import weakref

import numpy as np
import pytest
from helpers import same_bits

import fastml
from fastml import (
    SGD,
    Adam,
    BatchNormalization,
    Dense,
    DivergenceError,
    Dropout,
    EarlyStopping,
    Normalization,
    Rprop,
    Sequential,
    Task,
    fit_many,
)
from fastml.callback import Callback
from fastml.training.run import Data

RNG = np.random.default_rng(0)
ROWS = 150
X = RNG.normal(size=(ROWS, 5))
Y = X[:, :1] * X[:, 1:2]
pytestmark = pytest.mark.filterwarnings(r"ignore:\d+ of \d+ models failed:UserWarning")
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 1)


def net(units=8, seed=1, optimizer=None, loss="mse", dtype="float32", more=(), metrics=()):
    outputs = 3 if loss == "sparse_categorical_crossentropy" else 1
    model = Sequential([*more, Dense(units, "tanh"), Dense(outputs)], dtype=dtype, seed=seed)
    model.compile(optimizer or Adam(0.01), loss, metrics)
    return model


def different():
    """Functions that make models of all kinds, with the options that are their own."""
    rng = np.random.default_rng(1)
    half = rng.permutation(ROWS)[:70]
    mask = np.arange(ROWS) % 3 > 0
    weights = np.linspace(0.1, 2, ROWS)
    fold = {"rows": mask, "validation_rows": ~mask}
    stop = lambda **options: [EarlyStopping("val_loss", patience=2, **options)]  # noqa: E731
    return [
        (lambda: net(), {}),
        (lambda: net(16, 2, SGD(0.05, momentum=0.9)), {"batch_size": 7, "epochs": 4}),
        (lambda: net(5, 3, dtype="float64", metrics=["mae"]), {"rows": half}),
        (lambda: net(5, 4, loss="sparse_categorical_crossentropy", metrics=["accuracy"]), {"y": LABELS}),
        (lambda: net(5, 5, Rprop()), {"batch_size": ROWS, "shuffle": False}),
        (lambda: net(9, 6, more=[BatchNormalization(), Dropout(0.2)]), {"rows": mask, "sample_weight": weights}),
        (lambda: net(9, 7, more=[Normalization("standard")]), fold),
        (lambda: net(9, 8), {**fold, "callbacks": stop, "epochs": 40}),
        (lambda: net(9, 9, SGD(fastml.CosineDecay(0.1))), {"rows": rng.integers(0, ROWS, ROWS), "epochs": 3}),
        (lambda: net(9, 10), {"validation_split": 0.2, "callbacks": lambda: stop(min_delta=1.0)}),
        (lambda: net(9, 11), {"x": X[:, :3], "y": Y, "class_weight": None, "batch_size": 50}),
        (lambda: net(9, 12, metrics=["r2"]), {**fold, "validation_freq": 2}),
        (lambda: net(3, 13), {"initial_epoch": 2, "epochs": 6, "steps_per_epoch": 3}),
    ]


def alone(make, options):
    """The model after `fit`, by itself, on copies of its rows."""
    options = {"x": X, "y": Y, "epochs": 5, **options}
    x, y, rows, some = (options.pop(name, None) for name in ("x", "y", "rows", "validation_rows"))
    weights, callbacks = options.pop("sample_weight", None), options.pop("callbacks", None)
    if some is not None:
        options["validation_data"] = x[some], y[some]
    if rows is not None:
        x, y, weights = x[rows], y[rows], None if weights is None else weights[rows]
    model = make()
    model.fit(x, y, sample_weight=weights, callbacks=callbacks() if callbacks else [], verbose=0, **options)
    return model


def tasks():
    for make, options in different():
        callbacks = {"callbacks": options["callbacks"]()} if "callbacks" in options else {}
        yield Task(make, **{**options, **callbacks})


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_is_as_if_trained_alone(threads, monkeypatch):
    monkeypatch.setattr("fastml.program.threads.available", lambda: 8)
    results = fit_many(tasks(), X, Y, epochs=5, n_threads=threads)
    assert results.finished == list(range(len(different()))) and not results.failed and results.interrupted is None
    for result, (make, options) in zip(results, different(), strict=True):
        expected = alone(make, options)
        assert same_bits(result.model.get_weights(), expected.get_weights()), result.number
        assert same_bits([result.model._engine.buffers.state], [expected._engine.buffers.state])
        assert result.history.history == expected.history.history and result.history is result.model.history
        assert result.model._engine.progress() == expected._engine.progress() and result.seconds > 0


@pytest.mark.parametrize("executor", ["compiled", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_shared(dtype, executor, monkeypatch):
    """Of x and y there is one array for a dtype, whatever rows the models take; both executors take the same ones."""
    seen, make = [], Data.__init__

    def noted(self, dtype, x, y=None, *others, **options):
        seen.append((x, y, options.get("chosen")))
        make(self, dtype, x, y, *others, **options)

    def model(seed):
        made = net(seed=seed, dtype=dtype)
        made.compile(Adam(0.01), "mse", executor=executor)
        return made

    folds = [{"rows": np.arange(ROWS) % 3 != k, "validation_rows": np.arange(ROWS) % 3 == k} for k in range(3)]
    options = [*folds, {"rows": [5, 5, 9, 140]}, {"rows": folds[0]["rows"], "shuffle": False}, {"validation_rows": [3]}]
    options += [{"rows": np.arange(40)[::-1], "batch_size": 40}, {**folds[1], "sample_weight": np.linspace(0, 1, ROWS)}]
    monkeypatch.setattr(Data, "__init__", noted)
    results = fit_many([Task(model(k), **own) for k, own in enumerate(options)], X, Y, epochs=3).check()
    monkeypatch.undo()
    trained = [entry for entry in seen if len(entry[0]) == ROWS]  # others are evaluations
    assert len(trained) == len(options) and len({id(x) for x, _, _ in trained}) == 1
    assert sum(chosen is None for _, _, chosen in trained) == 1
    for result, own in zip(results, options, strict=True):
        expected = alone(lambda seed=result.number: model(seed), {**own, "epochs": 3})
        assert same_bits(result.model.get_weights(), expected.get_weights()), result.number
        if "sample_weight" not in own:  # with which `alone` does not validate
            assert result.history.history == expected.history.history


def test_models_go_on_as_others_do():
    """Predictions, further trainings and files of models that were trained together."""
    one, other = net(), net()
    fit_many([one], X, Y, epochs=2, n_threads=2)
    other.fit(X, Y, epochs=2, verbose=0)
    for model in (one, other):
        model.fit(X, Y, epochs=2, verbose=0)
    assert same_bits([one.predict(X), *one.get_weights()], [other.predict(X), *other.get_weights()])


def test_callbacks_of_the_call_are_copied():
    stop = EarlyStopping("loss", patience=1, min_delta=10)
    results = fit_many([net(seed=k) for k in range(4)], X, Y, epochs=9, callbacks=[stop])
    assert [len(result.history.epoch) for result in results] == [2] * 4  # one sets the best, one is no better
    assert not hasattr(stop, "model") and not hasattr(stop, "best")
    own = EarlyStopping("loss", patience=1, min_delta=10)
    fit_many([Task(net(), callbacks=[own])], X, Y, epochs=9)
    assert own.stopped_epoch == 1


class Raising(Callback):
    def on_epoch_end(self, epoch, logs):
        raise LookupError("no such thing")


class Odd(Exception):
    """With arguments of its own."""

    def __init__(self, code, what):
        super().__init__(code, what)


def odd():
    raise Odd(3, "things")


BAD = {
    "diverges": (lambda: Task(net(optimizer=SGD(1e30))), DivergenceError, "the loss or a weight"),
    "another width": (lambda: Task(net(), x=X[:, :3]), None, None),
    "width": (lambda: Task(built(4)), ValueError, "x has 5 features, but the model takes 4"),
    "rows": (lambda: Task(net(), rows=[0, ROWS]), ValueError, f"rows holds {ROWS}, but x has the rows 0 to {ROWS - 1}"),
    "negative rows": (lambda: Task(net(), rows=[0, -1]), ValueError, "rows holds -1"),
    "mask": (lambda: Task(net(), rows=np.ones(3, bool)), ValueError, "rows is a mask of 3 rows"),
    "floats": (lambda: Task(net(), rows=[0.5, 1.0]), TypeError, "rows must be integers or bools, got float64"),
    "table": (lambda: Task(net(), rows=[[0, 1]]), ValueError, "rows must be one-dimensional"),
    "empty fold": (lambda: Task(net(), rows=[]), ValueError, "rows is empty"),
    "empty validation": (lambda: Task(net(), validation_rows=[]), ValueError, "validation_rows is empty"),
    "two validations": (lambda: Task(net(), validation_rows=[0], validation_split=0.5), ValueError, "not two of them"),
    "callback": (lambda: Task(net(), callbacks=[Raising()]), LookupError, "no such thing"),
    "NaN": (lambda: Task(net(), x=X * np.nan), ValueError, "x holds NaN at row 0"),
    "NaN in what makes it": (lambda: lambda: net(optimizer=Adam(np.nan)), ValueError, "learning_rate"),
    "not compiled": (lambda: Task(Sequential([Dense(1)])), RuntimeError, "call compile"),
    "epochs": (lambda: Task(net(), epochs=0), ValueError, "epochs must be from 1"),
    "no model": (lambda: 3, TypeError, "a model must be a Sequential or a function"),
    "makes no model": (lambda: lambda: 3, TypeError, "a model must be a Sequential, got int"),
    "odd error": (lambda: odd, Odd, "('model 1', 3, 'things')"),
}


def built(width):
    model = net()
    model.build(width)
    return model


@pytest.mark.parametrize("case", BAD)
def test_an_error_is_the_result_of_its_model_alone(case):
    """It names the number; the models before and after are as if it were not there."""
    make, kind, told = BAD[case]
    results = fit_many([net(seed=1), make(), net(seed=2)], X, Y, epochs=2)
    if kind is None:
        assert results.finished == [0, 1, 2]
        return
    assert results.failed == [1] and results.finished == [0, 2] and results.unfinished == []
    assert type(results[1].error) is kind and told in str(results[1].error) and "model 1" in str(results[1].error)
    with pytest.raises(kind):
        results.check()
    for result, seed in ((results[0], 1), (results[2], 2)):
        assert same_bits(
            result.model.get_weights(), alone(lambda seed=seed: net(seed=seed), {"epochs": 2}).get_weights()
        )


def test_one_model_twice():
    model = net()
    results = fit_many([model, net(), model], X, Y)
    assert results.failed == [2] and "the same object as model 0" in str(results[2].error)


@pytest.mark.parametrize(
    "call, kind, told",
    [
        (lambda: fit_many([], X, Y), ValueError, "no models"),
        (lambda: fit_many(iter([]), X, Y), ValueError, "no models"),
        (lambda: fit_many(net(), X, Y), TypeError, "models must be a list"),
        (lambda: fit_many(3, X, Y), TypeError, "models must be a list"),
        (lambda: fit_many([net()], X, Y, epoch=3), TypeError, "no argument 'epoch'"),
        (lambda: fit_many([net()], X, Y, n_threads=0), ValueError, "n_threads"),
        (lambda: fit_many([net()], X, Y, time_limit=0), ValueError, "time_limit"),
        (lambda: fit_many([net()], X, Y, time_limit="1"), TypeError, "time_limit"),
        (lambda: fit_many([net()], X, Y, verbose=2), ValueError, "verbose"),
        (lambda: fit_many([net()], X, Y, then=3), TypeError, "then"),
        (lambda: fit_many([net()], X, Y, callbacks=EarlyStopping()), TypeError, "callbacks must be a list"),
        (lambda: fit_many([net()]).check(), TypeError, "x is missing"),
        (lambda: fit_many([net()], [(X, Y)], rows=[0]).check(), TypeError, "y is missing"),
        (lambda: Task(net(), epoch=3), TypeError, "Task has no argument 'epoch'"),
        (lambda: Task(3), TypeError, "a model must be"),
    ],
)
def test_mistakes_of_the_call(call, kind, told):
    with pytest.raises(kind, match=told):
        call()


def test_what_the_models_come_from_may_fail():
    """Then the call does, once those that were begun have ended."""

    def models():
        yield net()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fit_many(models(), X, Y)


def test_then_keeps_values_and_lets_models_go():
    """They are told one at a time, and no more models are there than are in work."""
    alive, most, inside = [], [0], [0]

    def models():
        for seed in range(40):
            model = net(seed=seed)
            alive.append(model_reference(model))
            most[0] = max(most[0], sum(reference() is not None for reference in alive))
            yield model
            del model

    def score(result):
        inside[0] += 1
        assert inside[0] == 1
        loss = result.model.evaluate(X, Y)
        inside[0] -= 1
        return loss

    results = fit_many(models(), X, Y, epochs=2, then=score, n_threads=2)
    assert results.finished == list(range(40)) and results.models == [None] * 40
    expected = net(seed=7)
    expected.fit(X, Y, epochs=2, verbose=0)
    assert results[7].value == expected.evaluate(X, Y)
    gc.collect()
    assert most[0] < 20


def model_reference(model):
    import weakref

    return weakref.ref(model)


def test_then_may_fail():
    def then(result):
        if result.number == 1:
            raise KeyError("score")
        return result.number

    results = fit_many([net(seed=k) for k in range(3)], X, Y, then=then)
    assert results.failed == [1] and [result.value for result in results] == [0, None, 2]
    assert "model 1" in str(results[1].error)


def long_nets(count):
    return [net(64, seed) for seed in range(count)]


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="signals are sent to this process")
def test_ctrl_c_returns_what_is_finished():
    models = [Task(net(seed=0), epochs=1), *(Task(model, epochs=10**6) for model in long_nets(14))]
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.perf_counter()
    with pytest.warns(UserWarning, match=r"interrupted: 1 of 15 models trained, 14 not finished. .* 1, 2, 3, .* …$"):
        results = fit_many(models, X, Y, n_threads=2)
    assert time.perf_counter() - start < 5
    assert results.finished == [0] and results.unfinished == [*range(1, 15)] and results.interrupted == "Ctrl-C"
    assert len(results[1].history.epoch) > 0 and results[14].history is None and results[14].model is models[14].model
    for result in results[:8]:
        assert all(np.isfinite(weights).all() for weights in result.model.get_weights())
        result.model.fit(X, Y, verbose=0)  # which nobody else holds any more


def test_time_limit_of_many():
    models = [Task(net(seed=0), epochs=1), *(Task(model, epochs=10**6) for model in long_nets(3))]
    start = time.perf_counter()
    results = fit_many(models, X, Y, n_threads=2, time_limit=0.5)
    assert 0.4 < time.perf_counter() - start < 3
    assert results.finished == [0] and results.unfinished == [1, 2, 3] and results.interrupted == "time_limit"
    assert len(results[1].history.epoch) > 0


def test_time_limit_of_fit():
    """It ends within an epoch, as at the end of all epochs: with the best weights so far."""
    x = np.tile(X, (4000, 1))
    y = np.tile(Y, (4000, 1))
    model, start = net(64), time.perf_counter()
    history = model.fit(x, y, epochs=1000, verbose=0, time_limit=0.3)
    assert 0.25 < time.perf_counter() - start < 3 and len(history.epoch) < 100
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    stop, model = EarlyStopping("loss", patience=10**6), net(64)
    model.fit(X, Y, epochs=10**6, verbose=0, callbacks=[stop], time_limit=0.3)
    assert stop.best == min(model.history.history["loss"]) and stop.best_weights is None
    seen = []
    each = fastml.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    net().fit(X, Y, epochs=10**6, verbose=0, callbacks=[each], time_limit=0.1)
    assert 5 < len(seen) < 10**5


def test_a_large_model_has_all_threads(monkeypatch):
    """And while it trains, nobody else does."""
    monkeypatch.setattr("fastml.program.threads.available", lambda: 4)
    monkeypatch.setattr("fastml.many.LARGE", 1000)
    seen, busy = {}, []

    class Look(Callback):
        def __init__(self, name):
            self.name = name

        def on_train_begin(self, logs):
            busy.append(self.name)
            seen[self.name] = fastml.get_num_threads(), list(busy)

        def on_train_end(self, logs):
            time.sleep(0.02)
            busy.remove(self.name)

    def task(name, units):
        return Task(net(units), callbacks=[Look(name)])

    fit_many([task("a", 4), task("b", 4), task("large", 400), task("c", 4), task("d", 4)], X, Y, n_threads=2)
    assert seen["large"] == (2, ["large"]) and len(seen) == 5


def test_progress_is_shown(capsys):
    fit_many([net(seed=k) for k in range(3)], X, Y, verbose=1)
    shown = capsys.readouterr().err
    assert "3/3 models |" in shown and "rows/s" in shown
    fit_many((net(seed=k) for k in range(3)), X, Y, verbose=1)
    assert "3 models" in capsys.readouterr().err
    fit_many([net()], X, Y, verbose=0)
    assert capsys.readouterr().err == ""


def trained_chunk(seeds):
    """What a task of another process gives back: whole Results, and how many threads there are for them."""
    return fit_many([net(seed=seed) for seed in seeds], X, Y, epochs=2), fastml.get_num_threads()


def test_chunks_may_train_in_other_processes():
    """As tasks of joblib: the same bits, on the share of the cores that each worker is told."""
    joblib = pytest.importorskip("joblib", reason="joblib comes with scikit-learn, which is not installed")
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        found = joblib.Parallel()(joblib.delayed(trained_chunk)(seeds) for seeds in ([1, 2, 3], [4], [5, 6]))
    assert {threads for _, threads in found} == {1}
    results = [result for chunk, _ in found for result in chunk]
    assert [result.number for result in results] == [0, 1, 2, 0, 0, 1]
    for result, seed in zip(results, range(1, 7), strict=True):
        assert result.finished and len(result.history.epoch) == 2
        assert same_bits(
            result.model.get_weights(), alone(lambda seed=seed: net(seed=seed), {"epochs": 2}).get_weights()
        )


def test_results_can_be_copied_and_pickled():
    results = fit_many([net(seed=1), net(optimizer=SGD(1e30))], X, Y, epochs=2)
    for same in (copy.deepcopy(results), pickle.loads(pickle.dumps(results))):
        assert repr(same) == repr(results) and same.failed == [1] and str(same[1].error) == str(results[1].error)
        assert same_bits(same[0].model.get_weights(), results[0].model.get_weights())
        assert same[0].history.history == results[0].history.history


def test_failures_are_told():
    with pytest.warns(
        UserWarning, match=r"2 of 3 models failed, see results.failed; the first by ValueError: model 1: "
    ):
        fit_many([net(), Task(net(seed=2), rows=[999]), Task(net(seed=3), epochs=0)], X, Y)


@pytest.mark.parametrize("where", ["callbacks", "factory"])
@pytest.mark.skipif(os.name == "nt", reason="signals are sent to this process")
def test_ctrl_c_reaches_code_of_the_users(where):
    """Which may wait for ever."""
    waited = threading.Event()

    class Waits(Callback):
        def on_epoch_end(self, epoch, logs):
            waited.wait(60)

    def factory():
        waited.wait(60)
        return net()

    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    start = time.perf_counter()
    timer.start()
    with pytest.warns(UserWarning, match="^interrupted: "):
        models = [factory] if where == "factory" else [net(), net(seed=2)]
        results = fit_many(models, X, Y, callbacks=[Waits()] if where == "callbacks" else (), epochs=3)
    assert time.perf_counter() - start < 30
    assert results.interrupted == "Ctrl-C" and results.finished == []


def test_a_stateful_callback_is_for_one_task():
    stop = fastml.EarlyStopping(monitor="loss", patience=2)
    results = fit_many([Task(net(seed=k), callbacks=[stop]) for k in range(3)], X, Y, epochs=3)
    assert results.finished == [0] and results.failed == [1, 2]
    assert str(results[2].error) == "model 2: its EarlyStopping is that of model 0, too: make one for each Task"
    results = fit_many([net(), net(seed=2)], X, Y, callbacks=[stop], epochs=3)
    assert results.finished == [0, 1]
    assert results[0].callbacks[0] is not results[1].callbacks[0]
    assert isinstance(results[1].callbacks[0], fastml.EarlyStopping)


@pytest.mark.parametrize("rows", [None, [1, 2], np.arange(ROWS) < 50])
def test_arrays_of_other_lengths_are_refused(rows):
    for name, wrong in (("y", Y[:5]), ("y", np.concatenate([Y, Y])), ("sample_weight", np.ones(3))):
        arrays = {"x": X, "y": Y, name: wrong}
        with pytest.raises(ValueError, match=f"^model 0: .*{name}"):
            fit_many([net()], rows=rows, **arrays).check()


def test_arrays_of_tasks_are_let_go():
    alive = []

    def tasks():
        for seed in range(30):
            x = X + seed
            alive.append(weakref.ref(x))
            yield Task(net(seed=seed), x=x, y=Y.copy(), rows=np.arange(60))

    most = []
    fit_many(tasks(), then=lambda result: most.append(sum(reference() is not None for reference in alive)), n_threads=2)
    assert len(most) == 30 and max(most) <= 12


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


SAME = ValueError("same")


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (
            FileNotFoundError(2, "No such file", "/nowhere"),
            RuntimeError,
            "model 1: FileNotFoundError: [Errno 2] No such",
        ),
        (SAME, ValueError, "model 1: same"),
        (KeyError("key"), KeyError, "'model 1: key'"),
        (ArithmeticError(), ArithmeticError, "model 1"),
        (Unprintable(), RuntimeError, "model 1: Unprintable: its message cannot be told"),
    ],
)
def test_errors_of_all_kinds_name_the_model(error, kind, told):
    def fails():
        raise error

    results = fit_many([net(), fails, fails], X, Y)
    assert type(results[1].error) is kind and str(results[1].error).startswith(told)
    assert results.failed == [1, 2] and "model 1" not in str(results[2].error)
    assert results[1].error is results[1].error.__cause__ or results[1].error.__cause__ in (None, error)
    again = pickle.loads(pickle.dumps(results))
    assert str(again[1].error).startswith(told)


def test_results_in_another_order_and_some_of_them():
    results = fit_many([net(), lambda: 1 / 0, net(seed=2)], X, Y)
    some = results[:1] + results[2:]
    assert results[1:].failed == [1] and isinstance(results[1:], fastml.Results)
    results.reverse()
    with pytest.raises(ZeroDivisionError, match="^model 1: division by zero"):
        results.check()
    assert len(some) == 2


def test_a_generator_that_time_ends_is_told():
    results = fit_many((net(seed=seed) for seed in range(10)), X, Y, time_limit=1e-12)
    assert results == [] and results.interrupted == "time_limit"
    assert fit_many((net(seed=seed) for seed in range(2)), X, Y, time_limit=1e9).interrupted is None
    assert len(fit_many([net()], X, Y, time_limit=10**400).finished) == 1


def test_then_that_fails_is_a_failure_and_no_more():
    results = fit_many([net(), net(seed=2)], X, Y, then=lambda result: 1 / result.number)
    assert results.finished == [1] and results.failed == [0] and results.unfinished == []
    assert str(results[0].error) == "then, of model 0: division by zero"
    assert repr(results) == "Results(1 of 2 models trained, 1 failed)"
    with pytest.raises(SystemExit):
        fit_many([net()], X, Y, then=lambda result: exec("raise SystemExit"))


def test_rows_of_a_result_are_those_that_were_trained_on():
    whole, part = fit_many([net(), Task(net(seed=2), validation_split=0.2)], X, Y)
    assert (whole.rows, part.rows) == (ROWS, ROWS - ROWS // 5)


def test_models_are_let_go_with_their_callbacks():
    alive = []

    def then(result):
        alive.append(weakref.ref(result.model))

    class Plain(Callback):
        pass

    results = fit_many([(lambda seed=seed: net(seed=seed)) for seed in range(6)], X, Y, callbacks=[Plain()], then=then)
    gc.collect()
    assert sum(reference() is not None for reference in alive) <= 1
    assert results[0].callbacks == []
