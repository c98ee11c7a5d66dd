"""What an awkward user does: each mistake is refused by name, and nothing that they hold can reach the executor."""

import copy
import pickle

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

import fastml
from fastml import SGD, Activation, Adam, Callback, Dense, DivergenceError, Sequential

X, Y = make_data("mean_squared_error")


def built():
    model = make_model(loss="mean_squared_error", input_dim=5)
    model.build()
    return model


class Opaque:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach() first")


MISTAKES = {
    "layers": (TypeError, "layers must be a list", lambda: Sequential(5)),
    "a bare layer": (TypeError, "a layer is expected", lambda: Sequential([fastml.Layer()])),
    "dtype": (ValueError, "dtype must be", lambda: Sequential(dtype=None)),
    "units": (ValueError, "units must be from 1 to", lambda: Dense(2**70)),
    "metrics": (TypeError, "metrics must be a list", lambda: built().compile(metrics=5)),
    "metrics twice": (ValueError, "twice", lambda: built().compile(metrics=["accuracy", "accuracy"])),
    "optimizer": (TypeError, "is none of SGD, Adam", lambda: built().compile(fastml.Optimizer())),
    "epsilon": (ValueError, r"epsilon must be in \(0", lambda: Adam(epsilon=0)),
    "epsilon later": (ValueError, "epsilon must be in", lambda: setattr(Adam(), "epsilon", -1)),
    "beta_1 later": (ValueError, "beta_1 must be in", lambda: setattr(Adam(), "beta_1", 5)),
    "callbacks": (TypeError, "callbacks must be a list", lambda: built().fit(X, Y, callbacks=5)),
    "a callback": (TypeError, "a callback is an object", lambda: built().fit(X, Y, callbacks=[print])),
    "a class": (TypeError, "a callback is an object", lambda: built().fit(X, Y, callbacks=[Callback])),
    "verbose": (ValueError, "verbose must be", lambda: built().fit(X, Y, verbose=2.0)),
    "epochs": (ValueError, "epochs must be from 1 to", lambda: built().fit(X, Y, epochs=10**12)),
    "split": (ValueError, "validation_split must be", lambda: built().fit(X, Y, validation_split=[])),
    "shuffle": (TypeError, "shuffle must be", lambda: built().fit(X, Y, shuffle="batch")),
    "weights": (TypeError, "weights must be a list", lambda: built().set_weights({"W": 1})),
    "no weights": (ValueError, "weights must be 6 arrays", lambda: built().set_weights(None)),
    "warmup": (ValueError, "dtype must be", lambda: fastml.warmup("int32")),
    "x": (TypeError, "x, a Opaque, cannot be read as an array: call detach", lambda: built().predict(Opaque())),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    error, message, make = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        make()


def test_epsilon_that_the_dtype_cannot_hold():
    model = make_model(input_dim=5, dtype="float32")
    model.build()
    with pytest.raises(ValueError, match="epsilon of Adam.* is 1e-50, which is 0 in float32"):
        model.compile(Adam(epsilon=1e-50))


def test_metrics_may_come_from_a_generator():
    model = built()
    model.compile(metrics=(name for name in ["mean_absolute_error"]))
    assert len(model.evaluate(X, Y)) == 2


def test_a_batch_larger_than_any_number():
    model, full = built(), built()
    model.fit(X, Y, batch_size=2**31 - 1, verbose=0)
    full.fit(X, Y, batch_size=len(X), verbose=0)
    assert same_bits(model.get_weights(), full.get_weights())


def test_labels_that_change_after_the_check():
    """The executor writes where labels point."""
    x, y = make_data("sparse_categorical_crossentropy")
    y = y.astype(np.float64).reshape(-1, 1)

    class Change(Callback):
        def on_epoch_end(self, epoch, logs):
            y[:] = 1e8

    model, quiet = (make_model("sparse_categorical_crossentropy") for _ in range(2))
    quiet.fit(x, y.copy(), epochs=3, verbose=0)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[Change()])
    assert same_bits(model.get_weights(), quiet.get_weights())


def test_layers_that_change_after_the_build():
    """The engine keeps the layers that its buffers were made for; what would have no effect is refused."""
    model = built()
    before = model.predict(X)
    with pytest.raises(AttributeError, match="^units of Dense cannot be changed once the model has its weights"):
        model.layers[0].units = 10**7
    model.layers.append(Dense(2))
    assert np.array_equal(model.predict(np.tile(X, (9, 1)))[: len(X)], before)
    model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_made_by_a_callback_trains(duplicate):
    copies = []

    class Keep(Callback):
        def on_epoch_end(self, epoch, logs):
            copies.append(duplicate(self.model))

    built().fit(X, Y, epochs=2, verbose=0, callbacks=[Keep()])
    copies[0].fit(X, Y, epochs=1, verbose=0)
    assert same_bits(copies[0].get_weights(), copies[1].get_weights())


def test_a_pickle_holds_no_workspace():
    model = built()
    size = len(pickle.dumps(model))
    model.gradients(np.tile(X, (1000, 1)), np.tile(Y, (1000, 1)))
    assert len(pickle.dumps(model)) < 1.1 * size


def test_history_of_a_diverged_training_counts_each_epoch_once():
    """Without callbacks the replay goes through epochs that were counted before."""
    x, y = np.random.default_rng(0).normal(size=(64, 4)), np.random.default_rng(1).normal(size=(64, 1))
    losses = []
    for callbacks in ([], [Callback()]):
        model = Sequential([Dense(8, "tanh"), Dense(1)], seed=1)
        model.compile(SGD(30.0), "mean_squared_error")
        with pytest.raises(DivergenceError):
            model.fit(x, y, epochs=200, verbose=0, callbacks=callbacks)
        losses.append(model.history.history["loss"])
    assert losses[0] == losses[1]


def test_weights_that_a_callback_sets_before_the_first_epoch():
    class Set(Callback):
        def on_train_begin(self, logs):
            self.model.set_weights([np.full((2, 1), 1e15), [0]])

    model = Sequential([Dense(1, kernel_initializer="zeros")], seed=1)
    model.compile(SGD(0.01), "mean_squared_error")
    with pytest.raises(DivergenceError, match="in epoch 1 of 3"):
        model.fit(np.full((10, 2), 1e20), np.zeros(10), epochs=3, verbose=0, callbacks=[Set()])
    assert np.array_equal(model.get_weights()[0], np.full((2, 1), 1e15, np.float32))


def test_optimizer_state_that_overflows():
    """A moment that is infinite would stop its weight for good."""
    model = Sequential([Dense(1)], seed=1)
    model.compile("adam", "mean_squared_error")
    with pytest.raises(DivergenceError):
        model.fit(np.full((10, 2), 1e10), np.full(10, 1e15), verbose=0)
    assert np.isfinite(model._engine.buffers.state).all()


def test_summary_builds_nothing():
    model = Sequential([Dense(3)], input_dim=4)
    model.summary()
    model.add(Activation("tanh"))
    assert model.predict(np.zeros((1, 4))).shape == (1, 3)
