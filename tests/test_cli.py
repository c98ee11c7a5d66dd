"""The command ``fastml``: what it prints, and its exit codes."""

import os
import re
import runpy
import signal
import subprocess
import sys

import pytest

import fastml
from fastml import cli
from fastml.commands import demo
from fastml.kernels.cpu import BITS
from fastml.program import linking
from fastml.program.compiled import DTYPES


def run(capsys, *arguments):
    """Exit code, and the lines of standard output and standard error."""
    try:
        code = cli.main(list(arguments))
    except SystemExit as end:
        code = end.code
    shown = capsys.readouterr()
    return code, shown.out.splitlines(), shown.err.splitlines()


def test_without_a_command_it_says_what_there_is(capsys):
    code, out, err = run(capsys)
    assert code == 0 and not err
    for command in ("demo", "warmup", "train", "predict", "bench", "info"):
        assert any(line.split()[:1] == [command] for line in out)
    assert run(capsys, "--help")[:2] == (0, out)


def test_version(capsys):
    assert run(capsys, "--version") == (0, [f"fastml {fastml.__version__}"], [])


def test_info(capsys):
    code, out, err = run(capsys, "info")
    rows = dict(line.split(maxsplit=1) for line in out)
    assert code == 0 and not err
    names = ["fastml", "python", "numpy", "numba", "llvmlite", "cpu", "vectors", "cores", "threads", "cache"]
    assert list(rows) == names
    assert rows["vectors"] == f"{BITS} bits" and int(rows["threads"]) == fastml.get_num_threads()
    assert rows["fastml"] == fastml.__version__ and rows["python"] == sys.version.split()[0] and int(rows["cores"]) >= 1


@pytest.mark.parametrize("dtypes", [DTYPES, ("float32",), ("float64",)])
def test_warmup(dtypes, capsys):
    """A line for each dtype; where the code is there already, it says so."""
    arguments = [] if len(dtypes) == 2 else ["--dtype", *dtypes]
    for _ in range(2):
        code, out, err = run(capsys, "warmup", *arguments)
        assert code == 0 and not err
        assert [line.split()[0] for line in out] == list(dtypes)
        assert all(
            re.fullmatch(r"\w+  (1 kernel compiled|\d+ kernels compiled|found on disk) +\d+\.\d\d s", line)
            for line in out
        )
    assert all("found on disk" in line for line in out)


def test_warmup_compiles_in_several_processes(tmp_path):
    """All kernels, which the next process then finds; only one of the processes speaks."""
    folder = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "fastml", "warmup", "--dtype", "float32"]
    first, second = (subprocess.run(command, env=folder, capture_output=True, text=True, check=True) for _ in range(2))
    assert re.fullmatch(r"float32  \d\d kernels compiled +\d+\.\d\d s\n", first.stdout) and first.stderr == ""
    assert re.fullmatch(r"float32  found on disk +\d+\.\d\d s\n", second.stdout) and second.stderr == ""
    (kept,) = tmp_path.iterdir()
    assert len(list(kept.iterdir())) == len(linking.everything("float32"))


MISTAKES = [("train",), ("demo", "--epochs", "0"), ("demo", "--epochs", "many"), ("demo", "--seed", "-1")]
MISTAKES += [("demo", "--seed", str(2**64)), ("warmup", "--dtype", "int8"), ("info", "now"), ("--verbose",)]


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_one_line(arguments, capsys):
    """Exit code 2, nothing on standard output, and the command's name in front."""
    code, out, err = run(capsys, *arguments)
    assert code == cli.FAILED == 2 and not out
    assert len(err) == 1 and err[0].startswith("fastml")


def test_the_demo_compares_the_executors(capsys):
    """Four rows: with float64 the weights of both agree, and all recognise more digits than chance would."""
    code, out, err = run(capsys, "demo", "--epochs", "2", "--seed", "3")
    assert code == 0 and not err
    assert any(line.startswith("Trained in ") for line in out)
    rows = [line.split() for line in out if line.split()[:1] and line.split()[0] in DTYPES]
    assert [row[:2] for row in rows] == [[dtype, name] for dtype in DTYPES for name in ("compiled", "numpy")]
    assert all(float(row[4].rstrip("%")) > 50 for row in rows)
    difference = {row[0]: float(row[5]) for row in rows if row[1] == "compiled"}
    assert difference["float64"] <= 1e-11 < difference["float32"]  # where Adam may follow rounding


def test_the_rows_of_the_demo_are_all_digits_once():
    x, y = fastml.load_digits()
    (x_train, y_train), (x_test, y_test) = demo.split(x, y, seed=0)
    assert len(x_train) == len(y_train) == len(x) * 4 // 5 and len(x_test) == len(y_test) == len(x) - len(x_train)
    together = sorted(map(bytes, [*x_train, *x_test]))
    assert together == sorted(map(bytes, x))


def test_a_failure_of_the_system_is_one_line(capsys, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "demo", full)
    code, out, err = run(capsys, "demo")
    assert code == cli.FAILED and not out and err == ["fastml: [Errno 28] No space left on device"]


def test_as_a_module(capsys, monkeypatch):
    """``python -m fastml`` is the same command."""
    monkeypatch.setattr(sys, "argv", ["fastml", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("fastml", run_name="__main__")
    assert end.value.code == 0 and capsys.readouterr().out == f"fastml {fastml.__version__}\n"


def start(*arguments, **pipes):
    """The command as a process of its own, without a bar on any terminal."""
    return subprocess.Popen([sys.executable, "-m", "fastml", *arguments], stderr=subprocess.PIPE, text=True, **pipes)


def test_a_reader_that_has_seen_enough():
    """As in ``fastml info | head -0``: no error."""
    reading, writing = os.pipe()
    os.close(reading)
    process = start("info", stdout=writing)
    os.close(writing)
    assert process.communicate(timeout=60)[1] == "" and process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal for a process there")
def test_ctrl_c_ends_the_demo_in_one_line():
    process = start("demo", "--epochs", "1000000", stdout=subprocess.PIPE)
    assert any(line.startswith("Model") for line in process.stdout)  # reads up to that line
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == cli.INTERRUPTED == 130 and err == "\nfastml: interrupted\n"
