"""How many multiply-adds a core can do: independent ones in registers, which no product can surpass."""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from fastml.kernels.cpu import BITS
from fastml.kernels.fold import fold
from fastml.kernels.simd import Vec, lanes, real_type, splat

CHAINS = 24 if BITS == 512 else 12  # sums that fit into the registers; each multiply-add waits for its own sum only


@intrinsic
def _chains(typingctx, start, factor, turns):
    def codegen(context, builder, signature, args):
        real = real_type(start)
        first, times = (splat(builder, scalar, lanes(real)) for scalar in args[:2])
        vectors = [(first * (k + 1.0)).value for k in range(CHAINS)]

        def body(index, values):
            return [Vec(builder, value).fma(times, first).value for value in values]

        total, *others = (Vec(builder, value) for value in fold(builder, args[2], vectors, body))
        for other in others:
            total = total + other
        return builder.extract_element(total.value, ir.IntType(32)(0))

    return start(start, factor, types.intp), codegen


@njit(error_model="numpy")
def chains(start, factor, turns):
    """The sum of CHAINS vectors of BITS bits after `turns` multiply-adds each, v = v·factor + start."""
    return _chains(start, factor, turns)
