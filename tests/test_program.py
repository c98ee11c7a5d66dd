"""Lowering: the tables of instructions that a model becomes."""

import numpy as np
import pytest

from fastml import ACTIVATIONS, LOSSES, METRICS, OPTIMIZERS, SET_METRICS, Activation, BatchNormalization, Dense, Dropout
from fastml.compiled import DTYPES
from fastml.kernels import instruction as op
from fastml.kernels.activations import EPILOGUES, SIGMOID
from fastml.kernels.tiling import ROOM
from fastml.lowering import lower
from fastml.plan import WHOLE, Plan
from fastml.program import Buffers, aligned_zeros

TABLES = ("training", "gradient", "value", "evaluation", "prediction")
FUSED = [name for name, entry in ACTIVATIONS.items() if entry.code in EPILOGUES]  # applied by the matrix products


def lowered(
    layers, loss="mean_squared_error", optimizer="sgd", d_in=5, batch=16, dtype="float32", metrics=(), **arguments
):
    metrics = [METRICS[name] for name in metrics]
    return lower(layers, d_in, batch, dtype, LOSSES[loss](), metrics, OPTIMIZERS[optimizer](), **arguments)


def ops(table):
    return table["op"].tolist()


FORWARD = [op.GATHER_INPUTS, op.DENSE_FORWARD, op.ACTIVATION_FORWARD, op.DENSE_FORWARD]
LOSS, SCORE, TOTAL, SCORES = [op.GATHER_TARGETS, op.LOSS_FORWARD], [op.METRIC], [op.SUM_LOSS], [op.SUM_SCORES]
INPUTS = [op.DENSE_BACKWARD_INPUTS, op.ACTIVATION_BACKWARD]  # the gradient of the last layer's inputs
CLIPPING, OTHERS = [op.NOTHING] * 4, [op.NOTHING]  # the second update is for what does not decay
UPDATE = [*CLIPPING, op.BEGIN_UPDATE, op.SGD_UPDATE, *OTHERS, op.MEET]


def test_the_tables_of_a_small_net():
    """Rows first, then sums over them, each when all threads have met: of losses and scores, of gradients."""
    program = lowered([Dense(4, "gelu"), Dense(3)], metrics=["mean_absolute_error"])
    backward, sums = [op.LOSS_BACKWARD, *INPUTS], [op.DENSE_BACKWARD_WEIGHTS] * 2
    step = [*FORWARD, *LOSS, *SCORE, *backward, op.MEET, *TOTAL, *SCORES, *sums, op.MEET, op.STOP_UNLESS_FINITE]
    assert ops(program.training) == step + UPDATE and program.updates == len(step)
    assert ops(program.gradient) == [*FORWARD, *LOSS, *backward, op.MEET, *TOTAL, *sums, op.MEET]
    assert ops(program.value) == [*FORWARD, *LOSS, op.MEET, *TOTAL]
    assert ops(program.evaluation) == [*FORWARD, *LOSS, *SCORE, op.MEET, *TOTAL, *SCORES, op.MEET]
    assert ops(program.prediction) == [*FORWARD, op.STORE_OUTPUTS, op.MEET]


def test_the_tables_of_a_batch_in_blocks():
    """Gradients are summed up block by block, in shards; evaluation and prediction go in small batches instead."""
    metrics, plan = ["mean_absolute_error"], Plan(16, 2, 2)
    program = lowered([Dense(4, "gelu"), Dense(3)], batch=48, metrics=metrics, height=32, plan=plan)
    backward = [op.LOSS_BACKWARD, op.DENSE_BACKWARD_WEIGHTS, *INPUTS, op.DENSE_BACKWARD_WEIGHTS, op.NEXT_BLOCK]
    shards = [op.SUM_SHARDS, op.MEET]
    rows = [*FORWARD, *LOSS, *SCORE, *backward, op.MEET]
    step = [*rows, *TOTAL, *SCORES, op.MEET, op.STOP_UNLESS_FINITE, *shards]
    assert ops(program.training) == step + UPDATE and program.updates == len(step)
    assert ops(program.gradient) == [*FORWARD, *LOSS, *backward, op.MEET, *TOTAL, op.MEET, *shards]
    assert ops(program.value) == [*FORWARD, *LOSS, op.NEXT_BLOCK, op.MEET, *TOTAL]
    whole = lowered([Dense(4, "gelu"), Dense(3)], batch=48, metrics=metrics)
    assert ops(program.evaluation) == ops(whole.evaluation) and ops(program.prediction) == ops(whole.prediction)
    assert (program.batch, program.height, program.plan) == (48, 32, plan)
    assert (whole.batch, whole.height, whole.plan) == (48, 48, WHOLE)
    for which, shards in ((program, 2), (whole, 1)):
        assert Buffers.for_program(which, "float32").grads.size == shards * which.params_size


