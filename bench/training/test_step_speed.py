"""One training step, with gather, forward, loss, backward and update: the compiled executor against NumPy."""

from functools import cache

import pytest

from fastml.commands.agreement import STEPS_PER_EPOCH, Net, compare
from fastml.program.executors import EXECUTORS

CASES = [  # net, batch, dtype, epochs in a round
    ("4-16-3", 16, "float32", 30),
    ("4-16-3", 16, "float64", 30),
    ("64-32-10", 32, "float32", 30),
    ("64-32-10", 32, "float64", 30),
    ("32-64-64-1", 64, "float32", 10),
    ("784-128-10", 128, "float32", 2),
]


check_agreement = cache(compare)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("net, batch, dtype, epochs", CASES)
def test_step(benchmark, step_times, net, batch, dtype, epochs, executor):
    check_agreement(net, batch, dtype)
    run, steps = Net.of(net, batch).run(dtype, executor, epochs), epochs * STEPS_PER_EPOCH

    def train():
        run.jobs["step"] = 0
        run.advance(steps)

    benchmark.group = f"{steps} steps of {net}, batch {batch}, {dtype}"
    benchmark.extra_info["steps"] = steps
    benchmark(train)
    if benchmark.stats:  # none with --benchmark-disable
        step_times.setdefault((net, batch, dtype), {})[executor] = benchmark.stats["median"] / steps
