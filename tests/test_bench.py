"""The command ``fastml bench``: it compares the executors before it measures, and tells a fault from rounding."""

import numpy as np
import pytest

from fastml import cli
from fastml.commands import CommandError, agreement, bench
from fastml.kernels.operation import NOTHING
from fastml.program import reference
from fastml.program.compiled import DTYPES
from fastml.program.compiled import run as compiled_run
from fastml.program.executors import EXECUTORS
from fastml.program.program import assembled, disassembled

NET = "21-37-18-10", 29  # nothing is a multiple of a vector
TRAINING = agreement.Net.of(*NET).program("float64").training
DRIFTS = "784-512-512-10", 128  # whose weights in float32 are never the same twice
PASSIVE = {None, "barrier", "stop_unless_finite"}
NAMES = [s["op"] for s in disassembled(TRAINING)]
PLACES = [k for k, op in enumerate(NAMES) if op not in PASSIVE]
CONSTANTS = {"beta_1": 0.9001, "beta_2": 0.99901, "epsilon": 2e-6}


def without(place):
    """The compiled executor, but for one instruction of training, which it passes over."""

    def run(program, *arguments):
        instructions = program.copy()
        begin = 0 if instructions["op"][0] == TRAINING["op"][0] else len(TRAINING) - len(instructions)  # updates alone
        if 0 <= place - begin < len(instructions):
            assert instructions["op"][place - begin] == TRAINING["op"][place]
            instructions["op"][place - begin] = instructions["kernel"][place - begin] = NOTHING
        return compiled_run(instructions, *arguments)

    return run


def with_constant(name):
    """The compiled executor with another constant in its updates."""

    def run(program, *arguments):
        changed = [s | ({name: CONSTANTS[name]} if s["op"] == "adam_update" else {}) for s in disassembled(program)]
        return compiled_run(assembled(changed), *arguments)

    return run


def with_one_gradient_off(instructions, jobs, rates, params, grads, *rest):
    """The compiled executor, but for one element of the gradient, which is a thousandth too large."""
    updates = np.flatnonzero([s["op"] == "begin_update" for s in disassembled(instructions)])
    before, after = np.split(instructions, updates)[:2] if updates.size else (instructions, instructions[:0])
    for step in range(int(jobs["step"][0]), int(jobs["stop"][0])):
        for part in (before, after):
            if len(part):
                jobs["step"], jobs["stop"] = step, step + 1
                compiled_run(part, jobs, rates, params, grads, *rest)
            if part is before:
                grads[np.abs(grads).argmax()] *= 1.001


def with_other_rounding(instructions, jobs, rates, params, grads, state, work, x, *rest):
    """The reference, from data whose last bits are others: about what another order of the sums makes."""
    noise = np.random.default_rng(0).choice([-0.5, 0.5], x.shape) * np.finfo(x.dtype).eps
    return reference.run(instructions, jobs, rates, params, grads, state, work, x + (x * noise).astype(x.dtype), *rest)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", PLACES, ids=[f"{place} {NAMES[place]}" for place in PLACES])
def test_an_instruction_that_does_nothing_is_found(place, dtype, monkeypatch):
    monkeypatch.setitem(EXECUTORS, "compiled", without(place))
    with pytest.raises(CommandError, match=f"the executors disagree on {NET[0]}: a .* differs by"):
        agreement.compare(*NET, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CONSTANTS)
def test_a_wrong_constant_is_found(name, dtype, monkeypatch):
    monkeypatch.setitem(EXECUTORS, "compiled", with_constant(name))
    with pytest.raises(CommandError, match="a weight.* differs|a state"):
        agreement.compare(*NET, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_wrong_number_is_found(dtype, monkeypatch):
    monkeypatch.setitem(EXECUTORS, "compiled", with_one_gradient_off)
    with pytest.raises(CommandError, match="a weight differs" if dtype == "float64" else "a gradient of W in layer"):
        agreement.compare(*NET, dtype)


@pytest.mark.parametrize("net, dtype", [(NET, "float64"), (NET, "float32"), (DRIFTS, "float32")])
def test_rounding_alone_is_no_fault(net, dtype, monkeypatch):
    """Of the executor as it is, and of one whose numbers are rounded in another way."""
    agreement.compare(*net, dtype)
    monkeypatch.setitem(EXECUTORS, "compiled", with_other_rounding)
    assert agreement.compare(*net, dtype) > 0


def test_weights_in_float32_drift_apart_by_rounding_alone():
    """By more than a learning rate, which is why they are not compared."""
    one, other = (agreement.Net.of(*DRIFTS).run("float32", "numpy") for _ in range(2))
    other.execute = with_other_rounding
    for run in (one, other):
        run.advance(agreement.CHECKED)
    assert np.abs(one.buffers.params - other.buffers.params).max() > agreement.RATE


def test_bench_compares_before_it_measures(capsys, monkeypatch):
    for dtype in DTYPES:
        bench.bench(dtype, nets=[("4-16-3", 16), ("5-8-1", 8)], seconds=0.02)
        out = capsys.readouterr().out
        rows = [line.split() for line in out.splitlines()]
        found = {row[0]: row for row in rows if row[:1] in (["4-16-3"], ["5-8-1"])}
        bound = 1e-12 if dtype == "float64" else 1e-5
        assert len(found) == 2 and bench.DIFFERENCES[dtype] in out
        assert all(float(row[3]) > float(row[2]) > 0 and float(row[5]) <= bound for row in found.values())
    monkeypatch.setitem(EXECUTORS, "compiled", with_one_gradient_off)
    assert cli.main(["bench", "--dtype", "float64"]) == cli.FAILED
    assert "the executors disagree on 4-16-3" in capsys.readouterr().err
