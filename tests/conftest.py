"""Python's own answer to Ctrl-C in every test: a shell that runs the tests in the background takes it away.

With FASTML_TEST_THREADS=n in the environment, all tests run with n threads, also the processes that they start.
"""

import os
import signal
from pathlib import Path

import many_threads
import pytest

if os.environ.get(many_threads.VARIABLE):
    folders = [str(Path(__file__).parent / "startup"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, folders))


def pytest_report_header():
    return f"fastml: {os.environ.get(many_threads.VARIABLE, 'its own number of')} threads"


@pytest.fixture(autouse=True)
def keyboard_interrupt():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
