"""Matrix products from one tile: a few rows by up to three vectors of the result stay in registers over the whole sum.

Nothing is padded: the last vector of a row is masked, and a tile that reaches past the last row computes that row
again. Small products read their operands where they stand. Large ones first copy the block that they are about to read
many times into the order in which they read it (`packing.py`).
"""

from contextlib import contextmanager

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.activations import EPILOGUES
from fastml.kernels.packing import Matrix, pack_panel, pack_strips, pack_transposed_panel, smaller
from fastml.kernels.simd import BITS, INDEX, Vec, fold, lanes, load, mask_for, real_type, splat, store

# With 3 vectors, 8 rows fill 24 accumulators, which leaves room for b and a in the 32 registers of AVX-512; narrower
# x86 vectors have 16 registers. What is left of the rows goes through a tile of half the height.
ROWS = 8 if BITS == 512 else 4
VECTORS = 3

# A packed panel of b, TERMS x 3 vectors, comes from the second-level cache as fast as the arithmetic takes it, and a
# block of a, HEIGHT x TERMS, fits there beside it. Copies pay from LARGE multiplications on.
TERMS = 512
HEIGHT = 256
LARGE = 16_000_000
PANEL = (TERMS + 16) * VECTORS * (BITS // 32)
ROOM = PANEL + HEIGHT * TERMS  # elements that a product may use for its copies


def emit_tile(builder, real, height, vectors, a, rows, b, terms, start, start_left, c, left, e, epilogue):
    """c[r, :] = f(start[r, :] + Σₚ a[r, p]·b[p, :], e[r, :]) for `rows` ≤ `height` rows and `left` columns.

    The matrices begin at the tile. Of start, start_left columns are read: 0 makes it zero. The epilogue names f.
    """
    width = lanes(real)
    inside = [None] * (vectors - 1) + [mask_for(builder, builder.sub(left, INDEX((vectors - 1) * width)), width)]
    some = [mask_for(builder, builder.sub(start_left, INDEX(v * width)), width) for v in range(vectors)]
    last = builder.sub(rows, INDEX(1))
    numbers = [smaller(builder, INDEX(r), last) for r in range(height)]
    a_rows = [a.at(number).pointer for number in numbers]

    def read(pointer, masks):
        return [load(builder, builder.gep(pointer, [INDEX(v * width)]), real, m) for v, m in enumerate(masks)]

    def multiply_add(p, sums):
        b_row, offset, results = read(b.at(p).pointer, inside), builder.mul(p, a.column), []
        for r in range(height):
            factor = splat(builder, builder.load(builder.gep(a_rows[r], [offset])), width)
            for v in range(vectors):
                results.append(factor.fma(b_row[v], Vec(builder, sums[r * vectors + v])).value)
        return results

    starts = [vec.value for number in numbers for vec in read(start.at(number).pointer, some)]
    sums = fold(builder, terms, starts, multiply_add)
    done, plain = builder.append_basic_block("done"), builder.append_basic_block("plain")
    switch = builder.switch(epilogue, plain)
    for code, f in [(None, lambda z, e: z), *EPILOGUES.items()]:
        builder.position_at_end(plain if code is None else builder.append_basic_block("epilogue"))
        if code is not None:
            switch.add_case(INDEX(code), builder.block)
        for r, number in enumerate(numbers):
            c_row, e_row = c.at(number).pointer, read(e.at(number).pointer, inside)
            for v in range(vectors):
                result = f(Vec(builder, sums[r * vectors + v]), e_row[v])
                store(builder, result, builder.gep(c_row, [INDEX(v * width)]), inside[v])
        builder.branch(done)
    builder.position_at_end(done)


def sweep(module, real):
    """The LLVM function that computes a panel, up to three vectors of columns of c, for all rows, tile by tile.

    It is made once in a module; the products share it.
    """
    pointer = real.as_pointer()
    kinds = {"a": pointer, "a_strip": INDEX, "a_row": INDEX, "a_column": INDEX, "rows": INDEX, "b": pointer}
    kinds |= {"b_row": INDEX, "terms": INDEX, "start": pointer, "start_row": INDEX, "start_left": INDEX}
    kinds |= {"c": pointer, "c_row": INDEX, "left": INDEX, "e": pointer, "epilogue": INDEX}
    signature = ir.FunctionType(ir.VoidType(), list(kinds.values()))
    function = cgutils.get_or_insert_function(module, signature, f"fastml_sweep_{real}")
    if function.blocks:
        return function
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    given = dict(zip(kinds, function.args, strict=True))
    rows, left, width = given["rows"], given["left"], lanes(real)
    a = Matrix(builder, given["a"], given["a_strip"])
    b, start, c = (Matrix(builder, given[name], given[f"{name}_row"]) for name in ("b", "start", "c"))
    e = Matrix(builder, given["e"], given["c_row"])

    def tile(i, height, vectors):
        a_tile = Matrix(builder, a.at(i).pointer, given["a_row"], given["a_column"])
        terms, start_left, epilogue = given["terms"], given["start_left"], given["epilogue"]
        operands = a_tile, builder.sub(rows, i), b, terms, start.at(i), start_left, c.at(i), left, e.at(i), epilogue
        emit_tile(builder, real, height, vectors, *operands)

    half = ROWS // 2  # of a strip: a rest of more than that takes a whole one
    whole = builder.and_(builder.add(rows, INDEX(half - 1)), INDEX(-ROWS))
    for vectors in range(1, VECTORS + 1):
        above = builder.icmp_signed(">", left, INDEX((vectors - 1) * width))
        with builder.if_then(builder.and_(above, builder.icmp_signed("<=", left, INDEX(vectors * width)))):
            with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(ROWS)) as (i, _):
                tile(i, ROWS, vectors)
            with builder.if_then(builder.icmp_signed("<", whole, rows)):
                tile(whole, half, vectors)
    builder.ret_void()
    return function


