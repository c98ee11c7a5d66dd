"""Inverted dropout (Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15,
2014)."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.operands import Number, OfJob, OfSlice, Rows, Size
from fastml.kernels.operation import operation
from fastml.kernels.random import DROPOUT, HALF, LOW, rounds
from fastml.kernels.simd import INDEX, Vec, broadcast, elementwise, mask_for, real_type, store
from fastml.kernels.words import Words

RUN = 16  # counters side by side: they give 4 runs of 16 words, whatever the width of this CPU's vectors

masked = elementwise(lambda x, mask: x * mask)


@intrinsic
def draw_mask(typingctx, key, threshold, kept, first, mask):
    """mask[64·k + 16·w + lane - first] = kept if word w of counter 16·k + lane is at least threshold, else 0.

    key : tuple of uint64 (k0, k1, c1, c2, c3), threshold : uint64, kept : the scalar, first : a multiple of 16, mask :
    C-contiguous array.
    """

    def codegen(context, builder, signature, args):
        real = real_type(mask.dtype)
        array = make_array(mask)(context, builder, args[4])
        k0, k1, c1, c2, c3 = (
            Words(builder, broadcast(builder, k, RUN)) for k in cgutils.unpack_tuple(builder, args[0], 5)
        )
        bound, scale = broadcast(builder, args[1], RUN), broadcast(builder, args[2], RUN)
        lane_numbers = Words(builder, ir.Constant(ir.VectorType(INDEX, RUN), list(range(RUN))))
        zero = ir.Constant(ir.VectorType(real, RUN), [ir.Constant(real, 0.0)] * RUN)

        first = builder.and_(args[3], INDEX(-4 * RUN))  # of the four runs that start before the mask, or with it
        end = builder.add(args[3], array.nitems)
        with cgutils.for_range_slice(builder, first, end, INDEX(4 * RUN)) as (start, _):
            counter = Words(builder, broadcast(builder, builder.lshr(start, INDEX(2)), RUN)) + lane_numbers
            for k, word in enumerate(rounds(k0, k1, counter, c1, c2, c3)):
                place = builder.sub(builder.add(start, INDEX(k * RUN)), args[3])
                values = builder.select(builder.icmp_unsigned(">=", word.value, bound), scale, zero)
                before = builder.icmp_signed("<", place, INDEX(0))
                left = builder.select(before, INDEX(0), builder.sub(array.nitems, place))
                store(builder, Vec(builder, values), builder.gep(array.data, [place]), mask_for(builder, left, RUN))
        return context.get_dummy_value()

    return types.void(key, threshold, kept, types.int64, mask), codegen


@operation
def dropout_forward(
    seed: OfJob("seed"),
    step: OfSlice("batch"),
    epoch: OfSlice("age"),
    layer: Size(),
    rate: Number(),
    first: OfSlice("first"),
    x: Rows("d_in"),
    mask: Rows("d_in"),
    a: Rows("d_in"),
):
    """a = x · mask, where mask is 0 with probability rate and else 1 / (1 - rate), drawn for each row and unit.

    x, mask, a : (n, d), rows from number first of the batch on, a multiple of 16, rate : float64. Overwrites mask, and
    a, which may be x. The numbers depend on seed, epoch, step, layer and place in the batch alone.
    """
    k0, k1 = np.uint64(seed) & LOW, np.uint64(seed) >> HALF
    key = k0, k1, np.uint64(step), np.uint64(epoch), np.uint64(DROPOUT + layer)
    draw_mask(key, np.uint64(np.rint(rate * 2.0**32)), x.dtype.type(1 / (1 - rate)), first * x.shape[1], mask)
    masked((x, mask), (a,), ())


@operation
def dropout_backward(mask: Rows("d_in"), da: Rows("d_in"), dx: Rows("d_in")):
    """dx = da · mask

    mask, da, dx : (n, d). Overwrites dx, which may be da.
    """
    masked((da, mask), (dx,), ())
