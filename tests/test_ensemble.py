"""Ensembles of models: the mean of their outputs, how far they lie apart, rows out of the bag, and files."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save as pack

import fastml
from fastml import Dense, Ensemble, ModelFileError, Normalization, Sequential, Task, fit_many
from fastml.files.saving import digest, read

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 3))
Y = X[:, :1] ** 2


def net(seed, dtype="float32", units=1, first=()):
    model = Sequential([*first, Dense(4 + seed, "tanh"), Dense(units)], seed=seed, dtype=dtype)
    model.compile("adam", "mse")
    return model


def trained(count=3, **kinds):
    return fit_many([net(seed, **kinds) for seed in range(count)], X, Y, epochs=2)


def test_the_output_is_the_mean_and_the_spread_the_standard_deviation():
    models = trained().models
    ensemble = Ensemble(models)
    each = np.stack([model.predict(X) for model in models]).astype(np.float64)
    assert ensemble.predict(X).dtype == np.float32
    np.testing.assert_allclose(ensemble.predict(X), each.mean(axis=0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ensemble.spread(X), each.std(axis=0), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(ensemble.predict_one(X[7]), ensemble.predict(X[7:8])[0])
    out = np.zeros(1, np.float32)
    assert ensemble.predict_one(X[7], out=out) is out
    assert out == ensemble.predict_one(X[7])
    assert Ensemble(models[:1]).spread(X).max() == 0


def test_the_dtype_is_the_widest():
    one = [*trained(1).models, *trained(1, dtype="float64").models]
    assert Ensemble(one).dtype == "float64"
    assert Ensemble(one).predict(X).dtype == np.float64


def test_of_results_those_count_that_have_finished():
    results = trained()
    results[1].finished = False
    assert Ensemble(results).models == [results[0].model, results[2].model]
    results[2].error = ValueError("model 2: as it were")
    with pytest.raises(ValueError, match="model 2: as it were"):
        Ensemble(results)


@pytest.mark.filterwarnings("ignore:.*rows were trained on by all models")
def test_rows_out_of_the_bag_are_those_that_a_model_has_not_seen():
    bags = [np.arange(40), np.arange(60) >= 20, DRAW.integers(30, 60, size=60)]
    models = fit_many([Task(net(k), rows=rows) for k, rows in enumerate(bags)], X, Y).check().models
    found = Ensemble(models).out_of_bag(X, bags)
    assert found.dtype == np.float32
    seen = np.zeros((3, 60), bool)
    for k, rows in enumerate(bags):
        seen[k, rows] = True
    for row in range(60):
        others = [
            model.predict(X[row : row + 1])[0] for model, had in zip(models, seen[:, row], strict=True) if not had
        ]
        expected = np.mean(others, axis=0) if others else [np.nan]
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)
    assert np.isnan(found[seen.all(axis=0)]).all() and seen.all(axis=0).any()


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: Ensemble([]), ValueError, "models is empty"),
        (lambda: Ensemble(net(0)), TypeError, "models must be a list of Sequential, got Sequential"),
        (lambda: Ensemble(7), TypeError, "models must be a list of Sequential, got int"),
        (lambda: Ensemble([*trained(1).models, "net"]), TypeError, "model 1 must be a Sequential, got str"),
        (lambda: Ensemble([net(0)]), ValueError, "model 0 has no weights yet"),
        (lambda: trained().models and Ensemble([*trained(1).models, wide()]), ValueError, "do not fit together"),
        (lambda: Ensemble(trained()).out_of_bag(X, [[0]]), ValueError, "each of the 3 models, got 1"),
        (lambda: Ensemble(trained()).out_of_bag(X, [[0], [60], [1]]), ValueError, "rows of model 1 holds 60"),
        (lambda: Ensemble(trained()).out_of_bag(X, None), TypeError, "rows must be a list with the rows of each model"),
        (lambda: Ensemble(trained()).predict_one(X), ValueError, "must have shape"),
        (lambda: Ensemble(trained()).predict(X[:, :2]), ValueError, "x"),
        (lambda: Ensemble(trained()).predict_one(X[0], out=np.zeros(2)), ValueError, "out must be an array of shape"),
    ],
)
def test_what_cannot_be_an_ensemble_is_refused(make, error, told):
    with pytest.raises(error, match=told):
        make()


def wide():
    model = net(0, units=2)
    model.build(3)
    return model


def test_one_file_holds_all_models(tmp_path):
    kinds = [net(0), net(1, dtype="float64"), net(2, first=[Normalization()])]
    ensemble = Ensemble(fit_many(kinds, X, Y, epochs=2))
    ensemble.save(tmp_path / "many.safetensors")
    again = fastml.load(tmp_path / "many.safetensors")
    assert isinstance(again, Ensemble) and repr(again) == repr(ensemble) == "Ensemble(3 models, 3 features, 1 output)"
    np.testing.assert_array_equal(again.predict(X), ensemble.predict(X))
    np.testing.assert_array_equal(fastml.load_predictor(tmp_path / "many.safetensors").predict(X), again.predict(X))
    for before, after in zip(ensemble, again, strict=True):  # with the optimizer's state: training goes on alike
        before.fit(X, Y)
        after.fit(X, Y)
    np.testing.assert_array_equal(again.predict(X), ensemble.predict(X))


def test_a_file_of_a_model_alone_is_one_that_older_versions_read(tmp_path):
    model = trained(1).models[0]
    model.save(tmp_path / "one.safetensors")
    Ensemble([model]).save(tmp_path / "many.safetensors")
    versions = [json.loads(read(tmp_path / f"{name}.safetensors")[0])["version"] for name in ("one", "many")]
    assert versions == [1, 2]


def forged(path, change):
    """The file with another description and tensors, and a checksum that fits."""
    text, tensors = json.loads(read(path)[0]), load_file(path)
    text, tensors = change(text, tensors) or (text, tensors)
    text = json.dumps(text)
    path.write_bytes(pack(tensors, {"format": "fastml", "description": text, "sha256": digest(text, tensors)}))


def drop(name):
    return lambda text, tensors: (text, {key: array for key, array in tensors.items() if key != name})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text, tensors: text.update(models=[]), "tensor .* is of none of 0 models"),
        (lambda text, tensors: text.update(models=text["models"][:2]), "is of none of 2 models"),
        (lambda text, tensors: text.update(models={}), "must be a list"),
        (lambda text, tensors: text.update(models=[{}] * 3), "input_dim"),
        (drop("1.weights.0.W"), "tensor weights.0.W is missing"),
        (lambda text, tensors: text["models"][0].update(input_dim=10**6), "has no weights for so many columns|shape"),
        (lambda text, tensors: ({**text, "models": []}, {}), "models is empty"),
    ],
)
def test_forged_files_are_refused(tmp_path, change, told):
    path = tmp_path / "many.safetensors"
    Ensemble(trained()).save(path)
    forged(path, change)
    with pytest.raises(ModelFileError, match=told):
        fastml.load(path)


def test_what_wants_a_single_model_says_so(tmp_path):
    path = tmp_path / "many.safetensors"
    Ensemble(trained()).save(path)
    with pytest.raises(ModelFileError, match="holds an ensemble, not a model alone: use fastml.load"):
        net(0).load_weights(path)


def test_rows_that_all_models_have_seen_are_told():
    with pytest.warns(UserWarning, match="40 of 60 rows were trained on by all models: they have NaN"):
        Ensemble(trained(1)).out_of_bag(X, [np.arange(40)])


def test_results_of_which_none_has_finished_say_so():
    results = fit_many([net(0), net(1)], X, Y, epochs=10**7, time_limit=0.2)
    with pytest.raises(ValueError, match="no model has finished: 2 not finished; results.models has them"):
        Ensemble(results)
    assert len(Ensemble(results.models)) == 2
    with pytest.raises(ValueError, match="let go by `then`"):
        Ensemble(fit_many([net(0)], X, Y, then=lambda result: None))
