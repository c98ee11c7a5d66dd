"""Trainings that are killed at random moments and resumed until they are complete. Run from the root of the repository:

    .venv/bin/python -m tests.faults.kill --runs 300

Each training runs in a process of its own, which SIGKILL ends after a random time; the next one goes on from the newest
checkpoint. The weights, the history and the lines of a log in the end must be, bit for bit, those of a training that
nobody interrupted. Prints a table: how many processes were killed, how many of them while a file was being written, and
what went wrong. Needs os.fork.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

import fastml
from fastml import (
    SGD,
    Adam,
    BatchNormalization,
    CosineDecay,
    CSVLogger,
    Dense,
    Dropout,
    EarlyStopping,
    ModelCheckpoint,
    Normalization,
    OneCycle,
    ReduceLROnPlateau,
    Rprop,
    Sequential,
)

ROWS, SECONDS, PATIENCE = 3000, 0.5, 60  # rows of a training, about how long it takes, and until it counts as hanging
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(ROWS, 20)), RNG.normal(size=(ROWS, 2))


def plain():
    return [Normalization(), Dense(64, "tanh"), Dense(2)]


def rich():
    return [Dense(64), BatchNormalization(), Dropout(0.2), Dense(64, "relu"), Dense(2)]


CASES = {
    "Adam, cosine": (lambda: Adam(CosineDecay(0.01)), rich, "float32", {"batch_size": 32, "epochs": 60}),
    "SGD, one cycle": (lambda: SGD(OneCycle(0.05), momentum=0.9), plain, "float64", {"batch_size": 50, "epochs": 150}),
    "Rprop, all rows": (Rprop, plain, "float32", {"batch_size": ROWS, "epochs": 600}),
    "one long epoch": (lambda: Adam(0.001), rich, "float64", {"batch_size": 2, "epochs": 8}),
}


def train(case, folder, resume):
    """A training in this process; returns what it led to: hashes of weights, history and log."""
    optimizer, layers, dtype, arguments = CASES[case]
    model = Sequential(layers(), dtype=dtype, seed=1)
    model.compile(optimizer(), "mean_squared_error")
    callbacks = [EarlyStopping(patience=10**6), CSVLogger(folder / "log.csv")]
    if case == "one long epoch":
        callbacks.append(ReduceLROnPlateau("loss", patience=1))
    checkpoint = ModelCheckpoint(folder / "{epoch:03d}.safetensors", every_epochs=7, every_seconds=0.02)
    callbacks.append(checkpoint)
    history = model.fit(X, Y, verbose=0, validation_split=0.1, callbacks=callbacks, resume=resume, **arguments)
    weights = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
    log = (folder / "log.csv").read_text()
    return {"weights": weights, "history": history.history, "log": log}


def in_child(case, folder, resume, limit):
    """Runs `train` in a process that is killed after so many seconds; returns its result, or how it ended."""
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        status = 1
        try:
            part = folder / "part.json"
            part.write_text(json.dumps(train(case, folder, resume)))
            os.replace(part, result)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    end, killed, hung = time.monotonic() + limit, False, time.monotonic() + PATIENCE
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end and not killed:
            os.kill(child, signal.SIGKILL)
            killed = True
        if time.monotonic() > hung:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "hang"
        time.sleep(0.0005)
    if result.exists():
        return json.loads(result.read_text())
    return "killed" if os.WIFSIGNALED(status) else "error"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300, help="processes to kill")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(time.time())
    print(f"seed {seed}; {options.runs} kills")
    random, table = np.random.default_rng(seed), {}
    for case in CASES:
        fastml.warmup(CASES[case][2])
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            expected = in_child(case, Path(folder), False, PATIENCE)
            length = time.monotonic() - start
        row = table[case] = dict.fromkeys(("seconds", "trainings", "killed", "half-written", "other bits", "errors",
                                           "hangs"), 0)  # fmt: skip
        row["seconds"] = round(length, 2)
        while row["killed"] < options.runs / len(CASES):
            with tempfile.TemporaryDirectory() as folder:
                folder, result = Path(folder), "killed"
                while result == "killed":
                    result = in_child(case, folder, True, random.uniform(0.01, 0.6 * length))
                    row["killed"] += result == "killed"
                    row["half-written"] += len(list(folder.glob(".*.safetensors.*")))
                    for part in folder.glob(".*.safetensors.*"):
                        part.unlink()
                row["trainings"] += 1
                if isinstance(result, str):
                    row["errors" if result == "error" else "hangs"] += 1
                else:
                    row["other bits"] += result != expected
    names = list(next(iter(table.values())))
    print(f"\n{'training':<18}" + "".join(f"{name:>14}" for name in names))
    for case, row in table.items():
        print(f"{case:<18}" + "".join(f"{row[name]:>14}" for name in names))
    bad = sum(row[name] for row in table.values() for name in ("other bits", "errors", "hangs"))
    print(f"\n{sum(row['killed'] for row in table.values())} kills, {bad} wrong")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
