"""The layer of neurons: each output is a weighted sum of all inputs plus a bias."""

from numba import njit

from fastml.kernels.gemm import matmul_add, matmul_transposed, transpose


@njit(error_model="numpy")
def dense_forward(x, W, b, z):
    """z = x·W + b

    x : (n, d_in), W : (d_in, d_out), b : (d_out,), z : (n, d_out). Overwrites z.
    """
    n, d_out = z.shape
    for i in range(n):
        for j in range(d_out):
            z[i, j] = b[j]
    matmul_add(x, W, z)


@njit(error_model="numpy")
def dense_backward_weights(x, dz, dW, db):
    """dW = xᵀ·dz,  db = Σᵢ dzᵢ

    x : (n, d_in), dz : (n, d_out), dW : (d_in, d_out), db : (d_out,). Overwrites dW and db.
    """
    n, d_out = dz.shape
    for j in range(d_out):
        db[j] = 0
    for i in range(n):
        for j in range(d_out):
            db[j] += dz[i, j]
    matmul_transposed(x, dz, dW)


@njit(error_model="numpy")
def dense_backward_inputs(dz, W, Wt, dx):
    """dx = dz·Wᵀ

    dz : (n, d_out), W : (d_in, d_out), dx : (n, d_in). Overwrites dx and Wt : (d_out, d_in), which takes the
    transposed weights: along the rows of W the product would be a sum across the lanes of a vector.
    """
    transpose(W, Wt)
    n, d_in = dx.shape
    for i in range(n):
        for j in range(d_in):
            dx[i, j] = 0
    matmul_add(dz, Wt, dx)
