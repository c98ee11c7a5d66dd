"""Programs: a model as arrays of instructions over flat buffers, which both executors run."""

import math
import struct
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from fastml.attributes import check_range
from fastml.initializers import resolve_initializer
from fastml.kernels import operations  # noqa: F401 to know all of them
from fastml.kernels.elementwise import NUMBERED as FUNCTIONS
from fastml.kernels.elementwise import named as function_named
from fastml.kernels.operation import HEADER, INSTRUCTION, instruction
from fastml.kernels.operation import NUMBERED as OPERATIONS
from fastml.kernels.operation import named as operation_named
from fastml.layer import Weights
from fastml.program.memory import aligned_zeros
from fastml.program.plan import Plan
from fastml.program.random import Streams
from fastml.regularizers import L1L2

NONE = np.zeros(0, INSTRUCTION)  # no instructions
ROLES = ("weight", "bias", "statistic", "constant")  # in this order they stand in the parameters


class Parameter(NamedTuple):
    """A weight matrix, bias vector or statistic: where it stands in the flat parameters, and how it starts."""

    layer: int
    name: str
    offset: int
    shape: tuple
    initializer: Callable
    role: str
    regularizer: L1L2 | None
    frozen: bool = False  # whether training leaves it as it is, though others of its role are trained

    @property
    def trained(self):
        return self.role in ("weight", "bias") and not self.frozen

    @property
    def size(self):
        return math.prod(self.shape)

    def view(self, buffer):
        """This parameter's part of a buffer that is laid out like the parameters."""
        return buffer[self.offset : self.offset + self.size].reshape(self.shape)


class Program(NamedTuple):
    """A model as data. Each array holds instructions in the order of execution; sizes are in elements.

    It is run once for each batch of at most `batch` rows, in blocks or as a whole of at most `height` rows. One
    model's parameters and state stand at the same offsets in all its programs, whatever their batch.
    """

    training: np.ndarray  # forward, loss, metrics, backward, check of the loss, update
    gradient: np.ndarray  # forward as in training, loss, backward
    value: np.ndarray  # forward as in training, loss
    evaluation: np.ndarray  # forward, loss, metrics
    prediction: np.ndarray  # forward, outputs
    updates: int  # where in those of training the instructions of the optimizer start
    spans: dict  # of the parameters that are trained, see `spans_of`
    parameters: list
    groups: dict  # size of the parameters of each role
    batch: int
    height: int  # rows that the workspace has room for
    row_size: int  # of the workspace, what each row takes while training
    plan: Plan  # of training
    weighted: bool  # whether rows have weights
    d_out: int
    params_size: int
    state_size: int
    work_size: int
    flops: int  # floating-point operations of a training step on one row, those of the matrix products

    def initialize(self, buffers, seed):
        """Writes start values into the parameters."""
        streams = Streams(seed, [p.size if p.role == "weight" else 0 for p in self.parameters])
        with np.errstate(over="ignore"):
            for position, parameter in enumerate(self.parameters):
                parameter.view(buffers.params)[...] = parameter.initializer(streams[position], parameter.shape)
        if np.isfinite(buffers.params).all():
            return
        for parameter in self.parameters:
            if not np.isfinite(parameter.view(buffers.params)).all():
                which = {"W": "kernel_initializer", "b": "bias_initializer"}.get(parameter.name, parameter.name)
                raise ValueError(f"{which} of layer {parameter.layer} gives values beyond {buffers.params.dtype}")

    def refresh(self, optimizer, buffers):
        """Writes the optimizer's constants, as they are now, into the instructions of training.

        ValueError where they do not go together, RuntimeError where it would need more state than the buffers have.
        """
        optimizer.check()
        check_range(optimizer, optimizer.constants(), buffers.state.dtype)
        if len(optimizer.start) * self.params_size > buffers.state.size:
            raise RuntimeError(f"{optimizer!r} needs more state than when it was compiled: compile again")
        rows = update_instructions(optimizer, self.spans)
        if len(rows) != len(self.training) - self.updates:
            raise RuntimeError(f"{optimizer!r} has clipnorm set or unset since it was compiled: compile again")
        new, old = assembled(rows), self.training[self.updates :]
        same = (new["op"] == old["op"]) & (new["function"] == old["function"])
        for name in ("kernel", "apply"):  # the addresses of those that stay
            new[name][same] = old[name][same]
        old[:] = new


