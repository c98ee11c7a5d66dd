"""Metrics as `evaluate` and `fit` tell them: those of a whole data set worked out by hand and by scikit-learn."""

import copy
import math
import time
import warnings

import numpy as np
import pytest
from helpers import TOLERANCE, make_data, make_model

import fastml
from fastml import LOSSES, METRICS, SET_METRICS, SGD, Dense, EarlyStopping, Sequential, set_metrics, set_num_threads
from fastml.metrics import more_is_better
from fastml.program.compiled import DTYPES
from fastml.program.executors import EXECUTORS

CLASSES = [name for name, metric in SET_METRICS.items() if metric.classes]
OF_CLASSES = [name for name, loss in LOSSES.items() if loss.targets in ("labels", "distributions", "probabilities")]


def value(name, a, y, exclusive=False):
    """A metric of predictions and targets, which are lists of rows or of single values."""
    a, y = (np.array(v, np.float64).reshape(len(v), -1) for v in (a, y))
    return SET_METRICS[name].value(a, y, exclusive=exclusive) if name in CLASSES else SET_METRICS[name].value(a, y)


# By hand

HALVES = [0.9, 0.8, 0.5, 0.4], [1, 0, 1, 0]  # one half counts as no
BY_HAND = {
    "auc, all in order": ("auc", [0.1, 0.2, 0.3], [0, 0, 1], 1),
    "auc, all wrong": ("auc", [0.3, 0.2, 0.1], [0, 0, 1], 0),
    "auc, three of four pairs": ("auc", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),
    "auc, all equal": ("auc", [0.5, 0.5, 0.5], [0, 1, 1], 0.5),
    "auc, a tie is half a pair": ("auc", [0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1], 3.5 / 4),
    "auc, logits": ("auc", [-5, 7, 3, -0.0], [0, 1, 0, 1], 0.75),
    "auc of labels": ("auc", [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]], [[0, 0], [0, 0], [1, 1]], (1 + 0) / 2),
    "precision": ("precision", *HALVES, 1 / 2),
    "recall": ("recall", *HALVES, 1 / 2),
    "f1": ("f1", *HALVES, 1 / 2),
    "precision, two of three": ("precision", [0.9, 0.8, 0.7, 0.1], [1, 1, 0, 1], 2 / 3),
    "recall, one of three": ("recall", [0.9, 0.2, 0.1, 0.6], [1, 1, 1, 0], 1 / 3),
    "f1 of these": ("f1", [0.9, 0.2, 0.1, 0.6], [1, 1, 1, 0], 2 / (2 + 1 + 2)),
    "precision, nothing predicted": ("precision", [0.1, 0.2], [1, 0], 0),
    "recall, nothing there": ("recall", [0.9, 0.2], [0, 0], 0),
    "f1, neither": ("f1", [0.1, 0.2], [0, 0], 0),
    "precision of labels": ("precision", [[0.9, 0.9], [0.9, 0.1]], [[1, 0], [0, 0]], (1 / 2 + 0) / 2),
    "r2, exact": ("r2", [1, 2, 3], [1, 2, 3], 1),
    "r2, the mean": ("r2", [2, 2, 2], [1, 2, 3], 0),
    "r2, worse than the mean": ("r2", [3, 2, 1], [1, 2, 3], 1 - 8 / 2),
    "r2 of outputs": ("r2", [[1, 2], [2, 2], [3, 2]], [[1, 1], [2, 2], [3, 3]], (1 + 0) / 2),
    "r2, all the same and met": ("r2", [0.1, 0.1, 0.1], [0.1, 0.1, 0.1], 1),
    "r2, all the same and missed": ("r2", [0.1, 0.1, 0.2], [0.1, 0.1, 0.1], 0),
}


@pytest.mark.parametrize("name, a, y, expected", list(BY_HAND.values()), ids=list(BY_HAND))
def test_by_hand(name, a, y, expected):
    assert value(name, a, y) == pytest.approx(expected, rel=1e-15)


