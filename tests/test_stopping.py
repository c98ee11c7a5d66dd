"""EarlyStopping and ReduceLROnPlateau: when they act, worked out by hand, and what they restore and change."""

import copy
import math

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

from fastml import SGD, Adam, BatchNormalization, Callback, Dense, Dropout, EarlyStopping, ReduceLROnPlateau, Sequential
from fastml.callbacks import Limit
from fastml.program.executors import EXECUTORS
from fastml.training import run as training
from fastml.training.loop import DivergenceError

X, Y = make_data("mean_squared_error")
NAN = math.nan


class Script(Callback):
    """Logs these values as `watched`, one an epoch, and keeps weights and rates of the epochs' ends."""

    def __init__(self, values=(), name="watched"):
        self.values, self.name, self.weights, self.rates = values, name, [], []

    def on_epoch_end(self, epoch, logs):
        if self.values:
            logs[self.name] = self.values[epoch]
        self.weights.append(self.model.get_weights())


class Rates(Script):
    """Comes last in the list: keeps the rate that the next epoch will have."""

    def on_epoch_end(self, epoch, logs):
        self.rates.append(self.model.optimizer.learning_rate)


def stopped(values, name="watched", model=None, **options):
    """The EarlyStopping after a training in which the watched value goes like this, and the Script."""
    script, stopping = Script(values, name), EarlyStopping(name, **options)
    model = model or make_model()
    model.fit(X, Y, epochs=len(values), callbacks=[script, stopping], verbose=0)
    return stopping, script


STOPS = {  # values, options, the epoch of the early end, the best epoch
    "one epoch without a better value": ([3, 2, 2, 1], {"patience": 1}, 2, 1),
    "patience 0 is patience 1": ([3, 2, 2, 1], {"patience": 0}, 2, 1),
    "two in a row": ([3, 2, 4, 4, 1], {"patience": 2}, 3, 1),
    "not in a row": ([3, 2, 4, 1, 4, 0], {"patience": 2}, None, 5),
    "never": ([5, 4, 3, 2, 1], {"patience": 1}, None, 4),
    "from the start": ([1, 2, 3, 4], {"patience": 3}, 3, 0),
    "too late": ([1, 2, 3, 4], {"patience": 4}, None, 0),
    "the same value is not better": ([1, 1, 1, 1], {"patience": 2}, 2, 0),
    "by as much as min_delta": ([4, 3.5, 3.5, 2.5], {"patience": 2, "min_delta": 0.5}, 2, 0),
    "by more than min_delta": ([4, 3.25, 3, 2.5], {"patience": 2, "min_delta": 0.5}, None, 3),
    "min_delta counts from the best": ([4, 3.75, 3.5, 3.25, 3], {"patience": 4, "min_delta": 0.5}, None, 3),
    "more is better": ([1, 2, 3, 2, 1], {"patience": 2, "mode": "max"}, 4, 2),
    "more by min_delta": ([1, 1.5, 1.5, 2.5], {"patience": 2, "mode": "max", "min_delta": 0.5}, 2, 0),
    "less is better": ([1, 2, 3, 2, 1], {"patience": 2, "mode": "min"}, 2, 0),
    "NaN is not better": ([3, NAN, NAN, 1], {"patience": 2}, 2, 0),
    "NaN first": ([NAN, 3, 2, 1], {"patience": 2}, None, 3),
    "infinity first": ([math.inf, 2, 3], {"patience": 2}, None, 1),
    "epochs that do not count": ([1, 2, 3, 4, 5, 6], {"patience": 2, "start_from_epoch": 2}, 4, 2),
    "nor as the best": ([0, 5, 4, 3, 2], {"patience": 2, "start_from_epoch": 1}, None, 4),
    "all do not count": ([1, 2, 3], {"patience": 1, "start_from_epoch": 3}, None, None),
}


@pytest.mark.parametrize("values, options, end, best", list(STOPS.values()), ids=list(STOPS))
def test_when_training_stops(values, options, end, best):
    """And the weights are those of the best epoch, bit for bit, whether it stopped or not."""
    model = make_model()
    stopping, script = stopped(values, model=model, **options)
    assert (stopping.stopped_epoch, stopping.best_epoch) == (end, best)
    assert model.history.epoch == list(range(len(values) if end is None else end + 1))
    if best is not None:
        assert stopping.best == values[best]
    assert same_bits(model.get_weights(), script.weights[-1 if best is None else best])


