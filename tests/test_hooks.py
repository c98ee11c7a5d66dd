"""Hooks of callbacks before epochs and around steps and validation, and the arguments of fit that go by epochs."""

import copy
import math

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

import fastml
from fastml import (
    SGD,
    Callback,
    CSVLogger,
    DivergenceError,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastml.program.executors import EXECUTORS

X, Y = make_data("mean_squared_error")
HOOKS = ("on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_test_begin")
HOOKS += ("on_test_end", "on_epoch_end", "on_train_end")


class Diary(Callback):
    """Keeps the calls in their order, with epoch or batch, and the logs of some."""

    def __init__(self):
        self.calls, self.logs = [], {}

    def note(self, name, *arguments):
        *number, logs = arguments
        self.calls.append((name.removeprefix("on_"), *number))
        self.logs.setdefault(name, []).append(dict(logs))


for hook in HOOKS:
    setattr(Diary, hook, lambda self, *arguments, hook=hook: self.note(hook, *arguments))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_order_of_all_hooks(executor):
    diary = Diary()
    model = make_model(executor=executor, metrics=["mae"])
    history = model.fit(X, Y, batch_size=20, epochs=2, verbose=0, callbacks=[diary], validation_data=(X, Y))
    epoch = [
        *((name, batch) for batch in range(3) for name in ("train_batch_begin", "train_batch_end")),
        ("test_begin",),
        ("test_end",),
    ]
    expected = [("train_begin",)]
    for k in range(2):
        expected += [("epoch_begin", k), *epoch, ("epoch_end", k)]
    assert diary.calls == [*expected, ("train_end",)]
    assert diary.params == history.params
    assert history.params["steps"] == 3 and history.params["epochs"] == 2
    assert history.params["metrics"] == ["loss", "mae", "val_loss", "val_mae"]
    assert diary.logs["on_test_end"][1] == {n: history.history[f"val_{n}"][1] for n in ("loss", "mae")}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_hooks_of_batches_change_no_bit(optimizer, executor):
    """Steps by themselves are the steps of a chunk, and the logs are those of the epoch so far."""
    model, twin = (make_model(optimizer=optimizer, executor=executor, metrics=["mae"]) for _ in range(2))
    diary = Diary()
    history = model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[diary])
    other = twin.fit(X, Y, batch_size=16, epochs=3, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights()) and history.history == other.history
    logs = diary.logs["on_train_batch_end"]
    assert len(logs) == 12 and set(logs[0]) == {"loss", "mae"}
    assert [logs[k]["loss"] for k in (3, 7, 11)] == history.history["loss"]


def test_logs_of_batches_are_running_means():
    """As in Keras: of the rows of the epoch so far."""
    losses = []
    model = make_model(optimizer=SGD(0.0))
    see = LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    model.fit(X, Y, batch_size=20, shuffle=False, verbose=0, callbacks=[see])
    parts = [model.evaluate(X[: 20 * k], Y[: 20 * k]) for k in (1, 2, 3)]
    np.testing.assert_allclose(losses, parts, rtol=1e-12)


class Plain:
    """No Callback, with Keras's older names."""

    def __init__(self):
        self.seen = []

    def on_batch_begin(self, batch, logs):
        self.seen.append(batch)

    def on_batch_end(self, batch, logs):
        self.seen.append(-batch)


