"""Runs every kernel and whole programs with each array against a page of memory that nobody may touch.

    .venv/bin/python tests/faults/guard_pages.py [--few] [--bits 128 256 512] [--dtypes float32 float64] [--only NAME …]

prints a table: for each kernel, width of vectors and dtype the cases, and the faults among them, which are killed
processes or errors; then each fault. NAME is a kernel, "products" or "programs", all of them if none is given. With
128 and 256 bits it is the machine code of a processor that has no wider vectors and no masks. "beyond" are calls that
go too far, which must all be faults. Ends with 1 if there were faults.
"""

import argparse
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PROCESSORS = {"128": "nehalem", "256": "haswell", "512": None}  # None for this one


def measure(bits, dtypes, few, names):
    """Yields dicts with name, dtype, number of cases, and faults, from a process with vectors of so many bits."""
    environment = {**os.environ, "FASTML_SIMD_BITS": bits, "OPENBLAS_NUM_THREADS": "1"}
    if PROCESSORS[bits]:
        environment |= {"NUMBA_CPU_NAME": PROCESSORS[bits], "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, __file__, "--worker", "--dtypes", *dtypes, *["--few"] * few, "--only", *names]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield from map(json.loads, process.stdout)
    if process.returncode:
        raise SystemExit(f"the process for {bits} bits ended with {process.returncode}")


def work(dtypes, few, names):
    """The part of a process with one width of vectors: prints a line of JSON for each name and dtype."""
    from guard_beyond import beyond
    from guard_cases import Cases, kernel, product_cases
    from guard_pages import SIDES, Pages, faults_of
    from guard_programs import program_cases

    def report(name, dtype, cases):
        print(json.dumps({"name": name, "dtype": dtype, "cases": len(cases), "faults": faults_of(cases)}), flush=True)

    for dtype in dtypes:
        cases = Cases(dtype, few)

        def at_pages(label, function, arguments, room=cases.room):
            run = lambda side: function(*Pages(side, room).arguments(arguments))  # noqa: E731
            return [(f"{label}, page at the {side}", partial(run, side)) for side in SIDES]

        for name, calls in cases.by_kernel().items():
            if not names or name in names:
                function = kernel(name)
                function(*calls[0][1])  # compiles, before there are children
                report(name, dtype, [case for label, args in calls for case in at_pages(label, function, args)])
        if not names or "products" in names:
            calls = list(product_cases(dtype, few, cases.room))
            for function, args in {function: args for _, function, args in calls}.items():
                function(*args)
            report("products", dtype, [case for call in calls for case in at_pages(*call)])
        if not names or "programs" in names:
            report("programs", dtype, list(program_cases(dtype, few)))
        if "beyond" in names:
            report("beyond", dtype, list(beyond(dtype)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--few", action="store_true", help="fewer sizes")
    parser.add_argument("--bits", nargs="+", choices=PROCESSORS, default=list(PROCESSORS))
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32", "float64"])
    parser.add_argument("--only", nargs="*", metavar="NAME", default=[])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        return work(given.dtypes, given.few, given.only)
    columns = [(bits, dtype) for bits in given.bits for dtype in given.dtypes]
    results = {}
    for bits in given.bits:
        for found in measure(bits, given.dtypes, given.few, given.only):
            results[found["name"], bits, found["dtype"]] = found
            told = f"{found['cases']} cases, {len(found['faults'])} faults"
            print(f"{bits} bits, {found['dtype']}, {found['name']}: {told}", file=sys.stderr)
    print(f"{'cases / faults':<24}" + "".join(f"{bits + ' ' + dtype:>16}" for bits, dtype in columns))
    for name in dict.fromkeys(name for name, *_ in results):
        cells = [results.get((name, *column)) for column in columns]
        texts = [f"{cell['cases']} / {len(cell['faults'])}" if cell else "" for cell in cells]
        print(f"{name:<24}" + "".join(f"{text:>16}" for text in texts))
    faults = [(*key, *fault) for key, found in results.items() for fault in found["faults"]]
    for name, bits, dtype, label, what in faults:
        print(f"{what}: {name} {label}, {bits} bits, {dtype}")
    return sys.exit(bool(faults))


if __name__ == "__main__":
    main()
