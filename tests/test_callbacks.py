"""Callbacks: what they are told, and what they may do to a training."""

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

from fastml import SGD, Callback
from fastml.program.executors import EXECUTORS


class Recorder(Callback):
    def __init__(self, calls, name):
        self.calls, self.name = calls, name

    def set_model(self, model):
        super().set_model(model)
        self.calls.append((self.name, "set_model"))

    def on_train_begin(self, logs):
        self.calls.append((self.name, "begin", logs))

    def on_epoch_end(self, epoch, logs):
        self.calls.append((self.name, epoch, dict(logs)))

    def on_train_end(self, logs):
        self.calls.append((self.name, "end", dict(logs)))


class AtEpochEnd:
    """A callback of one function, and no base class."""

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, epoch, logs):
        self.function(epoch, logs)


def test_callbacks_are_called_in_order():
    x, y = make_data("mean_squared_error")
    calls, model = [], make_model()
    a, b = Recorder(calls, "a"), Recorder(calls, "b")
    losses = model.fit(x, y, epochs=2, callbacks=[a, b], verbose=0).history["loss"]
    logs = [{"loss": loss} for loss in losses]
    steps = [("set_model",), ("begin", {}), (0, logs[0]), (1, logs[1]), ("end", logs[1])]
    assert calls == [(name, *step) for step in steps for name in "ab"]
    assert a.model is b.model is model


def test_logs_hold_metrics_and_validation():
    x, y = make_data("mean_squared_error")
    seen = []
    model = make_model(metrics=["mean_absolute_error"])
    history = model.fit(
        x, y, epochs=3, validation_split=0.2, callbacks=[AtEpochEnd(lambda e, logs: seen.append(dict(logs)))], verbose=0
    )
    assert seen == [{k: v[epoch] for k, v in history.history.items()} for epoch in range(3)]
    assert set(seen[0]) == {"loss", "mean_absolute_error", "val_loss", "val_mean_absolute_error"}


def test_a_callback_that_only_watches_changes_no_bits():
    x, y = make_data("mean_squared_error")
    plain, watched = make_model(), make_model()
    plain.fit(x, y, epochs=5, verbose=0)
    watched.fit(x, y, epochs=5, callbacks=[AtEpochEnd(lambda e, logs: watched.predict(x))], verbose=0)
    assert same_bits(plain.get_weights(), watched.get_weights())


def test_predict_and_evaluate_within_a_callback():
    """Also with more rows at a time than the training's workspace has room for."""
    x, y = make_data("mean_squared_error", rows=400)
    plain, watched = make_model(), make_model()
    seen = []

    def watch(epoch, logs):
        seen.append((watched.predict(x), watched.evaluate(x, y), watched.gradients(x, y)[0], watched.get_weights()))

    watched.fit(x, y, batch_size=8, epochs=3, callbacks=[AtEpochEnd(watch)], verbose=0)
    for epoch in range(3):
        plain.fit(x, y, batch_size=8, verbose=0)
        prediction, loss, gradient_loss, weights = seen[epoch]
        assert same_bits(weights, plain.get_weights())
        assert prediction.tobytes() == plain.predict(x).tobytes()
        assert loss == pytest.approx(plain.evaluate(x, y), rel=1e-14)
        assert gradient_loss == pytest.approx(loss, rel=1e-13)
    assert same_bits(watched.get_weights(), plain.get_weights())


def test_stop_training_ends_after_the_epoch():
    x, y = make_data("mean_squared_error")
    model, twin = make_model(), make_model()

    def stop(epoch, logs):
        model.stop_training = epoch == 2

    history = model.fit(x, y, epochs=100, callbacks=[AtEpochEnd(stop)], verbose=0)
    assert history.epoch == [0, 1, 2]
    twin.fit(x, y, epochs=3, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())
    assert len(model.fit(x, y, epochs=4, verbose=0).epoch) == 4


def test_an_exception_in_a_callback_passes_and_the_model_goes_on():
    x, y = make_data("mean_squared_error")
    model, twin = make_model(optimizer="adam"), make_model(optimizer="adam")

    def fail(epoch, logs):
        if epoch == 1:
            raise LookupError("the callback's own")

    with pytest.raises(LookupError, match="the callback's own"):
        model.fit(x, y, epochs=9, callbacks=[AtEpochEnd(fail)], verbose=0)
    assert model.history.epoch == [0, 1]
    model.fit(x, y, epochs=2, verbose=0)
    twin.fit(x, y, epochs=4, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("evaluates", [False, True])
def test_constants_changed_in_a_callback_reach_the_program_that_trains(evaluates):
    """Also where the callback has evaluated rows with weights, for which the model makes another program."""
    x, y = make_data("mean_squared_error")

    class Change(Callback):
        def on_epoch_end(self, epoch, logs):
            if evaluates:
                self.model.evaluate(x, y, sample_weight=np.ones(len(x)))
            self.model.optimizer.momentum = 0.0

    models = [make_model(optimizer=SGD(0.01, momentum=0.9)), make_model(optimizer=SGD(0.01, momentum=0.9))]
    models[0].fit(x, y, epochs=3, callbacks=[Change()], verbose=0)
    models[1].fit(x, y, epochs=1, verbose=0)
    models[1].optimizer.momentum = 0.0
    models[1].fit(x, y, epochs=2, verbose=0)
    assert same_bits(*(model.get_weights() for model in models))


def test_what_a_callback_notes_on_the_optimizer_changes_nothing():
    """Also what cannot be compared, such as arrays."""

    class Note(Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.optimizer.noted = np.arange(3) + epoch

    (x, y), models = make_data("mean_squared_error"), [make_model(), make_model()]
    for model, callbacks in zip(models, ([], [Note()]), strict=True):
        model.fit(x, y, epochs=3, callbacks=callbacks, verbose=0)
    assert same_bits(*(model.get_weights() for model in models))
    assert models[1].optimizer.noted[0] == 2


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_learning_rate_changed_in_a_callback_takes_effect(executor):
    x, y = make_data("mean_squared_error")
    model, twin = make_model(optimizer=SGD(0.1), executor=executor), make_model(optimizer=SGD(0.1), executor=executor)

    def slow_down(epoch, logs):
        model.predict(x)
        model.optimizer.learning_rate = 0.1 / (epoch + 2)

    model.fit(x, y, epochs=3, callbacks=[AtEpochEnd(slow_down)], verbose=0)
    for epoch in range(3):
        twin.optimizer.learning_rate = 0.1 / (epoch + 1)
        twin.fit(x, y, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_weights_set_in_a_callback_are_trained_on():
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer=SGD(0.1))
    zeros = [np.zeros_like(w) for w in make_model(input_dim=5).get_weights()]
    model.fit(x, y, epochs=1, callbacks=[AtEpochEnd(lambda e, logs: model.set_weights(zeros))], verbose=0)
    assert same_bits(model.get_weights(), zeros)


def test_a_single_callback_is_refused():
    x, y = make_data("mean_squared_error")
    with pytest.raises(TypeError, match="callbacks must be a list"):
        make_model().fit(x, y, callbacks=AtEpochEnd(print))
