"""The user's data: what is taken, exactly, and what is refused, with which words."""

import numpy as np
import pytest
from bad_numbers import FORMS
from helpers import make_data, make_model, metric_for, same_bits
from numba.core import event

import fastml
from fastml import Dense, Sequential

ROWS, D_IN = 12, 5


def whole_numbers():
    """x and y that every numeric dtype holds: 0 and 1."""
    rng = np.random.default_rng(0)
    return rng.integers(2, size=(ROWS, D_IN)).astype(np.float64), rng.integers(2, size=(ROWS, 3)).astype(np.float64)


def trained(x, y, **arguments):
    model = make_model(**arguments)
    model.fit(x, y, batch_size=5, epochs=2, verbose=0)
    return model.get_weights() + [model.predict(x)]


def test_targets_of_one_output_may_be_flat():
    x, y = make_data("mean_squared_error", units=1)
    assert same_bits(trained(x, y[:, 0], units=1), trained(x, y, units=1))


def test_no_form_of_data_compiles_anew():
    """Read-only, strided and other arrays reach the executor as the one kind of array that it knows."""
    x, y = whole_numbers()
    trained(x, y)
    trained(x, y, dtype="float32")
    compilations = []

    class Count(event.Listener):
        def on_start(self, started):
            compilations.append(started.data["dispatcher"])

        def on_end(self, ended):
            pass

    compiled = len(fastml.program.linking.compiled)
    with event.install_listener("numba:compile", Count()):
        for form in FORMS.values():
            trained(form(x), form(y))
            trained(form(x), form(y), dtype="float32")
    assert not compilations
    assert len(fastml.program.linking.compiled) == compiled


@pytest.mark.parametrize("loss", fastml.LOSSES)
def test_the_users_arrays_are_never_changed(loss):
    x, y = make_data(loss)
    kept = x.copy(), y.copy()
    model = make_model(loss, metrics=[metric_for(loss)])
    model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y))
    model.evaluate(x, y)
    model.predict(x)
    model.gradients(x, y)
    assert np.array_equal(x, kept[0]) and np.array_equal(y, kept[1])


def test_predictions_and_weights_are_the_users_own():
    """Writing into what the model returned does not reach the model."""
    x, _ = make_data("mean_squared_error")
    model = make_model(input_dim=5)
    first = model.predict(x)
    weights = model.get_weights()
    kept = [w.copy() for w in weights]
    first[...] = np.nan
    for w in weights:
        w[...] = np.nan
    assert same_bits(model.get_weights(), kept)
    assert np.isfinite(model.predict(x)).all()


def test_the_models_weights_do_not_share_memory_with_those_it_was_given():
    model = make_model(input_dim=5)
    weights = model.get_weights()
    model.set_weights(weights)
    kept = [w.copy() for w in weights]
    weights[0][...] = 0
    assert same_bits(model.get_weights(), kept)


# What is refused. Each message names the argument, what came and what was expected.


def refusal(x, y, loss="mean_squared_error", error=ValueError, method="fit", **arguments):
    """The message with which a method refuses x and y; the model must stay as it was."""
    model = make_model(loss, input_dim=D_IN, **arguments)
    before = model.get_weights()
    with pytest.raises(error) as caught:
        getattr(model, method)(x, y)
    assert same_bits(model.get_weights(), before)
    return str(caught.value)


def good(loss="mean_squared_error"):
    return make_data(loss, rows=ROWS, d_in=D_IN)


def assert_says(message, *words):
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"


@pytest.mark.parametrize("method", ["fit", "evaluate", "gradients"])
def test_wrong_width(method):
    _, y = good()
    assert_says(refusal(np.zeros((ROWS, 4)), y, method=method), "x has 4 features", "model takes 5")


def test_wrong_width_in_predict():
    model = make_model(input_dim=5)
    with pytest.raises(ValueError, match="x has 6 features, but the model takes 5"):
        model.predict(np.zeros((2, 6)))


def test_wrong_number_of_rows():
    x, y = good()
    assert_says(refusal(x, y[:-1]), "y", "12 rows", "11")


def test_wrong_number_of_outputs():
    x, y = good()
    assert_says(refusal(x, y[:, :2]), "y has shape (12, 2)", "(12, 3)")
    assert_says(refusal(x, y[:, 0]), "y has shape (12,)", "(12, 3)")
    assert_says(refusal(x, y[:, :, None]), "y has shape (12, 3, 1)", "(12, 3)")


