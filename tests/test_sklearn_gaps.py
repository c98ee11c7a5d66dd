"""Gaps, names and labels as people have them, for the estimators: NaN in arrays, columns that are empty in a fold."""

import warnings
from decimal import Decimal

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score

import fastml
from fastml.sklearn import MLPClassifier, MLPRegressor
from fastml.sklearn.medians import known_medians

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
NAN = np.nan


def need(library):
    pytest.importorskip("narwhals", reason="needs narwhals, the extra tables")
    return pytest.importorskip(library, reason=f"needs {library}")


def holes(X, share=0.1, seed=0):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, NAN, X)


# Gaps that appear at prediction


@pytest.mark.parametrize("normalization", ["standard", "minmax", "robust", None])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gap_is_the_median(normalization, dtype):
    model = MLPClassifier(normalization=normalization, **SMALL).fit(X.astype(dtype), Y)
    gaps = holes(X.astype(dtype), 0.3)
    expected = model.predict_proba(np.where(np.isnan(gaps), np.median(X.astype(dtype), axis=0), gaps).astype(dtype))
    assert model.encoder_ is None and np.isnan(gaps).any()
    np.testing.assert_array_equal(model.predict_proba(gaps), expected)
    np.testing.assert_array_equal([model.predict_proba_one(row) for row in gaps[:9]], expected[:9])
    assert np.isnan(gaps).any(), "the user's array has changed"


def test_a_gap_in_each_form():
    pd, pl, pa = need("pandas"), need("polars"), need("pyarrow")
    data = {name: X[:, k].tolist() for k, name in enumerate("abcd")}
    model = MLPClassifier(**SMALL).fit(pd.DataFrame(data), Y)
    assert model.encoder_ is None
    median = [np.median(X[:, 0]), *X[0, 1:]]
    expected = model.predict_proba(pd.DataFrame([median], columns=list("abcd")))
    gap = {"a": [None], **{name: [data[name][0]] for name in "bcd"}}
    for table in (
        pd.DataFrame(gap),
        pd.DataFrame(gap).astype(float),
        pd.DataFrame(gap, dtype="Float64"),
        pd.DataFrame(gap).convert_dtypes(),
        pl.DataFrame(gap),
        pa.table(gap),
        {name: values[0] for name, values in gap.items()},
        [{name: values[0] for name, values in gap.items()}],
    ):
        np.testing.assert_array_equal(model.predict_proba(table), expected)
        one = table[0] if isinstance(table, list) else table
        np.testing.assert_array_equal(model.predict_proba_one(one), expected[0])


def test_sparse_matrices_have_no_gaps():
    model = MLPClassifier(**SMALL).fit(sparse.csr_array(X), Y)
    np.testing.assert_array_equal(model.predict(X), model.predict(sparse.csr_array(X)))
    assert np.isfinite(model.predict_proba(holes(X))).all()
    bad = sparse.csr_array(np.where(np.arange(4) == 2, NAN, X))
    for use in (model.predict, lambda X: model.fit(X, Y)):
        with pytest.raises(ValueError, match="^X is sparse and holds NaN: make it dense"):
            use(bad)


# Gaps at fit


def test_arrays_with_gaps_are_encoded_as_tables_are():
    pd = need("pandas")
    gaps = holes(X)
    model = MLPClassifier(**SMALL).fit(gaps, Y)
    table = pd.DataFrame(gaps, columns=list("abcd"))
    other = MLPClassifier(**SMALL).fit(table, Y)
    names = ["x0", "x0 is missing", "x1", "x1 is missing", "x2", "x2 is missing", "x3", "x3 is missing"]
    assert model.encoder_.get_feature_names_out().tolist() == names and not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.predict_proba(gaps), other.predict_proba(table))
    np.testing.assert_array_equal([model.predict_one(row) for row in gaps[:20]], model.predict(gaps[:20]))
    assert model.score(X, Y) > 0.3 and model.n_features_in_ == 4
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4 features"):
        model.predict(X[:, :3])


