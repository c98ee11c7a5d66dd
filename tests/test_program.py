"""Lowering: the instructions that a model becomes."""

import subprocess
import sys

import numpy as np
import pytest

from fastml import (
    ACTIVATIONS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    SET_METRICS,
    Activation,
    Adam,
    BatchNormalization,
    Dense,
    Dropout,
    Sequential,
)
from fastml.kernels.elementwise import FUNCTIONS
from fastml.kernels.operation import instruction
from fastml.kernels.operations import OPERATIONS
from fastml.kernels.tiling import SCRATCH
from fastml.optimizers import SGD
from fastml.program import linking
from fastml.program.compiled import DTYPES
from fastml.program.lowering import lower
from fastml.program.memory import aligned_zeros
from fastml.program.plan import WHOLE, Plan
from fastml.program.program import Buffers, assembled, disassembled, update_instructions

PARTS = ("training", "gradient", "value", "evaluation", "prediction")
FUSED = [name for name in ACTIVATIONS if name not in ("linear", "softmax")]  # applied by the matrix products


def lowered(
    layers, loss="mean_squared_error", optimizer="sgd", d_in=5, batch=16, dtype="float32", metrics=(), **arguments
):
    metrics = [METRICS[name] for name in metrics]
    return lower(layers, d_in, batch, dtype, LOSSES[loss](), metrics, OPTIMIZERS[optimizer](), **arguments)


def ops(instructions):
    return [s["op"] for s in disassembled(instructions)]


def of(instructions, op):
    """The instructions of an operation."""
    return [s for s in disassembled(instructions) if s["op"] == op]


FORWARD = ["gather", "dense_forward", "dense_forward"]
LOSS, SCORE = ["gather", "mean_squared_error_forward"], ["mean_absolute_error"]
TOTAL, SCORES = ["add_loss"], ["add_score"]
WEIGHTS, INPUTS = "dense_backward_weights", "dense_backward_inputs"  # the gradients of a layer
CLIPPING, OTHERS = [None] * 6, [None]  # the second update is for what does not decay
UPDATE = [*CLIPPING, "begin_update", "sgd_update", *OTHERS, "barrier"]


def test_the_instructions_of_a_small_net():
    """Rows first, then sums over them, each when all threads have met: of losses and scores, of gradients."""
    program = lowered([Dense(4, "gelu"), Dense(3)], metrics=["mean_absolute_error"])
    backward, sums = ["mean_squared_error_backward", INPUTS], [WEIGHTS] * 2
    step = [*FORWARD, *LOSS, *SCORE, *backward, "barrier", *TOTAL, *SCORES, *sums, "barrier", "stop_unless_finite"]
    assert ops(program.training) == step + UPDATE and program.updates == len(step)
    assert ops(program.gradient) == [*FORWARD, *LOSS, *backward, "barrier", *TOTAL, *sums, "barrier"]
    assert ops(program.value) == [*FORWARD, *LOSS, "barrier", *TOTAL]
    assert ops(program.evaluation) == [*FORWARD, *LOSS, *SCORE, "barrier", *TOTAL, *SCORES, "barrier"]
    assert ops(program.prediction) == [*FORWARD, "store_outputs", "barrier"]


def test_the_instructions_of_a_batch_in_blocks():
    """Gradients are summed up block by block, in shards; evaluation and prediction go in small batches instead."""
    metrics, plan = ["mean_absolute_error"], Plan(16, 2, 2)
    program = lowered([Dense(4, "gelu"), Dense(3)], batch=48, metrics=metrics, height=32, plan=plan)
    backward = ["mean_squared_error_backward", WEIGHTS, INPUTS, WEIGHTS, "next_block"]
    shards = ["add_shards", "barrier"]
    forward = ["begin_block", *FORWARD]
    rows = [*forward, *LOSS, *SCORE, *backward, "barrier"]
    step = [*rows, *TOTAL, *SCORES, "barrier", "stop_unless_finite", *shards]
    assert ops(program.training) == step + UPDATE and program.updates == len(step)
    assert ops(program.gradient) == [*forward, *LOSS, *backward, "barrier", *TOTAL, "barrier", *shards]
    assert ops(program.value) == [*forward, *LOSS, "next_block", "barrier", *TOTAL]
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
    assert training[-4:] == ["penalty_backward", "penalty_backward", "barrier", "batchnorm_track"]
    assert training.count("add_penalty") == 2 and training.count("batchnorm_track") == 1
    assert ops(program.gradient) == [code for code in training if code not in ("stop_unless_finite", "batchnorm_track")]
    inference = ops(program.evaluation)
    assert inference.count("batchnorm_inference") == 1 and "batchnorm_forward" not in inference


