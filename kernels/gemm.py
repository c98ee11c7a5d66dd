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


def emit_tile(builder, real, a, a_row, a_term, b, c, columns, rows_left, terms, width_left, vectors):
    """c[r, :] += Σₚ a[r, p]·b[p, :] for ROWS rows and up to `vectors` vectors of columns.

    a, b, c point to the tile's first elements; rows_left and width_left say how much of the result is left.
    """
    width = lanes(real)
    last = mask_for(builder, builder.sub(width_left, INDEX((vectors - 1) * width)), width)
    masks = [None] * (vectors - 1) + [last]

    def place(pointer, vector):
        return builder.gep(pointer, [INDEX(vector * width)])

    rows = [smaller(builder, INDEX(r), builder.sub(rows_left, INDEX(1))) for r in range(ROWS)]
    a_rows = [builder.gep(a, [builder.mul(row, a_row)]) for row in rows]
    c_rows = [builder.gep(c, [builder.mul(row, columns)]) for row in rows]
    start = [load(builder, place(c_row, v), real, masks[v]).value for c_row in c_rows for v in range(vectors)]

    def multiply_add(p, sums):
        b_row = builder.gep(b, [builder.mul(p, columns)])
        b_vectors = [load(builder, place(b_row, v), real, masks[v]) for v in range(vectors)]
        offset = builder.mul(p, a_term)
        results = []
        for r in range(ROWS):
            factor = splat(builder, builder.load(builder.gep(a_rows[r], [offset])), width)
            for v in range(vectors):
                results.append(factor.fma(b_vectors[v], Vec(builder, sums[r * vectors + v])).value)
        return results

    sums = fold(builder, terms, start, multiply_add)
    for r in range(ROWS):
        for v in range(vectors):
            store(builder, Vec(builder, sums[r * vectors + v]), place(c_rows[r], v), masks[v])


@intrinsic
def _product_add(typingctx, a, a_row, a_term, b, c):
    """All tiles of c += a·b, where element (i, p) of a stands at ``i * a_row + p * a_term``."""

    def codegen(context, builder, signature, args):
        real = real_type(c.dtype)
        width = lanes(real)
        pointers = [make_array(t)(context, builder, v) for t, v in ((a, args[0]), (b, args[3]), (c, args[4]))]
        a_data, b_data, c_data = (array.data for array in pointers)
        (terms, columns), (rows, _) = (cgutils.unpack_tuple(builder, array.shape, 2) for array in pointers[1:])
        with cgutils.for_range_slice(builder, INDEX(0), columns, INDEX(VECTORS * width)) as (j, _):
            left = builder.sub(columns, j)
            for vectors in range(1, VECTORS + 1):
                above = builder.icmp_signed(">", left, INDEX((vectors - 1) * width))
                fits = builder.icmp_signed("<=", left, INDEX(vectors * width))
                chosen = above if vectors == VECTORS else builder.and_(above, fits)
                with (
                    builder.if_then(chosen),
                    cgutils.for_range_slice(builder, INDEX(0), rows, INDEX(ROWS)) as (i, _),
                ):
                    a_tile = builder.gep(a_data, [builder.mul(i, args[1])])
                    b_tile = builder.gep(b_data, [j])
                    c_tile = builder.gep(c_data, [builder.add(builder.mul(i, columns), j)])
                    here = smaller(builder, left, INDEX(vectors * width))
                    emit_tile(
                        builder, real, a_tile, args[1], args[2], b_tile, c_tile,
                        columns, builder.sub(rows, i), terms, here, vectors,
                    )  # fmt: skip
        return context.get_dummy_value()

    return types.void(a, types.intp, types.intp, b, c), codegen


@njit(error_model="numpy")
def product_add(a, a_row, a_term, b, c):
    """c += a·b, where element (i, p) of a stands at ``i * a_row + p * a_term`` of its memory.

    a : any shape, b : (k, d), c : (n, d), C-contiguous. Overwrites c.
    """
    _product_add(a, a_row, a_term, b, c)


@njit(error_model="numpy")
def transpose(a, at):
    """at = aᵀ

    a : (n, d), at : (d, n). Overwrites at.
    """
    n, d = a.shape
    for j in range(d):
        for i in range(n):
            at[j, i] = a[i, j]
