"""Bad numbers for the estimators and the encoder of tables: as in `test_bad_numbers`, each cell of the table either
works, with the same bits as a plain array of float64, or is refused with an error that names the argument."""

import re
import warnings
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from bad_numbers import BAD, FORMS, state
from helpers import same_bits

pytest.importorskip("sklearn", reason="scikit-learn is not installed: there are no estimators")

from sklearn.exceptions import ConvergenceWarning  # noqa: E402

from fastml import TableEncoder  # noqa: E402
from fastml.sklearn import MLPClassifier, MLPRegressor, inputs  # noqa: E402

ROWS = 20
X = np.random.default_rng(0).integers(2, size=(ROWS, 3)).astype(np.float64)
X[:2] = (0, 1, 1), (1, 1, 0)
Y = X[:, 0].copy()
COMMON = {"hidden_layer_sizes": (4,), "max_iter": 2, "batch_size": 7, "random_state": 0, "dtype": "float64"}


class Entry(NamedTuple):
    """A way in: what errors call the argument, good data for it, and a function of the value that gives arrays."""

    name: str
    good: np.ndarray
    call: object


def fitted(kind, method="fit", **changes):
    """Weights of an estimator after `fit` or `partial_fit` with some arguments changed."""
    arguments = {"X": X, "y": Y} | changes
    if method == "partial_fit" and kind is MLPClassifier:
        arguments["classes"] = [0.0, 1.0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator = getattr(kind(**COMMON), method)(**arguments)
    return [*estimator.coefs_, *estimator.intercepts_, np.array(estimator.loss_curve_)]


def entries():
    """Each Entry by its name."""
    table = {}
    for kind in (MLPClassifier, MLPRegressor):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            ready = kind(**COMMON).fit(X, Y)
        label = kind.__name__[3:]
        for name, good in (("X", X), ("y", Y), ("sample_weight", Y)):
            call = lambda v, k=kind, n=name: fitted(k, **{n: v})  # noqa: E731
            table[f"{label} fit {name}"] = Entry(name, good, call)
        for name, good in (("X", X), ("y", Y)):  # which go the same way
            call = lambda v, k=kind, n=name: fitted(k, "partial_fit", **{n: v})  # noqa: E731
            table[f"{label} partial_fit {name}"] = Entry(name, good, call)
        for name, good in (("X_val", X), ("y_val", Y), ("sample_weight_val", Y)):
            validation = {"X_val": X, "y_val": Y}
            call = lambda v, k=kind, n=name, others=validation: fitted(k, **{**others, n: v})  # noqa: E731
            table[f"{label} fit {name}"] = Entry(name, good, call)
        for method in ("predict", "predict_proba") if kind is MLPClassifier else ("predict",):
            table[f"{label} {method}"] = Entry("X", X, lambda v, r=ready, m=method: [getattr(r, m)(v)])
        # y and sample_weight of `score` go to scikit-learn's own metrics
        table[f"{label} score X"] = Entry("X", X, lambda v, r=ready: [np.array(r.score(v, Y))])
    encoder = TableEncoder(dtype="float64").fit(X)
    return table | {
        "encoder fit": Entry("table", X, lambda v: [TableEncoder(dtype="float64").fit_transform(v)]),
        "encoder transform": Entry("table", X, lambda v: [encoder.transform(v)]),
    }


ENTRIES = entries()


def results(entry, value):
    before = state(value)
    try:
        return entry.call(value)
    finally:
        assert state(value) == before


@cache
def expected(name):
    """What the good data of an entry give."""
    return results(ENTRIES[name], ENTRIES[name].good.copy())


ESTIMATORS = [name for name in ENTRIES if not name.startswith("encoder")]


def cells(table, names):
    """A test of each pair of an entry's name and a key of the table."""
    return pytest.mark.parametrize("entry, form", [(name, form) for name in names for form in table])


@cells(FORMS, ENTRIES)
def test_the_same_numbers_in_another_form(entry, form):
    if entry.startswith("encoder") and "bool" in form:
        return  # 0 and 1 as they are, not standardized
    if re.fullmatch("Classifier.* (y|y_val)", entry) and form.startswith("objects"):
        with pytest.raises(ValueError, match="Unknown label type"):
            results(ENTRIES[entry], FORMS[form](Y))
        return
    assert same_bits(results(ENTRIES[entry], FORMS[form](ENTRIES[entry].good)), expected(entry))


# What scikit-learn's checks let through: it takes these as the numbers that they become as float64.
NUMBERS = {
    "2**53 + 1",
    "-(2**53) - 1, big-endian",
    "2**64 - 1",
    "2**53 + 1 among objects",
    "a decimal",
    "text of numbers",
    "bytes of numbers",
    "text among objects",
    "dates",
    "durations",
}
THEIRS = {  # errors and warnings that come from NumPy, or from the user's own class, by way of these checks
    "10**400 among objects",
    "a fraction beyond float64",
    "beyond float64, in longdouble",
    "beyond float64, among objects",
    "what cannot be read",
}


def is_gap(form):
    """Whether there is a missing value, which X may have and others not."""
    return "NaN" in form or form == "None among objects"


@cells({form: BAD[form] for form in BAD if form not in THEIRS}, ESTIMATORS)
def test_estimators_refuse_what_is_no_good(entry, form):
    """In scikit-learn's words, or take what they take, and gaps in X; labels of a classifier may be anything."""
    good, call = ENTRIES[entry].good, ENTRIES[entry].call
    value = BAD[form](good)
    try:
        found = results(ENTRIES[entry], value)
    except (TypeError, ValueError) as error:
        assert len(str(error)) > 10
        return
    if entry == "Classifier fit y":
        assert form in NUMBERS | {"a column too many", "records"}
    elif is_gap(form):
        assert ENTRIES[entry].name.startswith("X") and all(np.isfinite(array).all() for array in found)
    elif form in NUMBERS:
        assert same_bits(found, call(value.astype(np.float64)))
    else:
        shapes = {"a row too many": "predict", "a column too many": "fit", "a single number": "weight"}
        assert form in shapes and shapes[form] in entry


@cells(BAD, [name for name in ENTRIES if name not in ESTIMATORS])
def test_the_encoder_takes_gaps_numbers_and_text_and_refuses_the_rest(entry, form):
    """Numbers are rounded to float64; those that are missing are the median, with a flag at fit."""
    value = BAD[form](X)
    if is_gap(form):
        found, gap = results(ENTRIES[entry], value)[0], (-1, 2)
        assert found.shape[1] == 3 + (entry == "encoder fit") and same_bits([found[:, 0]], [expected(entry)[0][:, 0]])
        assert found[gap] in found[:-1, 2]
        return
    try:
        found = results(ENTRIES[entry], value)[0]
    except (TypeError, ValueError) as error:
        assert any(word in str(error) for word in ("table", "column", "row")), error
        return
    kinds = {"text of numbers", "dates", "durations"} if entry == "encoder fit" else set()
    assert form in NUMBERS | {"a row too many", "a column too many", "a dict"} and np.isfinite(found).all()
    if form in NUMBERS - kinds:
        assert same_bits([found], results(ENTRIES[entry], value.astype(np.float64)))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_plain_arrays_to_predict_are_not_checked_twice(kind, monkeypatch):
    """Finite ones of the right width go to the network as they are, others to scikit-learn's checks."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    estimator, asked, check = kind(hidden_layer_sizes=(4,)), [], inputs.validate_data
    with warnings.catch_warnings():  # on so few epochs
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.set_params(max_iter=3).fit(X, X[:, 0] > 0)

    def noted(*args, **options):
        asked.append(1)
        return check(*args, **options)

    monkeypatch.setattr(inputs, "validate_data", noted)
    for plain in (X, X[:1], X[::2], np.asfortranarray(X), X.astype("float32")):
        found = estimator.predict(plain)
        assert not asked
        np.testing.assert_array_equal(found, estimator.predict(plain.astype(object)))
        assert asked
        asked.clear()
    for wrong in (X[:, :2], X[0], X[:0], X * np.inf, X.astype(complex), X[None]):
        with np.errstate(invalid="ignore"), pytest.raises((ValueError, TypeError)):
            estimator.predict(wrong)
