"""The memory of arrays: zeros that start where vectors may, and addresses."""

import numpy as np

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def aligned_zeros(size, dtype):
    """Zeros that start at a multiple of 64 bytes."""
    size *= np.dtype(dtype).itemsize
    bytes_ = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -address_of(bytes_) % ALIGNMENT
    return bytes_[start : start + size].view(dtype)


def address_of(array):
    """The address of an array, which NumPy tells sooner in this way, unless it describes a record at that."""
    return array.ctypes.data if array.dtype.names else array.__array_interface__["data"][0]
