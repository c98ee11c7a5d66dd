"""Bad numbers: a table of inputs × all that a model takes data with. A cell either works, with the same bits as the
same numbers in a plain array of float64, or is refused with an error that names the argument.

Nothing else may happen: no warning, no error from inside, no change of what came in or of the model.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from bad_numbers import BAD, FORMS, assert_names, spoiled, state
from helpers import same_bits

import fastml
from fastml import LOSSES, SGD, Dense, DivergenceError, Normalization, Sequential
from fastml.program.executors import EXECUTORS

ROWS, D_IN, UNITS = 20, 3, 2
SQUARES, SPARSE = "mean_squared_error", "sparse_categorical_crossentropy"

# Whole numbers that every dtype holds. Targets, labels and weights are columns of x, so that a view of x may be one.
X = np.random.default_rng(0).integers(2, size=(ROWS, D_IN)).astype(np.float64)
X[:2] = (0, 1, 1), (1, 1, 0)
Y, LABELS, ROW = X[:, :UNITS].copy(), X[:, 0].copy(), X[1].copy()
W = np.tile([[1.0, 0, 0, 1]], (D_IN, 1))  # weights of the first layer


class Entry(NamedTuple):
    """A way in: what errors call the argument, good data for it, and a function of model and value that gives arrays.

    `loss` is the model's.
    """

    name: str
    good: np.ndarray
    call: object
    loss: str = SQUARES


def network(loss, dtype="float64", executor="compiled"):
    model = Sequential([Dense(4, "tanh"), Dense(UNITS, LOSSES[loss].link)], seed=1, dtype=dtype, input_dim=D_IN)
    model.compile(SGD(0.01), loss, executor=executor)
    model.build()
    return model


def results(entry, value, dtype="float64", executor="compiled"):
    """The arrays that a new model gives for a value; it, and the value, are as they were if that is refused."""
    model = network(entry.loss, dtype, executor)
    weights, before = model.get_weights(), state(value)
    try:
        return flat(entry.call(model, value))
    except (TypeError, ValueError):
        assert same_bits(model.get_weights(), weights)
        raise
    finally:
        assert state(value) == before


def flat(result):
    """Numbers and arrays, also those in lists and tuples, as a list of arrays."""
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in flat(part)]
    return [np.asarray(result)]


def fit(model, x, y, **arguments):
    history = model.fit(x, y, batch_size=7, epochs=2, verbose=0, **arguments).history
    return list(history.values()), model.get_weights()


def check(model, x, y, **arguments):
    return list(fastml.gradient_check(model, x, y, most=3, verbose=False, **arguments)[2:6])


def rates(model, x, y):
    return fastml.find_learning_rate(model, x, y, steps=10, stop=0.1)[:2]


def set_weights(model, value):
    model.set_weights([value, *model.get_weights()[1:]])
    return model.predict(X)


def entries():
    """Each Entry by its name."""
    table = {}
    evaluate, gradients = Sequential.evaluate, Sequential.gradients
    for call in (fit, evaluate, gradients, check, rates):
        table |= {
            f"{call.__name__} x": Entry("x", X, lambda m, v, call=call: call(m, v, Y)),
            f"{call.__name__} y": Entry("y", Y, lambda m, v, call=call: call(m, X, v)),
            f"{call.__name__} labels": Entry("y", LABELS, lambda m, v, call=call: call(m, X, v), SPARSE),
            f"{call.__name__} weights": Entry(
                "sample_weight", LABELS, lambda m, v, call=call: call(m, X, Y, sample_weight=v)
            ),
        }
    del table["rates weights"]  # find_learning_rate takes none
    for name, good, data in (
        ("x", X, lambda v: (v, Y)),
        ("y", Y, lambda v: (X, v)),
        ("sample_weight", LABELS, lambda v: (X, Y, v)),
    ):
        call = lambda m, v, data=data: fit(m, X, Y, validation_data=data(v))  # noqa: E731
        table[f"validation {name}"] = Entry(f"validation_data {name}", good, call)
    return table | {
        "predict": Entry("x", X, Sequential.predict),
        "predict few": Entry("x", X[:5], Sequential.predict),
        "predict_one": Entry("x", ROW, Sequential.predict_one),
        "predict_one out": Entry("x", ROW, lambda m, v: m.predict_one(v, np.empty(UNITS))),
        "set_weights": Entry("weights[0]", W, set_weights),
    }


ENTRIES = entries()
WITH_LABELS = [name for name, entry in ENTRIES.items() if entry.loss == SPARSE]


def cells(table, names):
    """A test of each pair of an entry's name and a key of the table."""
    return pytest.mark.parametrize("entry, form", [(name, form) for name in names for form in table])


