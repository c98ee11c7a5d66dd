"""Sums over arrays in float64, of formulas on `Vec`; in an order that depends on the size alone."""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.simd import BITS, INDEX, Vec, elementwise, fold, load, mask_for, real_type

SUMS = 4  # side by side, so that an addition need not wait for the one before


def summed(formula):
    """``run(array)`` for Numba: Σ formula(element), a float64, where the formula takes and gives a Vec of float64."""

    @intrinsic
    def run(typingctx, array):
        def codegen(context, builder, signature, args):
            real, double, width = real_type(array.dtype), ir.DoubleType(), BITS // 64
            source = make_array(array)(context, builder, args[0])
            kind = ir.VectorType(double, width)
            zero = ir.Constant(kind, [ir.Constant(double, 0.0)] * width)

            def add(total, start, mask):
                vec = load(builder, builder.gep(source.data, [start]), real, mask, width)
                value = vec.value if real == double else builder.fpext(vec.value, kind)
                return (Vec(builder, total) + formula(Vec(builder, value))).value

            def block(index, totals):
                start = builder.mul(index, INDEX(SUMS * width))
                return [add(t, builder.add(start, INDEX(k * width)), None) for k, t in enumerate(totals)]

            blocks = builder.udiv(source.nitems, INDEX(SUMS * width))
            totals = fold(builder, blocks, [zero] * SUMS, block)
            total = Vec(builder, totals[0])
            for other in totals[1:]:
                total += Vec(builder, other)
            place = cgutils.alloca_once_value(builder, total.value)
            whole = builder.mul(blocks, INDEX(SUMS * width))
            with cgutils.for_range_slice(builder, whole, source.nitems, INDEX(width)) as (start, _):
                mask = mask_for(builder, builder.sub(source.nitems, start), width)
                builder.store(add(builder.load(place), start, mask), place)
            lanes_ = [builder.extract_element(builder.load(place), ir.IntType(32)(k)) for k in range(width)]
            while len(lanes_) > 1:
                lanes_ = [builder.fadd(p, q) for p, q in zip(lanes_[::2], lanes_[1::2], strict=True)]
            return lanes_[0]

        return types.float64(array), codegen

    return run


add_to = elementwise(lambda terms, total: total + terms)
sum_lanes = summed(lambda value: value)


@njit(inline="always", error_model="numpy")
def add(terms, total):
    """total += terms

    terms, total : (size,). Overwrites total.
    """
    add_to((terms, total), (total,), ())


@njit(inline="always", error_model="numpy")
def sum_rows(losses):
    """Σᵢ lossesᵢ in float64.

    losses : (n,).
    """
    return sum_lanes(losses)