@pytest.mark.parametrize("op", ["batchnorm_forward", "batchnorm_backward"])
def test_threads_meet_around_what_couples_rows(op):
    """It reads what others have written, and others read what it writes."""
    names = ops(lowered([Dense(4), BatchNormalization(), Dense(3)]).training)
    place = names.index(op)
    assert names[place - 1] == names[place + 1] == "barrier"


def fused(instructions, op):
    """The elementwise functions that products or activations apply."""
    return [s.get("function") for s in of(instructions, op)]


@pytest.mark.parametrize("name", FUSED)
def test_an_activation_that_the_product_applies(name):
    """Behind a dense layer, whether it is an argument or a layer of its own; its derivative, too."""
    for layers in ([Dense(4, name), Dense(3)], [Dense(4), Activation(name), Dense(3)]):
        program = lowered(layers)
        for part in (program.training, program.gradient, program.value, program.evaluation, program.prediction):
            assert not {"activation_forward", "activation_backward"} & set(ops(part))
            assert fused(part, "dense_forward") == [name, None]
        for part in (program.training, program.gradient):
            (product,) = of(part, "dense_backward_inputs")
            first, _ = of(part, "dense_forward")
            assert product["function"] == f"{name}_slope"
            assert product["u"] == first["z" if ACTIVATIONS[name].keeps_z else "a"]
            assert (first["z"] != first["a"]) == ACTIVATIONS[name].keeps_z
        (first, _) = of(program.prediction, "dense_forward")
        assert first["z"] == first["a"], "nothing is kept for a way back"


@pytest.mark.parametrize("first", FUSED)
@pytest.mark.parametrize("second", FUSED)
def test_a_product_applies_one_activation(first, second):
    """Another one behind it is an instruction, in every part, and there and back."""
    program = lowered([Dense(4, first), Activation(second), Dense(3)])
    for part in (program.training, program.evaluation, program.prediction):
        assert fused(part, "dense_forward") == [first, None] and fused(part, "activation_forward") == [second]
    assert fused(program.training, "dense_backward_inputs") == [f"{second}_slope"]
    assert fused(program.training, "activation_backward") == [f"{first}_slope"]


@pytest.mark.parametrize("between", [BatchNormalization, lambda: Dropout(0.5)])
def test_an_activation_behind_another_layer_is_an_instruction(between):
    """Its derivative is applied by the next layer's product nevertheless."""
    program = lowered([Dense(4), between(), Activation("relu"), Dense(3)])
    assert fused(program.training, "dense_forward") == [None, None]
    assert fused(program.training, "activation_forward") == ["relu"]
    assert fused(program.training, "dense_backward_inputs") == ["relu_slope"]
    behind = lowered([Dense(4, "relu"), between(), Dense(3)])
    assert fused(behind.training, "dense_forward") == ["relu", None]
    assert fused(behind.training, "dense_backward_inputs") == [None]
    assert fused(behind.training, "activation_backward") == ["relu_slope"]


@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name].link != "linear"])
def test_the_losss_own_activation_is_fused(loss):
    """The loss applies it, and knows its derivative; a prediction has nobody else to do it."""
    link = LOSSES[loss].link
    program = lowered([Dense(3, link)], loss)
    for part in (program.training, program.gradient, program.value, program.evaluation):
        assert not [op for op in ops(part) if op and op.startswith(("activation", "softmax"))]
        assert not any(fused(part, "dense_forward"))
    applied = ops(program.prediction).count("softmax_forward")
    applied += fused(program.prediction, "activation_forward").count(link)
    assert applied == 1
    separate = lowered([Dense(3), Activation(link)], loss)
    for name in PARTS:
        assert np.array_equal(getattr(program, name), getattr(separate, name))


def test_only_the_last_activation_is_fused():
    program = lowered([Dense(4, "sigmoid"), Dense(3, "sigmoid")], "binary_crossentropy")
    assert fused(program.training, "dense_forward") == ["sigmoid", None]
    assert fused(program.training, "dense_backward_inputs") == ["sigmoid_slope"]


