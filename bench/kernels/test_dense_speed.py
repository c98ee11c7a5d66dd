"""The products of a dense layer against NumPy, which calls BLAS."""

import numpy as np
import pytest

from fastml.kernels.dense import dense_backward_weights, dense_forward

SIZES = [(16, 4, 16), (32, 64, 32), (64, 64, 64), (128, 784, 128)]  # n, d_in, d_out


@pytest.mark.parametrize("n, d_in, d_out", SIZES)
def test_dense_forward(compare, random, rival, n, d_in, d_out):
    x, W, b = (random.standard_normal(shape, "float32") for shape in ((n, d_in), (d_in, d_out), d_out))
    z, out = np.empty((n, d_out), "float32"), np.empty((n, d_out), "float32")

    def kernel():
        dense_forward(x, W, b, z)
        return (z,)

    def numpy():
        np.matmul(x, W, out=out)
        np.add(out, b, out=out)
        return (out,)

    compare(f"dense_forward {n}x{d_in}x{d_out} float32", rival, kernel, numpy)


@pytest.mark.parametrize("n, d_in, d_out", SIZES)
def test_dense_backward_weights(compare, random, rival, n, d_in, d_out):
    x, dz = random.standard_normal((n, d_in), "float32"), random.standard_normal((n, d_out), "float32")
    dW, db = np.empty((d_in, d_out), "float32"), np.empty(d_out, "float32")
    dW_out, db_out = np.empty_like(dW), np.empty_like(db)

    def kernel():
        dense_backward_weights(x, dz, dW, db)
        return dW, db

    def numpy():
        np.matmul(x.T, dz, out=dW_out)
        np.sum(dz, axis=0, out=db_out)
        return dW_out, db_out

    compare(f"dense_backward_weights {n}x{d_in}x{d_out} float32", rival, kernel, numpy)
