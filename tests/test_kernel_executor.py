"""The machine code of the executor: what a step must not hold."""

import re

import numpy as np

from fastml.kernels.executor import build_executor
from fastml.kernels.instruction import INSTRUCTION, JOB
from fastml.kernels.simd import BITS


def machine_code():
    """Assembly of the executor and of the kernels that it calls, function by function: {label: text}."""
    run = build_executor(0, cache=False)  # code from the cache cannot be inspected
    empty, rows = np.zeros(0, np.float32), np.zeros((0, 1), np.float32)
    totals, order, rates = np.zeros((0, 1)), np.zeros(0, np.int64), np.zeros(1)
    run(np.zeros(0, INSTRUCTION), np.zeros(1, JOB), rates, *(empty,) * 4, *(rows,) * 3, order, totals, rows)
    (assembly,) = run.inspect_asm().values()
    parts = re.split(r"^(_ZN\w+|cfunc\.\w+|NRT_\w+):.*$", assembly, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_a_step_allocates_nothing_and_counts_no_references():
    """Threads would fight over a shared count, and an allocation costs more than a small layer."""
    functions = {label: text for label, text in machine_code().items() if label.startswith("_ZN6fastml")}
    assert any("build_executor" in label for label in functions) and any("product" in label for label in functions)
    for text in functions.values():
        assert re.findall(r"\$NRT_\w+|call\w*\s+NRT_\w+", text) == []  # Numba's runtime: memory and its counts
    if BITS == 512:
        (product,) = (text for label, text in functions.items() if "product" in label)
        assert len(re.findall(r"vfmadd\w+ps\s.*%zmm", product)) >= 24
