"""Python's own answer to Ctrl-C in every test: a shell that runs the tests in the background takes it away."""

import signal

import pytest


@pytest.fixture(autouse=True)
def keyboard_interrupt():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
