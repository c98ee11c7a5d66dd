"""Rows that the executor evaluates after each epoch, and early stopping by it: as Python does it, bit for bit."""

import signal
from contextlib import contextmanager

import many_threads
import numpy as np
import pytest
from helpers import same_bits

import fastml
from fastml import (
    SGD,
    Adam,
    BatchNormalization,
    Callback,
    Dense,
    DivergenceError,
    Dropout,
    EarlyStopping,
    Normalization,
    Sequential,
)
from fastml.kernels.job import JOB
from fastml.program import reference
from fastml.training import following
from fastml.training.run import TrainingRun
from fastml.training.snapshots import Snapshot

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6))
LABELS = (X[:, 0] + X[:, 1] ** 2 + RNG.normal(size=300) > 0.7).astype(int)
WEIGHTS = RNG.uniform(0.2, 3, 300)


class InPython(EarlyStopping):
    """The same, but that nobody knows of it."""


class Nothing(Callback):
    """Has validation rows evaluated by Python after each epoch."""


@contextmanager
def use(threads):
    """So many threads in a ``with`` block, also for little work."""
    kept = many_threads.threads.available, many_threads.plan.SHARED, many_threads.threads.OTHERS
    many_threads.use(threads)
    try:
        yield
    finally:
        many_threads.threads.available, many_threads.plan.SHARED, many_threads.threads.OTHERS = kept


@pytest.fixture
def followed(monkeypatch):
    """How many trainings had rows that the executor evaluated."""
    count, made = [0], following.Following.__init__

    def counted(self, *arguments):
        count[0] += 1
        return made(self, *arguments)

    monkeypatch.setattr(following.Following, "__init__", counted)
    return count


def net(metrics=("accuracy",), layers=None, optimizer=None, dtype="float32"):
    layers = [Dense(12, "relu"), Dense(2, "softmax")] if layers is None else layers
    model = Sequential(layers, input_dim=6, seed=2, dtype=dtype)
    model.compile(Adam(0.02) if optimizer is None else optimizer, "sparse_categorical_crossentropy", list(metrics))
    return model


def many_layers():
    return [Normalization(), Dense(12, "relu"), Dropout(0.2), BatchNormalization(), Dense(2)]


