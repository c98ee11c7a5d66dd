"""``fastml bench``: times of training steps on this machine, of the compiled executor and of the reference in NumPy."""

import platform
import time
from functools import partial
from statistics import median

import llvmlite.binding
import numpy as np

from fastml.commands import CommandError
from fastml.compiled import warmup
from fastml.demo import table
from fastml.engine import EXECUTORS
from fastml.layers import Dense
from fastml.losses import MeanSquaredError, SparseCategoricalCrossentropy
from fastml.lowering import lower
from fastml.optimizers import Adam
from fastml.program import Buffers
from fastml.threads import get_num_threads
from fastml.training import Data, Run

NETS = (("4-16-3", 16), ("64-32-10", 32), ("32-64-64-1", 64), ("784-128-10", 128), ("784-512-512-10", 128))
STEPS_PER_EPOCH, CHECKED = 32, 20  # steps that are compared first
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}
SECONDS, ROUNDS = 1.6, 8  # for each net, and how many turns they are shared among


def bench(dtype="float32", nets=NETS, seconds=SECONDS):
    """Prints a table. CommandError where the executors do not agree."""
    cpu = f"{llvmlite.binding.get_host_cpu_name()} ({platform.machine()})"
    threads = get_num_threads()
    print(f"{cpu}, {threads} thread{'s' * (threads > 1)}, {dtype}, Adam, relu", flush=True)
    warmup(dtype)
    rows = []
    for net, batch in nets:
        difference = compare(net, batch, dtype)
        times = measure(net, batch, dtype, seconds)
        ratio = f"{times['numpy'] / times['compiled']:.1f}x"
        rows.append((net, str(batch), *(f"{1e6 * times[name]:.1f}" for name in EXECUTORS), ratio, f"{difference:.0e}"))
    print("\n" + table(("net", "batch", *(f"{name}, µs" for name in EXECUTORS), "speed", "difference"), rows))
    print(
        "\nMedian time of a training step: gather the rows, forward, loss, backward, update."
        "\nNumPy's matrix products use threads of their own; other programs disturb both."
        f"\nThe difference is the largest of any weight after {CHECKED} steps from the same start."
    )


def make_run(net, batch, dtype, executor):
    """An epoch of training on random data, the same for all executors."""
    d_in, *hidden, d_out = map(int, net.split("-"))
    random, rows = np.random.default_rng(0), STEPS_PER_EPOCH * batch
    x = random.standard_normal((rows, d_in)).astype(dtype)
    if d_out == 1:
        y, output, loss = random.standard_normal((rows, 1)), "linear", MeanSquaredError()
    else:
        y, output, loss = random.integers(d_out, size=(rows, 1)), "softmax", SparseCategoricalCrossentropy()
    layers = [*(Dense(units, "relu") for units in hidden), Dense(d_out, output)]
    program = lower(layers, d_in, batch, dtype, loss=loss, optimizer=Adam())
    buffers = Buffers.for_program(program, dtype)
    program.initialize(buffers, seed=1)
    data = Data(dtype, x, y.astype(dtype), shuffle=True, epochs=1)
    rates = partial(Adam().rates, first=0, total=STEPS_PER_EPOCH)
    return Run(EXECUTORS[executor], program.training, buffers, data, STEPS_PER_EPOCH, batch, rates, seed=1)


def compare(net, batch, dtype):
    """The largest difference of a weight after some steps with both executors; CommandError where it is too large."""
    found = []
    for executor in EXECUTORS:
        run = make_run(net, batch, dtype, executor)
        run.advance(CHECKED)
        found.append(run.buffers.params)
    difference = float(np.abs(found[0] - found[1]).max())
    if not difference <= TOLERANCE[dtype]:
        raise CommandError(f"the executors disagree on {net}: a weight differs by {difference:.1e}")
    return difference


def measure(net, batch, dtype, seconds):
    """Median seconds of a step by executor, measured in turns, so that both see the machine in the same state."""
    runs, times, steps = {}, {}, {}
    for executor in EXECUTORS:
        runs[executor] = make_run(net, batch, dtype, executor)
        once = timed(runs[executor], CHECKED) / CHECKED
        steps[executor] = int(np.clip(seconds / ROUNDS / len(EXECUTORS) / once, 1, STEPS_PER_EPOCH))
        times[executor] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not all(times.values()):
        for executor, run in runs.items():
            turn = time.perf_counter() + seconds / ROUNDS / len(EXECUTORS)
            while time.perf_counter() < turn:
                times[executor].append(timed(run, steps[executor]) / steps[executor])
    return {executor: median(found) for executor, found in times.items()}


def timed(run, steps):
    """Seconds that so many steps take, from the first one on."""
    run.jobs["step"] = 0
    start = time.perf_counter()
    run.advance(steps)
    return time.perf_counter() - start
