"""Every instruction, and every activation, loss and metric, is run compiled and compared with the reference.

The cases are made of the registries and of the classes of layers; what no case reaches is named by a failing test.
"""

import inspect
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from custom_objects import OwnNormalization, Scale
from helpers import TOLERANCE, batch_for, coded, deviation, make_data, metrics_for

import fastml
from fastml import (
    ACTIVATIONS,
    L1L2,
    LOSSES,
    OPTIMIZERS,
    SGD,
    Activation,
    BatchNormalization,
    Dense,
    DivergenceError,
    Dropout,
    Embedding,
    Layer,
    LayerNormalization,
    Normalization,
    PeriodicEmbedding,
    Sequential,
    StepDecay,
)
from fastml.kernels.elementwise import FUNCTIONS
from fastml.kernels.operations import OPERATIONS
from fastml.program import reference
from fastml.program.compiled import DTYPES
from fastml.program.program import Program, disassembled

ROWS, D_IN, BATCH = 37, 5, 16  # the last batch is short
MANY_ROWS = 1024 + 1077  # as a full batch they go in blocks, of which the last is short

PENALTY = L1L2(0.01, 0.02)
EXAMPLES = {
    Dense: [lambda: Dense(4, kernel_regularizer=PENALTY, bias_regularizer=PENALTY)],
    Activation: [lambda name=name: Activation(name) for name in ACTIVATIONS],
    Dropout: [lambda: Dropout(0.25)],
    Embedding: [
        lambda: Embedding({1: 4, 3: 40}, {1: 1, 3: 18}, embeddings_regularizer=PENALTY),
        lambda: Embedding(dict.fromkeys(range(D_IN), 3)),
    ],
    PeriodicEmbedding: [
        lambda: PeriodicEmbedding(kernel_regularizer=PENALTY),
        lambda: PeriodicEmbedding([3, 0, 1], 9, 17, relu=True, keep=False),
    ],
    Normalization: [lambda method=method: Normalization(method) for method in Normalization.METHODS],
    BatchNormalization: [lambda: BatchNormalization()],
    LayerNormalization: [lambda: LayerNormalization()],
    Scale: [lambda: Scale()],
    OwnNormalization: [lambda: OwnNormalization()],
}
# Options of optimizers that change the instructions, and what they need beside them.
OPTIONS = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weight_decay": {"weight_decay": 0.1},
    "decay_all": {"weight_decay": 0.1, "decay_all": True},
    "clipvalue": {"clipvalue": 0.01},
    "global_clipnorm": {"global_clipnorm": 0.1},
    "backtrack": {"backtrack": True, "initial_step": 0.3},  # large enough for a loss that grows
}


class Case(NamedTuple):
    layer: object = None  # makes a layer that stands between others
    loss: str = "mean_squared_error"
    smoothing: float = 0.0
    optimizer: str = "sgd"
    options: dict = {}
    weighted: bool = False
    shuffle: bool = True
    hidden: str = "tanh"
    blocks: bool = False


def parameters(kind):
    return inspect.signature(kind).parameters


def all_cases():
    """Each Case by the name of its test."""
    cases = {"in order": Case(shuffle=False)}
    for kind, makers in EXAMPLES.items():
        cases |= {f"{kind.__name__} {k}": Case(layer=make) for k, make in enumerate(makers)}
    for name, kind in LOSSES.items():
        cases |= {name: Case(loss=name), f"{name} weighted": Case(loss=name, weighted=True)}
        if "label_smoothing" in parameters(kind):
            cases[f"{name} smoothed"] = Case(loss=name, smoothing=0.1)
    for name, kind in OPTIMIZERS.items():
        cases[name] = Case(optimizer=name)
        for option in [option for option in OPTIONS if option in parameters(kind)]:
            cases[f"{name} {option}"] = Case(optimizer=name, options=OPTIONS[option])
            if "momentum" in OPTIONS[option]:
                decayed = OPTIONS[option] | OPTIONS["weight_decay"]
                cases[f"{name} {option} and decay"] = Case(optimizer=name, options=decayed)
    for name in [name for name in ACTIVATIONS if name in FUNCTIONS]:
        cases[f"{name} behind a product"] = Case(hidden=name)
        cases[f"{name} and another behind a product"] = Case(hidden=name, layer=lambda: Activation("tanh"))
    for name in (
        "Dense 0",
        "Dropout 0",
        "Normalization 0",
        "Embedding 0",
        "Scale 0",
        "LayerNormalization 0",
        "PeriodicEmbedding 0",
    ):
        cases[f"{name} in blocks"] = cases[name]._replace(blocks=True)
    for name in ("mean_squared_error weighted", "rprop", "sgd momentum"):
        cases[f"{name} in blocks"] = cases[name]._replace(blocks=True)
    cases["schedule"] = Case(options={"learning_rate": StepDecay(0.1, 2, 0.5)})
    return cases


CASES = all_cases()


def make_model(case, executor, dtype):
    loss = LOSSES[case.loss](**({"label_smoothing": case.smoothing} if case.smoothing else {}))
    layer = [case.layer()] if case.layer else []
    last = [Dense(3, loss.link)]
    first = bool(layer) and bool(layer[0].first)
    hidden = Dense(7, case.hidden)
    layers = [*layer, hidden, *last] if first else [hidden, *layer, *last]
    model = Sequential(layers, seed=1, dtype=dtype)
    model.compile(OPTIMIZERS[case.optimizer](**case.options), loss, metrics_for(case.loss), executor=executor)
    return model


