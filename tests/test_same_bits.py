"""Results are the same bits for any number of threads, and agree with the NumPy executor, which has none."""

from typing import NamedTuple

import numpy as np
import pytest
from helpers import TOLERANCE, coded, deviation, make_data, metrics_for, outputs_for
from many_threads import LITTLE, count_teams

from fastml import (
    L1L2,
    LOSSES,
    SGD,
    Activation,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    BatchNormalization,
    Dense,
    DivergenceError,
    Dropout,
    Embedding,
    Normalization,
    PeriodicEmbedding,
    RMSprop,
    Rprop,
    Sequential,
    set_num_threads,
)
from fastml.program import plan, threads
from fastml.program.compiled import DTYPES

PENALTY = L1L2(0.01, 0.02)
MODELS = {
    "plain": lambda: [Dense(37, "relu"), Dense(19, "tanh")],
    "deep": lambda: [Normalization(), *(Dense(17, name) for name in ("gelu", "softmax", "elu", "sigmoid"))],
    "a single neuron": lambda: [Dense(1, "tanh"), Dense(33, "leaky_relu")],
    "activations in a row": lambda: [Activation("tanh"), Dense(9, "relu"), Activation("sigmoid"), Activation("tanh")],
    "batch normalization": lambda: [Dense(37), BatchNormalization(), Activation("relu"), Dense(18, "sigmoid")],
    "normalized activations": lambda: [Dense(37, "tanh"), BatchNormalization(), Dense(18, "sigmoid")],
    "batch normalization alone": lambda: [BatchNormalization(), BatchNormalization()],
    "dropout": lambda: [Dropout(0.2), Dense(37, "silu"), Dropout(0.3)],
    "dropout and batch normalization": lambda: [Dense(33), Dropout(0.2), BatchNormalization(), Dropout(0.1)],
    "penalties": lambda: [Dense(37, "selu", kernel_regularizer=PENALTY, bias_regularizer="l2")],
    "embedding": lambda: [Embedding({0: 70, 3: 5, 20: 33}, {0: 9, 3: 17, 20: 1}), Dense(18, "tanh")],
    "embedding with a penalty": lambda: [Embedding({7: 40}, embeddings_regularizer=PENALTY), BatchNormalization()],
    "periodic embedding": lambda: [PeriodicEmbedding(list(range(1, 20)), 17, 5, relu=True), Dense(18, "tanh")],
    "no hidden layer": lambda: [],
    "wide": lambda: [Dense(300, "relu"), Dense(200, "tanh", kernel_regularizer="l2")],
}
BATCHES = {  # rows, batch size
    "short last batch": (203, 48),
    "one row is left": (193, 48),
    "less than a line is left": (150, 64),
    "full": (203, 203),
    "one line": (16, 16),
    "in blocks": (2 * 1024 + 77, 2 * 1024 + 77),
    "batches in blocks": (3 * 1024, 1024 + 100),
}
OPTIMIZERS = {
    "sgd": lambda: SGD(0.05),
    "momentum": lambda: SGD(0.02, momentum=0.9),
    "nesterov": lambda: SGD(0.02, momentum=0.9, nesterov=True),
    "clipped by value": lambda: SGD(0.05, clipvalue=0.01),
    "clipped by norm": lambda: SGD(0.05, global_clipnorm=0.1),
    "clipped twice": lambda: Adam(clipvalue=0.05, global_clipnorm=0.1),
    "adam": lambda: Adam(0.003),
    "adamw": lambda: AdamW(0.003, weight_decay=0.1),
    "decay of all": lambda: AdamW(0.003, weight_decay=0.1, decay_all=True),
    "adamax": lambda: Adamax(0.003),
    "rmsprop": lambda: RMSprop(0.001),
    "adagrad": lambda: Adagrad(0.01),
    "rprop": lambda: Rprop(),
    "backtracking": lambda: Rprop(backtrack=True, initial_step=0.3),
}
TEAMS = (2, 3), (3, 4)  # for each case one of these, in turn
MOST = 4


