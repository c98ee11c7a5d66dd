"""Matrix products from one tile: some rows by a few vectors of the result stay in registers over the whole sum.

Nothing is padded: the last vector of a row is masked, and a tile that reaches past the last row computes that row
again. Products read their operands where they stand. Where that would be slow, they first copy what they are about to
read many times into the order in which they read it (`packing.py`).
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.elementwise import call
from fastml.kernels.fold import fold
from fastml.kernels.matrix import Matrix, private_function, smaller
from fastml.kernels.packing import pack_block, pack_panel
from fastml.kernels.simd import INDEX, Vec, lanes, load, mask_for, real_type, size_of, splat, store_all
from fastml.kernels.tiling import (
    GROUP,
    HEIGHT,
    LARGE,
    MASKS,
    PAD,
    PANEL,
    ROWS,
    TERMS,
    UNROLL,
    VECTORS,
    WIDE,
    far_apart,
    panels,
)


def emit_tile(builder, real, height, vectors, exact, masked, a, rows, b, terms, start, c, left):
    """c[r, :] = start[r, :] + Σₚ a[r, p]·b[p, :] for `rows` ≤ `height` rows, all if `exact`, and `left` columns.

    The matrices begin at the tile. The columns end within the last vector if `masked`, else with it.
    """
    width = lanes(real)
    mask = mask_for(builder, builder.sub(left, INDEX((vectors - 1) * width)), width) if masked else None
    masks = [None] * (vectors - 1) + [mask]
    last = builder.sub(rows, INDEX(1))
    numbers = [INDEX(r) if exact else smaller(builder, INDEX(r), last) for r in range(height)]
    a_rows = [a.at(number) for number in numbers]

    def read(pointer):
        return [load(builder, builder.gep(pointer, [INDEX(v * width)]), real, m) for v, m in enumerate(masks)]

    def multiply_add(p, sums):
        b_row, results = read(b.at(p).pointer), []
        for r in range(height):
            factor = splat(builder, builder.load(a_rows[r].at(INDEX(0), p).pointer), width)
            for v in range(vectors):
                results.append(factor.fma(b_row[v], Vec(builder, sums[r * vectors + v])).value)
        return results

    starts = [vec.value for number in numbers for vec in read(start.at(number).pointer)]
    sums = [Vec(builder, value) for value in fold(builder, terms, starts, multiply_add, UNROLL if exact else 1)]
    for v, mask_ in enumerate(masks):
        places = [builder.gep(c.at(number).pointer, [INDEX(v * width)]) for number in numbers]
        store_all(builder, sums[v::vectors], places, mask_)


def sweep(module, real, strips):
    """The LLVM function that computes a panel, up to VECTORS vectors of columns of c, for all rows, tile by tile.

    If `strips`, elements of a column of a stand side by side, else those of a row.
    """
    pointer = real.as_pointer()
    kinds = {"a": pointer, "a_tile": INDEX, "a_step": INDEX, "rows": INDEX, "b": pointer, "b_row": INDEX}
    kinds |= {"terms": INDEX, "start": pointer, "start_row": INDEX, "c": pointer, "c_row": INDEX, "left": INDEX}
    function, builder = private_function(module, f"fastml_sweep_{'strips' if strips else 'rows'}_{real}", kinds)
    if builder is None:
        return function
    given = dict(zip(kinds, function.args, strict=True))
    rows, left, terms, width = given["rows"], given["left"], given["terms"], lanes(real)
    a = Matrix(builder, given["a"], given["a_tile"])
    b, start, c = (Matrix(builder, given[name], given[f"{name}_row"]) for name in ("b", "start", "c"))
    steps = (INDEX(1), given["a_step"]) if strips else (given["a_step"], INDEX(1))

    def tile(i, height, vectors, exact, masked):
        a_tile = Matrix(builder, a.at(i).pointer, *steps)
        operands = a_tile, builder.sub(rows, i), b, terms, start.at(i), c.at(i), left
        emit_tile(builder, real, height, vectors, exact, masked, *operands)

    whole = builder.mul(builder.udiv(rows, INDEX(ROWS)), INDEX(ROWS))
    rest = builder.sub(rows, whole)
    for vectors in range(1, VECTORS + 1):
        for masked in MASKS:
            most, least = INDEX(vectors * width), INDEX((vectors - 1) * width)
            fits = builder.icmp_signed("==", left, most)
            if masked:
                below = builder.icmp_signed("<=" if len(MASKS) == 1 else "<", left, most)
                fits = builder.and_(builder.icmp_signed(">", left, least), below)
            with builder.if_then(fits):
                with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(ROWS)) as (i, _):
                    tile(i, ROWS, vectors, True, masked)
                for height, low, high in ((ROWS // 2, 0, ROWS // 2), (ROWS, ROWS // 2, ROWS)):
                    above = builder.icmp_signed(">", rest, INDEX(low))
                    with builder.if_then(builder.and_(above, builder.icmp_signed("<=", rest, INDEX(high)))):
                        tile(whole, height, vectors, False, masked)
    builder.ret_void()
    return function


def product(a_is="rows", b_transposed=False):
    """``run(a, first, b, start, accumulate, c, function, u, out, scratch)`` for Numba: c = start + a·b, out = f(u, c).

    a : (n, k), b : (k, d), c, u, out : (n, d), k ≥ 1, all C-contiguous, of one dtype. If `a_is` "columns", a : (k, …)
    is transposed, and its columns from `first` on count; if "ones", it is not read and all its elements are 1. If
    `b_transposed`, b is (d, k). start : (d,), or (0,) for none, or c itself if `accumulate`. function : a pair of
    addresses, of an elementwise f and of the instruction, or of zeros for none. Then out is not written; else it may be
    c, as may u. scratch : (SCRATCH,) to copy to. Overwrites c, out and scratch.
    """

    @intrinsic
    def run(typingctx, a, first, b, start, accumulate, c, function, u, out, scratch):
        def codegen(context, builder, signature, args):
            real = real_type(c.dtype)
            kinds = {0: a, 2: b, 3: start, 5: c, 7: u, 8: out, 9: scratch}
            arrays = {k: make_array(kind)(context, builder, args[k]) for k, kind in kinds.items()}
            a_data, b_data, start_data, c_data, u_data, out_data, room = (array.data for array in arrays.values())
            n, d = cgutils.unpack_tuple(builder, arrays[5].shape, 2)
            terms = builder.extract_value(arrays[2].shape, 1 if b_transposed else 0)
            a_row = builder.extract_value(arrays[0].shape, 1)
            if a_is == "ones":
                a_data = constants(builder, real, 1.0, ROWS)
            elif a_is == "columns":
                a_data = builder.gep(a_data, [args[1]])
            operands = [a_data, a_row, b_data, start_data, arrays[3].nitems, args[4], c_data]
            operands += [*cgutils.unpack_tuple(builder, args[6], 2), u_data, out_data, room, n, terms, d]
            builder.call(blocks(builder.module, real, a_is, b_transposed), operands)
            return context.get_dummy_value()

        pair = types.UniTuple(types.int64, 2)
        return types.void(a, types.int64, b, start, types.boolean, c, pair, u, out, scratch), codegen

    return run


def constants(builder, real, number, count):
    """Pointer to `count` copies of a number."""
    values = ir.Constant(ir.ArrayType(real, count), [ir.Constant(real, number)] * count)
    place = cgutils.global_constant(builder, f"fastml_{count}_of_{number}", values)
    return builder.bitcast(place, real.as_pointer())


def blocks(module, real, a_is, b_transposed):
    """The LLVM function with the loops of a product: blocks of rows and of terms, panels of columns.

    b is copied if it is transposed, or if all is large and its rows are far apart; a if its columns are the rows, and
    are used often.
    """
    pointer = real.as_pointer()
    kinds = {"a": pointer, "a_row": INDEX, "b": pointer, "start": pointer, "start_size": INDEX}
    kinds |= {"accumulate": ir.IntType(1), "c": pointer, "function": INDEX, "instruction": INDEX, "u": pointer}
    kinds |= {"out": pointer, "scratch": pointer, "n": INDEX, "terms": INDEX, "columns": INDEX}
    name = f"fastml_product_{a_is}{'_transposed' * b_transposed}_{real}"
    function, builder = private_function(module, name, kinds)
    if builder is not None:
        Blocks(builder, real, a_is, b_transposed, function.args).emit()
        builder.ret_void()
    return function


class Blocks:
    """What the loops of a product know: matrices, sizes, and what is copied."""

    def __init__(self, builder, real, a_is, b_transposed, arguments):
        self.builder, self.real, self.a_is, self.b_transposed = builder, real, a_is, b_transposed
        a_, a_row, b_, start, start_size, self.accumulate, c_, self.f, self.instruction, u_, out_, *rest = arguments
        self.scratch, self.n, self.terms, columns = rest
        steps = {"rows": (a_row, INDEX(1)), "columns": (INDEX(1), a_row), "ones": (INDEX(0), INDEX(0))}[a_is]
        self.a, self.b = Matrix(builder, a_, *steps), Matrix(builder, b_, self.terms if b_transposed else columns)
        self.c, self.u, self.out = (Matrix(builder, pointer, columns) for pointer in (c_, u_, out_))
        self.columns, self.width = columns, lanes(real)
        size = builder.mul(self.n, builder.mul(self.terms, columns))
        large = builder.icmp_signed(">=", size, INDEX(LARGE))
        row = builder.mul(columns, INDEX(size_of(real)))
        self.reused = builder.and_(large, builder.icmp_signed(">=", row, INDEX(WIDE)))
        self.packs = cgutils.true_bit if b_transposed else builder.and_(large, far_apart(builder, row))
        if a_is == "ones":  # a single row of c, for which b is read but once
            self.packs = cgutils.false_bit
        self.copies = builder.gep(self.scratch, [INDEX(GROUP * PANEL)])
        self.biased = builder.icmp_signed(">", start_size, INDEX(0))
        self.bias = builder.select(self.biased, start, constants(builder, real, 0.0, VECTORS * self.width))

    def emit(self):
        """The loops."""
        b = self.builder
        with (
            cgutils.for_range_slice(b, INDEX(0), self.n, INDEX(HEIGHT)) as (i, _),
            cgutils.for_range_slice(b, INDEX(0), self.terms, INDEX(TERMS)) as (p, _),
        ):
            rows = smaller(b, b.sub(self.n, i), INDEX(HEIGHT))
            some = smaller(b, b.sub(self.terms, p), INDEX(TERMS))
            a_block = self.block_of_a(i, p, rows, some)
            with panels(b, self.columns, self.width) as (j, left):
                b_panel = self.panel_of_b(p, j, some, left)
                self.multiply_panel(i, p, j, rows, some, left, b_panel, *a_block)

    def panel_of_b(self, p, j, some, left):
        """The panel that begins at element (p, j), or its copy, made with those of the GROUP that it begins."""
        b, width = self.builder, VECTORS * self.width
        pack = pack_panel(b.module, self.real, self.b_transposed)
        if self.b_transposed:
            b.call(pack, [self.b.at(j, p).pointer, self.b.row, some, left, self.scratch])
            return Matrix(b, self.scratch, INDEX(width))
        panel, number, rest = self.b.at(p, j), INDEX(0), left
        if GROUP > 1:
            number, rest = b.urem(b.udiv(j, INDEX(width)), INDEX(GROUP)), b.sub(self.columns, j)
        with b.if_then(b.and_(self.packs, b.icmp_signed("==", number, INDEX(0)))):
            b.call(pack, [panel.pointer, self.b.row, some, rest, self.scratch])
        copy = Matrix(b, b.gep(self.scratch, [b.mul(number, INDEX(PANEL))]), INDEX(width))
        return copy.where(self.packs, panel)

    def block_of_a(self, i, p, rows, some):
        """The block that begins at element (i, p), or its copy, and the way from one strip to the next, by row."""
        block, b = self.a.at(i, p), self.builder
        if self.a_is != "columns":
            return block, self.a.row
        with b.if_then(self.reused):
            b.call(pack_block(b.module, self.real), [block.pointer, block.column, rows, some, self.copies])
        copy = Matrix(b, self.copies, INDEX(1), INDEX(ROWS))
        return copy.where(self.reused, block), b.select(self.reused, b.add(some, INDEX(PAD)), self.a.row)

    def multiply_panel(self, i, p, j, rows, some, left, b_panel, a_block, a_tile):
        """The panel of c that begins at (i, j): terms from p on, added to those before, and f after the last."""
        b, strips = self.builder, self.a_is != "rows"
        c_panel = self.c.at(i, j)
        first = Matrix(b, b.gep(self.bias, [b.select(self.biased, j, INDEX(0))]), INDEX(0))
        start_panel = c_panel.where(b.or_(self.accumulate, b.icmp_signed(">", p, INDEX(0))), first)
        arguments = [a_block.pointer, a_tile, a_block.column if strips else a_block.row, rows]
        arguments += [b_panel.pointer, b_panel.row, some, start_panel.pointer, start_panel.row]
        arguments += [c_panel.pointer, c_panel.row, left]
        b.call(sweep(b.module, self.real, strips), arguments)
        ends = b.icmp_signed("==", b.add(p, some), self.terms)
        with b.if_then(b.and_(ends, b.icmp_signed("!=", self.f, INDEX(0)))):
            panels_ = self.u.at(i, j).pointer, c_panel.pointer, self.out.at(i, j).pointer
            call(b, self.real, self.f, self.instruction, *panels_, c_panel.row, rows, left)
