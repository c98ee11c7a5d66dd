"""Kernels of the dense layer against NumPy in float64, at widths beside every multiple of a vector."""

import numpy as np
import pytest
from functions import FUSED, backward, forward, function
from guards import Guards
from helpers import same_bits

from fastml import ACTIVATIONS
from fastml.kernels.dense import NONE, dense_backward_inputs, dense_backward_weights, dense_forward
from fastml.kernels.tiling import SCRATCH, scratch_size
from fastml.program.compiled import DTYPES

SHAPES = [(1, 1, 1), (1, 3, 7), (3, 1, 16), (7, 17, 1), (16, 16, 16), (17, 33, 3), (5, 64, 31), (33, 7, 65)]
SHAPES += [(9, 8, 1), (20, 100, 1), (8, 5, 1), (100, 28, 48), (64, 128, 100), (31, 300, 10), (2, 5, 257)]
SPANS = [(0.0, 0.3), (0.3, 0.3), (0.3, 0.8), (0.8, 1.0), (0.0, 1.0)]  # parts of the rows of W
ALPHA = 0.3
JUNK = 1e30  # in all that is overwritten


def operands(shape, guards):
    """Guarded x, W, b and dz; room for copies, which has guards, too, and nothing that could be mistaken for 0."""
    n, d_in, d_out = shape
    rng = np.random.default_rng(sum(shape))
    arrays = guards.arrays(*(rng.normal(size=s) for s in ((n, d_in), (d_in, d_out), (d_out,), (n, d_out))))
    return *arrays, guards.array(np.full(scratch_size(n, [(d_in, d_out)]), np.nan))


def empty(guards, *shape):
    return guards.array(np.full(shape, JUNK))


def assert_product(got, a, b, extra=0):
    """got = a·b + extra, within the rounding errors that any order of the sum may make."""
    a, b, extra = (np.asarray(v, np.float64) for v in (a, b, extra))
    terms = a.shape[1] + 1
    bound = terms * np.finfo(got.dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(extra))
    assert (np.abs(got - (a @ b + extra)) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_forward(shape, dtype):
    guards = Guards(dtype)
    x, W, b, _, room = operands(shape, guards)
    z = empty(guards, shape[0], shape[2])
    kept = [array.copy() for array in (x, W, b)]
    dense_forward(x, W, b, NONE, z, z, room)
    assert_product(z, x, W, b)
    assert same_bits([x, W, b], kept) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_backward_weights(shape, dtype):
    n, d_in, d_out = shape
    guards = Guards(dtype)
    x, _, _, dz, room = operands(shape, guards)
    dW, db = empty(guards, d_in, d_out), empty(guards, d_out)
    kept = x.copy(), dz.copy()
    dense_backward_weights(x, dz, (0, d_in), True, dW, db, room)
    assert_product(dW, x.T, dz)
    assert_product(db.reshape(1, -1), np.ones((1, n)), dz)
    assert same_bits([x, dz], kept) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_backward_inputs(shape, dtype):
    guards = Guards(dtype)
    _, W, _, dz, room = operands(shape, guards)
    dx = empty(guards, *shape[:2])
    kept = dz.copy(), W.copy()
    dense_backward_inputs(dz, W, NONE, dx, dx, room)
    assert_product(dx, dz, W.T)
    assert same_bits([dz, W], kept) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_added_to_what_is_there(shape, dtype):
    """As those of another block of rows."""
    n, d_in, d_out = shape
    guards = Guards(dtype)
    x, W, b, dz, room = operands(shape, guards)
    dW, db = guards.arrays(W, b)
    dense_backward_weights(x, dz, (0, d_in), False, dW, db, room)
    assert_product(dW, np.hstack([x.T, W]), np.vstack([dz, np.eye(d_out)]))
    assert_product(db.reshape(1, -1), np.ones((1, n + 1)), np.vstack([dz, b]))
    assert guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] >= 5])
@pytest.mark.parametrize("accumulate", [False, True])
def test_a_share_of_the_rows_of_the_weights(accumulate, shape, dtype):
    """The same bits as all at once, and no other rows; the biases come with the last ones, a single column at once."""
    _, d_in, d_out = shape
    guards = Guards(dtype)
    x, W, b, dz, room = operands(shape, guards)
    whole, biases = guards.arrays(W, b)
    dense_backward_weights(x, dz, (0, d_in), not accumulate, whole, biases, room)
    for share in SPANS:
        first, last = (round(part * d_in) for part in share)
        dW, db = guards.arrays(W, b)
        dense_backward_weights(x, dz, (first, last), not accumulate, dW, db, room)
        expected = W.copy()
        if d_out > 1:
            expected[first:last] = whole[first:last]
        elif first == 0 < last:
            expected = whole
        assert same_bits([dW], [expected]), share
        assert same_bits([db], [biases if first < last == d_in else b]) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FUSED)
