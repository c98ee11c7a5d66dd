"""Kernels of the losses: the textbook's likelihoods, their gradients, and what logits of any size do to them."""

import math

import numpy as np
import pytest
from helpers import make_data

from fastml import LOSSES
from fastml.kernels.operations import OPERATIONS
from fastml.program.compiled import DTYPES

SHAPES = [(1, 2), (3, 7), (7, 16), (5, 17), (16, 33), (2, 64)]
RTOL = {"float32": 2e-6, "float64": 1e-13}
DELTA = 0.7
CONSTANTS = {"delta": DELTA}


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def softmax(row):
    return [math.exp(v) / math.fsum(math.exp(u) for u in row) for v in row]


def bernoulli(z, y):
    terms = (-t * math.log(sigmoid(v)) - (1 - t) * math.log(1 - sigmoid(v)) for v, t in zip(z, y, strict=True))
    return math.fsum(terms) / len(z)


def mean_of(term):
    """The row loss that is the mean of a term of output and target."""
    return lambda z, y: math.fsum(term(v, t) for v, t in zip(z, y, strict=True)) / len(z)


ROW_LOSSES = {
    "mean_squared_error": mean_of(lambda v, t: (v - t) ** 2),
    "mean_absolute_error": mean_of(lambda v, t: abs(v - t)),
    "log_cosh": mean_of(lambda v, t: math.log(math.cosh(v - t))),
    "huber": mean_of(lambda v, t: (v - t) ** 2 / 2 if abs(v - t) <= DELTA else DELTA * (abs(v - t) - DELTA / 2)),
    "poisson": mean_of(lambda v, t: math.exp(v) - t * v),
    "binary_crossentropy": bernoulli,
    "categorical_crossentropy": lambda z, y: -math.fsum(t * math.log(p) for p, t in zip(softmax(z), y, strict=True)),
    "sparse_categorical_crossentropy": lambda z, y: -math.log(softmax(z)[int(y[0])]),
}
PREDICTIONS = {
    "linear": lambda row: row,
    "exponential": lambda row: [math.exp(v) for v in row],
    "sigmoid": lambda row: [sigmoid(v) for v in row],
    "softmax": softmax,
}


def test_every_loss_has_its_formula_here():
    assert set(ROW_LOSSES) == set(LOSSES)


def case(loss, shape, dtype):
    """Logits and targets as the kernels take them."""
    n, d = shape
    _, y = make_data(loss, rows=n, units=d)
    z = 2 * np.random.default_rng(n + d).normal(size=shape)
    return z.astype(dtype), y.reshape(n, -1).astype(dtype)


def loss_forward(loss, *arguments):
    constants = [DELTA] if loss == "huber" else []
    OPERATIONS[f"{loss}_forward"].kernel(*constants, *arguments)


def loss_backward(loss, *arguments):
    constants = [DELTA] if loss == "huber" else []
    OPERATIONS[f"{loss}_backward"].kernel(*constants, *arguments)


def forward(loss, z, y, a=None):
    """Sum of the rows' losses, which are of the arrays' dtype, and predictions."""
    a = np.full_like(z, 7) if a is None else a
    losses = np.full(len(z), 7, z.dtype)
    loss_forward(loss, z, y, a, np.full_like(z, 7), losses)
    return float(losses.sum(dtype=np.float64)), a


