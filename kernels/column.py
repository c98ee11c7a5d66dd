"""Products with a single column, whose vectors lie along the rows: each row's weighted sum, and the way back."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.activations import EPILOGUES
from fastml.kernels.gemm import finish
from fastml.kernels.matrix import Matrix, private_function, smaller
from fastml.kernels.simd import INDEX, Vec, fold, lanes, load, mask_for, real_type, splat, store

ROWS = 8  # side by side, so that an addition need not wait for the one before


@intrinsic
def weigh_rows(typingctx, x, w, start, z, epilogue):
    """zᵢ = f(start₀ + Σₚ xᵢₚ·wₚ), where epilogue names f, a key of EPILOGUES, or is 0 for none.

    x : (n, k), w : (k, 1), start : (1,), z : (n, 1), all C-contiguous, of one dtype. Overwrites z.
    """

    def codegen(context, builder, signature, args):
        return call(context, builder, weighted_sums, (x, w, start, z), args, 0)

    return types.void(x, w, start, z, types.int64), codegen


@intrinsic
def spread_rows(typingctx, dz, w, e, dx, epilogue):
    """dxᵢₚ = f(dzᵢ·wₚ, eᵢₚ), where epilogue names f, a derivative of EPILOGUES, or is 0 for f(z, e) = z.

    dz : (n, 1), w : (k, 1), e, dx : (n, k), all C-contiguous, of one dtype. Overwrites dx.
    """

    def codegen(context, builder, signature, args):
        return call(context, builder, scaled_rows, (dz, w, e, dx), args, 3)

    return types.void(dz, w, e, dx, types.int64), codegen


def call(context, builder, function, kinds, args, widest):
    """Calls one of the LLVM functions below, with arrays of these kinds, the shape of the widest, and the epilogue."""
    *arrays, epilogue = args
    arrays = [make_array(kind)(context, builder, array) for kind, array in zip(kinds, arrays, strict=True)]
    shape = cgutils.unpack_tuple(builder, arrays[widest].shape, 2)
    operands = [*(array.data for array in arrays), *shape, epilogue]
    builder.call(function(builder.module, real_type(kinds[widest].dtype)), operands)
    return context.get_dummy_value()


def weighted_sums(module, real):
    """The LLVM function of `weigh_rows`. The last rows are computed again where ROWS of them are not left."""
    pointer = real.as_pointer()
    kinds = {"x": pointer, "w": pointer, "start": pointer, "z": pointer, "n": INDEX, "terms": INDEX, "epilogue": INDEX}
    function, builder = private_function(module, f"fastml_column_{real}", kinds)
    if builder is None:
        return function
    x_, w, start, z, n, terms, epilogue = function.args
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
    with builder.if_then(builder.icmp_signed("!=", epilogue, INDEX(0))):
        builder.call(finish(module, real), [epilogue, z, z, n, INDEX(1), n])
    builder.ret_void()
    return function


def scaled_rows(module, real):
    """The LLVM function of `spread_rows`."""
    pointer = real.as_pointer()
    kinds = {"dz": pointer, "w": pointer, "e": pointer, "dx": pointer, "n": INDEX, "terms": INDEX, "epilogue": INDEX}
    function, builder = private_function(module, f"fastml_spread_{real}", kinds)
    if builder is None:
        return function
    dz, w, e_, dx_, n, terms, epilogue = function.args
    e, dx, width = Matrix(builder, e_, terms), Matrix(builder, dx_, terms), lanes(real)
    whole = builder.and_(terms, INDEX(-width))
    mask = mask_for(builder, builder.sub(terms, whole), width)

    def scale(f, factor, i, p, mask=None):
        product = factor * load(builder, builder.gep(w, [p]), real, mask)
        store(builder, f(product, lambda: load(builder, e.at(i, p).pointer, real, mask)), dx.at(i, p).pointer, mask)

    done = builder.append_basic_block("done")
    cases = {0: lambda z, e: z}
    cases |= {code: lambda z, e, f=f: f(z, e()) for code, f in EPILOGUES.items() if code < 0}
    switch = builder.switch(epilogue, done)
    for code, f in cases.items():
        builder.position_at_end(builder.append_basic_block("spread"))
        switch.add_case(INDEX(code), builder.block)
        with cgutils.for_range(builder, n) as loop:
            factor = splat(builder, builder.load(builder.gep(dz, [loop.index])), width)
            with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(width)) as (p, _):
                scale(f, factor, loop.index, p)
            with builder.if_then(builder.icmp_signed(">", terms, whole)):
                scale(f, factor, loop.index, whole, mask)
        builder.branch(done)
    builder.position_at_end(done)
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
