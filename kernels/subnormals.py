"""Numbers next to 0 count as 0 while the executor runs: arithmetic with subnormal ones is up to a hundred times slower.

They come up by themselves. Once a loss is small, so are its gradients, and moments of a weight whose gradient is 0
shrink until rounding keeps them at a few times the smallest number there is, for good. The executor therefore sets the
control word of each thread that enters it, and puts back what was there when it leaves; a kernel that is called by
itself computes with subnormal numbers exactly.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastml.kernels.simd import INDEX, declare

X86 = 0x8040  # bits of the control register: results that are subnormal become 0, and so do operands
ARM = 1 << 24


def control(builder, word=None):
    """The control word of this thread's floating-point unit, an i64; or sets it, if given. 0 where there is none."""
    processor, nothing = builder.module.triple.split("-")[0], ir.VoidType()
    if processor == "x86_64":
        half, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        place = cgutils.alloca_once(builder, half)
        if word is not None:
            builder.store(builder.trunc(word, half), place)
        name = "llvm.x86.sse.stmxcsr" if word is None else "llvm.x86.sse.ldmxcsr"
        builder.call(declare(builder, name, nothing, [byte]), [builder.bitcast(place, byte)])
        return builder.zext(builder.load(place), INDEX)
    if processor in ("aarch64", "arm64"):
        if word is None:
            return builder.call(declare(builder, "llvm.aarch64.get.fpcr", INDEX, []), [])
        builder.call(declare(builder, "llvm.aarch64.set.fpcr", nothing, [INDEX]), [word])
    return INDEX(0)


@intrinsic
def flush_subnormals(typingctx):
    """Makes subnormal numbers 0 in this thread from now on; returns the control word as it was, int64."""

    def codegen(context, builder, signature, args):
        before = control(builder)
        flag = X86 if builder.module.triple.startswith("x86_64") else ARM
        control(builder, builder.or_(before, INDEX(flag)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_control(typingctx, word):
    """Sets the control word of this thread to what `flush_subnormals` returned."""

    def codegen(context, builder, signature, args):
        control(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
