"""The digits that come with the package."""

import numpy as np

import fastml


def test_digits():
    x, y = fastml.load_digits()
    assert (x.shape, x.dtype) == ((1797, 64), np.float32)
    assert (y.shape, y.dtype) == ((1797,), np.int64)
    assert x.min() == 0 and x.max() == 1
    assert np.array_equal(x * 16, np.round(x * 16))
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_are_a_copy_for_each_caller():
    x, y = fastml.load_digits()
    x[...], y[...] = 0, 0
    again, labels = fastml.load_digits()
    assert again.any() and labels.any()


def test_digits_can_be_learnt():
    """97 % of 360 digits that the model has not seen, which is what the demo promises."""
    x, y = fastml.load_digits()
    rows = np.random.default_rng(0).permutation(len(x))
    train, test = rows[:-360], rows[-360:]
    model = fastml.Sequential([fastml.Dense(64, "relu"), fastml.Dense(10, "softmax")], seed=0)
    model.compile(fastml.Adam(0.003), "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x[train], y[train], epochs=40, verbose=0)
    assert model.evaluate(x[test], y[test])[1] >= 0.97
