"""Trains in new processes while things happen to the folder of compiled code, and to the sources of the kernels.

    .venv/bin/python tests/faults/cache.py [--reads 2000] [--only NAME …]

prints a table: for each fault how often it was tried, after how many tries the compiled code was lost, as it was not
on disk and whole though it should have been, and how many were errors, which are told as they come: a training that
failed, gave other weights, compiled or warned otherwise than it should, or left files behind. Each training compiles
for some seconds. A full disk needs the right to mount one, and is left out otherwise. Ends with 1 if there were losses
or errors.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fastml import kernels
from fastml.program import code_cache, compiled

TRAIN = """
import hashlib, json, os, shutil, sys, warnings
from numba.core import event
argument = sys.argv[2]
class Watch(event.Listener):
    def on_start(self, started):
        if started.data["dispatcher"].py_func.__name__ == "run_job":  # not of what it calls
            DURING
            pass
    def on_end(self, ended): pass
event.register("numba:compile", Watch())
import numpy as np
import fastml
fastml.Sequential  # by which the kernels are imported
BEFORE
x = np.random.default_rng(0).normal(size=(64, 5))
model = fastml.Sequential([fastml.Dense(7, "tanh"), fastml.Dense(2)], seed=1, dtype=sys.argv[1])
model.compile("sgd")
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    model.fit(x, x[:, :2], epochs=3, verbose=0)
weights = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
warned, compiled = [str(w.message) for w in warned], len(fastml.program.linking.compiled)
print(json.dumps({"compiled": compiled, "warned": warned, "weights": weights}))
"""
MANY = 8  # processes at once
ALL = -1  # of the kernels that the training needs
FULL = "256k"  # less than the code needs


class Fault:
    """A row of the table, and the folder that NUMBA_CACHE_DIR names."""

    expected = {}  # weights by dtype
    warm = None  # a folder that has compiled code for float32
    kernels = 0  # that the training needs, the executor among them, for one dtype

    def __init__(self, name, root):
        self.name, self.tries, self.losses, self.errors = name, 0, 0, 0
        self.root = root / name.replace(" ", "-")
        self.root.mkdir()

    @property
    def files(self):
        return [path for path in self.root.rglob("*") if path.is_file()]

    def start(self, dtype="float32", during="", before="", argument="", site=None):
        """A process that trains."""
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(self.root)}
        if site:
            environment |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
        script = TRAIN.replace("DURING", during).replace("BEFORE", before)
        command = [sys.executable, "-c", script, dtype, str(argument)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=site, **pipes)

    def end(self, process, dtype="float32", compiled=ALL, warned=None, same=True):
        """Compares what a process says with what it should."""
        self.tries += 1
        out, problem = process.communicate()
        if process.returncode:
            return self.error(
                problem.strip().splitlines()[-1] if problem.strip() else f"ended with {process.returncode}"
            )
        found = json.loads(out)
        compiled = Fault.kernels if compiled == ALL else compiled
        if compiled is not None and found["compiled"] != compiled:
            self.error(f"compiled {found['compiled']} times instead of {compiled}")
        if len(found["warned"]) != bool(warned) or warned and warned not in found["warned"][0]:
            self.error(f"warned: {found['warned']}")
        if (found["weights"] == self.expected.setdefault(dtype, found["weights"])) is not same:
            self.error("the weights are wrong")
        return found

    def train(self, compiled=ALL, warned=None, same=True, dtype="float32", **arguments):
        return self.end(self.start(dtype, **arguments), dtype, compiled, warned, same)

    def error(self, note):
        self.errors += 1
        print(f"{self.name}: {note}", file=sys.stderr, flush=True)

    def keeps(self, count):
        """Says what is lost of so many files, and counts others as errors."""
        count = Fault.kernels if count == ALL else count
        whole = [path for path in self.files if code_cache.read(path) is not None]
        self.losses += max(0, count - len(whole))
        if len(self.files) > len(whole):
            self.error(f"leftovers: {[path.name for path in self.files if path not in whole]}")


def damaged(damage):
    """A training beside a file that was damaged so, after many attempts to read such files."""

    def fault(row, reads):
        dice = random.Random(0)
        shutil.copytree(Fault.warm, row.root, dirs_exist_ok=True)
        path = max(row.files, key=lambda path: path.stat().st_size)
        good = path.read_bytes()
        for _ in range(reads):
            path.write_bytes(damage(good, dice))
            row.tries += 1
            if code_cache.read(path) is not None:
                row.error("a damaged file counts as whole")
        row.train(compiled=1)
        row.train(compiled=0)
        row.keeps(ALL)

    return fault


def flip(good, dice):
    place = dice.randrange(len(good))
    return good[:place] + bytes([good[place] ^ 1 << dice.randrange(8)]) + good[place + 1 :]


def cut(good, dice):
    return good[: dice.randrange(len(good))]


@contextlib.contextmanager
def disk(folder, *options):
    """A small disk in memory at a folder; None where this user may mount none."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    yield mounted
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def full_disk(row, reads):
    with disk(row.root, f"size={FULL}") as mounted:
        if mounted:
            row.train(warned="No space left on device")
            row.keeps(0)


