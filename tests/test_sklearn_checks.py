"""scikit-learn's own checks of estimators, all of them, none expected to fail."""

import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from fastml.sklearn import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor

ESTIMATORS = [
    MLPClassifier(),
    MLPRegressor(),
    MLPClassifier(hidden_layer_sizes=(16, 8), activation=["tanh", "elu"], solver="rmsprop", max_iter=50),
    MLPClassifier(solver="lbfgs", hidden_layer_sizes=(8,), max_iter=30, normalization=None),
    MLPRegressor(solver="rprop", loss="huber", normalize_y=False, n_threads=1),
    MLPRegressor(solver="lbfgs", max_iter=50, normalization="minmax"),
    MLPClassifier(n_ensemble=2),
    MLPRegressor(n_ensemble=2),
    MLPClassifier(learning_rate_init=0.01, n_ensemble=2, bootstrap=True),
    MLPRegressor(learning_rate_init=0.01, n_ensemble=2, bootstrap=True, early_stopping=True),
    TabularClassifier("fast"),
    TabularRegressor("fast", n_ensemble=2),
]
DRAWN = "rows are drawn, and the check shuffles them: not the same bits, as of scikit-learn's own forests"


@pytest.mark.filterwarnings("default")
@parametrize_with_checks(ESTIMATORS)
def test_estimator_checks(estimator, check):
    drawn = estimator.bootstrap or estimator.early_stopping
    if drawn and check.func.__name__.startswith("check_sample_weight_equivalence"):
        pytest.skip(DRAWN)
    check(estimator)
