"""``fastml demo``: handwritten digits, learned by the compiled executor and by its NumPy reference."""

import time
from statistics import median

import numpy as np

from fastml.datasets import load_digits
from fastml.layers import Dense
from fastml.optimizers import Adam
from fastml.program.compiled import DTYPES, warmup
from fastml.program.random import permutation
from fastml.sequential import Sequential

HIDDEN, LEARNING_RATE, BATCH_SIZE = 128, 0.003, 32
REPEATS = {"compiled": 5, "numpy": 1}  # a compiled training takes a blink, so that one alone would be a rough measure


def demo(epochs, seed):
    """Trains a classifier, prints its accuracy on unseen digits and how the two executors compare."""
    train, test = split(*load_digits(), seed)
    model = classifier("float32", "compiled", seed)
    print(f"Data   {len(train[0])} handwritten digits to learn from, {len(test[0])} to test with, 8 x 8 pixels")
    print(f"Model  {train[0].shape[1]} pixels, {HIDDEN} neurons, 10 digits; {epochs} epochs of training", flush=True)
    warmup("float32")  # so that no time below holds a compilation

    # The bar stays away where nobody looks, in a pipe or a log.
    seconds = train_once(model, train, epochs, verbose="auto")
    loss, accuracy = model.evaluate(*test)
    print(f"Trained in {seconds:.2f} s: {accuracy:.1%} of the test digits are recognised.\n", flush=True)

    warmup("float64")
    rows = [row for dtype in DTYPES for row in compare(dtype, train, test, epochs, seed)]
    print(table(("dtype", "executor", "ms per epoch", "speed", "accuracy", "largest weight difference"), rows))
    print(
        "\nThe same training once more with each executor, compiled beforehand. The two add"
        "\nup in different orders, so they round differently, and every step builds on the"
        "\nrounding of those before: float32 weights drift apart, neither better than the"
        "\nother. float64 leaves little to round, and shows that both compute the same."
    )


def split(x, y, seed):
    """Four fifths of the rows, chosen by chance, and the rest: two pairs (x, y)."""
    order = permutation(seed, 0, len(x))
    kept = len(x) * 4 // 5
    return tuple((x[rows], y[rows]) for rows in (order[:kept], order[kept:]))


def classifier(dtype, executor, seed):
    """The model, new and untrained."""
    layers = [Dense(HIDDEN, "relu", kernel_initializer="he_normal"), Dense(10, "softmax")]
    model = Sequential(layers, dtype=dtype, seed=seed)
    model.compile(Adam(LEARNING_RATE), "sparse_categorical_crossentropy", ["accuracy"], executor=executor)
    return model


def train_once(model, train, epochs, verbose=0):
    """Trains; returns the seconds that it took."""
    start = time.perf_counter()
    model.fit(*train, batch_size=BATCH_SIZE, epochs=epochs, verbose=verbose)
    return time.perf_counter() - start


def compare(dtype, train, test, epochs, seed):
    """A row of the table for each executor."""
    seconds, models = {}, {}
    for executor, repeats in REPEATS.items():
        times = []
        for _ in range(repeats):
            models[executor] = classifier(dtype, executor, seed)
            times.append(train_once(models[executor], train, epochs))
        seconds[executor] = median(times) / epochs
    pairs = zip(*(model.get_weights() for model in models.values()), strict=True)
    difference = max(np.abs(a - b).max() for a, b in pairs)
    for executor, model in models.items():
        yield (
            dtype,
            executor,
            f"{1000 * seconds[executor]:.2f}",
            f"{seconds['numpy'] / seconds[executor]:.1f}x",
            f"{model.evaluate(*test)[1]:.1%}",
            f"{difference:.0e}" if executor == "compiled" else "",
        )


def table(head, rows):
    """Rows of strings as aligned text; numbers are flush right."""
    rows = [head, *rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = ["  ".join(f"{cell:{'<' if k < 2 else '>'}{widths[k]}}" for k, cell in enumerate(row)) for row in rows]
    return "\n".join(line.rstrip() for line in [lines[0], "-" * len(lines[0]), *lines[1:]])
