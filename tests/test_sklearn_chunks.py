"""`partial_fit`: it learns from chunks of any size, statistics are those of all rows, what it computes stays."""

import json
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

import fastml
from fastml.data.running import NUMBERS, ROWS, SAMPLE
from fastml.data.statistics import statistics
from fastml.files.saving import digest
from fastml.sklearn import MLPClassifier, MLPRegressor
from fastml.sklearn.chunks import Step, assumed, begin

CANCER, DIABETES = load_breast_cancer(return_X_y=True), load_diabetes(return_X_y=True)
REST = 1e-30  # a learning rate that moves nothing


def in_chunks(model, X, y, size, passes=1, weights=None, **first):
    for _ in range(passes):
        for start in range(0, len(y), size):
            here = slice(start, start + size)
            model.partial_fit(X[here], y[here], None if weights is None else weights[here], **first)
            first = {}
    return model


# It learns


@pytest.mark.parametrize("size, passes, dtype", [(1, 1, "float32"), (20, 8, "float32"), (20, 8, "float64")])
def test_classes_are_learned_from_chunks_of_any_size(size, passes, dtype):
    """As well as by scikit-learn, whose network has no normalization, with the same calls."""
    X, y = CANCER
    options = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.005, "random_state": 0}
    ours, theirs = (
        in_chunks(model, X[:400], y[:400], size, passes, classes=[0, 1])
        for model in (MLPClassifier(**options, dtype=dtype), TheirClassifier(**options))
    )
    assert ours.score(X[400:], y[400:]) > max(0.93, theirs.score(X[400:], y[400:]))


@pytest.mark.parametrize("normalization", ["standard", "minmax", "robust"])
def test_numbers_are_learned_row_by_row(normalization):
    X, y = DIABETES
    options = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.01, "random_state": 0}
    ours = in_chunks(MLPRegressor(**options, normalization=normalization), X[:300], y[:300], 1)
    theirs = in_chunks(TheirRegressor(**options), X[:300], y[:300], 1)
    assert ours.score(X[300:], y[300:]) > max(0.35, theirs.score(X[300:], y[300:]) - 0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("first", [1, 20, 300])
def test_a_flag_that_is_rare_at_first_is_learned(first, dtype):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=1200), rng.random(1200) < 0.3])
    X[:first, 1] = 0
    y = 100 * X[:, 1] + X[:, 0]
    model = MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.01, random_state=0, dtype=dtype)
    in_chunks(model.partial_fit(X[:first], y[:first]), X[first:], y[first:], 20, 3)
    assert model.score(X, y) > 0.95


def test_a_target_that_is_constant_at_first_is_learned():
    X, y = DIABETES
    model = MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.01, random_state=0)
    for _ in range(5):
        model.partial_fit(X[:60], np.full(60, 1e4))
    in_chunks(model, X, 1e4 + 1e3 * y, 20, 10)
    assert model.score(X, 1e4 + 1e3 * y) > 0.4


# The statistics are those of all rows


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("method", ["standard", "minmax", "robust"])
def test_statistics_are_those_of_all_rows(method, sparse):
    X, y = DIABETES
    X, weights = (
        np.column_stack([X, 1.7e9 + np.rint(100 * X[:, 0])]),
        np.random.default_rng(0).integers(0, 3, len(y)) + 0.5,
    )
    for dtype in ("float32", "float64"):
        model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0, normalization=method, dtype=dtype)
        in_chunks(model, csr_matrix(X) if sparse else X, y, 50, weights=weights)
        mean, scale = model.model_.get_weights()[:2]
        expected = statistics(method, X, weights)
        digits = 1e-6 if dtype == "float32" else 1e-8  # of a mean of 1.7e9, whose last bit is 2e-7
        np.testing.assert_allclose(scale, expected["scale"], rtol=digits)
        np.testing.assert_allclose((mean - expected["mean"]) * scale, 0, atol=1e-6)
        target = np.average(y, weights=weights)
        assert model._target_mean[0] == pytest.approx(target, rel=1e-12)
        assert model._target_spread[0] ** 2 == pytest.approx(np.average((y - target) ** 2, weights=weights), rel=1e-12)


