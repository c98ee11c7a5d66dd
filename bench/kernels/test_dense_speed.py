"""The products of a dense layer against NumPy, which calls BLAS."""

import numpy as np
import pytest

from fastml.kernels.dense import NONE, dense_backward_inputs, dense_backward_weights, dense_forward
from fastml.kernels.tiling import SCRATCH

SIZES = [(16, 4, 16), (32, 64, 32), (64, 64, 64), (128, 784, 128), (256, 512, 512)]  # n, d_in, d_out


@pytest.mark.parametrize("n, d_in, d_out", SIZES)
def test_dense_forward(compare, random, rival, n, d_in, d_out):
    x, W, b = (random.standard_normal(shape, "float32") for shape in ((n, d_in), (d_in, d_out), d_out))
    z, out, room = (np.empty(shape, "float32") for shape in ((n, d_out), (n, d_out), SCRATCH))

    def kernel():
        dense_forward(x, W, b, NONE, z, z, room)
        return (z,)

    def numpy():
        np.matmul(x, W, out=out)
        np.add(out, b, out=out)
        return (out,)

    compare(f"dense_forward {n}x{d_in}x{d_out} float32", rival, kernel, numpy)


@pytest.mark.parametrize("n, d_in, d_out", SIZES)
def test_dense_backward_weights(compare, random, rival, n, d_in, d_out):
    x, dz = random.standard_normal((n, d_in), "float32"), random.standard_normal((n, d_out), "float32")
    dW, db, room = (np.empty(shape, "float32") for shape in ((d_in, d_out), d_out, SCRATCH))
    dW_out, db_out = np.empty_like(dW), np.empty_like(db)

    def kernel():
        dense_backward_weights(x, dz, (0, d_in), True, dW, db, room)
        return dW, db

    def numpy():
        np.matmul(x.T, dz, out=dW_out)
        np.sum(dz, axis=0, out=db_out)
        return dW_out, db_out

    compare(f"dense_backward_weights {n}x{d_in}x{d_out} float32", rival, kernel, numpy)


@pytest.mark.parametrize("n, d_in, d_out", SIZES)
def test_dense_backward_inputs(compare, random, rival, n, d_in, d_out):
    dz, W = random.standard_normal((n, d_out), "float32"), random.standard_normal((d_in, d_out), "float32")
    dx, out, room = (np.empty(shape, "float32") for shape in ((n, d_in), (n, d_in), SCRATCH))

    def kernel():
        dense_backward_inputs(dz, W, NONE, dx, dx, room)
        return (dx,)

    def numpy():
        np.matmul(dz, W.T, out=out)
        return (out,)

    compare(f"dense_backward_inputs {n}x{d_in}x{d_out} float32", rival, kernel, numpy)
