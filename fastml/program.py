"""Lowering: from the description of a model to the table of instructions that both executors run."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastml.kernels import instruction
from fastml.layers import Activation
from fastml.random import Stream

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


class Parameter(NamedTuple):
    """A weight matrix or bias vector: where it stands in the flat parameters, and how it starts."""

    layer: int
    offset: int
    shape: tuple
    initializer: Callable

    def view(self, buffer):
        """This parameter's part of a buffer that is laid out like the parameters."""
        return buffer[self.offset : self.offset + int(np.prod(self.shape))].reshape(self.shape)


class Program(NamedTuple):
    """A model as data. Tables hold instructions in the order of execution; sizes are in elements.

    A table is run once for each batch of at most `batch` rows. One model's parameters and state stand at the same
    offsets in all its programs, whatever their batch.
    """

    training: np.ndarray  # forward, loss and its check, metrics, backward, update
    gradient: np.ndarray  # forward, loss, backward
    evaluation: np.ndarray  # forward, loss, metrics
    prediction: np.ndarray  # forward, outputs
    parameters: list
    batch: int
    d_out: int
    params_size: int
    state_size: int
    work_size: int
    flops: int  # floating-point operations of a training step on one row, those of the matrix products

    def initialize(self, buffers, seed):
        """Writes start values into the parameters."""
        for position, parameter in enumerate(self.parameters):
            parameter.view(buffers.params)[...] = parameter.initializer(Stream(seed, position), parameter.shape)


class Buffers(NamedTuple):
    """The flat arrays that a program works on, all of one dtype."""

    params: np.ndarray
    grads: np.ndarray
    state: np.ndarray
    work: np.ndarray

    @classmethod
    def for_program(cls, program, dtype):
        """New buffers, all zero."""
        sizes = program.params_size, program.params_size, program.state_size, program.work_size
        return cls(*(aligned_zeros(size, dtype) for size in sizes))

    def with_work(self, program):
        """The same parameters, gradients and state, with the workspace of another program of the model."""
        return self._replace(work=aligned_zeros(program.work_size, self.params.dtype))

    def for_training(self, program):
        """The same parameters with the state of a new optimizer."""
        return self.with_work(program)._replace(state=aligned_zeros(program.state_size, self.params.dtype))


def aligned_zeros(size, dtype):
    """Zeros that start at a multiple of 64 bytes."""
    bytes_ = np.zeros(size * np.dtype(dtype).itemsize + ALIGNMENT, dtype=np.uint8)
    start = -bytes_.ctypes.data % ALIGNMENT
    return bytes_[start : start + size * np.dtype(dtype).itemsize].view(dtype)


