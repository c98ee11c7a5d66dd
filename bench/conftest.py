"""The table of step times that ends a run of the benchmarks."""

import pytest

STEP_TIMES = pytest.StashKey[dict]()


def pytest_configure(config):
    config.stash[STEP_TIMES] = {}


@pytest.fixture
def step_times(request):
    """Collects seconds per step: {(net, batch, dtype): {executor: median}}."""
    return request.config.stash[STEP_TIMES]


@pytest.hookimpl(trylast=True)  # below the tables of pytest-benchmark
def pytest_terminal_summary(terminalreporter, config):
    times = {case: found for case, found in config.stash[STEP_TIMES].items() if len(found) == 2}
    if not times:
        return
    terminalreporter.section("a training step: median in microseconds, compiled against NumPy")
    terminalreporter.line(f"{'net':<12} {'batch':>5}  {'dtype':<8} {'compiled':>9} {'NumPy':>9} {'ratio':>7}")
    for (net, batch, dtype), found in times.items():
        compiled, rival = found["compiled"] * 1e6, found["numpy"] * 1e6
        ratio = f"{rival / compiled:.1f}x"
        terminalreporter.line(f"{net:<12} {batch:>5}  {dtype:<8} {compiled:>9.2f} {rival:>9.2f} {ratio:>7}")
