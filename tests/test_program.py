"""Lowering: the tables of instructions that a model becomes."""

import numpy as np
import pytest

from fastml import ACTIVATIONS, LOSSES, METRICS, OPTIMIZERS, Activation, Dense
from fastml.compiled import DTYPES
from fastml.kernels import instruction as op
from fastml.lowering import lower
from fastml.program import Buffers, aligned_zeros

OPERANDS = ("x", "z", "a", "y", "dx", "dz", "da", "Wt")


def lowered(layers, loss="mean_squared_error", optimizer="sgd", d_in=5, batch=16, dtype="float32", metrics=()):
    metrics = [METRICS[name] for name in metrics]
    return lower(layers, d_in, batch, dtype, LOSSES[loss](), metrics, OPTIMIZERS[optimizer]())


def ops(table):
    return table["op"].tolist()


def test_the_tables_of_a_small_net():
    program = lowered([Dense(4, "relu"), Dense(3)], metrics=["mean_absolute_error"])
    forward = [op.GATHER_INPUTS, op.DENSE_FORWARD, op.ACTIVATION_FORWARD, op.DENSE_FORWARD]
    loss, scores = [op.GATHER_TARGETS, op.LOSS_FORWARD, op.SUM_LOSS], [op.METRIC]
    first, last = [op.DENSE_BACKWARD_WEIGHTS], [op.DENSE_BACKWARD_WEIGHTS, op.DENSE_BACKWARD_INPUTS]
    backward = [op.LOSS_BACKWARD, *last, op.ACTIVATION_BACKWARD, *first]
    clipping, others = [op.NOTHING, op.NOTHING], [op.NOTHING]  # the second update is for what does not decay
    update = [*clipping, op.BEGIN_UPDATE, op.SGD_UPDATE, *others]
    assert ops(program.training) == forward + loss + [op.STOP_UNLESS_FINITE] + scores + backward + update
    assert ops(program.gradient) == forward + loss + backward
    assert ops(program.evaluation) == forward + loss + scores
    assert ops(program.prediction) == forward + [op.STORE_OUTPUTS]


@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name].link != "linear"])
def test_the_losss_own_activation_is_fused(loss):
    """The loss applies it, and knows its derivative; a prediction has nobody else to do it."""
    program = lowered([Dense(3, LOSSES[loss].link)], loss)
    for table in (program.training, program.gradient, program.evaluation):
        assert op.ACTIVATION_FORWARD not in ops(table) and op.ACTIVATION_BACKWARD not in ops(table)
    assert ops(program.prediction).count(op.ACTIVATION_FORWARD) == 1
    separate = lowered([Dense(3), Activation(LOSSES[loss].link)], loss)
    for table, other in zip(program[:4], separate[:4], strict=True):
        assert np.array_equal(table, other)


def test_only_the_last_activation_is_fused():
    program = lowered([Dense(4, "sigmoid"), Dense(3, "sigmoid")], "binary_crossentropy")
    assert ops(program.training).count(op.ACTIVATION_FORWARD) == 1
    assert ops(program.training).count(op.ACTIVATION_BACKWARD) == 1


def test_nobody_asks_for_the_gradient_of_the_data():
    for layers in ([Dense(3)], [Activation("tanh"), Activation("relu"), Dense(3)]):
        program = lowered(layers)
        assert op.DENSE_BACKWARD_INPUTS not in ops(program.training)
        assert op.ACTIVATION_BACKWARD not in ops(program.training)
    deep = lowered([Dense(4), Dense(4), Dense(4)])
    assert ops(deep.training).count(op.DENSE_BACKWARD_INPUTS) == 2
    assert ops(deep.training).count(op.DENSE_BACKWARD_WEIGHTS) == 3


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "linear"])
def test_each_activation_has_its_code(name):
    table = lowered([Dense(4, name), Dense(3)]).training
    for operation in (op.ACTIVATION_FORWARD, op.ACTIVATION_BACKWARD):
        assert table[table["op"] == operation]["kind"].tolist() == [ACTIVATIONS[name].code]


def test_a_linear_activation_is_no_instruction():
    plain, linear = lowered([Dense(4), Dense(3)]), lowered([Dense(4, "linear"), Activation("linear"), Dense(3)])
    assert ops(plain.training) == ops(linear.training)