THREE = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]], [0, 1, 2, 2]
EXCLUSIVE = {
    "auc": (*THREE, (1 + 1 + (0.5 * 0 + 4 / 4)) / 3),
    "precision": (*THREE, (1 + 1 / 2 + 1) / 3),
    "recall": (*THREE, (1 + 1 + 1 / 2) / 3),
    "f1": (*THREE, (1 + 2 / 3 + 2 / 3) / 3),
}


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("name", EXCLUSIVE)
def test_three_classes_by_hand(name, one_hot):
    a, y, expected = EXCLUSIVE[name]
    assert value(name, a, np.eye(3)[y] if one_hot else y, exclusive=True) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("name", CLASSES)
def test_two_outputs_for_two_classes_are_one_for_class_1(name):
    rng = np.random.default_rng(1)
    p, y = rng.random(50), rng.integers(2, size=50)
    assert value(name, np.stack([1 - p, p], axis=1), y, exclusive=True) == value(name, p, y)


def test_classes_that_occur_nowhere_do_not_count():
    a, y = [[0.8, 0.2, 0, 0], [0.6, 0.4, 0, 0], [0.7, 0.1, 0.2, 0]], [0, 1, 0]
    assert value("precision", a, y, exclusive=True) == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_the_share_of_pairs(ties):
    """Exactly, as whole numbers are summed."""
    rng = np.random.default_rng(0)
    a, y = rng.integers(20, size=300) if ties else rng.random(300), rng.random(300) < 0.2
    inside, outside = a[y][:, None], a[~y]
    pairs = (inside > outside).sum() + (inside == outside).sum() / 2
    assert value("auc", a, y) == pairs / (inside.size * outside.size)


def test_auc_of_a_million_rows():
    rng = np.random.default_rng(0)
    a, y = rng.random((10**6, 1), np.float32), rng.integers(2, size=(10**6, 1)).astype(np.float32)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert SET_METRICS["auc"].value(a, y, exclusive=False) == pytest.approx(0.5, abs=2e-3)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


ONE_SIDED = {
    "no row is of class 1": ([0.1, 0.2], [0, 0], False),
    "every row is": ([0.1, 0.2], [1, 1], False),
    "no row of the data is of output 1": ([[0.1, 0.2], [0.3, 0.4]], [[1, 0], [0, 0]], False),
    "no row of the data is of class 2": ([[0.1, 0.2, 0.7], [0.3, 0.4, 0.3]], [0, 1], True),
}


@pytest.mark.parametrize("a, y, exclusive", list(ONE_SIDED.values()), ids=list(ONE_SIDED))
def test_auc_where_there_are_no_pairs(a, y, exclusive):
    with pytest.warns(UserWarning, match="metric 'auc' is NaN: (no|every) row of the data is of (class|output) [12]"):
        assert math.isnan(value("auc", a, y, exclusive))


