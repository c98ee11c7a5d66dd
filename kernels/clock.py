"""The time that instructions take: an operation between them, which adds up what has passed since the last."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastml.kernels.operands import Size, Slice
from fastml.kernels.operation import operation
from fastml.kernels.simd import INDEX, declare
from fastml.kernels.views import at_address


@intrinsic
def ticks(typingctx):
    """What the CPU's counter of time shows, an int64 of units of its own, the same for all cores."""

    def codegen(context, builder, signature, args):
        if builder.module.triple.split("-")[0] in ("aarch64", "arm64"):  # where programs may not read the other one
            kind = ir.FunctionType(INDEX, [])
            return builder.asm(kind, "mrs $0, cntvct_el0", "=r", [], True)
        return builder.call(declare(builder, "llvm.readcyclecounter", INDEX, []), [])

    return types.int64(), codegen


@operation
def clock(slice_: Slice(), marks: Size(), marks_size: Size(), number: Size()):
    """Adds the time since the last clock to the mark of this number; the first of all begins.

    marks : address of (threads, marks_size) int64, of which each thread has a row: the time of its last clock, and
    sums by number, from 1.
    """
    sums = at_address(0, marks + 8 * slice_.thread * marks_size, marks_size)
    time = ticks()
    if sums[0]:
        sums[number] += time - sums[0]
    sums[0] = time
