"""What predicts of an estimator: without scikit-learn, the same answers as the estimator, for rows and for one."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from test_sklearn_tables import FORGED, MODELS, forge, make_table

import fastml
from fastml.sklearn import MLPClassifier, MLPRegressor
from fastml.trained import TrainedClassifier, TrainedRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
IRIS, DIABETES = load_iris(return_X_y=True), load_diabetes(return_X_y=True)
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


def both(model, path):
    """The estimator and what predicts of it, from its file."""
    model.save(path)
    return model, fastml.load_predictor(path)


@pytest.mark.parametrize("case", MODELS)
def test_the_same_answers(case, tmp_path):
    kind, (X, y), parameters = MODELS[case]
    model, light = both(kind(**SMALL, **parameters).fit(X, y), tmp_path / "m")
    assert type(light) is (TrainedClassifier if kind is MLPClassifier else TrainedRegressor)
    assert hasattr(light, "predict_proba") is (kind is MLPClassifier)
    methods = ["predict", "predict_proba"] if kind is MLPClassifier else ["predict"]
    for method in methods:
        expected = getattr(model, method)(X)
        found = getattr(light, method)(X)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        for one in (model, light):
            rows = [getattr(one, f"{method}_one")(row) for row in X[:9]]
            np.testing.assert_array_equal(rows, expected[:9])
            assert np.shape(rows[0]) == expected.shape[1:]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables(library, tmp_path):
    table, target = make_table(library)
    model, light = both(MLPClassifier(**SMALL).fit(table, target), tmp_path / "m")
    assert light.feature_names_in_.tolist() == model.feature_names_in_.tolist() and light.n_features_in_ == 4
    assert light.classes_.tolist() == ["no", "yes"] and light.encoder_.to_dict() == model.encoder_.to_dict()
    expected = model.predict_proba(table)
    np.testing.assert_array_equal(light.predict_proba(table), expected)
    rows = table.to_pylist() if library == "pyarrow" else table.to_dicts() if library == "polars" else None
    rows = rows or table.to_dict("records")
    for one in (model, light):
        for k in (0, 3, 17, 34):
            np.testing.assert_array_equal(one.predict_proba_one(rows[k]), expected[k])
            np.testing.assert_array_equal(one.predict_proba_one(table[k : k + 1]), expected[k])
        np.testing.assert_array_equal(one.predict_proba(rows), expected)
        reverse = dict(reversed(rows[3].items()))
        np.testing.assert_array_equal(one.predict_proba_one(reverse), expected[3])


def test_tables_of_plain_numbers_are_put_in_order(tmp_path):
    """Where scikit-learn's checks ask estimators for an error."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    table = pandas.DataFrame(IRIS[0], columns=list("abcd"))
    model, light = both(MLPClassifier(**SMALL).fit(table, IRIS[1]), tmp_path / "m")
    expected = model.predict_proba(table)
    np.testing.assert_array_equal(light.predict_proba(table[list("dbca")]), expected)
    np.testing.assert_array_equal(light.predict_proba(table.assign(a=table["a"].astype(object))), expected)
    with pytest.warns(UserWarning, match="further columns: column 'e' is not known from fit and ignored"):
        np.testing.assert_array_equal(light.predict_proba(table.assign(e="text")), expected)
    np.testing.assert_array_equal(light.predict_proba_one(table[["d", "c", "a", "b"]][:1]), expected[0])
    for wrong, error, message in [
        (table[list("abc")], ValueError, "column 'd' is missing"),
        (table.assign(b="x"), TypeError, "column 'b' is of kind text, .* it holds 'x' at row 0, expected a number"),
        (IRIS[0][:, :3], ValueError, "X has 3 columns, but the model takes 4"),
        (IRIS[0][0], ValueError, "table must have shape"),
    ]:
        with pytest.raises(error, match=message):
            light.predict(wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "float16", ">f4", "object"])
def test_arrays_of_other_dtypes(dtype, tmp_path):
    X = np.round(IRIS[0]).astype(dtype)
    for kind in ("float32", "float64"):
        model, light = both(MLPRegressor(dtype=kind, **SMALL).fit(*IRIS), tmp_path / "m")
        expected = model.predict(X)
        np.testing.assert_array_equal(light.predict(X), expected)
        for one in (model, light):
            np.testing.assert_array_equal([one.predict_one(row) for row in X[:9]], expected[:9])
            np.testing.assert_array_equal(one.predict_one(X[3].tolist()), expected[3])


def test_columns_far_from_zero(tmp_path):
    X = IRIS[0] + 1.7e9
    model, light = both(MLPRegressor(dtype="float32", **SMALL).fit(X, IRIS[1]), tmp_path / "m")
    for one in (model, light):
        np.testing.assert_array_equal([one.predict_one(row) for row in X[:9]], model.predict(X)[:9])


def test_rows_that_are_none(tmp_path):
    model, light = both(MLPClassifier(**SMALL).fit(*IRIS), tmp_path / "m")
    for one in (model, light):
        for row, error, message in [
            (IRIS[0][0, :3], ValueError, "row has 3 values, but the model takes 4 columns"),
            (IRIS[0][:1], TypeError, r"row must be an array \(columns,\), .* got ndarray \(1, 4\)"),
            (np.array([1.0, np.inf, 1, 1]), ValueError, "infinity at row 0"),
            (3, TypeError, "row must be .* got int"),
            (None, TypeError, "row must be .* got NoneType"),
        ]:
            with pytest.raises(error, match=message), np.errstate(all="ignore"):
                one.predict_one(row)
    with pytest.raises(Exception, match="not fitted"):
        MLPClassifier().predict_one(IRIS[0][0])