@pytest.mark.parametrize(
    "name, best", [("accuracy", 1), ("val_categorical_accuracy", 1), ("val_auc", 1), ("loss_of_mine", 2)]
)
def test_the_mode_follows_from_the_name(name, best):
    stopping, _ = stopped([2, 3, 1, 2, 2], name, patience=2)
    assert stopping.best_epoch == best


def test_without_restoring_the_last_weights_stay():
    model = make_model()
    stopping, script = stopped([3, 1, 2, 2, 2], model=model, patience=2, restore_best_weights=False)
    assert (stopping.stopped_epoch, stopping.best_epoch) == (3, 1)
    assert same_bits(model.get_weights(), script.weights[3])
    assert not same_bits(script.weights[3], script.weights[1])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_statistics_are_restored_too(dtype, executor):
    """All of `get_weights`: what the model says after it is what it said in its best epoch."""
    layers = [Dense(6, "relu"), BatchNormalization(), Dropout(0.2), Dense(3)]
    model = Sequential(layers, seed=1, dtype=dtype)
    model.compile(Adam(0.1), "mean_squared_error", executor=executor)
    stopping = EarlyStopping(patience=5)
    history = model.fit(
        X[:30], Y[:30], 8, 200, verbose=0, validation_data=(X[30:], Y[30:]), callbacks=[stopping]
    ).history["val_loss"]
    assert stopping.best == min(history) == history[stopping.best_epoch]
    assert stopping.stopped_epoch == len(history) - 1 == stopping.best_epoch + 5
    assert model.evaluate(X[30:], Y[30:]) == stopping.best


def test_the_weights_of_the_best_epoch_are_a_copy():
    """What training or the user does afterwards leaves nothing of it behind, and the callback holds no weights on."""
    model = make_model()
    stopping, script = stopped([1, 2, 3], model=model, patience=2)
    restored = model.get_weights()
    assert same_bits(restored, script.weights[0])
    model.fit(X, Y, verbose=0)
    assert not same_bits(model.get_weights(), restored)


def test_each_fit_starts_anew():
    """With the same callback: neither the best value nor the patience of an earlier training counts."""
    script, stopping = Script([1, 2, 2, 2]), EarlyStopping("watched", patience=3)
    model = make_model()
    model.fit(X, Y, epochs=3, callbacks=[script, stopping], verbose=0)
    script.values = [9, 8, 9, 9, 9]
    model.fit(X, Y, epochs=5, callbacks=[script, stopping], verbose=0)
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (8, 1, 4)
    assert same_bits(model.get_weights(), script.weights[3 + 1])


def test_another_callback_may_end_the_training():
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 2

    script, stopping, model = Script([2, 1, 3, 4, 5]), EarlyStopping("watched"), make_model()
    model.fit(X, Y, epochs=5, callbacks=[script, stopping, Stop()], verbose=0)
    assert stopping.stopped_epoch is None and len(model.history.epoch) == 3
    assert same_bits(model.get_weights(), script.weights[1])


def test_it_only_watches():
    """Up to its end a training with it is that without, bit for bit."""
    watched, plain = make_model(optimizer="adam"), make_model(optimizer="adam")
    watched.fit(X, Y, epochs=6, callbacks=[EarlyStopping("loss", restore_best_weights=False)], verbose=0)
    plain.fit(X, Y, epochs=6, verbose=0)
    assert same_bits(watched.get_weights(), plain.get_weights())
    assert watched.history.history == plain.history.history


# ReduceLROnPlateau

