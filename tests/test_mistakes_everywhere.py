"""Mistakes that each entry of each registry must refuse, and what a refused call leaves behind."""

import copy
import inspect
import warnings

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

import fastml
from fastml import (
    ACTIVATIONS,
    INITIALIZERS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    REGULARIZERS,
    SET_METRICS,
    SGD,
    Activation,
    CosineDecay,
    Dense,
    Embedding,
    ReduceLROnPlateau,
    Rprop,
    Sequential,
    StepDecay,
)
from fastml.attributes import Constant
from fastml.optimizer import Number
from fastml.program.executors import EXECUTORS

X, Y = make_data("mean_squared_error")

# Names

NAMED = {  # argument, its registry, and what takes a name
    "activation": ("activation", ACTIVATIONS, lambda name: Dense(3, name)),
    "activation of a layer": ("activation", ACTIVATIONS, Activation),
    "kernel_initializer": ("kernel_initializer", INITIALIZERS, lambda name: Dense(3, kernel_initializer=name)),
    "bias_initializer": ("bias_initializer", INITIALIZERS, lambda name: Dense(3, bias_initializer=name)),
    "embeddings_initializer": (
        "embeddings_initializer",
        INITIALIZERS,
        lambda name: Embedding({0: 3}, embeddings_initializer=name),
    ),
    "embeddings_regularizer": (
        "embeddings_regularizer",
        REGULARIZERS,
        lambda name: Embedding({0: 3}, embeddings_regularizer=name),
    ),
    "kernel_regularizer": ("kernel_regularizer", REGULARIZERS, lambda name: Dense(3, kernel_regularizer=name)),
    "bias_regularizer": ("bias_regularizer", REGULARIZERS, lambda name: Dense(3, bias_regularizer=name)),
    "optimizer": ("optimizer", OPTIMIZERS, lambda name: make_model(optimizer=name)),
    "loss": ("loss", LOSSES, lambda name: Sequential([Dense(3)]).compile("sgd", name)),
    "metric": ("metric", METRICS | SET_METRICS, lambda name: make_model(metrics=[name])),
    "executor": ("executor", EXECUTORS, lambda name: make_model(executor=name)),
}


@pytest.mark.parametrize("kind, registry, make", list(NAMED.values()), ids=list(NAMED))
def test_unknown_names(kind, registry, make):
    """The error says which there are, and guesses what a slip of the finger meant; capitals do not matter."""
    with pytest.raises(ValueError, match=f"unknown {kind} 'nonsense'.*There are: ") as caught:
        make("nonsense")
    assert all(name in str(caught.value) for name in registry)
    for name in registry:
        if len(name) > 3:
            with pytest.raises(ValueError, match=f"unknown {kind} '{name}_'. Did you mean '{name}'?"):
                make(f"{name}_")
        try:
            make(name.upper())  # as Keras has it
        except ValueError as error:  # a metric may not go with the loss
            assert "unknown" not in str(error)


@pytest.mark.parametrize("value", [5, 1.5, ["relu"], b"relu", object()], ids=repr)
@pytest.mark.parametrize("kind, registry, make", list(NAMED.values()), ids=list(NAMED))
def test_names_that_are_none(kind, registry, make, value):
    """But where a number or an array may stand for a name: an initializer, which says what it takes instead."""
    if "initializer" in kind and isinstance(value, (int, float)):
        return
    with pytest.raises((TypeError, ValueError), match=kind):
        make(value)


# Numbers

TYPES = [value for value in map(fastml.__dict__.get, fastml.__all__) if inspect.isclass(value)]
CONSTANTS = [
    (kind, name, constant)
    for kind in TYPES
    for name, constant in inspect.getmembers(kind)
    if isinstance(constant, Constant)
]


