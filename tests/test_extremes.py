"""Extremes: numbers at the ends of what a dtype holds. Finite results, or an error by name."""

import numpy as np
import pytest
from helpers import make_data, make_model, outputs_for, same_bits

from fastml import (
    ACTIVATIONS,
    LOSSES,
    OPTIMIZERS,
    SGD,
    BatchNormalization,
    Dense,
    DivergenceError,
    Normalization,
    Rprop,
    Sequential,
)
from fastml.program.executors import EXECUTORS

DTYPES = ["float32", "float64"]
ONE_TO_ONE = np.eye(3)


def all_finite(arrays):
    return all(np.isfinite(array).all() for array in arrays)


def finite_or_diverged(model, x, y, **arguments):
    """Fits; whether all stayed finite. Otherwise it was a DivergenceError, and the weights are finite all the same."""
    try:
        model.fit(x, y, verbose=0, **arguments)
        assert all_finite([model.history.history["loss"]])
        return True
    except DivergenceError:
        return False
    finally:
        assert all_finite(model.get_weights())


# Logits and features


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss, output", [(loss, output) for loss in LOSSES for output in outputs_for(loss)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_pre_activations_and_logits_of_10000(activation, loss, output, dtype, executor):
    """Loss and gradient are finite, but where the model says e to the power of 10000."""
    _, y = make_data(loss, rows=8)
    x = 1e4 * np.random.default_rng(1).choice([-1, 1], size=(8, 3))
    layers = [Dense(3, activation, kernel_initializer=ONE_TO_ONE), Dense(3, output, kernel_initializer=ONE_TO_ONE)]
    model = Sequential(layers, dtype=dtype, seed=0)
    model.compile(SGD(1e-6), loss, executor=executor)
    value, gradients = model.gradients(x, y)
    finite = np.isfinite(value)
    assert finite or activation == "exponential" or loss == "poisson"
    assert finite == all_finite(gradients) == np.isfinite(model.evaluate(x, y)) == finite_or_diverged(model, x, y)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_cross_entropies_of_certain_answers(size, dtype, executor):
    """Nothing for the right one, the whole logit for the wrong one; the gradient is a - y with a of 0 or 1."""
    z = size * np.array([[1, -1, 1, -1]], dtype).T
    binary = Sequential([Dense(1, kernel_initializer=1.0)], dtype=dtype, seed=0)
    binary.compile("sgd", "binary_crossentropy", executor=executor)
    value, (_, db) = binary.gradients(z, [1, 0, 0, 0])
    assert value == float(z[0, 0]) / 4 and db.tolist() == [1 / 4]

    classes = Sequential([Dense(2, kernel_initializer=[[1.0, -1.0]])], dtype=dtype, seed=0)
    classes.compile("sgd", "sparse_categorical_crossentropy", executor=executor)
    value, (_, db) = classes.gradients(z, [0, 1, 1, 1])
    assert value == 2 * float(z[0, 0]) / 4 and db.tolist() == [1 / 4, -1 / 4]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_features_of_1e30(loss, name, dtype, executor):
    x, y = make_data(loss, rows=8)
    finite_or_diverged(make_model(loss, name, dtype=dtype, executor=executor), 1e30 * x, y, batch_size=8, epochs=3)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_overflow_leaves_the_weights_as_they_were(executor):
    """(1e30)² is beyond float32."""
    x, y = make_data("mean_squared_error", rows=8)
    model = make_model(hidden="relu", dtype="float32", input_dim=5, executor=executor)
    before = model.get_weights()
    assert not finite_or_diverged(model, 1e30 * x, y)
    assert same_bits(model.get_weights(), before)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_numbers_count_as_0_in_machine_code(dtype, executor):
    """In one row and in many; the smallest normal number is itself. The reference keeps them all."""
    info = np.finfo(dtype)
    x = np.array([0, 1, 2, 3, info.tiny / info.smallest_subnormal], dtype) * info.smallest_subnormal
    x = np.tile(x, 20).reshape(-1, 1)
    model = Sequential([Dense(1, kernel_initializer=1.0)], dtype=dtype, seed=0)
    model.compile("sgd", executor=executor)
    expected = np.where(x < info.tiny, 0, x) if executor == "compiled" else x
    assert model.predict(x).tobytes() == expected.tobytes()
    assert model.predict(x[:5]).tobytes() == expected[:5].tobytes()
    assert [model.predict_one(row).item() for row in x[:5]] == expected[:5, 0].tolist()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backtrack", [False, True])
def test_rprop_sees_the_sign_of_the_smallest_slope(backtrack, dtype, executor):
    """A product of two such slopes would be 0. Steps grow from 0.01 by 1.2, six of them in one direction.

    What each row adds to the slope is -x / 2 at the start, and is to be no subnormal number.
    """
    x = np.full((4, 1), 4 * np.finfo(dtype).tiny)
    model = Sequential([Dense(1, kernel_initializer="zeros")], dtype=dtype, seed=0)
    model.compile(Rprop(backtrack=backtrack), "mean_squared_error", executor=executor)
    model.fit(x, np.ones(4), batch_size=4, epochs=6, verbose=0)
    expected = sum(0.01 * 1.2**k for k in range(6))
    assert model.get_weights()[0].item() == pytest.approx(expected, rel=float(8 * np.finfo(dtype).eps))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_slopes_whose_squares_vanish(name, executor):
    """1e-25² is 0 in float32: the root of the sum of squares is 0, and epsilon is all that is divided by."""
    x = np.full((4, 1), 1e-25)
    model = Sequential([Dense(1, kernel_initializer="zeros")], dtype="float32", seed=0)
    model.compile(name, "mean_squared_error", executor=executor)
    assert finite_or_diverged(model, x, np.ones(4), batch_size=4, epochs=3)


