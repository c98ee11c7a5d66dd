"""How many threads a model may use. Results are the same bits for any number; `workers` has the threads."""

import math
import os
import time
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from fastml.attributes import positive_integer

ENVIRONMENT = "FASTML_NUM_THREADS"
OTHERS = "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"  # joblib and Dask set them for the processes that they start
CGROUPS = Path("/sys/fs/cgroup")
FIRST, PATIENCE = 2, 20  # chunks until another number of threads is tried for the first time, and again
OFTEN = 0.02  # times a step that a thread waits for long, from which on it is tried sooner
SHORT = 1e-3  # seconds: longer steps have no such trials, as a few of them take too long
WORTH = 0.95  # of the time that a step takes, so that it is another number's turn

_chosen = None
_here = ContextVar("threads", default=None)  # what `num_threads` says in this thread of Python


def available():
    """CPUs that this process may use: those of its affinity, and no more than its control group's quota of time."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, quota(int(time.monotonic()))))


@lru_cache(maxsize=1)
def quota(second):
    """The smallest of the quotas, read again in each second: it may change, but a small model trains in less."""
    return min((int(cpus) for cpus in quotas()), default=math.inf)


def quotas():
    """CPUs' worth of time that the control groups of this process grant, as floats; none where nothing limits it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):
            numbers = limits(CGROUPS / "cpu" / folder if controllers else CGROUPS / folder, bool(controllers))
            if numbers and numbers[0] > 0 and numbers[1] > 0:
                yield numbers[0] / numbers[1]


def limits(folder, first_version):
    """Quota and period of a control group, or None where it has none."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if first_version else ("cpu.max",)
    try:
        words = " ".join((folder / name).read_text() for name in names).split()
        return float(words[0]), float(words[1])
    except (OSError, ValueError, IndexError):  # no such file, or "max"
        return None


def set_num_threads(threads: int | None) -> None:
    """Lets each model use up to this many threads from now on; None for as many as there are CPUs.

    Small models use fewer: see `get_num_threads`. Without a call, the environment variable FASTML_NUM_THREADS counts,
    and without that the smaller of OMP_NUM_THREADS and NUMBA_NUM_THREADS, which joblib and Dask set for their workers.
    More than the CPUs that this process may use are never used.
    """
    global _chosen
    _chosen = None if threads is None else positive_integer("threads", threads)


def get_num_threads() -> int:
    """The most threads that a model may use: what was set, but at most the CPUs that this process may use.

    What was set is, in this order, by `set_num_threads`, the environment variable FASTML_NUM_THREADS, or the smaller of
    OMP_NUM_THREADS and NUMBA_NUM_THREADS. ValueError if FASTML_NUM_THREADS is no number from 1; the other two are not
    fastml's, and count where they are one. A model uses one thread where a training step is so little work that to
    meet costs more than to share.
    """
    chosen = _here.get() or _chosen
    if chosen is None and os.environ.get(ENVIRONMENT):
        chosen = count(os.environ[ENVIRONMENT])
        if chosen is None:
            raise ValueError(f"{ENVIRONMENT} must be a number from 1, got {os.environ[ENVIRONMENT]!r}")
    if chosen is None:  # "4,2" is OpenMP's way to say 4, and 2 in threads of these
        chosen = min(filter(None, (count(os.environ.get(name, "").split(",")[0]) for name in OTHERS)), default=None)
    return min(chosen or available(), available())


def count(text):
    """The number from 1 that a text says, or None."""
    try:
        return max(0, int(text)) or None
    except ValueError:
        return None


@contextmanager
def num_threads(threads):
    """Lets models use up to so many threads in a ``with`` block, in this thread of Python alone; None for as before."""
    token = _here.set(None if threads is None else positive_integer("threads", threads))
    try:
        yield
    finally:
        _here.reset(token)


class ThreadCount:
    """How many threads run the next chunk of a job: all, or one while that is faster.

    Threads meet several times in a step. Where another program has the core of one, the others wait for it, and where
    two cores turn out to be one that takes turns, they gain nothing. So a few steps go the other way from time to time,
    and what was faster is kept. Results do not depend on it.
    """

    def __init__(self, most):
        self.most = self.threads = most
        self.best = math.inf  # seconds a step takes this way
        self.trying = False  # a few steps the other way
        self.rest = FIRST  # chunks until then

    @property
    def compares(self):
        """Whether the next chunk is to be short, as its time is compared."""
        return self.most > 1 and (self.trying or self.rest == 1)

    def report(self, step_seconds, offers):
        """After a chunk: seconds a step took, and how often in it threads offered their cores to others."""
        if self.most == 1:
            return
        if self.trying:
            if step_seconds > WORTH * self.best:
                self._turn()
            self.trying, self.best, self.rest = False, math.inf, PATIENCE
            return
        self.best, self.rest = min(self.best, step_seconds), self.rest - 1
        soon = offers > OFTEN and self.rest <= PATIENCE // 2
        if (soon or self.rest <= 0) and step_seconds < SHORT:
            self._turn()
            self.trying = True

    def _turn(self):
        self.threads = 1 if self.threads == self.most else self.most