def test_penalties_and_statistics_have_their_places():
    layers = [Dense(4, kernel_regularizer="l2"), BatchNormalization(), Dense(3, bias_regularizer="l1")]
    program = lowered(layers)
    training = ops(program.training)[: program.updates]
    assert training[-4:] == [op.PENALTY_BACKWARD, op.PENALTY_BACKWARD, op.MEET, op.BATCHNORM_TRACK]
    assert training.count(op.PENALTY_FORWARD) == 2 and training.count(op.BATCHNORM_TRACK) == 1
    assert ops(program.gradient) == [
        code for code in training if code not in (op.STOP_UNLESS_FINITE, op.BATCHNORM_TRACK)
    ]
    inference = ops(program.evaluation)
    assert inference.count(op.BATCHNORM_INFERENCE) == 1 and op.BATCHNORM_FORWARD not in inference


@pytest.mark.parametrize("direction", ["BATCHNORM_FORWARD", "BATCHNORM_BACKWARD"])
def test_threads_meet_around_what_couples_rows(direction):
    """It reads what others have written, and others read what it writes."""
    codes = ops(lowered([Dense(4), BatchNormalization(), Dense(3)]).training)
    place = codes.index(getattr(op, direction))
    assert codes[place - 1] == codes[place + 1] == op.MEET


def fused(table, operation):
    """The kinds of activation that products of a table apply."""
    return table[table["op"] == operation]["kind"].tolist()


@pytest.mark.parametrize("name", FUSED)
def test_an_activation_that_the_product_applies(name):
    """Behind a dense layer, whether it is an argument or a layer of its own; its derivative, too."""
    code = ACTIVATIONS[name].code
    for layers in ([Dense(4, name), Dense(3)], [Dense(4), Activation(name), Dense(3)]):
        program = lowered(layers)
        for table in (program.training, program.gradient, program.value, program.evaluation, program.prediction):
            assert op.ACTIVATION_FORWARD not in ops(table) and op.ACTIVATION_BACKWARD not in ops(table)
            assert fused(table, op.DENSE_FORWARD) == [code, 0]
        for table in (program.training, program.gradient):
            (product,) = table[table["op"] == op.DENSE_BACKWARD_INPUTS]
            (first, _) = table[table["op"] == op.DENSE_FORWARD]
            assert product["kind"] == code and product["a"] == first["z"]


@pytest.mark.parametrize("first", FUSED)
@pytest.mark.parametrize("second", FUSED)
def test_a_product_applies_one_activation(first, second):
    """Another one behind it is an instruction, in every table, and there and back."""
    codes = [ACTIVATIONS[name].code for name in (first, second)]
    program = lowered([Dense(4, first), Activation(second), Dense(3)])
    for table in (program.training, program.evaluation, program.prediction):
        assert fused(table, op.DENSE_FORWARD) == [codes[0], 0] and fused(table, op.ACTIVATION_FORWARD) == [codes[1]]
    assert fused(program.training, op.DENSE_BACKWARD_INPUTS) == [codes[1]]
    assert fused(program.training, op.ACTIVATION_BACKWARD) == [codes[0]]


