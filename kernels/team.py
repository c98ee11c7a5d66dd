"""Threads that run one program together: who does which part, where they wait for each other, and how they come and go.

Every thread goes through all instructions and takes its share of each. No share changes the order in which numbers are
added, so that the results are the same bits for any number of threads.

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

LINE = 16  # rows or elements: shares start at multiples, so that no two threads write to one cache line

OFFERS, LEFT = 1, 2  # places in what `meet` calls `arrived`

PAUSES = 1024  # turns of the wait before a thread offers its core to others, some 50 µs
YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

WORKER = np.dtype(
    [
        ("job", np.int64),  # address of the JOB that it is woken for
        ("thread", np.int64),  # its number in that job, from 1
        ("lock", np.int64),  # address of a lock of Python's C interface, which it sleeps at
    ]
)


@njit(inline="always", error_model="numpy")
def share(size, thread, threads):
    """The share of a thread in 0 … size - 1: its first element, a multiple of LINE, and the one behind its last."""
    if threads == 1:  # without divisions
        return 0, size
    lines = (size + LINE - 1) // LINE
    return min(size, lines * thread // threads * LINE), min(size, lines * (thread + 1) // threads * LINE)


@njit(inline="always", error_model="numpy")
def share_of_rows(size, offset, d_in, d_out, thread, threads):
    """The share of a thread in the rows of a weight matrix: about those that its share of all `size` parameters has.

    The matrix (d_in, d_out) stands at an offset among them. So a thread updates the weights whose gradients it has in
    its own cache, and reads the activations of its own layers only.
    """
    if threads == 1:
        return 0, d_in
    (left, right), lines = share(size, thread, threads), LINE * d_out
    first, last = (left - offset + lines - 1) // lines * LINE, (right - offset + lines - 1) // lines * LINE
    return min(d_in, max(0, first)), min(d_in, max(0, last))


@njit(inline="always", error_model="numpy")
def share_of_blocks(n, block, shards, thread, threads):
    """The share of a thread in the rows of a batch that goes in blocks: its first row, and the one behind its last.

    Each thread has some whole shards, as even as may be; a shard is some blocks, one after the other.
    """
    blocks = (n + block - 1) // block
    shards = min(shards, blocks)
    first = blocks * (shards * thread // threads) // shards * block
    last = blocks * (shards * (thread + 1) // threads) // shards * block
    return min(n, first), min(n, last)


@njit(inline="always", error_model="numpy")
def shard_of(first, n, block, shards):
    """The shard of the block that starts at a row, and whether it is the shard's first."""
    blocks, number = (n + block - 1) // block, first // block
    shards = min(shards, blocks)
    shard = ((number + 1) * shards - 1) // blocks
    return shard, shard * blocks // shards == number


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
    """A worker's last word on a job, of whose memory it touches nothing from here on; see `meet` for `arrived`."""

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
def meet(typingctx, arrived, threads, meeting):
    """Waits until all threads have come to this meeting, numbered from 1. What each wrote before, all read after.

    arrived : the address of three int64, all 0 before the first meeting: arrivals at all meetings, how often a thread
    offered its core to others because somebody did not come, and how many workers have left.
    """

    def codegen(context, builder, signature, args):
        address, threads, meeting = args
        with builder.if_then(builder.icmp_signed(">", threads, INDEX(1))):
            arrived = builder.inttoptr(address, INDEX.as_pointer())
            builder.atomic_rmw("add", arrived, INDEX(1), "acq_rel")
            offers = builder.gep(arrived, [INDEX(OFFERS)])
            wait_until(builder, arrived, builder.mul(threads, meeting), offers)
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
