"""Functions and classes of users: in both executors, with their gradients, in files, and what is refused."""

import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from custom_objects import (
    BY_NAME,
    Descent,
    OwnAdam,
    OwnNormalization,
    Pinball,
    Scale,
    elu,
    first_column,
    huber,
    minus_cosine,
    silu,
    small,
    snake,
    softmax,
    softsign,
    worst_error,
)
from helpers import TOLERANCE, same_bits
from many_threads import LITTLE

import fastml
from fastml import Activation, Dense, GradientDescent, Layer, Sequential, Weights, gradient_check
from fastml.custom.functions import ARRAY_FUNCTIONS, FUNCTIONS
from fastml.kernels import elementwise, operation
from fastml.optimizers import SGD, Adam
from fastml.program import plan, threads
from fastml.program.compiled import DTYPES

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(70, 5)), RANDOM.normal(size=(70, 3))
KINDS = {
    "activation": {"activation": softsign},
    "activation of the C library": {"activation": snake},
    "activation of rows": {"activation": softmax},
    "activation with a derivative": {"activation": Activation(softsign, derivative=lambda z: 1 / (1 + np.abs(z)) ** 2)},
    "loss": {"loss": huber},
    "loss of rows": {"loss": minus_cosine},
    "loss of single columns": {"loss": first_column},
    "loss with a parameter": {"loss": Pinball(0.9)},
    "metric": {"metrics": [worst_error]},
    "initializer": {"initializer": small},
    "layer": {"layer": Scale},
    "layer of rows": {"layer": OwnNormalization},
    "optimizer": {"optimizer": Descent},
    "optimizer with a state": {"optimizer": OwnAdam},
    "all": {
        "activation": snake,
        "loss": minus_cosine,
        "layer": OwnNormalization,
        "optimizer": OwnAdam,
        "initializer": small,
        "metrics": [worst_error, "mae"],
    },
}


def made(kind, dtype="float64", executor="compiled", wide=7):
    """A compiled model with what a kind has of its own."""
    layer = [kind["layer"]()] if "layer" in kind else []
    first = Dense(wide, kind.get("activation", "relu"), kernel_initializer=kind.get("initializer", "glorot_uniform"))
    model = Sequential([first, *layer, Dense(3)], dtype=dtype, seed=1)
    optimizer = kind["optimizer"]() if "optimizer" in kind else SGD(0.05)
    model.compile(optimizer, kind.get("loss", "mse"), metrics=kind.get("metrics", []), executor=executor)
    return model


def fitted(kind, **how):
    model = made(kind, **how)
    model.fit(X, Y, epochs=3, batch_size=16, verbose=0, validation_split=0.2)
    return model


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wide", [7, 40])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_both_executors_train_the_same(kind, dtype, wide):
    compiled, reference = (fitted(kind, dtype=dtype, executor=name, wide=wide) for name in ("compiled", "numpy"))
    start = made(kind, dtype=dtype, wide=wide)
    start.build(5)
    for before, one, other in zip(start.get_weights(), compiled.get_weights(), reference.get_weights(), strict=True):
        assert np.abs(one - other).max() < TOLERANCE[dtype]
        assert not np.array_equal(one, before)
    for name, values in compiled.history.history.items():
        assert np.allclose(values, reference.history.history[name], rtol=0, atol=10 * TOLERANCE[dtype])


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_gradient_is_the_derivative(kind):
    check = gradient_check(made(kind), X[:9], Y[:9], sample_weight=np.arange(1.0, 10), verbose=False)
    assert check.checked > 50 and check.complex_error < 1e-13 and check.central_error < 1e-6


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_same_bits_for_any_number_of_threads(kind, blocks, monkeypatch):
    monkeypatch.setattr(threads, "available", lambda: 3)
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.setattr(plan, "SHARED", LITTLE)
    x, y = np.resize(X, (333, 5)), np.resize(Y, (333, 3))
    found = []
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        model = made(kind, wide=7 if blocks else 40)
        model.fit(x, y, epochs=2, batch_size=333 if blocks else 100, verbose=0)
        found.append(model.get_weights())
    assert same_bits(found[0], found[1]) and same_bits(found[0], found[2])