def test_weights_of_classes_count():
    X, y = CANCER
    chunks = [
        in_chunks(MLPClassifier((3,), random_state=0, class_weight=c), X, y, 40, weights=w, classes=[0, 1])
        for c, w in (({0: 3.0, 1: 1.0}, None), (None, np.where(y == 0, 3.0, 1.0)))
    ]
    np.testing.assert_array_equal(chunks[0].predict_proba(X), chunks[1].predict_proba(X))
    np.testing.assert_allclose(
        chunks[0].model_.get_weights()[0], np.average(X, axis=0, weights=np.where(y == 0, 3.0, 1.0))
    )


@pytest.mark.parametrize("known", [1, 2, 3, 31, 1000, 1001, 2000])
@pytest.mark.parametrize("first", ["assumed", "whole"])
def test_rows_that_are_not_kept_have_their_quantiles_and_give_way_to_later_ones(first, known):
    """As rows do that are kept: a hundred times as many around 100 outweigh those around 0."""
    early, late = (np.linspace(-1, 1, k + 2)[1:-1, None] for k in (known, 100 * known))
    late = 100 + late
    if first == "assumed":
        running = assumed("robust", np.zeros(1), np.ones(1), known)
    else:
        running = begin("robust", early, None, np.float64, True)
    middle, spread = running.median()[0], running.spread[0]
    again = running.with_rows(early)
    assert again.mean[0] == pytest.approx(middle, abs=0.1)
    if known > 3:
        assert again.spread[0] == pytest.approx(spread, abs=0.1)
    later = running.with_rows(late)
    assert later.rows == 101 * known and len(later.sample) == min(SAMPLE, 101 * known)
    assert later.mean[0] == pytest.approx(100, abs=0.4)
    assert later.spread[0] == pytest.approx(1, abs=0.4)
    share = (later.sample < 50).mean()
    assert share == pytest.approx(1 / 101, abs=5 * np.sqrt(0.01 / SAMPLE))


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_rows_that_are_not_kept_mix_with_later_ones(shift):
    """Where half of the rows are not kept, quartiles are near those of all rows, though these overlap."""
    early, late = np.random.default_rng(0).normal(size=(2, 500, 1))
    late += shift
    found = begin("robust", early, None, np.float64, True).with_rows(late)
    expected = begin("robust", np.concatenate([early, late]), None, np.float64, True)
    assert found.mean[0] == pytest.approx(expected.mean[0], abs=0.1)
    assert found.spread[0] == pytest.approx(expected.spread[0], rel=0.15)


def test_rows_that_are_not_kept_weigh_what_they_did():
    early, late = np.linspace(-1, 1, 300)[:, None], 100 + np.linspace(-1, 1, 300)[:, None]
    running = begin("robust", early, np.full(300, 0.01), np.float64, True).with_rows(late, np.ones(300))
    assert running.mean[0] == pytest.approx(100, abs=0.1)


def test_samples_of_many_columns_hold_fewer_rows():
    X = np.random.default_rng(0).normal(size=(900, 2000)).astype(np.float32)
    model = MLPRegressor(hidden_layer_sizes=(1,), random_state=0, normalization="robust")
    model.partial_fit(X[:450], X[:450, 0]).partial_fit(X[450:], X[450:, 0])
    assert model._inputs.sample.shape == (500, 2000) and model._inputs.sample.size == NUMBERS
    wide = begin("robust", np.tile(X[:100, :1000], (1, 40)), None, np.float32, False)
    assert wide.sample.shape == (ROWS, 40_000)


ZERO = {
    "sample_weight": (  # which scikit-learn refuses by itself from 1.8 on
        MLPRegressor(),
        {"sample_weight": np.zeros(5)},
        "sample_weight is 0 for every row|at least one non-zero",
    ),
    "class_weight": (MLPClassifier(class_weight={0: 0.0, 1: 1.0}), {"classes": [0, 1]}, "class_weight is 0 for every"),
    "both": (
        MLPClassifier(class_weight={0: 0.0, 1: 1.0}),
        {"classes": [0, 1], "sample_weight": np.ones(5)},
        "sample_weight times class_weight is 0 for every row",
    ),
}


@pytest.mark.parametrize("normalization", ["standard", "robust", None])
@pytest.mark.parametrize("case", ZERO)
def test_rows_that_all_weigh_nothing_are_refused(case, normalization):
    """The first of all, later ones, and by `fit`; nothing changes."""
    model, parameters, message = ZERO[case]
    model = clone(model).set_params(hidden_layer_sizes=(3,), random_state=0, normalization=normalization)
    X, y = np.random.default_rng(0).normal(size=(5, 2)), np.zeros(5, int)
    first = {name: value for name, value in parameters.items() if name == "classes"}
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y, **parameters)
    assert not hasattr(model, "model_")
    weights = {name: value for name, value in parameters.items() if name == "sample_weight"}
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, **weights)
    model.partial_fit(X, y + 1, **first)
    expected = model.predict(X)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X + 1, y, **weights)
    np.testing.assert_array_equal(model.predict(X), expected)


