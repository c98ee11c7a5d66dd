"""Rows of the user's data into the workspace and back."""

from numba import njit


@njit(inline="always", error_model="numpy")
def gather_rows(data, order, first, rows):
    """Copies one batch: ``rows[i] = data[order[first + i]]``, or ``data[first + i]`` where order is empty.

    data : (all, d), order : (all,) int64 or (0,), rows : (n, d). Overwrites rows.
    """
    n, d = rows.shape
    for i in range(n):
        row = order[first + i] if order.size else first + i
        for j in range(d):
            rows[i, j] = data[row, j]


@njit(inline="always", error_model="numpy")
def store_rows(rows, first, data):
    """Copies one batch back: ``data[first + i] = rows[i]``.

    rows : (n, d), data : (all, d). Overwrites rows first … first + n - 1 of data.
    """
    n, d = rows.shape
    for i in range(n):
        for j in range(d):
            data[first + i, j] = rows[i, j]
