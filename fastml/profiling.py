"""Profile: where the time of a training step goes, instruction by instruction, beside what the machine can do."""

from __future__ import annotations

import copy
import time
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastml.attributes import Constant
from fastml.kernels.cpu import BITS
from fastml.kernels.operation import named
from fastml.kernels.peak import CHAINS, chains
from fastml.kernels.rows import GATHERED
from fastml.program.executors import EXECUTORS
from fastml.program.plan import batches
from fastml.program.program import assembled, disassembled

MOST_EPOCHS = 10_000  # at a time
TURNS, BURSTS = 200_000, 9  # of the multiply-adds that measure the peak, some milliseconds
PRODUCTS = {"dense_forward", "dense_backward_weights", "dense_backward_inputs"}
BETWEEN = "between steps"  # what begins a step, such as to shuffle the rows of an epoch


class Line(NamedTuple):
    """An instruction of the step: what it does, in which layer and to what, and how long that takes."""

    op: str  # the operation, such as "dense_forward", and the function that it applies, or what it gathers
    layer: str  # where it has weights
    sizes: str  # of what it works on, such as "128 x 784 x 512"
    seconds: float  # of a step
    share: float  # of the step
    gflops: float  # 10⁹ multiplications and additions of matrix products in a second of one thread, else 0
    gbytes: float  # 10⁹ bytes in a second of one thread, each array counted once


class Profile(NamedTuple):
    """The lines of a step in their order, and the whole. Prints as a table."""

    lines: list[Line]
    seconds: float  # of a step, without the clocks
    steps: int  # that were measured
    threads: int  # the times are means of theirs; what they wait for each other is in the barriers
    batch: int  # rows of a step
    peak: float  # GFLOP/s of one core, measured
    flop: float  # of a step's matrix products

    def __str__(self):
        rows = [("operation", "layer", "sizes", "µs", "share", "GFLOP/s", "of the peak", "GB/s")]
        for line in self.lines:
            rate = (f"{line.gflops:.0f}", f"{line.gflops / self.peak:.0%}") if line.gflops else ("", "")
            moved = f"{line.gbytes:.0f}" if line.gbytes else ""
            rows.append((*line[:3], f"{1e6 * line.seconds:.2f}", f"{line.share:.1%}", *rate, moved))
        lengths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        text = [
            "  ".join(f"{c:{'<' if k < 3 else '>'}{lengths[k]}}" for k, c in enumerate(row)).rstrip() for row in rows
        ]
        rule = "─" * (sum(lengths) + 2 * len(lengths) - 2)
        rate = self.flop / self.seconds / 1e9
        threads = f"{self.threads} threads" if self.threads > 1 else "one thread"
        whole = (
            f"{1e6 * self.seconds:.2f} µs a step of {self.batch} rows, {threads}: products {rate:.0f} GFLOP/s, "
            f"{rate / self.threads / self.peak:.0%} of the measured peak of {self.peak:.0f} a core"
        )
        return "\n".join([text[0], rule, *text[1:], rule, whole])

    __repr__ = __str__


class _Clocks:
    """The executor, with a clock before each instruction and two behind the last, which tell what a clock itself takes.

    All chunks but the first count, which brings code and data into the caches.
    """

    def __init__(self, engine):
        self.engine, self.marks, self.seconds, self.steps, self.runs = engine, None, 0.0, 0, 0

    def __call__(self, instructions, jobs, rates, _, *arrays):
        if self.marks is None:
            self.instructions, self.threads = disassembled(instructions), self.threads_of(jobs)
            self.marks = np.zeros((self.threads, len(instructions) + 3), np.int64)
            self.clocked = self.with_clocks()
        elif self.runs == 1:
            self.marks[:], self.seconds, self.steps = 0, 0.0, 0
        self.marks[:, 0] = 0  # what Python does in between is not the step's
        first, begin = int(jobs["step"][0]), time.perf_counter()
        offers = EXECUTORS[self.engine.executor](self.clocked, jobs, rates, self.engine.buffers.params, *arrays)
        self.seconds += time.perf_counter() - begin
        self.steps += int(jobs["step"][0]) - first
        self.runs += 1
        return offers

    def threads_of(self, jobs):
        return 1 if self.engine.executor == "numpy" else int(jobs["threads"][0])

    def with_clocks(self):
        found, place = [], {"op": "clock", "marks": self.marks.ctypes.data, "marks_size": self.marks.shape[1]}
        for number, s in enumerate([*self.instructions, None], 1):
            found += [{**place, "number": number}, *([s] if s else [])]
        return assembled([*found, {**place, "number": len(self.instructions) + 2}])

    def times(self):
        """Seconds of a step that go to what lies between steps, and to each instruction: means of the threads."""
        sums = self.marks[: self.threads, 1:].mean(axis=0)
        ticks = sums[:-1] - min(sums[-1], sums.min())
        return ticks * (self.seconds / self.steps / sums.sum())


