"""`gradient_check`: it finds the derivative of every layer, activation and loss right, and a wrong one wrong."""

import numpy as np
import pytest
from helpers import coded, make_data, same_bits

from fastml import (
    ACTIVATIONS,
    L1L2,
    LOSSES,
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    GradientCheck,
    Normalization,
    PeriodicEmbedding,
    Sequential,
    gradient_check,
)
from fastml.kernels.operations import OPERATIONS
from fastml.optimizers import UPDATES
from fastml.program.executors import EXECUTORS
from fastml.program.program import assembled, disassembled

COMPLEX, CENTRAL = 1e-12, 1e-6  # of the largest gradient
ROWS = 9

STACKS = {
    "dense": lambda f: [Dense(5, f), Dense(4, f)],
    "dropout": lambda f: [Dense(8, f), Dropout(0.4), Dense(6, f), Dropout(0.2)],
    "dropout of the data": lambda f: [Dropout(0.3), Dense(5, f)],
    "batch normalization": lambda f: [Dense(5), BatchNormalization(), Activation(f), Dense(4, f)],
    "batch normalization behind": lambda f: [Dense(5, f), BatchNormalization(), Dense(4, f), BatchNormalization()],
    "batch normalization of the data": lambda f: [BatchNormalization(), Dense(5, f), Dropout(0.2)],
    "normalization": lambda f: [Normalization(), Dense(5, f)],
    "embedding": lambda f: [
        Embedding({0: 3, 2: 20}, {0: 2, 2: 3}, embeddings_regularizer=L1L2(0.02, 0.03)),
        Dense(5, f),
    ],
    "embedding alone": lambda f: [Embedding({0: 2, 1: 3, 2: 4, 3: 5}, 2), Activation(f), BatchNormalization()],
    "periodic embedding": lambda f: [PeriodicEmbedding([2, 0], 5, 3, kernel_regularizer=L1L2(0.02, 0.03)), Dense(5, f)],
    "periodic embedding behind": lambda f: [
        Dense(5, f),
        PeriodicEmbedding([0, 1, 4], 3, 2, 0.2, keep=False),
        Dense(5, f),
    ],
    "periodic embedding, cut off": lambda f: [Dense(3, f), PeriodicEmbedding(None, 3, 2, 0.2, relu=True), Dense(5, f)],
    "penalties": lambda f: [Dense(5, f, kernel_regularizer=L1L2(0.02, 0.03), bias_regularizer=L1L2(0.01, 0.02))],
}


def options(loss):
    """The loss with its options as they are by default, and otherwise."""
    changed = {name: {"label_smoothing": 0.2, "delta": 0.4}[name] for name in LOSSES[loss]().constants()}
    return [LOSSES[loss](), *([LOSSES[loss](**changed)] if changed else [])]


def checked(layers, loss, weighted=False, executor="compiled", units=3, **arguments):
    """The gradient check of a model with start values by chance, biases included."""
    name = next(name for name, kind in LOSSES.items() if type(loss) is kind)
    x, y = make_data(name, rows=ROWS, d_in=4, units=units)
    x, rng = coded(x, layers), np.random.default_rng(11)
    model = Sequential([*layers, Dense(units, loss.link)], seed=3, input_dim=4, dtype="float64")
    model.compile("sgd", loss, executor=executor)
    start = [w + 0.2 * rng.normal(size=w.shape) * (w.ndim == 1) * (w.std() == 0) for w in model.get_weights()]
    model.set_weights([np.abs(w) for w in start] if isinstance(layers[0], Normalization) else start)
    weights = rng.uniform(0.2, 3, ROWS) if weighted else None
    return gradient_check(model, x, y, weights, verbose=False, **arguments)


def assert_right(check, kinks=False):
    """At a kink, of the slope or of its slope, a difference quotient errs by its step times the curvature."""
    assert check.complex_error <= COMPLEX, check
    assert check.central_error <= (1e-4 if kinks else CENTRAL), check
    assert check.gradient == pytest.approx(check.complex_step, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [loss for name in LOSSES for loss in options(name)], ids=repr)
@pytest.mark.parametrize("stack", STACKS)
def test_every_layer_and_loss(stack, loss, weighted):
    assert_right(checked(STACKS[stack]("tanh"), loss, weighted))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "exponential"])
@pytest.mark.parametrize("stack", STACKS)
def test_every_layer_and_activation(stack, activation, executor):
    """But an exponential of exponentials, whose size hides all other gradients; the output of poisson is one."""
    assert_right(checked(STACKS[stack](activation), LOSSES["mean_squared_error"](), executor=executor), kinks=True)


@pytest.mark.parametrize("units", [1, 5])
@pytest.mark.parametrize("loss", [loss for name in LOSSES for loss in options(name)], ids=repr)
def test_one_output_and_several(loss, units):
    if units > 1 or loss.link != "softmax":
        assert_right(checked([Dense(5, "gelu")], loss, weighted=True, units=units))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "selu"])
