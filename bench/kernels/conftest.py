"""Equality first, then the time."""

import numpy as np
import pytest

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # of the largest element


@pytest.fixture
def compare(benchmark):
    """compare(group, rival, kernel, numpy): checks that both give the same, then times the one that `rival` names.

    `kernel` and `numpy` take no arguments and return the arrays or numbers that they computed.
    """

    def check_and_time(group, rival, kernel, numpy):
        for ours, theirs in zip(kernel(), numpy(), strict=True):
            tolerance = TOLERANCE[np.asarray(ours).dtype.name] * np.abs(theirs).max()
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
        benchmark.group = group
        benchmark({"fastml": kernel, "numpy": numpy}[rival])

    return check_and_time


@pytest.fixture
def random():
    return np.random.default_rng(0)


def pytest_generate_tests(metafunc):
    if "rival" in metafunc.fixturenames:
        metafunc.parametrize("rival", ["fastml", "numpy"])
