"""Jobs that stay ready: single steps, evaluations, predictions and gradients are those of a run, bit for bit."""

import threading

import numpy as np
import pytest
from helpers import same_bits

import fastml
from fastml import (
    SGD,
    Adam,
    BatchNormalization,
    CosineDecay,
    Dense,
    DivergenceError,
    Dropout,
    LayerNormalization,
    Normalization,
    Rprop,
    Sequential,
)
from fastml.program.plan import WHOLE
from fastml.training.engine import Engine
from fastml.training.ready import Ready

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(90, 6)), RNG.integers(0, 3, 90)
TARGETS = RNG.normal(size=(90, 2))


def net(optimizer="adam", loss="sparse_categorical_crossentropy", layers=None, dtype="float32", metrics=("accuracy",)):
    units = 3 if loss == "sparse_categorical_crossentropy" else 2
    layers = [Dense(9, "tanh"), Dropout(0.3), BatchNormalization(), Dense(units)] if layers is None else layers
    model = Sequential(layers, input_dim=6, dtype=dtype, seed=3)
    model.compile(optimizer, loss, list(metrics))
    return model


def targets_of(model):
    return LABELS if model.loss.targets == "labels" else TARGETS


@pytest.fixture
def runs(monkeypatch):
    """How often a job that was ready has run."""
    count, run = [0], Ready.run

    def counted(self, *arguments):
        count[0] += 1
        return run(self, *arguments)

    monkeypatch.setattr(Ready, "run", counted)
    return count


STEPS = {
    "adam": lambda: net(),
    "float64": lambda: net(dtype="float64"),
    "rprop with a look back": lambda: net(Rprop(backtrack=True, initial_step=0.3)),
    "penalties and norms": lambda: net(
        Adam(global_clipnorm=0.1, weight_decay=0.1), layers=[Dense(4, "relu", kernel_regularizer="l2"), Dense(3)]
    ),
    "a schedule with steps": lambda: net(SGD(CosineDecay(0.1, steps=30), momentum=0.9)),
    "two outputs": lambda: net(loss="mse", layers=[Dense(5, "elu"), LayerNormalization(), Dense(2)], metrics=["mae"]),
}


@pytest.mark.parametrize("case", STEPS)
@pytest.mark.parametrize("rows", [90, 17])
def test_train_on_batch_has_the_bits_of_fit(case, rows, runs):
    """Losses, scores, weights and the state of the optimizer after each of twelve steps, and of a fit that follows."""
    one, other = STEPS[case](), STEPS[case]()
    y = targets_of(one)
    for k in range(12):
        some = slice(k, k + rows)
        x, t = X[some], y[some]
        history = other.fit(x, t, batch_size=len(x), shuffle=False, verbose=0).history
        logs = one.train_on_batch(x, t, return_dict=True)
        assert logs == {name: values[0] for name, values in history.items()}
        assert same_bits(one.get_weights(), other.get_weights())
        assert same_bits([one._engine.buffers.state], [other._engine.buffers.state])
    assert runs[0] == 11  # the first one makes the weights
    assert one._engine.progress() == other._engine.progress()
    if "schedule" not in case:
        for model in (one, other):
            model.fit(X, y, epochs=2, verbose=0, batch_size=len(X))
        assert same_bits(one.get_weights(), other.get_weights())


def test_weights_of_rows_come_and_go(runs):
    one, other = net(), net()
    weights = RNG.uniform(0.5, 2, 90)
    for k in range(6):
        options = (
            {"sample_weight": weights}
            if k in (1, 2, 5)
            else {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}}
            if k == 4
            else {}
        )
        ours = one.train_on_batch(X, LABELS, **options)
        other.fit(X, LABELS, batch_size=90, shuffle=False, verbose=0, **options)
        assert same_bits(one.get_weights(), other.get_weights()) and len(ours) == 2
    assert runs[0] == 5


def test_a_step_follows_what_changes_in_between(runs):
    """A constant of the optimizer, weights that are set, a layer that is frozen, another loss, readers of weights."""
    one, other = net(), net()
    first, kept = None, []

    def both(change):
        for model in (one, other):
            change(model)
        one.train_on_batch(X, LABELS)
        other.fit(X, LABELS, batch_size=90, shuffle=False, verbose=0)
        assert same_bits(one.get_weights(), other.get_weights())

    both(lambda model: None)
    first = one.get_weights()
    both(lambda model: setattr(model.optimizer, "learning_rate", 0.1))
    both(lambda model: setattr(model.optimizer, "beta_1", 0.5))
    both(lambda model: model.set_weights(first))
    both(lambda model: setattr(model.layers[0], "trainable", False))
    both(lambda model: kept.append(model.predict(X)))
    both(lambda model: model.compile(SGD(0.1), "sparse_categorical_crossentropy"))
    assert runs[0] >= 6


