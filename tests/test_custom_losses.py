"""Losses and metrics of users: what compile takes stays, data stay as they are, logs have one name for each."""

import copy
import pickle

import numpy as np
import pytest
from custom_objects import Pinball, worst_error
from helpers import same_bits

import fastml
from fastml import Dense, Sequential

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(40, 5)), RANDOM.normal(size=(40, 2))
EXECUTORS = ("compiled", "numpy")


class Weighed(fastml.Loss):
    def __init__(self, factors):
        self.factors = factors

    def call(self, y_true, y_pred):
        return self.factors[0] * (y_true[:, 0] - y_pred[:, 0]) ** 2 + self.factors[1] * np.abs(y_pred[:, 1])


def compiled(dtype="float64", executor="compiled", **how):
    model = Sequential([Dense(2)], input_dim=5, seed=1, dtype=dtype)
    model.compile(executor=executor, **how)
    return model


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_loss_is_what_it_was_when_it_was_compiled(executor, tmp_path):
    path, loss = tmp_path / "model.safetensors", Pinball(0.9)
    model = compiled(loss=loss, executor=executor)
    error = Y - model.predict(X)
    expected = np.mean(np.maximum(0.9 * error, -0.1 * error))
    loss.quantile = 0.1
    assert np.isclose(model.evaluate(X, Y, verbose=0), expected, rtol=1e-12)
    with pytest.warns(UserWarning, match="not their code"):
        model.save(path)
    others = [fastml.load(path, {"Pinball": Pinball}), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    for each in others:
        assert each.loss.source.quantile == 0.9 and each.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    model.compile(loss=loss)
    assert np.isclose(model.evaluate(X, Y, verbose=0), np.mean(np.maximum(0.1 * error, -0.9 * error)), rtol=1e-12)


def test_what_a_loss_holds_stays_as_well(tmp_path):
    path, loss = tmp_path / "model.safetensors", Weighed([1.0, 2.0])
    model = compiled(loss=loss)
    loss.factors[0] = 100.0
    with pytest.warns(UserWarning, match="not their code"):
        model.save(path)
    same = fastml.load(path, {"Weighed": Weighed})
    assert same.loss.source.factors == [1.0, 2.0]
    assert same.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def changed(name, value, loss, of=lambda model: model.loss):
    setattr(of(compiled(loss=loss)), name, value)


CHANGES = {
    "own": (lambda: changed("quantile", 0.1, Pinball(0.9)), "quantile of Pinball(quantile=0.9)"),
    "own, inside": (lambda: changed("quantile", 0.1, Pinball(0.9), lambda m: m.loss.source), "quantile of Pinball(qu"),
    "function": (lambda: changed("rate", 0.1, lambda y, a: (y - a) ** 2), "rate of <lambda>"),
    "built in": (lambda: changed("delta", 0.1, fastml.Huber(2.0)), "delta of Huber(delta=2)"),
}


@pytest.mark.parametrize("change, what", CHANGES.values(), ids=CHANGES)
def test_a_late_change_is_refused(change, what):
    with pytest.raises(AttributeError) as told:
        change()
    assert str(told.value).startswith(what) and "cannot be changed once the model is compiled" in str(told.value)


def test_the_users_loss_may_be_changed_and_compiled_again():
    loss = fastml.Huber(2.0)
    model = compiled(loss=loss)
    loss.delta = 1.0
    assert model.loss.delta == 2.0
    model.compile(loss=loss)
    model.compile(loss=model.loss)
    assert model.loss.delta == 1.0


def sorting(y_true, y_pred):
    y_true.sort(axis=0)
    return 0.0


def scaling(y_true, y_pred):
    y_pred *= 2
    return 0.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("metric", [sorting, scaling], ids=lambda metric: metric.__name__)
@pytest.mark.parametrize("how", ["evaluate", "data", "split"])
def test_metrics_cannot_change_data(metric, how, dtype):
    model, x, y = compiled(dtype, metrics=[metric, worst_error]), X.astype(dtype), Y.astype(dtype)
    kept = x.copy(), y.copy()
    with pytest.raises(ValueError, match=f"metric '{metric.__name__}': ValueError: .*read-only"):
        if how == "evaluate":
            model.evaluate(x, y, verbose=0)
        else:
            model.fit(x, y, verbose=0, **({"validation_data": (x, y)} if how == "data" else {"validation_split": 0.2}))
    assert same_bits(kept, (x, y)) and y.flags.writeable
    assert worst_error(y, model.predict(x)) == np.abs(y - model.predict(x)).max()


def loss(y_true, y_pred):
    return 42.0


def test_a_metric_is_not_called_as_the_loss():
    with pytest.raises(ValueError, match="a metric cannot be called 'loss', which logs have already"):
        compiled(metrics=[loss])


def r2(y_true, y_pred):
    return 1.0


def f1(y_true, y_pred):
    return 2.0


def mean_squared_error(y_true, y_pred):
    return 3.0


def test_metrics_called_as_those_of_fastml_are_the_users():
    model = compiled(metrics=[f1, "r2", mean_squared_error, "mse"])
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    errors = ((Y - model.predict(X)) ** 2).mean()
    assert list(logs) == ["loss", "f1", "r2", "mean_squared_error", "mse"]
    assert (logs["f1"], logs["mean_squared_error"]) == (2.0, 3.0) and np.isclose(logs["mse"], errors, rtol=1e-12)
    for metrics in ([r2, "r2"], [worst_error, worst_error]):
        with pytest.raises(ValueError, match="metrics names one twice"):
            compiled(metrics=metrics)