BUILT_IN = {  # of the same formula
    "activation": ({"activation": silu}, {"activation": "silu"}),
    "activation with branches": ({"activation": elu}, {"activation": "elu"}),
    "activation of rows": ({"activation": softmax}, {"activation": "softmax"}),
    "loss": ({"loss": huber}, {"loss": "huber"}),
    "optimizer": ({"optimizer": OwnAdam}, {"optimizer": Adam}),
    "optimizer that decays": (
        {"optimizer": lambda: OwnAdam(weight_decay=0.1, clipvalue=0.01)},
        {"optimizer": lambda: Adam(weight_decay=0.1, clipvalue=0.01)},
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("own, known", BUILT_IN.values(), ids=BUILT_IN)
def test_as_the_built_in_one_of_the_same_formula(own, known, dtype):
    for one, other in zip(*(fitted(kind, dtype=dtype).get_weights() for kind in (own, known)), strict=True):
        assert np.abs(one - other).max() < TOLERANCE[dtype]


def test_what_overflows_in_the_other_branch_does_no_harm():
    """exp(800) is infinite, and 0 times it is no number."""
    for executor in ("compiled", "numpy"):
        model = Sequential([Activation(elu), Dense(1)], input_dim=1, dtype="float64", seed=1)
        model.compile("sgd", "mse", executor=executor)
        _, (dW, _) = model.gradients([[800.0]], [[1.0]])
        assert np.isfinite(dW).all() and dW[0, 0] != 0


DOMAINS = {name: (1.1, 3) for name in ("arccosh", "log2", "log10", "log", "sqrt", "reciprocal")}
DOMAINS |= {name: (-0.9, 0.9) for name in ("arcsin", "arccos", "arctanh", "log1p")} | {"cbrt": (0.2, 3)}
WHOLE = {"floor", "ceil", "rint", "trunc", "sign", "heaviside", "isnan"}
TWO = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "logaddexp", "power", "float_power", "xlogy"}
TWO |= {
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "not_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "heaviside",
}
SCIPY = {"erf", "expit", "ndtr", "xlogy"}


def used(name):
    """A function of z alone by one that users may use."""
    module = pytest.importorskip("scipy.special", reason="needs SciPy") if name in SCIPY else np
    function = getattr(module, name)
    if name.startswith("bitwise") or name == "invert":
        return (lambda z: z * ~(z > 0.3)) if name == "invert" else lambda z: z * function(z > 0.3, z < 1)
    if name == "clip":
        return lambda z: np.clip(z, -0.5, 0.7)
    if name in ("power", "float_power"):
        return lambda z: function(np.abs(z) + 0.1, 2.3) + function(z, 3) + function(np.abs(z) + 1, -0.5)
    if name in TWO:
        return lambda z: z * function(0.5 * z, 0.4) + function(np.exp(0.3 * z), np.cos(z) + 2)
    return lambda z: z * function(z) if name in WHOLE | {"logical_not"} else function(z)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("abs",)])
def test_each_function_gives_what_numpy_gives_and_its_slope(name):
    f = used(name)
    z = np.linspace(*DOMAINS.get(name, (-2.03, 1.97)), 75).reshape(15, 5)
    for dtype, bound in (("float64", 1e-13), ("float32", 2e-6)):
        expected = f(z.astype(dtype).astype(float))
        for executor in ("compiled", "numpy"):
            found = behind_identity(f, 5, dtype, executor).predict(z)
            assert np.abs(found - expected).max() <= bound * max(1, np.abs(expected).max())
    check = gradient_check(behind_identity(f, 5), z, np.zeros((15, 5)), verbose=False)
    assert check.complex_error < 1e-12


POWERS = {
    "whole, large": lambda z: z**17 + np.power(z, 20),
    "whole, negative": lambda z: (z + 3.0) ** -3,
    "whole, of numbers below 0": lambda z: (-2.0) ** np.floor(z) * z,
    "one and a half of what may be 0": lambda z: np.maximum(z, 0) ** 1.5 + np.abs(z) ** 2.5,
    "an exponent that is computed": lambda z: np.abs(z) ** (1.0 + z * z) + np.exp(z) ** z,
    "one and a half of numbers below 0": lambda z: np.where(z > 0, np.abs(z) ** 1.5, z),
    "a base that is a number": lambda z: 2.0**z + 0.5 ** np.abs(z),
    "0 to the power of 0": lambda z: z + (0.0 * z) ** (0.0 * z),
}