def test_an_activation_applied_by_the_product(name, shape, dtype):
    """The bits of the product and then of the activation, or on the way back of its slope.

    The output may stand where the product does, or elsewhere, so that both are kept.
    """
    guards = Guards(dtype)
    x, W, b, dz, room = operands(shape, guards)
    z, same, kept, a, expected = (empty(guards, shape[0], shape[2]) for _ in range(5))
    dense_forward(x, W, b, NONE, z, z, room)
    f, slope = function(name, dtype, ALPHA), function(f"{name}_slope", dtype, ALPHA)
    dense_forward(x, W, b, f, same, same, room)
    dense_forward(x, W, b, f, kept, a, room)
    forward(name, z, expected, ALPHA)
    assert same_bits([a, same, kept], [expected, expected, z])

    da, dx, expected = (empty(guards, *shape[:2]) for _ in range(3))
    u = guards.array(x if ACTIVATIONS[name].keeps_z else ACTIVATIONS[name].forward(x.astype(np.float64), ALPHA))
    before = u.copy()
    dense_backward_inputs(dz, W, NONE, da, da, room)
    dense_backward_inputs(dz, W, slope, u, dx, room)
    backward(name, u, u, da, expected, ALPHA)
    assert same_bits([u, dx], [before, expected]) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_come_out_exactly(dtype):
    rng = np.random.default_rng(1)
    x, W, b = (rng.integers(-9, 10, size=s).astype(dtype) for s in ((19, 37), (37, 21), 21))
    z, dW, db, dx = (np.empty(s, dtype) for s in ((19, 21), (37, 21), 21, (19, 37)))
    room = np.empty(SCRATCH, dtype)
    dense_forward(x, W, b, NONE, z, z, room)
    assert np.array_equal(z, x @ W + b)
    dense_backward_weights(x, z, (0, 37), True, dW, db, room)
    assert np.array_equal(dW, x.T @ z) and np.array_equal(db, z.sum(axis=0))
    dense_backward_inputs(z, W, NONE, dx, dx, room)
    assert np.array_equal(dx, z @ W.T)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_does_not_depend_on_its_neighbours(dtype):
    """Bit for bit the same in a batch of any size, forwards and backwards."""
    guards = Guards(dtype)
    x, W, b, dz, room = operands((33, 50, 37), guards)
    together, back = empty(guards, 33, 37), empty(guards, 33, 50)
    dense_forward(x, W, b, NONE, together, together, room)
    dense_backward_inputs(dz, W, NONE, back, back, room)
    for n in (1, 2, 3, 5, 8, 15, 16, 17):
        z, dx = empty(guards, n, 37), empty(guards, n, 50)
        dense_forward(x[7 : 7 + n], W, b, NONE, z, z, room)
        dense_backward_inputs(dz[7 : 7 + n], W, NONE, dx, dx, room)
        assert same_bits([z, dx], [together[7 : 7 + n], back[7 : 7 + n]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(bad, dtype):
    guards = Guards(dtype)
    x, W, b, dz, room = operands((9, 20, 18), guards)
    x[4, 19] = dz[4, 17] = bad
    z, dx = empty(guards, 9, 18), empty(guards, 9, 20)
    dense_forward(x, W, b, NONE, z, z, room)
    dense_backward_inputs(dz, W, NONE, dx, dx, room)
    for finite in (np.isfinite(z), np.isfinite(dx)):
        assert not finite[4].any()
        assert np.delete(finite, 4, axis=0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_stays_in_its_column(dtype):
    """Of the weights' gradient: the row of one input, the column of one output."""
    guards = Guards(dtype)
    x, _, _, dz, room = operands((9, 20, 18), guards)
    x[4, 19], dz[5, 3] = np.nan, np.nan
    dW, db = empty(guards, 20, 18), empty(guards, 18)
    dense_backward_weights(x, dz, (0, 20), True, dW, db, room)
    expected = np.zeros((20, 18), bool)
    expected[19], expected[:, 3] = True, True
    assert np.array_equal(np.isnan(dW), expected) and np.array_equal(np.isnan(db), expected[0])
