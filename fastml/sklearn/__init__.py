"""scikit-learn's multi-layer perceptrons, trained by fastml: the same parameters and attributes, and what was missing.

Needs scikit-learn, the extra ``sklearn``; ``import fastml`` does not.
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:  # pragma: no cover - the tests run with it
    raise ImportError("fastml.sklearn needs scikit-learn: pip install 'fastml-cpu[sklearn]'") from error

from fastml.sklearn.classifier import MLPClassifier
from fastml.sklearn.files import restore_estimator
from fastml.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]


def restored(description, model):
    """The estimator that a model file describes, around its network."""
    return restore_estimator(description, model, (MLPClassifier, MLPRegressor))
