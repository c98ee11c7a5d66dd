"""Estimators for tables that need no tuning: what a preset stands for, which tables they take, and their files."""

import time

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification, make_multilabel_classification

import fastml
from fastml import Ensemble, PeriodicEmbedding
from fastml.sklearn import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor

RNG = np.random.default_rng(0)
X, Y = load_iris(return_X_y=True)


def steps(rows=1200):
    """Numbers of which one jumps, one is nearly always 0, and one has wild outliers."""
    rng = np.random.default_rng(1)
    jumps, wild = rng.uniform(0, 100, rows), rng.standard_cauchy(rows)
    rare = np.where(rng.random(rows) < 0.9, 0, rng.exponential(1e4, rows))
    x = np.column_stack([jumps, rare, wild])
    y = (jumps // 10 % 2) * 2 + np.log1p(rare) / 3 + np.tanh(wild)
    return x, y + 0.1 * rng.normal(size=rows)


def test_it_learns_jumps_and_rare_values_that_a_plain_network_does_not():
    x, y = steps()
    train, test = slice(0, 900), slice(900, None)
    ours = TabularRegressor("fast", random_state=0).fit(x[train], y[train]).score(x[test], y[test])
    plain = MLPRegressor(early_stopping=True, random_state=0).fit(x[train], y[train]).score(x[test], y[test])
    assert ours > 0.8 > plain + 0.1

    labels = np.where(y > np.median(y), "high", "low")
    ours = TabularClassifier("fast", random_state=0).fit(x[train], labels[train]).score(x[test], labels[test])
    plain = MLPClassifier(early_stopping=True, random_state=0).fit(x[train], labels[train]).score(x[test], labels[test])
    assert ours > 0.88 and ours > plain


def table(rows=240):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(2)
    frame = pandas.DataFrame(
        {
            "age": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(18, 90, rows)),
            "city": rng.choice(["Rome", "Paris", None], rows),
            "street": [f"street {k}" for k in rng.integers(0, 60, rows)],
            "since": np.datetime64("2020-01-01") + rng.integers(0, 2000, rows).astype("timedelta64[D]"),
            "member": rng.random(rows) < 0.5,
        }
    )
    return frame, np.where((frame["age"].fillna(40) > 50) ^ (frame["city"] == "Rome"), "yes", "no")


def test_any_table_goes_in_and_one_file_holds_all(tmp_path):
    frame, target = table()
    fitted = TabularClassifier("fast", n_ensemble=2, random_state=0).fit(frame, target)
    assert fitted.score(frame, target) > 0.9 and isinstance(fitted.model_, Ensemble)
    waves = [layer for layer in fitted.model_[0].layers if isinstance(layer, PeriodicEmbedding)]
    assert len(waves) == 1 and len(waves[0].columns) == 2  # age and since
    fitted.save(tmp_path / "table.safetensors")
    again = fastml.load(tmp_path / "table.safetensors")
    predictor = fastml.load_predictor(tmp_path / "table.safetensors")
    assert type(again) is TabularClassifier and again.get_params() == fitted.get_params()
    for other in (again, predictor):
        np.testing.assert_array_equal(other.predict_proba(frame), fitted.predict_proba(frame))
        np.testing.assert_array_equal(other.spread(frame), fitted.spread(frame))
    row = frame.iloc[3].to_dict()
    assert fitted.predict_one(row) == predictor.predict_one(row) == fitted.predict(frame.iloc[[3]])[0]


def test_regressors_come_back_too(tmp_path):
    x, y = steps(300)
    fitted = TabularRegressor("fast", random_state=0).fit(x, np.column_stack([y, -y]))
    fitted.save(tmp_path / "model.safetensors")
    assert fitted.predict(x).shape == (300, 2)
    np.testing.assert_array_equal(fastml.load(tmp_path / "model.safetensors").predict(x), fitted.predict(x))
    np.testing.assert_array_equal(fastml.load_predictor(tmp_path / "model.safetensors").predict(x), fitted.predict(x))


def test_presets_say_how_many_networks_and_how_large():
    sizes = {}
    for preset in ("fast", "default"):
        fitted = TabularClassifier(preset, time_limit=60, random_state=0).fit(X, Y)
        networks = fitted.model_.models if isinstance(fitted.model_, Ensemble) else [fitted.model_]
        sizes[preset] = len(networks), [layer.units for layer in networks[0].layers if hasattr(layer, "units")]
    assert sizes == {"fast": (1, [128, 128, 3]), "default": (5, [256, 256, 3])}
    assert len(TabularClassifier("fast", n_ensemble=3).fit(X, Y).estimators_) == 3


def test_random_state_repeats_a_fit_on_any_number_of_threads():
    found = [
        TabularClassifier("fast", n_ensemble=3, random_state=0, n_threads=threads).fit(X, Y).predict_proba(X)
        for threads in (1, 2, None)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_weights_classes_and_several_labels():
    x, y = make_classification(300, weights=[0.9], random_state=0)
    plain = TabularClassifier("fast", random_state=0).fit(x, y)
    balanced = TabularClassifier("fast", class_weight="balanced", random_state=0).fit(x, y)
    assert balanced.predict_proba(x)[:, 1].mean() > plain.predict_proba(x)[:, 1].mean()
    x, y = make_multilabel_classification(200, n_classes=3, random_state=0)
    assert TabularClassifier("fast", random_state=0).fit(x, y).predict(x).shape == (200, 3)


def test_wide_and_sparse_rows_have_no_waves():
    sparse = pytest.importorskip("scipy.sparse")
    x = RNG.normal(size=(120, 150))
    wide = TabularRegressor("fast", random_state=0).fit(x, x[:, 0])
    rows = TabularRegressor("fast", random_state=0).fit(sparse.csr_matrix(x), x[:, 0])
    for fitted in (wide, rows):
        assert not any(isinstance(layer, PeriodicEmbedding) for layer in fitted.model_.layers)
        assert np.isfinite(fitted.predict(x)).all()


def test_a_time_limit_ends_the_fit():
    x, y = steps(4000)
    start = time.perf_counter()
    with pytest.warns(UserWarning, match=r"time_limit has ended the training: \d+ of 500 networks are there"):
        fitted = TabularRegressor("best", n_ensemble=500, time_limit=1.0, random_state=0).fit(x, y)
    assert time.perf_counter() - start < 60
    assert fitted.predict(x).shape == (4000,)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"preset": "quick"}, "'preset' parameter"),
        ({"n_ensemble": 0}, "'n_ensemble' parameter"),
        ({"time_limit": -1}, "'time_limit' parameter"),
        ({"scoring": "loss"}, "scoring"),
    ],
)
def test_what_makes_no_sense_is_refused(parameters, told):
    with pytest.raises(ValueError, match=told):
        TabularClassifier(**parameters).fit(X, Y)


def test_what_recipes_have_not_says_so():
    fitted = TabularClassifier("fast", random_state=0).fit(X, Y)
    with pytest.raises(AttributeError, match="partial_fit': recipes are for all rows at once, see MLPClassifier"):
        fitted.partial_fit(X, Y)
    with pytest.raises(AttributeError, match="spread': it needs several networks"):
        fitted.spread(X)
    with pytest.raises(AttributeError, match="coefs_': its network is none of plain layers"):
        fitted.coefs_  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'depth'"):
        fitted.depth  # noqa: B018
    with pytest.raises(TypeError, match="hidden_layer_sizes"):
        TabularClassifier(hidden_layer_sizes=(3,))
    assert repr(clone(fitted)) == "TabularClassifier(preset='fast', random_state=0)"