@pytest.mark.parametrize("f", POWERS.values(), ids=POWERS)
def test_powers_are_numpys_and_have_slopes(f):
    """Also at 0, whose logarithm is infinite, and of negative numbers, which have none."""
    z = np.array([-1.75, -1.0, -0.3, 0.0, 0.2, 1.0, 1.3]).repeat(3).reshape(-1, 3)
    for dtype, bound in (("float64", 1e-12), ("float32", 1e-5)):
        expected = f(z.astype(dtype).astype(float))
        for executor in ("compiled", "numpy"):
            found = behind_identity(f, 3, dtype, executor).predict(z)
            assert np.abs(found - expected).max() <= bound * max(1, np.abs(expected).max())
    for executor in ("compiled", "numpy"):
        model = behind_identity(f, 3, executor=executor)
        for row in z[:, :1]:
            left, right = (f(np.abs(row[0]) * np.sign(row[0]) + step) for step in (-1e-6, 1e-6))
            _, (dW,) = model.gradients(np.full((1, 3), row[0]), np.full((1, 3), f(row[0]) - 0.5))
            slopes = dW[0, 0] / (2 * 0.5 / 3) / row[0] if row[0] else None
            if slopes is not None and "floor" not in f.__code__.co_names:
                assert abs(slopes - (right - left) / 2e-6) < 1e-4 * max(1, abs(slopes))
            assert np.isfinite(dW).all()


def test_a_step_may_take_powers_of_hyperparameters():
    class Power(GradientDescent):
        def __init__(self, learning_rate=0.01, p=2, q=-0.5):
            super().__init__(learning_rate)
            self.p, self.q = p, q

        def step(self, W, dW, learning_rate, t):
            return W - learning_rate * np.sign(dW) * np.abs(dW) ** self.p * (1.5 + self.q**t) + 0.001 * dW**self.p

    for executor in ("compiled", "numpy"):
        model = Sequential([Dense(1, use_bias=False)], input_dim=2, dtype="float64", seed=1)
        model.compile(Power(), "mse", executor=executor)
        W = model.get_weights()[0]
        for t in (1, 2, 3):
            _, (dW,) = model.gradients(X[:, :2], Y[:, :1])
            W = W - 0.01 * np.sign(dW) * dW**2 * (1.5 + (-0.5) ** t) + 0.001 * dW**2
            model.train_on_batch(X[:, :2], Y[:, :1])
            assert np.abs(model.get_weights()[0] - W).max() < 1e-12


LIKE_NUMPY = {
    "clip by its old names": lambda z: np.clip(z, a_min=-0.5, a_max=0.7),
    "clip by its new names": lambda z: np.clip(z, min=-0.5, max=0.7),
    "an axis by its place": lambda z: z * np.sum(z, -1, keepdims=True) - np.mean(z, 1, keepdims=True),
    "an axis by its place, of methods": lambda z: z * z.max(1, keepdims=True) + z.sum(-1, keepdims=True),
    "mean of a sum": lambda z: z * z.sum(axis=-1, keepdims=True).mean(axis=-1, keepdims=True),
    "spread of a sum": lambda z: z + z.sum(axis=-1, keepdims=True).var(axis=-1, keepdims=True),
    "conditions that are added": lambda z: z * ((z > 0) + (z > 0.5)),
    "conditions as numbers": lambda z: z * ((z > 0) * 1.0 + (z > -1) * 1.0),
    "conditions by astype": lambda z: z * ((z > 0).astype(float) + (z > -1)),
    "conditions divided": lambda z: z * ((z > 0) / 1.0 + (z > -1) / 1.0 + (0.0 + (z < 2)) + ((z < 1) - 0.0)),
    "conditions as powers": lambda z: z * ((z > 0) ** 1.0 + (z > -1) ** 1.0),
    "conditions both": lambda z: z * ((z > 0) * (z < 1) + (z > -1) * (z < 0.5)),
    "conditions and True": lambda z: z * ((z > 0) + True) + z * ((z > 5) + False),
    "conditions chosen": lambda z: z * (np.where(z > 0, z < 1, z > -1) + (z < 0.3)),
    "the larger condition": lambda z: z * (np.maximum(z > 0, z < -1) + (z < 0.3) + np.minimum(z > 0, z < 1)),
    "one that holds in the row": lambda z: z * ((z > 1).max(axis=-1, keepdims=True) + (z > 0)),
    "a condition and a number": lambda z: z * ((z > 0) + 1.0) + ((z > 0) + (z > 1) + 1.0),
    "conditions that exclude": lambda z: z * ((z > 0) ^ (z > 0.5)),
    "counting conditions": lambda z: z * (z > 0).sum(axis=-1, keepdims=True),
    "how many columns": lambda z: z * np.ones_like(z).sum(axis=-1, keepdims=True),
    "nothing to sum": lambda z: z + np.zeros_like(z).sum(axis=-1, keepdims=True),
    "the largest of a number": lambda z: z + (3 * np.ones_like(z)).max(axis=-1, keepdims=True),
    "filled by name": lambda z: z * np.full_like(z, fill_value=2.0, dtype=float),
}


