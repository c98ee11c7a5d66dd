"""Loops over the rows of matrices, written as formulas on `Vec`, for kernels that sum along them; and what those over
columns share with them."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.fold import fold
from fastml.kernels.matrix import smaller
from fastml.kernels.packing import transpose_block
from fastml.kernels.simd import INDEX, Vec, lanes, load, mask_for, real_type, splat, store


class Sweep:
    """What a formula sees of its arguments: matrices (n, d) and vectors, by their position in the call."""

    flat = ()  # numbers of matrices that are vectors (d,): all their rows are the same

    def __init__(self, builder, matrices, vectors, n, d, real):
        self.builder, self.matrices, self.vectors = builder, matrices, vectors
        self.n, self.d, self.real, self.width = n, d, real, lanes(real)
        self.read, self.written = set(), set()  # matrices that the formula loads from and stores to

    def place(self, k, i, j):
        """Pointer to the element i, j of matrix k."""
        return self.builder.gep(
            self.matrices[k], [j if k in self.flat else self.builder.add(self.builder.mul(i, self.d), j)]
        )

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
        self.read.add(k)
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
        self.row.read.add(k)
        return load(self.row.builder, self.row.place(k, self.row.i, self.start), self.row.real, self.mask)

    def keep(self, k, vec):
        """Stores what will be loaded and stored again; the last part needs no memory for it."""
        if self.mask is None:
            self.store(k, vec)
        self.stored[k] = vec

    def store(self, k, vec):
        self.stored[k] = vec
        self.row.written.add(k)
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
        return Vec(vec.builder, vec.builder.select(self.mask.bits, vec.value, vec.of(other)))


class NarrowRows(Sweep):
    """As many rows as a vector has lanes, one in each lane, where the matrices are no wider than that.

    A formula sees them as a single `Row`, whose parts are the columns: what it does across a row costs nothing here.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        kind = ir.VectorType(self.real, self.width)
        self.columns = [cgutils.alloca_once(self.builder, kind, size=INDEX(self.width)) for _ in self.matrices]

    def at(self, i):
        """From row i on; lanes behind the last row read it again."""
        b = self.builder
        self.i, self.left, last = i, b.sub(self.n, i), b.sub(self.n, INDEX(1))
        self.mask, self.inside = mask_for(b, self.left, self.width), mask_for(b, self.d, self.width)
        self.numbers = [smaller(b, b.add(i, INDEX(r)), last) for r in range(self.width)]
        return self

    def gather(self, k):
        """Takes the rows of matrix k."""
        places = [self.place(k, number, INDEX(0)) for number in self.numbers]
        rows = [load(self.builder, place, self.real, self.inside).value for place in places]
        for j, column in enumerate(transpose_block(self.builder, rows)):
            self.builder.store(column, self.column(k, INDEX(j)))

    def scatter(self, k):
        """Writes the rows of matrix k."""
        b = self.builder
        columns = [b.load(self.column(k, INDEX(j))) for j in range(self.width)]
        for r, row in enumerate(transpose_block(b, columns)):
            count = b.select(b.icmp_signed("<", INDEX(r), self.left), self.d, INDEX(0))
            store(b, Vec(b, row), self.place(k, self.numbers[r], INDEX(0)), mask_for(b, count, self.width))

    def column(self, k, j):
        return self.builder.gep(self.columns[k], [j])

    def parts(self, body, *start):
        return self.carry(self.d, lambda j, *vecs: body(Column(self, j), *vecs), start)

    def value(self, k):
        return load(self.builder, self.builder.gep(self.vectors[k], [self.i]), self.real, self.mask)

    def put(self, k, vec):
        store(self.builder, vec, self.builder.gep(self.vectors[k], [self.i]), self.mask)

    def element(self, k, column):
        def found(part, value):
            return [part.numbers().where("==", column, part.load(k), value)]

        return self.parts(found, self.constant(0.0))[0]

    def across(self, vec, combine):
        return vec


class Column:
    """A column of NarrowRows, seen as `Part` of a row."""

    def __init__(self, rows, j):
        self.rows, self.j = rows, j

    def load(self, k):
        return Vec(self.rows.builder, self.rows.builder.load(self.rows.column(k, self.j)))

    def store(self, k, vec):
        self.rows.builder.store(vec.value, self.rows.column(k, self.j))

    keep = store

    def numbers(self):
        b = self.rows.builder
        return splat(b, b.sitofp(self.j, self.rows.real), self.rows.width)

    def only(self, vec, other):
        return vec


def rowwise(formula, flat=()):
    """``run(matrices, vectors, scalars)`` for Numba: ``formula(Row, *scalars)`` for each row.

    All are tuples: matrices (n, d) and vectors (n,), C-contiguous, of one dtype, and scalars of it. The matrices whose
    numbers `flat` has are vectors (d,), read as if each row were a copy; the first is none of them.
    """

    @intrinsic
    def run(typingctx, matrices, vectors, scalars):
        def codegen(context, builder, signature, args):
            groups = matrices, vectors, scalars
            row, constants = swept(context, builder, Row, groups, args)
            row.flat = flat
            narrow = builder.icmp_signed("<=", row.d, INDEX(row.width))
            with builder.if_else(narrow) as (yes, no):
                with no, cgutils.for_range(builder, row.n) as loop:
                    formula(row.at(loop.index), *constants)
                with yes:
                    rows, constants = swept(context, builder, NarrowRows, groups, args)
                    rows.flat = flat
                    with cgutils.for_range_slice(builder, INDEX(0), row.n, INDEX(row.width)) as (i, _):
                        rows.at(i)
                        for k in sorted(row.read):
                            rows.gather(k)
                        formula(rows, *constants)
                        for k in sorted(row.written):
                            rows.scatter(k)
            return context.get_dummy_value()

        return types.void(matrices, vectors, scalars), codegen

    return run


def swept(context, builder, kind, groups, args):
    """The Sweep of the arguments, and Vecs of the scalars; `groups` are the types of matrices, vectors, scalars."""

    def unpack(k):
        return zip(groups[k], cgutils.unpack_tuple(builder, args[k], len(groups[k])), strict=True)

    matrices, vectors = ([make_array(t)(context, builder, array) for t, array in unpack(k)] for k in (0, 1))
    n, d = cgutils.unpack_tuple(builder, matrices[0].shape, 2)
    pointers = [[array.data for array in group] for group in (matrices, vectors)]
    sweep = kind(builder, *pointers, n, d, real_type(groups[0][0].dtype))
    return sweep, [splat(builder, scalar, sweep.width) for _, scalar in unpack(2)]
