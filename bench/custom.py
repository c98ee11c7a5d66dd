"""Functions of a user beside the built-in ones of the same formula: the time of a step, in turns, and compiling them.

``.venv/bin/python bench/custom.py``. Both sides must give the same weights before either is timed. A ratio is own /
built-in: the best of each, and the median of the ratios of neighbours.
"""

import os
import tempfile
import time

os.environ.setdefault("FASTML_NUM_THREADS", "1")
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()  # nothing is compiled yet

import numpy as np

from fastml import Activation, Adam, Dense, GradientDescent, Layer, Sequential

ROUNDS, STEPS = 15, 4000
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(3200, 32)), RANDOM.normal(size=(3200, 10))


def silu(z):
    return z / (1 + np.exp(-z))


def elu(z):
    return np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def huber(y_true, y_pred):
    size = np.abs(y_pred - y_true)
    return np.where(size <= 1, size**2 / 2, size - 0.5)


def squares(y_true, y_pred):
    return np.mean((y_true - y_pred) ** 2, axis=-1)


def he(shape, generator):
    return generator.normal(size=shape) * np.sqrt(2 / shape[0])


class Tanh(Layer):
    def call(self, x):
        return np.tanh(x)


class OwnAdam(GradientDescent):
    start = (0.0, 0.0)

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, **common):
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def step(self, W, dW, m, v, learning_rate, t):
        m = self.beta_1 * m + (1 - self.beta_1) * dW
        v = self.beta_2 * v + (1 - self.beta_2) * dW * dW
        m_hat, v_hat = m / (1 - self.beta_1**t), v / (1 - self.beta_2**t)
        return W - learning_rate * m_hat / (np.sqrt(v_hat) + self.epsilon), m, v


def model(activation="relu", loss="mse", optimizer=Adam, between=(), initializer="he_normal", dtype="float32"):
    layers = [Dense(64, activation, kernel_initializer=initializer), *between, Dense(64, activation), Dense(10)]
    made = Sequential(layers, dtype=dtype, seed=1)
    made.compile(optimizer(), loss)
    return made


CASES = {  # own, built in
    "activation silu": ({"activation": silu}, {"activation": "silu"}),
    "activation elu": ({"activation": elu}, {"activation": "elu"}),
    "activation softmax": ({"activation": softmax}, {"activation": "softmax"}),
    "loss huber": ({"loss": huber}, {"loss": "huber"}),
    "loss squares": ({"loss": squares}, {"loss": "mse"}),
    "optimizer Adam": ({"optimizer": OwnAdam}, {"optimizer": Adam}),
    "layer tanh": ({"between": (Tanh(),)}, {"between": (Activation("tanh"),)}),
}


def fit(trained, steps):
    trained.fit(X, Y, batch_size=32, epochs=steps // 100, verbose=0)


def check(name, own, known, dtype):
    """That both train to the same weights."""
    for made in (own, known):
        fit(made, 100)
    for one, other in zip(own.get_weights(), known.get_weights(), strict=True):
        difference = np.abs(one - other).max()
        assert difference < {"float32": 1e-3, "float64": 1e-10}[dtype], f"{name}: {difference}"


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turns(name, unit, own, known, count):
    """Times two functions that do something `count` times, in turns, and prints a line."""
    times = np.array([[seconds(own), seconds(known)] for _ in range(ROUNDS)]) / count
    best, ratio = times.min(axis=0), np.median(times[:, 0] / times[:, 1])
    factor = {"µs": 1e6, "ms": 1e3}[unit]
    shown = f"{best[0] * factor:9.2f} {unit} {best[1] * factor:9.2f} {unit}"
    print(f"{name:<28} {shown}   {best[0] / best[1]:5.3f}   {ratio:5.3f}")


def main():
    fit(model(), 100)  # what both sides share is compiled
    print(f"{'':<28} {'own':>12} {'built in':>12}    best   median of ratios")
    for dtype in ("float32", "float64"):
        for name, (own, known) in CASES.items():
            own, known = (model(dtype=dtype, **case) for case in (own, known))
            check(name, own, known, dtype)
            in_turns(f"{name}, {dtype}", "µs", lambda own=own: fit(own, STEPS), lambda k=known: fit(k, STEPS), STEPS)

    def mean_of_squares(y_true, y_pred):
        return ((y_true - y_pred) ** 2).mean()

    measured = [Sequential([Dense(10)], seed=1) for _ in range(2)]
    for made, metric in zip(measured, (mean_of_squares, "mean_squared_error"), strict=True):
        made.compile("sgd", "mae", metrics=[metric])
    values = [made.evaluate(X, Y)[1] for made in measured]
    assert abs(values[0] - values[1]) < 1e-6
    own, known = (lambda m=made: m.evaluate(X, Y) for made in measured)
    in_turns("metric, 3200 rows", "ms", own, known, 1)
    own, known = (lambda how=how: model(initializer=how).build(32) for how in (he, "he_normal"))
    in_turns("initializer, a new model", "ms", own, known, 1)


if __name__ == "__main__":
    main()
