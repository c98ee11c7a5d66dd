"""The memory of arrays: zeros that start where vectors may, and addresses."""

from ctypes import addressof, c_char

import numpy as np

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def aligned_zeros(size, dtype):
    """Zeros that start at a multiple of 64 bytes."""
    size *= np.dtype(dtype).itemsize
    bytes_ = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -address_of(bytes_) % ALIGNMENT
    return bytes_[start : start + size].view(dtype)


def address_of(array):
    """The address of an array, told soonest in this way where that goes; a record would be described first."""
    if not array.dtype.names:
        try:
            return addressof(start_of(array))
        except (TypeError, ValueError):  # it is empty, not to be written to, or has gaps
            pass
    return array.ctypes.data


start_of = c_char.from_buffer
