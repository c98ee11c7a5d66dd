"""Data of a few rows: last batches of every size, one row, and batches that weigh nothing."""

import numpy as np
import pytest
from helpers import make_data, make_model

from fastml import LOSSES, OPTIMIZERS, SGD, BatchNormalization, CosineDecay, Dense, Normalization, Sequential
from fastml.program.compiled import DTYPES
from fastml.program.executors import EXECUTORS


def gradients_by_hand(twin, x, y, batches, rate, epochs):
    """Plain descent, one batch after the other."""
    for _ in range(epochs):
        for rows in batches:
            _, gradients = twin.gradients(x[rows], y[rows])
            weights = [w - rate * g for w, g in zip(twin.get_weights(), gradients, strict=True)]
            twin.set_weights(weights)
    return twin.get_weights()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("rows, batch_size", [(rows, size) for rows in (1, 2, 7, 13) for size in range(1, rows + 2)])
def test_last_batches_of_every_size(rows, batch_size, executor):
    """The gradient of a short batch is the mean over its own rows."""
    x, y = make_data("categorical_crossentropy", rows=rows)
    batches = [slice(first, first + batch_size) for first in range(0, rows, batch_size)]
    model, twin = (make_model("categorical_crossentropy", SGD(0.1), input_dim=5, executor=executor) for _ in range(2))
    model.fit(x, y, batch_size, epochs=3, shuffle=False, verbose=0)
    for got, expected in zip(model.get_weights(), gradients_by_hand(twin, x, y, batches, 0.1, 3), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("rows, batch_size", [(rows, size) for rows in (2, 3, 7, 13) for size in range(2, rows + 2)])
def test_a_last_single_row_joins_the_batch_before_it(rows, batch_size, executor):
    """With BatchNormalization; its running statistics move once for each batch, by the unbiased variance."""
    x, y = make_data("mean_squared_error", rows=rows)
    cuts = list(range(0, rows, batch_size)) + [rows]
    if cuts[-1] - cuts[-2] == 1 and len(cuts) > 2:
        del cuts[-2]
    batches = [slice(*pair) for pair in zip(cuts, cuts[1:], strict=False)]
    model, twin = (
        Sequential([BatchNormalization(momentum=0.8), Dense(3)], seed=1, dtype="float64", input_dim=5) for _ in range(2)
    )
    for each in (model, twin):
        each.compile(SGD(0.1), "mean_squared_error", executor=executor)
    model.fit(x, y, batch_size, epochs=3, shuffle=False, verbose=0)
    gamma, beta, _, _, W, b = gradients_by_hand(twin, x, y, batches, 0.1, 3)
    mean, variance = np.zeros(5), np.ones(5)
    for batch in batches * 3:
        mean = 0.8 * mean + 0.2 * x[batch].mean(axis=0)
        variance = 0.8 * variance + 0.2 * x[batch].var(axis=0, ddof=1)
    for got, expected in zip(model.get_weights(), [gamma, beta, mean, variance, W, b], strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_batch_normalization_predicts_and_evaluates_single_rows(executor):
    """By the running statistics, so that the other rows do not matter."""
    x, y = make_data("mean_squared_error", rows=20)
    model = Sequential(
        [BatchNormalization(), Dense(4, "tanh"), BatchNormalization(), Dense(3)], seed=1, dtype="float64"
    )
    model.compile("sgd", "mean_squared_error", executor=executor)
    model.fit(x, y, batch_size=6, epochs=3, verbose=0)
    outputs = model.predict(x)
    for k in range(20):
        np.testing.assert_allclose(model.predict(x[k : k + 1]), outputs[k : k + 1], rtol=0, atol=1e-15)
        expected = ((outputs[k] - y[k]) ** 2).mean()
        assert model.evaluate(x[k : k + 1], y[k : k + 1]) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_one_row(loss, name, executor):
    """As a batch of its own, with a weight."""
    x, y = make_data(loss, rows=1)
    model = make_model(loss, name, executor=executor, input_dim=5)
    before = model.evaluate(x, y)
    model.fit(x, y, epochs=20, verbose=0, sample_weight=[0.3])
    assert model.evaluate(x, y, sample_weight=[7]) < before


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if not kind.full_batch])
def test_batches_whose_rows_all_weigh_nothing(name, executor):
    """Their loss is 0, and plain descent rests: as if they were not there."""
    x, y = make_data("mean_squared_error", rows=12)
    weights = np.repeat([0.0, 1.0, 0.0], 4)
    model = make_model(optimizer=name, executor=executor)
    history = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, sample_weight=weights, verbose=0).history
    assert np.isfinite(history["loss"]).all() and all(np.isfinite(w).all() for w in model.get_weights())
    if name == "sgd":
        twin = make_model(optimizer=SGD(0.03), executor=executor)
        twin.fit(x[4:8], y[4:8], epochs=3, verbose=0)
        for got, expected in zip(model.get_weights(), twin.get_weights(), strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_without_momentum_the_running_statistics_are_those_of_the_last_batch(executor, dtype):
    """Also where those before were a thousand million times larger."""
    x = np.random.default_rng(5).normal(size=(40, 3))
    model = Sequential([BatchNormalization(momentum=0.0), Dense(2)], seed=1, dtype=dtype)
    model.compile("sgd", executor=executor)
    for scale in (1e9, 1.0):
        model.fit(scale * x, np.zeros((40, 2)), batch_size=40, verbose=0)
    _, _, mean, variance, *_ = model.get_weights()
    bound = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=bound, atol=bound)
    np.testing.assert_allclose(variance, x.var(axis=0, ddof=1), rtol=bound)


def test_a_refused_fit_does_not_fit_the_normalization():
    x, y = np.random.default_rng(5).normal(size=(2, 40, 3))
    model = Sequential([Normalization(), Dense(3)], seed=1)
    model.compile(SGD(CosineDecay(0.1, warmup_steps=100)))
    with pytest.raises(ValueError, match="warmup_steps"):
        model.fit(100 * x, y, verbose=0)
    with pytest.raises(RuntimeError, match="fit first"):
        model.predict(x)
    model.compile("sgd")
    model.fit(x, y, verbose=0)
    mean = model.get_weights()[0]
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-5)