class Case(NamedTuple):
    model: str = "plain"
    batch: str = "short last batch"
    optimizer: str = "momentum"
    loss: str = "mean_squared_error"
    weighted: bool = False
    smoothing: float = 0.0


def all_cases():
    """Each Case by the name of its test."""
    cases = {f"{model}, {batch}": Case(model, batch) for model in MODELS for batch in BATCHES}
    for name, make in OPTIMIZERS.items():
        for batch in ("full", "in blocks") if isinstance(make(), Rprop) else ("short last batch", "batches in blocks"):
            for model in (
                "penalties",
                "normalized activations",
                "embedding",
            ):  # whose gradients are more than rounding errors
                cases[f"{name}, {model}, {batch}"] = Case(model, batch, name)
    for loss in LOSSES:
        for batch in ("short last batch", "in blocks"):
            for weighted in (False, True):
                cases[f"{loss}, {batch}{', weighted' * weighted}"] = Case(batch=batch, loss=loss, weighted=weighted)
    for loss in ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"):
        cases[f"{loss}, smoothed"] = Case("dropout", loss=loss, smoothing=0.1)
    return cases


CASES = all_cases()
# Each in one dtype and with one pair of teams, in turn: every model, batch, optimizer and loss meets both dtypes.
TURNS = [(name, DTYPES[k % 2], TEAMS[k // 2 % 2]) for k, name in enumerate(CASES)]


@pytest.fixture(autouse=True)
def team(monkeypatch):
    """More threads than models of this size would use; a list that tells how many have run together."""
    monkeypatch.setattr(plan, "SHARED", LITTLE)
    monkeypatch.setattr(threads, "available", lambda: MOST)
    monkeypatch.setattr(threads, "_chosen", None)
    return count_teams(monkeypatch)


def made(case, executor, dtype, units=3):
    loss = LOSSES[case.loss](**({"label_smoothing": case.smoothing} if case.smoothing else {}))
    output = Dense(units, outputs_for(case.loss)[-1])
    model = Sequential([*MODELS[case.model](), output], seed=1, dtype=dtype)
    model.compile(OPTIMIZERS[case.optimizer](), loss, metrics_for(case.loss), executor=executor)
    return model


def results(case, dtype, count=1, executor="compiled"):
    """All numbers that come out of a training and of what follows it, as arrays by their names."""
    set_num_threads(count)
    rows, batch_size = BATCHES[case.batch]
    x, y = make_data(case.loss, rows, d_in=21)
    weights = np.random.default_rng(2).uniform(0, 2, rows) if case.weighted else None
    model = made(case, executor, dtype)
    x = coded(x, model.layers)
    arguments = {"sample_weight": weights, "verbose": 0}
    history = model.fit(x, y, batch_size, 3, **arguments).history
    more = model.fit(x, y, batch_size, 1, shuffle=False, **arguments).history
    value, gradients = model.gradients(x, y, sample_weight=weights)
    found = {f"{key} {k}": np.array(v) for k, logs in enumerate((history, more)) for key, v in logs.items()}
    found |= {f"weights {k}": array for k, array in enumerate(model.get_weights())}
    found |= {f"gradient {k}": array for k, array in enumerate(gradients)}
    found |= {"value": np.array(value), "outputs": model.predict(x), "few": model.predict(x[:20])}
    return found | {"evaluation": np.array(model.evaluate(x, y, sample_weight=weights))}


def assert_same_bits(found, expected, what):
    assert list(found) == list(expected)
    for key, array in expected.items():
        same = found[key].dtype == array.dtype and found[key].tobytes() == array.tobytes()
        assert same, f"{key} differs by {deviation(found[key], array):.1e} in {what}"


def largest_team(case):
    """Threads that have rows of their own: prediction and evaluation take up to 256 rows at a time."""
    return min(256, BATCHES[case.batch][0]) // 16


@pytest.mark.parametrize("name, dtype, counts", TURNS, ids=[f"{name}, {dtype}" for name, dtype, _ in TURNS])
def test_any_number_of_threads_gives_the_same_bits(name, dtype, counts, team):
    """Which agree with the NumPy executor's, in float32 without what Adam and the like make of rounding alone."""
    case = CASES[name]
    one = results(case, dtype)
    assert set(team) == {1}
    for count in counts:
        team.clear()
        assert_same_bits(results(case, dtype, count), one, f"{count} threads")
        assert max(team) == min(count, largest_team(case)), "threads were not used"
    expected = results(case, dtype, executor="numpy")
    assert list(one) == list(expected)
    scaled = dtype == "float32" and not isinstance(OPTIMIZERS[case.optimizer](), SGD)
    for key, array in expected.items():
        if not (scaled and key.startswith(("weights", "gradient", "outputs", "few"))):
            assert np.isfinite(array).all() and deviation(one[key], array) <= TOLERANCE[dtype], key


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model", ["plain", "dropout and batch normalization", "penalties", "embedding", "wide"])
def test_as_many_threads_as_there_are_shards_give_the_same_bits(model, dtype, team, monkeypatch):
    """As on machines with more cores than most: shards, slices of few rows, threads without any."""
    monkeypatch.setattr(threads, "available", lambda: 16)
    for batch in ("full", "in blocks"):
        case = Case(model, batch, "adam")
        one = results(case, dtype)
        for count in (8, 16):
            team.clear()
            assert_same_bits(results(case, dtype, count), one, f"{count} threads")
            assert max(team) == min(count, largest_team(case)), "threads were not used"


@pytest.mark.parametrize(
    "kind, names", [(dtype, names) for dtype in DTYPES for names in (MODELS, BATCHES, OPTIMIZERS, LOSSES)]
)
def test_everything_meets_both_dtypes(kind, names):
    met = {value for name, dtype, _ in TURNS if dtype == kind for value in CASES[name]}
    assert not names.keys() - met


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", ["short last batch", "in blocks"])
def test_a_training_that_diverges_ends_at_the_same_step(batch, dtype, team):
    """All threads see the same loss, and none waits for one that has stopped."""
    rows, batch_size = BATCHES[batch]
    x, y = make_data("mean_squared_error", rows, d_in=21)
    ends = []
    for count in range(1, MOST + 1):
        set_num_threads(count)
        model = Sequential([Dense(17), Dense(3)], seed=1, dtype=dtype)
        model.compile(SGD(1e10), "mean_squared_error")
        with pytest.raises(DivergenceError):
            model.fit(x, y, batch_size, epochs=50, shuffle=False, verbose=0)
        ends.append((model._engine.updates, [w.tobytes() for w in model.get_weights()]))
    assert all(end == ends[0] for end in ends) and ends[0][0] > 0 and max(team) > 1


def test_a_prediction_is_the_same_each_time(team):
    """Whoever of the threads is first: a short last batch is shared out otherwise than those before it."""
    x, _ = make_data("mean_squared_error", 1636, d_in=64)
    model = Sequential([Dense(512, "relu"), Dense(512, "relu"), Dense(7)], seed=1)
    model.compile()
    set_num_threads(1)
    expected = model.predict(x).tobytes()
    set_num_threads(MOST)
    assert all(model.predict(x).tobytes() == expected for _ in range(100)) and max(team) == MOST


def test_the_number_of_threads_may_change_at_any_time():
    """Between two trainings of one model, which goes on as if nothing had happened."""
    found = []
    for counts in ((1, 1, 1, 1), (1, 3, 2, 4), (4, 1, 3, 2)):
        x, y = make_data("mean_squared_error", 203, d_in=21)
        model = made(Case("dropout and batch normalization", optimizer="adam"), "compiled", "float32")
        for count in counts:
            set_num_threads(count)
            model.fit(x, y, 48, 2, verbose=0)
            model.evaluate(x, y)
        found.append([w.tobytes() for w in model.get_weights()])
    assert found[0] == found[1] == found[2]
