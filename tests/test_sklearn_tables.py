"""Estimators that take tables, and estimators in files."""

import datetime
import fractions
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
from fastml import TableEncoder
from fastml.data import reading
from fastml.files.saving import digest
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
    assert reading.is_plain(pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.0]}))
    assert not reading.is_plain(pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}))


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
    expected = model.predict_proba(table)
    np.testing.assert_array_equal(model.predict_proba(table[["city", "size", "paid", "street"]]), expected)
    with pytest.warns(UserWarning, match="^the table has further columns: column 'more' is not known from fit"):
        np.testing.assert_array_equal(model.predict_proba(table.assign(more=object())), expected)
    np.testing.assert_array_equal(model.predict_proba(table.assign(more=object())), expected)  # told once
    with pytest.raises(ValueError, match="column 'paid' is missing"):
        model.predict(table[["size", "city", "street"]])
    with pytest.raises(TypeError, match="column 'size' is of kind text"):
        model.predict(table.assign(size="large"))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "dicts"])
def test_the_order_of_columns_and_further_ones_do_not_matter(library):
    table, target = make_table("pandas")
    model = MLPClassifier(**SMALL).fit(table, target)
    rows = [dict(reversed(row.items())) | {"more": 1} for row in make_table("polars")[0].to_dicts()]
    new = rows
    if library != "dicts":
        module = pytest.importorskip(library, reason=f"needs {library}")
        new = module.Table.from_pylist(rows) if library == "pyarrow" else module.DataFrame(rows)
    with pytest.warns(UserWarning, match="further columns: column 'more' is not known from fit and ignored"):
        found = model.predict_proba(new)
    np.testing.assert_array_equal(found, model.predict_proba(table))


LATER = {  # a column at fit, and what it is when predicting
    "periods": lambda pandas: pandas.period_range("2020-01", periods=60, freq="M"),
    "times of a zone": lambda pandas: pandas.date_range("2020", periods=60, tz="Europe/Berlin"),
    "intervals": lambda pandas: pandas.cut(np.arange(60) % 7, 3),
    "ordered categories": lambda pandas: pandas.Categorical(["a", "b", "c"] * 20, ordered=True),
    "sparse numbers": lambda pandas: pandas.arrays.SparseArray(np.arange(60.0) % 5),
    "halves of float": lambda pandas: np.arange(60).astype("float16"),
    "long floats": lambda pandas: np.arange(60).astype("longdouble"),
    "hours": lambda pandas: np.arange(60).astype("timedelta64[h]"),
    "fractions": lambda pandas: [fractions.Fraction(k, 3) for k in range(60)],
    "dates": lambda pandas: [datetime.date(2020, 1, 1 + k % 28) for k in range(60)],
}


@pytest.mark.parametrize("kind", LATER)
def test_columns_of_types_under_other_names(kind):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    table = pandas.DataFrame({"c": LATER[kind](pandas), "x": np.arange(60) % 4})
    model = MLPClassifier(**SMALL).fit(table, np.arange(60) % 2)
    expected = model.predict_proba(table)
    np.testing.assert_array_equal([model.predict_proba_one(table[k : k + 1]) for k in range(5)], expected[:5])


@pytest.mark.parametrize("value", [b"a", 1j, object(), {"a": 1}])
def test_columns_that_have_no_encoding_are_named(value):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    with pytest.raises(TypeError, match="column 'c' holds .*, for which there is no encoding"):
        MLPClassifier(**SMALL).fit(pandas.DataFrame({"c": [value] * 20, "x": range(20)}), np.arange(20) % 2)


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
    "medians of other columns": put("_medians", {"array": ["<f8", [3], [0.0, 0.0, 0.0]]}),
    "medians of NaN": put("_medians", {"array": ["<f8", [4], [0.0, 0.0, 0.0, {"float": "nan"}]]}),
    "medians in text": put("_medians", "0"),
    "half an epoch": put("best_epoch_", 1.5),
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


def running(name, value, of="_inputs"):
    """A change of an entry of the statistics; None takes it away."""

    def change(estimator):
        ((_, packed),) = estimator["statistics"][of].items()
        entries = packed["dict"]
        assert name in [key for key, _ in entries] or name in ("points", "sample")
        entries[:] = [entry for entry in entries if entry[0] != name] + ([] if value is None else [[name, value]])

    return change


def statistics(name, value):
    """A change of all statistics of a kind."""
    return lambda e: e["statistics"].update({name: value})


def floats(shape, *values):
    return {"array": ["<f8", list(shape), [float(v) for v in values]]}