@pytest.mark.parametrize("registry", [ACTIVATIONS, LOSSES, METRICS])
def test_codes_are_unique(registry):
    codes = [entry.code for entry in registry.values()]
    assert len(set(codes)) == len(codes)


def test_operations_are_unique():
    codes = [value for name, value in vars(op).items() if name.isupper() and isinstance(value, int)]
    assert len(set(codes)) == len(codes) >= 13


@pytest.mark.parametrize("dtype", DTYPES)
def test_everything_starts_at_a_multiple_of_64_bytes(dtype):
    program = lowered([Dense(3, "tanh"), Dense(7, "relu"), Dense(1)], optimizer="adam", dtype=dtype, batch=3)
    size = np.dtype(dtype).itemsize
    assert all(parameter.offset * size % 64 == 0 for parameter in program.parameters)
    assert program.params_size * size % 64 == 0 and program.work_size * size % 64 == 0
    for field in OPERANDS:
        assert (program.training[field] * size % 64 == 0).all()
    for buffer in Buffers.for_program(program, dtype):
        assert buffer.ctypes.data % 64 == 0 and not buffer.any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 1000])
def test_aligned_zeros(size, dtype):
    zeros = aligned_zeros(size, dtype)
    assert zeros.shape == (size,) and zeros.dtype == dtype and not zeros.any()
    assert size == 0 or zeros.ctypes.data % 64 == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_parameters_do_not_overlap(dtype):
    program = lowered([Dense(3, "tanh"), Dense(7, "relu"), Dense(2)], dtype=dtype)
    shapes = [(5, 3), (3,), (3, 7), (7,), (7, 2), (2,)]
    assert [p.shape for p in program.parameters] == shapes
    assert [p.layer for p in program.parameters] == [0, 0, 1, 1, 2, 2]
    buffer = np.zeros(program.params_size)
    for parameter in program.parameters:
        view = parameter.view(buffer)
        assert view.shape == parameter.shape
        view += 1
    assert buffer.max() == 1 and buffer.sum() == sum(np.prod(shape) for shape in shapes)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_sizes(optimizer):
    program = lowered([Dense(4, "relu"), Dense(3)], optimizer=optimizer)
    assert (program.batch, program.d_out) == (16, 3)
    wanted = OPTIMIZERS[optimizer]()
    assert program.state_size == len(wanted.start) * program.params_size
    assert sum(program.groups.values()) == program.params_size
    assert ops(program.training).count(wanted.op) == (2 if wanted.constants().get("weight_decay") else 1)
    trained = 0
    for update in program.training[program.training["op"] == wanted.op]:
        assert update["W"] == trained
        trained += update["size"]
        for name, value in wanted.constants().items():
            if name in op.CONSTANTS:
                assert update[name] == (0 if name == "weight_decay" and update["W"] else value)
    assert trained == program.groups["weight"] + program.groups["bias"]
    assert program.flops == 6 * sum(p.size for p in program.parameters if p.role == "weight") == 6 * (5 * 4 + 4 * 3)


def test_the_place_of_parameters_does_not_depend_on_the_batch():
    layers = [Dense(4, "relu"), Dense(3)]
    small, large = lowered(layers, batch=1), lowered(layers, batch=999)
    assert small.parameters == large.parameters
    assert small.work_size < large.work_size


def test_labels_are_one_column_wide():
    program = lowered([Dense(3)], "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    table = program.training
    for operation in (op.LOSS_FORWARD, op.METRIC, op.LOSS_BACKWARD):
        assert table[table["op"] == operation]["d_y"] == 1


def test_each_metric_has_a_column_of_the_totals():
    table = lowered([Dense(3)], metrics=["mean_squared_error", "mean_absolute_error"]).training
    assert table[table["op"] == op.LOSS_FORWARD]["total"].tolist() == [0]
    assert table[table["op"] == op.METRIC]["total"].tolist() == [1, 2]


def test_without_a_loss_only_prediction_has_a_table():
    program = lower([Dense(4, "relu"), Dense(3)], 5, 16, "float32")
    assert program.training.size == program.gradient.size == program.evaluation.size == program.state_size == 0
    assert ops(program.prediction)[-1] == op.STORE_OUTPUTS


def test_no_weights_to_train():
    with pytest.raises(ValueError, match="no weights to train"):
        lowered([Activation("relu")])
