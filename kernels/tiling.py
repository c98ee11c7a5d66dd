"""The sizes of a matrix product's parts, for the registers and caches of this CPU.

A tile is what registers hold of the result, a panel some vectors of columns of b and of the result, a strip some rows
of a, a block what is copied of a at a time, a group some panels of b that are copied at a time.
"""

from contextlib import contextmanager

from numba.core import cgutils

from fastml.kernels.matrix import smaller
from fastml.kernels.simd import BITS, INDEX

# The sums of a tile take 24 of the 32 registers of AVX-512, or 12 of the 16 of narrower vectors; b and a take 4. Masks
# have registers of their own there; here they take one more, and a store under a mask is slow: whole tiles have none.
ROWS, VECTORS = (8, 3) if BITS == 512 else (6, 2)
MASKS = (True,) if BITS == 512 else (False, True)

# A packed panel of b, TERMS x VECTORS vectors, streams from the second level of the cache as fast as the arithmetic
# takes it: what costs is to read and write c anew for each block of terms, so that blocks are long. A block of a,
# HEIGHT x TERMS, fits into the second level, too, a group of panels into the third. Copies pay from LARGE on.
TERMS, HEIGHT, GROUP, LARGE = (512, 256, 8, 16_000_000) if BITS == 512 else (1024, 96, 16, 2_000_000)
PANEL = (TERMS + 16) * VECTORS * (BITS // 32)  # not a power of 2, which would crowd a few places of the cache
SCRATCH = GROUP * PANEL + HEIGHT * TERMS  # elements that a product may use for its copies


@contextmanager
def panels(builder, columns, width):
    """A loop over c's columns, a panel at a time; a panel less wide where one vector would be left, as that is slow.

    Gives the first column of the panel, how many it has, and its number.
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
    number = builder.udiv(builder.add(j, INDEX(VECTORS * width - 1)), INDEX(VECTORS * width))
    yield j, size, number
    builder.store(builder.add(j, size), place)
    builder.branch(test)
    builder.position_at_end(end)
