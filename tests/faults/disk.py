"""Checkpoints on a disk that is full, limited or read-only. Run from the root of the repository, as root for the disks:

    .venv/bin/python -m tests.faults.disk

A training writes checkpoints until a write fails: `fit` must say so by an OSError and leave no part of a file, and the
last whole checkpoint must resume to the bits of a training that nobody interrupted. Prints a table.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fastml import Adam, Callback, Dense, Dropout, ModelCheckpoint, Sequential

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(600, 8)), RNG.normal(size=(600, 2))


class Spoil(Callback):
    """Spoils the disk after some epochs."""

    def __init__(self, spoil):
        self.spoil = spoil

    def on_epoch_end(self, epoch, logs):
        if epoch == 4:
            self.spoil()


def fit(path, spoil=lambda: None, resume=False):
    model = Sequential([Dense(64, "relu"), Dropout(0.1), Dense(2)], seed=1)
    model.compile(Adam(0.003))
    model.fit(X, Y, 32, 12, callbacks=[ModelCheckpoint(path), Spoil(spoil)], verbose=0, resume=resume)
    return [w.tobytes() for w in model.get_weights()]


def tried(folder, spoil, mend):
    """Whether the failure was told, nothing but the checkpoint is there, and it resumes to the right bits."""
    path, told = Path(folder) / "at.safetensors", False
    try:
        fit(path, lambda: spoil(Path(folder)))
    except OSError:
        told = True
    mend(Path(folder))
    left = sorted(p.name for p in Path(folder).iterdir())
    with tempfile.TemporaryDirectory() as other:
        expected = fit(Path(other) / "whole.safetensors")
    return told, left == ["at.safetensors"], fit(path, resume=path) == expected


def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rows, unlimited = [], resource.RLIM_INFINITY
    with tempfile.TemporaryDirectory() as folder:
        rows.append(("limited size of files", *tried(folder, lambda _: limit(1000), lambda _: limit(unlimited))))
    if os.geteuid() == 0:
        for name, spoil, mend in (
            ("full disk", lambda f: fill(f / "other"), lambda f: (f / "other").unlink()),
            ("read-only disk", lambda f: remount(f, "ro"), lambda f: remount(f, "rw")),
        ):
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], check=True)
                try:
                    rows.append((name, *tried(folder, spoil, mend)))
                finally:
                    subprocess.run(["umount", folder], check=True)
    print(f"{'fault':<24}{'told':>14}{'no part left':>14}{'same bits':>14}")
    for name, *found in rows:
        print(f"{name:<24}" + "".join(f"{value!s:>14}" for value in found))
    sys.exit(not all(all(found) for _, *found in rows))


def fill(path):
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def remount(folder, how):
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


if __name__ == "__main__":
    main()