def test_older_names_and_other_classes():
    plain = Plain()
    make_model().fit(X, Y, batch_size=20, verbose=0, callbacks=[plain])
    assert plain.seen == [0, 0, 1, -1, 2, -2]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_rate_that_changes_with_each_step(executor):
    """What a hook sets counts from the next step on."""
    rates = [0.1, 0.02, 0.3, 0.01, 0.2, 0.05]

    class Rates(Callback):
        step = 0

        def on_train_batch_begin(self, batch, logs):
            self.model.optimizer.learning_rate = rates[self.step]
            self.step += 1

    model, twin = (make_model(executor=executor) for _ in range(2))
    model.fit(X, Y, batch_size=25, epochs=3, shuffle=False, verbose=0, callbacks=[Rates()])
    for k, rate in enumerate(rates):
        twin.optimizer.learning_rate = rate
        rows = slice(25 * (k % 2), 25 * (k % 2) + 25)
        twin.fit(X[rows], Y[rows], shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_a_hook_may_set_weights():
    class Zero(Callback):
        def on_train_batch_end(self, batch, logs):
            self.model.set_weights([0 * w for w in self.model.get_weights()])

        def on_epoch_begin(self, epoch, logs):
            self.model.set_weights([0 * w + 1 for w in self.model.get_weights()])

    model = make_model()
    losses = model.fit(X, Y, batch_size=25, epochs=2, verbose=0, callbacks=[Zero()]).history["loss"]
    assert not any(w.any() for w in model.get_weights()) and np.isfinite(losses).all()


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
def test_to_stop_between_two_steps(hook, tmp_path):
    """The epoch that was begun counts, with the means of what it had, and is told to all."""

    class Stop(Callback):
        def __init__(self):
            setattr(self, hook, self.look)
            self.count = 0

        def look(self, batch, logs):
            self.count += 1
            if self.count == 6:
                self.model.stop_training = True

    model, twin = make_model(), make_model()
    diary = Diary()
    csv = CSVLogger(tmp_path / "log.csv")
    history = model.fit(X, Y, batch_size=13, epochs=9, verbose=0, callbacks=[Stop(), diary, csv])
    assert history.epoch == [0, 1] and diary.calls[-2:] == [("epoch_end", 1), ("train_end",)]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3

    class Break(Callback):
        def on_train_batch_end(self, batch, logs):
            if len(self.model.history.epoch) == 1 and batch == 1:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        twin.fit(X, Y, batch_size=13, epochs=9, verbose=0, callbacks=[Break()])
    assert same_bits(model.get_weights(), twin.get_weights())
    assert math.isfinite(history.history["loss"][1])
    for each in (model, twin):  # random numbers go on from the same epoch
        each.fit(X, Y, batch_size=13, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_hooks_that_nothing_would_call_are_refused():
    class Never(Callback):
        def on_test_batch_end(self, batch, logs):
            pass

    with pytest.raises(TypeError, match="Never has on_test_batch_end, which would never be called"):
        make_model().fit(X, Y, callbacks=[Never()])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("saves", [1, 2])
def test_a_resumed_training_has_its_hooks(saves, executor, tmp_path):
    """At the end of an epoch, and in the middle of one: whose beginning is not told again; with the same bits."""

    def callbacks(path):
        return [ModelCheckpoint(path, every_seconds=0), Diary(), Interrupt()]

    class Interrupt(Callback):
        at = None

        def on_train_batch_end(self, batch, logs):
            if self.at == (len(self.model.history.epoch), batch):
                raise KeyboardInterrupt

    path = tmp_path / "m.safetensors"
    whole, broken, resumed = (make_model(optimizer="adam", executor=executor) for _ in range(3))
    arguments = {"batch_size": 13, "epochs": 3, "verbose": 0}
    history = whole.fit(X, Y, callbacks=callbacks(tmp_path / "other.safetensors"), **arguments)
    some = callbacks(path)
    some[2].at = 1, saves  # the steps before are in the file
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y, callbacks=some, **arguments)
    rest = callbacks(path)
    other = resumed.fit(X, Y, callbacks=rest, resume=True, **arguments)
    assert same_bits(resumed.get_weights(), whole.get_weights()) and other.history == history.history
    assert ("epoch_begin", 1) not in rest[1].calls and rest[1].calls[:2] == [
        ("train_begin",),
        ("train_batch_begin", saves),
    ]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_divergence_in_a_step_keeps_the_last_finite_weights(executor):
    model, twin = (make_model(optimizer=SGD(0.1), executor=executor) for _ in range(2))

    class Wild(Callback):
        def on_train_batch_begin(self, batch, logs):
            if batch == 2:
                self.model.optimizer.learning_rate = 1e300

    with pytest.raises(DivergenceError):
        model.fit(X, Y, batch_size=10, epochs=9, shuffle=False, verbose=0, callbacks=[Wild()])
    twin.fit(X[:20], Y[:20], batch_size=10, shuffle=False, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert model._engine.updates in (2, 3) and twin._engine.updates == 2


# What fit takes


@pytest.mark.parametrize("executor", EXECUTORS)
def test_initial_epoch_numbers_the_epochs(executor, tmp_path, capsys):
    model, twin = (make_model(executor=executor) for _ in range(2))
    for each in (model, twin):
        each.fit(X, Y, epochs=3, verbose=0)
    capsys.readouterr()
    diary = Diary()
    path = tmp_path / "{epoch:02d}.safetensors"
    callbacks = [diary, CSVLogger(tmp_path / "log.csv"), ModelCheckpoint(path), EarlyStopping("loss", patience=9)]
    history = model.fit(X, Y, epochs=5, initial_epoch=3, verbose=2, callbacks=callbacks)
    other = twin.fit(X, Y, epochs=2, verbose=0)
    assert history.epoch == [3, 4] and history.history == other.history
    assert same_bits(model.get_weights(), twin.get_weights())
    assert [c for c in diary.calls if c[0].startswith("epoch")] == [
        ("epoch_begin", 3),
        ("epoch_end", 3),
        ("epoch_begin", 4),
        ("epoch_end", 4),
    ]
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == ["04.safetensors", "05.safetensors"]
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["4/5", "5/5"]
    assert (tmp_path / "log.csv").read_text().splitlines()[1].startswith("3,")
    assert callbacks[3].best_epoch == 4


def test_a_scheduler_begins_at_the_initial_epoch():
    seen = []
    rates = LearningRateScheduler(lambda epoch: seen.append(epoch) or 0.1)
    make_model().fit(X, Y, epochs=4, initial_epoch=2, verbose=0, callbacks=[rates])
    assert seen == [2, 3, 4]


def test_initial_epoch_and_resume(tmp_path):
    """The same call goes on; another one is refused."""
    path = tmp_path / "m.safetensors"
    whole, broken, resumed = (make_model(optimizer="adam") for _ in range(3))

    class Stop(Callback):
        at = None

        def on_epoch_begin(self, epoch, logs):
            if epoch == self.at:
                raise KeyboardInterrupt

    arguments = {"epochs": 7, "initial_epoch": 2, "verbose": 0, "batch_size": 13}
    history = whole.fit(X, Y, callbacks=[ModelCheckpoint(tmp_path / "o.safetensors"), Stop()], **arguments)
    stop = Stop()
    stop.at = 5
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y, callbacks=[ModelCheckpoint(path), stop], **arguments)
    with pytest.raises(ValueError, match="initial_epoch=2, got 0"):
        resumed.fit(X, Y, callbacks=[ModelCheckpoint(path), Stop()], resume=True, **{**arguments, "initial_epoch": 0})
    other = resumed.fit(X, Y, callbacks=[ModelCheckpoint(path), Stop()], resume=True, **arguments)
    assert other.epoch == history.epoch == [2, 3, 4, 5, 6] and other.history == history.history
    assert same_bits(whole.get_weights(), resumed.get_weights())


@pytest.mark.parametrize("frequency, epochs", [(2, [1, 3, 5]), (3, [2, 5]), ([1, 4], [0, 3]), (9, [])])
def test_validation_freq(frequency, epochs, tmp_path):
    model = make_model(metrics=["mae"])
    diary = Diary()
    callbacks = [
        diary,
        CSVLogger(tmp_path / "log.csv"),
        EarlyStopping("val_loss", patience=50),
        ReduceLROnPlateau("val_loss", patience=50),
        ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.2f}.safetensors"),
        ModelCheckpoint(tmp_path / "best.safetensors", save_best_only=True),
    ]
    history = model.fit(
        X, Y, epochs=6, validation_data=(X, Y), validation_freq=frequency, verbose=0, callbacks=callbacks
    )
    assert len(history.history["loss"]) == 6 and len(history.history.get("val_loss", [])) == len(epochs)
    assert [k for k, logs in enumerate(diary.logs["on_epoch_end"]) if "val_mae" in logs] == epochs
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0].split(",") == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [k for k, line in enumerate(lines[1:]) if not line.endswith(",,")] == epochs
    assert (tmp_path / "best.safetensors").exists() == bool(epochs) and (callbacks[2].best_epoch in epochs) == bool(
        epochs
    )


