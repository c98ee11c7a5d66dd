"""Elementwise functions that are called by their address: activations and their slopes.

An instruction carries the address, so that a matrix product applies any of them to what it has just computed, and
each is compiled by itself. They are LLVM functions, not Numba's: there is nothing to infer about them.
"""

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.matrix import Matrix
from fastml.kernels.operation import INSTRUCTION
from fastml.kernels.simd import INDEX, lanes, load, mask_for, real_type, settled, splat, store
from fastml.kernels.tiling import VECTORS

FUNCTIONS = {}  # fastml's, by name
CUSTOM = {}  # users', by name
NUMBERED = {}  # all of them, by number
NUMBERS = count(1)  # which no two threads get alike


class Function(NamedTuple):
    """out = formula(u, v, alpha), elementwise on Vecs; what is not needed of them, the formula passes over.

    number : what instructions call it, from 1; twin : f(u, v) in NumPy, where that is not in `fastml.activations`
    """

    name: str
    number: int
    formula: Callable
    twin: Callable | None = None


def function(name, formula, registry=FUNCTIONS, twin=None):
    """A new Function. It replaces one of the same module, which has been loaded again."""
    if registry is FUNCTIONS:
        if name in registry and registry[name].formula.__module__ != formula.__module__:
            raise ValueError(f"there is an elementwise function {name!r} already")
        registry.pop(name, None)
    number = next(NUMBERS)
    NUMBERED[number] = made = Function(name, number, formula, twin)
    return registry.setdefault(name, made)  # another thread may have been there first


def named(name):
    """The Function of a name."""
    return FUNCTIONS.get(name) or CUSTOM[name]


def signature(real):
    """The LLVM type: of an instruction, which has alpha, u, v, out, the way from row to row, rows and columns."""
    pointer = real.as_pointer()
    return ir.FunctionType(ir.VoidType(), [INDEX, pointer, pointer, pointer, INDEX, INDEX, INDEX])


def emit(module, name, real, formula):
    """The LLVM function of a formula: out[r, :] = formula(u[r, :], v[r, :], alpha); out may be u or v."""
    llvm = ir.Function(module, signature(real), name)
    builder = ir.IRBuilder(llvm.append_basic_block("entry"))
    instruction, u_, v_, out_, row, rows, columns = llvm.args
    u, v, out, width = Matrix(builder, u_, row), Matrix(builder, v_, row), Matrix(builder, out_, row), lanes(real)
    place = builder.add(instruction, INDEX(INSTRUCTION.fields["alpha"][1]))
    alpha = builder.load(builder.inttoptr(place, ir.DoubleType().as_pointer()))
    alpha = splat(builder, builder.fptrunc(alpha, real) if isinstance(real, ir.FloatType) else alpha, width)

    def part(i, j, mask=None):
        operands = (settled(load(builder, matrix.at(i, j).pointer, real, mask)) for matrix in (u, v))
        store(builder, formula(*operands, alpha), out.at(i, j).pointer, mask)

    # Without gaps between them, rows are one.
    joined, size = builder.icmp_signed("==", row, columns), builder.mul(rows, columns)
    rows, columns = builder.select(joined, INDEX(1), rows), builder.select(joined, size, columns)
    whole = builder.and_(columns, INDEX(-width))
    rest = builder.sub(columns, whole)
    mask = mask_for(builder, rest, width)
    with builder.if_else(builder.icmp_signed("==", columns, INDEX(VECTORS * width))) as (full, partly):
        with full, cgutils.for_range(builder, rows) as loop:
            for k in range(VECTORS):
                part(loop.index, INDEX(k * width))
        with partly, cgutils.for_range(builder, rows) as loop:
            with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(width)) as (j, _):
                part(loop.index, j)
            with builder.if_then(builder.icmp_signed(">", rest, INDEX(0))):
                part(loop.index, whole, mask)
    builder.ret_void()
    return llvm


def call(builder, real, address, instruction, u, v, out, row, rows, columns):
    """Calls the elementwise function at an address."""
    target = builder.inttoptr(address, signature(real).as_pointer())
    builder.call(target, [instruction, u, v, out, row, rows, columns])


@intrinsic
def apply(typingctx, function, u, v, out):
    """out = f(u, v), for a pair of the function's address and that of the instruction, which has its alpha.

    u, v, out : C-contiguous, of one dtype and size. Overwrites out, which may be u or v.
    """

    def codegen(context, builder, signature, args):
        address, instruction = cgutils.unpack_tuple(builder, args[0], 2)
        arrays = [make_array(kind)(context, builder, array) for kind, array in zip((u, v, out), args[1:], strict=True)]
        pointers, size = [array.data for array in arrays], arrays[2].nitems
        call(builder, real_type(out.dtype), address, instruction, *pointers, size, INDEX(1), size)
        return context.get_dummy_value()

    return types.void(function, u, v, out), codegen
