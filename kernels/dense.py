"""The layer of neurons: each output is a weighted sum of all inputs plus a bias."""

from fastml.kernels.column import multiply_rows, spread_rows
from fastml.kernels.gemm import product
from fastml.kernels.operands import Function, Gradient, OfSlice, Rows, RowSlice, Scratch, SummedRows, Weights
from fastml.kernels.operation import operation
from fastml.kernels.views import matrix, nothing

multiply = product()
multiply_columns = product(a_is="columns")
add_rows = product(a_is="ones")
multiply_transposed = product(b_transposed=True)

NONE = (0, 0)  # instead of the addresses of an elementwise function and its instruction


@operation
def dense_forward(
    x: Rows("d_in"),
    W: Weights("d_in", "d_out"),
    b: Weights("d_out"),
    function: Function(),
    z: Rows("d_out"),
    a: Rows("d_out"),
    scratch: Scratch("room"),
):
    """z = x·W + b, and a = f(z), where there is a function f.

    x : (n, d_in), W : (d_in, d_out), b : (d_out,), z, a : (n, d_out). Overwrites z, a, which may be z, and scratch.
    """
    if W.shape[1] > 1:
        multiply(x, 0, W, b, False, z, function, z, a, scratch)
    else:
        multiply_rows(x, W, b, z, function, z, a)


@operation
def dense_backward_weights(
    x: SummedRows("d_in"),
    dz: SummedRows("d_out"),
    bounds: RowSlice("W", "d_in", "d_out"),
    fresh: OfSlice("fresh"),
    dW: Gradient("W", "d_in", "d_out"),
    db: Gradient("b", "d_out"),
    scratch: Scratch("room"),
):
    """dW = xᵀ·dz,  db = Σᵢ dzᵢ,  or these added to what is there, unless it is `fresh`.

    x : (n, d_in), dz : (n, d_out), n ≥ 1, dW : (d_in, d_out), db : (d_out,), bounds : the first and the one behind the
    last of the rows of dW to overwrite, and db with the last ones. Overwrites scratch. A single column is a row, too:
    dWᵀ = dzᵀ·x fills vectors, dW would not.
    """
    d_in, d_out, none, accumulate = x.shape[1], dz.shape[1], nothing(db), not fresh
    first, last = bounds
    if d_out > 1:
        part = matrix(dW, first * d_out, last - first, d_out)
        multiply_columns(x, first, dz, none, accumulate, part, NONE, part, part, scratch)
    elif first == 0 < last:
        row = matrix(dW, 0, 1, d_in)
        multiply_columns(dz, 0, x, none, accumulate, row, NONE, row, row, scratch)
    if first < last == d_in:
        row = matrix(db, 0, 1, d_out)
        add_rows(x, 0, dz, none, accumulate, row, NONE, row, row, scratch)


@operation
def dense_backward_inputs(
    dz: Rows("d_out"),
    W: Weights("d_in", "d_out"),
    function: Function(),
    u: Rows("d_in"),
    dx: Rows("d_in"),
    scratch: Scratch("room"),
):
    """dx = dz·Wᵀ, and then, where there is a function, the slope of an activation, dx = f(u, dx).

    dz : (n, d_out), W : (d_in, d_out), u, dx : (n, d_in). Overwrites dx and scratch.
    """
    if W.shape[1] > 1:
        multiply_transposed(dz, 0, W, nothing(scratch), False, dx, function, u, dx, scratch)
    else:
        spread_rows(dz, W, dx, function, u, dx)