def test_the_flag_tells_what_the_median_hides():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 2))
    x[:, 0] = np.where(y == 1, NAN, x[:, 0])
    model = MLPClassifier((8,), learning_rate_init=0.01, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.98


def test_the_dtype_of_arrays_with_gaps():
    for dtype in (np.float32, np.float64):
        model = MLPRegressor(**SMALL).fit(holes(X).astype(dtype), Y)
        assert model.model_.dtype == np.dtype(dtype).name == model.encoder_.dtype


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("where", ["at fit", "later"])
def test_a_file_keeps_what_stands_for_gaps(kind, where, tmp_path):
    gaps = holes(X)
    model = kind(**SMALL).fit(gaps if where == "at fit" else X, Y)
    model.save(tmp_path / "m")
    for again in (fastml.load(tmp_path / "m"), fastml.load_predictor(tmp_path / "m")):
        np.testing.assert_array_equal(again.predict(gaps), model.predict(gaps))
        np.testing.assert_array_equal(again.predict_one(gaps[3]), model.predict_one(gaps[3]))


def test_validation_rows_may_have_gaps():
    model = MLPClassifier(early_stopping=True, **SMALL).fit(X, Y, X_val=holes(X), y_val=Y)
    assert len(model.validation_scores_) == model.n_iter_ and np.isfinite(model.validation_scores_).all()
    model = MLPClassifier(early_stopping=True, scoring="roc_auc_ovr", **SMALL).fit(holes(X), Y, X_val=X, y_val=Y)
    assert np.isfinite(model.validation_scores_).all()


# Gaps in chunks


@pytest.mark.parametrize("normalization", ["standard", "minmax", "robust", None])
def test_chunks_with_gaps(normalization):
    """The medians are those of all complete rows, and the other statistics, too."""
    gaps = holes(X, 0.1)
    complete = ~np.isnan(gaps).any(axis=1)
    model = MLPRegressor(normalization=normalization, **SMALL).partial_fit(X[:20], Y[:20])
    for start in range(20, 150, 13):
        model.partial_fit(gaps[start : start + 13], Y[start : start + 13])
    seen = np.concatenate([X[:20], gaps[20:][complete[20:]]])
    np.testing.assert_array_equal(known_medians(model), np.median(seen, axis=0))
    if normalization:
        assert model._inputs.rows == len(seen)
        np.testing.assert_allclose(model._inputs.low, seen.min(axis=0))
    if normalization == "standard":
        np.testing.assert_allclose(model._inputs.mean, seen.mean(axis=0))
        np.testing.assert_allclose(model._inputs.spread, seen.std(axis=0))
    assert model._targets.rows == 150


def test_chunks_after_a_fit_move_the_medians(tmp_path):
    model = MLPRegressor(**SMALL).fit(X, Y)
    np.testing.assert_array_equal(known_medians(model), np.median(X, axis=0))
    for _ in range(20):
        model.partial_fit(X + 10, Y)
    assert (known_medians(model) > np.median(X, axis=0) + 5).all() and (known_medians(model) < X.max(axis=0) + 10).all()
    model.save(tmp_path / "m")
    again = fastml.load(tmp_path / "m")
    for one in (model, again):
        one.partial_fit(holes(X), Y)
    np.testing.assert_array_equal(known_medians(again), known_medians(model))
    np.testing.assert_array_equal(again.predict(holes(X)), model.predict(holes(X)))


def test_a_first_chunk_with_gaps_has_an_encoder():
    gaps = holes(X, 0.2)
    model = MLPClassifier(**SMALL).partial_fit(gaps[:40], Y[:40], classes=[0, 1, 2])
    for _ in range(3):
        model.partial_fit(gaps, Y)
    assert model.encoder_ is not None and np.isfinite(model.predict_proba(gaps)).all()


def test_a_chunk_of_gaps_alone_changes_no_statistics():
    model = MLPRegressor(**SMALL).partial_fit(X, Y)
    before = known_medians(model).copy(), model._inputs
    model.partial_fit(np.full_like(X, NAN), Y)
    np.testing.assert_array_equal(known_medians(model), before[0])
    assert model._inputs is before[1]


# Columns that are empty in a fold


def sparse_columns(library):
    module = need(library)
    rng = np.random.default_rng(0)
    data = {"size": rng.normal(size=90), "rare": [None] * 90, "rare text": [None] * 90, "city": list("abc") * 30}
    data["rare"][4], data["rare text"][80] = 1.5, "x"
    data = data | {"size": data["size"].tolist()}
    table = module.table(data) if library == "pyarrow" else module.DataFrame(data)
    return table, np.array(["no", "yes"])[(np.array(data["size"]) > 0).astype(int)]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.filterwarnings("ignore:column 'rare:UserWarning")
def test_searches_over_tables_with_sparse_columns(library):
    table, y = sparse_columns(library)
    scores = cross_val_score(MLPClassifier((8,), max_iter=60, learning_rate_init=0.02), table, y, error_score="raise")
    assert len(scores) == 5 and scores.mean() > 0.8


def test_searches_over_arrays_with_sparse_columns():
    data = np.column_stack([X, np.where(np.arange(150) == 4, 1.0, NAN)])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scores = cross_val_score(MLPClassifier(**SMALL), data, Y, error_score="raise")
    assert len(scores) == 5
    told = {str(w.message) for w in told if not issubclass(w.category, ConvergenceWarning)}
    assert told == {
        "column 4 holds missing values only: it is left out, and later values are ignored",
        "column 4 held missing values only at fit: its values are ignored",
    }


def test_a_column_that_is_empty_at_first_stays_out():
    table, y = sparse_columns("pandas")
    with pytest.warns(UserWarning, match="column 'rare text' holds missing values only"):
        model = MLPClassifier(**SMALL).partial_fit(table[:50], y[:50], classes=["no", "yes"])
    width = model.model_.input_dim
    with pytest.warns(UserWarning, match="column 'rare text' held missing values only"):
        model.partial_fit(table[50:], y[50:])
    assert model.model_.input_dim == width and np.isfinite(model.predict_proba(table)).all()


def test_nothing_but_gaps_is_refused():
    with pytest.raises(ValueError, match="the table holds missing values only: there is nothing to learn from"):
        MLPClassifier(**SMALL).fit(np.full((10, 2), NAN), Y[:10])


# Names


@pytest.mark.parametrize("keys", [[3, 5, 8, 9], ["a", 1, 2.5, None], [("a", 1), ("a", 2), ("b", 1), ("b", 2)]])
@pytest.mark.parametrize("text", [False, True])
def test_names_that_are_no_text(keys, text):
    pd = need("pandas")
    table = pd.DataFrame(X, columns=pd.Index(keys))
    if text:
        table = pd.DataFrame(list(zip(*X.T, "abc" * 50, strict=True)), columns=pd.Index([*keys, "city"]))
    model = MLPClassifier(**SMALL).fit(table, Y)
    assert model.feature_names_in_.tolist() == list(map(str, table.columns))
    assert (model.encoder_ is not None) is text
    expected = model.predict_proba(table)
    named = table.set_axis(list(map(str, table.columns)), axis=1)
    np.testing.assert_array_equal(model.predict_proba(named), expected)
    np.testing.assert_array_equal(model.predict_proba_one(named.iloc[0].to_dict()), expected[0])
    if text:
        np.testing.assert_array_equal(model.predict_proba(table[table.columns[::-1]]), expected)
    else:  # as scikit-learn demands of tables of plain numbers
        with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
            model.predict(table[table.columns[::-1]])
    with pytest.raises(ValueError, match="missing"):
        model.predict(table[table.columns[1:]])


def test_the_default_names_of_pandas_are_none():
    pd = need("pandas")
    model = MLPClassifier(**SMALL).fit(pd.DataFrame(X), Y)
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.predict(X), model.predict(pd.DataFrame(X)))


