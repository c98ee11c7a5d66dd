"""Threads that run one program together: who does which part, and where they wait for each other.

Every thread goes through all instructions and takes its share of each. No share changes the order in which numbers are
added, so that the results are the same bits for any number of threads.
"""

import sys

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastml.kernels.simd import INDEX, declare

LINE = 16  # rows or elements: shares start at multiples, so that no two threads write to one cache line

PAUSES = 1024  # turns of the wait before a thread offers its core to others, some 50 µs
YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"


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
def meet(typingctx, arrived, threads, meeting):
    """Waits until all threads have come to this meeting, numbered from 1. What each wrote before, all read after.

    arrived : the address of two int64, both 0 before the first meeting: arrivals at all meetings, and how often a
    thread offered its core to others because somebody did not come.
    """

    def codegen(context, builder, signature, args):
        address, threads, meeting = args
        with builder.if_then(builder.icmp_signed(">", threads, INDEX(1))):
            arrived = builder.inttoptr(address, INDEX.as_pointer())
            builder.atomic_rmw("add", arrived, INDEX(1), "acq_rel")
            offers = builder.gep(arrived, [INDEX(1)])
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