@pytest.mark.parametrize("between", [BatchNormalization, lambda: Dropout(0.5)])
def test_an_activation_behind_another_layer_is_an_instruction(between):
    """Its derivative is applied by the next layer's product nevertheless."""
    program = lowered([Dense(4), between(), Activation("relu"), Dense(3)])
    assert fused(program.training, op.DENSE_FORWARD) == [0, 0]
    assert ops(program.training).count(op.ACTIVATION_FORWARD) == 1
    assert fused(program.training, op.DENSE_BACKWARD_INPUTS) == [ACTIVATIONS["relu"].code]
    behind = lowered([Dense(4, "relu"), between(), Dense(3)])
    assert fused(behind.training, op.DENSE_FORWARD) == [ACTIVATIONS["relu"].code, 0]
    assert fused(behind.training, op.DENSE_BACKWARD_INPUTS) == [0]
    assert ops(behind.training).count(op.ACTIVATION_BACKWARD) == 1


@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name].link != "linear"])
def test_the_losss_own_activation_is_fused(loss):
    """The loss applies it, and knows its derivative; a prediction has nobody else to do it."""
    program = lowered([Dense(3, LOSSES[loss].link)], loss)
    for table in (program.training, program.gradient, program.value, program.evaluation):
        assert op.ACTIVATION_FORWARD not in ops(table) and op.ACTIVATION_BACKWARD not in ops(table)
        assert not any(fused(table, op.DENSE_FORWARD))
    assert ops(program.prediction).count(op.ACTIVATION_FORWARD) == 1
    separate = lowered([Dense(3), Activation(LOSSES[loss].link)], loss)
    for name in TABLES:
        assert np.array_equal(getattr(program, name), getattr(separate, name))


def test_only_the_last_activation_is_fused():
    program = lowered([Dense(4, "sigmoid"), Dense(3, "sigmoid")], "binary_crossentropy")
    assert fused(program.training, op.DENSE_FORWARD) == [SIGMOID, 0]
    assert fused(program.training, op.DENSE_BACKWARD_INPUTS) == [SIGMOID]


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
    code, own = ACTIVATIONS[name].code, name not in FUSED
    table = lowered([Dense(4, name), Dense(3)]).training
    for operation in (op.ACTIVATION_FORWARD, op.ACTIVATION_BACKWARD):
        assert table[table["op"] == operation]["kind"].tolist() == [code] * own
    assert table[table["op"] == op.DENSE_FORWARD]["kind"].tolist() == [0 if own else code, 0]
    assert table[table["op"] == op.DENSE_BACKWARD_INPUTS]["kind"].tolist() == [0 if own else code]


def test_a_linear_activation_is_no_instruction():
    plain, linear = lowered([Dense(4), Dense(3)]), lowered([Dense(4, "linear"), Activation("linear"), Dense(3)])
    assert ops(plain.training) == ops(linear.training)


@pytest.mark.parametrize("registry", [ACTIVATIONS, LOSSES])
def test_codes_are_unique(registry):
    codes = [entry.code for entry in registry.values()]
    assert len(set(codes)) == len(codes)


def test_metrics_of_one_code_have_the_same_scores():
    """They differ in what becomes of the mean."""
    scores = {(entry.code, entry.score) for entry in METRICS.values()}
    assert len(scores) == len({code for code, _ in scores}) == len({score for _, score in scores})


def test_metrics_of_a_whole_set_store_the_predictions_of_an_evaluation():
    layers, loss, optimizer = [Dense(3)], LOSSES["binary_crossentropy"](), OPTIMIZERS["sgd"]()
    rows, of_set = METRICS["binary_accuracy"], SET_METRICS["auc"]
    one, both = (lower(layers, 5, 16, "float32", loss, metrics, optimizer) for metrics in ([rows], [of_set, rows]))
    for name in ("training", "gradient", "value", "prediction"):
        assert getattr(one, name).tobytes() == getattr(both, name).tobytes()
    scores = [*SCORE, op.STORE_OUTPUTS, op.MEET, *TOTAL, *SCORES, op.MEET]
    assert ops(both.evaluation) == [op.GATHER_INPUTS, op.DENSE_FORWARD, *LOSS, *scores]
    (stored,) = both.evaluation[both.evaluation["op"] == op.STORE_OUTPUTS]
    (compared,) = both.evaluation[both.evaluation["op"] == op.METRIC]
    assert stored["a"] == compared["a"], "probabilities, not the logits that predict gives"


