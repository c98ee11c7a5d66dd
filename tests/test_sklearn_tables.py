"""Estimators that take tables, and estimators in files."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
pytest.importorskip("narwhals", reason="needs narwhals, the extra tables")

from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastml
from fastml import TableEncoder, tables
from fastml.saving import digest
from fastml.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
IRIS, DIABETES = load_iris(return_X_y=True), load_diabetes(return_X_y=True)
LABELS = make_multilabel_classification(n_samples=60, n_features=5, n_classes=3, random_state=0)
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
CITIES = ["Rome", "Oslo", "Lima", None]


def columns(rows=200):
    """Mixed columns, and a target of text that depends on them."""
    rng = np.random.default_rng(0)
    size = rng.normal(50, 10, rows)
    city = rng.integers(0, 4, rows)
    paid = rng.random(rows) < 0.5
    street = [f"street {k}" for k in rng.integers(0, 40, rows)]
    found = {
        "size": [None if k % 17 == 0 else float(v) for k, v in enumerate(size)],
        "city": [CITIES[k] for k in city],
        "paid": paid.tolist(),
        "street": street,
    }
    target = np.where((city == 1) ^ paid, "yes", "no")
    return found, target


def make_table(library, rows=200):
    module = pytest.importorskip(library, reason=f"needs {library}")
    found, target = columns(rows)
    return (module.table(found) if library == "pyarrow" else module.DataFrame(found)), target


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_table_of_all_kinds(library):
    table, target = make_table(library)
    model = MLPClassifier((16,), max_iter=150, learning_rate_init=0.01, random_state=0).fit(table, target)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.feature_names_in_.tolist() == ["size", "city", "paid", "street"] and model.n_features_in_ == 4
    assert model.score(table, target) > 0.95
    assert set(model.predict(table)) == {"no", "yes"}
    assert isinstance(model.model_.layers[0], fastml.Embedding)  # for the streets
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_the_target_is_a_column(library):
    module = pytest.importorskip(library, reason=f"needs {library}")
    table, target = make_table(library)
    column = module.array(target) if library == "pyarrow" else module.Series(target)
    plain = MLPClassifier(**SMALL).fit(table, target)
    model = MLPClassifier(**SMALL).fit(table, column)
    assert set(model.predict(table)) <= {"no", "yes"}
    np.testing.assert_array_equal(model.predict_proba(table), plain.predict_proba(table))


def test_without_narwhals_tables_of_numbers_will_do(monkeypatch):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    monkeypatch.setitem(sys.modules, "narwhals.stable.v2", None)
    assert tables.is_plain(pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.0]}))
    assert not tables.is_plain(pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}))


def test_pipelines_may_hand_over_tables():
    pytest.importorskip("pandas", reason="needs pandas")
    with config_context(transform_output="pandas"):
        pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL)).fit(*IRIS)
    assert pipeline[-1].feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]


def test_all_libraries_give_the_same():
    found = []
    for library in ("pandas", "polars", "pyarrow"):
        table, target = make_table(library)
        found.append(MLPClassifier(**SMALL).fit(table, target).predict_proba(table))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_tables_of_numbers_are_taken_as_arrays_are():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    table = pandas.DataFrame(IRIS[0], columns=list("abcd"))
    model, plain = MLPClassifier(**SMALL).fit(table, IRIS[1]), MLPClassifier(**SMALL).fit(*IRIS)
    assert model.encoder_ is None and model.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(model.predict_proba(table), plain.predict_proba(IRIS[0]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[list("bacd")])


def test_columns_are_those_of_the_fit():
    table, target = make_table("pandas")
    model = MLPClassifier(**SMALL).fit(table, target)
    with pytest.raises(ValueError, match="columns are in another order"):
        model.predict(table[["city", "size", "paid", "street"]])
    with pytest.raises(ValueError, match="column 'paid' is missing"):
        model.predict(table[["size", "city", "street"]])
    with pytest.raises(TypeError, match="column 'size' is of kind text"):
        model.predict(table.assign(size="large"))


def test_validation_rows_and_searches_take_tables():
    table, target = make_table("polars")
    rows = {"X_val": table[150:], "y_val": target[150:]}
    model = MLPClassifier(early_stopping=True, scoring="roc_auc", **SMALL).fit(table[:150], target[:150], **rows)
    assert len(model.validation_scores_) == model.n_iter_
    search = GridSearchCV(MLPClassifier(**SMALL), {"alpha": [1e-4, 1e-2]}, cv=2).fit(table, target)
    assert search.predict(table).shape == (200,)
    assert cross_val_score(clone(model).set_params(early_stopping=False), table, target, cv=2).shape == (2,)


def test_rows_that_it_has_not_seen():
    table, target = make_table("polars")
    model = MLPClassifier(**SMALL).fit(table, target)
    new = table[:3].with_columns(city=np.array(["Bonn"] * 3, object), street=np.array(["elsewhere"] * 3, object))
    assert np.isfinite(model.predict_proba(new)).all()


MODELS = {
    "binary": (MLPClassifier, (IRIS[0][:100], np.where(IRIS[1][:100] == 0, "no", "yes")), {}),
    "classes of text": (MLPClassifier, (IRIS[0], np.array(["a", "b", "c"], object)[IRIS[1]]), {"scoring": "accuracy"}),
    "whole numbers": (MLPClassifier, IRIS, {"solver": "sgd", "learning_rate": "invscaling", "dtype": "float32"}),
    "labels": (MLPClassifier, LABELS, {"dropout": [0.1], "class_weight": None}),
    "booleans": (MLPClassifier, (IRIS[0], IRIS[1] == 1), {"class_weight": {True: 2.0, False: 1.0}}),
    "numbers": (MLPRegressor, DIABETES, {"activation": [fastml.Activation("elu", 0.5)], "n_iter_no_change": np.inf}),
    "two outputs": (MLPRegressor, (DIABETES[0], DIABETES[0][:, :2]), {"solver": fastml.Adam(0.01)}),
    "early stopping": (MLPRegressor, DIABETES, {"early_stopping": True, "batch_normalization": True}),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_file_gives_the_estimator_back(case, tmp_path):
    kind, (X, y), parameters = MODELS[case]
    model = kind(**SMALL, **parameters).fit(X, y)
    model.save(tmp_path / "m.safetensors")
    other = fastml.load(tmp_path / "m.safetensors")
    assert type(other) is kind
    kept = {name: value for name, value in model.get_params().items() if name not in ("solver", "activation")}
    assert {name: other.get_params()[name] for name in kept} == kept
    assert set(vars(other)) == set(vars(model))
    for name in ("loss_curve_", "history_", "validation_scores_", "n_iter_", "n_outputs_", "out_activation_"):
        assert getattr(other, name) == getattr(model, name)
    if kind is MLPClassifier:
        assert other.classes_.dtype == model.classes_.dtype
        np.testing.assert_array_equal(other.classes_, model.classes_)
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    found, expected = other.predict(X), model.predict(X)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("case", ["binary", "numbers", "labels"])
def test_training_goes_on_with_the_same_bits(case, tmp_path):
    kind, (X, y), parameters = MODELS[case]
    model = kind(**SMALL, **parameters).fit(X, y)
    model.partial_fit(X, y).save(tmp_path / "m")
    other = fastml.load(tmp_path / "m")
    for one in (model, other):
        one.partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    assert model.loss_curve_ == other.loss_curve_


def test_a_file_holds_the_preprocessing(tmp_path):
    table, target = make_table("polars")
    model = MLPClassifier(**SMALL).fit(table, target)
    model.save(tmp_path / "m")
    other = fastml.load(tmp_path / "m")
    np.testing.assert_array_equal(other.predict_proba(table), model.predict_proba(table))
    assert other.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    with pytest.raises(ValueError, match="column 'city' is missing"):
        other.predict(table.drop("city"))


def forge(path, change):
    """Writes the file anew with another description, and the checksum of it."""
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    tensors, description = load_file(path), json.loads(metadata["description"])
    change(description["estimator"])
    text = json.dumps(description)
    save_file(tensors, path, {**metadata, "description": text, "sha256": digest(text, tensors)})


FORGED = {
    "another class": lambda e: e.update({"class": "Popen"}),
    "no parameters": lambda e: e.pop("parameters"),
    "an unknown parameter": lambda e: e["parameters"].update(shell=True),
    "a forbidden value": lambda e: e["parameters"].update(alpha=-1.0),
    "an unknown attribute": lambda e: e["state"].update({"__class__": 1}),
    "a list": lambda e: e.update(state=[1, 2]),
    "an unknown kind": lambda e: e["state"].update(t_={"code": "1"}),
    "an array of objects": lambda e: e["state"].update(classes_={"array": ["O", [1], [1]]}),
    "an array of another size": lambda e: e["state"].update(classes_={"array": ["<i8", [7], [1, 2]]}),
}


def put(name, value):
    """A change of an estimator's state."""
    return lambda e: e["state"].update({name: value})


