"""Estimators whose outputs are not finite: whatever the scorer, a training that diverges ends as one that does."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

from sklearn.exceptions import ConvergenceWarning

from fastml.sklearn import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).normal(size=(60, 4))
SCORERS = {
    MLPRegressor: [None, "r2", "neg_mean_squared_error", lambda m, X, y: -np.abs(m.predict(X) - y).max()],
    MLPClassifier: [None, "roc_auc", "neg_log_loss", "accuracy", "f1"],
}
CASES = [(kind, scoring) for kind, scorers in SCORERS.items() for scoring in scorers]
RATES = {MLPRegressor: ("adam", 1e13), MLPClassifier: ("sgd", 1e20)}


def diverging(kind, scoring, early):
    """One step an epoch, after the first of which the network's outputs are beyond float32, but its weights not."""
    solver, rate = RATES[kind]
    options = {"hidden_layer_sizes": (30, 30), "dtype": "float32", "random_state": 0, "batch_size": 40, "max_iter": 30}
    return kind(solver=solver, learning_rate_init=rate, scoring=scoring, early_stopping=early, **options)


def rows(kind):
    y = X[:, 0] if kind is MLPRegressor else (X[:, 0] > 0).astype(int)
    return (X[:40], y[:40]), {"X_val": X[40:], "y_val": y[40:]}


@pytest.mark.parametrize("kind, scoring", CASES)
def test_without_early_stopping_it_is_an_error(kind, scoring):
    data, validation = rows(kind)
    made = diverging(kind, scoring, early=False)
    with pytest.raises(ValueError, match="non-finite parameter weights.*became NaN or infinite in epoch"):
        made.fit(*data, **validation)
    assert all(np.isfinite(w).all() for w in made.model_.get_weights())
    assert np.isnan(made.validation_scores_[0])


@pytest.mark.parametrize("kind, scoring", CASES)
def test_early_stopping_keeps_the_best_weights(kind, scoring):
    data, validation = rows(kind)
    made = diverging(kind, scoring, early=True)
    with pytest.warns(ConvergenceWarning, match="became NaN or infinite in epoch.*best weights before are kept"):
        made.fit(*data, **validation)
    assert np.isnan(made.validation_scores_).all()
    assert np.isfinite(made.predict(X)).all()
