"""The layer `Embedding`: what it gives, what it learns, and that no wrong code ever reaches a kernel."""

import copy
import pickle

import numpy as np
import pytest
from helpers import TOLERANCE, coded, deviation, make_data, same_bits

import fastml
from fastml import (
    INITIALIZERS,
    L2,
    SGD,
    Activation,
    Adam,
    Callback,
    Dense,
    Dropout,
    Embedding,
    ModelFileError,
    Normalization,
    Sequential,
    find_learning_rate,
)
from fastml.embedding import usual_width
from fastml.program.compiled import DTYPES
from fastml.program.executors import EXECUTORS
from fastml.program.program import disassembled
from fastml.program.random import Stream

COLUMNS, WIDTHS = {1: 4, 3: 30}, {1: 2, 3: 9}
LAYERS = [Embedding(COLUMNS, WIDTHS), Dense(6, "tanh"), Dense(3)]


def make_model(layers=None, optimizer="adam", dtype="float32", executor="compiled"):
    model = Sequential(copy.deepcopy(layers or LAYERS), input_dim=5, dtype=dtype, seed=1)
    model.compile(optimizer, "mean_squared_error", executor=executor)
    model.build()
    return model


def data(rows=50, layers=None):
    x, y = make_data("mean_squared_error", rows)
    return coded(x, layers or LAYERS), y


def by_hand(x, tables, columns=COLUMNS):
    """The other columns, and behind them the vectors."""
    vectors = [table[x[:, column].astype(int)] for column, table in zip(columns, tables, strict=True)]
    return np.hstack([np.delete(x, list(columns), axis=1), *vectors])


# What it gives


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("columns", [COLUMNS, {0: 3}, {4: 3}, {0: 2, 4: 2}, {2: 7, 3: 2}, dict.fromkeys(range(5), 3)])
@pytest.mark.parametrize("rows", [1, 7, 50, 700])
def test_other_columns_and_behind_them_the_vectors(rows, columns, executor, dtype):
    layers = [Embedding(columns)]
    model = make_model(layers, dtype=dtype, executor=executor)
    x = data(rows, layers)[0].astype(dtype)
    assert np.array_equal(model.predict(x), by_hand(x, model.get_weights(), columns))


def test_columns_may_come_in_any_order():
    """Output and weights are in that of the data."""
    layer, other = Embedding({3: 30, 1: 4}, {3: 9, 1: 2}), Embedding(COLUMNS, WIDTHS)
    assert list(layer.columns.items()) == [(1, 4), (3, 30)] and list(layer.widths.items()) == [(1, 2), (3, 9)]
    assert same_bits(*(make_model([each]).get_weights() for each in (layer, other)))


def test_weights_have_names_and_shapes():
    model = make_model()
    assert model._engine.names()[:3] == ["0.table_1", "0.table_3", "1.W"]
    assert [w.shape for w in model.get_weights()[:3]] == [(4, 2), (30, 9), (14, 6)]


@pytest.mark.parametrize("categories, width", [(1, 2), (2, 2), (3, 3), (7, 5), (12, 6), (1000, 77), (10**6, 600)])
def test_widths_by_rule(categories, width):
    """That of fastai, with its own numbers; a number stands for all columns."""
    assert usual_width(categories) == width
    assert Embedding({2: categories, 5: 2}).widths == {2: width, 5: 2}
    assert Embedding({2: categories, 5: 2}, 4).widths == {2: 4, 5: 4}


def test_start_values():
    """Small, as in Keras, unless told otherwise, and each table's own."""
    first, second = make_model([Embedding({0: 300, 1: 300}, 8)]).get_weights()
    for table in (first, second):
        assert 0.049 < np.abs(table).max() <= 0.05
    assert not np.array_equal(first, second)
    table, _ = make_model([Embedding({2: 4, 3: 5}, 3, "he_normal")], dtype="float64").get_weights()
    assert np.array_equal(table, INITIALIZERS["he_normal"](Stream(1, 0), (4, 3)))
    given = np.arange(12.0).reshape(4, 3)
    assert np.array_equal(make_model([Embedding({2: 4}, 3, given)]).get_weights()[0], given)