def test_nobody_asks_for_the_gradient_of_the_data():
    for layers in ([Dense(3)], [Activation("tanh"), Activation("relu"), Dense(3)]):
        program = lowered(layers)
        assert not {"dense_backward_inputs", "activation_backward"} & set(ops(program.training))
    deep = lowered([Dense(4), Dense(4), Dense(4)])
    assert ops(deep.training).count("dense_backward_inputs") == 2
    assert ops(deep.training).count("dense_backward_weights") == 3


def test_softmax_is_an_operation_of_its_own():
    names = ops(lowered([Dense(4, "softmax"), Dense(3)]).training)
    assert names.count("softmax_forward") == names.count("softmax_backward") == 1


def test_every_activation_is_an_elementwise_function_with_its_slope():
    assert set(FUNCTIONS) == {*FUSED, *(f"{name}_slope" for name in FUSED)}


def test_a_linear_activation_is_no_instruction():
    plain, linear = lowered([Dense(4), Dense(3)]), lowered([Dense(4, "linear"), Activation("linear"), Dense(3)])
    assert ops(plain.training) == ops(linear.training)


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_has_its_operations(name):
    assert LOSSES[name].operation == name and {f"{name}_forward", f"{name}_backward"} <= set(OPERATIONS)


def test_metrics_of_one_operation_have_the_same_scores():
    """They differ in what becomes of the mean."""
    scores = {(entry.operation, entry.score) for entry in METRICS.values()}
    assert len(scores) == len({name for name, _ in scores}) == len({score for _, score in scores})


def test_an_instruction_has_all_its_operands_and_no_others():
    sizes = {"d_out": 3}
    with pytest.raises(TypeError, match="the operation 'softmax_forward' lacks the operand 'a'"):
        instruction("softmax_forward", z=0, **sizes)
    with pytest.raises(TypeError, match="the operation 'softmax_forward' has no operand 'dz'"):
        instruction("softmax_forward", z=0, a=0, dz=0, **sizes)
    with pytest.raises(TypeError, match="has no operand 'function'"):
        instruction("softmax_forward", z=0, a=0, function="relu", **sizes)
    whole = instruction("softmax_forward", z=16, a=32, **sizes)
    assert disassembled(assembled([whole, {"op": None}])) == [whole, {"op": None}]


def test_metrics_of_a_whole_set_store_the_predictions_of_an_evaluation():
    layers, loss, optimizer = [Dense(3)], LOSSES["binary_crossentropy"](), OPTIMIZERS["sgd"]()
    rows, of_set = METRICS["binary_accuracy"], SET_METRICS["auc"]
    one, both = (lower(layers, 5, 16, "float32", loss, metrics, optimizer) for metrics in ([rows], [of_set, rows]))
    for name in ("training", "gradient", "value", "prediction"):
        assert getattr(one, name).tobytes() == getattr(both, name).tobytes()
    rows = ["gather", "dense_forward", "gather", "binary_crossentropy_forward", "binary_accuracy"]
    assert ops(both.evaluation) == [*rows, "store_outputs", "barrier", *TOTAL, *SCORES, "barrier"]
    (stored,), (compared,) = of(both.evaluation, "store_outputs"), of(both.evaluation, "binary_accuracy")
    assert stored["a"] == compared["a"], "probabilities, not the logits that predict gives"


@pytest.mark.parametrize("dtype", DTYPES)
def test_everything_starts_at_a_multiple_of_64_bytes(dtype):
    layers = [Dense(3, "tanh"), BatchNormalization(), Dropout(0.5), Dense(7, "gelu"), Dense(1)]
    arguments = {"metrics": ["mean_absolute_error"], "weighted": True, "plan": Plan(threads=3)}
    program = lowered(layers, optimizer="adam", dtype=dtype, batch=3, **arguments)
    size = np.dtype(dtype).itemsize
    assert all(parameter.offset * size % 64 == 0 for parameter in program.parameters)
    assert program.params_size * size % 64 == 0 and program.work_size * size % 64 == 0
    for s in [s for name in PARTS for s in disassembled(getattr(program, name)) if s["op"]]:
        operands = OPERATIONS[s["op"]].operands.values()
        assert all(s[operand.place] * size % 64 == 0 for operand in operands if operand.buffer)
    assert SCRATCH * size % 64 == 0  # those of the threads stand side by side
    for buffer in Buffers.for_program(program, dtype):
        assert buffer.ctypes.data % 64 == 0 and not buffer.any()


