"""No kernel and no program touches memory beyond its arrays: all lie at pages that nobody may read or write.

A part of what `tests/faults/guard_pages.py` goes through, for this machine's vectors, in processes of its own.
"""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import guard_pages
import pytest
from guard_cases import NO_ARRAYS, PARTS, Cases

from fastml.kernels.operations import OPERATIONS
from fastml.program.compiled import DTYPES

SCRIPT = Path(__file__).parent / "faults" / "guard_pages.py"

pytestmark = pytest.mark.skipif(not guard_pages.AVAILABLE, reason="there are no processes to fork here")


def results_of(*arguments):
    """What the script finds for each dtype: dicts with name, dtype, number of cases, and faults."""
    command = [sys.executable, SCRIPT, "--worker", "--few"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([*command, "--dtypes", dtype, *arguments], env=environment, stdout=subprocess.PIPE, text=True)
        for dtype in DTYPES
    ]
    found = [json.loads(line) for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return found


def test_no_kernel_and_no_program_goes_beyond_its_arrays():
    found = results_of()
    faults = [(one["name"], one["dtype"], *fault) for one in found for fault in one["faults"]]
    assert not faults
    assert {(one["name"], one["dtype"]) for one in found} == set(product([*cases_of(), "products", "programs"], DTYPES))
    assert all(one["cases"] for one in found)


def test_what_goes_beyond_by_one_element_is_noticed():
    """Read or written, before the start or behind the end, in a vector's last lane, in a workspace; each, and alone."""
    for one in results_of("--only", "beyond"):
        assert len(one["faults"]) == one["cases"] > 20
        assert {what for _, what in one["faults"]} <= {"SIGSEGV", "SIGBUS"}


def cases_of():
    return Cases("float32", few=True).by_kernel()


def test_every_kernel_has_cases():
    """Each operation, but for those that know no arrays, and each part of one that is a kernel by itself."""
    assert len(OPERATIONS) > 50
    assert set(cases_of()) | NO_ARRAYS == set(OPERATIONS) | set(PARTS) | {"wait_for_all"}
    assert not NO_ARRAYS & set(cases_of())