def test_r2_of_a_single_row():
    with pytest.warns(UserWarning, match="metric 'r2' is NaN"):
        assert math.isnan(value("r2", [1], [1]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", SET_METRICS)
def test_predictions_that_are_not_finite(name, bad):
    """Give some number or NaN, silently: it is the loss that tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = value(name, [bad, 0.2, 0.7], [1, 0, 1])
    assert math.isnan(found) or name != "auc" or bad == math.inf


# By scikit-learn

CASES = {  # targets and outputs: what the loss takes, and whether the model has a single output
    "one output": ("binary_crossentropy", 1),
    "several labels": ("binary_crossentropy", 3),
    "two classes": ("sparse_categorical_crossentropy", 2),
    "classes": ("sparse_categorical_crossentropy", 4),
    "one-hot rows": ("categorical_crossentropy", 4),
    "numbers 0 and 1": ("mean_squared_error", 1),
    "one-hot numbers": ("mean_squared_error", 3),
}


def data_for(loss, units, rows=700):
    """x, targets as the loss takes them, and as scikit-learn does; predictable to some degree."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, 5))
    noisy = x[:, :units] + rng.normal(size=(rows, units))
    if loss == "binary_crossentropy" or units == 1:
        y = (noisy > 0.3).astype(float)
        return x, y, y if units > 1 else y[:, 0]
    classes = noisy.argmax(axis=1)
    return x, classes if loss == "sparse_categorical_crossentropy" else np.eye(units)[classes], classes


def sklearn_values(metrics, y, p, classes):
    """All by their names, from targets, predictions, and whether the columns of p are classes."""
    if classes and p.shape[1] > 2:
        score, said, average = p / p.sum(axis=1, keepdims=True), p.argmax(axis=1), "macro"
        auc = np.mean([metrics.roc_auc_score(y == k, p[:, k]) for k in range(p.shape[1])])
        if (p > 0).all():
            assert auc == pytest.approx(metrics.roc_auc_score(y, score, multi_class="ovr", average="macro"), abs=1e-12)
    elif p.ndim > 1 and p.shape[1] > 1 and not classes:
        said, average, auc = p > 0.5, "macro", metrics.roc_auc_score(y, p, average="macro")
    else:
        score = p[:, -1]
        said, average, auc = score > 0.5, "binary", metrics.roc_auc_score(y, score)
    functions = {name: getattr(metrics, f"{name}_score") for name in ("precision", "recall", "f1")}
    return {"auc": auc, **{name: f(y, said, average=average, zero_division=0) for name, f in functions.items()}}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("output", ["link", "linear"])
@pytest.mark.parametrize("name", CASES)
def test_classes_by_scikit_learn(name, output, executor, dtype):
    """Also where the model gives logits: metrics see the probabilities, with one half as the threshold."""
    metrics = pytest.importorskip("sklearn.metrics")
    loss, units = CASES[name]
    x, y, classes = data_for(loss, units)
    link = LOSSES[loss].link
    models = [
        make_model(loss, SGD(0.2), output=last, units=units, metrics=CLASSES, executor=executor, dtype=dtype)
        for last in (link, "linear" if output == "linear" else link)
    ]
    for model in models:
        model.fit(x, y, epochs=5, verbose=0)
    p = models[0].predict(x)
    expected = sklearn_values(metrics, classes, p, name not in ("several labels",))
    found = models[1].evaluate(x, y, return_dict=True)
    assert list(found) == ["loss", *CLASSES]
    assert {k: found[k] for k in CLASSES} == pytest.approx(expected, abs=1e-12 if dtype == "float64" else 1e-6)
    assert 0.55 < found["auc"] < 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if loss.targets in ("numbers", "counts")])
def test_numbers_by_scikit_learn(loss, units, dtype):
    metrics = pytest.importorskip("sklearn.metrics")
    x, y = make_data(loss, rows=300, units=units)
    y[:, 0] = 2  # constant targets too
    names = ["r2", "root_mean_squared_error"]
    model = make_model(loss, SGD(0.01), units=units, metrics=names, dtype=dtype)
    model.fit(x, y, epochs=3, verbose=0)
    a = model.predict(x).astype(np.float64)
    expected = [metrics.r2_score(y, a), math.sqrt(metrics.mean_squared_error(y, a))]
    assert model.evaluate(x, y)[1:] == pytest.approx(expected, rel=TOLERANCE[dtype])
    if units == 1:
        assert expected[1] == pytest.approx(metrics.root_mean_squared_error(y, a))


@pytest.mark.parametrize("name", SET_METRICS)
def test_awkward_predictions_by_scikit_learn(name):
    """Few rows, many ties, classes that nobody predicts or that do not occur."""
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(7)
    for _ in range(200):
        rows, units = rng.integers(2, 9), rng.integers(3, 6)
        a, y = rng.integers(4, size=(rows, units)) / 3, rng.integers(units, size=rows)
        if name == "r2":
            targets = rng.integers(2, size=(rows, units)).astype(float)
            assert value("r2", a, targets) == pytest.approx(metrics.r2_score(targets, a), abs=1e-12)
        elif name == "auc":
            a, y = a[:, 0], (y > 0).astype(int)
            y[:2] = 0, 1
            assert value("auc", a, y) == pytest.approx(metrics.roc_auc_score(y, a), abs=1e-14)
        else:
            function = getattr(metrics, f"{name}_score")
            expected = function(y, a.argmax(axis=1), average="macro", zero_division=0)
            assert value(name, a, y, exclusive=True) == pytest.approx(expected, abs=1e-14)


