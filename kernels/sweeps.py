"""Loops over the rows and columns of matrices, written as formulas on `Vec`, for kernels that sum along one of them."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.simd import INDEX, Vec, fold, lanes, load, mask_for, real_type, splat, store


class Sweep:
    """What a formula sees of its arguments: matrices (n, d) and vectors, by their position in the call."""

    def __init__(self, builder, matrices, vectors, n, d, real):
        self.builder, self.matrices, self.vectors = builder, matrices, vectors
        self.n, self.d, self.real, self.width = n, d, real, lanes(real)

    def place(self, k, i, j):
        """Pointer to the element i, j of matrix k."""
        return self.builder.gep(self.matrices[k], [self.builder.add(self.builder.mul(i, self.d), j)])

    def constant(self, number):
        """The Vec of copies of a number."""
        kind = ir.VectorType(self.real, self.width)
        return Vec(self.builder, ir.Constant(kind, [ir.Constant(self.real, number)] * self.width))

    def carry(self, count, body, start):
        """Repeats ``Vecs = body(index, *Vecs)`` for index 0 … count - 1, from the Vecs of `start`; returns the last."""

        def step(index, carried):
            results = body(index, *(Vec(self.builder, value) for value in carried))
            return [result.value for result in (results or ())]

        return [Vec(self.builder, value) for value in fold(self.builder, count, [vec.value for vec in start], step)]


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


class Row(Sweep):
    """One row, number i, in vectors of neighbouring columns."""

    def at(self, i):
        self.i = i
        self.whole = self.builder.lshr(self.d, INDEX(self.width.bit_length() - 1))
        done = self.builder.mul(self.whole, INDEX(self.width))
        self.rest = Part(self, done, mask_for(self.builder, self.builder.sub(self.d, done), self.width))
        return self

    def parts(self, body, *start):
        """Over the row: ``Vecs = body(part, *Vecs)``, where the part loads and stores its columns of any matrix.

        The last part has less than all of its columns, and may have none.
        """

        def full(index, *vecs):
            return body(Part(self, self.builder.mul(index, INDEX(self.width)), None), *vecs)

        carried = self.carry(self.whole, full, start)
        return body(self.rest, *carried)

    def value(self, k):
        """Copies of element i of vector k."""
        return splat(self.builder, self.builder.load(self.builder.gep(self.vectors[k], [self.i])), self.width)

    def put(self, k, vec):
        """Element i of vector k becomes that of the Vec's first lane."""
        self.builder.store(self._first(vec), self.builder.gep(self.vectors[k], [self.i]))

    def element(self, k, column):
        """Copies of the element of matrix k at this row, in the column whose number the Vec has in its first lane."""
        place = self.place(k, self.i, self.builder.fptosi(self._first(column), INDEX))
        return splat(self.builder, self.builder.load(place), self.width)

    def _first(self, vec):
        return self.builder.extract_element(vec.value, ir.IntType(32)(0))

    def across(self, vec, combine):
        """Copies of all lanes combined: lane j with j ± width / 2, then with j ± width / 4, and so on."""
        half = self.width // 2
        while half:
            order = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [j ^ half for j in range(self.width)])
            swapped = self.builder.shuffle_vector(vec.value, vec.value, order)
            vec, half = combine(vec, Vec(self.builder, swapped)), half // 2
        return vec


class Part:
    """Neighbouring columns of a row; those that a mask leaves out count as what `only` says."""

    def __init__(self, row, start, mask):
        self.row, self.start, self.mask = row, start, mask
        self.stored = {}  # a load just behind a masked store would wait until that has reached the cache

    def load(self, k):
        if k in self.stored:
            return self.stored[k]
        return load(self.row.builder, self.row.place(k, self.row.i, self.start), self.row.real, self.mask)

    def store(self, k, vec):
        self.stored[k] = vec
        store(self.row.builder, vec, self.row.place(k, self.row.i, self.start), self.mask)

    def numbers(self):
        """The numbers of the columns."""
        first = splat(self.row.builder, self.row.builder.sitofp(self.start, self.row.real), self.row.width)
        kind = first.value.type
        return first + Vec(
            first.builder, ir.Constant(kind, [ir.Constant(self.row.real, float(j)) for j in range(kind.count)])
        )

    def only(self, vec, other):
        """The Vec, with a number in the lanes where there is no column."""
        if self.mask is None:
            return vec
        return Vec(vec.builder, vec.builder.select(self.mask, vec.value, vec.of(other)))


def columnwise(formula):
    """``run(matrices, vectors, scalars)`` for Numba: ``formula(Columns, *scalars)`` for all columns, a Vec at a time.

    All are tuples: matrices (n, d) and vectors (d,), C-contiguous, of one dtype, and scalars of it.
    """

    def emit(builder, sweep, scalars):
        whole = builder.and_(sweep.d, ir.Constant(INDEX, -sweep.width))
        with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(sweep.width)) as (start, _):
            formula(sweep.at(start, None), *scalars)
        rest = builder.sub(sweep.d, whole)
        with builder.if_then(builder.icmp_signed(">", rest, INDEX(0))):
            formula(sweep.at(whole, mask_for(builder, rest, sweep.width)), *scalars)

    return swept(Columns, emit)


def rowwise(formula):
    """``run(matrices, vectors, scalars)`` for Numba: ``formula(Row, *scalars)`` for each row.

    All are tuples: matrices (n, d) and vectors (n,), C-contiguous, of one dtype, and scalars of it.
    """

    def emit(builder, sweep, scalars):
        with cgutils.for_range(builder, sweep.n) as loop:
            formula(sweep.at(loop.index), *scalars)

    return swept(Row, emit)


def swept(kind, emit):
    """The intrinsic that makes a Sweep of its arguments and emits loops over it."""

    @intrinsic
    def run(typingctx, matrices, vectors, scalars):
        def codegen(context, builder, signature, args):
            arrays = [
                [
                    make_array(t)(context, builder, a)
                    for t, a in zip(types_, unpack(builder, packed, types_), strict=True)
                ]
                for types_, packed in ((matrices, args[0]), (vectors, args[1]))
            ]
            n, d = cgutils.unpack_tuple(builder, arrays[0][0].shape, 2)
            pointers = [[array.data for array in group] for group in arrays]
            sweep = kind(builder, *pointers, n, d, real_type(matrices[0].dtype))
            emit(builder, sweep, [splat(builder, s, sweep.width) for s in unpack(builder, args[2], scalars)])
            return context.get_dummy_value()

        return types.void(matrices, vectors, scalars), codegen

    return run


def unpack(builder, packed, kinds):
    return cgutils.unpack_tuple(builder, packed, len(kinds))