def test_validation_freq_and_resume(tmp_path):
    path = tmp_path / "m.safetensors"
    arguments = {"epochs": 6, "validation_data": (X, Y), "validation_freq": 2, "verbose": 0}
    whole, broken, resumed = (make_model(optimizer="adam") for _ in range(3))

    class Stop(Callback):
        at = None

        def on_epoch_begin(self, epoch, logs):
            if epoch == self.at:
                raise KeyboardInterrupt

    history = whole.fit(X, Y, callbacks=[ModelCheckpoint(tmp_path / "o.safetensors"), Stop()], **arguments)
    stop = Stop()
    stop.at = 3
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y, callbacks=[ModelCheckpoint(path), stop], **arguments)
    other = resumed.fit(X, Y, callbacks=[ModelCheckpoint(path), Stop()], resume=True, **arguments)
    assert other.history == history.history and same_bits(whole.get_weights(), resumed.get_weights())


def test_a_monitor_that_nobody_logs_is_still_told():
    with pytest.raises(ValueError, match="watches 'val_nonsense'"):
        make_model().fit(
            X,
            Y,
            epochs=3,
            validation_data=(X, Y),
            validation_freq=2,
            verbose=0,
            callbacks=[EarlyStopping("val_nonsense")],
        )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"initial_epoch": 3, "epochs": 3}, "epochs is the number of the last epoch: got 3, with initial_epoch=3"),
        ({"initial_epoch": -1}, "initial_epoch must be from 0"),
        ({"initial_epoch": 0.5}, "initial_epoch must be an integer"),
        ({"validation_freq": 0}, "validation_freq must be from 1"),
        ({"validation_freq": [0]}, "an epoch in validation_freq must be from 1"),
        ({"validation_freq": "2"}, "validation_freq must be an integer"),
        ({"validation_batch_size": 0}, "validation_batch_size must be from 1"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be from 1"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    model = make_model()
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, Y, **arguments)
    assert model._engine is None


