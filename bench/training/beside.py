"""Predictions of several threads, beside each other and beside a training. Run from the root of the repository:

    .venv/bin/python -m bench.training.beside

First it checks that all of them get the bits that a single thread gets. Then it tells how many rows a second threads
get together that use one model at once, how long a single prediction waits beside a training, and what predictions cost
that. Rounds go in turns; the table has medians and the best.
"""

import threading
import time
from statistics import median

import numpy as np

from fastml import Adam, Dense, Sequential, get_num_threads
from fastml.commands.demo import table

ROWS, WIDTHS, SECONDS, ROUNDS = 2048, (64, 256, 256, 10), 0.5, 7
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(ROWS, WIDTHS[0])).astype("float32"), RNG.integers(WIDTHS[-1], size=ROWS)


def made():
    layers = [*(Dense(units, "relu") for units in WIDTHS[1:-1]), Dense(WIDTHS[-1], "softmax")]
    model = Sequential(layers, seed=1, input_dim=WIDTHS[0])
    model.compile(Adam(1e-4), "sparse_categorical_crossentropy")
    model.build()
    return model


def asked(ask, threads, seconds=SECONDS):
    """Calls of `ask` a second, by so many threads together."""
    stop, counts = time.perf_counter() + seconds, []

    def work():
        calls = 0
        while time.perf_counter() < stop:
            ask()
            calls += 1
        counts.append(calls)

    start, members = time.perf_counter(), [threading.Thread(target=work) for _ in range(threads)]
    for member in members:
        member.start()
    for member in members:
        member.join()
    return sum(counts) / (time.perf_counter() - start)


def check(model):
    """All threads that use the model at once get the same bits."""
    expected, wrong = model.predict(X).tobytes(), []
    asked(lambda: wrong.append(model.predict(X).tobytes() != expected), 4)
    if not wrong or any(wrong):
        raise SystemExit("threads that predict at once do not get what one gets")


class Training:
    """A training in a thread of its own, in a ``with`` block."""

    def __enter__(self):
        self.model, self.ended, self.steps = made(), False, 0
        self.thread = threading.Thread(target=self.train)
        self.start = time.perf_counter()
        self.thread.start()
        return self

    def train(self):
        self.model.fit(X, Y, 128, 10**6, verbose=0, callbacks=[self])

    def on_chunk_end(self):
        self.model.stop_training = self.ended

    def on_epoch_end(self, epoch, logs):
        self.steps += ROWS // 128
        self.model.stop_training = self.ended

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        self.rate = self.steps / (time.perf_counter() - self.start)


def main():
    model = made()
    check(model)
    print(f"{get_num_threads()} threads for a model at most, {'-'.join(map(str, WIDTHS))}, float32")
    found = {}

    def note(name, value):
        found.setdefault(name, []).append(value)

    for _ in range(ROUNDS):
        for threads in (1, 2, 4):
            note(f"{ROWS} rows, {threads} at once: rows/s", ROWS * asked(lambda: model.predict(X), threads))
            note(f"one row, {threads} at once: calls/s", asked(lambda: model.predict_one(X[0]), threads))
        with Training() as training:
            time.sleep(SECONDS)
        note("training alone: steps/s", training.rate)
        with Training() as training:
            time.sleep(0.2)
            start = time.perf_counter()
            training.model.predict_one(X[0])
            note("first prediction beside a training: ms", 1e3 * (time.perf_counter() - start))
            note("one row beside a training: calls/s", asked(lambda: training.model.predict_one(X[0]), 1))
        note("training beside that: steps/s", training.rate)
        with Training() as training:
            time.sleep(0.2)
            note(f"{ROWS} rows beside a training: rows/s", ROWS * asked(lambda: training.model.predict(X), 1))
        note("training beside that of many rows: steps/s", training.rate)
    rows = [(name, f"{median(values):,.3g}", f"{max(values):,.3g}") for name, values in found.items()]
    print(table(("what", "median", "largest"), rows))


if __name__ == "__main__":
    main()
