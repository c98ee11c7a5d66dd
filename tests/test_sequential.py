"""Sequential: the model as users meet it."""

import copy
import os
import pickle

import numpy as np
import pytest
from helpers import batch_for, make_data, make_model, metric_for, metrics_for, same_bits

import fastml
from fastml import (
    ACTIVATIONS,
    INITIALIZERS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    SET_METRICS,
    SGD,
    Activation,
    Adam,
    Dense,
    Sequential,
)
from fastml.program.executors import EXECUTORS

# Building


def test_a_list_of_layers_and_add_describe_the_same_model():
    listed = Sequential([Dense(4, "tanh"), Dense(2)], input_dim=3, seed=5)
    added = Sequential(input_dim=3, seed=5)
    added.add(Dense(4, "tanh"))
    added.add(Dense(2))
    assert repr(listed) == repr(added)
    assert same_bits(listed.get_weights(), added.get_weights())


def test_an_activation_may_be_a_layer_of_its_own():
    x, y = make_data("mean_squared_error")
    weights = []
    for layers in ([Dense(4, "tanh"), Dense(3, "sigmoid")], [Dense(4), Activation("tanh"), Dense(3, "sigmoid")]):
        model = Sequential(layers, seed=5, dtype="float64")
        model.compile("adam", "binary_crossentropy")
        model.fit(x, y > 0, epochs=3, verbose=0)
        weights.append(model.get_weights())
    assert same_bits(*weights)


def test_the_width_comes_from_the_data_or_is_given():
    x, y = make_data("mean_squared_error")
    taken, given = make_model(), make_model(input_dim=5)
    assert taken.input_dim is None
    for model in (taken, given):
        model.fit(x, y, verbose=0)
    assert taken.input_dim == 5
    assert same_bits(taken.get_weights(), given.get_weights())


def test_build_makes_the_start_values():
    model = Sequential([Dense(4, "tanh"), Dense(2)], seed=5)
    model.build(3)
    assert [w.shape for w in model.get_weights()] == [(3, 4), (4,), (4, 2), (2,)]
    with pytest.raises(ValueError, match="input_dim is 3 already, got 4"):
        model.build(4)


def test_build_without_a_width():
    with pytest.raises(ValueError, match="width of the data is not known"):
        Sequential([Dense(4)]).build()


@pytest.mark.parametrize("method", ["get_weights", "set_weights"])
def test_weights_without_a_width(method):
    arguments = [[]] if method == "set_weights" else []
    with pytest.raises(RuntimeError, match=f"{method} needs weights: give input_dim"):
        getattr(Sequential([Dense(4)]), method)(*arguments)


def test_no_layer_is_added_to_a_model_with_weights():
    model = make_model(input_dim=5)
    model.build()
    with pytest.raises(RuntimeError, match="has its weights already"):
        model.add(Dense(2))


@pytest.mark.parametrize("layers, error", [(Dense(2), "single layer"), ([Dense], "type"), (["relu"], "'relu'")])
def test_layers_that_are_none(layers, error):
    with pytest.raises(TypeError, match=error):
        Sequential(layers)


def test_a_model_without_layers():
    model = Sequential()
    model.compile()
    with pytest.raises(ValueError, match="no layers"):
        model.fit([[1.0]], [1.0])


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.float64, np.dtype("float64"), float])
def test_dtypes_that_are_taken(dtype):
    model = Sequential([Dense(2)], input_dim=3, dtype=dtype)
    assert {w.dtype for w in model.get_weights()} == {np.dtype(dtype)}
    assert model.predict(np.ones((4, 3))).dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["float16", "int32", "double-ish", int, object, 7])
def test_dtypes_that_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64', got"):
        Sequential(dtype=dtype)


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int64(7)])
def test_seeds_that_are_taken(seed):
    assert Sequential(seed=seed).seed == int(seed)


@pytest.mark.parametrize("seed, error", [(-1, ValueError), (2**64, ValueError), (1.0, TypeError), (True, TypeError)])
def test_seeds_that_are_refused(seed, error):
    with pytest.raises(error, match="seed must be"):
        Sequential(seed=seed)


