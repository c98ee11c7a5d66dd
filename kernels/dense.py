"""The layer of neurons: each output is a weighted sum of all inputs plus a bias."""

import numpy as np
from numba import njit

from fastml.kernels.gemm import product_add, transpose

NEXT = np.intp(1)  # from one term of a sum to the next; a plain 1 in a call would be a type of its own to Numba


@njit(error_model="numpy")
def dense_forward(x, W, b, z):
    """z = x·W + b

    x : (n, d_in), W : (d_in, d_out), b : (d_out,), z : (n, d_out). Overwrites z.
    """
    n, d_out = z.shape
    for i in range(n):
        for j in range(d_out):
            z[i, j] = b[j]
    product_add(x, W.shape[0], NEXT, W, z)


@njit(error_model="numpy")
def dense_backward_weights(x, dz, dW, db):
    """dW = xᵀ·dz,  db = Σᵢ dzᵢ

    x : (n, d_in), dz : (n, d_out), dW : (d_in, d_out), db : (d_out,). Overwrites dW and db.
    """
    d_in, d_out = dW.shape
    for j in range(d_out):
        db[j] = 0
    for i in range(dz.shape[0]):
        for j in range(d_out):
            db[j] += dz[i, j]
    for i in range(d_in):
        for j in range(d_out):
            dW[i, j] = 0
    product_add(x, NEXT, d_in, dz, dW)


@njit(error_model="numpy")
def dense_backward_inputs(dz, W, Wt, dx):
    """dx = dz·Wᵀ

    dz : (n, d_out), W : (d_in, d_out), dx : (n, d_in). Overwrites dx and Wt : (d_out, d_in), which takes the
    transposed weights: along the rows of W the product would be a sum across the lanes of a vector.
    """
    n, d_in = dx.shape
    transpose(W, Wt)
    for i in range(n):
        for j in range(d_in):
            dx[i, j] = 0
    product_add(dz, W.shape[1], NEXT, Wt, dx)
