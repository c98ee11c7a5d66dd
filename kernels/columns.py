"""Loops over the columns of matrices, written as formulas on `Vec`, for kernels that sum along them."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastml.kernels.simd import INDEX, load, mask_for, store
from fastml.kernels.sweeps import Sweep, swept


class Columns(Sweep):
    """A vector's worth of neighbouring columns, from `start`."""

    first = INDEX(0)  # number of the first row

    def at(self, start, mask):
        self.start, self.mask = start, mask
        return self

    def rows(self, body, *start):
        """Over all rows: ``Vecs = body(i, *Vecs)``."""
        return self.carry(self.n, body, start)

    def load(self, k, i):
        return load(self.builder, self.place(k, i, self.start), self.real, self.mask)

    def store(self, k, i, vec):
        store(self.builder, vec, self.place(k, i, self.start), self.mask)

    def vector(self, k):
        return load(self.builder, self.builder.gep(self.vectors[k], [self.start]), self.real, self.mask)

    def put(self, k, vec):
        store(self.builder, vec, self.builder.gep(self.vectors[k], [self.start]), self.mask)


def columnwise(formula):
    """``run(matrices, vectors, scalars, first, last)`` for Numba: ``formula(Columns, *scalars)``, a Vec at a time, for
    the columns first … last - 1.

    The first three are tuples: matrices (n, d) and vectors (d,), C-contiguous, of one dtype, and scalars of it.
    """

    @intrinsic
    def run(typingctx, matrices, vectors, scalars, first, last):
        def codegen(context, builder, signature, args):
            columns, constants = swept(context, builder, Columns, (matrices, vectors, scalars), args)
            width, size = INDEX(columns.width), builder.sub(args[4], args[3])
            whole = builder.add(args[3], builder.and_(size, ir.Constant(INDEX, -columns.width)))
            with cgutils.for_range_slice(builder, args[3], whole, width) as (start, _):
                formula(columns.at(start, None), *constants)
            rest = builder.sub(args[4], whole)
            with builder.if_then(builder.icmp_signed(">", rest, INDEX(0))):
                formula(columns.at(whole, mask_for(builder, rest, columns.width)), *constants)
            return context.get_dummy_value()

        return types.void(matrices, vectors, scalars, types.int64, types.int64), codegen

    return run
