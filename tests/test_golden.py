"""Golden trajectories: twenty float64 steps of each optimizer, option, penalty and schedule, at 1e-12.

The oracles are in `golden`; they know nothing of how fastml computes.
"""

import inspect

import numpy as np
import pytest
from golden import BY_NAME, POINTS, RATES, START, STEPS, TARGETS, path, slopes, strengths

from fastml import (
    L1,
    L1L2,
    L2,
    OPTIMIZERS,
    REGULARIZERS,
    SCHEDULES,
    SGD,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    BatchNormalization,
    Callback,
    CosineDecay,
    CosineLog,
    Dense,
    ExponentialDecay,
    OneCycle,
    PiecewiseConstantDecay,
    RMSprop,
    Rprop,
    Sequential,
    StepDecay,
)
from fastml.program.executors import EXECUTORS

# What is trained: a class and its arguments, and those of the penalties

OPTIONS = {"weight_decay": 0.3, "clipvalue": 0.8, "clipnorm": 0.9, "global_clipnorm": 1.1}
TRAININGS = {
    "sgd": (SGD, {"learning_rate": 0.1}),
    "momentum": (SGD, {"learning_rate": 0.05, "momentum": 0.9}),
    "nesterov": (SGD, {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    "adam": (Adam, {"learning_rate": 0.1}),
    "adam of other constants": (Adam, {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.7, "epsilon": 1e-2}),
    "adam of no memory": (Adam, {"learning_rate": 0.1, "beta_1": 0.0, "beta_2": 0.0}),
    "adamw": (AdamW, {"learning_rate": 0.1}),
    "adamw of other constants": (AdamW, {"learning_rate": 0.1, "beta_1": 0.6, "beta_2": 0.8, "epsilon": 1e-3}),
    "adamax": (Adamax, {"learning_rate": 0.1}),
    "adamax of other constants": (Adamax, {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.7, "epsilon": 1e-2}),
    "rmsprop": (RMSprop, {"learning_rate": 0.02}),
    "rmsprop of other constants": (RMSprop, {"learning_rate": 0.02, "rho": 0.4, "epsilon": 1e-2}),
    "adagrad": (Adagrad, {"learning_rate": 0.5}),
    "adagrad with a start": (Adagrad, {"learning_rate": 0.5, "initial_accumulator_value": 0.7, "epsilon": 1e-2}),
    "rprop": (Rprop, {}),
    "rprop of long steps": (Rprop, {"initial_step": 0.5}),
    "rprop between bounds": (
        Rprop,
        {"initial_step": 0.1, "eta_minus": 0.3, "eta_plus": 1.7, "step_min": 0.02, "step_max": 0.15},
    ),
    "rprop backtrack": (Rprop, {"backtrack": True, "initial_step": 0.5}),
    "rprop backtrack between bounds": (
        Rprop,
        {"backtrack": True, "initial_step": 0.2, "eta_minus": 0.6, "eta_plus": 1.7, "step_min": 0.05, "step_max": 0.3},
    ),
}
for name in ("sgd", "momentum", "nesterov", "adam", "adamw", "adamax", "rmsprop", "adagrad"):
    kind, arguments = TRAININGS[name]
    for option, value in OPTIONS.items():
        TRAININGS[f"{name}, {option}"] = (kind, {**arguments, option: value})
    TRAININGS[f"{name}, decay_all"] = (kind, {**arguments, "weight_decay": 0.3, "decay_all": True})
    TRAININGS[f"{name}, everything"] = (kind, {**arguments, **OPTIONS, "decay_all": True})
SCHEDULED = {
    "step": StepDecay(0.1, 6, 0.4),
    "step of the default": StepDecay(0.1, 8),
    "exponential": ExponentialDecay(0.1, 7, 0.5),
    "exponential of the default": ExponentialDecay(0.1, 2),
    "exponential, staircase": ExponentialDecay(0.1, 3, 0.7, staircase=True),
    "cosine": CosineDecay(0.1),
    "cosine, final": CosineDecay(0.1, final=0.02),
    "cosine, warm-up": CosineDecay(0.1, warmup_steps=5, final=0.01),
    "cosine, early end": CosineDecay(0.1, steps=13, warmup_steps=4, final=0.03),
    "one_cycle": OneCycle(0.1),
    "one_cycle, other factors": OneCycle(0.1, warmup=0.47, div_factor=3.0, final_div_factor=10.0),
    "one_cycle, no warm-up": OneCycle(0.1, warmup=0.0),
    "one_cycle, early end": OneCycle(0.1, steps=15, warmup=0.5),
    "cosine_log": CosineLog(0.1),
    "cosine_log, other cycles": CosineLog(0.1, cycles=2, final=0.03),
    "cosine_log, early end": CosineLog(0.1, steps=13),
    "piecewise_constant": PiecewiseConstantDecay([3, 11], [0.1, 0.03, 0.07]),
}
for name, schedule in SCHEDULED.items():
    TRAININGS[f"sgd, {name}"] = (SGD, {"learning_rate": schedule})
    TRAININGS[f"adamw, {name}"] = (AdamW, {"learning_rate": schedule, "decay_all": True})
for name, (kind, arguments) in {
    "momentum": (SGD, {"momentum": 0.9}),
    "nesterov": (SGD, {"momentum": 0.8, "nesterov": True}),
    "adamax": (Adamax, {}),
    "rmsprop": (RMSprop, {}),
    "adagrad": (Adagrad, {}),
}.items():
    TRAININGS[f"{name}, scheduled"] = (kind, {**arguments, "learning_rate": ExponentialDecay(0.1, 5, 0.8)})

PENALTIES = {
    "L1": {"kernel_regularizer": L1(0.4)},
    "L2": {"kernel_regularizer": L2(0.3)},
    "L1 and L2, also of the bias": {"kernel_regularizer": L1L2(0.2, 0.1), "bias_regularizer": L1L2(0.3, 0.05)},
    "by names": {"kernel_regularizer": "l1", "bias_regularizer": "l2"},
    "by name, both": {"kernel_regularizer": "l1_l2", "bias_regularizer": "l1_l2"},
}


def of_each_fit(arguments):
    """Whether the rate depends on how long a fit is."""
    rate = arguments.get("learning_rate")
    return type(rate) in RATES and rate.steps is None


def assert_close(got, expected):
    """Within 1e-12 of the largest parameter of each step: one that passes by 0 has absolute digits only."""
    got, expected = np.atleast_2d(got), np.atleast_2d(expected)
    assert got.shape == expected.shape
    assert (np.abs(got - expected) <= 1e-12 * np.abs(expected).max(axis=1, keepdims=True)).all()


class Watch(Callback):
    """Keeps the parameters after each epoch."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs):
        self.seen.append([value.item() for array in self.model.get_weights() for value in array.ravel()])


def model_of(kind, arguments, executor, **penalties):
    layer = Dense(1, kernel_initializer=np.array([START[:1], START[1:2]]), bias_initializer=START[2], **penalties)
    model = Sequential([layer], dtype="float64", seed=0)
    model.compile(kind(**arguments), "mean_squared_error", executor=executor)
    return model


def check(kind, arguments, executor, batch_size, **penalties):
    """The model's path is the oracle's, at the ends of epochs, and so is the loss of each epoch."""
    batches = [list(range(4))[first : first + batch_size] for first in range(0, 4, batch_size)]
    both = [strengths(penalties.get(f"{role}_regularizer")) for role in ("kernel", "bias")]
    expected, losses, _ = path(kind, arguments, batches, (both[0], both[0], both[1]))
    model, watch = model_of(kind, arguments, executor, **penalties), Watch()
    history = model.fit(
        POINTS, TARGETS, batch_size, STEPS // len(batches), verbose=0, callbacks=[watch], shuffle=False
    ).history
    ends = range(len(batches) - 1, STEPS, len(batches))
    assert_close(watch.seen, [expected[t] for t in ends])
    means = [sum(losses[t - k] * len(batches[-1 - k]) for k in range(len(batches))) / 4 for t in ends]
    np.testing.assert_allclose(history["loss"], means, rtol=1e-12, atol=0)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("training", TRAININGS)
def test_full_batches(training, executor):
    check(*TRAININGS[training], executor, batch_size=4)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("training", [name for name, (kind, _) in TRAININGS.items() if not kind.full_batch])
def test_three_rows_and_one(training, executor):
    """A schedule counts updates, of which an epoch has two here, and the short batch takes the mean over its rows."""
    check(*TRAININGS[training], executor, batch_size=3)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("training", ["sgd", "nesterov", "adamw", "rprop backtrack"])
def test_penalties(training, penalty, executor):
    check(*TRAININGS[training], executor, batch_size=4, **PENALTIES[penalty])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_penalties_count_in_full_in_a_short_batch(executor):
    check(*TRAININGS["momentum"], executor, batch_size=3, **PENALTIES["L1 and L2, also of the bias"])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("training", [name for name, (_, values) in TRAININGS.items() if not of_each_fit(values)])
def test_a_path_goes_on_in_the_next_fit(training, executor):
    """Moments, steps, the loss before and the counter of a schedule that has steps: all start at compile only."""
    expected, _, _ = path(*TRAININGS[training], [[0, 1, 2, 3]])
    model = model_of(*TRAININGS[training], executor)
    for epochs in (7, 1, 12):
        model.fit(POINTS, TARGETS, 4, epochs, verbose=0, shuffle=False)
    assert_close([value.item() for array in model.get_weights() for value in array.ravel()], expected[-1])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", [name for name, schedule in SCHEDULED.items() if schedule.steps is None])
def test_a_schedule_without_steps_covers_each_fit(name, executor):
    schedule, w = SCHEDULED[name], list(START)
    rate, values = RATES[type(schedule)], {k: v for k, v in vars(schedule).items() if k != "steps"}
    model = model_of(SGD, {"learning_rate": schedule}, executor)
    for epochs in (11, 9):
        model.fit(POINTS, TARGETS, 4, epochs, verbose=0, shuffle=False)
        for t in range(epochs):
            _, g = slopes(w, range(4), [(0.0, 0.0)] * 3)
            w = [v - rate(t, epochs, **values) * slope for v, slope in zip(w, g, strict=True)]
    got = [value.item() for array in model.get_weights() for value in array.ravel()]
    assert_close(got, w)


# That the paths above go where the options matter


@pytest.mark.parametrize(
    "training, wanted",
    {
        "rprop of long steps": {"longer", "shorter"},
        "rprop between bounds": {"longer", "longest", "shorter", "shortest"},
        "rprop backtrack": {"longer", "shorter", "worse", "better"},
        "rprop backtrack between bounds": {"longer", "longest", "shorter", "shortest", "worse", "better"},
        "momentum, clipvalue": {"clipped", "not clipped"},
        "momentum, global_clipnorm": {"too long", "not too long"},
        "momentum, clipnorm": {"one too long", "one not too long"},
        "adam, everything": {"clipped", "too long", "not too long"},
        "sgd": {"a weight of 0", "a sign that changes"},
    }.items(),
)
def test_paths_reach_every_branch(training, wanted):
    _, _, events = path(*TRAININGS[training], [[0, 1, 2, 3]])
    assert wanted <= events


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_option_of_each_optimizer_has_a_path(name):
    """A new optimizer, or a new argument of one, needs an oracle above."""
    kind = OPTIMIZERS[name]
    defaults = {key: p.default for key, p in inspect.signature(kind).parameters.items()}
    given = [arguments for cls, arguments in TRAININGS.values() if cls is kind]
    assert given
    for key, default in defaults.items():
        assert any(arguments.get(key, default) != default for arguments in given), f"no path has {key}"


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_option_of_each_schedule_has_a_path(name):
    kind = SCHEDULES[name]
    given = [vars(schedule) for schedule in SCHEDULED.values() if type(schedule) is kind]
    assert kind in RATES and given
    for key, parameter in inspect.signature(kind).parameters.items():
        assert any(values[key] != parameter.default for values in given), f"no path has {key}"


def test_each_penalty_has_a_path():
    used = {regularizer for penalty in PENALTIES.values() for regularizer in penalty.values()}
    assert set(BY_NAME) == set(REGULARIZERS) <= used


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("decay_all", [False, True])
@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if hasattr(kind, "weight_decay")])
def test_what_decays(name, decay_all, executor):
    """W by the factor 1 - learning_rate·weight_decay, with decay_all also b, γ and β, statistics never."""
    x, y = np.random.default_rng(0).normal(size=(2, 8, 3))
    after = []
    for decay in (0.0, 0.25):
        layers = [Dense(3, "tanh", bias_initializer="ones"), BatchNormalization(), Dense(3, bias_initializer="ones")]
        model = Sequential(layers, dtype="float64", seed=1, input_dim=3)
        optimizer = OPTIMIZERS[name](0.1, weight_decay=decay, decay_all=decay_all)
        model.compile(optimizer, "mean_squared_error", executor=executor)
        W, b, gamma, beta, mean, variance, V, c = model.get_weights()
        start = [W, b, gamma, beta + 0.5, mean, variance, V, c]
        model.set_weights(start)
        model.fit(x, y, verbose=0)
        after.append(model.get_weights())
    decays = [True, *[decay_all] * 3, False, False, True, decay_all]
    for without, with_decay, old, applies in zip(*after, start, decays, strict=True):
        np.testing.assert_allclose(without - with_decay, 0.1 * 0.25 * old * applies, rtol=0, atol=1e-15)