@pytest.mark.parametrize("plan", [WHOLE, Plan(threads=3), Plan(16, 2, 2)])
def test_operands_stand_within_their_buffers(plan):
    """From their places to as far as their shapes say."""
    layers = [Dense(3, "gelu"), Dropout(0.5), Dense(7, "relu", kernel_regularizer="l2"), Dense(1)]
    layers += [] if plan.block else [BatchNormalization()]
    rows = {"batch": 48, "height": 32 if plan.block else 48, "threads": plan.threads}
    arguments = {"batch": 48, "height": rows["height"], "plan": plan, "metrics": ["mean_absolute_error"]}
    program = lowered(layers, optimizer="adam", weighted=True, **arguments)
    ends, buffers = {"work": program.work_size, "params": program.params_size}, set()
    for s in [s for name in PARTS for s in disassembled(getattr(program, name)) if s["op"]]:
        for operand in OPERATIONS[s["op"]].operands.values():
            if operand.buffer:
                shape = [(s | rows)[size] if isinstance(size, str) else size for size in operand.shape]
                assert 0 <= s[operand.place] <= s[operand.place] + np.prod(shape) <= ends[operand.buffer]
                buffers.add(operand.buffer)
    assert buffers == set(ends)


def test_kernels_are_linked_last():
    """A thread that finds the addresses of all kernels goes on, though another may still be linking the program."""
    fields = []

    class Fields(dict):
        def __setitem__(self, field, values):
            fields.append(field)
            super().__setitem__(field, np.array(values))

    program = lowered([Dense(4, "relu"), Dense(3)]).prediction
    instructions = Fields({name: program[name].copy() for name in ("op", "function", "kernel", "apply")})
    linking.link(instructions, "float32")
    assert fields == ["apply", "kernel"] and (instructions["kernel"] != 0).all()
    assert ((instructions["apply"] != 0) == (instructions["function"] != 0)).all() and instructions["apply"].any()


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
    for update in of(program.training, wanted.op):
        assert update["W"] == trained
        trained += update["size"]
        for name, value in wanted.constants().items():
            if name in update:
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
    (room,) = {s["room"] for s in disassembled(three.training) if "scratch" in s}
    assert three.work_size == one.work_size + 2 * room and room * 4 % 64 == 0
    large = lowered([Dense(300), Dense(3)], d_in=300, batch=1024)
    assert {s["room"] for s in disassembled(large.training) if "scratch" in s} == {SCRATCH}
    assert three.row_size == one.row_size and three.parameters == one.parameters
    for program, threads in ((one, 1), (three, 3)):
        products = [s for s in disassembled(program.training) if "scratch" in s]
        assert len(products) == 5
        for s in products:
            for place in {"x", "z", "dz", "dx"} & set(s):
                assert not s["scratch"] <= s[place] < s["scratch"] + threads * room


def test_the_room_for_rows_is_that_of_the_height():
    small = lowered([Dense(4), Dense(3)], batch=4096, height=64)
    large = lowered([Dense(4), Dense(3)], batch=4096)
    assert small.row_size == large.row_size
    assert large.work_size - small.work_size == pytest.approx((4096 - 64) * small.row_size, rel=0.01)


