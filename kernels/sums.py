"""Sums over arrays in float64, of formulas on `Vec`; in an order that depends on the size alone."""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.columns import columnwise
from fastml.kernels.cpu import BITS
from fastml.kernels.fold import fold
from fastml.kernels.operands import (
    BatchColumn,
    Gradient,
    GradientPart,
    Job,
    OfJob,
    OfSlice,
    PartPlace,
    RowSlice,
    Size,
    Slice,
    SummedRows,
    Totals,
)
from fastml.kernels.operation import operation
from fastml.kernels.simd import INDEX, Vec, elementwise, load, mask_for, real_type
from fastml.kernels.views import vector

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


@operation
def add_loss(job: Job(), slice_: Slice(), losses: BatchColumn(), total: Size(), totals: Totals()):
    """The epoch's total and the loss of the batch += Σᵢ lossesᵢ, by the first thread.

    losses : (n,), totals : (epochs · columns,) float64, `total` a column of these.
    """
    if slice_.thread == 0:
        value = sum_rows(losses)
        totals[slice_.epoch * job.columns + total] += value
        slice_.batch_loss += value
        job.batch_loss = slice_.batch_loss


@operation
def add_score(job: Job(), slice_: Slice(), scores: BatchColumn(), total: Size(), totals: Totals()):
    """The epoch's total += Σᵢ scoresᵢ, by the first thread.

    scores : (n,), totals : (epochs · columns,) float64, `total` a column of these.
    """
    if slice_.thread == 0:
        totals[slice_.epoch * job.columns + total] += sum_rows(scores)


@operation
def add_shards(job: Job(), slice_: Slice(), dW: GradientPart(), place: PartPlace(), grads: OfJob("grads")):
    """dW += the gradients that the other shards have summed up, in their order, each thread a part of the parameters.

    dW : a part of the gradient of the first shard, from parameter number `place` on. Overwrites dW.
    """
    shards = min(job.shards, (slice_.n + job.block - 1) // job.block)
    for k in range(1, shards):
        add(vector(grads, k * job.params_size + place, dW.size), dW)


@columnwise
def sum_columns(columns, kept):
    """dW, or 0 where nothing is kept, + Σᵢ termsᵢ"""
    start = kept.where("==", 0.0, 0.0, columns.vector(0))
    (total,) = columns.rows(lambda i, total: [total + columns.load(0, i)], start)
    columns.put(0, total)


@operation
def sum_terms(
    terms: SummedRows("d_in"),
    bounds: RowSlice("W", "d_in", "one"),
    fresh: OfSlice("fresh"),
    dW: Gradient("W", "d_in"),
):
    """dW = Σᵢ termsᵢ, added to what is there unless it is `fresh`.

    terms : (n, d), dW : (d,). Overwrites the elements of dW in `bounds`, the first and the one behind the last.
    """
    real = dW.dtype.type
    sum_columns((terms,), (dW,), (real(0) if fresh else real(1),), *bounds)