@pytest.mark.parametrize("f", LIKE_NUMPY.values(), ids=LIKE_NUMPY)
def test_what_people_write_means_what_numpy_makes_of_it(f):
    z = np.random.default_rng(3).normal(size=(9, 5))
    with np.errstate(all="ignore"):
        expected = f(z)
    for executor in ("compiled", "numpy"):
        assert np.abs(behind_identity(f, 5, executor=executor).predict(z) - expected).max() < 1e-13
    assert gradient_check(behind_identity(f, 5), z, z, verbose=False).complex_error < 1e-11


def test_a_nan_reaches_the_maximum_of_its_row():
    z = np.array([[1.0, -2.0, 3.0], [1.0, 2.0, 3.0]])
    for executor in ("compiled", "numpy"):
        for name in ("max", "min"):

            def f(z, name=name):
                return z * 0 + getattr(np.log(z), name)(axis=-1, keepdims=True)

            found = behind_identity(f, 3, executor=executor).predict(z)
            assert np.isnan(found).tolist() == [[True] * 3, [False] * 3]


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_no_numbers(dtype):
    """A sum of logarithms of nothing, a step at no number."""
    z = np.array([[0.5, 2.0, -1.0]])
    cases = {
        "logaddexp": (lambda z: np.where(np.logaddexp(z * -np.inf, z * -np.inf) < 0, 1.0, 2.0), [[1.0, 1.0, 2.0]]),
        "heaviside": (lambda z: np.heaviside(np.log(z), 0.5), [[0.0, 1.0, np.nan]]),
    }
    for f, expected in cases.values():
        for executor in ("compiled", "numpy"):
            found = behind_identity(f, 3, dtype, executor).predict(z)
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_long_formulas():
    """More steps than Python calls functions in each other."""

    def long(z):
        for _ in range(400):
            z = z * 0.999 + 0.001
        return z

    def long_rows(z):
        return long(z) - long(z.sum(axis=-1, keepdims=True)) * 0.01

    z = np.random.default_rng(0).normal(size=(4, 3))
    for f in (long, long_rows):
        model = behind_identity(f, 3, executor="numpy")
        assert np.abs(model.predict(z) - f(z)).max() < 1e-12
        assert gradient_check(model, z, z, verbose=False).complex_error < 1e-11
    assert np.abs(behind_identity(long_rows, 3).predict(z) - long_rows(z)).max() < 1e-12


def test_columns_that_are_not_there():
    def third(y_true, y_pred):
        return (y_true[:, 2] - y_pred[:, -1]) ** 2

    model = Sequential([Dense(2)], input_dim=3)
    with pytest.raises(ValueError, match="loss 'third' takes one of 3 columns by its number, but there are 2"):
        model.compile("sgd", third)
        model.fit(X[:, :3], Y[:, :2], verbose=0)
    model = Sequential([Dense(3)], input_dim=3)
    model.compile("sgd", third)
    model.fit(X[:, :3], np.c_[Y, Y][:, :3], verbose=0)


def behind_identity(f, wide, dtype="float64", executor="compiled"):
    """A model that gives f(x), and has weights to train."""
    layers = [Dense(wide, use_bias=False, kernel_initializer=np.eye(wide)), Activation(f)]
    model = Sequential(layers, input_dim=wide, dtype=dtype)
    model.compile("sgd", "mse", executor=executor)
    return model