def test_labels_are_one_column_wide():
    program = lowered([Dense(3)], "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    loss = "sparse_categorical_crossentropy"
    for op in (f"{loss}_forward", "sparse_categorical_accuracy", f"{loss}_backward"):
        (s,) = of(program.training, op)
        assert s["d_y"] == 1


def test_each_metric_has_a_column_of_the_totals():
    part = lowered([Dense(3)], metrics=["mean_squared_error", "mean_absolute_error"]).training
    (loss,), totals = of(part, "add_loss"), of(part, "add_score")
    assert loss["total"] == 0 and [s["total"] for s in totals] == [1, 2]
    scored = [of(part, f"mean_{kind}_error")[0]["scores"] for kind in ("squared", "absolute")]
    assert [s["scores"] for s in totals] == scored and len({*scored, loss["losses"]}) == 3


def test_without_a_loss_only_prediction_has_instructions():
    program = lower([Dense(4, "relu"), Dense(3)], 5, 16, "float32")
    for name in PARTS[:-1]:
        assert getattr(program, name).size == 0
    assert program.state_size == 0
    assert ops(program.prediction)[-2:] == ["store_outputs", "barrier"]


def test_no_weights_to_train():
    with pytest.raises(ValueError, match="no weights to train"):
        lowered([Activation("relu")])


def test_an_update_that_lacks_an_operand_is_an_error(monkeypatch):
    """Rather than a 0 in its place."""
    sgd, operands = SGD(0.1, momentum=0.9), SGD.operands
    monkeypatch.setattr(SGD, "operands", lambda self: {n: v for n, v in operands(self).items() if n != "momentum"})
    spans = {"weight": [(0, 16)], "bias": [(16, 16)], "each": [(0, 16), (16, 16)], "all": [(0, 32)]}
    with pytest.raises(TypeError, match="the operation 'momentum_update' lacks the operand 'momentum'"):
        update_instructions(sgd, spans)
    with pytest.raises(KeyError, match="size"):
        assembled([{"op": "scale", "W": 0}])


RELOAD = """
import importlib, warnings
import numpy as np
import fastml
from fastml.kernels import activations, elementwise, operation, sgd
from fastml.program import linking

x = np.random.default_rng(0).normal(size=(40, 5))

def trained():
    model = fastml.Sequential([fastml.Dense(4, "silu"), fastml.Dense(1)], seed=1, dtype="float64")
    model.compile("sgd")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    return model

before = trained()
known = len(linking.compiled)
warnings.simplefilter("ignore", RuntimeWarning)  # that code is not kept
importlib.reload(sgd)
importlib.reload(activations)
after = trained()
assert {name for name, _ in linking.compiled[known:]} == {"sgd_update", "silu", "silu_slope"}
for model in (before, after):
    model.fit(x, x[:, :1], epochs=2, verbose=0)
assert all(np.array_equal(*pair) for pair in zip(before.get_weights(), after.get_weights()))

with open(activations.__file__, encoding="utf-8") as file:
    text = file.read()
changed = text.replace("return z * vmath.sigmoid(z)", "return z + z")
assert changed != text
exec(compile(changed, activations.__file__, "exec"), vars(activations))  # as a reload does after an edit
model = trained()
W, b, V, c = model.get_weights()
assert np.allclose(model.predict(x), 2 * (x @ W + b) @ V + c)

for register, kernel in (
    (lambda name, kernel: operation.register(name, kernel), operation.njit(lambda: None)),
    (elementwise.function, lambda u, v, alpha: u),
):
    name = "sgd_update" if register is not elementwise.function else "silu"
    try:
        register(name, kernel)
    except ValueError as error:
        assert f"{name!r} already" in str(error)
    else:
        raise AssertionError(name)
with open(sgd.__file__, encoding="utf-8") as file:
    text = file.read()
changed = text.replace("def sgd_update(", "def sgd_update(other: Number(), ")
assert changed != text
try:
    exec(compile(changed, sgd.__file__, "exec"), vars(sgd))
except ValueError as error:
    assert "'sgd_update' has other operands than when it was loaded first" in str(error)
else:
    raise AssertionError("other operands")
"""


def test_modules_of_kernels_may_be_loaded_again():
    """As notebooks do after an edit: programs that come then have the new code."""
    subprocess.run([sys.executable, "-c", RELOAD], check=True, timeout=300)


def test_new_constants_leave_the_addresses_of_kernels():
    """Or a program that was linked would pass over its updates."""
    model = Sequential([Dense(4, "relu"), Dense(2)], input_dim=3)
    model.compile(Adam(global_clipnorm=1.0, weight_decay=0.1), "mean_squared_error")
    model.build()
    engine = model._engine
    training = engine.program.training
    linking.link(training, "float32")
    before = training.copy()
    model.optimizer.beta_1 = 0.5
    engine.program.refresh(engine.aim["optimizer"], engine.buffers)
    assert training.tobytes() != before.tobytes()
    assert (training["kernel"] == before["kernel"]).all() and (training["kernel"] != 0)[training["op"] != 0].all()
    model.optimizer.global_clipnorm = None
    engine.program.refresh(engine.aim["optimizer"], engine.buffers)
    assert (training["kernel"] != 0).sum() < (before["kernel"] != 0).sum()
