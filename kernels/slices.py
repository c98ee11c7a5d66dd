"""Which part of a step is whose: the slice of a batch, of parameters, or of columns that a thread works on.

No slice changes the order in which numbers are added, so that the results are the same bits for any number of threads.
"""

from numba import njit

LINE = 16  # rows or elements: slices start at multiples, so that no two threads write to one cache line


@njit(inline="always", error_model="numpy")
def slice_of(size, thread, threads):
    """The share of a thread in 0 … size - 1: its first element, a multiple of LINE, and the one behind its last."""
    if threads == 1:  # without divisions
        return 0, size
    lines = (size + LINE - 1) // LINE
    return min(size, lines * thread // threads * LINE), min(size, lines * (thread + 1) // threads * LINE)


@njit(inline="always", error_model="numpy")
def part(size, slice_):
    """The first element of the thread's share, and how many it has."""
    first, end = slice_of(size, slice_.thread, slice_.threads)
    return first, end - first


@njit(inline="always", error_model="numpy")
def rows_of_thread(size, offset, d_in, d_out, slice_, block):
    """The rows of the gradient of a weight matrix that are the thread's, which stands at an offset among `size` others.

    Where a batch goes in blocks, each thread sums up all rows, of the gradients of its own shards, if it has any rows
    of the batch. Else about those rows that its share of all parameters has: so a thread updates the weights whose
    gradients it has in its own cache, and reads the activations of its own layers only.
    """
    if block:
        return 0, d_in if slice_.count else 0
    if slice_.threads == 1:
        return 0, d_in
    (left, right), lines = slice_of(size, slice_.thread, slice_.threads), LINE * d_out
    first, last = (left - offset + lines - 1) // lines * LINE, (right - offset + lines - 1) // lines * LINE
    return min(d_in, max(0, first)), min(d_in, max(0, last))


@njit(inline="always", error_model="numpy")
def begin_slice(slice_):
    """The rows of the batch that are the thread's: all of its share at once."""
    first, end = slice_of(slice_.n, slice_.thread, slice_.threads)
    slice_.first, slice_.end, slice_.at, slice_.m, slice_.blocks = first, end, first, end - first, 0
    slice_.shard, slice_.fresh, slice_.source, slice_.count = 0, True, 0, slice_.n
