"""Turns: whole jobs that one thread runs one after the other, while whoever gives them to it goes on."""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from fastml.kernels.clock import ticks
from fastml.kernels.simd import INDEX
from fastml.kernels.views import at_address

TURN = np.dtype(
    [
        ("job", np.int64),  # address of a JOB for one thread
        ("ticks", np.int64),  # that it took; see `clock.ticks`
    ]
)

LINE = np.dtype(
    [
        ("turns", np.int64),  # address of TURNs, of which number k stands at k % room
        ("room", np.int64),
        ("arrived", np.int64),  # address of three int64; see `team.wait_for_all`
        ("done", np.int64),  # turns that were taken, all in all; whoever takes them keeps it
        ("rest", np.int64, 4),  # whole cache lines, as another thread writes to what follows
        ("posted", np.int64),  # turns that were given, all in all
        ("closed", np.int64),  # 1 where no further one is to be taken
        ("end", np.int64, 6),
    ]
)
DONE, POSTED, CLOSED = (LINE.fields[name][1] for name in ("done", "posted", "closed"))  # bytes from the start


@intrinsic
def load_acquire(typingctx, address):
    """The int64 at an address; what was written before it was, is read after."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(builder.inttoptr(args[0], INDEX.as_pointer()), "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def store_release(typingctx, address, value):
    """Writes an int64 to an address; who reads it, reads what was written before."""

    def codegen(context, builder, signature, args):
        builder.store_atomic(args[1], builder.inttoptr(args[0], INDEX.as_pointer()), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@njit(inline="always", error_model="numpy")
def next_turn(address):
    """The address of the job whose turn is next in the LINE at an address, or 0 where there is none."""
    line = at_address(LINE, address, 1)[0]
    if load_acquire(address + CLOSED) or line.done >= load_acquire(address + POSTED):
        return 0
    turn = at_address(TURN, line.turns, line.room)[line.done % line.room]
    turn.ticks = -ticks()
    return turn.job


@njit(inline="always", error_model="numpy")
def end_turn(address):
    """Tells that the turn which was next is over."""
    line = at_address(LINE, address, 1)[0]
    turn = at_address(TURN, line.turns, line.room)[line.done % line.room]
    turn.ticks += ticks()
    store_release(address + DONE, line.done + 1)
