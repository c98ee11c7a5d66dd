"""Outputs that are not finite: scores and metrics are NaN, and a training that diverges ends as one that does."""

import numpy as np
import pytest

from fastml import SET_METRICS, SGD, Dense, DivergenceError, Sequential

X = np.random.default_rng(0).normal(size=(60, 4))
HUGE = [np.full((4, 8), 1e30), np.zeros(8), np.full((8, 1), 1e30), np.zeros(1)]
METRICS = {
    "mean_squared_error": (None, X[:, 0], ["r2", "mean_absolute_error", "root_mean_squared_error"]),
    "binary_crossentropy": ("sigmoid", X[:, 0] > 0, ["auc", "precision", "recall", "f1", "accuracy"]),
}


def model(loss, rate=0.0):
    link, y, metrics = METRICS[loss]
    made = Sequential([Dense(8, "relu"), Dense(1, link)], input_dim=4, seed=0)
    made.compile(SGD(rate), loss, metrics)
    return made, y, metrics


@pytest.mark.parametrize("loss", METRICS)
def test_metrics_of_outputs_that_are_not_finite_are_nan(loss):
    """An infinite times -infinite weight gives NaN, which would have a class: that of what is not above ½."""
    made, y, metrics = model(loss)
    made.set_weights([*HUGE[:2], HUGE[2] * np.where(np.arange(8) % 2, 1, -1)[:, None], HUGE[3]])
    found = made.evaluate(X, y, return_dict=True)
    assert np.isnan(found["loss"]) and all(np.isnan(found[name]) for name in metrics)


@pytest.mark.parametrize("loss", METRICS)
def test_fit_with_validation_rows_tells_that_it_diverges(loss):
    made, y, metrics = model(loss, rate=1e30)
    with pytest.raises(DivergenceError):
        made.fit(X, y, batch_size=60, epochs=5, verbose=0, validation_data=(X, y))
    assert all(np.isfinite(w).all() for w in made.get_weights())
    assert all(np.isnan(made.history.history[f"val_{name}"]).all() for name in metrics if name in SET_METRICS)