# Callbacks


def test_early_stopping_with_a_baseline(capsys):
    """Epochs count as better only below the baseline; Keras's rule. With verbose it says when it ends."""
    model = make_model()
    stopping = EarlyStopping("loss", patience=3, baseline=1e-9, verbose=1)
    history = model.fit(X, Y, epochs=50, verbose=0, callbacks=[stopping])
    assert len(history.epoch) == 3 and stopping.best == min(history.history["loss"]) and stopping.stopped_epoch == 2
    assert "epoch 3: loss no longer becomes better" in capsys.readouterr().out
    history = make_model().fit(X, Y, epochs=8, verbose=0, callbacks=[EarlyStopping("loss", patience=3, baseline=1e9)])
    assert len(history.epoch) == 8 and not capsys.readouterr().out


def test_callbacks_that_say_what_they_do(capsys, tmp_path):
    callbacks = [
        ReduceLROnPlateau("loss", patience=1, min_delta=1e9, verbose=1),
        ModelCheckpoint(tmp_path / "m.safetensors", verbose=1),
    ]
    make_model().fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
    make_model().fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: 0.5, verbose=1)])
    text = capsys.readouterr().out
    assert "the learning rate becomes" in text and "saved as" in text and "the learning rate is 0.5" in text


def test_schedulers_of_one_and_of_two_arguments():
    def halve(epoch, rate):
        return rate / 2

    class Calls:
        def __call__(self, epoch):
            return 0.25

    for schedule, rate in ((halve, 0.0025), (Calls(), 0.25), (lambda epoch, rate=3.0: rate, 0.01), (math.exp, math.e)):
        model = make_model()
        model.fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(schedule)])
        assert model.optimizer.learning_rate == pytest.approx(rate)


def test_terminate_on_nan():
    """The training ends with a warning, and the rest of the callbacks are told; without it, it is an error."""
    diary = Diary()
    model = make_model(optimizer=SGD(1e6))
    with pytest.warns(RuntimeWarning, match="became NaN or infinite"):
        model.fit(X, Y, epochs=50, verbose=0, callbacks=[TerminateOnNaN(), diary])
    assert diary.calls[-1] == ("train_end",) and all(np.isfinite(w).all() for w in model.get_weights())
    with pytest.raises(DivergenceError):
        make_model(optimizer=SGD(1e6)).fit(X, Y, epochs=50, verbose=0)


def test_weights_alone_cannot_be_resumed(tmp_path):
    path = tmp_path / "m.safetensors"
    only = ModelCheckpoint(path, save_weights_only=True)
    make_model(optimizer="adam").fit(X, Y, verbose=0, callbacks=[only])
    other = fastml.load(path)
    assert other._engine.updates == 0
    with pytest.raises(ValueError, match="resume=True needs a ModelCheckpoint that saves each epoch"):
        make_model(optimizer="adam").fit(X, Y, verbose=0, callbacks=[only], resume=True)
    with pytest.raises(ValueError, match="no training that could be resumed"):
        make_model(optimizer="adam").fit(X, Y, verbose=0, callbacks=[only], resume=path)


@pytest.mark.filterwarnings("ignore:1 of 2 models failed")
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if "test" not in hook])
def test_a_callback_may_raise_stop_iteration(hook):
    """As an iterator of its own may do: what comes out is what went in, and the model can be trained again."""
    seen = []

    class Own(Callback):
        def on_exception(self, exception):
            seen.append(type(exception))

    def raising(self, *arguments):
        next(iter(()))

    setattr(Own, hook, raising)
    model = fastml.Sequential([fastml.Dense(2)], seed=1)
    model.compile()
    x = np.ones((8, 3))
    with pytest.raises(StopIteration):
        model.fit(x, x[:, :2], 4, epochs=2, verbose=0, callbacks=[Own()])
    assert seen in ([], [StopIteration])
    results = fastml.fit_many([fastml.Task(copy.deepcopy(model), callbacks=[Own()]), model], x, x[:, :2])
    assert results.failed == [0] and isinstance(results[0].error, StopIteration) and results.finished == [1]
