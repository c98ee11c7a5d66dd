"""How long the commands take, from the start of Python to their end, and how much memory. From the repository's root:

    .venv/bin/python bench/commands.py [--rows 1000000]

It writes a table of eight numbers, a text and a target, trains with a report and predicts, with all rows and with few.
First it checks that the columns are read as polars alone reads them, and that predictions are those of the model in
Python. Beside the commands, in the same run, stand polars' own reading with types, without and with a look for dates,
and pandas'. Memory is the largest resident size of the process (Linux alone tells it), and in the last column what it
is above that for few rows, which Python, the libraries and the compiled code take, in sizes of the file.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import fastml
from fastml.commands.files.typed import read_table

FASTML = Path(sys.executable).with_name("fastml")
READ = "import polars as pl, sys; pl.read_csv(sys.argv[1], infer_schema_length=None, try_parse_dates={dates})"
ALLOCATOR = "_RJEM_MALLOC_CONF"  # polars sets it for itself when it is imported, which the commands are not to inherit
PANDAS = "import pandas as pd, sys; pd.read_csv(sys.argv[1])"


def write_table(path, rows):
    """A table with a target that depends on some of its columns."""
    rng = np.random.default_rng(0)
    columns = {f"number {k}": np.round(rng.normal(size=rows) * 10.0 ** (k % 4), 4) for k in range(8)}
    columns["city"] = rng.choice(["Rome", "Oslo", "Lima", "Paris"], rows)
    score = columns["number 0"] + columns["number 4"] + (columns["city"] == "Rome") + rng.normal(size=rows)
    columns["buys"] = np.where(score > 0.5, "yes", "no")
    pl.DataFrame(columns).write_csv(path)


def command(*arguments):
    return process(FASTML, *arguments)


def process(*arguments):
    """Seconds and largest megabytes of a new process."""
    environment = {name: value for name, value in os.environ.items() if name != ALLOCATOR}
    start, most = time.perf_counter(), 0
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(list(map(str, arguments)), env=environment, **quiet) as started:
        while started.poll() is None:
            most = max(most, resident(started.pid))
            time.sleep(0.01)
    assert started.returncode == 0, f"{arguments} ends with {started.returncode}"
    return time.perf_counter() - start, most


def resident(process):
    """The largest resident size so far of a running process, in megabytes, or 0."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def check_reading(path):
    """AssertionError unless the columns are those that polars finds."""
    expected = pl.read_csv(path)
    assert read_table(path).equals(expected), "columns are read in another way than by polars"


def check_predictions(model, path, found):
    """AssertionError unless predictions in a file are those of the model in Python."""
    table, model = read_table(path), fastml.load(model)
    rows = table.select(model.feature_names_in_.tolist())
    assert (found["prediction"].to_numpy() == model.predict(rows)).all()
    np.testing.assert_array_equal(found["probability yes"].to_numpy().astype("f4"), model.predict_proba(rows)[:, 1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10**6)
    parser.add_argument("--rounds", type=int, default=3, help="times that each is measured; the best and median count")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options)


def measure(folder, options):
    table, few, model = folder / "table.csv", folder / "few.csv", folder / "m.safetensors"
    write_table(table, options.rows)
    for path, count in ((few, 10), (folder / "some.csv", 1000)):
        path.write_text("".join(table.open().readlines()[: 1 + count]))
    size = table.stat().st_size / 1e6
    check_reading(table)
    options_of_train = "--target", "buys", "--model", model, "--overwrite", "--report", folder / "r.html"
    train = "train", table, *options_of_train
    command(*train)
    command("predict", model, table, "-o", folder / "p.parquet")
    check_predictions(model, table, pl.read_parquet(folder / "p.parquet"))
    runs = {
        "fastml --help": lambda: command("--help"),
        "predict, 10 rows": lambda: command("predict", model, few),
        f"predict, {options.rows} rows": lambda: command("predict", model, table, "-o", folder / "p.csv"),
        "train with report, 1000 rows": lambda: command("train", folder / "some.csv", *options_of_train),
        f"train with report, {options.rows} rows": lambda: command(*train),
        "polars.read_csv with types": lambda: process(sys.executable, "-c", READ.format(dates=False), table),
        "polars.read_csv with types and dates": lambda: process(sys.executable, "-c", READ.format(dates=True), table),
        "pandas.read_csv": lambda: process(sys.executable, "-c", PANDAS, table),
    }
    times, memory = {name: [] for name in runs}, {}
    for _ in range(options.rounds):
        for name, run in runs.items():
            seconds, memory[name] = run()
            times[name].append(seconds)
    print(f"A table of {options.rows} rows, {size:.0f} MB\n")
    print(f"{'':<38}  {'best, s':>8}  {'median, s':>9}  {'MB':>6}  sizes of the file")
    few = 0
    for name, seconds in times.items():
        all_rows = name.endswith(f" {options.rows} rows")
        above = f"{(memory[name] - few) / size:17.1f}" if all_rows else ""
        few = memory[name]
        print(f"{name:<38}  {min(seconds):8.2f}  {np.median(seconds):9.2f}  {few:6.0f}  {above}".rstrip())


if __name__ == "__main__":
    main()
