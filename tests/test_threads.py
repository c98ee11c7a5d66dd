"""How many threads models use: what is asked for, what the process may use, and what they do when things fail."""

import json
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from helpers import make_data
from many_threads import AVAILABLE, LITTLE, OTHERS, VARIABLE, count_teams
from processes import TRAIN, report

import fastml
from fastml import Adam, BatchNormalization, Callback, Dense, Dropout, Sequential
from fastml.program import plan, program, threads, workers
from fastml.training import run

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
AFFINITY = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    """As in a new process, whatever the environment."""
    monkeypatch.setattr(threads, "_chosen", None)
    for name in (threads.ENVIRONMENT, *OTHERS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "available", AVAILABLE)
    monkeypatch.setattr(threads, "OTHERS", OTHERS)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Sets what the system says: the CPUs of the affinity, and the lines of /proc/self/cgroup with files of groups."""

    def describe(cpus=8, groups=None, files=()):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cpus)), raising=False)
        listing = tmp_path / "cgroup-of-the-process"
        if groups is not None:
            listing.write_text("".join(f"{line}\n" for line in groups))
        for name, text in dict(files).items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(threads, "CGROUPS", tmp_path / "fs")
        threads.quota.cache_clear()
        real = threads.Path
        monkeypatch.setattr(threads, "Path", lambda p: listing if p == "/proc/self/cgroup" else real(p))

    yield describe
    threads.quota.cache_clear()


@pytest.fixture
def many(monkeypatch):
    """Four CPUs, and models that use them however small they are; a list of how many threads ran together."""
    monkeypatch.setattr(threads, "available", lambda: 4)
    monkeypatch.setattr(plan, "SHARED", LITTLE)
    return count_teams(monkeypatch)


# What the process may use


@AFFINITY
def test_no_more_than_the_cpus_of_the_affinity(machine):
    for cpus in (1, 2, 64):
        machine(cpus)
        assert threads.available() == fastml.get_num_threads() == cpus


def test_a_system_without_affinity(monkeypatch, machine):
    machine()
    monkeypatch.delattr(os, "sched_getaffinity")
    for count, expected in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert threads.available() == expected


V1, V2 = ["12:memory:/a", "4:cpu,cpuacct:/a/b", "1:name=systemd:/x"], ["0::/a/b"]
QUOTAS = {
    "second version": (V2, {"a/b/cpu.max": "250000 100000\n"}, 2),
    "second version, no limit": (V2, {"a/b/cpu.max": "max 100000\n"}, 8),
    "second version, of the folder above": (V2, {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
    "second version, the least of all": (V2, {"a/b/cpu.max": "500000 100000", "a/cpu.max": "400000 100000"}, 4),
    "second version, seen from inside": (["0::/"], {"cpu.max": "300000 100000\n"}, 3),
    "less than a CPU": (V2, {"a/b/cpu.max": "50000 100000\n"}, 1),
    "more than there are": (V2, {"a/b/cpu.max": "9900000 100000\n"}, 8),
    "first version": (V1, {"cpu/a/b/cpu.cfs_quota_us": "300000\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, 3),
    "first version, no limit": (V1, {"cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, 8),
    "first version, above": (V1, {"cpu/a/cpu.cfs_quota_us": "500000\n", "cpu/a/cpu.cfs_period_us": "250000\n"}, 2),
    "first version, another controller": (["12:memory:/a"], {"cpu/a/cpu.cfs_quota_us": "1", "cpu.max": "1 1"}, 8),
    "no files": (V2, {}, 8),
    "no lines": ([], {"cpu.max": "100000 100000"}, 8),
    "nonsense": (V2, {"a/b/cpu.max": "many\n"}, 8),
    "an empty file": (V2, {"a/b/cpu.max": ""}, 8),
    "a period of 0": (V2, {"a/b/cpu.max": "100000 0\n"}, 8),
}


@AFFINITY
@pytest.mark.parametrize("name", QUOTAS)
def test_no_more_than_the_quota_of_the_control_group(name, machine):
    groups, files, expected = QUOTAS[name]
    machine(8, groups, files)
    assert threads.available() == expected


@AFFINITY
def test_a_system_without_control_groups(machine):
    machine(5, groups=None)
    assert threads.available() == 5


# What is asked for


@AFFINITY
def test_what_is_set_counts_up_to_what_there_is(machine):
    machine(4)
    for count, expected in ((1, 1), (3, 3), (4, 4), (5, 4), (2**31 - 1, 4), (None, 4), (np.int64(2), 2)):
        fastml.set_num_threads(count)
        assert fastml.get_num_threads() == expected and type(fastml.get_num_threads()) is int


@pytest.mark.parametrize(
    "error, value", [(ValueError, 0), (ValueError, -1), (TypeError, 1.5), (TypeError, "2"), (TypeError, True)]
)
def test_a_number_of_threads_that_there_is_not(error, value, machine):
    machine(4)
    fastml.set_num_threads(3)
    with pytest.raises(error, match="threads must be"):
        fastml.set_num_threads(value)
    assert fastml.get_num_threads() == 3  # as before


@AFFINITY
def test_the_environment_counts_until_something_is_set(machine, monkeypatch):
    machine(4)
    for value, expected in (("1", 1), ("3", 3), ("99", 4), ("", 4)):
        monkeypatch.setenv(threads.ENVIRONMENT, value)
        assert fastml.get_num_threads() == expected
    monkeypatch.setenv(threads.ENVIRONMENT, "3")
    fastml.set_num_threads(2)
    assert fastml.get_num_threads() == 2
    fastml.set_num_threads(None)
    assert fastml.get_num_threads() == 3


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5"])
def test_an_environment_that_makes_no_sense(value, machine, monkeypatch):
    machine(4)
    monkeypatch.setenv(threads.ENVIRONMENT, value)
    with pytest.raises(ValueError, match=f"FASTML_NUM_THREADS must be a number from 1, got '{value}'"):
        fastml.get_num_threads()
    fastml.set_num_threads(2)
    assert fastml.get_num_threads() == 2  # nobody asks for the environment


LIMITS = {  # variables that are meant for others, and the threads of 8 CPUs that they leave
    "OpenMP": ({"OMP_NUM_THREADS": "2"}, 2),
    "Numba": ({"NUMBA_NUM_THREADS": "3"}, 3),
    "the smaller": ({"OMP_NUM_THREADS": "4", "NUMBA_NUM_THREADS": "2"}, 2),
    "the smaller, the other way": ({"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}, 1),
    "nested levels": ({"OMP_NUM_THREADS": "4,2"}, 4),
    "spaces": ({"OMP_NUM_THREADS": " 4 , 2 "}, 4),
    "more than there are": ({"OMP_NUM_THREADS": "64"}, 8),
    "nothing": ({"OMP_NUM_THREADS": ""}, 8),
    "zero": ({"OMP_NUM_THREADS": "0"}, 8),
    "negative": ({"OMP_NUM_THREADS": "-2"}, 8),
    "no number": ({"OMP_NUM_THREADS": "all"}, 8),
    "no whole number": ({"OMP_NUM_THREADS": "1.5"}, 8),
    "nonsense first": ({"OMP_NUM_THREADS": ",2"}, 8),
    "nonsense beside a number": ({"OMP_NUM_THREADS": "all", "NUMBA_NUM_THREADS": "2"}, 2),
    "of a BLAS": ({"MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}, 8),
}


@AFFINITY
@pytest.mark.parametrize("name", LIMITS)
def test_the_environment_of_a_worker_counts(name, machine, monkeypatch):
    machine(8)
    variables, expected = LIMITS[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert fastml.get_num_threads() == expected


@AFFINITY
def test_what_is_meant_for_fastml_counts_first(machine, monkeypatch):
    machine(8)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    monkeypatch.setenv(threads.ENVIRONMENT, "5")
    assert fastml.get_num_threads() == 5
    fastml.set_num_threads(6)
    assert fastml.get_num_threads() == 6
    with threads.num_threads(7):
        assert fastml.get_num_threads() == 7
    fastml.set_num_threads(None)
    assert fastml.get_num_threads() == 5


WORKERS = """
    import json, sys
    import joblib
    import fastml
    jobs, inner = json.loads(sys.argv[1])
    with joblib.parallel_config(backend="loky", inner_max_num_threads=inner):
        found = joblib.Parallel(n_jobs=jobs)(joblib.delayed(fastml.get_num_threads)() for _ in range(jobs))
    print(json.dumps([found, joblib.cpu_count()]))