@pytest.mark.parametrize(
    "x, words",
    [
        (np.zeros(5), ("x", "(rows, features)", "(5,)", "reshape")),
        (np.zeros((12, 5, 1)), ("x", "(rows, features)", "(12, 5, 1)", "reshape")),
        (np.float64(3), ("x", "(rows, features)", "()")),
        (np.zeros((0, 5)), ("x is empty", "(0, 5)")),
        (np.zeros((12, 0)), ("x is empty", "(12, 0)")),
        ([[1.0, 2], [3.0]], ("x", "rectangular")),
    ],
)
def test_wrong_shape_of_x(x, words):
    assert_says(refusal(x, good()[1]), *words)


@pytest.mark.parametrize("empty", [np.zeros((0, 3)), [], np.zeros((12, 0))])
def test_empty_y(empty):
    assert_says(refusal(good()[0], empty), "y is empty")


def test_y_that_is_a_single_number():
    assert_says(refusal(good()[0], 3.0), "y", "single number", "12 rows")


@pytest.mark.parametrize("value, name", [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
@pytest.mark.parametrize("form", [np.float16, np.float64, object])
def test_values_that_are_not_finite(value, name, form):
    """The message has the place of the first one and how many there are."""
    x, y = good()
    bad_x, bad_y = x.astype(form), y.astype(form)
    bad_x[7, 3] = bad_x[9, 0] = value
    bad_y[4, 2] = value
    assert_says(refusal(bad_x, y), f"x holds {name} at row 7, column 3", "2 such values", "finite")
    assert_says(refusal(x, bad_y), f"y holds {name} at row 4, column 2", "1 such value", "finite")


def test_nan_labels():
    x, y = good("sparse_categorical_crossentropy")
    bad = y.astype(float)
    bad[3] = np.nan
    assert_says(refusal(x, bad, "sparse_categorical_crossentropy"), "y holds nan at row 3", "whole numbers")


def test_validation_data_is_named():
    x, y = good()
    model = make_model()
    bad = x.copy()
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match="validation_data x holds NaN at row 2, column 1"):
        model.fit(x, y, validation_data=(bad, y), verbose=0)
    with pytest.raises(ValueError, match="validation_data y must have one row for each of the 12 rows"):
        model.fit(x, y, validation_data=(x, y[:4]), verbose=0)
    with pytest.raises(ValueError, match=r"validation_data must be a tuple \(x, y\)"):
        model.fit(x, y, validation_data=x, verbose=0)


@pytest.mark.parametrize("label", [-1, 3, 100])
@pytest.mark.parametrize("form", [np.int64, np.int8, np.float64])
def test_labels_out_of_range(label, form):
    loss = "sparse_categorical_crossentropy"
    x, y = good(loss)
    bad = y.astype(form)
    bad[6] = label
    assert_says(refusal(x, bad, loss), f"y holds the label {label} at row 6", "3 outputs", "0 to 2")


def test_unsigned_label_out_of_range():
    loss = "sparse_categorical_crossentropy"
    x, y = good(loss)
    bad = y.astype(np.uint64)
    bad[6] = 2**64 - 1
    assert_says(refusal(x, bad, loss), "y holds the label", "at row 6", "0 to 2")


def test_labels_that_are_not_whole():
    loss = "sparse_categorical_crossentropy"
    x, y = good(loss)
    bad = y.astype(float)
    bad[2] = 0.5
    assert_says(refusal(x, bad, loss), "y holds 0.5 at row 2", "whole numbers")


def test_distributions_instead_of_labels():
    """One-hot rows are taken, see `test_keras_habits`."""
    x, _ = good()
    message = refusal(x, np.full((ROWS, 3), 1 / 3), "sparse_categorical_crossentropy")
    assert_says(message, "y has shape (12, 3)", "(12,) or (12, 1)", "'categorical_crossentropy'")


def test_numbers_that_are_no_labels_instead_of_one_hot_rows():
    x, y = good("sparse_categorical_crossentropy")
    message = refusal(x, y + 0.5, "categorical_crossentropy")
    assert_says(message, "y has shape (12,)", "(12, 3)", "'sparse_categorical_crossentropy'")


@pytest.mark.parametrize("value", [-0.25, 1.5])
@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy"])
def test_probabilities_out_of_range(loss, value):
    x, y = good(loss)
    y[3, 1] = value
    assert_says(refusal(x, y, loss), f"y holds {value} at row 3", loss, "0 to 1")


def test_distributions_that_do_not_sum_to_one():
    x, y = good("categorical_crossentropy")
    y[5] = 0.5, 0.25, 0.125
    assert_says(refusal(x, y, "categorical_crossentropy"), "y sums to 0.875 in row 5", "one-hot")


@pytest.mark.parametrize(
    "bad, words",
    [
        (np.full((ROWS, D_IN), "1.0"), ("<U3", "numbers")),
        (np.full((ROWS, D_IN), b"1"), ("numbers",)),
        (np.ones((ROWS, D_IN), complex), ("complex128", "numbers")),
        (np.zeros((ROWS, D_IN), "datetime64[s]"), ("datetime64[s]", "numbers")),
        (None, ("None", "numbers")),
        ({"a": 1}, ("dict", "numbers")),
    ],
)
def test_what_is_no_number(bad, words):
    x, y = good()
    assert_says(refusal(bad, y, error=TypeError), "x ", *words)
    assert_says(refusal(x, bad, error=TypeError), "y ", *words)


@pytest.mark.parametrize("value, name", [("a", "str 'a'"), (None, "NoneType None"), (1j, "complex 1j")])
def test_objects_that_hold_no_number(value, name):
    x, y = good()
    bad = x.astype(object)
    bad[2, 4] = value
    assert_says(refusal(bad, y, error=TypeError), "x has dtype object", name, "[2, 4]", "numbers")


@pytest.mark.parametrize("value", [2**24 + 1, -(2**24) - 1, 2**62 + 1])
def test_integers_that_float32_cannot_hold(value):
    x, y = np.ones((ROWS, D_IN), np.int64), good()[1]
    x[3, 2] = value
    assert_says(refusal(x, y, dtype="float32"), f"x holds the integer {value}", "float32", "exactly")


def test_integers_that_float64_cannot_hold():
    x, y = np.ones((ROWS, D_IN), np.int64), good()[1]
    x[3, 2] = 2**53 + 1
    assert_says(refusal(x, y), "x holds the integer 9007199254740993", "float64", "exactly")


def test_python_integers_that_float64_cannot_hold():
    """Integers in an array of objects, as data frames make them, are held to the same rule."""
    x, y = np.ones((ROWS, D_IN), np.int64).astype(object), good()[1]
    x[3, 2] = 2**53 + 1
    assert_says(refusal(x, y), "x holds the integer 9007199254740993", "float64", "exactly")


def test_large_integers_that_are_exact_are_taken():
    x, y = np.ones((ROWS, D_IN), np.int64), good()[1]
    x[3, 2] = 2**24 + 2
    make_model(dtype="float32").evaluate(x, y)


def test_floats_beyond_the_range_of_float32():
    x, y = good()
    bad_x, bad_y = x.copy(), y.copy()
    bad_x[1, 2] = 1e300
    bad_y[1, 2] = -1e300
    assert_says(refusal(bad_x, y, dtype="float32"), "x holds 1e+300 at row 1, column 2", "range of float32")
    assert_says(refusal(x, bad_y, dtype="float32"), "y holds -1e+300 at row 1, column 2", "range of float32")


def test_masked_values():
    x, y = good()
    masked = np.ma.array(x, mask=np.zeros_like(x, bool))
    masked[0, 0] = np.ma.masked
    assert_says(refusal(masked, y), "x is a masked array")


def test_sparse_matrix():
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed: there is no sparse matrix to refuse")
    x, y = good()
    assert_says(refusal(sparse.csr_matrix(x), y, error=TypeError), "x is a sparse matrix", "toarray")


def test_refused_data_leave_the_width_open():
    """A model that has seen only refused data takes data of another width."""
    x, y = good()
    model = make_model()
    with pytest.raises(ValueError):
        model.fit(x, y[:-1], verbose=0)
    with pytest.raises(ValueError):
        model.fit(x * np.nan, y, verbose=0)
    with pytest.raises(ValueError):
        model.fit(x, y, validation_data=(x[:, :4], y), verbose=0)
    model.fit(x[:, :4], y, verbose=0)
    assert model.input_dim == 4


def test_a_model_learns_from_lists():
    model = Sequential([Dense(1)], seed=0)
    model.compile(fastml.SGD(0.1), "mean_squared_error")
    model.fit([[0], [1], [2]], [1, 3, 5], epochs=400, verbose=0)
    assert model.predict([[10]])[0, 0] == pytest.approx(21, abs=1e-3)
