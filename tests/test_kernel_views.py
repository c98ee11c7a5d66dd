"""Views of flat buffers: what the compiled ones read and write is what the Python ones do."""

import numpy as np
import pytest
from guards import Guards
from numba import njit

from fastml.kernels.views import at_address, matrix, nothing, rows, vector
from fastml.program.compiled import DTYPES

PAIR = np.dtype([("whole", np.int64), ("real", np.float64)], align=True)


@njit
def write_vector(buffer, offset, size):
    view = vector(buffer, offset, size)
    for k in range(size):
        view[k] = 10 + k
    return view.shape, view.strides, view.itemsize


@njit
def write_matrix(buffer, offset, n, d):
    view = matrix(buffer, offset, n, d)
    for i in range(n):
        for j in range(d):
            view[i, j] = 10 * i + j
    return view.shape, view.strides, view.itemsize


@njit
def write_rows(buffer, offset, first, n, d):
    view = rows(buffer, offset, first, n, d)
    for i in range(n):
        for j in range(d):
            view[i, j] = 10 * i + j
    return view.shape, view.strides, view.itemsize


@njit
def add_at_address(example, address, size):
    view = at_address(example, address, size)
    for k in range(size):
        view[k] += 1
    return view.shape, view.strides, view.itemsize


@njit
def add_to_record(address):
    record = at_address(PAIR, address, 2)[1]
    record.whole += 5
    record.real = 2.5
    return record.whole


@njit
def shape_of_nothing(array):
    return nothing(array).shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset, size", [(0, 0), (0, 1), (3, 7), (0, 20), (19, 1), (20, 0)])
def test_vector(offset, size, dtype):
    guards = Guards(dtype)
    buffer, expected = guards.array(np.zeros(20)), np.zeros(20, dtype)
    view = vector(expected, offset, size)
    view[...] = 10 + np.arange(size)
    assert write_vector(buffer, offset, size) == ((size,), view.strides, view.itemsize)
    assert np.array_equal(buffer, expected) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset, n, d", [(0, 0, 3), (0, 1, 1), (2, 3, 5), (0, 4, 5), (3, 17, 1), (20, 5, 0)])
def test_matrix(offset, n, d, dtype):
    guards = Guards(dtype)
    buffer, expected = guards.array(np.zeros(20)), np.zeros(20, dtype)
    view = matrix(expected, offset, n, d)
    view[...] = 10 * np.arange(n)[:, None] + np.arange(d)
    assert write_matrix(buffer, offset, n, d) == ((n, d), (d * view.itemsize, view.itemsize), view.itemsize)
    assert view.shape == (n, d)
    assert np.array_equal(buffer, expected) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset, first, n, d", [(0, 0, 0, 3), (0, 0, 1, 1), (2, 1, 2, 5), (0, 3, 1, 5), (3, 7, 10, 1)])
def test_rows(offset, first, n, d, dtype):
    """Those from a number on of a matrix that starts at the offset."""
    guards = Guards(dtype)
    buffer, expected = guards.array(np.zeros(20)), np.zeros(20, dtype)
    view = rows(expected, offset, first, n, d)
    view[...] = 10 * np.arange(n)[:, None] + np.arange(d)
    assert write_rows(buffer, offset, first, n, d) == ((n, d), (d * view.itemsize, view.itemsize), view.itemsize)
    assert np.array_equal(view, matrix(expected, offset, first + n, d)[first:])
    assert np.array_equal(buffer, expected) and guards.unharmed()


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_at_address(size, dtype):
    """The array that stands there, of the dtype of a number."""
    whole = np.arange(20, dtype=dtype)
    kept, part = whole.copy(), whole[5 : 5 + size]
    assert add_at_address(whole.dtype.type(0), part.ctypes.data, size) == ((size,), part.strides, part.itemsize)
    kept[5 : 5 + size] += 1
    assert np.array_equal(whole, kept)


def test_records_at_an_address():
    """What is written to a record of the array stays there."""
    array = np.zeros(3, PAIR)
    array["whole"] = [1, 2, 3]
    assert add_to_record(array.ctypes.data) == 7
    assert array["whole"].tolist() == [1, 7, 3] and array["real"].tolist() == [0, 2.5, 0]


def test_python_has_no_addresses():
    with pytest.raises(NotImplementedError, match="only compiled code"):
        at_address(0.0, 0, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (7,), (3, 5)])
def test_nothing(shape, dtype):
    array = np.ones(shape, dtype)
    assert shape_of_nothing(array) == nothing(array).shape == (0,) and nothing(array).dtype == dtype