REDUCTIONS = {  # values, options, rates after each epoch
    "after each two": ([5, 4, 4, 4, 4, 4, 4], {"patience": 2}, [1, 1, 1, 0.5, 0.5, 0.25, 0.25]),
    "after each": ([4, 4, 4, 4], {"patience": 1}, [1, 0.5, 0.25, 0.125]),
    "patience 0 is patience 1": ([4, 4, 4, 4], {"patience": 0}, [1, 0.5, 0.25, 0.125]),
    "a better value starts the count anew": ([5, 5, 4, 4, 3, 3, 3], {"patience": 2}, [1, 1, 1, 1, 1, 1, 0.5]),
    "less than min_delta is not better": ([4, 3.75, 3.5, 3.25], {"patience": 2, "min_delta": 1}, [1, 1, 0.5, 0.5]),
    "min_delta counts from the best": ([4, 3.5, 2.75, 2.5], {"patience": 2, "min_delta": 1}, [1, 1, 1, 1]),
    "more is better": ([4, 5, 5, 5], {"patience": 2, "mode": "max"}, [1, 1, 1, 0.5]),
    "NaN is not better": ([4, NAN, NAN, NAN], {"patience": 2}, [1, 1, 0.5, 0.5]),
    "cool": ([4] * 8, {"patience": 2, "cooldown": 2}, [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]),
    "cooler": ([4] * 9, {"patience": 1, "cooldown": 3}, [1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]),
    "better while cooling": ([4, 4, 3, 3, 3, 3], {"patience": 1, "cooldown": 2}, [1, 0.5, 0.5, 0.5, 0.25, 0.25]),
    "down to min_lr": ([4] * 6, {"patience": 1, "min_lr": 0.2}, [1, 0.5, 0.25, 0.2, 0.2, 0.2]),
    "below min_lr before": ([4] * 4, {"patience": 1, "min_lr": 3}, [1, 1, 1, 1]),
    "another factor": ([4] * 4, {"patience": 1, "factor": 0.25}, [1, 0.25, 0.0625, 0.015625]),
}


def reduced(values, model=None, **options):
    """The rates after each epoch of a training in which the watched value goes like this."""
    rates, model = Rates(), model or make_model(optimizer=SGD(1.0))
    plateau = ReduceLROnPlateau("watched", **{"factor": 0.5, "min_delta": 0, **options})
    model.fit(X, 0 * Y, epochs=len(values), callbacks=[Script(values), plateau, rates], verbose=0)
    return rates.rates


@pytest.mark.parametrize("values, options, rates", list(REDUCTIONS.values()), ids=list(REDUCTIONS))
def test_when_the_rate_falls(values, options, rates):
    assert reduced(values, **options) == rates


def test_defaults():
    """Keras's, but that the best weights are restored."""
    plateau, stopping = ReduceLROnPlateau(), EarlyStopping()
    assert (plateau.factor, plateau.patience, plateau.min_delta, plateau.cooldown, plateau.min_lr) == (
        0.1,
        10,
        1e-4,
        0,
        0,
    )
    assert plateau.monitor == stopping.monitor == "val_loss"
    assert stopping.min_delta == stopping.start_from_epoch == 0 and stopping.restore_best_weights


def test_the_rate_stays_for_the_next_fit_and_the_count_starts_anew():
    model = make_model(optimizer=SGD(1.0))
    assert reduced([4, 4, 4], model, patience=2) == [1, 1, 0.5]
    assert reduced([9, 9, 9], model, patience=2) == [0.5, 0.5, 0.25]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer", [SGD(0.5), SGD(0.5, 0.9), Adam(0.5)], ids=repr)
def test_the_next_epoch_runs_at_the_new_rate(optimizer, executor):
    """Bit for bit as if the user had set it."""
    model, twin = (make_model(optimizer=copy.deepcopy(optimizer), executor=executor) for _ in range(2))
    rates = reduced([4] * 5, model, patience=2)
    for rate in [0.5, *rates[:-1]]:
        twin.optimizer.learning_rate = rate
        twin.fit(X, 0 * Y, verbose=0)
    assert rates == [0.5, 0.5, 0.25, 0.25, 0.125]
    assert same_bits(model.get_weights(), twin.get_weights())


