"""What a model file tells about itself, beside the model."""

import datetime
import json

import numpy as np
import pytest

import fastml
from fastml.files.about import DEEPEST, MOST_PARTS, MOST_TEXT, plain

ABOUT = {
    "task": "classification",
    "target": "comes",
    "metrics": {"accuracy": 0.9, "log loss": None, "rows": 12},
    "columns": ["age", {"name": "paid", "missing": True}],
    "ünïcode ☂": "",
}


def deep(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_plain_values_are_copied():
    copied = plain(ABOUT)
    assert copied == ABOUT and copied is not ABOUT and copied["metrics"] is not ABOUT["metrics"]
    assert json.loads(json.dumps(copied)) == ABOUT
    assert plain({"a": (1, np.float32(0.5)), "b": np.int64(3), "c": np.bool_(True)}) == {
        "a": [1, 0.5],
        "b": 3,
        "c": True,
    }
    assert plain({}) == {} and plain(deep(DEEPEST)) == deep(DEEPEST)


@pytest.mark.parametrize(
    "about, error, message",
    [
        ([1], TypeError, "about_ must be a dict of plain values, got list"),
        ("text", TypeError, "about_ must be a dict of plain values, got str"),
        ({1: 2}, TypeError, "about_ has the key 1: expected text"),
        ({"a": {"b": [0.0, float("nan")]}}, ValueError, r"about_\['a'\]\['b'\]\[1\] is nan, which JSON does not hold"),
        ({"a": float("-inf")}, ValueError, r"about_\['a'\] is -inf, "),
        ({"a": datetime.date(2024, 1, 1)}, TypeError, r"about_\['a'\] is date: expected None, a bool, a number, text"),
        ({"a": np.ones(2)}, TypeError, r"about_\['a'\] is ndarray: "),
        ({"a": 1j}, TypeError, r"about_\['a'\] is complex: "),
        ({"a": print}, TypeError, r"about_\['a'\] is builtin_function_or_method: "),
        ({"a": "\ud800"}, ValueError, r"about_\['a'\] cannot be written as UTF-8"),
        ({"\ud800": 1}, ValueError, "a key of about_ cannot be written as UTF-8"),
        ({"a": "b" * MOST_TEXT}, ValueError, "about_ takes 104.* characters of JSON, at most 1048576 are kept"),
        ({"a": [[]] * MOST_PARTS}, ValueError, f"at most {MOST_PARTS} lists and dicts are kept"),
        (deep(DEEPEST + 1), ValueError, f"lists and dicts are kept, {DEEPEST} of them in each other"),
    ],
)  # fmt: skip
def test_what_is_not_kept(about, error, message):
    with pytest.raises(error, match=message):
        plain(about)


@pytest.fixture
def model():
    pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
    from fastml.sklearn import MLPRegressor

    regressor = MLPRegressor(hidden_layer_sizes=(2,), max_iter=1, solver="lbfgs", random_state=0)
    with pytest.warns(UserWarning):
        return regressor.fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])


def test_a_file_keeps_it(model, tmp_path):
    model.save(tmp_path / "m")
    assert fastml.load(tmp_path / "m").about_ is None
    model.about_ = ABOUT
    model.save(tmp_path / "m")
    assert fastml.load(tmp_path / "m").about_ == ABOUT


def test_a_bad_one_is_told_before_anything_is_written(model, tmp_path):
    model.about_ = {"when": datetime.date(2024, 1, 1)}
    with pytest.raises(TypeError, match="when"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_it_goes_with_its_fit(model):
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError

    model.about_ = ABOUT
    assert clone(model).about_ is None
    model.partial_fit([[0.0]], [0.0]) if model.solver != "lbfgs" else None
    assert model.about_ == ABOUT
    with pytest.warns(UserWarning):
        model.fit([[0.0], [1.0]], [0.0, 1.0])
    assert model.about_ is None
    new = clone(model)
    new.about_ = ABOUT
    with pytest.raises(NotFittedError):
        new.predict([[1.0]])


@pytest.mark.parametrize(
    "forged", [[1], "text", 3, True, {"a": deep(DEEPEST)}, {"a": "b" * MOST_TEXT}], ids=lambda v: str(v)[:20]
)
def test_forged_ones_are_refused(forged, model, tmp_path):
    from test_sklearn_tables import forge

    model.save(tmp_path / "m")
    forge(tmp_path / "m", lambda estimator: estimator.update(about=forged))
    with pytest.raises(fastml.ModelFileError):
        fastml.load(tmp_path / "m")
