"""scikit-learn's displays and inspections with fastml's estimators, and what notebooks show of these."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
pytest.importorskip("matplotlib", reason="needs matplotlib, the extra plots")

from matplotlib.figure import Figure
from sklearn import config_context
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_diabetes, load_iris, make_moons
from sklearn.inspection import DecisionBoundaryDisplay, PartialDependenceDisplay, permutation_importance
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
    confusion_matrix,
    roc_auc_score,
)
from sklearn.model_selection import LearningCurveDisplay, ValidationCurveDisplay

from fastml.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
MOONS = make_moons(100, noise=0.2, random_state=0)
SMALL = {"hidden_layer_sizes": (16,), "solver": "lbfgs", "max_iter": 30, "random_state": 0}


@pytest.fixture
def ax():
    return Figure().subplots()


def classifier(kind):
    """A fitted estimator, X (rows, 2) and y, of two classes that are numbers or three that are names."""
    X, y = MOONS
    if kind == "multiclass":
        X, y = load_iris(return_X_y=True)
        X, y = X[:, 2:], load_iris().target_names[y]
    return MLPClassifier(**SMALL).fit(X, y), X, y


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("response", ["auto", "predict", "predict_proba"])
def test_decision_boundaries(kind, response, ax):
    """The response on the grid is what the estimator says there."""
    estimator, X, _ = classifier(kind)
    shown = DecisionBoundaryDisplay.from_estimator(estimator, X, response_method=response, grid_resolution=20, ax=ax)
    assert shown.ax_ is ax and ax.collections
    grid = np.stack([shown.xx0.ravel(), shown.xx1.ravel()], axis=1)
    if response == "predict":
        expected = np.searchsorted(estimator.classes_, estimator.predict(grid))
    else:
        expected = estimator.predict_proba(grid)
        expected = expected[:, 1] if kind == "binary" else expected
    if expected.size == shown.response.size:  # older versions show several classes as the most likely one
        np.testing.assert_allclose(shown.response.reshape(expected.shape), expected, atol=1e-12)


def test_decision_boundaries_of_a_regressor(ax):
    X, y = load_diabetes(return_X_y=True)
    X = X[:, 2:4]
    estimator = MLPRegressor(**SMALL).fit(X, y)
    shown = DecisionBoundaryDisplay.from_estimator(estimator, X, grid_resolution=20, ax=ax)
    grid = np.stack([shown.xx0.ravel(), shown.xx1.ravel()], axis=1)
    np.testing.assert_allclose(shown.response.ravel(), estimator.predict(grid))


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_confusion_matrices(kind, ax):
    estimator, X, y = classifier(kind)
    shown = ConfusionMatrixDisplay.from_estimator(estimator, X, y, ax=ax)
    np.testing.assert_array_equal(shown.confusion_matrix, confusion_matrix(y, estimator.predict(X)))
    assert [text.get_text() for text in ax.get_xticklabels()] == [str(label) for label in estimator.classes_]


def test_curves_of_two_classes(ax):
    estimator, X, y = classifier("binary")
    shown = RocCurveDisplay.from_estimator(estimator, X, y, ax=ax)
    area = np.trapezoid(ax.lines[0].get_ydata(), ax.lines[0].get_xdata())
    assert shown.ax_ is ax and area == pytest.approx(roc_auc_score(y, estimator.predict_proba(X)[:, 1]))
    for display in (PrecisionRecallDisplay, DetCurveDisplay, CalibrationDisplay):
        other = Figure().subplots()
        with np.errstate(divide="ignore"):
            display.from_estimator(estimator, X, y, ax=other)
        assert len(other.lines) >= 1


@pytest.mark.parametrize("kind", ["residual_vs_predicted", "actual_vs_predicted"])
def test_prediction_errors(kind, ax):
    X, y = load_diabetes(return_X_y=True)
    estimator = MLPRegressor(**SMALL).fit(X, y)
    shown = PredictionErrorDisplay.from_estimator(estimator, X, y, kind=kind, subsample=None, ax=ax)
    np.testing.assert_array_equal(shown.y_pred, estimator.predict(X))
    assert len(ax.collections[0].get_offsets()) == len(X)


@pytest.mark.parametrize("kind", ["average", "both"])
def test_partial_dependence(kind, ax):
    """The mean prediction with a column set to each value; of a class, its mean probability."""
    X, y = load_diabetes(return_X_y=True)
    options = {"kind": kind, "grid_resolution": 5, "method": "brute"}
    estimator = MLPRegressor(**SMALL).fit(X, y)
    shown = PartialDependenceDisplay.from_estimator(estimator, X, [2], ax=ax, **options)
    (found,) = shown.pd_results
    for value, mean in zip(found["grid_values"][0], found["average"][0], strict=True):
        there = X.copy()
        there[:, 2] = value
        assert mean == pytest.approx(estimator.predict(there).mean())

    estimator, X, _ = classifier("multiclass")
    other = Figure().subplots()
    shown = PartialDependenceDisplay.from_estimator(estimator, X, [0], target="virginica", ax=other, **options)
    (found,) = shown.pd_results
    value, mean = found["grid_values"][0][-1], found["average"][shown.target_idx][-1]
    there = np.column_stack([np.full(len(X), value), X[:, 1]])
    assert mean == pytest.approx(estimator.predict_proba(there)[:, 2].mean())


def test_permutation_importance_finds_the_column_that_counts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    estimator = MLPRegressor(**SMALL).fit(X, X[:, 1])
    means = permutation_importance(estimator, X, X[:, 1], n_repeats=2, random_state=0).importances_mean
    assert means.argmax() == 1 and means[1] > 1 > 0.1 > max(means[0], means[2])


def test_curves_over_many_fits(ax):
    X, y = MOONS
    LearningCurveDisplay.from_estimator(MLPClassifier(**SMALL), X, y, train_sizes=[0.5, 1.0], cv=2, ax=ax)
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 2]
    other, alphas = Figure().subplots(), [1e-4, 1e-2, 1.0]
    ValidationCurveDisplay.from_estimator(
        MLPClassifier(**SMALL), X, y, param_name="alpha", param_range=alphas, cv=2, ax=other
    )
    np.testing.assert_allclose(other.lines[0].get_xdata(), alphas)


def test_notebooks_show_the_network_of_a_fitted_estimator():
    """Below scikit-learn's box, which reads the docstring for what the parameters mean; without diagrams neither."""
    estimator = MLPClassifier(**SMALL)
    if not hasattr(estimator, "_html_repr"):
        pytest.skip("this scikit-learn has no place for it")
    assert "FLOP per row" not in estimator._repr_html_()
    estimator.fit(*MOONS)
    network = estimator.model_._repr_html_()
    assert estimator._repr_html_().endswith(network)
    assert estimator._repr_mimebundle_()["text/html"].endswith(network)
    assert "hidden_layer_sizes" in estimator._repr_html_()
    with config_context(display="text"):
        assert not hasattr(estimator, "_repr_html_") and "text/html" not in estimator._repr_mimebundle_()