def test_a_seed_by_chance_can_be_used_again():
    first = Sequential([Dense(4)], input_dim=3)
    again = Sequential([Dense(4)], input_dim=3, seed=first.seed)
    other = Sequential([Dense(4)], input_dim=3)
    assert same_bits(first.get_weights(), again.get_weights())
    assert not same_bits(first.get_weights(), other.get_weights())


@pytest.mark.parametrize("units, error", [(0, ValueError), (-3, ValueError), (2.5, TypeError), (True, TypeError)])
def test_units_that_are_refused(units, error):
    with pytest.raises(error, match="units must be"):
        Dense(units)


# Compiling

UNKNOWN = {
    "activation": (ACTIVATIONS, lambda: Dense(2, "nosuch")),
    "activation of its own": (ACTIVATIONS, lambda: Activation("nosuch")),
    "kernel_initializer": (INITIALIZERS, lambda: Dense(2, kernel_initializer="nosuch")),
    "bias_initializer": (INITIALIZERS, lambda: Dense(2, bias_initializer="nosuch")),
    "optimizer": (OPTIMIZERS, lambda: Sequential([Dense(2)]).compile("nosuch")),
    "loss": (LOSSES, lambda: Sequential([Dense(2)]).compile(loss="nosuch")),
    "metric": (METRICS | SET_METRICS, lambda: Sequential([Dense(2)]).compile(metrics=["nosuch"])),
    "executor": (EXECUTORS, lambda: Sequential([Dense(2)]).compile(executor="nosuch")),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_an_unknown_name_lists_the_valid_ones(kind):
    registry, use = UNKNOWN[kind]
    with pytest.raises(ValueError, match=f"unknown {kind.split()[0]} 'nosuch'") as caught:
        use()
    for name in registry:
        assert name in str(caught.value)


def test_a_close_name_is_suggested():
    with pytest.raises(ValueError, match="Did you mean 'sigmoid'"):
        Dense(1, "sigmoyd")


@pytest.mark.parametrize("optimizer, error", [(Adam, "pass Adam()"), (3, "must be a name"), (None, "must be a name")])
def test_an_optimizer_that_is_none(optimizer, error):
    with pytest.raises(TypeError) as caught:
        Sequential([Dense(2)]).compile(optimizer)
    assert error in str(caught.value)


def test_metrics_as_a_single_name():
    with pytest.raises(TypeError, match="metrics must be a list of names"):
        Sequential([Dense(2)]).compile(metrics="accuracy")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_metric_that_does_not_fit_the_targets(loss, metric):
    if metric in metrics_for(loss):
        make_model(loss, metrics=[metric])
    else:
        with pytest.raises(ValueError, match=f"metric '{metric}'.*'{loss}'"):
            make_model(loss, metrics=[metric])


@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_an_output_that_does_not_fit_the_loss(loss, output):
    link = LOSSES[loss].link
    if link == "linear" or output in (link, "linear"):
        make_model(loss, output=output)
    else:
        with pytest.raises(ValueError, match=f"{loss} takes logits.*'{link}'.*not '{output}'"):
            make_model(loss, output=output)


@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if loss.link == "softmax"])
def test_softmax_over_one_output(loss):
    x, y = make_data(loss, units=1)
    model = make_model(loss, units=1)
    with pytest.raises(ValueError, match="at least 2.*binary_crossentropy"):
        model.fit(x, y)


@pytest.mark.parametrize("method", ["fit", "evaluate", "gradients"])
def test_before_compile(method):
    with pytest.raises(RuntimeError, match=rf"call compile\(optimizer, loss\) before {method}"):
        getattr(Sequential([Dense(1)]), method)([[1.0]], [1.0])


