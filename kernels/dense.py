"""The layer of neurons: each output is a weighted sum of all inputs plus a bias."""

import numpy as np
from numba import njit

from fastml.kernels.gemm import product, transpose
from fastml.kernels.views import nothing

NEXT = np.intp(1)  # from one term of a sum to the next; a plain 1 in a call would be a type of its own to Numba


@njit(inline="always", error_model="numpy")
def dense_forward(x, W, b, z):
    """z = x·W + b

    x : (n, d_in), W : (d_in, d_out), b : (d_out,), z : (n, d_out). Overwrites z.
    """
    product(x, W.shape[0], NEXT, W, b, z)


@njit(inline="always", error_model="numpy")
def dense_backward_weights(x, dz, dW, db):
    """dW = xᵀ·dz,  db = Σᵢ dzᵢ

    x : (n, d_in), dz : (n, d_out), dW : (d_in, d_out), db : (d_out,). Overwrites dW and db.
    """
    for j in range(db.size):
        db[j] = 0
    for i in range(dz.shape[0]):
        for j in range(db.size):
            db[j] += dz[i, j]
    product(x, NEXT, dW.shape[0], dz, nothing(db), dW)


@njit(inline="always", error_model="numpy")
def dense_backward_inputs(dz, W, Wt, dx):
    """dx = dz·Wᵀ

    dz : (n, d_out), W : (d_in, d_out), dx : (n, d_in). Overwrites dx and Wt : (d_out, d_in), which takes the
    transposed weights: along the rows of W the product would be a sum across the lanes of a vector.
    """
    transpose(W, Wt)
    product(dz, W.shape[1], NEXT, Wt, nothing(dx), dx)
