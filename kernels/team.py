"""Threads that run one program together: where they wait for each other, and how they come and go.

Every thread goes through all instructions and takes its share of each (`slices`).

The first thread of a job is the caller's. The others are workers, which sleep in machine code until it wakes them, and
it returns when all have left the job: no exception of Python can come in between and free what they still work on.
"""

import sys

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastml.kernels.simd import INDEX, declare
from fastml.kernels.views import at_address

OFFERS, LEFT = 1, 2  # places in what `wait_for_all` calls `arrived`

PAUSES = 1024  # turns of the wait before a thread offers its core to others, some 50 µs
YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

WORKER = np.dtype(
    [
        ("job", np.int64),  # address of the JOB that it is woken for
        ("thread", np.int64),  # its number in that job, from 1
        ("lock", np.int64),  # address of a lock of Python's C interface, which it sleeps at
    ]
)


@intrinsic
def sleep_at(typingctx, lock):
    """Waits, without Python, until somebody calls `wake` for this lock, an address."""

    def codegen(context, builder, signature, args):
        lock, number = builder.inttoptr(args[0], ir.IntType(8).as_pointer()), ir.IntType(32)
        acquire = declare(builder, "PyThread_acquire_lock", number, [lock.type, number])
        builder.call(acquire, [lock, number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def wake(typingctx, lock):
    """Lets the thread go on that sleeps at this lock, an address. What was written before, it reads after."""

    def codegen(context, builder, signature, args):
        lock = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        builder.call(declare(builder, "PyThread_release_lock", ir.VoidType(), [lock.type]), [lock])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@njit(inline="always", error_model="numpy")
def call_workers(address, workers, count):
    """Wakes the first threads of ``workers``, addresses of `count` WORKERs, for the job at an address."""
    for k in range(count):
        worker = at_address(WORKER, workers[k], 1)[0]
        worker.job, worker.thread = address, k + 1
        wake(worker.lock)


@intrinsic
def leave(typingctx, arrived):
    """A worker's last word on a job, of whose memory it then touches nothing; see `wait_for_all` for `arrived`."""

    def codegen(context, builder, signature, args):
        left = builder.gep(builder.inttoptr(args[0], INDEX.as_pointer()), [INDEX(LEFT)])
        builder.atomic_rmw("add", left, INDEX(1), "release")
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def wait_for_workers(typingctx, arrived, count):
    """Waits until so many workers have left the job."""

    def codegen(context, builder, signature, args):
        arrived = builder.inttoptr(args[0], INDEX.as_pointer())
        with builder.if_then(builder.icmp_signed(">", args[1], INDEX(0))):
            wait_until(builder, builder.gep(arrived, [INDEX(LEFT)]), args[1], builder.gep(arrived, [INDEX(OFFERS)]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def wait_for_all(typingctx, arrived, threads, number):
    """Waits until all threads have come to this barrier, numbered from 1. What each wrote before, all read after.

    arrived : the address of three int64, all 0 before the first: arrivals at all barriers, how often a thread
    offered its core to others because somebody did not come, and how many workers have left.
    """

    def codegen(context, builder, signature, args):
        address, threads, number = args
        with builder.if_then(builder.icmp_signed(">", threads, INDEX(1))):
            arrived = builder.inttoptr(address, INDEX.as_pointer())
            builder.atomic_rmw("add", arrived, INDEX(1), "acq_rel")
            offers = builder.gep(arrived, [INDEX(OFFERS)])
            wait_until(builder, arrived, builder.mul(threads, number), offers)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


def wait_until(builder, counter, goal, offers):
    """Spins until the counter has reached the goal; after PAUSES turns, the core is offered to others in between."""
    turn = cgutils.alloca_once_value(builder, INDEX(0))
    test, wait, pause, offer, met = (
        builder.append_basic_block(name) for name in ("test", "wait", "pause", "offer", "met")
    )
    builder.branch(test)
    builder.position_at_end(test)
    count = builder.load_atomic(counter, "acquire", 8)
    builder.cbranch(builder.icmp_signed(">=", count, goal), met, wait)
    builder.position_at_end(wait)
    turns = builder.add(builder.load(turn), INDEX(1))
    builder.store(turns, turn)
    builder.cbranch(builder.icmp_signed("<", turns, INDEX(PAUSES)), pause, offer)
    builder.position_at_end(pause)
    emit_pause(builder)
    builder.branch(test)
    builder.position_at_end(offer)
    builder.atomic_rmw("add", offers, INDEX(1), "monotonic")
    builder.call(declare(builder, YIELD, ir.IntType(32), []), [])
    builder.branch(test)
    builder.position_at_end(met)


def emit_pause(builder):
    """Tells the core that this is a spin loop, where there is an instruction for it."""
    processor, nothing, number = builder.module.triple.split("-")[0], ir.VoidType(), ir.IntType(32)
    if processor == "x86_64":
        builder.call(declare(builder, "llvm.x86.sse2.pause", nothing, []), [])
    elif processor in ("aarch64", "arm64"):
        builder.call(declare(builder, "llvm.aarch64.hint", nothing, [number]), [number(1)])
