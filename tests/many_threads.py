"""FASTML_TEST_THREADS=n runs the tests with n threads, on however many CPUs, even where a step is little work."""

import os

from fastml.program import compiled, plan, threads, workers

VARIABLE = "FASTML_TEST_THREADS"
AVAILABLE, SHARED, OTHERS = threads.available, plan.SHARED, threads.OTHERS  # as they are without it
LITTLE = 1e-9  # operations, of which every step has more for each thread


def use(count):
    """Makes as many CPUs available to this process, and every model use them, where it has rows for all."""
    threads.available = lambda: count
    plan.SHARED = LITTLE
    threads.OTHERS = ()  # a limit for NumPy is none for these tests


def count_teams(monkeypatch):
    """A list that from now on tells how many threads have run each job together."""
    found = []

    class Counted(workers.Team):
        def __enter__(self):
            found.append(super().__enter__().threads)
            return self

    monkeypatch.setattr(compiled, "Team", Counted)
    return found


if os.environ.get(VARIABLE):
    use(int(os.environ[VARIABLE]))
