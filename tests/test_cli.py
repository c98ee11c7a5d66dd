"""The command `fastml`: what it prints, and with which code it ends."""

import subprocess
import sys

import pytest

from fastml.cli import main
from fastml.compiled import DTYPES
from fastml.version import __version__


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_without_a_command_it_helps(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    for command in ("demo", "warmup", "info"):
        assert f"\n    {command} " in shown or f"\n  {command} " in shown


def test_info_tells_the_versions(capsys):
    assert main(["info"]) == 0
    values = dict(line.split(maxsplit=1) for line in lines(capsys))
    assert values["fastml"] == __version__
    assert values["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"numpy", "numba", "llvmlite", "cpu", "cores", "cache"} <= set(values)
    assert int(values["cores"]) >= 1


@pytest.mark.parametrize("arguments, dtypes", [([], DTYPES), *((["--dtype", dtype], [dtype]) for dtype in DTYPES)])
def test_warmup_says_what_it_did(arguments, dtypes, capsys):
    main(["warmup"])  # so that all is compiled
    capsys.readouterr()
    assert main(["warmup", *arguments]) == 0
    shown = lines(capsys)
    assert [line.split()[0] for line in shown] == list(dtypes)
    assert all("found on disk" in line for line in shown)


def test_the_demo_learns_and_compares(capsys):
    assert main(["demo", "--epochs", "3", "--seed", "5"]) == 0
    shown = capsys.readouterr().out
    table = [line.split() for line in shown.splitlines() if line.startswith(DTYPES)]
    assert [row[:2] for row in table] == [[dtype, executor] for dtype in DTYPES for executor in ("compiled", "numpy")]
    assert all(float(row[4].rstrip("%")) > 80 for row in table)
    assert float(table[2][5]) < 1e-9  # the largest difference of float64 weights


@pytest.mark.parametrize("arguments", [["sing"], ["demo", "--epochs", "0"], ["warmup", "--dtype", "int8"]])
def test_a_mistake_ends_with_2_and_no_traceback(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("fastml") and shown.err.count("\n") == 1


def test_as_a_module():
    result = subprocess.run([sys.executable, "-m", "fastml", "info"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("fastml") and result.stderr == ""