def test_several_outputs_and_labels(tmp_path):
    X, y = make_multilabel_classification(n_samples=60, n_features=5, n_classes=3, random_state=0)
    model, light = both(MLPClassifier(**SMALL).fit(X, y), tmp_path / "m")
    np.testing.assert_array_equal(light.predict_one(X[4]), model.predict(X)[4])
    model, light = both(MLPRegressor(**SMALL).fit(X, X[:, :2]), tmp_path / "m")
    assert light.predict_one(X[4]).shape == (2,)
    model, light = both(MLPClassifier(**SMALL).fit(X, np.full(60, "one")), tmp_path / "m")
    assert light.predict_proba_one(X[4]).tolist() == [1.0] and light.predict_one(X[4]) == "one"


def test_sparse_rows(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    model, light = both(MLPClassifier(**SMALL).fit(*IRIS), tmp_path / "m")
    np.testing.assert_array_equal(light.predict_proba(sparse.csc_array(IRIS[0])), model.predict_proba(IRIS[0]))


def test_a_network_alone_is_itself(tmp_path):
    model = fastml.Sequential([fastml.Dense(3)], input_dim=4, seed=0)
    model.build(4)
    model.save(tmp_path / "m")
    light = fastml.load_predictor(tmp_path / "m")
    assert type(light) is fastml.Sequential
    np.testing.assert_array_equal(light.predict(IRIS[0]), model.predict(IRIS[0]))


def test_copies_after_predictions_of_a_row(tmp_path):
    table, target = make_table("pandas")
    for one in both(MLPClassifier(**SMALL).fit(table, target), tmp_path / "m"):
        expected = one.predict_proba_one(table[:1])
        for again in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one), copy.copy(one)):
            np.testing.assert_array_equal(again.predict_proba_one(table[:1]), expected)


def test_what_else_it_keeps(tmp_path):
    model = MLPClassifier(n_threads=1, **SMALL).fit(*IRIS)
    model.about_ = {"target": "species"}
    _, light = both(model, tmp_path / "m")
    assert light.n_threads == 1 and light.about_ == {"target": "species"} and light.network.layers
    again = pickle.loads(pickle.dumps(light))
    np.testing.assert_array_equal(again.predict(IRIS[0]), model.predict(IRIS[0]))


# Files


PARAMETERS = {"an unknown parameter", "a forbidden value", "callbacks"}  # which it has no use for


@pytest.mark.parametrize("case", FORGED)
def test_forged_files_are_refused(case, tmp_path):
    path = tmp_path / "m"
    MLPClassifier(**SMALL).fit(*IRIS).save(path)
    forge(path, FORGED[case])
    if case in PARAMETERS:
        assert fastml.load_predictor(path).n_threads is None
        return
    with pytest.raises(fastml.ModelFileError):
        fastml.load_predictor(path)


COLD = """
import sys
asked = []

class Finder:
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        asked.append((name.split(".")[0], frame.f_globals["__name__"].split(".")[0]))

sys.meta_path.insert(0, Finder())
import fastml
model = fastml.load_predictor(sys.argv[1])
row = {"size": 40.0, "city": "Rome", "paid": True, "street": "street 3"}
print(model.predict(row).tolist(), model.predict_proba_one(row).shape)
print(sorted({name for name, by in asked if by == "fastml"} & {"sklearn", "scipy", "pandas", "polars"}))
print(sorted({name.split(".")[0] for name in sys.modules} & {"sklearn", "pandas", "polars"}))
"""


def test_it_needs_no_scikit_learn(tmp_path):
    """Nor scipy, which numba looks for by itself."""
    table, target = make_table("pandas")
    MLPClassifier(**SMALL).fit(table, target).save(tmp_path / "m")
    run = subprocess.run([sys.executable, "-c", COLD, str(tmp_path / "m")], capture_output=True, text=True, check=True)
    answer, asked, imported = run.stdout.splitlines()
    assert answer in ("['no'] (2,)", "['yes'] (2,)") and asked == imported == "[]"


def test_the_estimators_are_imported_when_they_are_asked_for():
    code = """
import sys
import fastml.sklearn
assert "sklearn" not in sys.modules and "MLPClassifier" in dir(fastml.sklearn)
from fastml.sklearn import MLPRegressor
assert "sklearn" in sys.modules and MLPRegressor is fastml.sklearn.MLPRegressor
try:
    fastml.sklearn.MLP
except AttributeError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "module 'fastml.sklearn' has no attribute 'MLP'\n"


def test_a_series_of_pandas_is_a_row(tmp_path):
    table, target = make_table("pandas")
    for one in both(MLPClassifier(**SMALL).fit(table, target), tmp_path / "m"):
        rows = [one.predict_proba_one(table.iloc[k]) for k in range(9)]
        np.testing.assert_array_equal(rows, one.predict_proba(table[:9]))
