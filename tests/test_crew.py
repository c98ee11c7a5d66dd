"""Crews: workers that run whole jobs while Python goes on, in order, each once, and give their threads back."""

import time

import numpy as np
import pytest
from helpers import same_bits

from fastml import Adam, Dense, Sequential
from fastml.kernels.turns import LINE, TURN
from fastml.program import workers
from fastml.program.crew import ROOM, Crew
from fastml.training.run import Data, Run

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 3)).astype("float32"), RNG.normal(size=(64, 1)).astype("float32")
STEPS = 8


def job(seed, dtype="float32"):
    """A training of some steps as a Run, and its weights."""
    model = Sequential([Dense(5, "tanh"), Dense(1)], input_dim=3, seed=seed, dtype=dtype)
    model.compile(Adam(0.01), "mse")
    model.build()
    engine = model._engine
    rates = lambda t, count: np.array([0.01])  # noqa: E731
    data = Data(dtype, X.astype(dtype), Y.astype(dtype), steps=4, epochs=2)

    def execute(*arguments, execute=None):
        from fastml.program import compiled

        return (execute or compiled.run)(*arguments)

    run = Run(execute, engine.program.training, engine.buffers, data, 4, 16, rates, seed=seed)
    return run, engine.buffers.params


@pytest.fixture(autouse=True)
def four_cpus(monkeypatch):
    monkeypatch.setattr("fastml.program.threads.available", lambda: 4)


def test_records_are_whole_cache_lines():
    """What the worker writes to and what others do stand apart."""
    assert LINE.itemsize % 64 == 0 and LINE.fields["posted"][1] % 64 == 0 and TURN.itemsize == 16


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_jobs_have_the_bits_of_a_run(threads):
    jobs = {seed: job(seed, ("float32", "float64")[seed % 2]) for seed in range(40)}
    kept = []
    with Crew(threads) as crew:
        lines, done = [*crew.lines, crew.own], []
        assert len(crew.lines) == threads - 1
        for seed, (run, _) in jobs.items():
            line = lines[seed % len(lines)]
            while not line.free:
                done += line.done()
            address, arrays = run.prepare(STEPS)
            kept.append(arrays)
            line.post(address, seed)
            if line is crew.own:
                line.run()
                ((token, ticks),) = line.done()
                done.append((token, ticks))
                assert token == seed
        while len(done) < len(jobs):
            for line in crew.lines:
                done += line.done()
    assert sorted(seed for seed, _ in done) == list(range(40)) and all(ticks > 0 for _, ticks in done)
    for seed, (run, params) in jobs.items():
        other, expected = job(seed, ("float32", "float64")[seed % 2])
        other.advance(STEPS)
        assert run.step == other.step == STEPS and run.loss == other.loss
        assert same_bits([params, run.data.totals], [expected, other.data.totals])


def test_a_line_has_an_end():
    with Crew(2) as crew:
        (line,) = crew.lines
        assert line.free == ROOM == crew.own.free


def test_a_worker_sleeps_and_is_woken_again():
    """Also where it had gone to sleep when something was posted."""
    with Crew(2) as crew:
        (line,) = crew.lines
        for seed in range(30):
            run, _ = job(seed)
            address, _kept = run.prepare(STEPS)
            line.post(address, seed)
            start = time.perf_counter()
            while not (done := line.done()):
                assert time.perf_counter() - start < 10
            assert done[0][0] == seed and run.step == STEPS
            if seed % 3:
                while line.awake:
                    time.sleep(0)


def test_a_closed_line_takes_no_further_turns():
    """The job under way is run, those behind it are not, and nobody works on them when it is closed."""
    runs = [job(seed) for seed in range(ROOM)]
    with Crew(2) as crew:
        (line,) = crew.lines
        kept = []
        for number, (run, _) in enumerate(runs):
            steps = 4 * 50_000 if number == 0 else STEPS
            run.data.totals = np.zeros((50_000, 1))
            address, arrays = run.prepare(steps)
            kept.append(arrays)
            line.post(address, number)
        line.close()
        done = [number for number, _ in line.done()]
        assert done in ([], [0], [0, 1]) and not line.awake
        assert [run.step > 0 for run, _ in runs] == [number in done for number in range(ROOM)]


def test_threads_are_given_back():
    before, idle = workers._pool.busy, len(workers._pool.idle)
    for _ in range(3):
        with Crew(4):
            assert workers._pool.busy == before + 4
    assert workers._pool.busy == before and len(workers._pool.idle) == max(idle, 3)


def test_a_crew_takes_what_others_leave():
    with Crew(4), Crew(4) as other:
        assert other.lines == []