# In fit, evaluate and files


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_logged(executor):
    """In the order of compile; metrics of a set for validation rows alone, and for these as `evaluate` has them."""
    x, y = make_data("binary_crossentropy", units=1, rows=400)
    y = (y > 0.5).astype(float)
    names = ["auc", "accuracy", "f1", "root_mean_squared_error"]
    model = make_model("binary_crossentropy", units=1, metrics=names, executor=executor)
    history = model.fit(x[:300], y[:300], epochs=3, validation_data=(x[300:], y[300:]), verbose=0).history
    training = ["loss", "accuracy", "root_mean_squared_error"]
    assert list(history) == [*training, "val_loss", *(f"val_{name}" for name in names)]
    assert all(type(value) is float for values in history.values() for value in values)
    found = model.evaluate(x[300:], y[300:], return_dict=True)
    assert {f"val_{name}": value for name, value in found.items()} == {
        name: values[-1] for name, values in history.items() if name.startswith("val_")
    }
    assert model.evaluate(x[300:], y[300:]) == list(found.values())
    assert list(model.fit(x, y, epochs=1, verbose=0).history) == training


def test_the_root_of_the_mean_of_an_epoch():
    """Not the mean of the batches' roots."""
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer=SGD(0), metrics=["mean_squared_error", "root_mean_squared_error"])
    history = model.fit(x, y, batch_size=7, epochs=2, verbose=0).history
    assert history["root_mean_squared_error"] == [math.sqrt(mse) for mse in history["mean_squared_error"]]
    assert history["root_mean_squared_error"][0] == pytest.approx(
        math.sqrt(((model.predict(x) - y) ** 2).mean()), rel=1e-13
    )


def test_metrics_of_a_set_do_not_disturb_the_training():
    x, y = make_data("sparse_categorical_crossentropy", rows=300)
    plain, watched = (make_model("sparse_categorical_crossentropy", metrics=m) for m in (["accuracy"], CLASSES))
    for model in (plain, watched):
        model.fit(x, y, epochs=3, validation_split=0.3, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True))
    assert plain.history.history["val_loss"] == watched.history.history["val_loss"]


def test_any_number_of_threads_and_blocks():
    """Predictions of all rows come together in their order, whoever computed them."""
    x, y = make_data("sparse_categorical_crossentropy", rows=1111, units=4)
    model = Sequential([Dense(300, "tanh"), Dense(4, "softmax")], seed=1)
    model.compile("adam", "sparse_categorical_crossentropy", CLASSES)
    model.fit(x, y, verbose=0)
    p = model.predict(x)
    expected = [SET_METRICS[name].value(p, y[:, None], exclusive=True) for name in CLASSES]
    try:
        for count in (1, 2, 3):
            set_num_threads(count)
            assert model.evaluate(x, y)[1:] == expected
            weights = np.linspace(0, 1, len(x))
            assert model.evaluate(x, y, sample_weight=weights)[1:] == expected, "metrics are not weighted"
    finally:
        set_num_threads(None)


@pytest.mark.parametrize("name", SET_METRICS)
def test_files_and_copies_keep_them(name, tmp_path):
    loss = "mean_squared_error" if name == "r2" else "categorical_crossentropy"
    x, y = make_data(loss)
    model = make_model(loss, metrics=[name, "root_mean_squared_error"])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.safetensors")
    for other in (fastml.load(tmp_path / "m.safetensors"), copy.deepcopy(model)):
        assert other.metrics == model.metrics and other.evaluate(x, y) == model.evaluate(x, y)


