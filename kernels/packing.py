"""Copies of parts of matrices, in the order in which `gemm.py` reads them."""

from llvmlite import ir
from numba.core import cgutils

from fastml.kernels.matrix import Matrix, private_function, smaller
from fastml.kernels.simd import INDEX, Vec, lanes, load, mask_for, size_of, store
from fastml.kernels.tiling import GROUP, PAD, PANEL, ROWS, VECTORS

CHUNK = 8  # rows that are read at a time: as many as one place of the cache can hold, where all crowd into it


def copy_panels(builder, real, b, terms, left, panels):
    """panelsₖ[p, :] = b[p, columns of panel k] for its `left` columns, in up to GROUP panels, with 0 behind the last.

    What stands side by side in a row is read at once, as the next row is far away; for the last panels, which may have
    less, a vector at a time.
    """
    width = lanes(real)
    places = [
        (INDEX(k * PANEL + v * width), INDEX((k * VECTORS + v) * width)) for k in range(GROUP) for v in range(VECTORS)
    ]

    def copy(p, v, mask=None):
        there, here = places[v]
        store(builder, load(builder, b.at(p, here).pointer, real, mask), panels.at(p, there).pointer)

    whole = builder.icmp_signed(">=", left, INDEX(len(places) * width))
    with builder.if_else(whole) as (all_, some):
        with all_, cgutils.for_range(builder, terms) as loop:
            for v in range(len(places)):
                copy(loop.index, v)
        with some:
            for v in range(len(places)):
                rest = builder.sub(left, INDEX(v * width))
                mask = mask_for(builder, rest, width)
                with (
                    builder.if_then(builder.icmp_signed(">", rest, INDEX(0))),
                    cgutils.for_range(builder, terms) as loop,
                ):
                    copy(loop.index, v, mask)


def copy_transposed_panel(builder, real, b, terms, left, panel):
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
    """strips[i·(terms + PAD) + p·height + r] = a[i + r, p] for i = 0, height, …; the rows of a stand side by side.

    A few terms at a time for all rows, in the order in which they stand in memory. Places for rows behind the last stay
    as they are: no tile uses them.
    """
    kind = ir.VectorType(real, height)
    size = size_of(real)
    whole = builder.mul(builder.udiv(rows, INDEX(height)), INDEX(height))
    step = builder.add(terms, INDEX(PAD))
    with cgutils.for_range_slice(builder, INDEX(0), terms, INDEX(CHUNK)) as (first, _):
        end = smaller(builder, builder.add(first, INDEX(CHUNK)), terms)
        with (
            cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(height)) as (i, _),
            cgutils.for_range_slice(builder, first, end, INDEX(1)) as (p, _),
        ):
            source = builder.bitcast(a.at(i, p).pointer, kind.as_pointer())
            place = builder.add(builder.mul(i, step), builder.mul(p, INDEX(height)))
            target = builder.bitcast(builder.gep(strips, [place]), kind.as_pointer())
            builder.store(builder.load(source, align=size), target, align=size)
        with (
            cgutils.for_range_slice(builder, whole, rows, INDEX(1)) as (i, _),
            cgutils.for_range_slice(builder, first, end, INDEX(1)) as (p, _),
        ):
            place = builder.add(builder.mul(p, INDEX(height)), builder.sub(i, whole))
            target = builder.gep(strips, [builder.add(builder.mul(whole, step), place)])
            builder.store(builder.load(a.at(i, p).pointer), target)


def pack_panel(module, real, transposed):
    """The LLVM function that copies a panel of b, or of bᵀ if `transposed`."""
    kinds = {"b": real.as_pointer(), "b_row": INDEX, "terms": INDEX, "columns": INDEX, "panel": real.as_pointer()}
    function, builder = private_function(module, f"fastml_pack_{'transposed' if transposed else 'rows'}_{real}", kinds)
    if builder is None:
        return function
    b_, b_row, terms, columns, panel = function.args
    copy = copy_transposed_panel if transposed else copy_panels
    b, panel = Matrix(builder, b_, b_row), Matrix(builder, panel, INDEX(VECTORS * lanes(real)))
    copy(builder, real, b, terms, columns, panel)
    builder.ret_void()
    return function


def pack_block(module, real):
    """The LLVM function that copies a block of a, whose rows stand side by side, into strips."""
    kinds = {"a": real.as_pointer(), "column": INDEX, "rows": INDEX, "terms": INDEX, "strips": real.as_pointer()}
    function, builder = private_function(module, f"fastml_pack_strips_{real}", kinds)
    if builder is None:
        return function
    a, column, rows, terms, strips = function.args
    pack_strips(builder, real, Matrix(builder, a, INDEX(1), column), rows, terms, ROWS, strips)
    builder.ret_void()
    return function
