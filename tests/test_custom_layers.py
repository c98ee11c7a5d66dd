"""Layers of users: traced once for a model, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
from custom_objects import Scale
from helpers import same_bits

import fastml
from fastml import Activation, Dense, Layer, Sequential, Weights

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(40, 5)), RANDOM.normal(size=(40, 1))
CALLS = []


class Noted(Layer):
    """Multiplies by the number of its calls."""

    def call(self, x):
        CALLS.append(x)
        return x * float(len(CALLS))


@pytest.mark.parametrize("executor", ["compiled", "numpy"])
def test_a_call_is_traced_once_for_a_model(executor):
    CALLS.clear()
    model = Sequential([Noted(), Dense(1)], seed=1, dtype="float64")
    model.compile("sgd", executor=executor)
    weights = np.linspace(1, 2, len(X))
    model.fit(X, Y, epochs=1, verbose=0)
    model.fit(X, Y, epochs=1, sample_weight=weights, batch_size=3, verbose=0)
    model.layers[1].trainable = False
    model.layers[1].trainable = True
    model.compile("adam", executor=executor)
    loss = model.evaluate(X, Y, verbose=0)
    outputs = model.predict(X)
    W, b = model.get_weights()
    expected = X @ W + b  # of a factor of 1
    assert len(CALLS) == 1 and np.allclose(outputs, expected, rtol=1e-12)
    assert np.isclose(loss, np.mean((expected - Y) ** 2), rtol=1e-12)
    weighed = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert np.isclose(weighed, weights @ ((expected - Y) ** 2)[:, 0] / weights.sum(), rtol=1e-12)
    assert np.isclose(model.gradients(X, Y)[0], loss, rtol=1e-12)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert same_bits(other.predict(X), outputs)
    assert len(CALLS) == 1
    fastml.models.clone_model(model).predict(X)
    assert len(CALLS) == 2


class Block(Layer):
    """Two layers, made anew whenever it is asked for them."""

    def expand(self):
        return [Noted(), Activation(lambda z: z * float(CALLS.append(z) or len(CALLS)))]


@pytest.mark.parametrize("executor", ["compiled", "numpy"])
def test_parts_of_a_layer_stay_as_they_are_for_a_model(executor):
    CALLS.clear()
    model = Sequential([Block(), Dense(1)], input_dim=5, seed=1, dtype="float64")
    model.compile("sgd", executor=executor)
    ones, weights = np.ones((1, 5)), np.linspace(1, 2, len(X))
    factor = (model.predict(ones)[0] / model.get_weights()[0].sum())[0]
    model.fit(X, Y, epochs=1, verbose=0)
    model.fit(X, Y, epochs=1, sample_weight=weights, batch_size=3, verbose=0)
    W = np.linspace(0, 1, 5)[:, None]
    model.set_weights([W, np.zeros(1)])
    expected = factor * X @ W
    errors = ((expected - Y) ** 2)[:, 0]
    assert np.allclose(model.predict(X), expected, rtol=1e-12)
    assert np.isclose(model.evaluate(X, Y, verbose=0), errors.mean(), rtol=1e-12)
    assert np.isclose(model.evaluate(X, Y, sample_weight=weights, verbose=0), weights @ errors / weights.sum())
    assert np.isclose(model.gradients(X, Y)[0], errors.mean(), rtol=1e-12)
    assert pickle.loads(pickle.dumps(model)).predict(X).shape == (len(X), 1)


def test_a_layer_needs_a_way_to_be_computed():
    with pytest.raises(TypeError, match="a layer of your own needs a method call"):
        Sequential([type("Empty", (Layer,), {"parameters": lambda self, d_in: []})()])


def test_a_layer_of_two_models_is_traced_for_each_width():
    CALLS.clear()
    layer = Noted()
    for width in (5, 3):
        Sequential([layer, Dense(1)], input_dim=width).predict(X[:, :width])
    assert len(CALLS) == 2


def made(name, **body):
    """A model of a layer of this class, built."""
    layer = type(name, (Layer,), {"call": lambda self, x, *weights: x} | body)()
    model = Sequential([layer, Dense(1)], input_dim=5, seed=1)
    model.build()
    return model


def lists(*weights):
    return lambda self, d_in: list(weights)


def vectors(count):
    """A layer that sums up x times each of so many vectors."""
    weights = [Weights(f"w{k}", (5,), 1.0 + k, "weight") for k in range(count)]
    return {"parameters": lists(*weights), "call": lambda self, x, *weights: sum(x * w for w in weights)}


def sets(name):
    """A layer whose constructor sets this attribute."""

    def __init__(self):
        Layer.__init__(self)
        setattr(self, name, (1, 2))

    return {"__init__": __init__}


class OwnDense(Dense):
    def call(self, x):
        return 2 * x


class OwnActivation(Activation):
    def call(self, x):
        return 2 * x


MISTAKES = {
    "no list": (lambda: made("L", parameters=lambda self, d_in: None), "must give a list of Weights, got NoneType"),
    "generator": (
        lambda: made("L", parameters=lambda self, d_in: (w for w in ())),
        "must give a list of Weights, got generator",
    ),
    "shape as a number": (
        lambda: made("L", parameters=lists(Weights("w", 5, "ones", "weight"))),
        "L(): the shape of 'w' must be a tuple such as (d_in,), got 5",
    ),
    "shape of a fraction": (
        lambda: made("L", parameters=lists(Weights("w", (5.0,), "ones", "weight"))),
        "the shape of 'w' must be a tuple such as (d_in,), got (5.0,)",
    ),
    "regularizer by name": (
        lambda: made("L", parameters=lists(Weights("w", (5,), "ones", "weight", "l2"))),
        "the regularizer of 'w' must be as L2(0.01), got 'l2'",
    ),
    "too many": (lambda: made("Wide", **vectors(12)), "layer Wide has 12 vectors of weights, at most 11 can be"),
    "of Dense": (
        lambda: Sequential([OwnDense(1)]),
        "OwnDense: its method call would not be used, as Dense has",
    ),
    "of Activation": (
        lambda: Sequential([OwnActivation("relu")]),
        "as Activation has a method lower: derive",
    ),
} | {
    f"sets {name}": (lambda name=name: made("L", **sets(name)), f"{name} of L cannot be set: all layers have one")
    for name in ("weights", "codes", "first", "call", "lower", "parameters", "get_weights", "units_out")
}


@pytest.mark.parametrize("call, sentence", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_a_line(call, sentence):
    with pytest.raises((AttributeError, TypeError, ValueError)) as told:
        call()
    assert sentence in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("executor", ["compiled", "numpy"])
def test_as_many_vectors_as_there_may_be(executor):
    model = made("Wide", **vectors(11))
    model.compile("sgd", executor=executor)
    W, b = model.layers[1].get_weights()
    assert np.allclose(model.predict(X), sum(range(1, 12)) * X @ W + b, rtol=1e-5, atol=1e-4)
    check = fastml.gradient_check(model, X[:10], Y[:10], verbose=False)
    assert check.checked == 61 and check.complex_error < 1e-13 and check.central_error < 1e-6


def test_a_part_of_a_layer_with_a_call_of_its_own():
    class Rectified(Scale):
        def expand(self):
            return [self, Activation("relu")]

    model = Sequential([Rectified()], input_dim=5)
    assert np.allclose(model.predict(X), np.maximum(1.5 * X, 0), rtol=1e-6)
