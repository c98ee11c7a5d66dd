"""scikit-learn's multi-layer perceptrons, trained by fastml: the same parameters and attributes, and what was missing.

The estimators need scikit-learn, the extra ``sklearn``, which is imported with the first of them. Their files do not:
see `fastml.load_predictor`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what `__getattr__` gives
    from fastml.sklearn.backend import side_by_side
    from fastml.sklearn.classifier import MLPClassifier
    from fastml.sklearn.regressor import MLPRegressor
    from fastml.sklearn.tabular import TabularClassifier, TabularRegressor

ESTIMATORS = ("MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor")
__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor", "side_by_side"]


def __getattr__(name):
    """A public name, once it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import sklearn  # noqa: F401
    except ImportError as error:  # pragma: no cover - the tests run with it
        raise ImportError("fastml.sklearn needs scikit-learn: pip install 'fastml-cpu[sklearn]'") from error
    from fastml.sklearn import backend, classifier, regressor, tabular

    found = {"MLPClassifier": classifier.MLPClassifier, "MLPRegressor": regressor.MLPRegressor}
    found |= {"TabularClassifier": tabular.TabularClassifier, "TabularRegressor": tabular.TabularRegressor}
    found["side_by_side"] = backend.side_by_side
    globals().update(found)
    return found[name]


def __dir__():
    return sorted({*globals(), *__all__})


def restored(description, model, custom):
    """The estimator that a model file describes, around its network."""
    from fastml.sklearn.files import restore_estimator

    return restore_estimator(description, model, tuple(__getattr__(name) for name in ESTIMATORS), custom)
