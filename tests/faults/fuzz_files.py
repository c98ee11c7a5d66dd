"""Reads files that are damaged or forged, many of them, and tells what came of it.

.venv/bin/python tests/faults/fuzz_files.py --files 1000 --kind all

Each file must be refused by an error meant for it, or give a model, estimator or table that works, in bounded time and
memory, and without running code. Files are read in a process with a limit of memory; it is ended where a file takes too
long, and another goes on. A file follows from the seed and its number alone: `--only NUMBER` reads one again.
"""

import argparse
import contextlib
import faulthandler
import os
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np

KINDS = ("model", "checkpoint", "estimator", "csv", "parquet")
MEMORY = 2**30  # bytes that reading a file, of some kilobytes, may take
TARGET = {"people": "leaves", "flats": "price", "semicolons": "price", "wide": "c6"}


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=1000, metavar="N", help="of each kind; default: 1000")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), metavar="S", help="default: by chance")
    parser.add_argument("--kind", choices=(*KINDS, "all"), default="all")
    parser.add_argument("--first", type=int, default=0, metavar="K", help="number of the first file")
    parser.add_argument("--only", type=int, metavar="K", help="read this file alone, and keep it")
    parser.add_argument("--train", type=float, default=0.0, metavar="SHARE", help="of tables to train with, too")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="of the processor, limit for a file")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser


def read_files(options):
    """Reads files first … files - 1 of a kind, and says before each which, and after each how it went."""
    sys.path.insert(0, str(Path(__file__).parent))
    from mutations import MUTATIONS
    from trials import Fault, Watch

    kind, folder = options.kind, options.folder
    seeds = sorted((folder / kind).iterdir())
    contents = [path.read_bytes() for path in seeds]
    watch, errors = Watch(), sys.stderr.fileno()
    place = folder / f"fuzzed{seeds[0].suffix}"
    for path in seeds:
        with contextlib.suppress(Fault):  # what is imported once must not count
            read_one(kind, path, path, watch, folder, options.train)
        if read_one(kind, path, path, watch, folder, options.train) != "right":
            raise SystemExit(f"{path} is refused, which is a valid file")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    faulthandler.register(signal.SIGPROF, chain=True)  # says where the process was, which then ends
    for number in range(options.first, options.files):
        rng = np.random.default_rng([options.seed, KINDS.index(kind), number])
        source = int(rng.integers(len(seeds)))
        place.write_bytes(MUTATIONS[kind](rng, contents[source], contents))
        print(number, "begins", flush=True)
        signal.setitimer(signal.ITIMER_PROF, options.seconds)  # of the processor: others may use the machine
        if number % 64 == 0:  # where one waits for ever
            faulthandler.dump_traceback_later(100 * options.seconds, exit=True)
        before = os.fstat(errors).st_size
        try:
            told = read_one(kind, place, seeds[source], watch, folder, options.train * (rng.random() < options.train))
            if os.fstat(errors).st_size > before and kind in ("csv", "parquet"):
                told = f"wrong printed {Path(f'/proc/self/fd/{errors}').read_text()[before:][:300]!r}"
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            told = f"wrong {type(error).__name__} at {where}: {' '.join(str(error).split())[:300]}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(number, told, flush=True)


def read_one(kind, path, seed, watch, folder, train):
    """How reading a file went: "refused" or "right"; raises otherwise."""
    from trials import try_checkpoint, try_model, try_table, try_training

    if kind == "checkpoint":
        return try_checkpoint(path, watch)
    if kind in ("model", "estimator"):
        return try_model(path, watch)
    told = try_table(path, watch)
    if train:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            return try_training(path, TARGET.get(seed.stem, "leaves"), folder)
    return told


def fuzz(options, kind, folder):
    """Has all files of a kind read; returns how many were refused and right, and {number: fault}."""
    counts, faults, number = {"refused": 0, "right": 0}, {}, options.first
    while number < options.files:
        command = [sys.executable, __file__, "--kind", kind, "--folder", str(folder), "--seed", str(options.seed)]
        command += ["--files", str(options.files), "--first", str(number), "--seconds", str(options.seconds)]
        with open(folder / "errors", "wb") as errors:
            child = subprocess.Popen(
                [*command, "--train", str(options.train)], stdout=subprocess.PIPE, stderr=errors, text=True
            )
            begun = None
            for line in child.stdout:
                words = line.rstrip("\n").split(" ", 2)
                if not words[0].isdigit():
                    continue
                if words[1] == "begins":
                    begun = int(words[0])
                    continue
                if words[1] in counts:
                    counts[words[1]] += 1
                else:
                    faults[begun] = words[2]
                number, begun = begun + 1, None
            code = child.wait()
        told = (folder / "errors").read_text(errors="replace")[-3000:]
        if begun is None and code:
            raise SystemExit(f"the process that reads {kind} files ended with {code}:\n{told}")
        if begun is not None:
            faults[begun] = f"ended the process with {code}: {told}"
            number = begun + 1
    return counts, faults


def main():
    options = make_parser().parse_args()
    if options.folder:
        return read_files(options)
    sys.path.insert(0, str(Path(__file__).parent))
    from seeds import SUFFIX, write_seeds

    if options.only is not None:
        options.first, options.files = options.only, options.only + 1
    print(f"seed {options.seed}, {options.files - options.first} files of each kind", flush=True)
    rows, failed = [], False
    for kind in KINDS if options.kind == "all" else (options.kind,):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            write_seeds(kind, folder / kind)
            counts, faults = fuzz(options, kind, folder)
            if options.only is not None:
                kept = Path(tempfile.gettempdir()) / f"fuzzed_{options.seed}_{options.only}{SUFFIX[kind]}"
                kept.write_bytes((folder / f"fuzzed{SUFFIX[kind]}").read_bytes())
                print(f"kept as {kept}")
        rows.append((kind, sum(counts.values()) + len(faults), counts["refused"], counts["right"], len(faults)))
        for number, told in list(faults.items())[:20]:
            print(f"{kind} {number}: {told}")
        failed = failed or bool(faults)
    print(f"{'kind':<10}{'files':>9}{'refused':>9}{'loaded and right':>18}{'wrong':>7}")
    for kind, *numbers in rows:
        print(f"{kind:<10}{numbers[0]:>9}{numbers[1]:>9}{numbers[2]:>18}{numbers[3]:>7}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
