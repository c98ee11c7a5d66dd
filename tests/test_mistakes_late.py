"""Mistakes that show late: values that a dtype cannot hold, attributes set after the constructor has checked them."""

import warnings

import numpy as np
import pytest
from helpers import make_data, same_bits

from fastml import SGD, BatchNormalization, CosineDecay, Dense, Huber, Rprop, Schedule, Sequential, gradient_check

X, Y = make_data("mean_squared_error")


def model(layers=None, optimizer="sgd", loss="mean_squared_error", **arguments):
    made = Sequential(layers or [Dense(3)], seed=0, **arguments)
    made.compile(optimizer, loss)
    return made


def set_variance(value):
    made = model([BatchNormalization(), Dense(3)], input_dim=5)
    gamma, beta, mean, variance, W, b = made.get_weights()
    made.set_weights([gamma, beta, mean, variance * value, W, b])


def later(optimizer, **values):
    for name, value in values.items():
        setattr(optimizer, name, value)
    model(optimizer=optimizer).fit(X, Y, batch_size=50, verbose=0)


def backwards():
    schedule = CosineDecay(0.1)
    schedule.steps = -3
    return schedule


def fit(layers=None, **arguments):
    model(layers).fit(X, Y, verbose=0, **arguments)


MISTAKES = {
    "epsilon of 0 in float32": (
        ValueError,
        "epsilon",
        lambda: fit([BatchNormalization(epsilon=1e-50), Dense(3)]),
    ),
    "delta of 0 in float32": (ValueError, "delta", lambda: model(loss=Huber(1e-50)).fit(X, Y, verbose=0)),
    "variance below 0": (ValueError, "variance", lambda: set_variance(-1)),
    "bare schedule": (TypeError, "Schedule", lambda: later(SGD(Schedule()))),
    "W beyond float32": (
        ValueError,
        "kernel_initializer",
        lambda: fit([Dense(3, kernel_initializer=1e300)]),
    ),
    "validation weights of 0": (ValueError, "validation_data", lambda: fit(validation_data=(X, Y, np.zeros(50)))),
    "step_min above step_max, later": (ValueError, "step_min", lambda: later(Rprop(), step_min=100)),
    "initial_step above step_max": (ValueError, "initial_step", lambda: Rprop(100)),
    "initial_step below step_min": (ValueError, "initial_step", lambda: Rprop(1e-9)),
    "nesterov later, of words": (TypeError, "nesterov", lambda: later(SGD(0.1, 0.9), nesterov="yes")),
    "nesterov later, without momentum": (ValueError, "nesterov", lambda: later(SGD(0.1), nesterov=True)),
    "decay_all later, of words": (TypeError, "decay_all", lambda: later(SGD(0.1), decay_all="yes")),
    "steps of a schedule, later": (ValueError, "steps must be at least 1", lambda: later(SGD(backwards()))),
    "check of no model": (TypeError, "model", lambda: gradient_check(5, X, Y)),
}


@pytest.mark.parametrize("error, message, make", list(MISTAKES.values()), ids=list(MISTAKES))
def test_each_has_an_error_that_names_it(error, message, make):
    with pytest.raises(error, match=message):
        make()


def test_weights_whose_sum_overflows():
    """Weights of 1e308 each are weights of 1 each."""
    a, b = model(), model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a.fit(X, Y, verbose=0, sample_weight=np.full(50, 1e308))
    b.fit(X, Y, verbose=0)
    assert same_bits(a.get_weights(), b.get_weights())
