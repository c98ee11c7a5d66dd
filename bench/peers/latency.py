"""One row through a 10-64-64-1 net: how long each library takes to answer. Run from the root of the repository:

    .venv-peers/bin/python -m bench.peers.latency

All have the same weights, on one thread, and must give the same answer, to 1e-5, before any is timed. Bursts go in
turns; the table has medians. Input is checked by fastml, its `predict_one` and scikit-learn, not by the others.
"""

import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

import fastml  # noqa: E402

WIDTHS = 10, 64, 64, 1
CALLS, BURSTS = 2000, 15


def fastml_calls(weights, x):
    """`predict`, and `predict_one` without and with a place for the answer."""
    layers = [fastml.Dense(units, "relu") for units in WIDTHS[1:-1]]
    model = fastml.Sequential([*layers, fastml.Dense(WIDTHS[-1])], input_dim=WIDTHS[0])
    model.set_weights(weights)
    row, out = x[0], np.zeros(WIDTHS[-1], "float32")
    yield "fastml predict", lambda: model.predict(x)
    yield "fastml predict_one", lambda: model.predict_one(row)
    yield "fastml predict_one, out", lambda: model.predict_one(row, out)


def pytorch_calls(weights, x):
    import torch

    torch.set_num_threads(1)
    modules = []
    for W, b in zip(weights[::2], weights[1::2], strict=True):
        linear = torch.nn.Linear(*W.shape)
        linear.weight.data, linear.bias.data = torch.tensor(W.T), torch.tensor(b)
        modules += [linear, torch.nn.ReLU()]
    net = torch.nn.Sequential(*modules[:-1]).eval()
    row = torch.tensor(x)

    def call():
        with torch.inference_mode():
            return net(row)

    yield "PyTorch eager", call


def jax_calls(weights, x):
    import jax

    @jax.jit
    def predict(weights, a):
        for k in range(0, len(weights), 2):
            a = a @ weights[k] + weights[k + 1]
            a = jax.nn.relu(a) if k + 2 < len(weights) else a
        return a

    weights, row = [jax.numpy.asarray(w) for w in weights], jax.numpy.asarray(x)
    yield "JAX, jit", lambda: predict(weights, row).block_until_ready()


def scikit_calls(weights, x):
    import warnings

    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=WIDTHS[1:-1], max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.repeat(x, 2, axis=0), np.arange(2.0))
    model.coefs_, model.intercepts_ = weights[::2], weights[1::2]
    yield "scikit-learn", lambda: model.predict(x)


def seconds(call):
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - start) / CALLS


def main():
    random = np.random.default_rng(0)
    weights = []
    for d_in, d_out in zip(WIDTHS, WIDTHS[1:], strict=False):
        weights += [random.normal(0, d_in**-0.5, (d_in, d_out)), random.normal(size=d_out)]
    weights = [w.astype("float32") for w in weights]
    x = random.normal(size=(1, WIDTHS[0])).astype("float32")
    calls = {}
    for make in (fastml_calls, pytorch_calls, jax_calls, scikit_calls):
        try:
            calls.update(make(weights, x))
        except ImportError as error:
            print(f"left out: {error}")
    answers = {name: np.ravel(np.asarray(call())) for name, call in calls.items()}
    expected = answers["fastml predict"]
    for name, answer in answers.items():
        np.testing.assert_allclose(answer, expected, rtol=1e-5, err_msg=name)
    times = {name: [] for name in calls}
    for _ in range(BURSTS):
        for name, call in calls.items():
            times[name].append(seconds(call))
    for name, found in times.items():
        print(f"{name:<24} {1e6 * np.median(found):8.2f} µs")


if __name__ == "__main__":
    main()