def instance(kind):
    """An object with defaults, and 0.5 for what has none."""
    parameters = inspect.signature(kind).parameters.values()
    others = {"decay_steps": 3, "filepath": "model.safetensors"}
    given = [others.get(p.name, 0.5) for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    return kind("leaky_relu") if kind is Activation else kind(*given)


@pytest.mark.parametrize(
    "kind, name, constant", CONSTANTS, ids=[f"{kind.__name__}.{name}" for kind, name, _ in CONSTANTS]
)
def test_every_hyper_parameter_is_checked_whenever_it_is_set(kind, name, constant):
    """At the start and later; what was there before stays."""
    thing = instance(kind)
    before = getattr(thing, name)
    wrong = [(TypeError, value) for value in ("0.1", True, [0.1], 1j, np.array([0.1]))]
    wrong += [
        (ValueError, value) for value in (float("nan"), float("inf"), constant.low - 1, constant.high, -float("inf"))
    ]
    if constant.open_low:
        wrong.append((ValueError, constant.low))
    for error, value in wrong:
        with pytest.raises(error, match=f"^{name} must be"):
            setattr(thing, name, value)
        if name in inspect.signature(kind).parameters:
            arguments = {p: getattr(thing, p) for p in inspect.signature(kind).parameters if hasattr(thing, p)}
            with pytest.raises(error, match=f"^{name} must be"):
                kind(**{**arguments, name: value})
    assert getattr(thing, name) == before
    inside = (constant.low + min(constant.high, constant.low + 2)) / 2
    setattr(thing, name, np.float32(inside))
    assert getattr(thing, name) == inside and type(getattr(thing, name)) in (float, Number)


# What a refused call leaves


REFUSED = {
    "class_weight": {"class_weight": {0: 1}},
    "sample_weight": {"sample_weight": [1]},
    "weights of 0": {"sample_weight": np.zeros(50)},
    "batch_size": {"batch_size": 0},
    "epochs": {"epochs": 0},
    "callbacks": {"callbacks": [ReduceLROnPlateau]},
    "validation_data": {"validation_data": (X, Y[:-1])},
    "validation weights": {"validation_data": (X, Y, np.zeros(50))},
    "validation_split": {"validation_split": 1},
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("arguments", list(REFUSED.values()), ids=list(REFUSED))
def test_a_refused_fit_changes_nothing(arguments, executor):
    """Neither weights nor optimizer nor the counters behind random numbers: training goes on as if it had not been."""
    model, twin = (make_model(optimizer="adam", executor=executor) for _ in range(2))
    for each in (model, twin):
        each.fit(X, Y, verbose=0)
    with pytest.raises((TypeError, ValueError)):
        model.fit(X, Y, **{"verbose": 0, **arguments})
    for each in (model, twin):
        each.fit(X, Y, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_warm_up_longer_than_the_fit(executor):
    """Known before the first step, also in a later fit that is shorter; one that is long enough goes on from there."""
    model, twin = (make_model(optimizer=SGD(CosineDecay(0.1, warmup_steps=6)), executor=executor) for _ in range(2))
    for each in (model, twin):
        each.fit(X, Y, batch_size=50, epochs=7, verbose=0)
    for epochs in (1, 6):
        with pytest.raises(ValueError, match=f"warmup_steps is 6, but there are only {epochs} updates"):
            model.fit(X, Y, batch_size=50, epochs=epochs, verbose=0)
    for each in (model, twin):
        each.fit(X, Y, batch_size=50, epochs=7, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if kind.full_batch])
@pytest.mark.parametrize("batch_size, arguments", [(49, {}), (1, {}), (24, {"validation_split": 0.5})])
def test_full_batch_optimizers_warn_of_mini_batches(name, batch_size, arguments):
    """Once, with the reason and the size to pass, pointing at the line that calls fit; they train all the same."""
    rows = 25 if arguments else 50
    with pytest.warns(UserWarning, match=rf"signs of the gradient.*noise.*batch_size={rows}") as caught:
        history = make_model(optimizer=name).fit(X, Y, batch_size=batch_size, epochs=2, verbose=0, **arguments)
    assert [warning.filename for warning in caught] == [__file__]
    assert len(history.epoch) == 2


@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if kind.full_batch])
def test_full_batch_optimizers_are_silent_about_full_batches(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_model(optimizer=name).fit(X, Y, batch_size=50, verbose=0)
        make_model(optimizer=name).fit(X, Y, batch_size=1000, verbose=0)
        make_model(optimizer=name).fit(X[:20], Y[:20], verbose=0)
        make_model(optimizer=name).fit(X, Y, batch_size=25, validation_split=0.5, verbose=0)


@pytest.mark.parametrize("batch_size", [16, 50])
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer, option, value", [(SGD(0.1), "momentum", 0.5), (Rprop(), "backtrack", True)])
def test_what_needs_another_compile(optimizer, option, value, executor, batch_size):
    """An option that brings state of its own cannot be switched on between fits, also where the next one is lowered
    anew for a larger batch and for weights; compile does it."""
    optimizer = copy.copy(optimizer)
    model = make_model(optimizer=optimizer, executor=executor)
    first = {"batch_size": 50, "verbose": 0} if optimizer.full_batch else {"batch_size": 8, "verbose": 0}
    model.fit(X, Y, **first)
    before = model.get_weights()
    setattr(optimizer, option, value)
    for weights in (None, np.ones(50)):
        with pytest.raises(RuntimeError, match=f"{option}={value}.*compile again"):
            model.fit(X, Y, **{**first, "batch_size": max(batch_size, first["batch_size"])}, sample_weight=weights)
    assert same_bits(model.get_weights(), before)
    model.compile(optimizer, model.loss, executor=executor)
    model.fit(X, Y, **first)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "optimizer, option, value", [(SGD(0.1, 0.9), "momentum", 0), (Rprop(backtrack=True), "backtrack", False)]
)
def test_what_needs_less_state_may_be_set_at_any_time(optimizer, option, value, executor):
    """The state stays as large as it is, in copies too, and both executors leave it alone."""
    optimizer, x, y = copy.copy(optimizer), X, Y
    model = make_model(optimizer=optimizer, executor=executor)
    model.fit(x, y, batch_size=50, epochs=2, verbose=0)
    setattr(optimizer, option, value)
    twin = copy.deepcopy(model)
    for each in (model, twin):
        each.fit(x, y, batch_size=50, epochs=2, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("option", ["clipvalue", "global_clipnorm"])
def test_clipping_may_be_set_at_any_time(option, executor):
    model, twin = (make_model(optimizer=SGD(0.1, **{option: clip}), executor=executor) for clip in (None, 0.01))
    setattr(model.optimizer, option, 0.01)
    for each in (model, twin):
        each.fit(X, Y, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())
    setattr(model.optimizer, option, None)
    before = model.get_weights()
    model.fit(X, Y, batch_size=50, shuffle=False, verbose=0)
    assert max(np.abs(w - b).max() for w, b in zip(model.get_weights(), before, strict=True)) > 0.01 * 0.1


def test_rates_of_an_optimizer_that_has_none():
    with pytest.raises(TypeError, match="initial_step must be a number, got StepDecay"):
        Rprop(StepDecay(0.1, 3))