@cache
def ran(name, executor, dtype):
    """The program that a case has run, and all that came out of it, as arrays by their names."""
    case = CASES[name]
    rows = MANY_ROWS if case.blocks else ROWS
    x, y = make_data(case.loss, rows, D_IN)
    weights = np.random.default_rng(2).uniform(0.5, 2, rows) if case.weighted else None
    model = make_model(case, executor, dtype)
    x = coded(x, model.layers)
    batch_size = rows if case.blocks else batch_for(case.optimizer, rows, BATCH)
    epochs = 30 if batch_size == rows else 5
    history = model.fit(x, y, batch_size, epochs, shuffle=case.shuffle, sample_weight=weights, verbose=0).history
    program = model._engine.program
    value, gradients = model.gradients(x, y, sample_weight=weights)
    results = {f"history of {key}": np.array(values) for key, values in history.items()}
    results |= {f"weights {k}": array for k, array in enumerate(model.get_weights())}
    results |= {f"gradient {k}": array for k, array in enumerate(gradients)}
    results |= {"value": np.array(value), "outputs": model.predict(x)}
    results["evaluation"] = np.array(model.evaluate(x, y, sample_weight=weights))
    return program, results


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_both_executors_agree(name, dtype):
    (_, compiled), (_, reference_) = (ran(name, which, dtype) for which in ("compiled", "numpy"))
    assert list(compiled) == list(reference_)
    drifts = dtype == "float32" and CASES[name].optimizer != "sgd"  # others make steps of what is rounding alone
    for key, expected in reference_.items():
        assert compiled[key].dtype == expected.dtype and np.isfinite(expected).all(), key
        if drifts and key.startswith(("weights", "gradient", "outputs")):
            continue
        assert deviation(compiled[key], expected) <= TOLERANCE[dtype], key


def test_the_backtracking_case_has_to_take_moves_back():
    _, results = ran("rprop backtrack", "compiled", "float64")
    assert (np.diff(results["history of loss"]) > 0).any()


@cache
def instructions():
    """All instructions of all programs that the cases run, one after the other, as dicts."""
    names = [name for name, kind in Program.__annotations__.items() if kind is np.ndarray]
    assert names == ["training", "gradient", "value", "evaluation", "prediction"]
    programs = [ran(name, "compiled", "float64")[0] for name in CASES]
    return [s for program in programs for name in names for s in disassembled(getattr(program, name)) if s["op"]]


def test_every_operation_is_in_a_program():
    assert len(OPERATIONS) > 50
    added = {"clock", "follow", "watch"}  # by a profile between instructions, and by a training behind its epochs
    unreached = set(OPERATIONS) - {s["op"] for s in instructions()} - added
    assert not unreached, f"no case has a model, loss or optimizer that lowers to {unreached}"


@pytest.mark.parametrize(
    "operations", [("dense_forward", "dense_backward_inputs"), ("activation_forward", "activation_backward")]
)
def test_every_elementwise_function_is_applied(operations):
    """By products and by instructions of their own."""
    applied = {s.get("function") for s in instructions() if s["op"] in operations}
    assert applied - {None} == set(FUNCTIONS)


def test_some_cases_go_in_blocks():
    """In more than one, which are not all of one size."""
    for name in [name for name, case in CASES.items() if case.blocks]:
        block = ran(name, "compiled", "float64")[0].plan.block
        assert 0 < block < MANY_ROWS and MANY_ROWS % block


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_constant_is_set_by_some_instruction(op):
    """A field that none of the cases sets would be read by nobody, or never tested."""
    operation = OPERATIONS[op]
    numbers = [name for name in operation.fields if operation.layout[name] == np.float64]
    assert all(any(s[name] for s in instructions() if s["op"] == op) for name in numbers)


def test_every_layer_has_an_example():
    """A new layer needs an entry above."""
    kinds = {kind for kind in vars(fastml).values() if inspect.isclass(kind) and issubclass(kind, Layer)}
    assert set(EXAMPLES) - {Scale, OwnNormalization} == kinds - {Layer}


def test_every_option_is_one_of_an_optimizer():
    names = {name for kind in OPTIMIZERS.values() for name in parameters(kind)}
    assert not OPTIONS.keys() - names


@pytest.mark.parametrize("op", OPERATIONS)
def test_both_executors_know_every_operation_by_the_same_arguments(op):
    """What the reference takes as keywords, constants of losses and states of optimizers, goes by its name as well."""
    known = parameters(reference.FUNCTIONS[op])
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        assert list(known) == list(OPERATIONS[op].operands)
    named = {name for name, parameter in known.items() if parameter.default is parameter.empty}
    assert named - {"s", "others"} <= set(OPERATIONS[op].operands)


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_executors_stop_at_the_same_step(dtype):
    """Where the loss is not finite any more; the weights are those before it."""
    x, y = make_data("mean_squared_error", ROWS, D_IN)
    weights, steps = [], []
    for name in ("compiled", "numpy"):
        model = Sequential([Dense(7), Dense(3)], seed=1, dtype=dtype)
        model.compile(SGD(1e10), "mean_squared_error", executor=name)
        with pytest.raises(DivergenceError):
            model.fit(x, y, BATCH, epochs=50, shuffle=False, verbose=0)
        weights.append(model.get_weights())
        steps.append(model._engine.updates)
    assert steps[0] == steps[1] > 0
    for got, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3 if dtype == "float32" else 1e-9)