@pytest.mark.parametrize("name", ARRAY_FUNCTIONS)
def test_each_function_of_arrays_gives_what_numpy_gives(name):
    function = getattr(np, name)
    calls = {
        "where": lambda z: np.where(z > 0, z, -2 * z),
        "clip": lambda z: np.clip(z, -0.5, None),
        "full_like": lambda z: z + np.full_like(z, 2.5),
        "zeros_like": lambda z: z + np.zeros_like(z),
        "ones_like": lambda z: z * np.ones_like(z),
    }
    f = calls.get(name, lambda z: z * function(z, axis=-1, keepdims=True))
    for wide in (5, 33):
        z = np.random.default_rng(1).normal(size=(9, wide))
        for executor in ("compiled", "numpy"):
            assert np.abs(behind_identity(f, wide, executor=executor).predict(z) - f(z)).max() < 1e-13
        assert gradient_check(behind_identity(f, wide), z, z, verbose=False).complex_error < 1e-12


class Adds(GradientDescent):
    def step(self, W, dW, learning_rate):
        return W - learning_rate * dW / np.sqrt((dW**2).sum(axis=-1))


class Forgets(GradientDescent):
    start = (0.0,)

    def step(self, W, dW, m, learning_rate):
        return W - learning_rate * dW


class Products(Layer):
    def parameters(self, d_in):
        return [Weights("W", (d_in, 3), "ones", "weight")]

    def call(self, x, W):
        return x @ W


class Shrinks(Layer):
    def call(self, x):
        return x.sum(axis=-1)


def compiled(**how):
    model = Sequential([Dense(1)], input_dim=5)
    model.compile(**how)
    return model


def zeroed(z):
    z[z < 0] = 0
    return z


def with_weights(*weights):
    kind = {"parameters": lambda self, d_in: list(weights), "call": lambda self, x, *weights: x}
    Sequential([type("Mine", (Layer,), kind)()], input_dim=5).build()


def changed_late():
    model = Sequential([OwnNormalization()], input_dim=5)
    model.build()
    model.layers[0].epsilon = 1.0


def failing(y_true, y_pred):
    raise KeyError("nothing there")