def backward(loss, a, y, dz=None, n=None):
    """The gradient of the mean over n rows, all of them if not given."""
    dz = np.full_like(a, 7) if dz is None else dz
    loss_backward(loss, n or len(a), a, y, dz)
    return dz


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", ROW_LOSSES)
def test_forward_is_the_sum_of_the_rows_losses(loss, shape, dtype):
    z, y = case(loss, shape, dtype)
    kept = z.copy(), y.copy()
    value, a = forward(loss, z, y)
    rows = list(zip(z.astype(np.float64).tolist(), y.astype(np.float64).tolist(), strict=True))
    assert value == pytest.approx(math.fsum(ROW_LOSSES[loss](*row) for row in rows), rel=RTOL[dtype])
    assert type(value) is float and a.dtype == dtype
    np.testing.assert_allclose(a, [PREDICTIONS[LOSSES[loss].link](row) for row, _ in rows], rtol=RTOL[dtype])
    assert np.array_equal(z, kept[0]) and np.array_equal(y, kept[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_both_are_the_registrys_formulas(loss, shape, dtype):
    z, y = case(loss, shape, dtype)
    value, a = forward(loss, z, y)
    rows, predictions = LOSSES[loss].forward(CONSTANTS, z.astype(np.float64), y.astype(np.float64))
    assert value == pytest.approx(rows.sum(), rel=RTOL[dtype])
    np.testing.assert_allclose(a, predictions, rtol=RTOL[dtype])
    dz = backward(loss, a, y)
    assert dz.dtype == dtype
    expected = LOSSES[loss].backward(CONSTANTS, a.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(dz, expected, rtol=0, atol=8 * np.finfo(dtype).eps * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_backward_is_the_central_difference_of_the_mean(loss, shape):
    z, y = case(loss, shape, "float64")
    dz, step = backward(loss, forward(loss, z, y)[1], y), 1e-5
    for index in np.ndindex(shape):
        value, losses = z[index], []
        for moved in (value + step, value - step):
            z[index] = moved
            losses.append(forward(loss, z, y)[0] / len(z))
        z[index] = value
        assert dz[index] == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_some_rows_of_a_batch_are_as_in_all_of_it(loss, shape, dtype):
    """The gradient is that of the mean over the whole batch, bit for bit, and so are losses and predictions."""
    z, y = case(loss, shape, dtype)
    n = shape[0]
    a, losses = np.empty_like(z), np.empty_like(z[:, 0])
    loss_forward(loss, z, y, a, np.empty_like(z), losses)
    dz = backward(loss, a, y)
    for k in range(n):
        one, each, row = np.empty_like(z[:1]), np.empty_like(losses[:1]), slice(k, k + 1)
        loss_forward(loss, z[row], y[row], one, np.empty_like(one), each)
        assert np.array_equal(one, a[row]) and np.array_equal(each, losses[row])
        assert np.array_equal(backward(loss, one, y[row], n=n), dz[row])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_in_place_is_the_same(loss, dtype):
    z, y = case(loss, (6, 19), dtype)
    value, a = forward(loss, z, y)
    dz = backward(loss, a, y)
    assert forward(loss, z, y, a=z)[0] == value
    assert np.array_equal(z, a)
    backward(loss, a, y, dz=a)
    assert np.array_equal(a, dz)


@pytest.mark.parametrize("dtype", DTYPES)
def test_binary_crossentropy_of_extreme_logits(dtype):
    """-log of a probability that underflows is the logit itself; a sure and right answer costs nothing."""
    z, y = np.array([[1e4], [-1e4], [1e4], [-1e4]], dtype), np.array([[0], [1], [1], [0]], dtype)
    for row, expected in enumerate((1e4, 1e4, 0, 0)):
        assert forward("binary_crossentropy", z[row : row + 1], y[row : row + 1])[0] == expected
    _, a = forward("binary_crossentropy", z, y)
    assert np.array_equal(a[:, 0], [1, 0, 1, 0])
    assert np.array_equal(backward("binary_crossentropy", a, y)[:, 0], [0.25, -0.25, 0, 0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_cross_entropy_of_extreme_logits(loss, dtype):
    """The loss of a class is its distance from the largest logit."""
    z = np.full((2, 17), -1e4, dtype)
    z[:, 5] = 1e4
    y = np.array([[5], [3]], dtype)
    if loss == "categorical_crossentropy":
        y = np.eye(17, dtype=dtype)[[5, 3]]
    assert forward(loss, z[:1], y[:1])[0] == 0
    assert forward(loss, z[1:], y[1:])[0] == 2e4
    _, a = forward(loss, z, y)
    dz, expected = backward(loss, a, y), np.zeros((2, 17))
    expected[1, 5], expected[1, 3] = 0.5, -0.5
    assert np.array_equal(dz, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0, 1e4, -1e4])
@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name].link == "softmax"])
def test_equal_logits_cost_the_logarithm_of_the_number_of_classes(loss, value, dtype):
    for d in (2, 16, 33):
        _, y = case(loss, (3, d), dtype)
        value_ = forward(loss, np.full((3, d), value, dtype), y)[0]
        assert value_ == pytest.approx(3 * math.log(d), rel=1e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("column", [0, 3, 16, 18])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_nan_among_the_logits_is_a_nan_loss(loss, column, dtype):
    z, y = case(loss, (5, 19), dtype)
    z[2, column] = np.nan
    assert math.isnan(forward(loss, z, y)[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("loss", LOSSES)
def test_an_infinite_logit_is_no_finite_loss(loss, sign, dtype):
    """An overflow shows, except where the infinite logit is a right answer or a wrong class's minus infinity."""
    z, y = case(loss, (5, 19), dtype)
    z[2, :] = sign * np.inf
    assert not math.isfinite(forward(loss, z, y)[0])


def test_the_sum_over_many_rows_is_taken_in_float64():
    """In float32 a sum of 2**24 + 1 ones would stop at 2**24; here the last digits of many rows count."""
    z = np.full((300_001, 1), 1.0, np.float32)
    z[0] = 4096
    assert forward("mean_squared_error", z, np.zeros_like(z))[0] == 4096.0**2 + 300_000
