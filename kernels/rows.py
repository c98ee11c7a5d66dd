"""Rows of the user's data into the workspace and back."""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.cpu import BITS
from fastml.kernels.matrix import smaller
from fastml.kernels.operands import OfJob, OfSlice, OneOfJob, Rows
from fastml.kernels.operation import operation
from fastml.kernels.simd import INDEX, declare, elementwise, lanes, load, real_type, store
from fastml.kernels.views import matrix

AHEAD = 4  # rows; memory is slow to find rows in random order, so it is asked for them that much before they are copied

copied = elementwise(lambda x: x)


@intrinsic
def gathered(typingctx, data, order, first, rows):
    """rows[i] = data[order[first + i]], where data stands row by row in one dimension."""

    def codegen(context, builder, signature, args):
        real = real_type(rows.dtype)
        width, byte, number = lanes(real), ir.IntType(8).as_pointer(), ir.IntType(32)
        source, numbers, target = (
            make_array(kind)(context, builder, args[k]) for k, kind in ((0, data), (1, order), (3, rows))
        )
        n, d = cgutils.unpack_tuple(builder, target.shape, 2)
        last, line = builder.sub(n, INDEX(1)), 512 // BITS * width
        whole = builder.and_(d, INDEX(-width))
        fetch = declare(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, number, number, number])

        def row(i):
            index = builder.load(builder.gep(numbers.data, [builder.add(args[2], i)]))
            return builder.gep(source.data, [builder.mul(index, d)])

        with cgutils.for_range(builder, n) as loop:
            here, ahead = row(loop.index), row(smaller(builder, builder.add(loop.index, INDEX(AHEAD)), last))
            there = builder.gep(target.data, [builder.mul(loop.index, d)])

            with cgutils.for_range_slice(builder, INDEX(0), d, INDEX(line)) as (j, _):
                builder.call(fetch, [builder.bitcast(builder.gep(ahead, [j]), byte), number(0), number(3), number(1)])
            with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(width)) as (j, _):
                store(builder, load(builder, builder.gep(here, [j]), real), builder.gep(there, [j]))
            with cgutils.for_range_slice(builder, whole, d, INDEX(1)) as (j, _):  # quicker than under a mask
                builder.store(builder.load(builder.gep(here, [j])), builder.gep(there, [j]))
        return context.get_dummy_value()

    return types.void(data, order, types.int64, rows), codegen


@njit(inline="always", error_model="numpy")
def gather_rows(data, order, first, rows):
    """Copies one batch: ``rows[i] = data[order[first + i]]``, or ``data[first + i]`` where order is empty.

    data : (all · d,), row by row, order : (all,) int64 or (0,), rows : (n, d). Overwrites rows.
    """
    if order.size:
        gathered(data, order, first, rows)
    else:
        copied((matrix(data, first * rows.shape[1], rows.shape[0], rows.shape[1]),), (rows,), ())


@njit(inline="always", error_model="numpy")
def store_rows(rows, first, data):
    """Copies one batch back: ``data[first + i] = rows[i]``.

    rows : (n, d), data : (all · d,), row by row. Overwrites rows first … first + n - 1 of data.
    """
    copied((rows,), (matrix(data, first * rows.shape[1], rows.shape[0], rows.shape[1]),), ())


INPUTS, TARGETS, WEIGHTS = range(3)
GATHERED = "inputs", "targets", "weights"


@operation
def gather(
    data: OneOfJob("x", "y", "weights"),
    order: OfJob("order"),
    begin: OfSlice("begin"),
    first: OfSlice("first"),
    x: Rows("width"),
):
    """x = the rows of the slice, of the user's inputs, targets or weights.

    data : (all · width,), x : (m, width). Overwrites x.
    """
    gather_rows(data, order, begin + first, x)


@operation
def store_outputs(a: Rows("d_out"), begin: OfSlice("begin"), first: OfSlice("first"), outputs: OfJob("outputs")):
    """The rows of the slice of the outputs = a : (m, d_out)."""
    store_rows(a, begin + first, outputs)
