"""`partial_fit` of tables: statistics of numbers and dates of all rows, categories and gaps that appear later."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
pytest.importorskip("narwhals", reason="needs narwhals, the extra tables")
pytest.importorskip("pandas", reason="needs pandas")

import pandas

import fastml
from fastml.sklearn import MLPClassifier, MLPRegressor

CITIES = np.array(["Rome", "Oslo", "Lima", "Bonn"], object)


def table(rows=400, embedded=False):
    """A number, a text, a boolean and a date, in which gaps and cities come one after the other, and a target."""
    rng = np.random.default_rng(0)
    order = np.minimum(np.arange(rows) // 40 + 1, 4)
    city = rng.integers(0, 100, rows) % order
    size, days = rng.normal(50, 10, rows), rng.uniform(0, 500, rows)
    gaps = (rng.random(rows) < 0.2) & (np.arange(rows) > 60)
    columns = {
        "size": np.where(gaps, np.nan, size),
        "city": CITIES[city],
        "paid": rng.random(rows) < 0.5,
        "when": np.datetime64("2024-01-01") + (86400 * days).astype("timedelta64[s]"),
    }
    if embedded:
        columns["street"] = [f"street {k}" for k in rng.integers(0, 30, rows)]
    y = 100 * (city == 1) + 50 * columns["paid"] + np.where(gaps, 80, size - 50) + days / 10
    return pandas.DataFrame(columns), y


def in_chunks(model, X, y, size, passes=1, **first):
    for _ in range(passes):
        for start in range(0, len(y), size):
            model.partial_fit(X[start : start + size], y[start : start + size], **first)
            first = {}
    return model


@pytest.mark.parametrize("size, passes", [(1, 1), (20, 20)])
def test_tables_are_learned_from_chunks_of_any_size(size, passes):
    X, y = table()
    model = MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.01, random_state=0)
    in_chunks(model, X[:320], y[:320], size, passes)
    assert model.score(X[320:], y[320:]) > 0.75
    names = model.encoder_.get_feature_names_out().tolist()
    assert sorted(names) == sorted(["size", "size is missing", *(f"city={city}" for city in CITIES), "paid", "when"])


@pytest.mark.parametrize("size", [1, 7, 100])
def test_statistics_are_those_of_all_rows(size):
    X, y = table(400 if size > 1 else 120)
    model = in_chunks(MLPRegressor(hidden_layer_sizes=(3,), random_state=0), X, y, size)
    number, _, flag, date = model.encoder_._encodings
    days = (X["when"] - pandas.Timestamp(0)) / pandas.Timedelta(days=1)
    assert (number.mean, number.std) == pytest.approx((X["size"].mean(), X["size"].std(ddof=0)), rel=1e-12)
    assert (date.mean, date.std) == pytest.approx((days.mean(), days.std(ddof=0)), rel=1e-9)
    assert (flag.mean, flag.std) == (0, 1)
    assert number.median == pytest.approx(X["size"].median(), abs=2)


def test_medians_follow_the_rows():
    """2000 rows around 0, of which quantiles are assumed, weigh little beside many around 100."""
    rng = np.random.default_rng(0)
    X = pandas.DataFrame({"size": rng.normal(0, 1, 2000), "city": "Rome"})
    model = MLPRegressor(hidden_layer_sizes=(1,), random_state=0, batch_size=2000).partial_fit(X, X["size"])
    assert model.encoder_._encodings[0].median == pytest.approx(X["size"].median())
    later = pandas.DataFrame({"size": rng.normal(100, 1, 100_000), "city": "Rome"})
    number = model.partial_fit(later, later["size"]).encoder_._encodings[0]
    assert number.median == pytest.approx(100, abs=0.2) and number.mean == pytest.approx(100 / 1.02, abs=0.1)


def test_samples_of_many_columns_hold_fewer_rows():
    X = pandas.DataFrame(np.random.default_rng(0).normal(size=(700, 2000))).add_prefix("x").assign(city="Rome")
    model = MLPRegressor(hidden_layer_sizes=(1,), random_state=0).partial_fit(X[:350], np.zeros(350))
    model.partial_fit(X[350:], np.zeros(350))
    assert [len(r.sample) for r in model._inputs[:-1]] == [500] * 2000


def test_a_column_whose_values_are_all_among_the_validation_rows_goes_on():
    size = np.full(40, np.nan)
    size[3] = 7.0
    X, y = pandas.DataFrame({"size": size, "age": np.arange(40.0)}), np.arange(40.0)
    for seed in range(20):
        model = MLPRegressor(
            hidden_layer_sizes=(2,), random_state=seed, max_iter=1, early_stopping=True, validation_fraction=0.5
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
        model.set_params(early_stopping=False).partial_fit(X[10:], y[10:])
        assert model.encoder_._encodings[0].median == 7.0
        model.partial_fit(X[:10].assign(size=9.0), y[:10])
        assert 7 <= model.encoder_._encodings[0].median <= 9


@pytest.mark.parametrize("end", [KeyboardInterrupt, MemoryError])
def test_what_ends_while_the_network_grows_leaves_no_trace(end, monkeypatch):
    X, y = table()
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X[:40], y[:40])
    expected, width, twin = model.predict(X), model.model_.input_dim, pickle.loads(pickle.dumps(model))

    def ends(*args):
        raise end

    with monkeypatch.context() as patch, pytest.raises(end):
        patch.setattr("fastml.sklearn.chunks.grow", ends)
        model.partial_fit(X[40:], y[40:])
    assert model.model_.input_dim == model.encoder_._width == width
    np.testing.assert_array_equal(model.predict(X), expected)
    for one in (model, twin):
        one.partial_fit(X[40:], y[40:])
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_what_the_network_computes_stays_while_it_grows(solver, embedded):
    X, y = table(embedded=embedded)
    model = MLPRegressor(hidden_layer_sizes=(6,), solver=solver, random_state=0, learning_rate_init=0.01)
    start = X[:40]
    assert set(start["city"]) == {"Rome"}
    for _ in range(3):
        model.partial_fit(start, y[:40])
    expected, width, engine = model.predict(start), model.encoder_._width, model.model_._engine
    model.model_.optimizer.learning_rate = 1e-30
    later = X[40:].assign(size=10 * X["size"][40:])
    model.partial_fit(later, 5 * y[40:])
    assert model.encoder_._width == model.model_.input_dim == width + 4 and model.model_._engine is not engine
    assert isinstance(model.model_.layers[0], fastml.Embedding) == embedded
    np.testing.assert_allclose(model.predict(start), expected, rtol=1e-9, atol=1e-9)
    assert np.ptp(model.predict(later[:1].assign(city="Oslo")) - model.predict(later[:1].assign(city="Lima"))) == 0
    assert model.predict(later[:1].assign(city="Oslo")) != model.predict(later[:1].assign(city="Bonn"))


@pytest.mark.parametrize("embedded", [False, True])
def test_copies_go_on_with_the_same_bits(embedded, tmp_path):
    X, y = table(embedded=embedded)
    X["street"] = X["street"] if embedded else 1.0
    labels = np.where(y > 60, "high", "low")
    model = MLPClassifier((6,), random_state=0, dtype="float32")
    in_chunks(model, X[:100], labels[:100], 50, classes=["high", "low"])
    model.save(tmp_path / "m")
    copies = [fastml.load(tmp_path / "m"), pickle.loads(pickle.dumps(model))]
    for one in (model, *copies):
        in_chunks(one, X[100:], labels[100:], 50)
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert model.encoder_.to_dict() == copies[0].encoder_.to_dict()


def test_categories_beyond_the_limit_are_told():
    rows = 34
    X = pandas.DataFrame({"city": [f"city {k % 17}" for k in range(rows)], "size": np.arange(rows) / 2})
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X[:4], np.arange(4))
    with pytest.warns(UserWarning, match="column 'city' has more than 16 categories"):
        model.partial_fit(X[4:], np.arange(30))
    assert len(model.encoder_._encodings[0].categories) == 16
    (left,) = set(X["city"]) - set(model.encoder_._encodings[0].categories)
    assert left == "city 9"  # the last of those that are as frequent
    assert model.predict(X[:1].assign(city="another")) == model.predict(X[:1].assign(city=left))


def test_what_is_refused_leaves_no_trace():
    X, y = table()
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X[:40], y[:40])
    expected, twin = model.predict(X), pickle.loads(pickle.dumps(model))
    for bad_X, bad_y, parameters in (
        (X[40:], y[:9], {}),
        (X[40:].assign(size="large"), y[40:], {}),
        (X[40:].assign(size=np.inf), y[40:], {}),
        (X[40:], y[40:], {"callbacks": [3]}),
    ):
        with pytest.raises((TypeError, ValueError)):
            model.set_params(**parameters).partial_fit(bad_X, bad_y)
        model.set_params(callbacks=None)
        np.testing.assert_array_equal(model.predict(X), expected)
    for one in (model, twin):
        one.partial_fit(X[40:], y[40:])
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))