def test_operations_are_unique():
    codes = [value for name, value in vars(op).items() if name.isupper() and isinstance(value, int)]
    assert len(set(codes)) == len(codes) >= 13


@pytest.mark.parametrize("dtype", DTYPES)
def test_everything_starts_at_a_multiple_of_64_bytes(dtype):
    layers = [Dense(3, "tanh"), BatchNormalization(), Dropout(0.5), Dense(7, "gelu"), Dense(1)]
    arguments = {"metrics": ["mean_absolute_error"], "weighted": True, "plan": Plan(threads=3)}
    program = lowered(layers, optimizer="adam", dtype=dtype, batch=3, **arguments)
    size = np.dtype(dtype).itemsize
    assert all(parameter.offset * size % 64 == 0 for parameter in program.parameters)
    assert program.params_size * size % 64 == 0 and program.work_size * size % 64 == 0
    for field in op.IN_PARAMETERS + op.IN_WORKSPACE:
        for name in TABLES:
            assert (getattr(program, name)[field] * size % 64 == 0).all()
    assert ROOM * size % 64 == 0  # those of the threads stand side by side
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


def test_every_thread_has_room_for_copies():
    """Behind each other, before all that rows need."""
    one, three = (lowered([Dense(4), Dense(3)], plan=Plan(threads=threads)) for threads in (1, 3))
    assert three.work_size == one.work_size + 2 * ROOM
    assert three.row_size == one.row_size and three.parameters == one.parameters
    for program, threads in ((one, 1), (three, 3)):
        products = (op.DENSE_FORWARD, op.DENSE_BACKWARD_WEIGHTS, op.DENSE_BACKWARD_INPUTS)
        for instruction in program.training[np.isin(program.training["op"], products)]:
            for place in ("x", "z", "dz", "dx"):
                where = instruction[place]
                assert where == 0 or not instruction["room"] <= where < instruction["room"] + threads * ROOM


def test_the_room_for_rows_is_that_of_the_height():
    small = lowered([Dense(4), Dense(3)], batch=4096, height=64)
    large = lowered([Dense(4), Dense(3)], batch=4096)
    assert small.row_size == large.row_size
    assert large.work_size - small.work_size == pytest.approx((4096 - 64) * small.row_size, rel=0.01)


def test_labels_are_one_column_wide():
    program = lowered([Dense(3)], "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    table = program.training
    for operation in (op.LOSS_FORWARD, op.METRIC, op.LOSS_BACKWARD):
        assert table[table["op"] == operation]["d_y"] == 1


def test_each_metric_has_a_column_of_the_totals():
    table = lowered([Dense(3)], metrics=["mean_squared_error", "mean_absolute_error"]).training
    assert table[table["op"] == op.SUM_LOSS]["total"].tolist() == [0]
    assert table[table["op"] == op.SUM_SCORES]["total"].tolist() == [1, 2]
    scored = table[table["op"] == op.METRIC]["losses"].tolist()
    assert table[table["op"] == op.SUM_SCORES]["losses"].tolist() == scored and len(set(scored)) == 2
    assert table[table["op"] == op.SUM_LOSS]["losses"] not in scored


def test_without_a_loss_only_prediction_has_a_table():
    program = lower([Dense(4, "relu"), Dense(3)], 5, 16, "float32")
    for name in TABLES[:-1]:
        assert getattr(program, name).size == 0
    assert program.state_size == 0
    assert ops(program.prediction)[-2:] == [op.STORE_OUTPUTS, op.MEET]


def test_no_weights_to_train():
    with pytest.raises(ValueError, match="no weights to train"):
        lowered([Activation("relu")])