# What does not fit


@pytest.mark.parametrize("metric", SET_METRICS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_that_does_not_fit(loss, metric):
    targets = LOSSES[loss].targets
    if targets == "counts" and metric in CLASSES:
        with pytest.raises(ValueError, match=f"metric '{metric}' is for classes, but {loss} takes counts"):
            make_model(loss, metrics=[metric])
    elif targets == "labels" and metric not in CLASSES:
        with pytest.raises(ValueError, match=f"metric '{metric}' compares with targets.*'{loss}'; use 'accuracy'"):
            make_model(loss, metrics=[metric])
    else:
        make_model(loss, metrics=[metric])


@pytest.mark.parametrize("wrong, right", [("rmse", "root_mean_squared_error"), ("roc_auc", "auc"), ("f1_score", "f1")])
def test_other_names(wrong, right):
    """They are taken, and the logs have them as they were given."""
    model = make_model("binary_crossentropy", metrics=[wrong])
    x, y = make_data("binary_crossentropy")
    assert list(model.evaluate(x, y, return_dict=True)) == ["loss", wrong]
    twin = make_model("binary_crossentropy", metrics=[right])
    assert model.evaluate(x, y) == twin.evaluate(x, y)


@pytest.mark.parametrize("metric", CLASSES)
@pytest.mark.parametrize(
    "units, row, message",
    [
        (1, [0.25], "is for targets 0 and 1, but {}y holds 0.25 at row 2"),
        (1, [-1], "is for targets 0 and 1, but {}y holds -1 at row 2"),
        (3, [1, 0, 1], "is for one-hot rows, but {}y holds 2 ones in row 2"),
        (3, [0, 0, 0], "is for one-hot rows, but {}y holds 0 ones in row 2"),
    ],
)
def test_numbers_that_are_no_classes(units, row, message, metric):
    """Known before the training starts."""
    x, y = make_data("mean_squared_error", units=units)
    good = np.eye(3)[:, :units][np.arange(50) % 3]
    bad = good.copy()
    bad[2] = row
    model = make_model(units=units, metrics=[metric])
    assert np.isfinite(model.evaluate(x, good)).all()
    message = f"metric '{metric}' {message}"
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message.format("")):
            call(x, bad)
    with pytest.raises(ValueError, match=message.format("validation_data ")):
        model.fit(x, good, validation_data=(x, bad))
    assert model.history is None


# What is better


@pytest.mark.parametrize("name", ["accuracy", "val_binary_accuracy", *SET_METRICS, "val_auc", "val_macro_f1", "my_auc"])
def test_more_is_better(name):
    assert more_is_better(name) and EarlyStopping(name).mode == "max"


@pytest.mark.parametrize("name", ["loss", "val_loss", *(n for n in METRICS if "accuracy" not in n), "auction"])
def test_less_is_better(name):
    assert not more_is_better(name) and EarlyStopping(f"val_{name}").mode == "min"


def test_early_stopping_by_auc():
    x, y = make_data("binary_crossentropy", units=1, rows=200)
    model = make_model("binary_crossentropy", SGD(0.5), units=1, metrics=["auc"])
    y = (y > 0.5).astype(float)
    stopping = EarlyStopping("val_auc", patience=3)
    values = model.fit(x, y, epochs=60, validation_split=0.5, callbacks=[stopping], verbose=0).history["val_auc"]
    assert stopping.best == max(values) == values[stopping.best_epoch]
    assert model.evaluate(x[100:], y[100:])[1] == stopping.best
    with pytest.raises(ValueError, match="watches 'auc'.* loss, val_loss, val_auc; auc is of valid.*'val_auc'"):
        model.fit(x, y, validation_split=0.5, callbacks=[EarlyStopping("auc")], verbose=0)


def test_every_metric_of_a_set_is_in_the_table_of_the_docstring():
    for name in SET_METRICS:
        assert f"\n{name} " in set_metrics.__doc__
