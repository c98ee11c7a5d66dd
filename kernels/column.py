"""Products with a single column, whose vectors lie along the rows: each row's weighted sum, and the way back."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels import elementwise
from fastml.kernels.fold import fold
from fastml.kernels.matrix import Matrix, private_function, smaller
from fastml.kernels.simd import INDEX, Vec, lanes, load, mask_for, real_type, splat, store

ROWS = 8  # side by side, so that an addition need not wait for the one before


PAIR = types.UniTuple(types.int64, 2)


@intrinsic
def multiply_rows(typingctx, x, w, start, z, function, u, out):
    """zᵢ = start₀ + Σₚ xᵢₚ·wₚ,  outᵢ = f(uᵢ, zᵢ), for the addresses of an elementwise f and its instruction, or zeros.

    x : (n, k), w : (k, 1), start : (1,), z, u, out : (n, 1), all C-contiguous, of one dtype. Overwrites z and out.
    """

    def codegen(context, builder, signature, args):
        return called(context, builder, weighted_sums, signature.args, args, 0)

    return types.void(x, w, start, z, PAIR, u, out), codegen


@intrinsic
def spread_rows(typingctx, dz, w, dx, function, u, out):
    """dxᵢₚ = dzᵢ·wₚ,  outᵢₚ = f(uᵢₚ, dxᵢₚ), for the addresses of an elementwise f and its instruction, or zeros.

    dz : (n, 1), w : (k, 1), dx, u, out : (n, k), all C-contiguous, of one dtype. Overwrites dx and out.
    """

    def codegen(context, builder, signature, args):
        return called(context, builder, scaled_rows, signature.args, args, 2)

    return types.void(dz, w, dx, PAIR, u, out), codegen


def called(context, builder, llvm_function, kinds, args, widest):
    """Calls one of the LLVM functions below, with the arguments: arrays as pointers, pairs unpacked; and its shape."""
    operands = []
    for kind, value in zip(kinds, args, strict=True):
        pair = isinstance(kind, types.BaseTuple)
        operands += (
            cgutils.unpack_tuple(builder, value, 2) if pair else [make_array(kind)(context, builder, value).data]
        )
    shape = cgutils.unpack_tuple(builder, make_array(kinds[widest])(context, builder, args[widest]).shape, 2)
    builder.call(llvm_function(builder.module, real_type(kinds[widest].dtype)), [*operands, *shape])
    return context.get_dummy_value()


def weighted_sums(module, real):
    """The LLVM function of `multiply_rows`. The last rows are computed again where ROWS of them are not left."""
    pointer = real.as_pointer()
    kinds = {"x": pointer, "w": pointer, "start": pointer, "z": pointer, "function": INDEX, "instruction": INDEX}
    kinds |= {"u": pointer, "out": pointer, "n": INDEX, "terms": INDEX}
    function, builder = private_function(module, f"fastml_column_{real}", kinds)
    if builder is None:
        return function
    x_, w, start, z, f, instruction, u, out, n, terms = function.args
    x, width, last = Matrix(builder, x_, terms), lanes(real), builder.sub(n, INDEX(1))
    vectors = builder.udiv(terms, INDEX(width))
    whole = builder.mul(vectors, INDEX(width))
    mask = mask_for(builder, builder.sub(terms, whole), width)
    zero = ir.Constant(ir.VectorType(real, width), [ir.Constant(real, 0.0)] * width)
    offset = builder.load(start)

    with cgutils.for_range_slice(builder, INDEX(0), n, INDEX(ROWS)) as (i, _):
        numbers = [smaller(builder, builder.add(i, INDEX(r)), last) for r in range(ROWS)]
        rows = [x.at(number) for number in numbers]

        def add(p, sums, mask=None, rows=rows):
            weights = load(builder, builder.gep(w, [p]), real, mask)
            terms_ = [load(builder, row.at(INDEX(0), p).pointer, real, mask) for row in rows]
            return [term.fma(weights, Vec(builder, s)).value for term, s in zip(terms_, sums, strict=True)]

        sums = fold(builder, vectors, [zero] * ROWS, lambda k, sums: add(builder.mul(k, INDEX(width)), sums))
        for number, lanes_ in zip(numbers, add(whole, sums, mask), strict=True):
            builder.store(builder.fadd(offset, total(builder, lanes_)), builder.gep(z, [number]))
    with builder.if_then(builder.icmp_signed("!=", f, INDEX(0))):
        elementwise.call(builder, real, f, instruction, u, z, out, n, INDEX(1), n)
    builder.ret_void()
    return function


def scaled_rows(module, real):
    """The LLVM function of `spread_rows`."""
    pointer = real.as_pointer()
    kinds = {"dz": pointer, "w": pointer, "dx": pointer, "function": INDEX, "instruction": INDEX}
    kinds |= {"u": pointer, "out": pointer, "n": INDEX, "terms": INDEX}
    function, builder = private_function(module, f"fastml_spread_{real}", kinds)
    if builder is None:
        return function
    dz, w, dx_, f, instruction, u_, out_, n, terms = function.args
    dx, u, out = (Matrix(builder, pointer_, terms) for pointer_ in (dx_, u_, out_))
    width = lanes(real)
    whole = builder.and_(terms, INDEX(-width))
    mask = mask_for(builder, builder.sub(terms, whole), width)

    def scale(factor, i, p, mask=None):
        product = factor * load(builder, builder.gep(w, [p]), real, mask)
        store(builder, product, dx.at(i, p).pointer, mask)

    with cgutils.for_range(builder, n) as loop:
        factor = splat(builder, builder.load(builder.gep(dz, [loop.index])), width)
        with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(width)) as (p, _):
            scale(factor, loop.index, p)
        with builder.if_then(builder.icmp_signed(">", terms, whole)):
            scale(factor, loop.index, whole, mask)
        with builder.if_then(builder.icmp_signed("!=", f, INDEX(0))):  # while the row is in the cache
            places = (matrix.at(loop.index).pointer for matrix in (u, dx, out))
            elementwise.call(builder, real, f, instruction, *places, terms, INDEX(1), terms)
    builder.ret_void()
    return function


def total(builder, vector):
    """The sum of a vector's lanes, half to half."""
    while vector.type.count > 1:
        half, number = vector.type.count // 2, ir.IntType(32)
        nothing = ir.Constant(vector.type, ir.Undefined)
        halves = [
            builder.shuffle_vector(vector, nothing, ir.Constant(ir.VectorType(number, half), list(range(k, k + half))))
            for k in (0, half)
        ]
        vector = builder.fadd(*halves)
    return builder.extract_element(vector, ir.IntType(32)(0))
