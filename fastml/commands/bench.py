"""``fastml bench``: times of training steps on this machine, of the compiled executor and of the reference in NumPy."""

import platform
import time
from statistics import median

import llvmlite.binding
import numpy as np

from fastml.commands.agreement import CHECKED, STEPS_PER_EPOCH, Net, compare
from fastml.commands.demo import table
from fastml.program.compiled import warmup
from fastml.program.executors import EXECUTORS
from fastml.program.threads import get_num_threads

NETS = (("4-16-3", 16), ("64-32-10", 32), ("32-64-64-1", 64), ("784-128-10", 128), ("784-512-512-10", 128))
SECONDS, ROUNDS = 1.6, 8  # for each net, and how many turns they are shared among
DIFFERENCES = {  # what is compared
    "float32": "of the loss or a gradient, over the largest of its array, in a step from the same\nweights, before and "
    f"after {CHECKED} others (weights drift apart: Adam follows rounding, too)",
    "float64": f"of any weight after {CHECKED} steps from the same start",
}


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
        f"\nThe difference is the largest {DIFFERENCES[dtype]}."
    )


def measure(net, batch, dtype, seconds):
    """Median seconds of a step by executor, measured in turns, so that both see the machine in the same state."""
    runs, times, steps = {}, {}, {}
    for executor in EXECUTORS:
        runs[executor] = Net.of(net, batch).run(dtype, executor)
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
