"""One training step, with gather, forward, loss, backward and update: the compiled executor against NumPy."""

from functools import cache, partial

import numpy as np
import pytest

from fastml import LOSSES, Adam, Dense
from fastml.engine import EXECUTORS
from fastml.lowering import lower
from fastml.program import Buffers
from fastml.training import Data, Run

STEPS_PER_EPOCH = 32
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}

CASES = [  # net, batch, dtype, epochs in a round
    ("4-16-3", 16, "float32", 30),
    ("4-16-3", 16, "float64", 30),
    ("64-32-10", 32, "float32", 30),
    ("64-32-10", 32, "float64", 30),
    ("32-64-64-1", 64, "float32", 10),
    ("784-128-10", 128, "float32", 2),
]


def make_run(net, batch, dtype, epochs, executor):
    """A training job on random data, the same for both executors."""
    d_in, *hidden, d_out = map(int, net.split("-"))
    random = np.random.default_rng(0)
    rows = STEPS_PER_EPOCH * batch
    x = random.standard_normal((rows, d_in)).astype(dtype)
    if d_out == 1:
        output, loss = "linear", "mean_squared_error"
        y = random.standard_normal((rows, 1)).astype(dtype)
    else:
        output, loss = "softmax", "sparse_categorical_crossentropy"
        y = random.integers(d_out, size=(rows, 1)).astype(dtype)

    layers = [*(Dense(units, "relu") for units in hidden), Dense(d_out, output)]
    program = lower(layers, d_in, batch, dtype, loss=LOSSES[loss](), optimizer=Adam())
    buffers = Buffers.for_program(program, dtype)
    program.initialize(buffers, seed=1)
    data = Data(dtype, x, y, shuffle=True, epochs=epochs)
    rates = partial(Adam().rates, first=0, total=epochs * STEPS_PER_EPOCH)
    return Run(EXECUTORS[executor], program.training, buffers, data, STEPS_PER_EPOCH, batch, rates, seed=1)


@cache
def check_agreement(net, batch, dtype):
    """Both executors have the same weights after 20 steps."""
    runs = [make_run(net, batch, dtype, 1, executor) for executor in EXECUTORS]
    for run in runs:
        run.advance(20)
    compiled, reference = (run.buffers.params for run in runs)
    np.testing.assert_allclose(compiled, reference, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("net, batch, dtype, epochs", CASES)
def test_step(benchmark, step_times, net, batch, dtype, epochs, executor):
    check_agreement(net, batch, dtype)
    run, steps = make_run(net, batch, dtype, epochs, executor), epochs * STEPS_PER_EPOCH

    def train():
        run.jobs["step"] = 0
        run.advance(steps)

    benchmark.group = f"{steps} steps of {net}, batch {batch}, {dtype}"
    benchmark.extra_info["steps"] = steps
    benchmark(train)
    if benchmark.stats:  # none with --benchmark-disable
        step_times.setdefault((net, batch, dtype), {})[executor] = benchmark.stats["median"] / steps
