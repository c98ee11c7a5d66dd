"""Normalization of columns far from zero, for which float32 has no digits left, and of constant ones.

The oracle is the same model in float64, or on data that are centred before.
"""

import copy
import pickle

import numpy as np
import pytest
from helpers import same_bits

import fastml
from fastml import SGD, Adam, Dense, Normalization, Sequential
from fastml.program.executors import EXECUTORS

SECONDS = 1_700_000_000  # since 1970; float32 has every 128th
RNG = np.random.default_rng(0)
NEAR = RNG.normal(size=(120, 3))
FAR = np.column_stack([SECONDS + np.rint(200 * NEAR[:, 0]), NEAR[:, 1:]])
Y = NEAR @ [[1.0], [0.5], [-0.5]] + np.sin(NEAR[:, :1])


def model(method="standard", dtype="float32", **arguments):
    made = Sequential([Normalization(method), Dense(8, "tanh"), Dense(1)], dtype=dtype, seed=3)
    made.compile(Adam(0.02), "mean_squared_error", ["r2"], **arguments)
    return made


def fitted(x=FAR, method="standard", **arguments):
    made = model(method, **arguments)
    made.fit(x, Y, epochs=3, verbose=0, validation_split=0.2)
    return made


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("method", Normalization.METHODS)
def test_all_methods_agree_with_float64(method, executor):
    narrow, wide = (fitted(method=method, dtype=dtype, executor=executor) for dtype in ("float32", "float64"))
    for name, values in narrow.history.history.items():
        np.testing.assert_allclose(values, wide.history.history[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(narrow.predict(FAR), wide.predict(FAR), rtol=0, atol=1e-4)
    assert narrow.evaluate(FAR, Y) == pytest.approx(wide.evaluate(FAR, Y), rel=1e-4)
    for mine, other in zip(narrow.gradients(FAR, Y)[1], wide.gradients(FAR, Y)[1], strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-4)
    for row, expected in zip(FAR[:5], wide.predict(FAR), strict=False):
        np.testing.assert_allclose(narrow.predict_one(row), expected, rtol=0, atol=1e-4)
    several = [narrow.predict(x) for x in (FAR[:7], FAR.tolist()[:7], FAR[:40])]
    np.testing.assert_array_equal(several[0], several[1])
    np.testing.assert_allclose(several[0], several[2][:7], rtol=0, atol=1e-6)


@pytest.mark.parametrize("offset", [0, 2**24, SECONDS, 2**45, -(2**40)])
def test_whole_numbers_are_taken_where_float32_would_not_hold_them(offset):
    whole = np.rint(100 * NEAR).astype(np.int64)
    expected = fitted(whole.astype(np.float64)).predict(whole)
    np.testing.assert_allclose(fitted(whole + offset).predict(whole + offset), expected, rtol=0, atol=1e-4)


def test_values_beyond_float32_are_taken_where_they_differ_little():
    x = 1e39 * (1 + 1e-5 * NEAR)
    np.testing.assert_allclose(fitted(x).predict(x), fitted(x, dtype="float64").predict(x), rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match=r"x holds -?[\d.]+e\+4\d at row \d+, column 2, beyond the range of float32"):
        fitted(x).predict(np.column_stack([x[:, :2], 1e44 * NEAR[:, 2]]))


@pytest.mark.parametrize("bad, message", [(np.nan, "NaN at row 3, column 0"), (np.inf, "infinity at row 3, column 0")])
def test_errors_name_the_column(bad, message):
    x = FAR.copy()
    x[3, 0] = bad
    with pytest.raises(ValueError, match=f"x holds {message}"):
        model().fit(x, Y, verbose=0)
    with pytest.raises(ValueError, match=f"x holds {message}"):
        fitted().predict(x)


def test_weights_tell_the_mean_in_float64_and_make_the_same_model(tmp_path):
    first = fitted()
    weights = first.get_weights()
    assert weights[0].dtype == np.float64 and abs(weights[0][0] - FAR[:96, 0].mean()) < 1e-6
    other = model()
    other.build(3)
    other.set_weights(weights)
    first.save(tmp_path / "m")
    copies = [other, fastml.load(tmp_path / "m"), pickle.loads(pickle.dumps(first)), copy.deepcopy(first)]
    for one in copies:
        assert same_bits(one.get_weights(), weights)
        np.testing.assert_array_equal(one.predict(FAR), first.predict(FAR))
        np.testing.assert_array_equal(one.predict_one(FAR[0]), first.predict_one(FAR[0]))
    for one in (first, *copies[1:]):
        one.fit(FAR, Y, epochs=2, verbose=0)
        assert same_bits(one.get_weights(), first.get_weights())
    wide = model(dtype="float64")
    wide.build(3)
    wide.set_weights(weights)
    np.testing.assert_allclose(wide.predict(FAR), other.predict(FAR), rtol=0, atol=1e-5)
    assert fastml.gradient_check(first, FAR[:20], Y[:20], verbose=0).complex_error < 1e-6


def test_weights_set_later_need_no_shift_any_more():
    first, near = fitted(), fitted(NEAR)
    assert near.get_weights()[0].dtype == np.float32
    first.predict_one(FAR[0])
    first.set_weights(near.get_weights())
    np.testing.assert_array_equal(first.predict(NEAR), near.predict(NEAR))
    np.testing.assert_array_equal(
        first.predict_one(NEAR[0].astype(np.float32)), near.predict_one(NEAR[0].astype(np.float32))
    )
    assert same_bits(first.get_weights(), near.get_weights())


def test_nothing_is_copied_where_no_column_is_far():
    x = np.ascontiguousarray(NEAR, dtype=np.float32)
    near = fitted(x)
    assert near._engine.shift is None and near._adapter().features(x, "x") is x
    assert np.abs(near.get_weights()[0]).max() < 1


def test_data_of_the_user_stay_as_they_are():
    x = np.ascontiguousarray(FAR - SECONDS + 2**12, dtype=np.float32)
    kept = x.copy()
    made = fitted(x)
    made.predict(x)
    assert made._engine.shift is not None
    np.testing.assert_array_equal(x, kept)


def test_find_learning_rate_and_pictures_take_them():
    rates = [fastml.find_learning_rate(fitted(dtype=d), FAR, Y, steps=20).losses for d in ("float32", "float64")]
    np.testing.assert_allclose(*rates, rtol=1e-3)


# Columns that were constant


@pytest.mark.parametrize("value", [0.0, 0.1, SECONDS, 1e39])
@pytest.mark.parametrize("method", Normalization.METHODS)
def test_a_column_that_begins_to_vary_gets_its_statistics_then(method, value):
    x = NEAR.copy()
    x[:, 1] = value
    made = fitted(x, method)
    assert made.get_weights()[1][1] == 0
    before = made.get_weights()
    later = 2 * NEAR + 1
    later[:, 1] = value + NEAR[:, 1] * max(1, value * 1e-5)
    made.fit(later, Y, epochs=1, verbose=0)
    mean, scale = made.get_weights()[:2]
    expected = Sequential([Normalization(method), Dense(1)], dtype="float64", seed=0)
    expected.compile(SGD(0.0), "mean_squared_error")
    expected.fit(later, Y, verbose=0)
    np.testing.assert_allclose(scale[1], expected.get_weights()[1][1], rtol=1e-5)
    np.testing.assert_allclose((mean[1] - expected.get_weights()[0][1]) * scale[1], 0, atol=1e-4)
    for k in (0, 2):  # which varied
        assert mean[k] == before[0][k] and scale[k] == before[1][k]
    assert np.ptp(made.predict(later)) > 0 and np.isfinite(made.predict(later)).all()


def test_rows_of_weight_zero_make_no_column_vary():
    x = NEAR.copy()
    x[:, 1] = 7
    made = fitted(x)
    x[:60, 1] = 9
    made.fit(x, Y, verbose=0, sample_weight=np.repeat([0.0, 1.0], 60))
    assert made.get_weights()[1][1] == 0
    made.fit(x, Y, verbose=0)
    assert made.get_weights()[1][1] == 1 and made.get_weights()[0][1] == 8
