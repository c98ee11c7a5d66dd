"""Embeddings: in place of each code in the data, the row of a table that it names; the other columns stay.

Codes are whole numbers from 0 on, below the rows of the table. Nobody checks that here. Loops that copy are plain: rows
of tables are short.
"""

from numba import njit

from fastml.kernels.simd import elementwise
from fastml.kernels.sums import add
from fastml.kernels.views import matrix, vector

fill = elementwise(lambda old, value: value)


@njit(inline="always", error_model="numpy")
def copy_columns(x, column, width, place, a):
    """Columns place … place + width - 1 of a are columns column … column + width - 1 of x.

    x : (n, d_in), a : (n, d_out). Overwrites these columns of a.
    """
    for i in range(x.shape[0]):
        for j in range(width):
            a[i, place + j] = x[i, column + j]


@njit(inline="always", error_model="numpy")
def embed_forward(x, column, W, place, a):
    """Columns place … place + width - 1 of aᵢ are the row of W that the code in column `column` of xᵢ names.

    x : (n, d_in), W : (categories, width), a : (n, d_out). Overwrites these columns of a.
    """
    for i in range(x.shape[0]):
        code = int(x[i, column])
        for j in range(W.shape[1]):
            a[i, place + j] = W[code, j]


@njit(inline="always", error_model="numpy")
def embed_backward(x, column, da, place, first, last, accumulate, dW):
    """dWₖ = Σᵢ daᵢ over the rows whose code in column `column` is k, or this added to what is there, if `accumulate`.

    x : (n, d_in), da : (n, d_out), of which columns place … place + width - 1 count, dW : (categories, width).
    Overwrites rows first … last - 1 of dW. Each is a sum in the order of the rows of x, however the rows of dW are
    shared out.
    """
    width = dW.shape[1]
    if not accumulate:
        part = matrix(dW, first * width, last - first, width)
        fill((part,), (part,), (dW.dtype.type(0),))
    for i in range(x.shape[0]):
        code = int(x[i, column])
        if first <= code < last:
            add(vector(da, i * da.shape[1] + place, width), vector(dW, code * width, width))
