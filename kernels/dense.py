"""The layer of neurons: each output is a weighted sum of all inputs plus a bias."""

from numba import njit

from fastml.kernels.column import spread_rows, weigh_rows
from fastml.kernels.gemm import product
from fastml.kernels.views import matrix, nothing

multiply = product()
multiply_columns = product(a_is="columns")
add_rows = product(a_is="ones")
multiply_transposed = product(b_transposed=True)


@njit(inline="always", error_model="numpy")
def dense_forward(x, W, b, kind, a, room):
    """a = f(x·W + b), where kind names f, an activation of EPILOGUES, or is 0 for none.

    x : (n, d_in), W : (d_in, d_out), b : (d_out,), a : (n, d_out). Overwrites a and room.
    """
    if W.shape[1] > 1:
        multiply(x, 0, W, b, False, kind, a, a, room)
    else:
        weigh_rows(x, W, b, a, kind)


@njit(inline="always", error_model="numpy")
def dense_backward_weights(x, dz, first, last, accumulate, dW, db, room):
    """dW = xᵀ·dz,  db = Σᵢ dzᵢ,  or these added to what is there, if `accumulate`.

    x : (n, d_in), dz : (n, d_out), n ≥ 1, dW : (d_in, d_out), db : (d_out,). Overwrites rows first … last - 1 of dW, db
    if they are the last ones, and room. A single column is a row, too: dWᵀ = dzᵀ·x fills vectors, dW would not.
    """
    (n, d_in), d_out, none = x.shape, dz.shape[1], nothing(db)
    if d_out > 1:
        part = matrix(dW, first * d_out, last - first, d_out)
        multiply_columns(x, first, dz, none, accumulate, 0, part, part, room)
    elif first == 0 < last:
        row = matrix(dW, 0, 1, d_in)
        multiply(matrix(dz, 0, 1, n), 0, x, none, accumulate, 0, row, row, room)
    if first < last == d_in:
        row = matrix(db, 0, 1, d_out)
        add_rows(x, 0, dz, none, accumulate, 0, row, row, room)


@njit(inline="always", error_model="numpy")
def dense_backward_inputs(dz, W, kind, a, dx, room):
    """dx = dz·Wᵀ, times f′ where kind names f, an activation of EPILOGUES, or is 0, and the inputs are a = f(…).

    dz : (n, d_out), W : (d_in, d_out), a, dx : (n, d_in). Overwrites dx and room.
    """
    if W.shape[1] > 1:
        multiply_transposed(dz, 0, W, nothing(room), False, -kind, a, dx, room)
    else:
        spread_rows(dz, W, a, dx, -kind)
