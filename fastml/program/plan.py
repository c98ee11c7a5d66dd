"""The plan of a step: in what parts the rows of a batch go through the network, and how many threads share them.

Blocks and shards depend on the model and the batch alone, never on the threads: they decide in which order numbers are
added, and results must not depend on the machine's number of CPUs.
"""

from typing import NamedTuple

from fastml.kernels.slices import LINE
from fastml.program.threads import get_num_threads

SHARE = 64  # rows of a shard, at least
SHARDS = 16  # at most, a power of 2 as their number is, which threads can share evenly
SHARDS_BYTES = 2**26  # of all shards' gradients, at most
WORTH = 12  # bytes of the rows for each byte of the weights: with fewer, shards cost more than they save
CACHED = 2**17  # bytes of the workspace of a block, which then stays in the second-level cache
LEAST, MOST = 128, 1024  # rows of a block
SHARED = 1e6  # floating-point operations of a step for each thread: with fewer, meeting costs more than it saves
PAIR = 3e5  # or, of two threads that are awake for many steps, for both


class Plan(NamedTuple):
    """Rows of a block, or 0 where a batch goes as a whole; gradients that blocks are summed up in; threads."""

    block: int = 0
    shards: int = 1
    threads: int = 1


WHOLE = Plan()


def make_plan(rows, row_bytes, params_bytes, row_flops, alone, once=False):
    """The Plan for a batch of `rows` rows, which take row_bytes of workspace and row_flops operations each.

    Blocks are for batches whose rows take more memory than the weights: they stay in the cache, and what threads get
    from each other is a gradient instead of the rows. `alone`: whether rows do not influence each other, as they must.
    `once`: whether this is all that threads would be woken for.
    """
    block, most = 0, min(SHARDS, rows // SHARE, SHARDS_BYTES // max(1, params_bytes))
    shards = 1 << most.bit_length() - 1 if most else 1
    if alone and shards > 1 and rows * row_bytes >= WORTH * params_bytes:
        share = -(-rows // (shards * LINE)) * LINE
        block = min(share, min(MOST, max(LEAST, CACHED // row_bytes)) // LINE * LINE)
    else:
        shards = 1
    parts = shards if block else rows // LINE
    flops = rows * row_flops
    threads = min(max(int(flops / SHARED), 2 * (flops >= PAIR and not once)), parts)
    return Plan(block, shards, min(get_num_threads(), threads) if threads > 1 else 1)  # to ask takes its time


def batches(rows, batch_size, alone):
    """How many batches the rows are, and the rows of the largest.

    The last one takes what is left. Unless rows stand alone, a single one that is left joins the batch before it.
    """
    steps, rest = divmod(rows, batch_size)
    if not alone and rest == 1 and steps:
        return steps, batch_size + 1
    return steps + (rest > 0), batch_size