def test_repr():
    assert repr(Embedding({3: 10, 1: 4})) == "Embedding({1: 4, 3: 10})"
    assert repr(Embedding({3: 10, 1: 4}, 5)) == "Embedding({1: 4, 3: 10}, widths=5)"
    assert repr(Embedding({3: 10, 1: 4}, {1: 2, 3: 7})) == "Embedding({1: 4, 3: 10}, widths={1: 2, 3: 7})"


def test_summary_counts_tables_as_parameters_that_are_not_multiplied(capsys):
    make_model().summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[-6:] == ["(rows,", "14)", "278", "1.1", "KiB", "0"]  # 4·2 + 30·9
    assert lines[3].split()[-1] == "168" and lines[-1].endswith("204 FLOP per row")
    Sequential(LAYERS).summary()
    assert "(rows, ?)" in capsys.readouterr().out
    program = make_model()._engine.program
    assert program.flops == 6 * (14 * 6 + 6 * 3)


# What it learns


@pytest.mark.parametrize("executor", EXECUTORS)
def test_it_learns_what_codes_do_not_show(executor):
    """Whether a code is one of some drawn by lot: the codes themselves, as numbers, say next to nothing about it."""
    rng = np.random.default_rng(0)
    codes, other = rng.integers(40, size=1000), rng.normal(size=1000)
    chosen = rng.permutation(40) % 2 == 0
    x, y = np.column_stack([other, codes]), (chosen[codes] ^ (other > 0)).astype(float)
    accuracy = []
    for first in ([Embedding({1: 40}, 3)], [Normalization()]):
        model = Sequential([*first, Dense(16, "tanh"), Dense(1, "sigmoid")], seed=0)
        model.compile(Adam(0.01), "binary_crossentropy", ["accuracy"], executor=executor)
        accuracy.append(model.fit(x, y, epochs=30, verbose=0).history["accuracy"][-1])
    assert accuracy[0] > 0.97 and accuracy[1] < 0.8


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("rows, batch_size", [(50, 16), (2125, 2125)])
def test_it_is_a_one_hot_column_times_a_matrix(rows, batch_size, executor, dtype):
    """The same training, but for rounding: also of a batch that goes in blocks."""
    x, y = data(rows)
    x, y = x.astype(dtype), y.astype(dtype)
    embedded = make_model(dtype=dtype, executor=executor)
    hot = [np.eye(categories)[x[:, column].astype(int)] for column, categories in COLUMNS.items()]
    dense = Sequential([Dense(14), Dense(6, "tanh"), Dense(3)], input_dim=37, dtype=dtype, seed=1)
    dense.compile("sgd", "mean_squared_error", executor=executor)
    embedded.compile("sgd", "mean_squared_error", executor=executor)
    first, second, *rest = embedded.get_weights()
    W = np.zeros((37, 14))
    W[:3, :3], W[3:7, 3:5], W[7:, 5:] = np.eye(3), first, second
    dense.set_weights([W, np.zeros(14), *rest])
    flat = np.hstack([np.delete(x, list(COLUMNS), axis=1), *hot])
    _, (d_first, d_second, *d_rest) = embedded.gradients(x, y)
    _, (dW, _, *d_dense) = dense.gradients(flat, y)
    for got, expected in zip([d_first, d_second, *d_rest], [dW[3:7, 3:5], dW[7:, 5:], *d_dense], strict=True):
        assert deviation(got, expected) <= TOLERANCE[dtype] / 100
    assert bool(embedded._engine._plan(len(x)).block) == (rows == 2125)
    embedded.fit(x, y, batch_size, epochs=3, verbose=0)
    assert np.isfinite(embedded.evaluate(x, y))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_absent_categories_keep_their_vectors_under_plain_descent(executor):
    """Their gradient is 0, in blocks too; a penalty moves them."""
    x, y = data(2125)
    x[:, 3] = np.minimum(x[:, 3], 20)
    for penalty in (None, L2(0.1)):
        layers = [Embedding(COLUMNS, WIDTHS, embeddings_regularizer=penalty), *copy.deepcopy(LAYERS[1:])]
        model = make_model(layers, SGD(0.1), executor=executor)
        start = model.get_weights()[1]
        for batch_size in (32, 2125):
            model.fit(x, y, batch_size, verbose=0)
        table = model.get_weights()[1]
        assert (table[:21] != start[:21]).any(axis=1).all()
        assert (table[21:] != start[21:]).all() if penalty else (table[21:] == start[21:]).all()


