"""Matrix products from one tile: a few rows by up to three vectors of the result stay in registers over the whole sum.

Nothing is packed or padded: the last vector of a row is masked, and a tile that reaches past the last row computes
that row again.
"""

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.simd import BITS, INDEX, Vec, fold, lanes, load, mask_for, real_type, splat, store

# With 3 vectors, 8 rows fill 24 accumulators, which leaves room for b and a in the 32 registers of AVX-512; narrower
# x86 vectors have 16 registers.
ROWS = 8 if BITS == 512 else 4
VECTORS = 3


def smaller(builder, p, q):
    return builder.select(builder.icmp_signed("<", p, q), p, q)


def emit_tile(builder, real, a, a_row, a_term, b, bias, c, columns, rows_left, terms, width_left, bias_left, vectors):
    """c[r, :] = bias + Σₚ a[r, p]·b[p, :] for ROWS rows and up to `vectors` vectors of columns.

    a, b, bias, c point to the tile's first elements; rows_left and width_left say how much of the result is left, and
    bias_left how much of the bias: 0 makes it zero.
    """
    width = lanes(real)

    def masks(left):  # all vectors but the last are full
        return [None] * (vectors - 1) + [mask_for(builder, builder.sub(left, INDEX((vectors - 1) * width)), width)]

    def read(pointer, vector, mask):
        return load(builder, builder.gep(pointer, [INDEX(vector * width)]), real, mask)

    rows = [smaller(builder, INDEX(r), builder.sub(rows_left, INDEX(1))) for r in range(ROWS)]
    a_rows = [builder.gep(a, [builder.mul(row, a_row)]) for row in rows]
    inside = masks(width_left)

    def multiply_add(p, sums):
        b_row = builder.gep(b, [builder.mul(p, columns)])
        b_vectors = [read(b_row, v, inside[v]) for v in range(vectors)]
        offset = builder.mul(p, a_term)
        results = []
        for r in range(ROWS):
            factor = splat(builder, builder.load(builder.gep(a_rows[r], [offset])), width)
            for v in range(vectors):
                results.append(factor.fma(b_vectors[v], Vec(builder, sums[r * vectors + v])).value)
        return results

    some = [mask_for(builder, builder.sub(bias_left, INDEX(v * width)), width) for v in range(vectors)]
    start = [read(bias, v, some[v]).value for v in range(vectors)]
    sums = fold(builder, terms, start * ROWS, multiply_add)
    for r in range(ROWS):
        c_row = builder.gep(c, [builder.mul(rows[r], columns)])
        for v in range(vectors):
            place = builder.gep(c_row, [INDEX(v * width)])
            store(builder, Vec(builder, sums[r * vectors + v]), place, inside[v])


@intrinsic
def _product(typingctx, a, a_row, a_term, b, bias, c):
    """All tiles of `product`."""

    def codegen(context, builder, signature, args):
        real = real_type(c.dtype)
        width = lanes(real)
        kinds = ((a, args[0]), (b, args[3]), (bias, args[4]), (c, args[5]))
        arrays = [make_array(kind)(context, builder, value) for kind, value in kinds]
        a_data, b_data, bias_data, c_data = (array.data for array in arrays)
        terms, columns = cgutils.unpack_tuple(builder, arrays[1].shape, 2)
        rows = builder.extract_value(arrays[3].shape, 0)
        with cgutils.for_range_slice(builder, INDEX(0), columns, INDEX(VECTORS * width)) as (j, _):
            left = smaller(builder, builder.sub(columns, j), INDEX(VECTORS * width))
            bias_left = smaller(builder, builder.sub(arrays[2].nitems, j), left)
            for vectors in range(1, VECTORS + 1):
                above = builder.icmp_signed(">", left, INDEX((vectors - 1) * width))
                fits = builder.icmp_signed("<=", left, INDEX(vectors * width))
                with (
                    builder.if_then(builder.and_(above, fits)),
                    cgutils.for_range_slice(builder, INDEX(0), rows, INDEX(ROWS)) as (i, _),
                ):
                    a_tile = builder.gep(a_data, [builder.mul(i, args[1])])
                    b_tile, bias_tile = builder.gep(b_data, [j]), builder.gep(bias_data, [j])
                    c_tile = builder.gep(c_data, [builder.add(builder.mul(i, columns), j)])
                    pointers = a_tile, args[1], args[2], b_tile, bias_tile, c_tile
                    emit_tile(builder, real, *pointers, columns, builder.sub(rows, i), terms, left, bias_left, vectors)
        return context.get_dummy_value()

    return types.void(a, types.intp, types.intp, b, bias, c), codegen


@njit(error_model="numpy")  # not inline: its tiles would be compiled for each of its three callers
def product(a, a_row, a_term, b, bias, c):
    """c = a·b + bias, where element (i, p) of a stands at ``i * a_row + p * a_term`` of its memory.

    a : any shape, b : (k, d), bias : (d,), or (0,) for none, c : (n, d), all C-contiguous. Overwrites c.
    """
    _product(a, a_row, a_term, b, bias, c)


@njit(inline="always", error_model="numpy")
def transpose(a, at):
    """at = aᵀ

    a : (n, d), at : (d, n). Overwrites at.
    """
    n, d = a.shape
    for j in range(d):
        for i in range(n):
            at[j, i] = a[i, j]