@cache
def expected(name, dtype="float64"):
    """What the good data of an entry give."""
    return results(ENTRIES[name], ENTRIES[name].good.copy(), dtype)


SOME = "float16", ">f8", "negative strides", "memory-mapped, read-only", "objects of bool", "lists"


@pytest.mark.parametrize(
    "entry, form, dtype",
    [(name, form, "float64") for name in ENTRIES for form in FORMS if not name.startswith("rates") or form in SOME]
    + [
        (name, form, "float32") for name in ("fit x", "fit y", "fit labels", "predict", "predict_one") for form in FORMS
    ],
)
def test_the_same_numbers_in_another_form(entry, form, dtype):
    """For `find_learning_rate`, which takes its time, not in each."""
    assert same_bits(results(ENTRIES[entry], FORMS[form](ENTRIES[entry].good), dtype), expected(entry, dtype))


VIEWS = {(ROWS, D_IN): X, (ROWS, UNITS): X[:, :UNITS], (ROWS,): X[:, 0], (5, D_IN): X[:5], (D_IN,): X[1]}


@pytest.mark.parametrize("entry", [name for name in ENTRIES if name != "set_weights"])
def test_a_view_of_the_other_argument(entry):
    """Targets, labels and weights that are columns of x, or x itself."""
    assert same_bits(results(ENTRIES[entry], VIEWS[ENTRIES[entry].good.shape]), expected(entry))


def test_an_out_that_overlaps_the_row():
    """It is overwritten after the row has been read."""
    expected, row = network(SQUARES).predict_one(ROW), ROW.copy()
    assert network(SQUARES).predict_one(row, row[1:]) is not None
    assert same_bits([row[1:]], [expected]) and row[0] == ROW[0]
    row = ROW.copy()
    network(SQUARES).predict_one(row[::-1], row[:2][::-1])
    assert same_bits([row[:2][::-1]], [network(SQUARES).predict_one(ROW[::-1].copy())])


@cells(BAD, ENTRIES)
def test_what_is_no_good_is_refused_by_name(entry, form):
    name, good = ENTRIES[entry].name, ENTRIES[entry].good
    if form == "a row too many" and good.shape[-1:] == (D_IN,):
        if entry.startswith("predict"):  # several rows are welcome, or the shape is another one
            return
        name = name.removesuffix("x") + "y"
    with pytest.raises((TypeError, ValueError)) as caught:
        results(ENTRIES[entry], BAD[form](good))
    assert_names(name, caught.value)


NO_LABELS = {
    "1.5": spoiled(1.5),
    "-1": spoiled(-1.0),
    "-1 in int8": spoiled(-1, np.int8),
    "one beyond": spoiled(UNITS, np.int64),
    "1e300": spoiled(1e300),
    "2**63": spoiled(2**63, np.uint64),
    "the smallest number": spoiled(5e-324),
    "not quite one-hot": lambda a: 2 * np.eye(UNITS)[a.astype(int)],
}


@cells(NO_LABELS, WITH_LABELS)
def test_labels_that_are_none(entry, form):
    with pytest.raises(ValueError) as caught:
        results(ENTRIES[entry], NO_LABELS[form](LABELS))
    assert_names("y", caught.value)


@pytest.mark.parametrize("entry", [name for name in ENTRIES if name.endswith(("weights", "sample_weight"))][:-1])
@pytest.mark.parametrize("value", [-1.0, -5e-324])
def test_weights_below_0(entry, value):
    with pytest.raises(ValueError) as caught:
        results(ENTRIES[entry], spoiled(value)(LABELS))
    assert_names(ENTRIES[entry].name, caught.value)


