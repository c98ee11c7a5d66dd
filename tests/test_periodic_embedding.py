"""Periodic embeddings: what they compute, which columns they take, and what they refuse."""

import numpy as np
import pytest
from helpers import same_bits

import fastml
from fastml import Dense, Normalization, PeriodicEmbedding, Sequential

X = np.random.default_rng(0).normal(size=(70, 5))
EXECUTORS = ["compiled", "numpy"]


def net(layer, executor="compiled", dtype="float64", **options):
    model = Sequential([layer, Dense(1)], seed=3, dtype=dtype, input_dim=5)
    model.compile(fastml.Adam(0.01), "mse", executor=executor)
    return model


def outputs(layer, x=X):
    """What the layer gives, by a model that shows it."""
    model = Sequential([layer], seed=3, dtype="float64", input_dim=5)
    model.compile("sgd", "mse")
    return model.predict(x), model.get_weights()


def expected(layer, x, weights):
    f, p, W, b = weights
    columns = list(range(5)) if layer.columns is None else layer.columns
    kept = [x[:, k] for k in range(5) if layer.keep or k not in columns]
    for j, column in enumerate(columns):
        waves = np.cos(2 * np.pi * x[:, [column]] * f[j] + p[j])
        vector = waves @ W[j * layer.frequencies : (j + 1) * layer.frequencies] + b[j]
        kept += list((np.maximum(vector, 0) if layer.relu else vector).T)
    return np.stack(kept, axis=1)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: PeriodicEmbedding(),
        lambda: PeriodicEmbedding(keep=False),
        lambda: PeriodicEmbedding([3, 0, 1], frequencies=7, width=5, relu=True),
        lambda: PeriodicEmbedding((4,), frequencies=1, width=1, keep=False),
        lambda: PeriodicEmbedding(np.array([1, 2]), frequencies=33, width=17, sigma=3.0, relu=True, keep=False),
    ],
)
def test_vectors_stand_behind_the_columns_that_stay(layer):
    layer = layer()
    found, weights = outputs(layer)
    assert found.shape[1] == layer.units_out(5)
    np.testing.assert_allclose(found, expected(layer, X, weights), atol=1e-12)


def test_start_values_follow_their_laws():
    _, (f, p, W, b) = outputs(PeriodicEmbedding(frequencies=4000, sigma=2.0))
    assert f.shape == p.shape == (5, 4000) and W.shape == (20_000, 4) and b.shape == (5, 4)
    assert f.std() == pytest.approx(2, rel=0.02) and np.abs(f).max() <= 6
    assert np.abs(p).max() <= np.pi and p.std() == pytest.approx(2 * np.pi / np.sqrt(12), rel=0.02)
    assert np.abs(W).max() <= 1 / np.sqrt(4000) and W.std() == pytest.approx(1 / np.sqrt(3 * 4000), rel=0.02)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_it_learns_what_a_linear_model_cannot(executor):
    """A wave of one column."""
    y = np.sin(7 * X[:, :1])
    losses = []
    for layer in (PeriodicEmbedding([0], sigma=1.0), Dense(5)):
        model = net(layer, executor)
        model.fit(X, y, epochs=300, batch_size=70, verbose=0)
        losses.append(model.evaluate(X, y))
    assert losses[0] < 0.05 < 0.3 < losses[1]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bits_do_not_depend_on_threads(threads, monkeypatch):
    monkeypatch.setattr("fastml.program.threads.available", lambda: 4)
    x = np.random.default_rng(1).normal(size=(3000, 5))
    found = []
    for count in (1, threads):
        with fastml.program.threads.num_threads(count):
            model = Sequential([PeriodicEmbedding(), Dense(64, "relu"), Dense(64, "relu"), Dense(1)], seed=3)
            model.compile("adam", "mse")
            model.fit(x, x[:, :1] ** 2, epochs=2, batch_size=1000, verbose=0)
            found.append(model.get_weights())
    assert same_bits(*found)


def test_it_stands_behind_normalization_and_can_be_frozen_and_saved(tmp_path):
    layer = PeriodicEmbedding([0, 2], trainable=False, name="waves")
    model = Sequential([Normalization(), layer, Dense(1)], seed=3)
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], epochs=2, verbose=0)
    frozen = layer.get_weights()
    model.fit(X, X[:, :1], epochs=2, verbose=0)
    assert same_bits(layer.get_weights(), frozen)
    model.save(tmp_path / "waves.safetensors")
    again = fastml.load(tmp_path / "waves.safetensors")
    assert same_bits([again.predict(X)], [model.predict(X)])
    assert repr(again.get_layer("waves")) == repr(layer)
    assert repr(layer) == (
        "PeriodicEmbedding(columns=[0, 2], frequencies=16, width=4, sigma=0.5, name='waves', trainable=False)"
    )


def test_only_the_matrix_decays():
    model = Sequential([PeriodicEmbedding(), Dense(1)], seed=3, input_dim=5, dtype="float64")
    model.compile(fastml.AdamW(0.01, weight_decay=0.5), "mse")
    model.build()
    before = model.get_weights()
    model.set_weights([*before[:4], np.zeros((25, 1)), np.zeros(1)])  # so that nothing comes to the embedding
    model.fit(X, np.zeros((70, 1)), epochs=1, batch_size=70, verbose=0)
    f, p, W, b = model.get_weights()[:4]
    assert same_bits([f, p, b], [before[0], before[1], before[3]])
    np.testing.assert_allclose(W, before[2] * (1 - 0.01 * 0.5))


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"columns": []}, ValueError, "columns is empty"),
        ({"columns": [0, 0]}, ValueError, "columns names one twice"),
        ({"columns": [-1]}, ValueError, "a column in columns must be"),
        ({"columns": [0.5]}, TypeError, "a column in columns must be"),
        ({"columns": "0"}, TypeError, "columns must be a list"),
        ({"columns": 3}, TypeError, "columns must be a list"),
        ({"frequencies": 0}, ValueError, "frequencies must be"),
        ({"width": 0}, ValueError, "width must be"),
        ({"sigma": 0}, ValueError, "sigma must be"),
        ({"sigma": float("nan")}, ValueError, "sigma must be"),
        ({"relu": 1}, TypeError, "relu must be"),
        ({"keep": "yes"}, TypeError, "keep must be"),
        ({"rank": 3}, TypeError, "rank"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, error, told):
    with pytest.raises(error, match=told):
        PeriodicEmbedding(**arguments)


def test_columns_that_the_data_has_not_are_told():
    with pytest.raises(ValueError, match="PeriodicEmbedding is for column 7, from 0 on, but it gets 5 columns"):
        net(PeriodicEmbedding([7])).predict(X)