class Buffers(NamedTuple):
    """The flat arrays that a program works on, all of one dtype."""

    params: np.ndarray
    grads: np.ndarray
    state: np.ndarray
    work: np.ndarray

    @classmethod
    def for_program(cls, program, dtype):
        """New buffers, all zero."""
        shards = program.plan.shards
        sizes = program.params_size, program.params_size * shards, program.state_size, program.work_size
        return cls(*(aligned_zeros(size, dtype) for size in sizes))

    def with_work(self, program):
        """The same parameters and state, with workspace and gradients for another program of the model."""
        grads = aligned_zeros(program.params_size * program.plan.shards, self.params.dtype)
        return self._replace(grads=grads, work=aligned_zeros(program.work_size, self.params.dtype))

    def with_state(self, program, optimizer):
        """The same with the state of a new optimizer."""
        state = aligned_zeros(program.state_size, self.params.dtype)
        for array, start in zip(state.reshape(-1, max(1, program.params_size)), optimizer.start, strict=True):
            array[:] = start
        return self._replace(state=state)


def layout(layers, d_in, line):
    """The Parameters of a model in the order of its layers, and the size of each role's part, multiples of `line`."""
    wanted = []
    for position, layer in enumerate(layers):
        wanted += [(position, weights) for weights in checked(layer, layer.parameters(d_in))]
        d_in = layer.units_out(d_in)
    places, end, groups = {}, 0, {}
    for role in ROLES:
        start = end
        for position, weights in wanted:
            if weights.role == role:
                places[position, weights.name] = end
                end += padded(int(np.prod(weights.shape)), line)
        groups[role] = end - start
    parameters = []
    for position, w in wanted:
        frozen = w.role in ("weight", "bias") and not layers[position].trainable
        place = places[position, w.name]
        initializer = resolve_initializer(w.initializer, w.name)
        parameters.append(Parameter(position, w.name, place, w.shape, initializer, w.role, w.regularizer, frozen))
    return parameters, groups


def checked(layer, weights):
    """The Weights of a layer; TypeError or ValueError where a user's layer has listed something else."""
    names = set()
    if not isinstance(weights, (list, tuple)):
        raise TypeError(f"parameters of {layer!r} must give a list of Weights, got {type(weights).__name__}")
    for w in weights:
        if not isinstance(w, Weights):
            raise TypeError(f"parameters of {layer!r} must be Weights, got {type(w).__name__}")
        if not isinstance(w.shape, tuple) or not all(isinstance(size, (int, np.integer)) for size in w.shape):
            raise TypeError(f"{layer!r}: the shape of {w.name!r} must be a tuple such as (d_in,), got {w.shape!r}")
        if not isinstance(w.regularizer, (L1L2, type(None))):
            raise TypeError(f"{layer!r}: the regularizer of {w.name!r} must be as L2(0.01), got {w.regularizer!r}")
        if w.name in names:
            raise ValueError(f"{layer!r}: two weights are called {w.name!r}")
        if w.role not in ROLES:
            raise ValueError(f"{layer!r}: the role of {w.name!r} must be one of {', '.join(ROLES)}, got {w.role!r}")
        names.add(w.name)
    return weights


def spans_of(parameters, groups, line):
    """Where the trained parameters stand, as pairs of place and size: "weight", "bias", "each" one by itself, "all".

    Frozen ones leave gaps, and else neighbours are one span; sizes are multiples of `line`.
    """
    trained = sorted((p.offset, padded(p.size, line), p.role) for p in parameters if p.trained)
    spans = {"weight": [], "bias": [], "each": [(offset, size) for offset, size, _ in trained]}
    for offset, size, role in trained:
        before = spans[role]
        if before and sum(before[-1]) == offset:
            before[-1] = before[-1][0], before[-1][1] + size
        else:
            before.append((offset, size))
    return spans | {"all": [(0, groups["weight"] + groups["bias"])]}