# What the network computes stays


def drifting(rows=100):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(rows, 4))
    return X, np.stack([X[:, 0] - X[:, 1], X[:, 2]], axis=1), 50 + 30 * rng.normal(size=(rows, 4))


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop", "adagrad"])
@pytest.mark.parametrize("normalization", ["standard", "minmax", "robust"])
def test_new_statistics_change_no_prediction(normalization, solver):
    """Inputs, and targets far larger: at a rate of nothing, predictions are what they were."""
    X, y, later = drifting()
    options = {"hidden_layer_sizes": (6, 5), "solver": solver, "random_state": 0, "normalization": normalization}
    model = MLPRegressor(**options, learning_rate_init=0.01, alpha=0.0)
    for _ in range(2):
        model.partial_fit(X, y)
    expected = model.predict(X)
    model.model_.optimizer.learning_rate = REST
    model.partial_fit(later, 1000 * y - 500)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9, atol=1e-9)
    assert (np.abs(model._target_mean) > 100).all()
    assert (model._inputs.spread > 5 * X.std(axis=0)).all()


def test_a_column_that_begins_to_vary_changes_no_earlier_prediction():
    X, y, later = drifting()
    X[:, 3] = 2.0
    model = MLPRegressor(hidden_layer_sizes=(6,), random_state=0)
    for _ in range(5):
        model.partial_fit(X, y)
    expected = model.predict(X)
    model.model_.optimizer.learning_rate = REST
    X[0, 3] = 3.0
    model.partial_fit(X[:50], y[:50])
    found = model.predict(X)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-9, atol=1e-9)
    assert np.abs(found[0] - expected[0]).max() > 1e-3


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adagrad"])
def test_moments_are_those_of_the_rescaled_weights(optimizer):
    """A gradient of W is one over the factor of W; first and second moments go with it."""
    X, y, _ = drifting()
    X -= X.mean(axis=0)
    model = MLPRegressor(hidden_layer_sizes=(6,), solver=optimizer, random_state=0, learning_rate_init=REST)
    model.partial_fit(X, y)
    engine = model.model_._engine
    W, state = (engine.weights()[2].copy(), engine.buffers.state.copy())
    size, powers = engine.program.params_size, engine.aim["optimizer"].powers
    model.model_.optimizer.learning_rate = REST
    before = dict(vars(model))
    Step(model, before, 10 * X, y, None).take()
    factor = engine.weights()[2] / W
    assert (factor > 5).all()
    place = engine.program.parameters[2]
    assert len(powers) == len(state) // size > 0
    for k, power in enumerate(powers):
        old, new = (place.view(s[k * size : (k + 1) * size]) for s in (state, engine.buffers.state))
        np.testing.assert_allclose(new, old / factor**power, rtol=1e-9)
        assert np.abs(old).max() > 0


# Files, copies, refusals


MODELS = {
    "classes": (MLPClassifier, {"dtype": "float32"}, {"classes": [0, 1]}),
    "quantiles": (MLPClassifier, {"normalization": "robust"}, {"classes": [0, 1]}),
    "numbers": (MLPRegressor, {"dtype": "float32"}, {}),
    "without": (MLPRegressor, {"normalization": None, "normalize_y": False}, {}),
}


