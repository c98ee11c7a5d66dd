"""Processes of their own, for what would harm that of the tests: signals, forks, threads that never come back."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from many_threads import VARIABLE


def report(code, timeout=120, threads=4, **environment):
    """What a new process prints as JSON, which gets so many CPUs and uses them in every model."""
    folder = str(Path(__file__).parent)
    start = f"import sys; sys.path.insert(0, {folder!r}); import many_threads; many_threads.use({threads})\n"
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", start + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, VARIABLE: "", **environment},
    )
    assert result.returncode == 0, f"exit code {result.returncode}: {result.stderr}"
    return json.loads(result.stdout)


TRAIN = """
    import json, os, signal, threading, time, warnings
    import numpy as np
    import fastml, fastml.program.workers
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
    def made():
        model = fastml.Sequential([fastml.Dense(33, "tanh"), fastml.Dense(3)], seed=1)
        model.compile("adam")
        return model
    def data(rows=300):
        rng = np.random.default_rng(0)
        return rng.normal(size=(rows, 5)), rng.normal(size=(rows, 3))
    def trained(rows=300, epochs=2, **arguments):
        model, (x, y) = made(), data(rows)
        model.fit(x, y, 64, epochs, verbose=0, **arguments)
        return [float(w.sum()) for w in model.get_weights()] + [float(model.predict(x).sum())]
"""