def padded(size, line):
    return -(-size // line) * line


def assembled(instructions):
    """Instructions, dicts, as the array that executors read."""
    return np.frombuffer(bytearray().join(map(encoded, instructions)), INSTRUCTION)


def encoded(row):
    """The bytes of an instruction, without addresses: those are of a process, and depend on the dtype."""
    if row["op"] is None:
        return bytes(INSTRUCTION.itemsize)
    operation, function = operation_named(row["op"]), row.get("function")
    header = [operation.number, 0, function_named(function).number if function else 0, 0, row.get("alpha", 0.0)]
    form, fields = form_of(operation.number)
    return struct.pack(form, *header, *(row[name] for name in fields))  # all that is not the header's must be there


@cache
def form_of(number):
    """How `struct` writes an operation's instructions, a word for each field, and the fields behind the header."""
    layout = OPERATIONS[number].layout
    kinds = ["q" if layout[name] == np.int64 else "d" for name in layout.names]
    return f"={''.join(kinds)}{INSTRUCTION.itemsize - 8 * len(kinds)}x", layout.names[len(HEADER) :]


def disassembled(instructions):
    """Instructions as dicts: its operation, and what operands it has."""
    found = []
    for number, row in zip(instructions["op"].tolist(), instructions.reshape(-1, 1), strict=True):
        if number and number not in OPERATIONS:
            raise ValueError(f"there is no operation {number}")
        if number:
            operation = OPERATIONS[number]
            record = row.view(operation.layout)[0]
            values = {name: record[name].item() for name in operation.fields}
            if record["function"]:
                values |= {"function": FUNCTIONS[record["function"].item()].name, "alpha": record["alpha"].item()}
            found.append({"op": operation.name, **values})
        else:
            found.append({"op": None})
    return found


def joined(*parts):
    """Several arrays of instructions, one after the other."""
    words = np.concatenate([part.view(np.int64) for part in parts])  # NumPy takes longer to join records
    return words.view(INSTRUCTION)


def update_instructions(optimizer, spans):
    """Clipping and the update, in two instructions where weights decay and the rest does not, or in more around gaps.

    There are always as many instructions, as weight_decay and clipping may be set at any time; but for clipnorm, which
    has one for each parameter. Threads meet where the next instruction shares out the weights in another way, or reads
    them all. The gradients of frozen weights are 0.
    """
    nothing, barrier, rows = {"op": None}, instruction("barrier"), []

    def clip_norm(clip, W, size):
        place = {"W": W, "size": size}
        measure = instruction("measure_norm", clip=clip, **place)
        return [measure, barrier, instruction("scale", **place), barrier]  # before anyone changes what others measure

    def clipped(clip, which, instructions):
        for W, size in spans[which]:
            found = instructions(clip or 1.0, W, size)
            rows.extend([nothing] * len(found) if clip is None else found)

    def clip_value(clip, W, size):
        return [instruction("clip_value", W=W, size=size, clip=clip), barrier]

    clipped(optimizer.clipvalue, "all", clip_value)
    if optimizer.clipnorm is not None:
        clipped(optimizer.clipnorm, "each", clip_norm)
    clipped(optimizer.global_clipnorm, "all", clip_norm)
    rows.append(instruction("begin_update"))
    constants = optimizer.operands()
    taken = operation_named(optimizer.op).fields
    given = {name: value for name, value in constants.items() if name in taken}

    def update(W, size, **others):
        return instruction(optimizer.op, **{**given, "W": W, "size": size, **others})

    weights, others, updates = spans["weight"], spans["bias"], []
    one = weights and others and sum(weights[-1]) == others[0][0]  # no gap between them
    if not constants.get("weight_decay") or optimizer.decay_all:
        if one:
            whole = weights[-1][0], weights[-1][1] + others[0][1]
            weights, others, updates = [*weights[:-1], whole], others[1:], [nothing]
        updates = [update(W, size) for W, size in (*weights, *others)] + updates
    else:
        updates = [update(W, size) for W, size in weights]
        updates += [update(W, size, weight_decay=0.0) for W, size in others]
    return [*rows, *updates, barrier]
