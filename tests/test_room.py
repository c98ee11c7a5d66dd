"""Rows that need no closer look: their results are those of others, and what is wrong with them is told as ever."""

import numpy as np
import pytest
from helpers import same_bits

import fastml
from fastml import Dense, Embedding, Normalization, Sequential
from fastml.training.room import Room

RNG = np.random.default_rng(0)
ROWS, WIDTH = 24, 5
X = RNG.normal(size=(ROWS, WIDTH)).astype("float32")
SHARES = RNG.uniform(size=(ROWS, 3))
TARGETS = {
    "mse": RNG.normal(size=(ROWS, 3)),
    "poisson": RNG.integers(0, 9, (ROWS, 3)).astype("float64"),
    "binary_crossentropy": RNG.integers(0, 2, (ROWS, 3)),
    "categorical_crossentropy": SHARES / SHARES.sum(axis=1, keepdims=True),
    "sparse_categorical_crossentropy": RNG.integers(0, 3, ROWS),
}
WRONG = {
    "mse": [(0, np.nan), (0, np.inf)],
    "poisson": [(0, -1.0), (0, np.nan), (0, np.inf)],
    "binary_crossentropy": [(0, 2), (5, -1)],
    "categorical_crossentropy": [(0, np.nan), (3, 0.7), (3, -0.1)],
    "sparse_categorical_crossentropy": [(0, 3), (4, -1)],
}


def net(loss="mse", dtype="float32", metrics=(), first=()):
    units = 3 if np.ndim(TARGETS[loss]) == 2 or loss.startswith("sparse") else 1
    model = Sequential([*first, Dense(4, "tanh"), Dense(units)], dtype=dtype, seed=1)
    model.compile(fastml.SGD(0.1), loss, metrics)
    model.build(WIDTH)
    return model


@pytest.fixture
def taken(monkeypatch):
    """Whether each rows that came were taken."""
    found, takes = [], Room.takes

    def noted(self, x, y):
        found.append(takes(self, x, y))
        return found[-1]

    monkeypatch.setattr(Room, "takes", noted)
    return found


def results(model, x, y):
    """What three methods give, with the weights that they leave."""
    loss, gradients = model.gradients(x, y)
    return [np.array(model.evaluate(x, y)), np.array(loss), *gradients, np.array(model.train_on_batch(x, y))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", TARGETS)
def test_results_are_those_of_rows_that_are_looked_at(loss, dtype, taken):
    """Lists of lists are looked at; arrays of float32 and float64 are taken from the second time on."""
    y = TARGETS[loss]
    ours, theirs = net(loss, dtype), net(loss, dtype)
    for x in (
        X.astype(dtype),
        X.astype(dtype),
        X.astype(float),
        np.asfortranarray(X.astype(dtype)),
        X[::-1].astype(float),
    ):
        assert same_bits(results(ours, x, y), results(theirs, x.tolist(), y.tolist()))
        assert same_bits(ours.get_weights(), theirs.get_weights())
    assert taken.count(True) == 4 * 3


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1)])
def test_targets_of_one_output_have_two_shapes(shape, taken):
    model, other = (Sequential([Dense(1)], input_dim=WIDTH, seed=1) for _ in range(2))
    for each in (model, other):
        each.compile("sgd", "mse")
    y = RNG.normal(size=shape).astype("float32")
    for _ in range(3):
        assert same_bits(results(model, X, y), results(other, X.tolist(), y.tolist()))
    assert taken.count(True) == 2 * 3