# The same model again


def test_a_file_brings_it_back(tmp_path):
    """With whole numbers as columns, and the widths that it had."""
    layer = Embedding({10: 30, 9: 4}, {9: 2, 10: 9}, "he_normal", L2(0.01))
    model = Sequential([layer, Dense(3)], input_dim=11, seed=1)
    model.compile("adam", "mean_squared_error")
    x, y = make_data("mean_squared_error", d_in=11)
    x = coded(x, [layer])
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    other = fastml.load(tmp_path / "m.safetensors")
    assert other.layers[0].columns == {9: 4, 10: 30} and other.layers[0].widths == {9: 2, 10: 9}
    assert other.layers[0].embeddings_regularizer.l2 == 0.01 and repr(other) == repr(model)
    for each in (model, other):
        each.fit(x, y, epochs=2, verbose=0)
    assert same_bits(other.get_weights(), model.get_weights())
    fresh = [Sequential(copy.deepcopy(m.layers), input_dim=11, seed=3).get_weights() for m in (model, other)]
    assert same_bits(*fresh)


def test_a_file_keeps_an_array_of_start_values(tmp_path):
    model = make_model([Embedding({2: 4}, 3, np.arange(12.0).reshape(4, 3)), Dense(3)])
    model.save(tmp_path / "m.safetensors")
    layers = fastml.load(tmp_path / "m.safetensors").layers
    assert same_bits(make_model(layers).get_weights(), model.get_weights())