def test_a_model_without_weights_cannot_be_trained():
    """And a compile that was refused leaves no half-compiled model behind."""
    x, y = make_data("mean_squared_error", units=5)
    model = Sequential([Activation("tanh")])
    model.predict(x)
    with pytest.raises(ValueError, match="no weights to train"):
        model.compile()
    with pytest.raises((ValueError, RuntimeError), match="no weights to train|call compile"):
        model.fit(x, y, verbose=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_second_compile_resets_the_optimizer(name):
    """Trained weights with a new optimizer go on as in a new model with these weights."""
    x, y = make_data("mean_squared_error")
    model, fresh = make_model(optimizer=name), make_model(optimizer=name, input_dim=5)
    model.fit(x, y, batch_for(name, 50, 32), epochs=3, shuffle=False, verbose=0)
    fresh.set_weights(model.get_weights())
    model.compile(name, "mean_squared_error")
    for m in (model, fresh):
        m.fit(x, y, batch_for(name, 50, 32), epochs=3, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), fresh.get_weights())


def test_compile_changes_optimizer_and_loss_but_not_the_weights():
    x, y = make_data("binary_crossentropy")
    model = make_model("binary_crossentropy", "sgd")
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    model.compile("adam", "mean_squared_error", ["mean_absolute_error"])
    assert same_bits(model.get_weights(), before)
    history = model.fit(x, y, epochs=20, verbose=0).history
    assert list(history) == ["loss", "mean_absolute_error"]
    assert history["loss"][-1] < history["loss"][0]


def test_predict_works_before_compile():
    x, y = make_data("mean_squared_error")
    model, twin = Sequential([Dense(3)], seed=2), Sequential([Dense(3)], seed=2)
    first = model.predict(x)
    for m in (model, twin):
        m.compile()
        m.fit(x, y, verbose=0)
    assert first.shape == (50, 3)
    assert same_bits(model.get_weights(), twin.get_weights())


# Weights


def test_weights_come_layer_by_layer():
    model = Sequential([Dense(4, "tanh"), Dense(2, bias_initializer="glorot_uniform")], input_dim=3)
    W1, b1, W2, b2 = model.get_weights()
    assert (W1.shape, b1.shape, W2.shape, b2.shape) == ((3, 4), (4,), (4, 2), (2,))
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    np.testing.assert_allclose(model.predict(x), np.tanh(x @ W1 + b1) @ W2 + b2, rtol=0, atol=1e-6)


def test_set_weights_is_undone_by_get_weights():
    source, target = make_model(input_dim=5, seed=1), make_model(input_dim=5, seed=2)
    target.set_weights(source.get_weights())
    assert same_bits(target.get_weights(), source.get_weights())


@pytest.mark.parametrize(
    "spoil, error",
    [
        (lambda w: w[:-1], "weights must be 6 arrays, got 5"),
        (lambda w: [*w[:-1], w[-1][:-1]], r"weights\[5\] has shape \(2,\), but the model has \(3,\)"),
        (lambda w: [*w[:-1], w[-1] * np.nan], r"weights\[5\] holds NaN"),
        (lambda w: [*w[:-1], ["a", "b", "c"]], r"weights\[5\] has dtype <U1"),
    ],
)
def test_set_weights_is_all_or_nothing(spoil, error):
    model = make_model(input_dim=5)
    before = model.get_weights()
    with pytest.raises((TypeError, ValueError), match=error):
        model.set_weights(spoil([w + 1 for w in before]))
    assert same_bits(model.get_weights(), before)


# Training


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_fits_are_one(optimizer, executor):
    """Weights, optimizer state and order of rows continue: 2 + 3 epochs give the bits of 5."""
    x, y = make_data("mean_squared_error")
    once, twice = (make_model(optimizer=optimizer, executor=executor) for _ in range(2))
    batch_size = batch_for(optimizer, 50, 16)
    once.fit(x, y, batch_size, epochs=5, verbose=0)
    twice.fit(x, y, batch_size, epochs=2, verbose=0)
    twice.predict(x[:3])
    twice.evaluate(x, y)
    twice.gradients(x, y)
    twice.fit(x, y, batch_size, epochs=3, verbose=0)
    assert same_bits(once.get_weights(), twice.get_weights())


