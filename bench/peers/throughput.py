"""A million rows through a 64-256-256-10 net: how long each library takes. Run from the root of the repository:

    .venv-peers/bin/python -m bench.peers.throughput --threads 1

All have the same weights and must give the same outputs, to 1e-4 of the largest, before any is timed. They take turns;
the table has the best of each, and medians of the ratios to fastml. PyTorch and ONNX Runtime (where it is installed)
get the rows BATCH at a time, with which they are fastest; fastml gets all.
"""

import argparse
import os
import tempfile
import time

import numpy as np

WIDTHS = 64, 256, 256, 10
FLOP = 2 * sum(a * b for a, b in zip(WIDTHS, WIDTHS[1:], strict=False))  # of a row
ROWS, BATCH, TURNS, TOLERANCE = 1_000_000, 1024, 7, 1e-4


def by_batches(predict, x):
    """A function that predicts all rows, some at a time."""
    return lambda: np.concatenate([predict(x[first : first + BATCH]) for first in range(0, len(x), BATCH)])


def fastml_call(weights, x, threads):
    import fastml

    fastml.set_num_threads(threads)
    layers = [fastml.Dense(units, "relu") for units in WIDTHS[1:-1]]
    model = fastml.Sequential([*layers, fastml.Dense(WIDTHS[-1])], input_dim=WIDTHS[0])
    model.set_weights(weights)
    yield "fastml", lambda: model.predict(x)


def pytorch_calls(weights, x, threads):
    import torch

    torch.set_num_threads(threads)
    modules = []
    for W, b in zip(weights[::2], weights[1::2], strict=True):
        linear = torch.nn.Linear(*W.shape)
        linear.weight.data, linear.bias.data = torch.tensor(W.T.copy()), torch.tensor(b)
        modules += [linear, torch.nn.ReLU()]
    net = torch.nn.Sequential(*modules[:-1]).eval()
    compiled = torch.compile(net)
    for name, module in (("PyTorch eager", net), ("PyTorch compiled", compiled)):

        def predict(rows, module=module):
            with torch.inference_mode():
                return module(torch.from_numpy(rows)).numpy()

        yield name, by_batches(predict, x)
    yield from onnx_call(net, x, threads)


def onnx_call(net, x, threads):
    try:
        import onnxruntime
        import torch

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "net.onnx")
            axes = {"rows": {0: "n"}}
            torch.onnx.export(
                net, torch.zeros(1, WIDTHS[0]), path, input_names=["rows"], dynamic_axes=axes, dynamo=False
            )
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except ImportError:  # of onnxruntime, or of onnx, which PyTorch writes with
        return
    yield "ONNX Runtime", by_batches(lambda rows: session.run(None, {"rows": rows})[0], x)


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.peers.throughput", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=ROWS, help="default: %(default)s")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    weights = []
    for d_in, d_out in zip(WIDTHS, WIDTHS[1:], strict=False):
        weights += [random.normal(size=(d_in, d_out)) / np.sqrt(d_in), random.normal(size=d_out)]
    weights = [w.astype("float32") for w in weights]
    x = random.normal(size=(options.rows, WIDTHS[0])).astype("float32")

    calls = dict([*fastml_call(weights, x, options.threads), *pytorch_calls(weights, x, options.threads)])
    expected = calls["fastml"]()
    for name, call in calls.items():
        assert np.abs(call() - expected).max() <= TOLERANCE * np.abs(expected).max(), name
    times = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    print(f"{options.rows} rows, {options.threads} threads\n\n| | s | GFLOP/s | ÷ fastml |\n|---|--:|--:|--:|")
    for name, found in times.items():
        ratio = np.median(np.divide(found, times["fastml"]))
        print(f"| {name} | {min(found):.2f} | {options.rows * FLOP / min(found) / 1e9:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