def read_only_disk(row, reads):
    """With compiled code on it: nothing is compiled, nobody warned."""
    with disk(row.root, "size=16m") as mounted:
        if mounted:
            shutil.copytree(Fault.warm, row.root, dirs_exist_ok=True)
            subprocess.run(["mount", "-o", "remount,ro", str(row.root)], check=True)
            row.train(compiled=0)
            row.keeps(ALL)


def limited_files(row, reads):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10**4, 10**4))"
    row.train(warned="File too large", before=limit)
    row.keeps(0)


def removed_folder(row, reads):
    """While it compiles."""
    row.train(during="shutil.rmtree(argument)", argument=row.root)
    row.train(compiled=0)
    row.keeps(ALL)


def many_processes(row, reads):
    """Into an empty folder, for both dtypes: each kernel is compiled by one, and all others wait for it."""
    dtypes = [("float32", "float64")[k % 2] for k in range(MANY)]
    processes = [row.start(dtype) for dtype in dtypes]
    found = [row.end(process, dtype, compiled=None) for process, dtype in zip(processes, dtypes, strict=True)]
    count = sum(result["compiled"] for result in found if result)
    wanted = 2 * Fault.kernels - 1  # the executor is the same for both
    if count != wanted:
        row.error(f"{count} compilations instead of {wanted}")
    row.keeps(wanted)


def killed_process(row, reads):
    """While it compiles and another waits for it."""
    victim = row.start()
    while not row.files and victim.poll() is None:
        time.sleep(0.1)
    other = row.start()
    time.sleep(1)
    victim.kill()
    victim.communicate()
    row.end(other, compiled=None)
    row.keeps(ALL)


def changed_sources(row, reads):
    """Between the import and the training: what is compiled then is nothing for the processes after it."""
    site = row.root.parent / "site"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(compiled.__file__).parent, site / "fastml", ignore=ignore)
    shutil.copytree(Path(kernels.__file__).parent, site / "fastml" / "kernels", ignore=ignore, dirs_exist_ok=True)
    body = "\n\nsgd_step = elementwise(lambda W, dW, keep, minus_rate: W)\n"
    path = site / "fastml" / "kernels" / "sgd.py"
    row.train(before=f"open(argument, 'a').write({body!r})", argument=path, site=site)
    row.train(same=False, site=site)
    row.train(compiled=0, same=False, site=site)
    row.keeps(2 * Fault.kernels)


FAULTS = {
    "a flipped bit": damaged(flip),
    "a truncated file": damaged(cut),
    "full disk": full_disk,
    "read-only disk": read_only_disk,
    "limited size of files": limited_files,
    "removed folder": removed_folder,
    f"{MANY} processes at once": many_processes,
    "killed process": killed_process,
    "changed sources": changed_sources,
}


def main():
    parser = argparse.ArgumentParser(description="Faults of the disk that keeps compiled code.")
    parser.add_argument("--reads", type=int, default=2000, help="damaged files to read; default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), help="default: all")
    arguments = parser.parse_args()
    rows = []
    print(f"{'fault':<24} {'times':>6} {'losses':>7} {'errors':>7} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as folder:
        first = Fault("none", Path(folder))
        Fault.kernels = first.train(compiled=None)["compiled"]
        Fault.warm = first.root
        for name in arguments.only:
            row, begin = Fault(name, Path(folder)), time.monotonic()
            FAULTS[name](row, arguments.reads)
            seconds = f"{time.monotonic() - begin:.0f}" if row.tries else "left out"
            print(f"{name:<24} {row.tries:>6} {row.losses:>7} {row.errors:>7} {seconds:>8}", flush=True)
            rows.append(row)
    sys.exit(any(row.losses or row.errors for row in rows))


if __name__ == "__main__":
    main()