FORGED |= {
    "fewer classes": put("classes_", {"array": ["<i8", [2], [0, 1]]}),
    "classes that are equal": put("classes_", {"array": ["<i8", [3], [0, 1, 1]]}),
    "classes that are not sorted": put("classes_", {"array": ["<i8", [3], [2, 1, 0]]}),
    "classes that are no array": put("classes_", 3),
    "a class that is text": put("classes_", {"array": ["<i8", [3], ["0", "1", "2"]]}),
    "another kind of targets": put("_kind", "binary"),
    "no kind of targets": lambda e: e["state"].pop("_kind"),
    "no columns": lambda e: e["state"].pop("n_features_in_"),
    "fewer columns": put("n_features_in_", 3),
    "columns that are true": put("n_features_in_", True),
    "names of other columns": put("feature_names_in_", {"array": ["objects", [2], ["a", "b"]]}),
    "names that are numbers": put("feature_names_in_", {"array": ["objects", [4], [1, 2, 3, 4]]}),
    "names that are equal": put("feature_names_in_", {"array": ["objects", [4], ["a", "b", "c", "a"]]}),
    "an encoder that is a number": put("encoder_", 1),
    "an encoder of other columns": put(
        "encoder_", {"encoder": TableEncoder(dtype="float64").fit([["a", 1.0], ["b", 2.0]]).to_dict()}
    ),
    "other outputs": put("n_outputs_", 2),
    "another output activation": put("out_activation_", "logistic"),
    "another loss": lambda e: e["state"]["_aim"]["aim"].__setitem__(
        0, {"object": {"class": "MeanSquaredError", "arguments": {}}}
    ),
    "a loss times 0": lambda e: e["state"]["_aim"]["aim"].__setitem__(3, 0.0),
    "patience that is text": lambda e: e["state"]["_patience"]["patience"].__setitem__(1, "10"),
    "a best loss that is no number": lambda e: e["state"]["_patience"]["patience"].__setitem__(2, {"float": "nan"}),
    "losses that are text": put("loss_curve_", {"list": ["a"]}),
    "negative epochs": put("n_iter_", -1),
    "a number in text": put("loss_", {"float": "1_0"}),
    "a width of text that fills the memory": put("classes_", {"array": ["<U500000000", [3], ["a", "b", 1]]}),
    "callbacks": lambda e: e["parameters"].update(callbacks={"list": [1]}),
    "threads without end": lambda e: e["parameters"].update(n_threads=2**64),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_files_are_refused(case, tmp_path):
    path = tmp_path / "m"
    MLPClassifier(**SMALL).fit(*IRIS).save(path)
    forge(path, FORGED[case])
    with pytest.raises(fastml.ModelFileError):
        fastml.load(path)


def test_files_of_columns_at_the_end_of_the_range_are_read(tmp_path):
    """Where a mean and a standard deviation are beyond float64 together."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    table = pandas.DataFrame({"size": [0.0, *[1.79e308] * 6], "city": "Rome"})
    model = MLPRegressor(**SMALL).fit(table, np.arange(7.0))
    model.save(tmp_path / "m")
    other = fastml.load(tmp_path / "m")
    np.testing.assert_array_equal(other.predict(table), model.predict(table))
    for one in (model, other):
        one.partial_fit(table[:3], np.arange(3.0))
    np.testing.assert_array_equal(other.predict(table), model.predict(table))


def test_files_of_wide_tables_are_read(tmp_path):
    """However small the network: a description has few brackets for each column."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    table = pandas.DataFrame(np.random.default_rng(0).normal(size=(20, 2200))).add_prefix("x").assign(city="Rome")
    model = MLPRegressor(hidden_layer_sizes=(1,), random_state=0).partial_fit(table[:10], np.arange(10))
    model.partial_fit(table[10:], np.arange(10)).save(tmp_path / "m", include_optimizer=False)
    other = fastml.load(tmp_path / "m")
    assert [r and r.rows for r in other._inputs] == [20] * 2200 + [None]
    for one, expected in zip(other._inputs[:-1], model._inputs, strict=False):
        np.testing.assert_array_equal(one.sample, expected.sample)


def test_what_cannot_be_saved(tmp_path):
    class Mine(MLPClassifier):
        pass

    with pytest.raises(TypeError, match="its class is not one of fastml's own"):
        Mine(**SMALL).fit(*IRIS).save(tmp_path / "m")
    with pytest.raises(ValueError, match="not fitted"):
        MLPClassifier().save(tmp_path / "m")
    assert not list(tmp_path.iterdir())