FORGERIES = {
    "more categories": lambda d: d["layers"][0]["arguments"]["columns"]["arguments"].update({"3": 31}),
    "another column": lambda d: d["layers"][0]["arguments"]["columns"]["arguments"].update({"2": 31}),
    "a column beyond the data": lambda d: d.update(input_dim=3),
    "a column that is no number": lambda d: d["layers"][0]["arguments"]["columns"]["arguments"].update({"a": 31}),
    "no columns": lambda d: d["layers"][0]["arguments"]["columns"]["arguments"].clear(),
    "a list of columns": lambda d: d["layers"][0]["arguments"].update(columns=[[1, 4], [3, 30]]),
    "not the first layer": lambda d: d["layers"].reverse(),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_files(name, tmp_path):
    from test_saving import forged, load_bytes

    make_model().save(tmp_path / "m.safetensors")
    content = (tmp_path / "m.safetensors").read_bytes()
    with pytest.raises(ModelFileError):
        load_bytes(forged(content, tmp_path, FORGERIES[name]), tmp_path)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_go_on_alike(duplicate):
    x, y = data()
    model = make_model()
    model.fit(x, y, verbose=0)
    other = duplicate(model)
    for each in (model, other):
        each.fit(x, y, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights()) and repr(model) == repr(other)


# Codes that are none: a kernel would read and write where they point

WRONG = {"negative": -1, "too large": 30, "far too large": 1e30, "a half": 2.5, "just below": -1e-30, "NaN": np.nan}
CALLS = {
    "fit": lambda m, x, y: m.fit(x, y, verbose=0),
    "evaluate": lambda m, x, y: m.evaluate(x, y),
    "predict": lambda m, x, y: m.predict(x),
    "predict a few": lambda m, x, y: m.predict(x[4:12]),
    "gradients": lambda m, x, y: m.gradients(x, y),
    "find_learning_rate": lambda m, x, y: find_learning_rate(m, x, y),
    "gradient_check": lambda m, x, y: fastml.gradient_check(m, x, y, verbose=False),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("value", list(WRONG.values()), ids=list(WRONG))
@pytest.mark.parametrize("call", CALLS)
def test_codes_that_are_refused(call, value, executor):
    """By name, row, column and value, before and after a training, whatever the dtype; the model goes on as before."""
    for dtype in DTYPES:
        x, y = data()
        model, twin = make_model(dtype=dtype, executor=executor), make_model(dtype=dtype, executor=executor)
        bad = x.astype(dtype)
        bad[7, 3] = value
        row = 3 if call == "predict a few" else 7
        words = f"x holds NaN at row {row}, column 3"
        if value == value:
            words = f"x holds {bad[7, 3]:.9g} at row {row}, column 3, but Embedding expects.* 30 cat.*from 0 to 29"
        for _ in range(2):
            for form in (bad, bad.tolist(), np.asfortranarray(bad)):
                with pytest.raises(ValueError, match=words.replace("+", r"\+")):
                    CALLS[call](model, form, y)
            for each in (model, twin):
                each.fit(x, y, verbose=0)
                each.predict(x[:3])
        assert same_bits(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("value", list(WRONG.values()), ids=list(WRONG))
def test_predict_one_refuses_them(value, executor):
    model = make_model(executor=executor)
    x = data()[0].astype(np.float32)
    expected, out = model.predict(x[:1])[0], np.empty(3, np.float32)
    bad = x[0].copy()
    bad[3] = value
    for row in (bad, bad.tolist()):
        for where in (None, out):
            with pytest.raises(ValueError, match="x holds .* at row 0, column 3"):
                model.predict_one(row, where)
            np.testing.assert_allclose(model.predict_one(x[0], where), expected, rtol=1e-6)


def test_validation_data_are_checked():
    x, y = data()
    bad = x.copy()
    bad[5, 1] = 4
    with pytest.raises(ValueError, match="validation_data x holds 4 at row 5, column 1.* 4 categories"):
        make_model().fit(x, y, validation_data=(bad, y), verbose=0)


@pytest.mark.parametrize("form", [np.int64, np.uint8, np.float32, np.float64])
def test_integers_and_floats_are_codes(form):
    x = np.array([[0, 3], [1, 2], [2, 0]])
    model = Sequential([Embedding({0: 3, 1: 4})], input_dim=2, seed=1)
    assert np.array_equal(model.predict(x.astype(form)), by_hand(x, model.get_weights(), {0: 3, 1: 4}))
    with pytest.raises(ValueError, match="x holds 200 at row 1, column 0"):
        model.predict(np.array([[0, 3], [200, 2]]).astype(form))


def test_codes_that_float64_has_and_float32_has_not():
    """What counts is the number that the kernel gets."""
    model = Sequential([Embedding({0: 3})], input_dim=1, seed=1)
    with pytest.raises(ValueError, match="x holds 3 at row 0"):
        model.predict(np.array([[3 - 1e-12]]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_codes_that_change_after_the_check(dtype):
    """The model has a copy, also of what it validates with, and of an array that is marked read-only."""
    x, y = data()
    x, y = np.ascontiguousarray(x, dtype), y.astype(dtype)
    frozen = x.view()
    frozen.flags.writeable = False

    class Change(Callback):
        def on_epoch_end(self, epoch, logs):
            x[:, 3] = 1e8

    model, quiet = make_model(dtype=dtype), make_model(dtype=dtype)
    expected = quiet.fit(x.copy(), y, epochs=3, verbose=0, validation_data=(x.copy(), y)).history
    found = model.fit(frozen, y, epochs=3, verbose=0, validation_data=(x, y), callbacks=[Change()]).history
    assert found == expected and same_bits(model.get_weights(), quiet.get_weights())


def test_the_users_array_is_not_changed():
    x, y = data()
    before = x.copy()
    make_model(dtype="float64").fit(x, y, verbose=0)
    assert np.array_equal(x, before)


def test_the_layer_cannot_change_after_the_build():
    layer = Embedding(COLUMNS, WIDTHS)
    layer.columns[3] = layer.widths[3] = 10**6  # of copies
    model = make_model([layer, Dense(3)])
    layer._tables = Embedding({3: 100})._tables
    x, _ = data()
    x[7, 3] = 30
    with pytest.raises(ValueError, match="x holds 30"):
        model.predict(x)


# Descriptions that are none

MISTAKES = {
    "no dict": (TypeError, "columns must be a dict.*got list", lambda: Embedding([1, 2])),
    "a number": (TypeError, "columns must be a dict.*got int 10", lambda: Embedding(10)),
    "empty": (ValueError, "columns is empty", lambda: Embedding({})),
    "a name": (TypeError, "a column in columns must be an integer, got str 'age'", lambda: Embedding({"age": 3})),
    "a bool": (TypeError, "a column in columns must be an integer", lambda: Embedding({True: 3})),
    "a column from the end": (ValueError, "a column in columns must be from 0 to", lambda: Embedding({-1: 3})),
    "no categories": (ValueError, r"columns\[2\] must be from 1 to 16777216, got 0", lambda: Embedding({2: 0})),
    "too many": (ValueError, r"columns\[2\] must be from 1 to 16777216", lambda: Embedding({2: 2**24 + 1})),
    "categories by name": (TypeError, r"columns\[2\] must be an integer, got list", lambda: Embedding({2: ["a"]})),
    "width 0": (ValueError, "widths must be from 1", lambda: Embedding({2: 3}, 0)),
    "half a width": (TypeError, "widths must be an integer", lambda: Embedding({2: 3}, 1.5)),
    "width 0 of one": (ValueError, r"widths\[2\] must be from 1", lambda: Embedding({2: 3}, {2: 0})),
    "a width too few": (
        ValueError,
        r"widths must name the columns \[2, 4\], got \[2\]",
        lambda: Embedding({4: 3, 2: 3}, {2: 3}),
    ),
    "a width too many": (ValueError, r"the columns \[2\], got \[2, 4\]", lambda: Embedding({2: 3}, {2: 3, 4: 3})),
    "a shape": (
        ValueError,
        r"embeddings_initializer has shape \(2, 2\), but the parameter has \(4, 3\)",
        lambda: make_model([Embedding({2: 4}, 3, np.ones((2, 2)))]),
    ),
    "behind another": (
        ValueError,
        "Embedding must be the first layer",
        lambda: Sequential([Dense(3), Embedding({0: 3})]),
    ),
    "behind dropout": (
        ValueError,
        "Embedding must be the first",
        lambda: Sequential([Dropout(0.1), Embedding({0: 3})]),
    ),
    "behind nothing": (ValueError, "Embedding must", lambda: Sequential([Activation("linear"), Embedding({0: 3})])),
    "behind Normalization": (
        ValueError,
        "Embedding must be the first layer.*scale the other columns yourself",
        lambda: Sequential([Normalization(), Embedding({0: 3})]),
    ),
    "before Normalization": (
        ValueError,
        "Normalization must be the first layer.*use BatchNormalization",
        lambda: Sequential([Embedding({0: 3}), Normalization()]),
    ),
    "two": (ValueError, "Embedding must be the first", lambda: Sequential([Embedding({0: 3}), Embedding({1: 3})])),
    "build": (
        ValueError,
        "Embedding is for column 5, from 0 on, but the data has 5",
        lambda: make_model([Embedding({5: 3})]),
    ),
    "fit": (
        ValueError,
        "x has 3 features, but Embedding is for column 3",
        lambda: Sequential(LAYERS).predict(np.zeros((4, 3))),
    ),
}


@pytest.mark.parametrize("error, words, make", list(MISTAKES.values()), ids=list(MISTAKES))
def test_mistakes(error, words, make):
    with pytest.raises(error, match=words):
        make()


def test_a_layer_put_in_front_of_it_past_add():
    """Codes would be outputs of that layer, which nobody has checked."""
    model = Sequential([Embedding({0: 3}), Dense(2)], seed=1)
    model.layers.insert(0, Dense(3))
    with pytest.raises(ValueError, match="Embedding must be the first layer"):
        model.predict(np.zeros((4, 3)))


# Its instructions


def test_a_step_copies_runs_of_columns_at_once():
    layers = [Embedding({1: 4, 4: 5, 5: 6}, 2), Dense(3)]
    model = Sequential(layers, input_dim=9, seed=1)
    model.compile()
    model.build()

    def fields(op, *names):
        found = [s for s in disassembled(model._engine.program.training) if s["op"] == op]
        return [tuple(s[name] for name in names) for s in found]

    assert fields("copy_columns", "column", "width", "place") == [(0, 1, 0), (2, 2, 1), (6, 3, 3)]
    for op in ("embed_forward", "embed_backward"):
        found = fields(op, "column", "categories", "width", "place")
        assert found == [(1, 4, 2, 6), (4, 5, 2, 8), (5, 6, 2, 10)]
