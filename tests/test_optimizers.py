"""Optimizers: their arguments, and what they do to a model step by step."""

import math

import numpy as np
import pytest
from helpers import same_bits

from fastml import OPTIMIZERS, SGD, Adagrad, Adam, Adamax, AdamW, Dense, RMSprop, Rprop, Sequential
from fastml.optimizer import Number
from fastml.optimizers import resolve_optimizer
from fastml.program.executors import EXECUTORS

WITH_RATE = [name for name, cls in OPTIMIZERS.items() if hasattr(cls, "learning_rate")]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_name_is_the_optimizer_with_its_defaults(name):
    assert repr(resolve_optimizer(name)) == repr(OPTIMIZERS[name]())


def test_repr_tells_the_hyperparameters():
    assert repr(SGD(0.5)) == "SGD(learning_rate=0.5)"
    assert repr(Adam(0.01, 0.8, 0.99, 1e-6)) == "Adam(learning_rate=0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-06)"


def test_defaults():
    none = {"weight_decay": 0.0, "clipvalue": None, "clipnorm": None, "global_clipnorm": None}
    moments = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    assert SGD().constants() == none | {"learning_rate": 0.01, "momentum": 0.0}
    assert Adam().constants() == none | {"learning_rate": 0.001} | moments
    assert AdamW().constants() == Adam().constants() | {"weight_decay": 0.01}
    assert Adamax().constants() == Adam().constants() | {"learning_rate": 0.002}
    assert RMSprop().constants() == none | {"learning_rate": 0.001, "rho": 0.9, "epsilon": 1e-8}
    accumulator = {"initial_accumulator_value": 0.0, "epsilon": 1e-10}
    assert Adagrad().constants() == none | {"learning_rate": 0.01} | accumulator
    steps = {"initial_step": 0.01, "step_min": 1e-6, "step_max": 50.0}
    assert Rprop().constants() == {"eta_minus": 0.5, "eta_plus": 1.2} | steps


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
@pytest.mark.parametrize("name", WITH_RATE)
def test_a_learning_rate_out_of_range(name, value):
    with pytest.raises(ValueError, match=r"learning_rate must be in \[0, inf\)"):
        OPTIMIZERS[name](value)
    optimizer = OPTIMIZERS[name]()
    kept = optimizer.learning_rate
    with pytest.raises(ValueError, match="learning_rate"):
        optimizer.learning_rate = value
    assert optimizer.learning_rate == kept


@pytest.mark.parametrize("value", ["0.1", None, True, [0.1], 1j])
@pytest.mark.parametrize("name", WITH_RATE)
def test_a_learning_rate_that_is_no_number(name, value):
    with pytest.raises(TypeError, match="learning_rate must be a number"):
        OPTIMIZERS[name](value)


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.int64(1), 1])
def test_numbers_of_numpy_are_taken(value):
    assert SGD(value).learning_rate == float(value)
    assert type(SGD(value).learning_rate) is Number  # a float of Python, not of NumPy


@pytest.mark.parametrize("name, value", [("beta_1", 1), ("beta_1", -0.1), ("beta_2", 1.5), ("epsilon", -1e-8)])
def test_adams_constants_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"{name} must be in"):
        Adam(**{name: value})


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer", [SGD(0.05), Adam(0.05), Adam(0.05, 0.5, 0.7, 1e-3)], ids=repr)
def test_twenty_steps_of_one_weight_and_one_bias(optimizer, executor):
    """The line w·x + b through one point, by Python's own numbers: loss (w·x + b - y)²."""
    point, target, state = 1.5, 4.0, {"w": [0.0, 0.0], "b": [0.0, 0.0]}
    model = Sequential([Dense(1)], input_dim=1, seed=0, dtype="float64")
    model.compile(optimizer, "mean_squared_error", executor=executor)
    values = {"w": model.get_weights()[0].item(), "b": model.get_weights()[1].item()}
    for t in range(1, 21):
        error = values["w"] * point + values["b"] - target
        for name, g in (("w", 2 * error * point), ("b", 2 * error)):
            if isinstance(optimizer, SGD):
                values[name] -= 0.05 * g
                continue
            m, v = state[name]
            m = optimizer.beta_1 * m + (1 - optimizer.beta_1) * g
            v = optimizer.beta_2 * v + (1 - optimizer.beta_2) * g * g
            state[name] = [m, v]
            m_hat, v_hat = m / (1 - optimizer.beta_1**t), v / (1 - optimizer.beta_2**t)
            values[name] -= 0.05 * m_hat / (math.sqrt(v_hat) + optimizer.epsilon)
        model.fit([[point]], [target], verbose=0)
        W, b = model.get_weights()
        assert W.item() == pytest.approx(values["w"], rel=1e-12)
        assert b.item() == pytest.approx(values["b"], rel=1e-12)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", WITH_RATE)
def test_a_learning_rate_of_zero_changes_nothing(name, executor):
    model = Sequential([Dense(3)], input_dim=2, seed=0)
    model.compile(OPTIMIZERS[name](0), executor=executor)
    before = model.get_weights()
    model.fit(np.ones((9, 2)), np.ones((9, 3)), verbose=0)
    assert same_bits(model.get_weights(), before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_optimizer_may_serve_two_models(name):
    """It holds hyper-parameters only: state belongs to the model."""
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3))
    shared = OPTIMIZERS[name](0.05)
    models = [Sequential([Dense(3)], seed=0) for _ in range(3)]
    for model, optimizer in zip(models, (shared, shared, OPTIMIZERS[name](0.05)), strict=True):
        model.compile(optimizer)
    for _ in range(3):
        for model in models:
            model.fit(x, y, verbose=0)
    a, b, own = (model.get_weights() for model in models)
    assert same_bits(a, own) and same_bits(b, own)