class Lowering:
    """What layers write to while they lower themselves: instructions, parameters, and room in the workspace."""

    def __init__(self, batch, dtype):
        self.batch = batch
        self.line = ALIGNMENT // np.dtype(dtype).itemsize
        self.instructions = []
        self.parameters = []
        self.layer = 0
        self.kept = set()  # places of the workspace that a backward instruction will read
        self.params_size = self.work_size = 0

    def padded(self, size):
        return -(-size // self.line) * self.line

    def parameter(self, shape, initializer):
        """Adds a parameter; returns its offset."""
        offset = self.params_size
        self.parameters.append(Parameter(self.layer, offset, shape, initializer))
        self.params_size += self.padded(int(np.prod(shape)))
        return offset

    def room(self, size):
        """Takes `size` elements of the workspace; returns their offset."""
        offset = self.work_size
        self.work_size += self.padded(size)
        return offset

    def rows(self, width):
        """Takes room for a batch of rows."""
        return self.room(self.batch * width)

    def emit(self, op, **operands):
        self.instructions.append({"op": op, **operands})

    def take(self):
        """The instructions emitted since the last call."""
        taken, self.instructions = self.instructions, []
        return taken


def table(*parts):
    """Instructions as the structured array that executors read."""
    rows = [row for part in parts for row in part]
    array = np.zeros(len(rows), dtype=instruction.INSTRUCTION)
    for record, row in zip(array, rows, strict=True):
        for field, value in row.items():
            record[field] = value
    return array


def lower(layers, d_in, batch, dtype, loss=None, metrics=(), optimizer=None):
    """The Program of a model.

    `layers` are Layer objects, `d_in` the width of the data, `batch` the most rows that a step takes, `loss` and
    `metrics` what `LOSSES` and `METRICS` hold, `optimizer` an Optimizer. Without a loss, only prediction has a table.
    """
    to = Lowering(batch, dtype)
    x = to.rows(d_in)
    to.emit(instruction.GATHER_INPUTS, x=x, d_in=d_in)
    gather = to.take()

    chain = [(position, part) for position, layer in enumerate(layers) for part in layer.expand()]
    link = None
    if loss and chain and isinstance(chain[-1][1], Activation) and chain[-1][1].activation == loss.link:
        link = chain.pop()[1]  # the loss takes the logits and applies this activation itself

    a, width, backwards = x, d_in, []
    for position, part in chain:
        to.layer = position
        a, backward = part.lower(to, a, width)
        width = part.units_out(width)
        if to.parameters:  # below the first parameters no gradient is asked for
            backwards.append(backward)
    forward = to.take()

    predicted = link.lower(to, a, width)[0] if link else a
    to.emit(instruction.STORE_OUTPUTS, a=predicted, d_out=width)
    outputs = to.take()

    if loss and not to.parameters:
        raise ValueError("the model has no weights to train: add a Dense layer")
    tables = dict.fromkeys(("training", "gradient", "evaluation"), table())
    if loss:
        d_y = 1 if loss.targets == "labels" else width
        y, predictions, dz = to.rows(d_y), to.rows(width), to.rows(width)
        to.emit(instruction.GATHER_TARGETS, y=y, d_y=d_y)
        to.emit(instruction.LOSS_FORWARD, kind=loss.code, z=a, y=y, a=predictions, d_y=d_y, d_out=width, total=0)
        value = to.take()
        for k, metric in enumerate(metrics):
            to.emit(instruction.METRIC, kind=metric.code, a=predictions, y=y, d_y=d_y, d_out=width, total=1 + k)
        scores = to.take()
        to.emit(instruction.STOP_UNLESS_FINITE)
        guard = to.take()
        to.emit(instruction.LOSS_BACKWARD, kind=loss.code, a=predictions, y=y, dz=dz, d_y=d_y, d_out=width)
        for k in reversed(range(len(backwards))):
            dz = backwards[k](dz, inputs=k > 0)
        backward = to.take()
        to.emit(optimizer.op, **optimizer.constants())
        update = to.take()
        tables = {
            "training": table(gather, forward, value, guard, scores, backward, update),
            "gradient": table(gather, forward, value, backward),
            "evaluation": table(gather, forward, value, scores),
        }

    products = sum(p.shape[0] * p.shape[1] for p in to.parameters if len(p.shape) == 2)
    return Program(
        **tables,
        prediction=table(gather, forward, outputs),
        parameters=to.parameters,
        batch=batch,
        d_out=width,
        params_size=to.params_size,
        state_size=to.params_size * optimizer.slots if optimizer else 0,
        work_size=to.work_size,
        flops=6 * products,
    )


def check_output(layers, name, loss, units=None):
    """ValueError unless the last layer gives what the loss takes; `units` is the number of outputs, where known."""
    chain = [part for layer in layers for part in layer.expand()]
    last = chain[-1] if chain else None
    activation = last.activation if isinstance(last, Activation) else "linear"
    if layers and loss.link != "linear" and activation not in (loss.link, "linear"):
        raise ValueError(
            f"{name} takes logits: the last layer's activation must be '{loss.link}', which is fused with the loss, or "
            f"'linear', not '{activation}'"
        )
    if units == 1 and loss.link == "softmax":
        raise ValueError(f"{name} needs an output for each class, at least 2; for one output use binary_crossentropy")