MISTAKES = {
    "if": (lambda: Dense(3, lambda z: z if z > 0 else 0), "write numpy.where"),
    "math": (lambda: Dense(3, lambda z: __import__("math").exp(z)), "take numpy's"),
    "loop": (lambda: Dense(3, lambda z: [row for row in z]), "loops over arrays"),
    "length": (lambda: Dense(3, lambda z: z / len(z)), "how many rows"),
    "other function": (lambda: Dense(3, lambda z: np.linalg.norm(z)), "numpy.norm cannot be compiled"),
    "near function": (lambda: Dense(3, lambda z: np.arctan2(z, 1)), "did you mean arctan?"),
    "array beside": (lambda: Dense(3, lambda z: z + np.ones(3)), "got an array of shape (3,)"),
    "text": (lambda: Dense(3, lambda z: "a"), "got str"),
    "nothing": (lambda: Dense(3, lambda z: None), "got NoneType"),
    "two results": (lambda: Dense(3, lambda z: (z, z)), "got several results"),
    "no argument": (lambda: Dense(3, lambda: 1), "0 positional arguments"),
    "over rows": (lambda: Dense(3, lambda z: z - z.mean(axis=0)), "each row is computed by itself"),
    "shapes": (lambda: Dense(3, lambda z: z - z.mean(axis=-1)), "keepdims=True"),
    "as an array": (lambda: Dense(3, lambda z: np.array(z)), "functions of NumPy"),
    "element": (lambda: Dense(3, lambda z: z[0]), "whole columns"),
    "integers": (lambda: Dense(3, lambda z: z.astype(int)), "dtype of the model"),
    "in place": (lambda: Dense(3, lambda z: np.exp(z, out=z)), "changed in place"),
    "a start of a sum": (
        lambda: Dense(3, lambda z: np.add.reduce(z, axis=-1, keepdims=True, initial=5.0)),
        "'initial'",
    ),
    "a start of a maximum": (lambda: Dense(3, lambda z: z.max(axis=-1, keepdims=True, initial=5.0)), "'initial'"),
    "a dtype of a sum": (lambda: Dense(3, lambda z: np.sum(z, -1, dtype=int, keepdims=True)), "'dtype'"),
    "a dtype of a function": (lambda: Dense(3, lambda z: np.add(z, 1, dtype="f4")), "takes no argument 'dtype' here"),
    "a misspelt bound": (lambda: Dense(3, lambda z: np.clip(z, minimum=0, a_max=1)), "'minimum'"),
    "whole numbers": (lambda: Dense(3, lambda z: np.ones_like(z, dtype=int)), "dtype of the model"),
    "conditions subtracted": (lambda: Dense(3, lambda z: z * ((z > 0) - (z > 1))), "use numpy.logical_xor"),
    "elements in place": (lambda: Dense(3, zeroed), "changed in place: write numpy.where"),
    "weights of no kind": (lambda: with_weights(("w", (5,))), "must be Weights, got tuple"),
    "weights of one name": (lambda: with_weights(*[Weights("w", (5,), 0.0, "bias")] * 2), "two weights are called 'w'"),
    "weights of no role": (lambda: with_weights(Weights("w", (5,), 0.0, "other")), "role of 'w' must be one of weight"),
    "a late change": (lambda: changed_late(), "cannot be changed once the model has its weights"),
    "class": (lambda: Activation(Scale), "pass a function or an object"),
    "alpha": (lambda: Activation(softsign, alpha=1), "'softsign' has no alpha"),
    "derivative alone": (lambda: Activation("relu", derivative=softsign), "function of your own"),
    "derivative of rows": (lambda: Activation(softmax, derivative=softsign), "elementwise"),
    "loss as a number": (lambda: compiled(loss=lambda y, a: np.mean((y - a) ** 2)), "write axis=-1"),
    "loss without rows": (lambda: compiled(loss=lambda y, a: 3.0), "the loss of each row"),
    "class of a loss": (lambda: compiled(loss=Pinball), "pass Pinball()"),
    "bare loss": (lambda: compiled(loss=fastml.Loss()), "needs a method call"),
    "metric that fails": (lambda: compiled(metrics=[failing]).evaluate(X, Y[:, 0]), "metric 'failing': KeyError"),
    "metric twice": (lambda: compiled(metrics=[worst_error, worst_error]), "one twice"),
    "optimizer that adds": (lambda: compiled(optimizer=Adds()), "must be elementwise"),
    "optimizer that forgets": (lambda: compiled(optimizer=Forgets()), "the new W and 1 state array, got 1 result"),
    "bare optimizer": (lambda: compiled(optimizer=GradientDescent()), "is none of"),
    "layer without call": (lambda: Sequential([type("Empty", (Layer,), {})()]), "needs a method call"),
    "layer with a matrix": (lambda: Sequential([Products()], input_dim=5).build(), "weights must be vectors"),
    "layer that shrinks": (lambda: Sequential([Shrinks()], input_dim=5).build(), "got the shape (n,)"),
    "initializer of another shape": (lambda: built(lambda shape: np.ones(3)), "must give an array of shape (5, 1)"),
    "initializer that fails": (lambda: built(lambda shape, generator: 1 / 0), "ZeroDivisionError"),
    "initializer of NaN": (lambda: built(lambda shape: np.full(shape, np.nan)), "not finite"),
    "custom_objects": (lambda: fastml.load("none", custom_objects=[softsign]), "must be a dict"),
}


def built(initializer):
    Sequential([Dense(1, kernel_initializer=initializer)], input_dim=5).build()


