"""The compiled executor: built once, kept on disk, called like the reference."""

import hashlib
import sys
import threading
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from numba.core import event
from numpy.typing import DTypeLike

from fastml import kernels
from fastml.interrupts import hold_interrupts
from fastml.kernels.executor import build_executor
from fastml.kernels.instruction import INSTRUCTION, JOB
from fastml.kernels.simd import BITS

DTYPES = ("float32", "float64")

_ready = set()
_lock = threading.Lock()


def source_digest():
    """A number that changes with any source file of the kernels and with the width of vectors, int64."""
    digest = hashlib.sha256(str(BITS).encode())
    for path in sorted(Path(kernels.__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return int.from_bytes(digest.digest()[:8], "little", signed=True)


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
    digest = source_digest()
    try:
        return build_executor(digest)
    except RuntimeError as error:  # Numba found no folder that it may write to
        warnings.warn(
            f"the compiled executor cannot be kept on disk and is compiled again in every process ({error}); "
            "set NUMBA_CACHE_DIR to a folder that can be written to",
            RuntimeWarning,
            stacklevel=2,
        )
        return build_executor(digest, cache=False)


class _Announce(event.Listener):
    """Says in one line that the executor is compiled, where it is not found on disk."""

    def __init__(self, dtype):
        self.dtype = dtype

    def on_start(self, started):
        if started.data["dispatcher"] is executor() and sys.stderr.isatty():
            print(
                f"fastml: compiling the {self.dtype} executor, once on this machine: some seconds …",
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
            empty, rows = np.zeros(0, name), np.zeros((0, 1), name)
            executor()(
                np.zeros(0, INSTRUCTION),
                np.zeros(1, JOB),
                np.zeros(1),
                *(empty,) * 4,
                *(rows,) * 3,
                np.zeros(0, np.int64),
                np.zeros((0, 1)),
                rows,
            )
            _ready.add(name)
            compiled[name] = sum(executor().stats.cache_misses.values()) > misses
    return compiled


def run(program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs):
    """Runs steps ``job.step … job.stop - 1`` of the program; see `fastml.kernels.executor` for the arguments."""
    if params.dtype.name not in _ready:
        warmup(params.dtype)
    executor()(program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs)
