"""Embeddings: in place of each code in the data, the row of a table that it names; the other columns stay.

Codes are whole numbers from 0 on, below the rows of the table. Nobody checks that here. Loops that copy are plain: rows
of tables are short.
"""

from fastml.kernels.operands import Gradient, OfSlice, Rows, RowSlice, Size, SummedRows, Weights
from fastml.kernels.operation import operation
from fastml.kernels.simd import elementwise
from fastml.kernels.sums import add
from fastml.kernels.views import matrix, vector

fill = elementwise(lambda old, value: value)


@operation
def copy_columns(x: Rows("d_in"), column: Size(), width: Size(), place: Size(), a: Rows("d_out")):
    """Columns place … place + width - 1 of a are columns column … column + width - 1 of x.

    x : (n, d_in), a : (n, d_out). Overwrites these columns of a.
    """
    for i in range(x.shape[0]):
        for j in range(width):
            a[i, place + j] = x[i, column + j]


@operation
def embed_forward(x: Rows("d_in"), column: Size(), W: Weights("categories", "width"), place: Size(), a: Rows("d_out")):
    """Columns place … place + width - 1 of aᵢ are the row of W that the code in column `column` of xᵢ names.

    x : (n, d_in), W : (categories, width), a : (n, d_out). Overwrites these columns of a.
    """
    for i in range(x.shape[0]):
        code = int(x[i, column])
        for j in range(W.shape[1]):
            a[i, place + j] = W[code, j]


@operation
def embed_backward(
    x: SummedRows("d_in"),
    column: Size(),
    da: SummedRows("d_out"),
    place: Size(),
    bounds: RowSlice("W", "categories", "width"),
    fresh: OfSlice("fresh"),
    dW: Gradient("W", "categories", "width"),
):
    """dWₖ = Σᵢ daᵢ over the rows whose code in column `column` is k, added to what is there unless it is `fresh`.

    x : (n, d_in), da : (n, d_out), of which columns place … place + width - 1 count, dW : (categories, width).
    Overwrites the rows of dW in `bounds`, the first and the one behind the last. Each is a sum in the order of the rows
    of x, however the rows of dW are shared out.
    """
    (first, last), width = bounds, dW.shape[1]
    if fresh:
        part = matrix(dW, first * width, last - first, width)
        fill((part,), (part,), (dW.dtype.type(0),))
    for i in range(x.shape[0]):
        code = int(x[i, column])
        if first <= code < last:
            add(vector(da, i * da.shape[1] + place, width), vector(dW, code * width, width))