@pytest.mark.parametrize("loss, place, value", [(loss, *wrong) for loss, some in WRONG.items() for wrong in some])
def test_wrong_targets_are_refused_as_ever(loss, place, value, taken):
    """The same sentence as for the first rows, nothing changes, and right rows are taken again."""
    model, fresh, y = net(loss), net(loss), TARGETS[loss]
    results(model, X, y)
    wrong = y.copy()
    wrong[place] = value
    for call in ("train_on_batch", "gradients", "evaluate"):
        before = model.get_weights()
        with pytest.raises(ValueError) as told:
            getattr(model, call)(X, wrong)
        with pytest.raises(ValueError) as expected:
            getattr(fresh, call)(X, wrong)
        assert str(told.value) == str(expected.value)
        assert same_bits(model.get_weights(), before)
        taken.clear()
        getattr(model, call)(X, y)
        assert taken == [True]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_wrong_rows_are_refused_as_ever(value):
    model, y = net(), TARGETS["mse"]
    results(model, X, y)
    wrong = X.astype(float)
    wrong[3, 2] = value
    for call in (model.train_on_batch, model.gradients, model.evaluate):
        with pytest.raises(ValueError, match="x holds .* at row 3, column 2"):
            call(wrong, y)


@pytest.mark.parametrize(
    "x, y", [(X[:, :4], TARGETS["mse"]), (X, TARGETS["mse"][:-1]), (X[:-1], TARGETS["mse"]), (X[0], X)]
)
def test_other_shapes_are_refused_as_ever(x, y):
    model = net()
    results(model, X, TARGETS["mse"])
    for call in (model.train_on_batch, model.gradients, model.evaluate):
        with pytest.raises(ValueError):
            call(x, y)


def test_what_has_to_be_looked_at_is(taken):
    """Codes of categories, columns that are shifted, metrics of all rows, whole numbers that may be too large."""
    coded = net(first=[Embedding({0: 3}, widths=2)])
    codes = X.copy()
    codes[:, 0] = RNG.integers(0, 3, ROWS)
    far = net(first=[Normalization("standard")])
    far.fit(X.astype(float) + 1e6, TARGETS["mse"], verbose=0)
    whole = net(metrics=["r2"])
    for model, x in ((coded, codes), (far, X.astype(float) + 1e6), (whole, X)):
        assert model.evaluate(x, TARGETS["mse"]) == model.evaluate(x.tolist(), TARGETS["mse"])
        model.evaluate(x, TARGETS["mse"])
    large, model = np.full((ROWS, 3), 2**24 + 1), net()
    model.evaluate(X, TARGETS["mse"])
    with pytest.raises(ValueError, match="cannot hold exactly"):
        model.evaluate(X, large)
    assert not any(taken)


def test_weights_of_rows_in_between(taken):
    """A program for weighted rows gives all the same weight where none are given."""
    model, other, weights = net(), net(), RNG.uniform(0.5, 2, ROWS)
    for each, x in ((model, X), (other, X.tolist())):
        each.train_on_batch(x, TARGETS["mse"], sample_weight=weights)
        each.evaluate(x, TARGETS["mse"], sample_weight=weights)
    for _ in range(3):
        assert same_bits(results(model, X, TARGETS["mse"]), results(other, X.tolist(), TARGETS["mse"]))
    assert taken.count(True) >= 5


def test_names_of_metrics_follow_compile():
    model, y = net(metrics=["mae"]), TARGETS["mse"]
    for _ in range(2):
        assert list(model.evaluate(X, y, return_dict=True)) == ["loss", "mae"]
    model.compile("sgd", "mse", ["mse", "mae"])
    for _ in range(2):
        assert list(model.evaluate(X, y, return_dict=True)) == ["loss", "mse", "mae"]
    rmse = net(metrics=["rmse"])
    for _ in range(2):
        loss, error = rmse.evaluate(X, y)
    assert error == pytest.approx(loss**0.5, rel=1e-6)


def test_room_of_evaluations_is_small():
    """Of many rows no copy is kept."""
    model = net()
    x, y = RNG.normal(size=(20000, WIDTH)).astype("float32"), RNG.normal(size=(20000, 3)).astype("float32")
    for _ in range(2):
        model.evaluate(x, y)
    assert model._engine.inference.jobs["evaluation"][0].room is None