TRAININGS = {
    "a split": ({}, {"validation_split": 0.3}),
    "rows of their own": ({}, {"validation_data": (X[:77], LABELS[:77])}),
    "rows with weights": ({}, {"validation_data": (X[:77], LABELS[:77], WEIGHTS[:77])}),
    "weights of all rows": ({}, {"validation_split": 0.3, "sample_weight": WEIGHTS}),
    "weights of classes": ({}, {"validation_split": 0.3, "class_weight": "balanced"}),
    "many layers": ({"layers": many_layers}, {"validation_split": 0.3}),
    "float64": ({"dtype": "float64"}, {"validation_split": 0.3}),
    "no metrics": ({"metrics": ()}, {"validation_split": 0.3}),
    "more rows than a block": ({}, {"validation_data": (np.resize(X, (600, 6)), np.resize(LABELS, 600))}),
    "one row": ({}, {"validation_data": (X[:1], LABELS[:1])}),
    "a block of rows": ({}, {"validation_split": 0.3, "batch_size": 210, "shuffle": False}),
    "the next rows in each epoch": ({}, {"validation_split": 0.0, "steps_per_epoch": 3}),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", TRAININGS)
def test_logs_and_weights_are_those_of_python(case, threads, followed):
    arguments, options = TRAININGS[case]
    arguments = {name: value() if callable(value) else value for name, value in arguments.items()}
    if "steps_per_epoch" in options:
        options = {"steps_per_epoch": 3, "validation_data": (X[:77], LABELS[:77])}
    results = []
    with use(threads):
        for callbacks in ([], [Nothing()]):
            model = net(**{**arguments, **({"layers": many_layers()} if "layers" in arguments else {})})
            for _ in range(2):
                history = model.fit(X, LABELS, epochs=5, callbacks=callbacks, verbose=0, **options).history
            results.append((history, model.get_weights()))
    assert followed[0] == 2 and results[0][0] == results[1][0] and list(results[0][0])[-1].startswith("val_")
    assert same_bits(results[0][1], results[1][1])


STOPPINGS = {
    "loss of validation": {},
    "accuracy of validation": {"monitor": "val_accuracy", "patience": 5},
    "loss of training": {"monitor": "loss", "min_delta": 0.01},
    "accuracy of training": {"monitor": "accuracy", "min_delta": 0.02},
    "no patience": {"patience": 0},
    "weights of the end": {"restore_best_weights": False},
    "all epochs": {"patience": 100},
    "the first is best": {"min_delta": 100.0},
    "upside down": {"mode": "max", "patience": 4},
    "an error, upside down": {"monitor": "val_mse", "patience": 4},
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", STOPPINGS)
def test_early_stopping_is_that_of_python(case, threads, followed):
    results, options = [], {"patience": 3, **STOPPINGS[case]}
    with use(threads):
        for kind in (EarlyStopping, InPython):
            callback = kind(**options)
            if "mse" in callback.monitor:
                model = Sequential([Dense(8, "tanh"), Dense(1)], input_dim=6, seed=2)
                model.compile(Adam(0.02), "mae", ["mse"])
            else:
                model = net()
            history = model.fit(X, LABELS, epochs=40, validation_split=0.3, callbacks=[callback], verbose=0).history
            told = callback.best, callback.best_epoch, callback.stopped_epoch, callback.wait, len(history["loss"])
            results.append((history, told, model.get_weights(), model._engine.progress()))
            assert callback.best_weights is None and callback.best_now is None
    assert followed[0] == 1
    (history, told, weights, progress), (other, expected, others, theirs) = results
    assert history == other and told == expected and progress == theirs and same_bits(weights, others)
    assert (told[2] is None) == (case == "all epochs")


@pytest.mark.parametrize(
    "options",
    [{"start_from_epoch": 3}, {"baseline": 0.5}, {"monitor": "val_rmse", "patience": 2}, {"monitor": "val_auc"}],
    ids=str,
)
def test_what_the_executor_cannot_watch_python_does(options):
    results = []
    for kind in (EarlyStopping, InPython):
        callback, numbers = kind(**{"patience": 3, **options}), "rmse" in str(options)
        model = net(["accuracy", "auc"] if "auc" in str(options) else ["accuracy"])
        if numbers:
            model = Sequential([Dense(8, "tanh"), Dense(1)], input_dim=6, seed=2)
            model.compile(Adam(0.02), "mse", [fastml.metrics.RootMeanSquaredError()])
            callback.monitor = "val_root_mean_squared_error"
        history = model.fit(X, LABELS, epochs=30, validation_split=0.3, callbacks=[callback], verbose=0).history
        results.append((history, callback.best_epoch, callback.stopped_epoch, model.get_weights()))
    (history, *told, weights), (other, *expected, others) = results
    assert history == other and told == expected and same_bits(weights, others)


def test_the_reference_does_as_the_compiled_executor(followed):
    """It evaluates and stops by itself too: after the same epochs, with nearly the same losses."""
    results = []
    for executor in ("compiled", "numpy"):
        model = net(dtype="float64")
        model.compile(Adam(0.02), "sparse_categorical_crossentropy", ["accuracy"], executor=executor)
        callback = EarlyStopping(patience=3)
        results.append(model.fit(X, LABELS, epochs=40, validation_split=0.3, callbacks=[callback], verbose=0).history)
    assert followed[0] == 2 and len(results[0]["loss"]) == len(results[1]["loss"]) < 40
    for name, values in results[0].items():
        np.testing.assert_allclose(values, results[1][name], atol=1e-9)


def test_a_monitor_that_is_not_there():
    with pytest.raises(ValueError, match="watches 'val_loss', but there are: loss, accuracy; give fit val"):
        net().fit(X, LABELS, epochs=3, callbacks=[EarlyStopping()], verbose=0)
    with pytest.raises(ValueError, match="EarlyStopping watches 'val_f1', but there are"):
        net().fit(X, LABELS, epochs=3, validation_split=0.3, callbacks=[EarlyStopping("val_f1")], verbose=0)


def test_many_chunks_are_as_one(monkeypatch):
    """Where Python looks in after each few steps, in the middle of epochs, and the best weights outlast it."""
    expected = stopped()
    ordinary = TrainingRun.chunks

    def short(self, stop):
        for next_stop in ordinary(self, stop):
            yield min(next_stop, self.step + 3)

    monkeypatch.setattr(TrainingRun, "chunks", short)
    found = stopped()
    assert found[0] == expected[0] and same_bits(found[1], expected[1]) and found[2:] == expected[2:]


def stopped(epochs=60):
    model, callback = net(), EarlyStopping(patience=4)
    history = model.fit(X, LABELS, epochs=epochs, validation_split=0.3, callbacks=[callback], verbose=0).history
    return history, model.get_weights(), callback.best_epoch, callback.stopped_epoch


def test_a_training_that_diverges_keeps_its_logs():
    """Of the epochs before; the replay makes those of its own again."""
    logs = []
    for callbacks in ([], [Nothing()]):
        model = Sequential([Dense(8, "relu"), Dense(1)], input_dim=6, seed=2)
        model.compile(SGD(fastml.PiecewiseConstantDecay([33], [0.01, 1e9])), "mse")  # at the end of the fifth epoch
        with pytest.raises(DivergenceError):
            model.fit(X, 3.0 * X[:, :1] ** 3, epochs=200, validation_split=0.3, callbacks=callbacks, verbose=0)
        logs.append((model.history.history, model.get_weights()))
    (ours, weights), (theirs, others) = logs
    assert same_bits(weights, others) and len(ours["val_loss"]) == len(ours["loss"]) == 5
    assert {name: values[: len(theirs[name])] for name, values in ours.items()} == theirs


def test_a_validation_loss_that_is_nan_is_no_progress():
    """The targets are so large that their squares are infinite in float32, as is the loss."""
    y = np.where(np.arange(300) < 200, X[:, 0], 1e25)
    results = []
    for kind in (EarlyStopping, InPython):
        model, callback = Sequential([Dense(1)], input_dim=6, seed=2), kind(patience=3)
        model.compile("adam", "mse", ["mae"])
        model.fit(X, y, epochs=20, validation_split=1 / 3, callbacks=[callback], verbose=0)
        results.append((callback.best_epoch, callback.stopped_epoch, len(model.history.epoch)))
    assert results[0] == results[1] == (None, 2, 3)


def test_ctrl_c_keeps_the_epochs_before():
    """It comes between two chunks, in some epoch; history has the logs of those that are complete."""
    import signal

    model, callback = net(), EarlyStopping(patience=10**6)
    signal.signal(signal.SIGALRM, lambda number, frame: (_ for _ in ()).throw(KeyboardInterrupt))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, LABELS, epochs=10**6, validation_split=0.3, callbacks=[callback], verbose=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    history = model.history.history
    assert len(history["loss"]) == len(history["val_loss"]) > 10
    again = net()
    again.fit(X, LABELS, epochs=len(history["loss"]), validation_split=0.3, verbose=0)
    assert again.history.history == history


def test_lines_of_epochs_have_validation(capsys):
    net().fit(X, LABELS, epochs=3, validation_split=0.3, verbose=2)
    lines = [line for line in capsys.readouterr().out.splitlines() if "val_loss" in line]
    assert len(lines) == 3


def test_a_stopping_may_serve_again_and_be_pickled():
    import pickle

    callback = EarlyStopping(patience=2)
    first = net().fit(X, LABELS, epochs=40, validation_split=0.3, callbacks=[callback], verbose=0).history
    again = pickle.loads(pickle.dumps(callback))
    for each in (callback, again):
        assert net().fit(X, LABELS, epochs=40, validation_split=0.3, callbacks=[each], verbose=0).history == first


def test_a_replay_counts_epochs_once(monkeypatch):
    """A training that is taken back to its last finite weights knows how many epochs had no progress until there."""
    found, replay = [], Snapshot.replay

    def replayed(snapshot):
        finite = snapshot.finite()
        replay(snapshot)
        run = snapshot.run
        found.append((finite, run.step, run.steps_per_epoch, int(run.limit["waited"][0])))

    monkeypatch.setattr(Snapshot, "replay", replayed)
    model = Sequential([Dense(8, "relu"), Dense(1)], input_dim=6, seed=2)
    model.compile(SGD(fastml.PiecewiseConstantDecay([44], [1e-4, 1e38])), "mse")
    with pytest.raises(DivergenceError):
        stopping = EarlyStopping("loss", patience=50, min_delta=1e9)
        model.fit(X, 300.0 * X[:, :1] ** 3, epochs=30, callbacks=[stopping], verbose=0)
    finite, step, steps_per_epoch, waited = found[0]
    assert not finite and (step, steps_per_epoch) == (45, 10)
    assert waited == 3  # of four epochs, as the first one is better than none


def undone(callbacks, **options):
    """A training whose 29th step makes weights that are infinite, so that it is taken back."""
    model = Sequential([Dense(8, "tanh"), Dense(1)], input_dim=6, seed=2)
    model.compile(SGD(fastml.PiecewiseConstantDecay([27], [1e-4, 3e38])), "mse")
    with pytest.raises(DivergenceError):
        y = 2e6 * X[:, :1]
        model.fit(X, y, batch_size=300, epochs=40, callbacks=callbacks, verbose=0, **options)
    return model


@pytest.mark.parametrize("options", [{}, {"validation_data": (X[:50], X[:50, :1])}], ids=["alone", "validated"])
def test_epochs_that_were_undone_are_not_told(options, monkeypatch):
    """However often Python looks in."""
    found = []
    for seconds in (0.05, 1e-12):
        monkeypatch.setattr("fastml.training.run.CHUNK_SECONDS", seconds)
        model = undone([], **options)
        found.append((model._engine.updates, model.history.history))
    assert found[0] == found[1] and found[0][0] == len(found[0][1]["loss"]) == 28


def test_the_best_weights_are_none_of_a_step_that_was_undone():
    """Though its loss, which is that before the step, was the best."""
    found = []
    for kind in (EarlyStopping, InPython):
        stopping = kind("loss", patience=3)
        undone([stopping])
        found.append((stopping.best_epoch, stopping.best_weights))
    (epoch, weights), (expected, others) = found
    assert epoch == expected == 27 and same_bits(weights, others)


def test_what_follows_finds_the_parameters_wherever_they_are():
    """Also where the job was taken back to a time when they were elsewhere."""
    model = net()
    model.build(6)
    follower = following.Following(
        model._engine, X.astype("float32"), LABELS.astype("float32")[:, None], None, None, 1, 1
    )
    jobs, params = np.zeros(1, JOB), model._engine.buffers.params
    follower.enter(jobs, params)
    for _ in range(2):
        jobs["params"] = 0
        follower.use(jobs, params)
        assert jobs["params"][0] == params.ctypes.data


def test_much_to_validate_is_left_to_python(followed, monkeypatch):
    """As a Ctrl-C waits until the executor is through."""
    results = []
    for most in (following.FOLLOWS, 300 * 6 * 12):
        monkeypatch.setattr(following, "FOLLOWS", most)
        results.append(net().fit(X, LABELS, epochs=3, validation_split=0.5, verbose=0).history)
    assert followed[0] == 1 and results[0] == results[1]


def test_a_signal_while_the_reference_follows_waits_for_the_whole_step(monkeypatch):
    """Counters and weights belong together, also where the validation is what it comes in."""
    follow, calls = reference.FUNCTIONS["follow"], []

    def interrupted(**arguments):
        calls.append(len(calls))
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        follow(**arguments)

    def made():
        model = net(dtype="float64")
        model.compile(Adam(0.02), "sparse_categorical_crossentropy", executor="numpy")
        return model

    monkeypatch.setitem(reference.FUNCTIONS, "follow", interrupted)
    model, other = made(), made()
    arguments = {"validation_split": 0.3, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS, epochs=9, **arguments)
    assert len(calls) == model._engine.epochs == len(model.history.epoch) == 3
    other.fit(X, LABELS, epochs=3, **arguments)
    assert same_bits(model.get_weights(), other.get_weights()) and model._engine.updates == other._engine.updates
