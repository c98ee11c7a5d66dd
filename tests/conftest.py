"""Python's own answer to Ctrl-C in every test: a shell that runs the tests in the background takes it away.

With FASTML_TEST_THREADS=n in the environment, all tests run with n threads, also the processes that they start;
FASTML_TEST_SEED=n draws the cases of an earlier run.
"""

import os
import signal
import sys
from pathlib import Path

import fresh_seed
import many_threads
import pytest

from fastml.kernels.cpu import BITS

if os.environ.get(many_threads.VARIABLE):
    folders = [str(Path(__file__).parent / "startup"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, folders))


def pytest_report_header():
    threads = os.environ.get(many_threads.VARIABLE, "its own number of")
    return f"fastml: {threads} threads, vectors of {BITS} bits, {fresh_seed.REPEAT}"


@pytest.fixture(autouse=True)
def keyboard_interrupt():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def no_figures_left():
    """pyplot keeps the figures of `fastml.plots` once some test has imported it, and warns of many."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
