"""MNIST: 784-512-512-10 with relu, batch normalization, dropout and Adam must reach 98.4 % of the test digits.

python bench/training/mnist.py PATH/mnist.npz [--epochs 20] [--seed 1] [--dtype float32]

The file has x_train : (60000, 784) or (60000, 28, 28), y_train : (60000,), x_test, y_test with 10000 rows, all uint8.
The test rows are looked at once, after the last epoch: no weights, epochs or rates are chosen by them. Ends with code 1
and a message where the accuracy is below the mark, or where the file is another.
"""

import argparse
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

from fastml import Activation, Adam, BatchNormalization, Callback, Dense, Dropout, OneCycle, Sequential, warmup

MARK = 0.984
ROWS = {"train": 60000, "test": 10000}
UNITS, BATCH_SIZE = 512, 128


class Lines(Callback):
    """A line an epoch: number, seconds since the start, loss and accuracy on the training rows."""

    def on_train_begin(self, logs):
        self.start = time.perf_counter()
        print("epoch  seconds    loss  accuracy")

    def on_epoch_end(self, epoch, logs):
        seconds = time.perf_counter() - self.start
        print(f"{epoch + 1:5d}  {seconds:7.1f}  {logs['loss']:.4f}  {logs['accuracy']:8.2%}", flush=True)


def load(path, dtype):
    """Two pairs of x : (rows, 784) from 0 to 1 and y : (rows,), training and testing; ValueError for another file."""
    try:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except KeyError as error:
        raise ValueError(f"an array is missing: {error.args[0]}") from None
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    except (EOFError, ValueError, zipfile.BadZipFile, AttributeError, TypeError):
        raise ValueError("it is no .npz file of numbers") from None
    for name, array in arrays.items():
        rows = ROWS[name[2:]]
        shapes = [(rows, 784), (rows, 28, 28)] if name.startswith("x") else [(rows,)]
        if array.shape not in shapes or array.dtype != np.uint8:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not uint8 {' or '.join(map(str, shapes))}")
        if name.startswith("y") and array.max() > 9:
            raise ValueError(f"{name} holds {array.max()}, which is no digit")
    for part in ROWS:
        x = arrays[f"x_{part}"].reshape(-1, 784).astype(dtype) / 255
        yield x, arrays[f"y_{part}"].astype(np.int64)


def make_model(dtype, seed):
    """The network, compiled."""
    layers = []
    for rate in (0.2, 0.4):
        layers += [
            Dense(UNITS, kernel_initializer="he_normal"),
            BatchNormalization(),
            Activation("relu"),
            Dropout(rate),
        ]
    model = Sequential([*layers, Dense(10, "softmax")], dtype=dtype, seed=seed)
    model.compile(Adam(OneCycle(0.003)), "sparse_categorical_crossentropy", ["accuracy"])
    return model


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Trains on MNIST and checks the accuracy on its test digits.")
    parser.add_argument("path", type=Path, help="mnist.npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args(arguments)
    try:
        train, test = load(options.path, options.dtype)
    except ValueError as error:
        sys.exit(f"{options.path} is not the file of MNIST that is needed: {error}")
    warmup(options.dtype)  # so that the seconds hold no compilation
    model = make_model(options.dtype, options.seed)
    lines = Lines()
    model.fit(*train, batch_size=BATCH_SIZE, epochs=options.epochs, verbose=0, callbacks=[lines])
    seconds = time.perf_counter() - lines.start
    _, accuracy = model.evaluate(*test)
    print(f"{options.epochs} epochs in {seconds:.1f} s, seed {options.seed}, {options.dtype}")
    print(f"{accuracy:.2%} of the {ROWS['test']} test digits are recognised")
    if accuracy < MARK:
        sys.exit(f"below the mark: {accuracy:.2%} is less than {MARK:.1%}")


if __name__ == "__main__":
    main()
