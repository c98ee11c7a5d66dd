"""What several test files share: small data for a loss, a small model, bounds of agreement."""

import numpy as np

from fastml import LOSSES, METRICS, OPTIMIZERS, Dense, Sequential
from fastml.layers import codes_of

TOLERANCE = {"float32": 1e-4, "float64": 1e-12}


def make_data(loss, rows=50, d_in=5, units=3, seed=0):
    """Random x (rows, d_in) and the targets that the loss takes, for `units` outputs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, d_in))
    targets = {
        "numbers": lambda: rng.normal(size=(rows, units)),
        "counts": lambda: rng.poisson(2, size=(rows, units)),
        "probabilities": lambda: rng.random(size=(rows, units)),
        "distributions": lambda: rng.dirichlet(np.ones(units), size=rows),
        "labels": lambda: rng.integers(units, size=rows),
    }
    return x, targets[LOSSES[loss].targets]()


def coded(x, layers):
    """x, with codes of categories by chance in the columns where the first of the layers expects them."""
    x, rng = x.copy(), np.random.default_rng(4)
    for column, categories in codes_of(layers).items():
        x[:, column] = rng.integers(categories, size=len(x))
    return x


def make_model(loss="mean_squared_error", optimizer="sgd", hidden="tanh", output=None, units=3, **arguments):
    """A compiled model of two hidden layers; the output activation is the loss's own if none is given."""
    executor, metrics = arguments.pop("executor", "compiled"), arguments.pop("metrics", ())
    layers = [Dense(7, hidden), Dense(4, hidden), Dense(units, output or LOSSES[loss].link)]
    model = Sequential(layers, **{"seed": 1, "dtype": "float64", **arguments})
    model.compile(optimizer, loss, metrics, executor=executor)
    return model


def batch_for(optimizer, rows, batch_size):
    """The batch size, or all rows where the optimizer is for full batches."""
    return rows if OPTIMIZERS[optimizer].full_batch else batch_size


def deviation(got, expected):
    """The largest difference of two arrays, relative to the largest element or 1."""
    return np.abs(got - expected).max() / max(1, np.abs(expected).max())


def metrics_for(loss):
    """The names of all metrics that compare with the targets of this loss."""
    return [name for name, metric in METRICS.items() if metric.labels == (LOSSES[loss].targets == "labels")]


def metric_for(loss):
    """The name of a metric that has a meaning beside this loss."""
    return "mean_absolute_error" if LOSSES[loss].targets == "counts" else "accuracy"


def outputs_for(loss):
    """The output activations to try with a loss: its own, and none, which makes the outputs logits."""
    return sorted({LOSSES[loss].link, "linear"})


def same_bits(weights, others):
    """Whether two lists of arrays are equal bit for bit."""
    return len(weights) == len(others) and all(
        w.dtype == o.dtype and w.shape == o.shape and w.tobytes() == o.tobytes()
        for w, o in zip(weights, others, strict=True)
    )
