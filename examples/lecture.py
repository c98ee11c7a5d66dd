"""Draws the pictures of docs/lecture.md: what training does, on the handwritten digits that come with fastml.

python examples/lecture.py [--output FOLDER] [--quick]

The same seeds each time, so the pictures are the same on the same machine. No window opens and no display is needed.
"""

import argparse
import io
import time
from pathlib import Path

import numpy as np

from fastml import SGD, Adam, Dense, RMSprop, Sequential, load_digits, plots

SEED = 0
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "lecture"
EPOCHS = {"ravine": 150, "normalization": 40, "loss_curves": 40, "dropout": 80, "batchnorm": 60}


def activations(data, epochs):
    """All activation functions."""
    return plots.activation_functions()


def ravine(data, epochs):
    """Five optimizers on the same way down."""
    return plots.optimizer_paths(*halves(data), start=(2.0, 1.0), epochs=epochs)


def normalization(data, epochs):
    """The same optimizer with the feature as it is and with the feature normalized."""
    from matplotlib.figure import Figure

    x, y = halves(data)
    figure = Figure(figsize=(7.6, 6.8), dpi=100, layout="constrained")
    features = {"Feature as it is": x, "Feature normalized": (x - x.mean()) / x.std()}
    for part, (label, feature) in zip(figure.subfigures(2, 1), features.items(), strict=True):
        plots.optimizer_paths(feature, y, {label: SGD(0.4)}, start=(2.0, 2.5), epochs=epochs, figure=part)
    figure.axes[3].set_ylim(figure.axes[1].get_ylim())
    return figure


def loss_curves(data, epochs):
    """A classifier trained by four optimizers, each with a rate that suits it."""
    x, y = data
    optimizers = {"SGD": SGD(0.1), "Momentum": SGD(0.05, 0.9), "RMSprop": RMSprop(0.003), "Adam": Adam(0.003)}
    histories = {}
    for label, optimizer in optimizers.items():
        model = Sequential([Dense(64, "relu", "he_normal"), Dense(10, "softmax")], seed=SEED)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        histories[label] = model.fit(x[:1000], y[:1000], epochs=epochs, verbose=0, validation_data=(x[1000:], y[1000:]))
    return plots.loss_curves(histories).figure


def vanishing_gradient(data, epochs):
    """The gradients of deep nets before training."""
    return plots.vanishing_gradient(*data, seed=SEED).figure


def dropout(data, epochs):
    """Few digits, with noise on their pixels, so that there is something to overfit."""
    x, y = data
    x = x + np.random.default_rng(SEED).normal(scale=0.3, size=x.shape)
    return plots.dropout_effect(x[:600], y[:600], (x[600:], y[600:]), epochs=epochs, seed=SEED)


def batchnorm(data, epochs):
    """Eight layers of sigmoids, which hardly learn otherwise."""
    x, y = data
    return plots.batchnorm_effect(x[:1000], y[:1000], (x[1000:], y[1000:]), epochs=epochs, seed=SEED)


PICTURES = (activations, ravine, normalization, loss_curves, vanishing_gradient, dropout, batchnorm)


def digits():
    """The digits in an order by chance: x (1797, 64), y (1797,)."""
    x, y = load_digits()
    order = np.random.default_rng(SEED).permutation(len(x))
    return x[order], y[order]


def halves(data):
    """The ink of the left half of each digit and that of the right half, in units of their mean: two arrays (1797,)."""
    images = data[0].reshape(-1, 8, 8)
    left, right = (half.mean(axis=(1, 2), dtype=np.float64) for half in (images[:, :, :4], images[:, :, 4:]))
    return left / left.mean(), right / right.mean()


def save(figure, path):
    """Writes a PNG of 128 colours, which is enough and takes a third of the space."""
    from PIL import Image  # matplotlib brings it

    figure.savefig(buffer := io.BytesIO(), format="png")
    Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Draws the pictures of docs/lecture.md.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the pictures, by default docs/lecture")
    parser.add_argument("--quick", action="store_true", help="two epochs each, to see whether it works")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    data, start = digits(), time.perf_counter()
    for picture in PICTURES:
        figure = picture(data, 2 if options.quick else EPOCHS.get(picture.__name__))
        path = options.output / f"{picture.__name__}.png"
        save(figure, path)
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB", flush=True)
    print(f"{len(PICTURES)} pictures in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