TOO_LARGE_FOR_FLOAT32 = {
    "1e300": spoiled(1e300),
    "-1e300, big-endian": spoiled(-1e300, ">f8"),
    "1e300, longdouble": spoiled(1e300, np.longdouble),
    "1e300 among objects": spoiled(1e300, object),
    "2**24 + 1": spoiled(2**24 + 1, np.int32),
    "2**24 + 1, big-endian": spoiled(2**24 + 1, ">i8"),
}
IN_ITS_DTYPE = [
    name
    for name, entry in ENTRIES.items()
    if entry.loss != SPARSE and "weight" not in entry.name and not name.startswith("check")
]


@cells(TOO_LARGE_FOR_FLOAT32, [*IN_ITS_DTYPE, "set_weights"])
def test_what_float32_cannot_hold(entry, form):
    with pytest.raises(ValueError) as caught:
        results(ENTRIES[entry], TOO_LARGE_FOR_FLOAT32[form](ENTRIES[entry].good), "float32")
    assert_names(ENTRIES[entry].name, caught.value)


# Numbers that are hard to compute with

MOST, LEAST = np.finfo(np.float64).max, np.finfo(np.float64).smallest_subnormal
HARD = {
    "subnormal": lambda a: a * LEAST,
    "next to subnormal": lambda a: a * np.finfo(np.float64).tiny,
    "1e-300": lambda a: a * 1e-300,
    "1e30": lambda a: a * 1e30,
    "1e300": lambda a: a * 1e300,
    "the largest": lambda a: a * MOST,
    "the largest, either sign": lambda a: (1 - 2 * a) * MOST,
    "large beside small": lambda a: a * np.geomspace(1e-300, 1e300, a.size).reshape(a.shape),
    "all 0": np.zeros_like,
    "all equal": lambda a: np.full_like(a, 0.1),
    "-0.0": lambda a: -a,
}


def outcome(*arguments):
    """What a call gives, or the kind of its error, which must be of use to the user."""
    try:
        return results(*arguments)
    except DivergenceError:
        return DivergenceError
    except ValueError as error:
        assert "scale" in str(error) or "0 for every row" in str(error) or "negative" in str(error), error
        return ValueError


@cells(HARD, [name for name, entry in ENTRIES.items() if entry.loss != SPARSE and name[:5] != "rates"])
def test_numbers_that_are_hard_to_compute_with(entry, form):
    """Both executors give the same numbers, or the same kind of error. Nothing is behind a loss that is infinite, and a
    gradient check tells of another weight where all are right."""
    value = HARD[form](ENTRIES[entry].good)
    found, other = (outcome(ENTRIES[entry], value, "float64", executor) for executor in EXECUTORS)
    if isinstance(found, type) or isinstance(other, type):
        assert found is other
    elif entry.startswith("check"):
        assert found[-1] < 1e-6
    else:
        behind = None if np.isfinite(other[0]).all() else 1
        for array, reference in zip(found[:behind], other[:behind], strict=True):
            np.testing.assert_allclose(array, reference, rtol=1e-9, atol=1e-15)


@cells(["1e300", "1e-300", "1e30"], [name for name, entry in ENTRIES.items() if "sample_weight" in entry.name])
def test_only_the_ratios_of_weights_matter(entry, form):
    for found, plain in zip(results(ENTRIES[entry], HARD[form](LABELS)), expected(entry), strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-13)


@pytest.mark.parametrize("form", ["one row", "two rows", "one class", "constant columns"])
@pytest.mark.parametrize("method", [None, *Normalization.METHODS])
def test_few_rows_and_constant_columns(form, method):
    """A model that normalizes its data or not learns from them, finitely, and predicts."""
    rows = {"one row": 1, "two rows": 2}.get(form, ROWS)
    x, labels = X[:rows].copy(), LABELS[:rows].copy()
    if form == "constant columns":
        x[:, :2] = 0.1, -1e300
    if form == "one class":
        labels[:] = 1
    layers = [*([Normalization(method)] if method else []), Dense(4, "tanh"), Dense(UNITS, "softmax")]
    model = Sequential(layers, seed=1, dtype="float64")
    model.compile("adam", SPARSE)
    model.fit(x, labels, verbose=0)
    found = [model.evaluate(x, labels), *model.gradients(x, labels)[1], model.predict(x)]
    assert all(np.isfinite(array).all() for array in found)