@pytest.mark.parametrize("call, sentence", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_a_line(call, sentence):
    with pytest.raises((AttributeError, TypeError, ValueError)) as told:
        call()
    assert sentence in str(told.value) and "\n" not in str(told.value)


def test_initializers_draw_what_the_seed_says():
    weights = []
    for seed in (1, 1, 2):
        layers = [Dense(4, kernel_initializer=small), Dense(4, kernel_initializer=small)]
        model = Sequential(layers, input_dim=4, seed=seed)
        weights.append([model.get_weights()[k] for k in (0, 2)])
    assert same_bits(weights[0], weights[1]) and not np.array_equal(weights[0][0], weights[2][0])
    assert not np.array_equal(*weights[0])
    built(lambda shape, dtype=None: np.ones(shape))  # as in Keras
    built(np.ones)


def test_an_initializer_keeps_the_default_of_another_argument():
    def scaled(shape, scale=0.25):
        return np.full(shape, scale)

    def drawn(shape, generator=None):
        return generator.normal(size=shape)

    quarter = np.array([0.25])
    for start in (scaled, lambda shape, scale=quarter: np.broadcast_to(scale, shape)):
        assert (Sequential([Dense(3, kernel_initializer=start)], input_dim=2).get_weights()[0] == 0.25).all()
    built(drawn)
    built(lambda shape, generator=RANDOM: generator.normal(size=shape))


def test_hyper_parameters_may_be_set_at_any_time():
    model = fitted({"optimizer": Descent})
    model.optimizer.alpha, before = 0.0, model.get_weights()
    model.fit(X, Y, verbose=0)
    assert same_bits(before, model.get_weights())
    model.optimizer.alpha = 1.0
    model.fit(X, Y, verbose=0)
    assert not same_bits(before, model.get_weights())


def test_a_frozen_layer_stays():
    model = Sequential([Dense(7), Scale(trainable=False), Dense(3)], seed=1)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert (model.layers[1].get_weights()[0] == 1.5).all() and model.layers[1].name == "scale"
    model.layers[1].trainable = True
    model.fit(X, Y, verbose=0)
    assert (model.layers[1].get_weights()[0] != 1.5).all()


def test_metrics_get_class_numbers_as_they_were():
    seen = []

    def accuracy(y_true, y_pred):
        seen.append(y_true)
        return np.mean(y_true == y_pred.argmax(axis=1))

    model = Sequential([Dense(3, "softmax")], seed=1)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[accuracy, "acc"])
    classes = Y.argmax(axis=1)
    _, own, known = model.evaluate(X, classes)
    assert own == known and np.array_equal(seen[0], classes) and seen[0].dtype.kind == "i"
    history = model.fit(X, classes, validation_data=(X, classes), verbose=0).history
    assert history["val_accuracy"] == history["val_acc"] and "accuracy" not in history


def test_what_is_watched_may_be_a_metric_of_ones_own():
    model = made({"metrics": [worst_error]})
    stopping = fastml.EarlyStopping(monitor="val_worst_error", mode="min", patience=1, min_delta=1e9)
    model.fit(X, Y, epochs=20, validation_data=(X, Y), callbacks=[stopping], verbose=0)
    assert len(model.history.epoch) == 2


@pytest.mark.parametrize("kind", KINDS, ids=KINDS)
def test_files_have_names_and_no_code(kind, tmp_path):
    model, path = fitted(KINDS[kind]), tmp_path / "model.safetensors"
    if kind == "activation with a derivative":
        with pytest.warns(UserWarning, match="softsign, <lambda>, not their code"):
            model.save(path)
        objects = BY_NAME | {"<lambda>": KINDS[kind]["activation"].derivative}
    else:
        with pytest.warns(UserWarning, match=r"not their code: pass custom_objects=\{'"):
            model.save(path)
        objects = BY_NAME
    with pytest.raises(fastml.ModelFileError, match=r"not fastml's own: pass custom_objects"):
        fastml.load(path)
    same = fastml.load(path, custom_objects=objects)
    assert same_bits(model.get_weights(), same.get_weights())
    assert repr((same.loss, same.optimizer)) == repr((model.loss, model.optimizer)) and same.metrics == model.metrics
    for each in (model, same):
        each.fit(X, Y, epochs=2, verbose=0)
    assert same_bits(model.get_weights(), same.get_weights())
    same.load_weights(path)
    again = fastml.load(path, custom_objects=objects)
    assert same_bits(same.get_weights(), again.get_weights())
    assert repr(fastml.models.clone_model(model).layers) == repr(model.layers)