def test_at_a_kink(activation):
    """Biases of 0 and a row of zeros put every neuron of the first layer exactly there."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    model = Sequential([Dense(8, activation), Dense(1, "sigmoid")], seed=1)
    model.compile("adam", "binary_crossentropy")
    assert_right(gradient_check(model, x, [0, 1, 1, 0], verbose=False), kinks=True)


@pytest.mark.parametrize("regularizer", ["l1", "l1_l2"])
@pytest.mark.parametrize("start", ["zeros", "glorot_uniform"])
def test_at_the_kinks_of_a_penalty_and_of_the_absolute_error(start, regularizer):
    x, _ = make_data("mean_absolute_error", rows=ROWS)
    layer = Dense(2, "linear", start, "zeros", regularizer, regularizer)
    model = Sequential([layer], seed=1)
    model.compile("sgd", "mean_absolute_error")
    y = x @ model.gradients(x, np.zeros((ROWS, 2)))[1][0]
    y[::2] = 0  # which a model of zeros meets
    assert_right(gradient_check(model, x, y, verbose=False), kinks=True)


def without_instruction(instructions):
    return assembled([s for s in disassembled(instructions) if s["op"] != "softmax_backward"])


def without_slopes_in_products(instructions):
    return assembled(
        [s | ({"function": None} if s["op"] == "dense_backward_inputs" else {}) for s in disassembled(instructions)]
    )


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("activation, spoil", [("softmax", without_instruction), ("tanh", without_slopes_in_products)])
def test_a_wrong_gradient_is_found(activation, spoil, executor, monkeypatch):
    """Where a program lacks a derivative of the way back, some gradient is wrong, and the check says so."""
    monkeypatch.setattr("fastml.training.serving.SHORT", -1)  # all go the way of long calls, which is spoilt below
    stack = STACKS["batch normalization"]
    right = checked(stack(activation), LOSSES["mean_squared_error"](), executor=executor)
    run = EXECUTORS[executor]
    monkeypatch.setitem(EXECUTORS, executor, lambda instructions, *arguments: run(spoil(instructions), *arguments))
    wrong = checked(stack(activation), LOSSES["mean_squared_error"](), executor=executor)
    assert right.complex_error <= COMPLEX < 1e-3 < min(wrong.complex_error, wrong.central_error)
    assert wrong.gradient != pytest.approx(wrong.complex_step, rel=1e-3)
    assert wrong.central == pytest.approx(wrong.complex_step, rel=1e-6)


def test_it_prints_the_worst_weight(capsys):
    x, y = make_data("mean_squared_error", rows=ROWS)
    model = Sequential([Dense(4, "tanh"), Dense(3)], seed=0)
    model.compile()
    check = gradient_check(model, x, y)
    shown = capsys.readouterr().out
    assert isinstance(check, GradientCheck)
    assert check.name in ("0.W", "0.b", "1.W", "1.b")
    assert f"{check.checked} weights; the worst is {check.name}{list(check.index)}" in shown
    assert f"{check.gradient: .15e}" in shown and f"{check.complex_step: .15e}" in shown
    gradient_check(model, x, y, verbose=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_changes_nothing_and_checks_in_float64(dtype):
    x, y = make_data("mean_squared_error", rows=ROWS)
    model = Sequential([Dense(4, "tanh"), BatchNormalization(), Dropout(0.2), Dense(3)], seed=0, dtype=dtype)
    model.compile("adam")
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    assert_right(gradient_check(model, x, y, verbose=False))
    assert same_bits(model.get_weights(), before)
    twin = Sequential([Dense(4, "tanh"), BatchNormalization(), Dropout(0.2), Dense(3)], seed=0, dtype=dtype)
    twin.compile("adam")
    twin.fit(x, y, verbose=0)
    for m in (model, twin):
        m.fit(x, y, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_most_limits_the_weights_of_each_array():
    x, y = make_data("mean_squared_error", rows=ROWS)
    model = Sequential([Dense(40, "tanh"), Dense(3)], seed=0)
    model.compile()
    assert gradient_check(model, x, y, most=1000, verbose=False).checked == 5 * 40 + 40 + 40 * 3 + 3
    assert gradient_check(model, x, y, most=7, verbose=False).checked == 7 + 7 + 7 + 3


def test_statistics_are_not_checked():
    """They have no gradient."""
    x, y = make_data("mean_squared_error", rows=ROWS)
    model = Sequential([BatchNormalization(), Dense(3)], seed=0)
    model.compile()
    assert gradient_check(model, x, y, verbose=False).checked == 5 + 5 + 15 + 3


@pytest.mark.parametrize(
    "error, message, make",
    [
        (TypeError, "model must be a Sequential", lambda x, y: gradient_check("model", x, y)),
        (RuntimeError, "call compile", lambda x, y: gradient_check(Sequential([Dense(3)]), x, y)),
        (ValueError, "most must be from 1", lambda x, y: gradient_check(Sequential([Dense(3)]), x, y, most=0)),
    ],
)
def test_mistakes(error, message, make):
    with pytest.raises(error, match=message):
        make(*make_data("mean_squared_error", rows=ROWS))


def test_normalization_must_be_fitted():
    x, y = make_data("mean_squared_error", rows=ROWS)
    model = Sequential([Normalization(), Dense(3)], seed=0)
    model.compile()
    with pytest.raises(RuntimeError, match="fit first"):
        gradient_check(model, x, y)


def test_the_executors_know_every_update():
    """One formula in NumPy for each operation of an update."""
    assert set(UPDATES) == {name for name in OPERATIONS if name.endswith("_update")} - {"begin_update"}