class _Seconds:
    """Checks the argument of `profile`."""

    seconds = Constant(0, open_low=True)

    def __init__(self, seconds):
        self.seconds = seconds


def profile(
    model,
    x: ArrayLike,
    y: ArrayLike,
    batch_size: int = 32,
    sample_weight: ArrayLike | None = None,
    class_weight: dict[int, float] | str | None = None,
    seconds: float = 1.0,
) -> Profile:
    """Trains a copy of a compiled model for some seconds, and tells how long each instruction of a step takes.

    The arguments are those of `fit`. Times are those within a step, where caches hold what the instruction before has
    left there; what a clock takes, some nanoseconds, is subtracted. The peak is measured too, by multiply-adds that
    stay in registers. The model is left as it is. Raises as `fit` does.
    """
    model._check_compiled("profile")
    _Seconds(seconds)
    model = copy.deepcopy(model)
    arguments = {"sample_weight": sample_weight, "class_weight": class_weight, "batch_size": batch_size, "verbose": 0}
    model.fit(x, y, epochs=1, **arguments)  # which checks all, and builds what is missing
    engine = model._engine
    engine._chunk = clocks = _Clocks(engine)
    epochs, steps = 1, batches(len(x), min(batch_size, len(x)), engine._alone())[0]
    while clocks.seconds < seconds:
        model.fit(x, y, epochs=epochs, **arguments)
        left, epoch = seconds - clocks.seconds, clocks.seconds / clocks.steps * steps
        epochs = max(1, min(MOST_EPOCHS, round(left / epoch)))
    return report(engine, clocks, min(batch_size, len(x)))


def report(engine, clocks, batch):
    """The Profile of what clocks have shown."""
    between, *times = clocks.times().tolist()
    times = [(s, seconds) for s, seconds in zip(clocks.instructions, times, strict=True) if s["op"]]
    whole, flop = between + sum(seconds for _, seconds in times), 0.0
    lines = [Line(BETWEEN, "", "", between, between / whole, 0.0, 0.0)]
    names = {p.offset: f"{p.layer}. {type(engine.layers[p.layer]).__name__}" for p in engine.program.parameters}
    for s, seconds in times:
        op, of_layer = s["op"], names.get(s.get("W"), "") if "size" not in s or "d_in" in s else ""
        work = 2.0 * batch * s["d_in"] * s["d_out"] if op in PRODUCTS else 0.0
        nanoseconds = 1e9 * clocks.threads * max(seconds, 1e-9)
        rates = work / nanoseconds, bytes_of(s, batch, engine.dtype) / nanoseconds
        what = s.get("function") or (GATHERED[s["data"]] if op == "gather" else "")
        lines.append(Line(f"{op}, {what}" if what else op, of_layer, sizes(s, batch), seconds, seconds / whole, *rates))
        flop += work
    return Profile(lines, whole, clocks.steps, clocks.threads, batch, peak(engine.dtype), flop)


def bytes_of(s, batch, dtype):
    """The size of the arrays that an instruction works on, each counted once, but for its scratch."""
    known = {**s, "height": batch, "batch": batch, "threads": 0}
    found = {}
    for operand in named(s["op"]).operands.values():
        if operand.buffer:
            view = operand.source.replace(f"s.{operand.place}", str(s[operand.place]))  # the same where they overlap
            found[view] = prod(known[size] if isinstance(size, str) else size for size in operand.shape)
    return np.dtype(dtype).itemsize * sum(found.values())


def sizes(s, batch):
    """The sizes of an instruction as text: of matrices, rows of the batch first; or of parameters."""
    if "d_in" in s and "d_out" in s:
        return f"{batch} x {s['d_in']} x {s['d_out']}"
    if "size" in s:
        return str(s["size"])
    width = next((s[name] for name in ("width", "d_in", "d_out") if name in s), None)
    return f"{batch} x {width}" if width else ""


def peak(dtype):
    """GFLOP/s of one core: the best of some bursts of multiply-adds, as other programs only ever take away."""
    real, best = np.dtype(dtype).type, float("inf")
    arguments = real(0.001), real(0.999), TURNS
    chains(*arguments)
    for _ in range(BURSTS):
        begin = time.perf_counter()
        chains(*arguments)
        best = min(best, time.perf_counter() - begin)
    return 2 * CHAINS * BITS // (8 * real(0).itemsize) * TURNS / best / 1e9