@pytest.mark.parametrize("case", MODELS)
def test_copies_go_on_with_the_same_bits(case, tmp_path):
    kind, parameters, first = MODELS[case]
    X, y = CANCER
    X = np.column_stack([X / X.std(axis=0), 1.7e9 + np.rint(X[:, 0])])
    model = in_chunks(kind(hidden_layer_sizes=(5,), random_state=0, **parameters), X[:300], y[:300], 60, **first)
    model.save(tmp_path / "m")
    copies = [fastml.load(tmp_path / "m"), pickle.loads(pickle.dumps(model))]
    later = y[300:] if first else 50 * y[300:]
    for one in (model, *copies):
        in_chunks(one, 3 * X[300:], later, 60)
    for other in copies:
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        for mine, expected in zip(other.model_.get_weights(), model.model_.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("normalization", ["standard", "minmax", "robust"])
def test_fit_keeps_no_rows(normalization, tmp_path):
    """Neither in a file nor in a pickle; both go on with the same bits."""
    X, y = drifting(900)[:2]
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0, normalization=normalization, max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    model.save(tmp_path / "m")
    content, pickled = (tmp_path / "m").read_bytes(), pickle.dumps(model)
    middle = np.sort(X[:, 0])[5:-5]  # without the least and the largest
    assert not any(str(value).encode() in content or value.tobytes() in pickled for value in middle)
    copies = [fastml.load(tmp_path / "m"), pickle.loads(pickled)]
    for one in (model, *copies):
        one.partial_fit(3 * X, y)
    for other in copies:
        np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_files_without_statistics_go_on(tmp_path):
    """Of an older version: they count as those of as many rows as the last training had."""
    X, y = DIABETES
    model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0, tol=0, n_iter_no_change=99)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[:200], y[:200])
    model.save(tmp_path / "m")
    with safe_open(tmp_path / "m", "np") as file:
        metadata = file.metadata()
    tensors, description = load_file(tmp_path / "m"), json.loads(metadata["description"])
    del description["estimator"]["statistics"]
    text = json.dumps(description)
    save_file(tensors, tmp_path / "m", {**metadata, "description": text, "sha256": digest(text, tensors)})
    other = fastml.load(tmp_path / "m")
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    for one in (model, other):
        one.partial_fit(X[200:], y[200:])
    np.testing.assert_allclose(other.predict(X), model.predict(X), rtol=1e-9)
    np.testing.assert_allclose(other._target_mean, np.mean(y))


@pytest.mark.parametrize("first", [{}, {"normalize_y": False, "normalization": None}])
def test_what_is_refused_leaves_no_trace(first):
    X, y, later = drifting()
    model = MLPRegressor(hidden_layer_sizes=(5,), random_state=0, **first).partial_fit(X, y)
    expected, twin = model.predict(X), pickle.loads(pickle.dumps(model))
    for bad_X, bad_y, parameters in (
        (np.full_like(later, np.inf), y, {}),
        (later, y * np.nan, {}),
        (later, y[:9], {}),
        (later, y[:, 0], {}),
        (later, y, {"callbacks": [3]}),
        (later, y, {"alpha": -1.0}),
    ):
        with pytest.raises((TypeError, ValueError)):
            model.set_params(**parameters).partial_fit(bad_X, bad_y)
        model.set_params(callbacks=None, alpha=0.0001)
        np.testing.assert_array_equal(model.predict(X), expected)
    for one in (model, twin):
        one.partial_fit(later, 9 * y)
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))


@pytest.mark.parametrize("moment", ["before", "within", "after"])
@pytest.mark.parametrize("epochs", [0, 1])
def test_what_ends_before_the_training_leaves_no_trace(moment, epochs, monkeypatch):
    """Ctrl-C before the network takes the statistics or after, or no memory within, whatever the call before was."""
    X, y, later = drifting()
    model = MLPRegressor(hidden_layer_sizes=(5,), random_state=0).partial_fit(X, y)
    model.n_iter_ = epochs  # 0 where Ctrl-C ended it
    expected, twin = model.predict(X), pickle.loads(pickle.dumps(model))
    take, name = Step.take, "_take_targets" if moment == "within" else "take"

    def ends(step):
        if moment == "after":
            take(step)
        raise MemoryError if moment == "within" else KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, MemoryError)):
        patch.setattr(Step, name, ends)
        model.partial_fit(later, 100 * y)
    np.testing.assert_array_equal(model.predict(X), expected)
    assert model.n_iter_ == twin.n_iter_ and model._inputs.rows == twin._inputs.rows == len(X)
    for one in (model, twin):
        one.partial_fit(later, 9 * y)
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))


def test_a_chunk_that_diverges_leaves_predictions_that_fit_together():
    """Statistics stay beside the weights that were rescaled to them."""
    X, y, later = drifting()
    model = MLPRegressor(hidden_layer_sizes=(5,), solver="sgd", batch_size=10, random_state=0, dtype="float32")
    for _ in range(3):
        model.partial_fit(X, y)
    model.model_.optimizer.learning_rate = 1e30
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.partial_fit(later, 100 * y)
    assert all(np.isfinite(w).all() for w in model.model_.get_weights())
    np.testing.assert_allclose(model._target_mean, model._targets.mean)
    np.testing.assert_allclose(model.model_.get_weights()[0], model._inputs.mean, rtol=1e-6)
