"""Matrices and functions in LLVM IR, for what is built from them: products, copies and sweeps."""

from llvmlite import ir
from numba.core import cgutils

from fastml.kernels.simd import INDEX


class Matrix:
    """Element (i, j) stands at ``pointer + i * row + j * column``."""

    def __init__(self, builder, pointer, row, column=None):
        self.builder, self.pointer, self.row = builder, pointer, row
        self.column = INDEX(1) if column is None else column

    def at(self, i, j=None):
        """The matrix that starts at element (i, j), or (i, 0)."""
        b, offset = self.builder, self.builder.mul(i, self.row)
        if j is not None:
            offset = b.add(offset, b.mul(j, self.column))
        return Matrix(b, b.gep(self.pointer, [offset]), self.row, self.column)

    def where(self, condition, other):
        """This matrix if the condition holds, else the other."""
        choose = self.builder.select
        parts = zip((self.pointer, self.row, self.column), (other.pointer, other.row, other.column), strict=True)
        return Matrix(self.builder, *(choose(condition, ours, theirs) for ours, theirs in parts))


def smaller(builder, p, q):
    return builder.select(builder.icmp_signed("<", p, q), p, q)


def private_function(module, name, arguments):
    """An LLVM function that returns nothing, once in a module, and its builder, or None where it has a body already.

    `arguments` maps the names of its arguments to their types.
    """
    function = cgutils.get_or_insert_function(module, ir.FunctionType(ir.VoidType(), list(arguments.values())), name)
    if function.blocks:
        return function, None
    function.linkage = "internal"
    function.attributes.add("noinline")
    return function, ir.IRBuilder(function.append_basic_block("entry"))
