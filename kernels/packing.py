"""Matrices in LLVM IR, and copies of their parts in the order in which `gemm.py` reads them."""

from llvmlite import ir
from numba.core import cgutils

from fastml.kernels.simd import INDEX, Vec, lanes, load, mask_for, store

CHUNK = 8  # rows that are read at a time: as many as one place of the cache can hold, where all crowd into it


class Matrix:
    """Element (i, j) stands at ``pointer + i * row + j * column``."""

    def __init__(self, builder, pointer, row, column=None):
        self.builder, self.pointer, self.row = builder, pointer, row
        self.column = INDEX(1) if column is None else column

    def at(self, i, j=None):
        """The matrix that starts at element (i, j), or (i, 0)."""
        b, offset = self.builder, self.builder.mul(i, self.row)
        if j is not None:
            offset = b.add(offset, b.mul(j, self.column))
        return Matrix(b, b.gep(self.pointer, [offset]), self.row, self.column)

    def where(self, condition, other):
        """This matrix if the condition holds, else the other."""
        choose = self.builder.select
        parts = zip((self.pointer, self.row, self.column), (other.pointer, other.row, other.column), strict=True)
        return Matrix(self.builder, *(choose(condition, ours, theirs) for ours, theirs in parts))


def smaller(builder, p, q):
    return builder.select(builder.icmp_signed("<", p, q), p, q)


def pack_panel(builder, real, b, terms, left, panel):
    """panel[p, :] = b[p, :] for all its `left` columns, the last vector filled up with 0."""
    width = lanes(real)
    with cgutils.for_range_slice(builder, INDEX(0), left, INDEX(width)) as (j, _):
        mask = mask_for(builder, builder.sub(left, j), width)
        with cgutils.for_range(builder, terms) as loop:
            vec = load(builder, b.at(loop.index, j).pointer, real, mask)
            store(builder, vec, panel.at(loop.index, j).pointer)


def pack_transposed_panel(builder, real, b, terms, left, panel):
    """panel[p, j] = b[j, p] for the `left` rows of b, the last of which is repeated up to a whole vector.

    It goes in blocks as high as a vector is wide; rows of the panel up to the next whole block are overwritten.
    """
    width = lanes(real)
    last = builder.sub(left, INDEX(1))
    with (
        cgutils.for_range_slice(builder, INDEX(0), left, INDEX(width)) as (j, _),
        cgutils.for_range_slice(builder, INDEX(0), terms, INDEX(width)) as (p, _),
    ):
        mask = mask_for(builder, builder.sub(terms, p), width)
        numbers = [smaller(builder, builder.add(j, INDEX(r)), last) for r in range(width)]
        rows = [load(builder, b.at(number, p).pointer, real, mask).value for number in numbers]
        for k, column in enumerate(transpose_block(builder, rows)):
            store(builder, Vec(builder, column), panel.at(builder.add(p, INDEX(k)), j).pointer)


def transpose_block(builder, rows):
    """The columns of a square block, from its rows: halves change places, then quarters within them, and so on."""
    width = len(rows)
    order = ir.VectorType(ir.IntType(32), width)
    half = width // 2
    while half:
        for k in range(width):
            if not k & half:
                upper, lower = rows[k], rows[k + half]
                left = [width + c - half if c & half else c for c in range(width)]
                right = [width + c if c & half else c + half for c in range(width)]
                rows[k] = builder.shuffle_vector(upper, lower, ir.Constant(order, left))
                rows[k + half] = builder.shuffle_vector(upper, lower, ir.Constant(order, right))
        half //= 2
    return rows


def pack_strips(builder, real, a, rows, terms, height, strips):
    """strips[i·terms + p·height + r] = a[i + r, p] for i = 0, height, …; the rows of a stand side by side.

    A few terms at a time for all rows, in the order in which they stand in memory. Places for rows behind the last stay
    as they are: no tile uses them.
    """
    kind = ir.VectorType(real, height)
    size = 4 if isinstance(real, ir.FloatType) else 8
    whole = builder.mul(builder.udiv(rows, INDEX(height)), INDEX(height))
    with cgutils.for_range_slice(builder, INDEX(0), terms, INDEX(CHUNK)) as (first, _):
        end = smaller(builder, builder.add(first, INDEX(CHUNK)), terms)
        with (
            cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(height)) as (i, _),
            cgutils.for_range_slice(builder, first, end, INDEX(1)) as (p, _),
        ):
            source = builder.bitcast(a.at(i, p).pointer, kind.as_pointer())
            place = builder.add(builder.mul(i, terms), builder.mul(p, INDEX(height)))
            target = builder.bitcast(builder.gep(strips, [place]), kind.as_pointer())
            builder.store(builder.load(source, align=size), target, align=size)
        with (
            cgutils.for_range_slice(builder, whole, rows, INDEX(1)) as (i, _),
            cgutils.for_range_slice(builder, first, end, INDEX(1)) as (p, _),
        ):
            place = builder.add(builder.mul(p, INDEX(height)), builder.sub(i, whole))
            target = builder.gep(strips, [builder.add(builder.mul(whole, terms), place)])
            builder.store(builder.load(a.at(i, p).pointer), target)