def test_names_that_are_one_text():
    pd = need("pandas")
    with pytest.raises(ValueError, match="2 columns have 1 names: there are several '1'"):
        MLPClassifier(**SMALL).fit(pd.DataFrame(X[:, :2], columns=[1, "1"]), Y)


# Dicts


def test_dicts_as_rows():
    rows = [{"size": float(x), "city": city} for x, city in zip(X[:, 0], "abc" * 50, strict=True)]
    model = MLPClassifier(**SMALL).fit(rows, Y)
    assert model.feature_names_in_.tolist() == ["size", "city"]
    expected = model.predict_proba(rows)
    np.testing.assert_array_equal(model.predict_proba(rows[3]), expected[3:4])
    np.testing.assert_array_equal(model.predict_proba_one(rows[3]), expected[3])
    assert model.predict_one(rows[3]) == model.predict(rows)[3]
    np.testing.assert_array_equal(model.predict_proba(need("pandas").DataFrame(rows)), expected)
    with pytest.raises(ValueError, match="column 'city' is missing"):
        model.predict({"size": 1.0})


def test_a_dict_for_a_model_of_rows_without_names():
    model = MLPClassifier(**SMALL).fit(X, Y)
    for use in (model.predict, model.predict_one):
        with pytest.raises((TypeError, ValueError)):
            use({"a": 1.0})


