"""The compiled executor: built once, kept on disk, called like the reference."""

import sys
from contextlib import nullcontext
from functools import cache

import numpy as np
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock
from numpy.typing import DTypeLike

from fastml import forks, sources
from fastml.code_cache import CodeCache
from fastml.interrupts import hold_interrupts
from fastml.kernels.executor import build_executor
from fastml.kernels.instruction import ARRAYS, JOB
from fastml.kernels.simd import BITS
from fastml.kernels.team import OFFERS
from fastml.workers import Team

sources.KERNELS.confirm()  # the executor has imported all of them

DTYPES = ("float32", "float64")
ZEROS = {name: np.dtype(name).type(0) for name in DTYPES}  # tell the executor the dtype

_ready = set()
_lock, _numba_lock = forks.Lock(), forks.Lock(global_compiler_lock._lock)  # in the order in which they are taken


def version():
    """A text that changes with any source file of the kernels and with the width of vectors; None where unsure."""
    digest = sources.KERNELS.digest()
    return None if digest is None else f"{digest} {BITS}"


def check_dtype(dtype):
    """The name of a dtype that there is an executor for; ValueError for others."""
    try:
        name = None if dtype is None else np.dtype(dtype).name
    except TypeError:
        name = None
    if name not in DTYPES:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return name


@cache
def executor():
    """The executor's dispatcher. Nothing is compiled before its first call for a dtype."""
    dispatcher = build_executor()
    dispatcher._cache = CodeCache(dispatcher.py_func, version)
    return dispatcher


def cache_folder():
    """The folder that keeps compiled code, or None where none does."""
    return executor()._cache.home()


class _Announce(event.Listener):
    """Says in one line that the executor is compiled, where it is not found on disk."""

    def __init__(self, dtype):
        self.dtype = dtype

    def on_start(self, started):
        if started.data["dispatcher"] is executor() and sys.stderr.isatty():
            print(  # over the start of a progress bar, if there is one
                f"\rfastml: compiling the {self.dtype} executor, once on this machine: some seconds …",
                file=sys.stderr,
                flush=True,
            )

    def on_end(self, ended):
        pass


def warmup(dtype: DTypeLike | None = None) -> dict[str, bool]:
    """Compiles the executor for a dtype (for float32 and float64 if None), or loads it from disk.

    Returns a dict from dtype to whether it had to be compiled.
    """
    compiled = {}
    for name in DTYPES if dtype is None else (check_dtype(dtype),):
        with _lock, hold_interrupts(), event.install_listener("numba:compile", _Announce(name)):
            misses = sum(executor().stats.cache_misses.values())
            job = np.zeros(1, JOB)
            try:
                executor()(job.ctypes.data, 0, ZEROS[name])
            finally:
                executor()._cache.release()
            _ready.add(name)
            compiled[name] = sum(executor().stats.cache_misses.values()) > misses
    return compiled


def ensure(dtype):
    """Has the executor ready for a dtype."""
    if dtype not in _ready:
        warmup(dtype)


def run(program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs):
    """Runs steps ``job.step … job.stop - 1`` of the program, in up to job.threads threads; writes there how many.

    program : (k,) INSTRUCTION, jobs : (1,) JOB; the other arrays as `fastml.kernels.instruction.ARRAYS` says. Returns
    how often a thread waited so long for another that it offered its core to other programs.
    """
    dtype = params.dtype.name
    ensure(dtype)
    arrays = program, rates, params, grads, state, work, x, y, weights, order, totals, outputs
    point_to(jobs, arrays)
    arrived = np.zeros(24, np.int64)  # the middle ones have a cache line for themselves
    jobs["arrived"] = arrived[8:].ctypes.data
    enter, zero = executor(), ZEROS[dtype]
    wanted = int(jobs["threads"][0])
    # A signal's handler that forks would leave the child with a team of threads that it does not have.
    with hold_interrupts() if wanted > 1 else nullcontext(), Team(enter, zero, wanted) as team:
        jobs["threads"], jobs["workers"] = team.threads, team.addresses.ctypes.data
        enter(jobs.ctypes.data, 0, zero)
    return int(arrived[8 + OFFERS])


def point_to(jobs, arrays):
    """Writes addresses and sizes of the arrays, in the order of ARRAYS, into the job; they must outlive it."""
    for name, array in zip(ARRAYS, arrays, strict=True):
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} must be C-contiguous")
    places = [array.ctypes.data for array in arrays] + [array.size for array in arrays]
    jobs.view(np.int64)[: len(places)] = places  # the first fields of a job
    jobs["columns"] = arrays[ARRAYS.index("totals")].shape[1]
