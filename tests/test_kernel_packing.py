"""Copies of parts of matrices: every element where its reader looks for it, and nothing else written."""

from itertools import product

import numpy as np
import pytest
from guards import Guards
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastml.kernels.cpu import BITS
from fastml.kernels.matrix import Matrix, smaller
from fastml.kernels.packing import copy_panels, copy_transposed_panel, pack_strips, transpose_block
from fastml.kernels.simd import INDEX, Vec, lanes, load, real_type, store
from fastml.kernels.tiling import GROUP, PAD, PANEL, ROWS, VECTORS
from fastml.program.compiled import DTYPES

WIDTH = {"float32": BITS // 32, "float64": BITS // 64}
TERMS = [0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 33, 70]


def copied(copy):
    """``run(source, size, target, i, j, terms, count)`` for Numba: a copy of a part that begins at element i, j."""

    @intrinsic
    def run(typingctx, source, row, target, i, j, terms, count):
        def codegen(context, builder, signature, args):
            real = real_type(source.dtype)
            data, packed = (make_array(kind)(context, builder, args[k]).data for k, kind in ((0, source), (2, target)))
            copy(builder, real, Matrix(builder, data, args[1]).at(args[3], args[4]), packed, args[5], args[6])
            return context.get_dummy_value()

        return types.void(source, *(types.int64,), target, *(types.int64,) * 4), codegen

    return run


def panel_of(builder, real, packed):
    return Matrix(builder, packed, INDEX(VECTORS * lanes(real)))


@copied
def panels(builder, real, b, packed, terms, left):
    copy_panels(builder, real, b, terms, left, panel_of(builder, real, packed))


@copied
def transposed_panel(builder, real, b, packed, terms, left):
    copy_transposed_panel(builder, real, b, terms, left, panel_of(builder, real, packed))


@copied
def strips(builder, real, x, packed, terms, rows):
    """Of xᵀ, whose rows stand side by side."""
    a = Matrix(builder, x.pointer, INDEX(1), x.row)
    pack_strips(builder, real, a, rows, terms, ROWS, packed)


@copied
def transposed_block(builder, real, b, packed, terms, count):
    width = lanes(real)
    block = [load(builder, b.at(INDEX(r)).pointer, real).value for r in range(width)]
    for k, column in enumerate(transpose_block(builder, block)):
        store(builder, Vec(builder, column), builder.gep(packed, [INDEX(k * width)]))


@njit
def run_panels(source, row, target, i, j, terms, count):
    panels(source, row, target, i, j, terms, count)


@njit
def run_transposed_panel(source, row, target, i, j, terms, count):
    transposed_panel(source, row, target, i, j, terms, count)


@njit
def run_strips(source, row, target, i, j, terms, count):
    strips(source, row, target, i, j, terms, count)


@njit
def run_transposed_block(source, row, target, i, j, terms, count):
    transposed_block(source, row, target, i, j, terms, count)


@intrinsic
def places(typingctx, address, i, j, row, column):
    """Where a Matrix has its element i, j, in two steps and in one; the smaller of i and j."""

    def codegen(context, builder, signature, args):
        address, i, j, row, column = args
        pointer = builder.inttoptr(address, ir.DoubleType().as_pointer())
        here = Matrix(builder, pointer, row, column)
        other = Matrix(builder, pointer, column, row)
        chosen = here.where(builder.icmp_signed("<", i, j), other)
        found = [m.pointer for m in (here.at(i).at(INDEX(0), j), here.at(i, j), chosen.at(i, j))]
        return context.make_tuple(
            builder, signature.return_type, [*(builder.ptrtoint(p, INDEX) for p in found), smaller(builder, i, j)]
        )

    return types.UniTuple(types.int64, 4)(*(types.int64,) * 5), codegen


@njit
def run_places(address, i, j, row, column):
    return places(address, i, j, row, column)


@pytest.mark.parametrize("i, j", [(0, 0), (2, 3), (3, 2), (7, 0), (-1, 4)])
def test_the_place_of_an_element(i, j):
    stepwise, once, chosen, least = run_places(1000, i, j, 10, 3)
    assert stepwise == once == 1000 + 8 * (10 * i + 3 * j)
    assert chosen == (once if i < j else 1000 + 8 * (3 * i + 10 * j)) and least == min(i, j)


def packed(run, source, size, part, terms, count):
    """What a copy writes, as a flat array in which NaNs are what it does not write; the source stays as it is."""
    guards = Guards(source.dtype)
    data, target = guards.arrays(source, np.full(size, np.nan))
    run(data, source.shape[1], target, *part, terms, count)
    assert np.array_equal(data, source) and guards.unharmed()
    return target


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("terms", TERMS)
def test_panels(terms, dtype):
    """Rows of b side by side, in as many panels as there are columns for, the last vector filled up with 0."""
    width = WIDTH[dtype]
    panel = VECTORS * width
    most = GROUP * panel
    source = 1 + np.arange((terms + 3) * (most + 7), dtype=dtype).reshape(terms + 3, -1)
    sizes = {1, width - 1, width, width + 1, 2 * width, panel - 1, panel, most - panel + 1, most - 1, most, most + 2}
    for left, (i, j) in product(sizes - {0}, [(0, 0), (2, 5)]):
        columns = min(-(-left // width) * width, most)
        values = np.zeros((terms, columns), dtype)
        values[:, :left] = source[i : i + terms, j : j + min(left, most)]
        expected = np.full((GROUP - 1) * PANEL + terms * panel, np.nan, dtype)
        for first in range(0, columns, width):
            number, column = divmod(first, panel)
            places = number * PANEL + np.arange(terms)[:, None] * panel + column + np.arange(width)
            expected[places] = values[:, first : first + width]
        got = packed(run_panels, source, expected.size, (i, j), terms, left)
        assert np.array_equal(got, expected, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("terms", TERMS)
def test_a_transposed_panel(terms, dtype):
    """Columns of b are rows of the panel; of what is behind it, only the rest of the last block may be written."""
    width = WIDTH[dtype]
    panel, blocks = VECTORS * width, -(-terms // width) * width
    source = 1 + np.arange((panel + 2) * (terms + 7), dtype=dtype).reshape(panel + 2, -1)
    for left, (i, j) in product((1, width - 1, width, width + 1, 2 * width, panel - 1, panel), [(0, 0), (2, 5)]):
        got = packed(run_transposed_panel, source, blocks * panel, (i, j), terms, left).reshape(blocks, panel)
        whole = -(-left // width) * width
        assert np.array_equal(got[:terms, :left], source[i : i + left, j : j + terms].T)
        repeated = np.repeat(source[i + left - 1, j : j + terms][:, None], whole - left, axis=1)
        assert np.array_equal(got[:terms, left:whole], repeated)
        assert np.isnan(got[:, whole:]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_transposed(dtype):
    width = WIDTH[dtype]
    source = np.arange(width * (width + 3), dtype=dtype).reshape(width, -1)
    got = packed(run_transposed_block, source, width * width, (0, 2), width, width)
    assert np.array_equal(got.reshape(width, width), source[:, 2 : 2 + width].T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("terms", TERMS)
def test_strips(terms, dtype):
    """Columns of x, a tile's worth after the other; places behind the last column are not written."""
    source = 1 + np.arange((terms + 2) * (5 * ROWS), dtype=dtype).reshape(terms + 2, -1)
    for rows, (p, i) in product((0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS, 4 * ROWS - 1), [(0, 0), (2, 3)]):
        count = -(-rows // ROWS)
        got = packed(run_strips, source, count * ROWS * (terms + PAD), (p, i), terms, rows)
        got = got.reshape(count, terms + PAD, ROWS)
        assert np.isnan(got[:, terms:]).all()
        expected = np.full((count * ROWS, terms), np.nan, dtype)
        expected[:rows] = source[p : p + terms, i : i + rows].T
        assert np.array_equal(got[:, :terms], expected.reshape(count, ROWS, terms).transpose(0, 2, 1), equal_nan=True)
