"""Views of flat buffers: what the compiled ones read and write is what the Python ones do."""

import numpy as np
import pytest
from guards import Guards
from numba import njit

from fastml.compiled import DTYPES
from fastml.kernels.views import borrowed, matrix, nothing, vector


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
def write_borrowed(array):
    view = borrowed(array)
    for k in np.ndindex(view.shape):
        view[k] += 1
    return view.shape


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
@pytest.mark.parametrize("shape", [(0,), (7,), (3, 5), (0, 4)])
def test_borrowed(shape, dtype):
    """The same elements, without an owner."""
    guards = Guards(dtype)
    array = guards.array(np.arange(np.prod(shape)).reshape(shape))
    kept = array.copy()
    assert write_borrowed(array) == borrowed(array).shape == shape
    assert borrowed(array) is array and np.array_equal(array, kept + 1) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (7,), (3, 5)])
def test_nothing(shape, dtype):
    array = np.ones(shape, dtype)
    assert shape_of_nothing(array) == nothing(array).shape == (0,) and nothing(array).dtype == dtype