def test_another_thread_may_predict_meanwhile():
    """It gets weights of some step, whole: its predictions are those of one of them."""
    model, seen = net(layers=[Dense(3)]), []
    model.train_on_batch(X, LABELS)
    stop = threading.Event()

    def predict():
        while not stop.is_set():
            seen.append(model.predict(X[:20]))

    thread = threading.Thread(target=predict)
    thread.start()
    weights = [model.get_weights()]
    for _ in range(200):
        model.train_on_batch(X, LABELS)
        weights.append(model.get_weights())
    stop.set()
    thread.join()
    fresh = Sequential([Dense(3)], input_dim=6)
    fresh.build()
    possible = set()
    for each in weights:
        fresh.set_weights(each)
        possible.add(fresh.predict(X[:20]).tobytes())
    assert seen and {found.tobytes() for found in seen} <= possible


@pytest.mark.parametrize("rate", [1e30, 3e38])
def test_a_step_that_diverges_is_taken_back(rate, runs):
    model = net(SGD(0.01), "mse", [Dense(4), Dense(2)], metrics=())
    model.train_on_batch(X, TARGETS)
    model.train_on_batch(X, TARGETS)
    before, state, done = model.get_weights(), model._engine.buffers.state.copy(), model._engine.progress()
    model.optimizer.learning_rate = rate
    with pytest.raises(DivergenceError, match="the loss or a weight became NaN or infinite; the model keeps its last"):
        for _ in range(20):
            before, done = model.get_weights(), model._engine.progress()
            model.train_on_batch(X, TARGETS)
    assert same_bits(model.get_weights(), before) and same_bits([model._engine.buffers.state], [state])
    assert model._engine.progress() == done and runs[0] >= 2
    model.optimizer.learning_rate = 0.01
    model.set_weights([0 * W for W in before])
    model.train_on_batch(X, TARGETS)


def test_what_a_step_cannot_do_goes_the_long_way(runs, monkeypatch):
    """Normalization, whose statistics may change; the reference; work of several threads."""
    normalized = Sequential([Normalization(), Dense(3)], input_dim=6)
    normalized.compile("adam", "sparse_categorical_crossentropy")
    normalized.fit(X, LABELS, verbose=0)
    before = runs[0]
    normalized.train_on_batch(X, LABELS)
    reference = net()
    reference.compile("adam", "sparse_categorical_crossentropy", executor="numpy")
    reference.train_on_batch(X, LABELS)
    reference.evaluate(X, LABELS)
    reference.gradients(X, LABELS)
    assert runs[0] == before
    shared = net()
    shared.train_on_batch(X, LABELS)
    monkeypatch.setattr(Engine, "_plan", lambda self, rows, once=False: WHOLE._replace(threads=2))
    shared.train_on_batch(X, LABELS)
    shared.gradients(X, LABELS)
    assert runs[0] == before