# Normalization of data


@pytest.mark.parametrize("method", Normalization.METHODS)
@pytest.mark.parametrize(
    "dtype, value", [(dtype, v) for dtype in DTYPES for v in (0.0, 0.1, -1e30, 3e-45, 1e38)] + [("float64", 1e300)]
)
def test_constant_columns_become_zero(value, dtype, method):
    """Also for later rows that differ, while the column beside is scaled."""
    x = np.stack([np.full(9, value, dtype), np.arange(9, dtype=dtype)], axis=1)
    model = Sequential([Normalization(method), Dense(2, kernel_initializer=np.eye(2))], dtype=dtype, seed=0)
    model.compile(SGD(0), "mean_squared_error")
    model.fit(x, np.zeros((9, 2)), verbose=0)
    assert not model.predict(x)[:, 0].any() and np.ptp(model.predict(x)[:, 1]) > 0.9
    assert not model.predict(x / 2 + 1)[:, 0].any()


SPREADS = {"float32": [1e-30, 1e-3, 1.0, 1e4, 1e30], "float64": [1e-150, 1e-3, 1.0, 1e4, 1e150, 1e-200, 1e200]}


@pytest.mark.parametrize("method", Normalization.METHODS)
@pytest.mark.parametrize("dtype, size", [(dtype, size) for dtype, sizes in SPREADS.items() for size in sizes])
@pytest.mark.parametrize("offset", [0, 1000])
def test_columns_of_any_size_are_normalized(offset, dtype, size, method):
    """The statistics are right as far as the numbers came in that dtype, which are made exact here."""
    whole = np.random.default_rng(0).integers(-8, 9, size=(101, 1)).astype(dtype)
    unit = np.dtype(dtype).type(2.0 ** np.round(np.log2(size)))
    model = Sequential([Normalization(method), Dense(1, kernel_initializer=1.0)], dtype=dtype, seed=0)
    model.compile(SGD(0), "mean_squared_error")
    model.fit(unit * (whole + np.dtype(dtype).type(offset)), np.zeros(101), verbose=0)
    a = model.predict(unit * (whole + np.dtype(dtype).type(offset))).astype(float)
    exact = whole.astype(float)
    quarters = np.quantile(exact, [0.25, 0.75])
    centre, spread = {
        "standard": (exact.mean(), exact.std()),
        "minmax": (exact.min(), np.ptp(exact)),
        "robust": (np.median(exact), np.ptp(quarters)),
    }[method]
    np.testing.assert_allclose(a, (exact - centre) / spread, rtol=0, atol=(4 + offset) * np.finfo(dtype).eps)


@pytest.mark.parametrize("method", Normalization.METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_as_wide_as_the_dtype(method, dtype):
    """High minus low is beyond the dtype: predictions are finite, or an error says what is wrong with x."""
    x = np.array([[-1], [1], [0.5], [-0.5]]) * np.finfo(dtype).max
    model = Sequential([Normalization(method), Dense(1)], dtype=dtype, seed=0)
    model.compile("sgd", "mean_squared_error")
    try:
        model.fit(x, np.zeros(4), verbose=0)
    except (ValueError, DivergenceError) as error:
        assert "beyond the range" in str(error) or "not scaled" in str(error)
    else:
        assert np.isfinite(model.predict(x)).all()


# Batch normalization: the layer's output while training is told by ⟨a²⟩ and ⟨(a - 1)²⟩


def training_output(x, dtype, executor):
    """Mean and variance of what the layer makes of one column."""
    model = Sequential([BatchNormalization()], dtype=dtype, seed=0)
    model.compile("sgd", "mean_squared_error", executor=executor)
    square, around_1 = (model.gradients(x.reshape(-1, 1), np.full((len(x), 1), y))[0] for y in (0.0, 1.0))
    mean = (square - around_1 + 1) / 2
    return mean, square - mean**2


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("rows", [64, 1000, 100_000])
def test_float32_columns_far_from_zero_are_normalized(rows, executor):
    """Mean 10000 and variance 1, where Σx² - (Σx)² / n leaves nothing: right to the last bit that the mean has."""
    x = (1e4 + np.random.default_rng(0).normal(size=rows)).astype(np.float32)
    mean, variance = training_output(x, "float32", executor)
    assert abs(mean) <= np.spacing(np.float32(1e4))
    assert variance == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [2, 3, 7, 32, 100, 1000])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4 / 3, 1e30])
def test_columns_of_equal_values_become_beta(value, rows, dtype, executor):
    """Not ±1, which is what the rounding of a mean makes of them."""
    mean, variance = training_output(np.full(rows, value, dtype), dtype, executor)
    assert abs(mean) <= 1e-6 and abs(variance) <= 1e-6


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-300, 1e15, 1e30, 1e38])
def test_batch_normalization_of_columns_of_any_size(size, dtype, executor):
    """Beyond 1e19 the variance is no float32."""
    x, y = make_data("mean_squared_error", rows=12, d_in=2)
    model = Sequential([BatchNormalization(), Dense(3)], dtype=dtype, seed=0)
    model.compile("sgd", "mean_squared_error", executor=executor)
    assert finite_or_diverged(model, size * x, y, epochs=2) == (dtype == "float64" or size < 1e19)
