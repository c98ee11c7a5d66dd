"""Batches that go through the network in blocks of rows: which are a thread's, and where their gradients are summed up.

No sum depends on the threads: a shard is some blocks, one after the other, and a thread has whole shards.
"""

from numba import njit

from fastml.kernels.operands import Job, Slice
from fastml.kernels.operation import operation


@njit(inline="always", error_model="numpy")
def slice_of_blocks(n, block, shards, thread, threads):
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


@operation
def begin_block(job: Job(), slice_: Slice()):
    """The slice is the next block of the thread's rows of the batch, or their first one."""
    n, block, shards = slice_.n, job.block, job.shards
    if slice_.blocks:
        slice_.first += slice_.m
    else:
        slice_.first, slice_.end = slice_of_blocks(n, block, shards, slice_.thread, slice_.threads)
        slice_.at = slice_.source = slice_.thread * block
    slice_.blocks += 1
    slice_.m = slice_.count = min(block, slice_.end - slice_.first)
    slice_.shard, slice_.fresh = shard_of(slice_.first, n, block, shards)


@operation
def next_block(slice_: Slice()):
    """Back to the first instruction, unless this was the last of the thread's blocks."""
    if slice_.first + slice_.m < slice_.end:
        slice_.jump = 0