def test_a_step_after_a_training_that_was_left_before_its_kernels_were_found():
    """An update that was changed, and is not compiled yet: no step may go on without one."""
    model = net()
    model.compile(fastml.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
    model.train_on_batch(X, LABELS)
    model.optimizer.nesterov = True

    class Leaves(fastml.Callback):
        def on_train_begin(self, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS, verbose=0, callbacks=[Leaves()])
    before = model.get_weights()
    model.train_on_batch(X, LABELS)
    assert not np.array_equal(model.get_weights()[0], before[0])


def test_mistakes_are_told_as_fit_tells_them():
    model = net()
    model.train_on_batch(X, LABELS)
    bad = X.copy()
    bad[4, 1] = np.nan
    with pytest.raises(ValueError, match="x holds NaN at row 4, column 1"):
        model.train_on_batch(bad, LABELS)
    with pytest.raises(ValueError, match="label 7 at row 0"):
        model.train_on_batch(X, LABELS + 7 * (np.arange(90) == 0))
    with pytest.raises(ValueError, match="BatchNormalization needs batches of at least 2 rows"):
        model.train_on_batch(X[:1], LABELS[:1])
    model.trainable = False
    for layer in model.layers:
        layer.trainable = False
    with pytest.raises(ValueError, match="all layers are frozen"):
        model.train_on_batch(X, LABELS)


@pytest.mark.parametrize("rows", [1, 16, 17, 90, 256, 257, 600])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_and_evaluations_are_those_of_a_run(rows, dtype, runs, monkeypatch):
    model = net(dtype=dtype, metrics=["accuracy", "auc"][: 1 if rows < 3 else 2])
    model.fit(X, LABELS, verbose=0)
    x, y = np.resize(X, (rows, 6)).astype(dtype), np.resize(LABELS, rows)
    weights = np.linspace(0.5, 2, rows)
    y[: min(3, rows)] = [0, 1, 2][: min(3, rows)]  # all classes, or auc is NaN
    before = runs[0]
    quick = model.predict(x), model.evaluate(x, y), model.evaluate(x, y, sample_weight=weights)
    assert runs[0] >= before + 2
    monkeypatch.setattr("fastml.training.serving.SHORT", 0)
    monkeypatch.setattr(Engine, "few", lambda *arguments: None)
    slow = model.predict(x), model.evaluate(x, y), model.evaluate(x, y, sample_weight=weights)
    assert same_bits([quick[0]], [slow[0]])
    np.testing.assert_array_equal(quick[1], slow[1])
    np.testing.assert_array_equal(quick[2], slow[2])


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_a_run(weighted, runs, monkeypatch):
    model = net()
    model.fit(X, LABELS, verbose=0)
    weights = np.linspace(0.5, 2, 90) if weighted else None
    quick, again = (model.gradients(X, LABELS, weights) for _ in range(2))
    some = model.gradients(X[:20], LABELS[:20])
    assert runs[0] == 3
    monkeypatch.setattr("fastml.training.serving.SHORT", 0)
    slow, fewer = model.gradients(X, LABELS, weights), model.gradients(X[:20], LABELS[:20])
    assert runs[0] == 3
    for (loss, grads), (expected, others) in ((quick, slow), (again, slow), (some, fewer)):
        assert loss == expected and same_bits(grads, others)


def test_gradients_follow_the_model(runs):
    """Other weights, another loss, a frozen layer; what was returned before stays."""
    model = net("sgd", "mse", [Dense(4, "tanh"), Dense(2)], metrics=())
    model.fit(X, TARGETS, verbose=0)
    _, first = model.gradients(X, TARGETS)
    kept = [g.copy() for g in first]
    model.set_weights([2 * W for W in model.get_weights()])
    _, second = model.gradients(X, TARGETS)
    assert same_bits(first, kept) and not same_bits(first, second)
    model.compile("sgd", "mean_absolute_error")
    _, third = model.gradients(X, TARGETS)
    assert not same_bits(second, third)
    model.layers[0].trainable = False
    _, fourth = model.gradients(X, TARGETS)
    assert not fourth[0].any() and same_bits(fourth[2:], third[2:])


def test_gradients_into_arrays_of_the_user():
    model = net("sgd", "mse", [Dense(4, "tanh"), Dense(2)], metrics=())
    loss, expected = model.gradients(X, TARGETS)
    out = [np.full_like(g, np.nan) for g in expected]
    again, returned = model.gradients(X, TARGETS, out=out)
    assert returned is out and again == loss and same_bits(out, expected)
    with pytest.raises(
        ValueError, match="out must be a list of 4 arrays, one for each of get_weights, got a list of 3"
    ):
        model.gradients(X, TARGETS, out=out[:3])
    with pytest.raises(ValueError, match="out must be a list of 4 arrays, one for each of get_weights, got ndarray"):
        model.gradients(X, TARGETS, out=out[0])
    with pytest.raises(ValueError, match=r"out\[0\] must be an array of shape \(6, 4\) and dtype float32, got float64"):
        model.gradients(X, TARGETS, out=[out[0].astype("float64"), *out[1:]])


def test_nobody_keeps_the_rows_of_a_call():
    """Jobs that wait for the next one let go of the arrays of the last."""
    import sys

    model = net("sgd", "mse", [Dense(4), Dense(2)], metrics=())
    x, y = X.astype("float32"), TARGETS.astype("float32")
    for call in (model.train_on_batch, model.evaluate, model.gradients, lambda x, y: model.predict(x)):
        call(x, y)
        x, y = x.copy(), y.copy()
        before = sys.getrefcount(x), sys.getrefcount(y)
        call(x, y)
        assert (sys.getrefcount(x), sys.getrefcount(y)) == before


def test_copies_of_a_model_have_jobs_of_their_own():
    import copy
    import pickle

    model = net("sgd", "mse", [Dense(4), Dense(2)], metrics=())
    for call in (model.train_on_batch, model.evaluate, model.gradients):
        call(X, TARGETS)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        before = model.get_weights()
        other.train_on_batch(X, TARGETS)
        assert same_bits(model.get_weights(), before) and not same_bits(other.get_weights(), before)
        _, grads = other.gradients(X, TARGETS)
        assert not same_bits(grads, model.gradients(X, TARGETS)[1])
    assert fastml.get_num_threads() >= 1


def test_a_resumption_changes_the_seed_of_what_is_ready(tmp_path):
    """The model becomes that of the file, also for what draws random numbers in the next call."""
    path, found = tmp_path / "training.safetensors", []
    x = np.random.default_rng(0).normal(size=(64, 8))

    def made(seed):
        model = Sequential([Dense(32, "tanh"), Dropout(0.5), Dense(1)], input_dim=8, seed=seed)
        model.compile("adam", "mse")
        return model

    def fit(model, epochs, **options):
        model.fit(x, x[:, :1], epochs=epochs, verbose=0, callbacks=[fastml.ModelCheckpoint(path)], **options)

    fit(made(1), 3)
    for before in (None, Sequential.gradients, Sequential.train_on_batch):
        model = made(2)
        if before:
            before(model, x, x[:, :1])
        fit(model, 3, resume=path)
        found.append((model.gradients(x, x[:, :1])[0], model.train_on_batch(x, x[:, :1])))
    assert found[0] == found[1] == found[2]
