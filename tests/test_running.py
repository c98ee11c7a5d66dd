"""Statistics of rows that come in chunks: those of all rows at once, whatever the chunks."""

import numpy as np
import pytest

from fastml import Normalization
from fastml.data.running import SAMPLE, Running
from fastml.data.statistics import statistics

CHUNKS = {"row by row": [1] * 60, "pairs": [2] * 30, "of all sizes": [1, 30, 4, 1, 24], "at once": [60]}
SCALES = [(0, 1), (1.7e9, 60), (-1e12, 1e-2), (0, 1e200), (1e30, 1e20)]


def data(mean=0.0, spread=1.0, rows=60):
    rng = np.random.default_rng(0)
    return mean + spread * np.column_stack([rng.normal(size=rows), rng.exponential(size=rows), rng.random(rows) < 0.1])


def over(method, x, sizes, weights=None):
    running, start = Running(method), 0
    for size in sizes:
        here = slice(start, start + size)
        running = running.with_rows(x[here], None if weights is None else weights[here])
        start += size
    assert start == len(x)
    return running


@pytest.mark.parametrize("mean, spread", SCALES)
@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("method", Normalization.METHODS)
def test_chunks_have_the_statistics_of_all_rows(method, chunks, mean, spread):
    x = data(mean, spread)
    found, expected = over(method, x, CHUNKS[chunks]).statistics(np.float64), statistics(method, x)
    digits = 1e-12 + 1e-15 * abs(mean) / spread
    np.testing.assert_allclose(found["scale"], expected["scale"], rtol=digits)
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-14, atol=spread * 1e-13)


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("method", Normalization.METHODS)
def test_a_row_of_weight_k_counts_like_k_rows_and_one_of_0_not(method, chunks):
    x, weights = data(), np.random.default_rng(1).integers(0, 4, 60)
    found = over(method, x, CHUNKS[chunks], weights.astype(float)).statistics(np.float64)
    expected = statistics(method, np.repeat(x, weights, axis=0), np.ones(weights.sum()))
    for name in ("mean", "scale"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", Normalization.METHODS)
def test_a_column_counts_from_where_it_varies(method):
    running = Running(method).with_rows(np.full((40, 2), 0.1))
    assert running.constant.all() and not running.statistics(np.float64)["scale"].any()
    np.testing.assert_array_equal(running.mean, 0.1)
    running = running.with_rows(np.array([[0.1, 5.0], [0.1, 0.1]]))
    assert running.constant.tolist() == [True, False] and running.varied.tolist() == [0, 2]
    assert (running.statistics(np.float64)["scale"] > 0).tolist() == [False, True]


@pytest.mark.parametrize("chunk", [1, 700, 5000])
def test_quantiles_of_many_rows_are_those_of_a_sample(chunk):
    """Within five standard deviations of a quartile's, about 1.4 / √SAMPLE, wherever in the rows they differ."""
    x = np.sort(np.random.default_rng(0).normal(3, 2, 5000))[:, None]
    running = over("robust", x, [chunk] * (5000 // chunk) + ([5000 % chunk] if 5000 % chunk else []))
    assert len(running.sample) == SAMPLE
    assert abs(running.mean[0] - 3) < 5 * 2 * 1.4 / np.sqrt(SAMPLE)
    assert abs(running.spread[0] - 2 * 1.349) < 5 * 2 * 1.9 / np.sqrt(SAMPLE)


@pytest.mark.parametrize("method", Normalization.METHODS)
def test_it_goes_on_from_what_a_file_holds_and_changes_nothing_in_place(method):
    x = data(rows=1500)
    first = Running(method).with_rows(x[:900])
    kept = {name: np.copy(value) for name, value in first.to_dict().items()}
    found = [one.with_rows(x[900:]).to_dict() for one in (first, Running.from_dict(first.to_dict()))]
    for name, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][name])
    for name, value in first.to_dict().items():
        np.testing.assert_array_equal(value, kept[name])
    with pytest.raises(ValueError, match="no code"):
        Running.from_dict({**first.to_dict(), "code": 1})


def test_a_range_beyond_float64_is_refused():
    running = Running("standard").with_rows(np.array([[0.0, 1e308]]))
    with pytest.raises(ValueError, match="column 1 whose spread is beyond the range of float64"):
        running.with_rows(np.array([[0.0, -1e308]]))
