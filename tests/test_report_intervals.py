"""How sure the scores of `fastml train` are: intervals that hold the truth, of few rows and of many."""

import time

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra train")
pytest.importorskip("polars", reason="needs polars, the extra train")

from fastml.commands.scores import CLASSIFICATION, REGRESSION
from fastml.commands.uncertainty import intervals, newcombe, wilson

REPEATS = 100  # of which about 95 are to hold the truth; 88 or less are rarer than 1 in 100


def chances(rng, rows, classes, gap):
    """Classes of rows, and probabilities for them that are the better the wider the gap."""
    y, z = rng.integers(classes, size=rows), rng.normal(size=(rows, classes))
    z[np.arange(rows), y] += gap
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return y, p / p.sum(axis=1, keepdims=True)


def constant(rows, classes):
    q = np.full((rows, classes), 1 / classes)
    q[:, 0] += 0.01
    return q / q.sum(axis=1, keepdims=True)


def found(metrics, y, p, q, seed=0):
    return intervals([(m, m.of(y, p), m.of(y, q)) for m in metrics.values()], y, p, q, seed)


def held(metrics, draw, compare, rows):
    """How many of REPEATS intervals of a score, and of a difference, hold those of very many rows, by title."""
    rng = np.random.default_rng(0)
    y, p = draw(rng, 200_000)
    q = compare(len(y))
    true = {m.title: (m.of(y, p), m.of(y, p) - m.of(y, q)) for m in metrics.values()}
    counts = dict.fromkeys(true, (0, 0))
    for seed in range(REPEATS):
        for title, pair in found(metrics, *draw(rng, rows), q[:rows], seed).items():
            within = (low <= value <= high for (low, high), value in zip(pair, true[title], strict=True))
            counts[title] = tuple(n + w for n, w in zip(counts[title], within, strict=True))
    return counts


@pytest.mark.parametrize("classes, rows, gap", [(2, 36, 4), (3, 36, 3), (2, 200, 2)])
def test_intervals_of_classes_hold_the_truth(classes, rows, gap):
    counts = held(CLASSIFICATION, lambda rng, n: chances(rng, n, classes, gap), lambda n: constant(n, classes), rows)
    for title, pair in counts.items():
        assert min(pair) >= (82 if title == "log loss" else 88), (title, pair)  # whose large values are rare


@pytest.mark.parametrize("rows, least", [(10, 84), (36, 86), (200, 88)])
def test_intervals_of_numbers_hold_the_truth(rows, least):
    def draw(rng, n):
        y = 1000 + 3 * rng.normal(size=n)
        return y, y + rng.normal(size=n)

    counts = held(REGRESSION, draw, lambda n: np.full(n, 1000.0), rows)
    for title, pair in counts.items():
        assert min(pair) >= least, (title, pair)


def test_a_perfect_score_of_few_rows_is_not_sure():
    """Of every metric that classes have: 36 rows, none wrong."""
    y = np.arange(36) % 3
    p = 0.001 / 3 + 0.999 * np.eye(3)[y]
    for title, (own, gain) in found(CLASSIFICATION, y, p, constant(36, 3)).items():
        if title == "log loss":
            continue
        assert own.high == 1 and 0.8 < own.low < 0.96, title
        assert gain.low < gain.high < 1, title


def test_wilson_is_as_in_the_books():
    """Newcombe 1998, table I; for all of 36 rows it is n / (n + z²)."""
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(36, 36) == (pytest.approx(36 / (36 + 1.96**2), abs=1e-4), 1)
    assert wilson(0, 10).low == 0 and wilson(0, 10).high == pytest.approx(0.2775, abs=1e-4)
    low, high = wilson(np.array([1, 2]), np.array([2, 4]))
    assert (low < 0.5).all() and (high > 0.5).all() and high[1] < high[0]


def test_newcombe_is_as_in_the_books():
    """Newcombe 1998, table III, method 10: of 50 rows 36 are right by both, 12 by the first alone, 2 by the second."""
    first = np.repeat([True, True, False, False], [36, 12, 2, 0])
    second = np.repeat([True, False, True, False], [36, 12, 2, 0])
    low, high = newcombe(first, second)
    assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404)
    same = newcombe(np.ones(20, bool), np.ones(20, bool))
    assert same.low <= 0 <= same.high


@pytest.mark.parametrize("rows", [2, 3])
def test_of_hardly_any_rows_there_are_intervals_too(rows):
    y, p = np.array([1.0, 2.0, 4.0])[:rows], np.array([1.5, 2.0, 3.0])[:rows]
    for own, gain in found(REGRESSION, y, p, np.full(rows, 2.0)).values():
        assert own.low < own.high and gain.low < gain.high
    y = np.array([0, 1, 1])[:rows]
    for own, _ in found(CLASSIFICATION, y, np.eye(2)[y] * 0.9 + 0.05, constant(rows, 2)).values():
        assert own.low < own.high or own.low == pytest.approx(own.high)  # a log loss may be the same for all rows


def test_what_cannot_be_told_has_no_interval():
    """One class only, or the same target in all rows: R² and the area under ROC have no value."""
    y = np.zeros(12, int)
    assert np.isnan(found(CLASSIFICATION, y, constant(12, 2), constant(12, 2))["area under ROC"][0]).all()
    y = np.full(12, 3.0)
    assert np.isnan(REGRESSION["r2"].of(y, y + 1)) and np.isnan(found(REGRESSION, y, y + 1, y)["R²"][0]).all()
    assert np.isfinite(found(REGRESSION, y, y + np.arange(12), y)["mean absolute error"][0]).all()


@pytest.mark.parametrize("unit", [1e-150, 1e-9, 1e9, 1e150])
def test_units_do_not_matter(unit):
    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    p, q = y + rng.normal(size=50), np.full(50, 0.1)
    for title, pair in found(REGRESSION, y, p, q).items():
        other = found(REGRESSION, unit * y, unit * p, unit * q)[title]
        np.testing.assert_allclose(np.array(other) / (1 if title == "R²" else unit), pair, rtol=1e-6)


def test_the_same_seed_gives_the_same_intervals():
    y, p = chances(np.random.default_rng(0), 60, 3, 1)
    one, two, other = (found(CLASSIFICATION, y, p, constant(60, 3), seed) for seed in (1, 1, 2))
    assert one == two != other


def test_many_rows_take_seconds_and_make_narrow_intervals():
    """By a part of them: the interval is that of all."""
    y, p = chances(np.random.default_rng(0), 200_000, 2, 1)
    q, start = constant(200_000, 2), time.perf_counter()
    many = found(CLASSIFICATION, y, p, q)
    assert time.perf_counter() - start < 20
    few = found(CLASSIFICATION, y[:20_000], p[:20_000], q[:20_000])
    for title, (own, _) in many.items():
        ratio = (few[title][0].high - few[title][0].low) / (own.high - own.low)
        assert 0.8 * np.sqrt(10) < ratio < 1.25 * np.sqrt(10), title
        assert own.low < dict((m.title, m) for m in CLASSIFICATION.values())[title].of(y, p) < own.high