# Labels


def columns_of(values):
    """A column of these values in each form that a target may have."""
    found = {"list": values, "objects": np.array([*values, None], object)[:-1]}
    for library in ("pandas", "polars", "pyarrow"):
        module = pytest.importorskip(library, reason=f"needs {library}")
        found[library] = (module.array if library == "pyarrow" else module.Series)(values)
    found["pandas, nullable"] = pytest.importorskip("pandas").Series(values).convert_dtypes()
    return found


LABELS = {
    "text": ["a", None, "b", "a", "b", None],
    "numbers": [1.0, None, 2.0, 1.0, 2.0, None],
    "booleans": [True, None, False, True, True, None],
}


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("name", LABELS)
def test_missing_labels_are_named_by_their_rows(kind, name):
    for form, y in columns_of(LABELS[name]).items():
        for use in (lambda y: kind(**SMALL).fit(X[:6], y), lambda y: kind(**SMALL).fit(X, Y, X_val=X[:6], y_val=y)):
            with pytest.raises(
                ValueError, match=r"^y(_val)? has missing values .* at rows 1, 5, counted from 0: leave"
            ):
                use(y)
                pytest.fail(form)


@pytest.mark.parametrize(
    "y",
    [
        np.array(["2024-01-01", "NaT"], "datetime64[D]"),
        ["a", float("nan")],
        [1, Decimal("NaN")],
        [[1.0, 2.0], [1.0, NAN]],
        np.array([[1.0, 2.0], [NAN, 1.0]]),
        np.array([1.0, NAN], np.float32),
    ],
    ids=str,
)
def test_missing_labels_in_other_forms(y):
    with pytest.raises(ValueError, match=r"^y has missing values .* at row 1, counted from 0"):
        MLPRegressor(**SMALL).fit(X[:2], y)


def test_many_missing_labels_are_not_all_listed():
    y = np.where(np.arange(150) < 30, NAN, Y)
    with pytest.raises(ValueError, match="at rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more, counted from 0"):
        MLPClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="at rows 0, 1"):
        MLPClassifier(**SMALL).partial_fit(X, y, classes=[0.0, 1.0, 2.0])


def test_targets_with_gaps_of_several_outputs():
    X, _ = load_diabetes(return_X_y=True)
    y = X[:, :2].copy()
    y[7, 1] = NAN
    with pytest.raises(ValueError, match="at row 7, counted"):
        MLPRegressor(**SMALL).fit(X, y)