def test_batch_size_may_change_between_fits():
    x, y = make_data("mean_squared_error", rows=300)
    models = [make_model(executor=executor) for executor in EXECUTORS]
    for model in models:
        for size in (7, 64, 300, 1):
            model.fit(x, y, batch_size=size, epochs=2, verbose=0)
    for got, expected in zip(*(m.get_weights() for m in models), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_without_shuffle_rows_come_in_their_order():
    """One unshuffled epoch is the same as fits of its batches one by one."""
    x, y = make_data("mean_squared_error")
    whole, pieces = make_model(), make_model()
    whole.fit(x, y, batch_size=16, shuffle=False, verbose=0)
    for first in range(0, 50, 16):
        pieces.fit(x[first : first + 16], y[first : first + 16], batch_size=16, shuffle=False, verbose=0)
    assert same_bits(whole.get_weights(), pieces.get_weights())


def test_a_batch_size_larger_than_the_data_is_one_batch():
    x, y = make_data("mean_squared_error")
    models = [make_model() for _ in range(2)]
    for model, size in zip(models, (50, 10**6), strict=True):
        model.fit(x, y, batch_size=size, epochs=3, verbose=0)
    assert same_bits(*(m.get_weights() for m in models))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rows, d_in", [(1, 1), (1, 5), (50, 1)])
def test_one_row_and_one_feature(loss, rows, d_in):
    x, y = make_data(loss, rows=rows, d_in=d_in)
    model = make_model(loss, SGD(0.1), metrics=[metric_for(loss)])
    before = model.evaluate(x, y)[0]
    history = model.fit(x, y, epochs=30, verbose=0).history
    assert len(history["loss"]) == 30
    assert model.evaluate(x, y)[0] < before
    assert model.predict(x).shape == (rows, 3)


@pytest.mark.parametrize("name", ["batch_size", "epochs"])
@pytest.mark.parametrize("value, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("3", TypeError)])
def test_counts_that_are_refused(name, value, error):
    x, y = make_data("mean_squared_error")
    with pytest.raises(error, match=f"{name} must be"):
        make_model().fit(x, y, **{name: value})


def test_history_holds_one_value_an_epoch():
    x, y = make_data("mean_squared_error")
    model = make_model(metrics=["mean_absolute_error"])
    history = model.fit(x, y, epochs=4, validation_data=(x, y), verbose=0)
    assert history is model.history
    assert history.epoch == [0, 1, 2, 3]
    assert list(history.history) == ["loss", "mean_absolute_error", "val_loss", "val_mean_absolute_error"]
    assert all(len(values) == 4 for values in history.history.values())
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert "4 epochs" in repr(history)


def test_the_loss_in_history_is_the_mean_over_rows():
    """With a learning rate of zero every batch sees the same weights, so the epoch's loss is `evaluate`'s."""
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer=SGD(0), metrics=["mean_absolute_error"])
    history = model.fit(x, y, batch_size=16, verbose=0).history
    expected = model.evaluate(x, y, return_dict=True)
    assert {name: values[0] for name, values in history.items()} == pytest.approx(expected, rel=1e-13)


# Validation


@pytest.mark.parametrize("loss", LOSSES)
def test_validation_is_evaluate(loss):
    x, y = make_data(loss)
    vx, vy = make_data(loss, rows=23, seed=9)
    model = make_model(loss, metrics=[metric_for(loss)])
    history = model.fit(x, y, epochs=3, validation_data=(vx, vy), verbose=0).history
    assert [history["val_loss"][-1], history[f"val_{metric_for(loss)}"][-1]] == model.evaluate(vx, vy)


@pytest.mark.parametrize("loss", LOSSES)
def test_validation_split_keeps_the_last_rows_out(loss):
    x, y = make_data(loss)
    share, data = make_model(loss), make_model(loss)
    a = share.fit(x, y, epochs=3, validation_split=0.2, verbose=0)
    b = data.fit(x[:40], y[:40], epochs=3, validation_data=(x[40:], y[40:]), verbose=0)
    assert a.history == b.history
    assert same_bits(share.get_weights(), data.get_weights())


def test_validation_does_not_disturb_the_training():
    x, y = make_data("mean_squared_error")
    plain, watched = make_model(), make_model()
    plain.fit(x, y, epochs=3, verbose=0)
    watched.fit(x, y, epochs=3, validation_data=make_data("mean_squared_error", rows=300), verbose=0)
    assert same_bits(plain.get_weights(), watched.get_weights())


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan"), True, "0.2", 0.999])
def test_shares_that_are_refused(share):
    x, y = make_data("mean_squared_error")
    with pytest.raises(ValueError, match="validation_split"):
        make_model().fit(x, y, validation_split=share, verbose=0)


@pytest.mark.parametrize("rows, share, kept", [(10, 0.9, 1), (5, 0.8, 1), (10, 0.3, 7), (50, 0.001, 49), (3, 0.5, 1)])
def test_a_split_is_not_off_by_a_rounding_error(rows, share, kept):
    x, y = make_data("mean_squared_error", rows=rows)
    model, twin = make_model(), make_model()
    model.fit(x, y, validation_split=share, verbose=0)
    twin.fit(x[:kept], y[:kept], verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_split_and_data_are_too_much():
    x, y = make_data("mean_squared_error")
    with pytest.raises(ValueError, match="validation_data or validation_split, not both"):
        make_model().fit(x, y, validation_split=0.2, validation_data=(x, y))


# Prediction and evaluation


def numpy_outputs(model, x):
    """What the model of `make_model` with tanh gives before the output activation."""
    W1, b1, W2, b2, W3, b3 = model.get_weights()
    return np.tanh(np.tanh(x @ W1 + b1) @ W2 + b2) @ W3 + b3


FORMULAS = {
    "linear": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("output", FORMULAS)
def test_predict_is_the_forward_formula(output, executor):
    x, _ = make_data("mean_squared_error", rows=300)
    model = make_model(output=output, executor=executor)
    a = model.predict(x)
    np.testing.assert_allclose(a, FORMULAS[output](numpy_outputs(model, x)), rtol=0, atol=1e-14)


def row_losses(loss, z, y):
    """Each row's loss from the logits, by the textbook."""
    p, log_softmax = 1 / (1 + np.exp(-z)), z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return {
        "mean_squared_error": lambda: ((z - y) ** 2).mean(axis=1),
        "binary_crossentropy": lambda: -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1),
        "categorical_crossentropy": lambda: -(y * log_softmax).sum(axis=1),
        "sparse_categorical_crossentropy": lambda: -log_softmax[np.arange(len(z)), y],
    }[loss]()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "loss",
    ["mean_squared_error", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"],
)
def test_evaluate_is_the_mean_of_the_losses_of_rows(loss, executor):
    """300 rows, so that evaluation needs more than one block."""
    x, y = make_data(loss, rows=300)
    model = make_model(loss, executor=executor)
    assert model.evaluate(x, y) == pytest.approx(row_losses(loss, numpy_outputs(model, x), y).mean(), rel=1e-13)


def test_what_evaluate_returns():
    x, y = make_data("mean_squared_error")
    assert type(make_model().evaluate(x, y)) is float
    model = make_model(metrics=["mean_squared_error", "mean_absolute_error"])
    loss, mse, mae = model.evaluate(x, y)
    assert loss == pytest.approx(mse, rel=1e-14)
    names = {"loss": loss, "mean_squared_error": mse, "mean_absolute_error": mae}
    assert model.evaluate(x, y, return_dict=True) == names


@pytest.mark.parametrize("executor", EXECUTORS)
def test_evaluate_where_the_loss_is_infinite(executor):
    """The metrics are still means over all rows, not over those before the overflow."""
    x, y = make_data("mean_squared_error", rows=300)
    y[10, 0] = 1e200
    model = make_model(metrics=["mean_absolute_error"], executor=executor)
    loss, error = model.evaluate(x, y)
    assert loss == np.inf
    assert error == pytest.approx(np.abs(model.predict(x) - y).mean(), rel=1e-13)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_gradients_where_the_loss_is_infinite(executor):
    """They are those of this call, or an error says why not; never what an earlier call left."""
    x, y = make_data("mean_squared_error")
    model = Sequential([Dense(3)], seed=1, dtype="float64")
    model.compile("sgd", executor=executor)
    model.gradients(x, y)
    try:
        loss, (dW, db) = model.gradients(x, 1e200 * y)
    except fastml.DivergenceError:
        return
    dz = 2 * (model.predict(x) - 1e200 * y) / y.size
    assert loss == np.inf
    np.testing.assert_allclose(dW, x.T @ dz, rtol=1e-12)
    np.testing.assert_allclose(db, dz.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("dtype", fastml.program.compiled.DTYPES)
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_a_prediction_does_not_depend_on_its_neighbours(output, dtype):
    """Row by row, in any block, after any other call: the same bits."""
    x, _ = make_data("mean_squared_error", rows=600)
    model = make_model(output=output, dtype=dtype)
    together = model.predict(x)
    for first, last in ((0, 1), (3, 10), (255, 258), (100, 600)):
        assert model.predict(x[first:last]).tobytes() == together[first:last].tobytes()


def test_with_a_linear_output_layer_predictions_are_logits():
    x, y = make_data("categorical_crossentropy")
    logits = make_model("categorical_crossentropy", output="linear")
    probabilities = make_model("categorical_crossentropy", output="softmax")
    for model in (logits, probabilities):
        model.fit(x, y, epochs=3, verbose=0)
    assert same_bits(logits.get_weights(), probabilities.get_weights())
    np.testing.assert_allclose(FORMULAS["softmax"](logits.predict(x)), probabilities.predict(x), rtol=0, atol=1e-14)


# Copies

COPIES = {"pickle": lambda model: pickle.loads(pickle.dumps(model)), "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", fastml.program.compiled.DTYPES)
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_trains_on_with_the_same_bits(way, dtype, executor):
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer="adam", dtype=dtype, executor=executor)
    model.fit(x, y, epochs=2, verbose=0)
    twin = COPIES[way](model)
    assert same_bits(twin.get_weights(), model.get_weights())
    kept = model.get_weights()
    twin.fit(x, y, epochs=3, verbose=0)
    assert same_bits(model.get_weights(), kept), "the copy shares memory with its original"
    model.fit(x, y, epochs=3, verbose=0)
    assert same_bits(twin.get_weights(), model.get_weights())


@pytest.mark.parametrize("way", COPIES)
def test_the_learning_rate_of_a_copy_is_its_own(way):
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer="sgd")
    model.fit(x, y, verbose=0)
    twin, kept = COPIES[way](model), model.get_weights()
    twin.optimizer.learning_rate = 0.0
    twin.fit(x, y, verbose=0)
    assert same_bits(twin.get_weights(), kept)
    model.fit(x, y, verbose=0)
    assert not same_bits(model.get_weights(), kept)


@pytest.mark.parametrize("way", COPIES)
def test_the_buffers_of_a_copy_are_aligned_too(way):
    """Many sizes, since a buffer may stand at a multiple of 64 bytes by chance."""
    for units in range(1, 200, 10):
        model = make_model(optimizer="adam", units=units, input_dim=5)
        model.build()
        for buffer in COPIES[way](model)._engine.buffers:
            assert buffer.ctypes.data % 64 == 0


@pytest.mark.parametrize("way", COPIES)
def test_a_model_without_weights_can_be_copied(way):
    x, y = make_data("mean_squared_error")
    model = make_model()
    twin = COPIES[way](model)
    for m in (model, twin):
        m.fit(x, y, verbose=0)
    assert same_bits(twin.get_weights(), model.get_weights())


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the memory of this process is read from /proc")
def test_repeated_calls_keep_no_memory():
    """20 more rounds over 8 MB of data, which is converted each time, leave less than two copies of it behind."""
    x = np.ones((100_000, 10))
    model = Sequential([Dense(1)], seed=0)
    model.compile("sgd")

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def rounds(count):
        for _ in range(count):
            model.fit(x, x[:, 0], batch_size=1000, verbose=0)
            model.predict(x)
        return resident()

    before = rounds(5)
    assert rounds(20) - before < 2 * x.nbytes
