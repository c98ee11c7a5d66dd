"""Normal scores: the encoding of numbers by their rank."""

import json
from statistics import NormalDist

import numpy as np
import pytest

from fastml.data.encodings import describe, restore
from fastml.data.quantiles import Quantiles
from fastml.data.tables import TableEncoder

RNG = np.random.default_rng(0)
NORMAL = NormalDist()


def scores(values, **arguments):
    encoder = TableEncoder(numbers="quantile", dtype="float64", **arguments).fit(np.reshape(values, (-1, 1)))
    return encoder.transform(np.reshape(values, (-1, 1)))[:, 0], encoder


@pytest.mark.parametrize("make", [RNG.normal, RNG.standard_cauchy, lambda size: RNG.lognormal(9, 3, size)])
def test_any_distribution_becomes_normal(make):
    values = make(size=30_000)
    found, _ = scores(values)
    shares = (np.argsort(np.argsort(values)) + 0.5) / len(values)
    inner = (shares > 0.002) & (shares < 0.998)
    expected = np.array([NORMAL.inv_cdf(share) for share in shares[inner]])
    np.testing.assert_allclose(found[inner], expected, atol=0.03)
    assert (np.diff(found[np.argsort(values)]) >= 0).all()
    ends = NORMAL.inv_cdf(1 - 0.5 / 30_000)
    assert (found.min(), found.max()) == (pytest.approx(-ends), pytest.approx(ends))


def test_a_value_of_many_rows_has_the_score_of_their_middle():
    values = np.where(np.arange(10_000) < 9000, 0.0, RNG.exponential(size=10_000))
    found, _ = scores(values)
    assert found[0] == pytest.approx(NORMAL.inv_cdf(0.45), abs=0.01)
    assert found[9000:].min() > found[0] and found[9000:].max() > 3
    found, _ = scores(np.repeat([1.0, 2.0, 5.0], [2000, 4000, 4000]))
    expected = [NORMAL.inv_cdf(share) for share in (0.1, 0.4, 0.8)]
    np.testing.assert_allclose(np.unique(found), expected, atol=0.01)


def test_values_between_and_beyond():
    """Between two points on a line, beyond the ends as the ends, also where they overflow."""
    _, encoder = scores(np.arange(11.0))
    table = np.array([[2.0], [2.5], [3.0], [10.0], [11.0], [1e308], [-1e308]])
    found = encoder.transform(table)[:, 0]
    assert found[1] == pytest.approx((found[0] + found[2]) / 2)
    assert found[3] == found[4] == found[5] == pytest.approx(-found[6])


def test_constant_columns_and_gaps():
    found, _ = scores(np.full(50, 3.0))
    assert not found.any()
    values = np.where(np.arange(200) % 4, np.arange(200.0), np.nan)
    found, encoder = scores(values)
    matrix = encoder.transform(values[:, None])
    assert matrix.shape == (200, 2) and (matrix[:, 1] == np.isnan(values)).all()
    assert abs(found[0]) < 0.05  # as the median
    assert encoder.get_feature_names_out().tolist() == ["x0", "x0 is missing"]


def test_it_is_kept_as_plain_data():
    _, encoder = scores(RNG.normal(size=500))
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    table = RNG.normal(size=(20, 1)) * 3
    np.testing.assert_array_equal(again.transform(table), encoder.transform(table))
    np.testing.assert_array_equal(encoder.transform_one(table[3]), encoder.transform(table)[3])
    assert repr(again) == "TableEncoder(one_hot_limit=16, dtype='float64', numbers='quantile')"
    assert "numbers" not in TableEncoder().fit(table).to_dict()  # so that older versions read it


def test_dates_are_scored_and_booleans_are_not(capsys):
    dates = np.datetime64("2024-01-01") + np.arange(60)
    rows = [{"day": day, "open": bool(k % 2), "city": "ab"[k % 2]} for k, day in enumerate(dates.tolist())]
    encoder = TableEncoder(numbers="quantile").fit(rows)
    matrix = encoder.transform(rows)
    assert matrix[:, 0].min() < -2 and set(matrix[:, 1]) == {0, 1} and matrix.shape == (60, 4)
    encoder.summary()
    assert "normal scores, by 11 quantiles" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "text"},
        {"points": [1.0]},
        {"points": [1, 2]},
        {"points": [2.0, 1.0]},
        {"points": [0.0, float("inf")]},
        {"points": "12"},
        {"points": [float(k) for k in range(1000)]},
        {"rows": 0},
        {"rows": 2.5},
        {"missing": 1},
    ],
)
def test_forged_encodings_are_refused(changed):
    described = describe(Quantiles("number", [0.0, 1.0, 2.0], 30, False))
    assert restore(described) == Quantiles("number", [0.0, 1.0, 2.0], 30, False)
    with pytest.raises((ValueError, TypeError)):
        restore({**described, **changed})


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="numbers"):
        TableEncoder(numbers="rank")