def test_all_names_that_are_missing_are_told_at_once(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.warns(UserWarning):
        fitted(KINDS["all"]).save(path)
    with pytest.raises(fastml.ModelFileError, match="snake, small, OwnNormalization, OwnAdam, minus_cosine, worst_err"):
        fastml.load(path)
    with pytest.raises(fastml.ModelFileError, match="'snake' must be a function or class, got int"):
        fastml.load(path, custom_objects=BY_NAME | {"snake": 3})


def test_two_functions_of_one_name_are_not_saved(tmp_path):
    one, other = (lambda z: z + 1), (lambda z: z + 2)
    model = Sequential([Dense(3, one), Dense(3, other)], input_dim=5)
    with pytest.raises(ValueError, match="two functions or classes of your own are called '<lambda>'"):
        model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_training_is_resumed(tmp_path):
    path, kind = tmp_path / "model.safetensors", KINDS["all"]
    whole = made(kind)
    whole.fit(X, Y, epochs=4, verbose=0)
    checkpoint = fastml.ModelCheckpoint(path)
    with pytest.warns(UserWarning, match="not their code"), pytest.raises(KeyboardInterrupt):
        made(kind).fit(X, Y, epochs=4, callbacks=[checkpoint, Interrupt(1)], verbose=0)
    model = made(kind)
    with pytest.warns(UserWarning, match="not their code"):
        model.fit(X, Y, epochs=4, callbacks=[checkpoint, Interrupt(9)], resume=path, verbose=0)
    assert same_bits(whole.get_weights(), model.get_weights())


class Interrupt(fastml.Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_models_are_pickled_with_functions_of_modules():
    model = fitted(KINDS["all"])
    same = pickle.loads(pickle.dumps(model))
    for each in (model, same):
        each.fit(X, Y, verbose=0)
    assert same_bits(model.get_weights(), same.get_weights())


def test_compiled_code_is_found_by_the_next_process(tmp_path):
    """Also where other processes know other functions, whose numbers differ; another formula is compiled."""
    code = """
import sys; sys.path.insert(0, {tests!r})
import numpy as np, fastml
from fastml import Dense, Sequential
from fastml.program import linking
from custom_objects import *
other = Dense(2, lambda z: z + {other})
model = Sequential([Dense(7, snake), OwnNormalization(), Dense(3)], seed=1)
model.compile(OwnAdam(), minus_cosine)
x = np.arange(60.0).reshape(12, 5) % 7
model.fit(x, x[:, :3], verbose=0)
model.predict(x)
if {other} == 3:
    Sequential([other], input_dim=5).predict(x)
print(len(linking.compiled), sum(abs(w).sum() for w in model.get_weights()))
"""
    found = []
    for other in (1, 2, 3):
        text = code.format(tests=str(Path(__file__).parent), other=other)
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        run = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True)
        found.append(run.stdout.split())
    assert int(found[0][0]) > 5 and found[1][0] == "0" and found[2][0] == "1"
    assert found[0][1] == found[1][1] == found[2][1]


def test_functions_are_made_in_several_threads_at_once():
    """No two have one number, by which programs know them, and the same one in two threads is one."""

    def trained(k):
        f = lambda z: z / (1 + np.abs(z)) + (k % 6)  # noqa: E731 two threads have the same
        model = Sequential([Dense(7, f), Dense(3, f)], dtype="float64", seed=1)
        model.compile(Descent(), lambda y, a: (y - a) ** 2 + (k % 6))
        model.fit(X, Y, verbose=0)
        return model.get_weights()

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(trained, range(12)))
    for k, weights in enumerate(found):
        assert same_bits(weights, trained(k)), k
    for numbered in (operation.NUMBERED, elementwise.NUMBERED):
        assert all(made.number == number for number, made in numbered.items())


PAGES = sorted((Path(__file__).parent.parent / "docs" / "custom").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
@pytest.mark.filterwarnings("ignore:the file has the names of softsign")
def test_the_pages_run(page, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(code, names)
    if page.stem == "README":
        assert same_bits(names["model"].get_weights(), names["same"].get_weights())
        return
    assert names["check"].complex_error < 1e-12 and names["check"].central_error < 1e-6
    losses = names["history"].history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    assert abs(names.get("below", 0.9) - 0.9) < 0.05


def test_the_pages_name_all_functions():
    text = PAGES[0].read_text(encoding="utf-8")
    inverses = {"arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"}
    operators = {"add", "subtract", "multiply", "divide", "negative", "positive", "less", "less_equal", "greater"}
    operators |= {"greater_equal", "equal", "not_equal", "bitwise_and", "bitwise_or", "bitwise_xor", "invert"}
    others = {"absolute", "fabs", "float_power", "amax", "amin"}
    for name in {*FUNCTIONS, *ARRAY_FUNCTIONS} - inverses - operators - others:
        assert re.search(rf"\b{name}\b", text), name