"""


@pytest.mark.parametrize("jobs, inner, variable", [(2, None, None), (2, 1, "2")])
def test_workers_of_joblib_share_the_cpus(jobs, inner, variable):
    """Each takes its part, what `inner_max_num_threads` says, or what the variable of fastml does."""
    pytest.importorskip("joblib")
    environment = {**os.environ, VARIABLE: "", threads.ENVIRONMENT: variable or ""}
    command = [sys.executable, "-c", textwrap.dedent(WORKERS), json.dumps([jobs, inner])]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment, timeout=120).stdout
    found, cpus = json.loads(text)
    assert found == [min(int(variable), cpus) if variable else inner or max(1, cpus // jobs)] * jobs


def test_importing_does_not_look_at_the_environment():
    """A mistake in it shows where threads are used, not at import."""
    environment = {**os.environ, threads.ENVIRONMENT: "none"}
    subprocess.run([sys.executable, "-c", "import fastml"], env=environment, check=True)


# What models do


def trained(seed=1, rows=300, epochs=2, callbacks=(), **arguments):
    """A model that has been trained, and what it has learned, as bytes."""
    x, y = make_data("mean_squared_error", rows, seed=seed)
    model = Sequential([Dense(33, "tanh"), Dropout(0.2), BatchNormalization(), Dense(3)], seed=seed)
    model.compile(Adam(0.003))
    model.fit(x, y, 64, epochs, verbose=0, callbacks=list(callbacks), **arguments)
    return model, [w.tobytes() for w in model.get_weights()] + [model.predict(x).tobytes()]


def test_a_small_model_uses_one_thread(many, monkeypatch):
    monkeypatch.setattr(plan, "SHARED", 1e6)
    trained(rows=50)
    assert set(many) == {1}


def test_a_model_uses_as_many_as_are_set(many):
    for count in (1, 2, 3, 4):
        many.clear()
        fastml.set_num_threads(count)
        trained()
        assert max(many) == count


def test_the_numpy_executor_needs_no_threads(many):
    x, y = make_data("mean_squared_error", 300)
    model = Sequential([Dense(3)], seed=1)
    model.compile(executor="numpy")
    before = len(workers._pool.born)
    model.fit(x, y, verbose=0)
    model.predict(x)
    assert many == [] and len(workers._pool.born) == before


def test_threads_are_kept_for_the_next_model(many):
    trained()
    before = len(workers._pool.born)
    for _ in range(3):
        trained()
    assert len(workers._pool.born) == before >= 3


def test_several_models_train_at_once(many):
    """Each in a thread of Python, with the workers that are free: the same bits as one after the other."""
    expected = [trained(seed)[1] for seed in range(4)]
    found, members = [None] * 4, []

    def train(seed):
        for _ in range(3):
            found[seed] = trained(seed)[1]

    for seed in range(4):
        members.append(threading.Thread(target=train, args=(seed,), daemon=True))
        members[-1].start()
    for member in members:
        member.join(timeout=120)
    assert not any(member.is_alive() for member in members) and found == expected
    assert set(many) <= {1, 2, 3, 4} and max(many) > 1


def test_a_callback_may_use_another_model(many):
    """While one waits between two epochs."""

    class Other(Callback):
        def on_epoch_end(self, epoch, logs):
            found.append(trained(2)[1])

    found, expected = [], trained(2)[1]
    _, alone = trained(1)
    _, beside = trained(1, callbacks=[Other()])
    assert found == [expected] * 2 and alone == beside


# Processes


@FORKS
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_after_a_training_can_train():
    """It has none of the threads of its parent, and starts its own."""
    found = report(
        TRAIN
        + """
    import warnings; warnings.simplefilter("ignore")
    before = trained()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(60)
        os.write(write, json.dumps([trained(), len(fastml.program.workers._pool.born)]).encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    os.close(write)
    text = os.read(read, 10**6)
    print(json.dumps({"parent": before, "again": trained(), "child": json.loads(text) if text else status}))
    """
    )
    assert found["child"] == [found["parent"], 3] and found["again"] == found["parent"]


def test_a_process_ends_while_threads_wait():
    """Idle teams do not keep it, nor does a training in a daemon's thread."""
    assert report(TRAIN + "\n    print(json.dumps(len(trained())))") == 5


# Other programs on the same cores


def told(count, seconds, times=1, offers=0.0):
    for _ in range(times):
        count.report(seconds, offers)
    return count.threads, count.trying


def test_a_count_tries_one_thread_and_comes_back_where_all_are_faster():
    count = threads.ThreadCount(4)
    assert told(count, 2e-5, threads.FIRST - 1) == (4, False)
    assert told(count, 2e-5) == (1, True)
    assert told(count, 3e-5) == (4, False)
    assert told(count, 2e-5, threads.PATIENCE - 1) == (4, False)
    assert told(count, 2e-5) == (1, True)  # perhaps the cores are others' by now


def test_a_count_stays_with_one_thread_while_that_is_faster():
    count = threads.ThreadCount(2)
    assert told(count, 9e-5, threads.FIRST) == (1, True)
    assert told(count, 5e-5) == (1, False)
    assert told(count, 5e-5, threads.PATIENCE - 1) == (1, False)
    assert told(count, 5e-5) == (2, True)
    assert told(count, 9e-5) == (1, False)
    assert told(count, 5e-5, threads.PATIENCE) == (2, True)
    assert told(count, 3e-5) == (2, False)  # the cores are free again


def test_a_count_changes_for_what_is_clearly_faster():
    count = threads.ThreadCount(2)
    told(count, 1e-4, threads.FIRST)
    assert told(count, (threads.WORTH + 0.01) * 1e-4) == (2, False)
    told(count, 1e-4, threads.PATIENCE)
    assert told(count, (threads.WORTH - 0.01) * 1e-4) == (1, False)


def test_the_best_of_the_chunks_is_compared():
    """One in which the machine was busy says nothing about the number of threads."""
    count = threads.ThreadCount(2)
    told(count, 1e-5)
    assert told(count, 9e-5, threads.FIRST - 1) == (1, True)
    assert told(count, 2e-5) == (2, False)


def test_a_count_of_which_one_has_lost_its_core_tries_sooner():
    count = threads.ThreadCount(2)
    assert told(count, 2e-4, offers=1.0) == (1, True)
    assert told(count, 3e-4) == (2, False)
    chunks = threads.PATIENCE - threads.PATIENCE // 2
    assert told(count, 2e-4, chunks - 1, offers=1.0) == (2, False)  # it has just been tried
    assert told(count, 2e-4, offers=1.0) == (1, True)


def test_chunks_to_compare_are_short():
    count, short = threads.ThreadCount(2), []
    for _ in range(threads.FIRST + 1 + threads.PATIENCE + 1):
        short.append(count.compares)
        told(count, 1e-5)
    before = [False] * (threads.FIRST - 1) + [True, True] + [False] * (threads.PATIENCE - 1)
    assert short == before + [True, True]
    assert not threads.ThreadCount(1).compares


@pytest.mark.parametrize("steps, apart, kept", [(500, 12, 2), (2000, 12, 2), (50_000, 12, 2), (50_000, 30, 1)])
def test_the_time_to_wake_a_thread_does_not_decide(steps, apart, kept, monkeypatch):
    """Alone, a step takes 20 µs, with two threads `apart` µs, once the second one is awake, after 100 µs of a chunk."""
    now, made = [0.0], {1: 0, 2: 0}
    monkeypatch.setattr(run.time, "perf_counter", lambda: now[0])

    def execute(instructions, jobs, *_):
        job = jobs[0]
        count = int(job["stop"] - job["step"])
        now[0] += count * 20e-6 if job["threads"] == 1 else 100e-6 + count * apart * 1e-6
        made[int(job["threads"])] += count
        job["step"] = job["stop"]
        return 10 * (job["threads"] == 2)  # while it waits for the other, the first offers its core

    buffers, data = program.Buffers(*np.zeros((4, 1))), run.Data("float64", np.zeros((1, 1)))
    job = run.Run(execute, program.assembled([]), buffers, data, steps, 1, plan=plan.Plan(threads=2))
    job.finish(steps)
    assert sum(made.values()) == steps
    assert made[kept] >= 0.9 * steps


def test_long_steps_have_no_trials():
    count = threads.ThreadCount(2)
    assert told(count, 2 * threads.SHORT, threads.PATIENCE, offers=100.0) == (2, False)


def test_one_thread_needs_no_crew():
    count = threads.ThreadCount(1)
    assert told(count, 1e-5, 2 * threads.PATIENCE, offers=5.0) == (1, False)
