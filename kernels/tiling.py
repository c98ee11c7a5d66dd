"""The sizes of a matrix product's parts, for the registers and caches of this CPU.

A tile is what registers hold of the result, a panel some vectors of columns of b and of the result, a strip some rows
of a, a block what is copied of a at a time, a group some panels of b that are copied at a time.
"""

from contextlib import contextmanager

from numba.core import cgutils

from fastml.kernels.cpu import BITS
from fastml.kernels.matrix import smaller
from fastml.kernels.simd import INDEX

# The sums of a tile take 24 of the 32 registers of AVX-512, or 12 of the 16 of narrower vectors; b and a take 4. Masks
# have registers of their own there; here they take one more, and some branches to store under: whole tiles have none.
ROWS, VECTORS = (8, 3) if BITS == 512 else (6, 2)
MASKS = (True,) if BITS == 512 else (False, True)

# A panel of b, up to TERMS x VECTORS vectors, streams from the second level of the cache as fast as the arithmetic
# takes it. It is read where it stands, unless its rows are far apart (`far_apart`); copies are made for GROUP panels at
# a time. What costs is to read and write c anew for each block of terms, so that blocks are long. A block of a, HEIGHT
# x TERMS, is read so slowly that the third level serves as well; it is copied where rows of c have WIDE bytes, so that
# each strip is used often, and PAD terms between its strips keep these from crowding. Copies pay from LARGE on.
TERMS, HEIGHT, LARGE, FAR = (512, 1024, 16_000_000, 4096) if BITS == 512 else (1024, 516, 2_000_000, 1024)
GROUP, WIDE = (1, 193) if BITS == 512 else (4, 512)
PANEL, PAD = TERMS * VECTORS * (BITS // 32), 2  # elements of a panel at most; terms
SCRATCH = -(-(GROUP * PANEL + HEIGHT * (TERMS + PAD)) // 16) * 16  # elements for copies; a thread's, whole cache lines
UNROLL = 2  # terms that a turn of a tile's loop takes; more cost small products what they give to large ones


def scratch_size(rows, shapes):
    """Elements that one thread needs as scratch for products of so many rows with matrices of these shapes, at most.

    Below LARGE there is but one panel to copy, of a transposed matrix, in blocks as high as a vector is wide.
    """
    if any(rows * d_in * d_out >= LARGE for d_in, d_out in shapes):
        return SCRATCH
    block = BITS // 32
    terms = max((-(-d_out // block) * block for _, d_out in shapes), default=0)
    return min(TERMS, terms) * (PANEL // TERMS)


def far_apart(builder, row):
    """Whether rows of so many bytes are too far apart to be read where they stand, a vector or some of each.

    Where a core has 2 MB of its second-level cache, as those with vectors of 512 bits do, only those are that crowd
    into the same few places of it, as powers of 2 do; in 512 KB, all that have a page for a few of them.
    """
    if BITS == 512:
        return builder.icmp_signed("==", builder.and_(row, INDEX(FAR - 1)), INDEX(0))
    return builder.icmp_signed(">=", row, INDEX(FAR))


@contextmanager
def panels(builder, columns, width):
    """A loop over c's columns, a panel at a time; a panel less wide where one vector would be left, as that is slow.

    Gives the first column of the panel, and how many it has.
    """
    place = cgutils.alloca_once_value(builder, INDEX(0))
    test, body, end = (builder.append_basic_block(name) for name in ("panels", "panel", "panels.end"))
    builder.branch(test)
    builder.position_at_end(test)
    j = builder.load(place)
    left = builder.sub(columns, j)
    builder.cbranch(builder.icmp_signed(">", left, INDEX(0)), body, end)
    builder.position_at_end(body)
    size = INDEX(VECTORS * width)
    if VECTORS > 2:
        above = builder.icmp_signed(">", left, size)
        alone = builder.and_(above, builder.icmp_signed("<=", left, INDEX((VECTORS + 1) * width)))
        size = builder.select(alone, INDEX((VECTORS - 1) * width), size)
    size = smaller(builder, left, size)
    yield j, size
    builder.store(builder.add(j, size), place)
    builder.branch(test)
    builder.position_at_end(end)