FORGED_STATISTICS = {
    "another method": running("method", "minmax"),
    "a method that is none": running("method", "mean"),
    "a method that is a list": running("method", {"list": []}),
    "quantiles in text": running("quantiles", "yes"),
    "no quantiles": running("quantiles", False),
    "negative rows": running("rows", -1),
    "no rows": running("rows", 0),
    "half a row": running("rows", 1.5),
    "rows that are true": running("rows", True),
    "rows without end": running("rows", 2**60),
    "rows that are missing": running("rows", None),
    "negative weight": running("weight", -1.0),
    "weight without end": running("weight", {"float": "inf"}),
    "weight in text": running("weight", "1"),
    "fewer columns": running("low", floats([2], 0, 0)),
    "a number in place of an array": running("high", 1.0),
    "no centre": running("centre", None),
    "a centre of NaN": running("centre", {"array": ["<f8", [4], [0.0, 0.0, 0.0, {"float": "nan"}]]}),
    "an infinite centre": running("centre", {"array": ["<f8", [4], [0.0, 0.0, 0.0, {"float": "inf"}]]}),
    "a centre of float32": running("centre", {"array": ["<f4", [4], [0.0, 0.0, 0.0, 0.0]]}),
    "a centre of another shape": running("centre", floats([4, 1], 0, 0, 0, 0)),
    "negative spread": running("spread", floats([4], 1, 1, 1, -1)),
    "least above largest": running("low", floats([4], 0, 0, 0, 1e9)),
    "varied in numbers": running("varied", floats([4], 60, 60, 60, 60)),
    "varied below 0": running("varied", {"array": ["<i8", [4], [60, 60, 60, -60]]}),
    "varied without end": running("varied", {"array": ["<i8", [4], [60, 60, 60, 2**60]]}),
    "a sample of other columns": running("sample", floats([60, 3], *range(180))),
    "a sample of fewer rows": running("sample", floats([10, 4], *range(40))),
    "an empty sample": lambda e: [
        running(name, floats(shape))(e) for name, shape in (("sample", [0, 4]), ("weights", [0]), ("keys", [0]))
    ],
    "a large sample": lambda e: [
        running(name, floats(shape, *[0.5] * np.prod(shape)))(e)
        for name, shape in (("sample", [1001, 4]), ("weights", [1001]), ("keys", [1001]))
    ],
    "no sample": running("sample", None),
    "weights of 0": running("weights", floats([60], *[0] * 60)),
    "weights that are missing": running("weights", None),
    "keys beyond 1": running("keys", floats([60], *range(60))),
    "keys in text": running("keys", {"array": ["<U1", [60], ["a"] * 60]}),
    "points beside a sample": running("points", floats([3, 4], *range(12))),
    "an unknown entry": lambda e: e["statistics"]["_inputs"]["running"]["dict"].append(["code", 1]),
    "an entry twice": lambda e: e["statistics"]["_inputs"]["running"]["dict"].append(["rows", 60]),
    "no inputs": statistics("_inputs", None),
    "a list of inputs": statistics("_inputs", {"list": []}),
    "inputs that are a number": statistics("_inputs", 1),
    "inputs that are missing": lambda e: e["statistics"].pop("_inputs"),
    "no targets": statistics("_targets", None),
    "targets of another method": running("method", "robust", "_targets"),
    "targets of more outputs": running("centre", floats([2], 0, 0), "_targets"),
    "other targets": running("centre", floats([1], 5), "_targets"),
    "targets with quantiles": running("quantiles", True, "_targets"),
    "targets with a sample": running("sample", floats([1, 1], 0), "_targets"),
    "targets that are not scaled": lambda e: [put(name, None)(e) for name in ("_target_mean", "_target_spread")],
}


@pytest.mark.parametrize("case", FORGED_STATISTICS)
def test_forged_statistics_are_refused(case, tmp_path):
    path, X = tmp_path / "m", IRIS[0][:60]
    MLPRegressor(**SMALL, normalization="robust").partial_fit(X, X[:, 0]).save(path)
    assert fastml.load(path)._inputs.sample.shape == X.shape
    forge(path, FORGED_STATISTICS[case])
    with pytest.raises(fastml.ModelFileError):
        fastml.load(path)
    with pytest.raises(fastml.ModelFileError):
        fastml.load_predictor(path)


def booleans(*values):
    return {"array": ["|b1", [len(values)], list(values)]}


def whole(*values):
    return {"array": ["<i8", [len(values)], list(values)]}


FORGED_COLUMNS = {
    "fewer columns": running("known", booleans(True)),
    "more columns": running("known", booleans(True, False, False)),
    "text with statistics": running("known", booleans(True, True)),
    "statistics of text": running("known", booleans(False, True)),
    "no statistics": statistics("_inputs", None),
    "a list of none": statistics("_inputs", {"list": [None, None]}),
    "columns in numbers": running("known", whole(1, 0)),
    "half a row in a sample": running("kept", floats([1], 0)),
    "a sample that is not there": running("kept", whole(40)),
    "a sample without end": running("kept", whole(2**62)),
    "a sample of fewer rows than none": running("kept", whole(-3)),
    "fewer points": running("points", floats([2], 0, 1)),
    "more points": running("points", floats([4], 0, 1, 2, 3)),
    "points that are infinite": running("points", {"array": ["<f8", [3], [0.0, 1.0, {"float": "inf"}]]}),
    "points in whole numbers": running("points", whole(1, 2, 3)),
    "no points": running("points", None),
    "half a row": running("rows", floats([1], 40)),
    "no rows": running("rows", whole(0)),
    "rows of two columns": running("rows", whole(40, 40)),
    "two numbers in place of one": running("low", floats([2], 0, 0)),
    "an unknown entry": lambda e: e["statistics"]["_inputs"]["columns"]["dict"].append(["code", 1]),
}


@pytest.mark.parametrize("case", FORGED_COLUMNS)
def test_forged_statistics_of_tables_are_refused(case, tmp_path):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    path, table = tmp_path / "m", pandas.DataFrame({"age": np.arange(40.0), "city": ["a", "b"] * 20})
    model = MLPRegressor(**SMALL).fit(table, np.arange(40.0))
    model.save(path)
    np.testing.assert_array_equal(fastml.load(path)._inputs[0].points, model._inputs[0].points)
    forge(path, FORGED_COLUMNS[case])
    with pytest.raises(fastml.ModelFileError):
        fastml.load(path)
    with pytest.raises(fastml.ModelFileError):
        fastml.load_predictor(path)


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
