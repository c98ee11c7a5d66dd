"""The compiled executor, called like the reference."""

from contextlib import nullcontext

import numpy as np
from numpy.typing import DTypeLike

from fastml.kernels.job import ARRAYS, SLICE
from fastml.kernels.team import OFFERS
from fastml.process.signals import hold_interrupts
from fastml.program import linking
from fastml.program.linking import DTYPES, EXECUTOR, check_dtype, code_of, executor
from fastml.program.memory import address_of
from fastml.program.program import NONE
from fastml.program.workers import Team

LINE = 64  # bytes of a cache line
NAMES = {np.dtype(name): name for name in DTYPES}  # sooner told than by NumPy


def cache_folder():
    """The folder that keeps compiled code, or None where none does."""
    return code_of(EXECUTOR).home()


def warmup(dtype: DTypeLike | None = None) -> dict[str, bool]:
    """Compiles all kernels for a dtype (for float32 and float64 if None), or loads them from disk.

    Returns a dict from dtype to whether any had to be compiled.
    """
    compiled = {}
    for name in DTYPES if dtype is None else (check_dtype(dtype),):
        before = len(linking.compiled)
        linking.ready(linking.everything(name))
        compiled[name] = len(linking.compiled) > before
    return compiled


def run(program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs, ending=NONE):
    """Runs steps ``job.step … job.stop - 1`` of the program, in up to job.threads threads; writes there how many.

    program : (k,) INSTRUCTION, jobs : (1,) JOB; the other arrays as `fastml.kernels.job.ARRAYS` says. ending :
    instructions that come after each epoch. Other jobs, which know their arrays, are those that it names. Returns how
    often a thread waited so long for another that it offered its core to other programs.
    """
    arrived = set_up(program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs, ending)
    enter, wanted = executor(), int(jobs["threads"][0])
    # A signal's handler that forks would leave the child with a team of threads that it does not have.
    with hold_interrupts() if wanted > 1 else nullcontext(), Team(enter, wanted) as team:
        jobs["threads"], jobs["workers"] = team.threads, address_of(team.addresses)
        slices = [new_slices(jobs[k : k + 1], team.threads) for k in range(len(jobs))]
        enter(address_of(jobs), 0)
        del slices
    return int(arrived[OFFERS])


def set_up(program, jobs, rates, params, grads, state, work, x, y, weights, order, totals, outputs, ending=NONE):
    """Writes into the jobs where all that they work on stands; returns what counts arrivals there, see `team`."""
    for instructions in (program, ending) if ending.size else (program,):
        linking.link(instructions, NAMES[params.dtype])
    arrays = program, rates, params, grads, state, work, x, y, weights, order, totals, outputs
    point_to(jobs[:1], arrays)
    jobs["ending"][0], jobs["ending_size"][0] = address_of(ending), ending.size
    arrived = np.zeros(24, np.int64)[8:]  # the first ones have a cache line for themselves
    jobs["arrived"] = address_of(arrived)
    return arrived


def prepare(program, jobs, rates, *arrays):
    """Like `run`, but that the first job is for one thread and not run yet. Returns what must outlive its run."""
    jobs["threads"], jobs["workers"] = 1, 0
    arrived = set_up(program, jobs, rates, *arrays)
    return rates, arrived, [new_slices(jobs[k : k + 1], 1) for k in range(len(jobs))]


def new_slices(jobs, threads):
    """Slices for the threads of a job, which must outlive it."""
    memory = np.zeros(threads * SLICE.itemsize + LINE, np.uint8)
    jobs["slices"] = -(-address_of(memory) // LINE) * LINE
    return memory


def point_to(jobs, arrays):
    """Writes addresses and sizes of the arrays, in the order of ARRAYS, into the job; they must outlive it."""
    for name, array in zip(ARRAYS, arrays, strict=True):
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} must be C-contiguous")
    sizes = [array.size for array in arrays]
    places = [address_of(array) if size else 0 for array, size in zip(arrays, sizes, strict=True)] + sizes
    jobs.view(np.int64)[: len(places)] = places  # the first fields of a job
    jobs["columns"] = arrays[ARRAYS.index("totals")].shape[1]