def test_both_together():
    """Reductions first, then the end, and the weights of the best epoch."""
    values = [5, 4, 6, 6, 6, 6]
    script, rates = Script(values), Rates()
    stopping = EarlyStopping("watched", patience=4)
    model = make_model(optimizer=SGD(0.5))
    plateau = ReduceLROnPlateau("watched", factor=0.5, patience=2)
    model.fit(X, Y, epochs=99, callbacks=[script, plateau, stopping, rates], verbose=0)
    assert rates.rates == [0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert stopping.stopped_epoch == 5
    assert same_bits(model.get_weights(), script.weights[1])


def test_a_validation_set_decides():
    """On noise a model of many units learns its training rows by heart; the best epoch is early, and is kept."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 10)), rng.normal(size=40)
    model = Sequential([Dense(60, "tanh"), Dense(1)], seed=0)
    model.compile(Adam(0.01), "mean_squared_error")
    stopping = EarlyStopping(patience=20)
    history = model.fit(x, y, epochs=500, validation_split=0.5, callbacks=[stopping], verbose=0).history
    assert stopping.stopped_epoch is not None and stopping.best == min(history["val_loss"])
    assert model.evaluate(x[20:], y[20:]) == stopping.best < history["val_loss"][-1]
    assert model.evaluate(x[:20], y[:20]) > history["loss"][-1]


# Limits, at which the executor ends a training itself


class Waiting(Callback):
    """Ends the training after so many epochs without progress; with a Limit or, to compare, by a look at each epoch."""

    def __init__(self, patience, tolerance, limited, ends=True):
        self.patience, self.tolerance, self.limited, self.ends = patience, tolerance, limited, ends
        self.best, self.waited, self.weights = math.inf, 0, []

    @property
    def limit(self):
        return Limit(self.patience, self.waited, self.best, self.tolerance) if self.limited else None

    def on_epoch_end(self, epoch, logs):
        self.weights.append(self.model.get_weights()[0].tobytes())
        self.waited = 0 if logs["loss"] <= self.best - self.tolerance else self.waited + 1
        self.best = min(self.best, logs["loss"])
        if self.ends and self.waited >= self.patience:
            self.model.stop_training = True


def waited(executor, *options, epochs=300, batch_size=8):
    model = make_model(executor=executor)
    callback = Waiting(*options)
    history = model.fit(X, Y, batch_size, epochs, callbacks=[callback], verbose=0)
    return history.history["loss"], model.get_weights(), callback


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("patience, tolerance", [(1, 0.0), (3, 1e-3), (5, 1e-2), (2, 10.0)])
@pytest.mark.parametrize("batch_size", [8, len(X)])
def test_a_limit_ends_the_training_where_a_callback_would(batch_size, patience, tolerance, executor):
    """With the same losses and weights, of fewer stops."""
    epochs = 300 if executor == "compiled" else 40
    found = [waited(executor, patience, tolerance, limited, epochs=epochs, batch_size=batch_size) for limited in (0, 1)]
    (losses, weights, each), (same_losses, same_weights, passed) = found
    assert losses == same_losses and same_bits(weights, same_weights)
    assert len(set(each.weights)) == len(losses) == len(passed.weights)
    if len(losses) > 5:
        assert len(set(passed.weights)) < len(losses)
    assert passed.waited == each.waited and passed.best == each.best


def test_limits_were_reached_above():
    """Or they would have ended nothing."""
    for patience, tolerance in ((1, 0.0), (3, 1e-3), (5, 1e-2), (2, 10.0)):
        assert len(waited("compiled", patience, tolerance, True)[0]) < 300


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_limit_that_nobody_minds_is_an_epoch_at_a_time(executor):
    losses, _, callback = waited(executor, 1, 10.0, True, False, epochs=7)
    assert len(losses) == len(callback.weights) == 7


def test_a_limit_beside_other_callbacks_does_not_count():
    callback, script = Waiting(2, 1e-3, True), Script()
    model = make_model()
    model.fit(X, Y, epochs=5, callbacks=[callback, script], verbose=0)
    assert len({weights[0].tobytes() for weights in script.weights}) == 5


def test_what_else_a_callback_calls_its_limit_is_its_own():
    callback = Script()
    callback.limit = 3
    make_model().fit(X, Y, epochs=5, callbacks=[callback], verbose=0)
    assert len({weights[0].tobytes() for weights in callback.weights}) == 5


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_weights_that_an_update_made_infinite_are_found_before_a_limit_is_reached(seconds, monkeypatch):
    """However chunks end: in the first, the loss is finite still, and a replay must not start from there."""
    monkeypatch.setattr(training, "CHUNK_SECONDS", seconds)
    model = Sequential([Dense(1)], input_dim=X.shape[1], seed=1)
    model.compile(SGD(1e38), "mean_squared_error")
    model.build()
    with pytest.raises(DivergenceError):
        model.fit(X, 1e3 * Y[:, :1], len(X), 30, callbacks=[Waiting(9, 0.0, True)], verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
