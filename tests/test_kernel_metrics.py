"""Kernels of the metrics: a score for each row."""

import math

import numpy as np
import pytest
from guards import Guards

from fastml import METRICS
from fastml.kernels.operations import OPERATIONS
from fastml.program.compiled import DTYPES

SHAPES = [(1, 1), (3, 7), (7, 16), (5, 17), (33, 3), (64, 64)]

SCORES = {
    "binary_accuracy": lambda a, y: sum((v > 0.5) == (t > 0.5) for v, t in zip(a, y, strict=True)) / len(a),
    "categorical_accuracy": lambda a, y: a.index(max(a)) == y.index(max(y)),
    "sparse_categorical_accuracy": lambda a, y: a.index(max(a)) == y[0],
    "mean_squared_error": lambda a, y: math.fsum((v - t) ** 2 for v, t in zip(a, y, strict=True)) / len(a),
    "mean_absolute_error": lambda a, y: math.fsum(abs(v - t) for v, t in zip(a, y, strict=True)) / len(a),
}


def case(name, shape, dtype):
    rng = np.random.default_rng(sum(shape))
    a = rng.random(size=shape).astype(dtype)
    y = rng.integers(shape[1], size=(shape[0], 1)) if METRICS[name].labels else rng.random(size=shape)
    return a, y.astype(dtype)


def scores_of(name, a, y):
    """The score that the kernel gives each row."""
    scores = np.full(len(a), np.nan, a.dtype)
    OPERATIONS[METRICS[name].operation].kernel(a, y, scores)
    return scores


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SCORES)
def test_the_score_of_each_row(name, shape, dtype):
    guards = Guards(dtype)
    a, y = guards.arrays(*case(name, shape, dtype))
    scores = guards.array(np.full(shape[0], 7))
    kept = a.copy(), y.copy()
    OPERATIONS[METRICS[name].operation].kernel(a, y, scores)
    rows = zip(a.astype(np.float64).tolist(), y.astype(np.float64).tolist(), strict=True)
    expected = [SCORES[name](*row) for row in rows]
    np.testing.assert_allclose(scores, expected, rtol=1e-6 if dtype == "float32" else 1e-13)
    assert np.array_equal(a, kept[0]) and np.array_equal(y, kept[1]) and guards.unharmed()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_the_registrys_formula(name, shape, dtype):
    a, y = case(name, shape, dtype)
    scores = scores_of(name, a, y)
    np.testing.assert_allclose(scores, METRICS[name].score(a, y), rtol=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_several_largest_the_first_counts(dtype):
    a = np.full((1, 17), 0.25, dtype)
    for label, hit in ((0, 1), (1, 0), (16, 0)):
        assert scores_of("sparse_categorical_accuracy", a, np.array([[label]], dtype)) == [hit]
        one_hot = np.eye(17, dtype=dtype)[[label]]
        assert scores_of("categorical_accuracy", a, one_hot) == [hit]


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_half_counts_as_no(dtype):
    a, y = np.full((1, 4), 0.5, dtype), np.array([[0, 0, 0, 1]], dtype)
    assert scores_of("binary_accuracy", a, y) == [0.75]