def product(a_is="rows", b_transposed=False):
    """``run(a, first, b, start, accumulate, epilogue, e, c, room)`` for Numba: c = f(start + a·b, e).

    a : (n, k), b : (k, d), c, e : (n, d), k ≥ 1, all C-contiguous, of one dtype. If `a_is` "columns", a : (k, …) is
    transposed, and its columns from `first` on count; if "ones", it is not read and all its elements are 1. If
    `b_transposed`, b is (d, k). start : (d,), or (0,) for none, or c itself if `accumulate`. epilogue : a key of
    EPILOGUES, which has f, or 0 for f(z, e) = z. room : (ROOM,) to copy to. Overwrites c and room.
    """

    @intrinsic
    def run(typingctx, a, first, b, start, accumulate, epilogue, e, c, room):
        def codegen(context, builder, signature, args):
            real = real_type(c.dtype)
            kinds = {0: a, 2: b, 3: start, 6: e, 7: c, 8: room}
            arrays = {k: make_array(kind)(context, builder, args[k]) for k, kind in kinds.items()}
            n, d = cgutils.unpack_tuple(builder, arrays[7].shape, 2)
            terms = builder.extract_value(arrays[2].shape, 1 if b_transposed else 0)
            if a_is == "ones":
                one = cgutils.alloca_once_value(builder, ir.Constant(real, 1.0))
                a_ = Matrix(builder, one, INDEX(0), INDEX(0))
            elif a_is == "columns":
                a_ = Matrix(builder, arrays[0].data, INDEX(1), builder.extract_value(arrays[0].shape, 1)).at(args[1])
            else:
                a_ = Matrix(builder, arrays[0].data, terms)
            b_ = Matrix(builder, arrays[2].data, terms if b_transposed else d)
            c_, e_ = (Matrix(builder, arrays[k].data, d) for k in (7, 6))
            operands = a_, b_, (arrays[3].data, arrays[3].nitems), args[4], c_, e_, args[5], arrays[8].data, n, terms, d
            emit_blocks(builder, real, a_is == "columns", b_transposed, *operands)
            return context.get_dummy_value()

        size = types.int64
        return types.void(a, size, b, start, types.boolean, size, e, c, room), codegen

    return run


def emit_blocks(builder, real, pack_a, pack_b, a, b, start, accumulate, c, e, epilogue, room, n, terms, columns):
    """The loops of a product: blocks of rows, of terms, and panels; b is packed if it is transposed or all is large."""
    width = lanes(real)
    size = builder.mul(n, builder.mul(terms, columns))
    large = builder.icmp_signed(">=", size, INDEX(LARGE))
    height = builder.select(large, INDEX(HEIGHT), n)
    depth = INDEX(TERMS) if pack_b else builder.select(large, INDEX(TERMS), terms)
    panel, strips = Matrix(builder, room, INDEX(VECTORS * width)), builder.gep(room, [INDEX(PANEL)])

    with (
        cgutils.for_range_slice(builder, INDEX(0), n, height) as (i, _),
        cgutils.for_range_slice(builder, INDEX(0), terms, depth) as (p, _),
    ):
        rows, some = smaller(builder, builder.sub(n, i), height), smaller(builder, builder.sub(terms, p), depth)
        a_block, a_strip = a.at(i, p), a.row
        if pack_a:
            with builder.if_then(large):
                pack_strips(builder, real, a_block, rows, some, ROWS, strips)
            a_block = Matrix(builder, strips, INDEX(1), INDEX(ROWS)).where(large, a_block)
            a_strip = builder.select(large, some, a_strip)
        adding = builder.or_(accumulate, builder.icmp_signed(">", p, INDEX(0)))
        ends = builder.icmp_signed("==", builder.add(p, some), terms)
        last = builder.select(ends, epilogue, INDEX(0))
        with panels(builder, columns, width) as (j, left):
            if pack_b:
                pack_transposed_panel(builder, real, b.at(j, p), some, left, panel)
                b_panel = panel
            else:
                with builder.if_then(large):
                    pack_panel(builder, real, b.at(p, j), some, left, panel)
                b_panel = panel.where(large, b.at(p, j))
            c_panel = c.at(i, j)
            bias = Matrix(builder, builder.gep(start[0], [j]), INDEX(0))
            start_panel = c_panel.where(adding, bias)
            start_left = builder.select(adding, left, smaller(builder, left, builder.sub(start[1], j)))
            arguments = [
                a_block.pointer,
                a_strip,
                a_block.row,
                a_block.column,
                rows,
                b_panel.pointer,
                b_panel.row,
                some,
            ]
            arguments += [start_panel.pointer, start_panel.row, start_left]
            arguments += [c_panel.pointer, c_panel.row, left, e.at(i, j).pointer, last]
            builder.call(sweep(builder.module, real), arguments)


@contextmanager
def panels(builder, columns, width):
    """A loop over c's columns, three vectors at a time, or two where four are left, as one alone would be slow.

    Gives the first column and how many columns the panel has.
    """
    place = cgutils.alloca_once_value(builder, INDEX(0))
    test, body, end = (builder.append_basic_block(name) for name in ("panels", "panel", "panels.end"))
    builder.branch(test)
    builder.position_at_end(test)
    j = builder.load(place)
    left = builder.sub(columns, j)
    builder.cbranch(builder.icmp_signed(">", left, INDEX(0)), body, end)
    builder.position_at_end(body)
    above = builder.icmp_signed(">", left, INDEX(VECTORS * width))
    four = builder.and_(above, builder.icmp_signed("<=", left, INDEX((VECTORS + 1) * width)))
    size = smaller(builder, left, builder.select(four, INDEX(2 * width), INDEX(VECTORS * width)))
    yield j, size
    builder.store(builder.add(j, size), place)
    builder.branch(test)
    builder.position_at_end(end)
