"""From the start of Python to a trained small net, with and without compiled code on disk, beside importing PyTorch.

Run from the root of the repository: ``.venv/bin/python bench/startup.py``. Processes go in turns; a fit counts as done
when its loss has fallen. PyTorch is left out where it is not installed.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

TRAIN = """
import numpy as np, fastml
x = np.random.default_rng(0).normal(size=(200, 4))
model = fastml.Sequential([fastml.Dense(16, "relu"), fastml.Dense(3, "softmax")], seed=1)
model.compile("adam", "sparse_categorical_crossentropy")
losses = model.fit(x, x[:, :3].argmax(axis=1), epochs=20, verbose=0).history["loss"]
assert losses[-1] < 0.9 * losses[0]
"""
COLD, WARM = 3, 7  # processes


def seconds(code, **environment):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **environment})
    return time.perf_counter() - start


def main():
    times = {"first fit ever": [], "with the cache": [], "import torch": []}
    with tempfile.TemporaryDirectory() as cache:
        for k in range(COLD):
            times["first fit ever"].append(seconds(TRAIN, NUMBA_CACHE_DIR=os.path.join(cache, str(k))))
        for _ in range(WARM):
            times["with the cache"].append(seconds(TRAIN, NUMBA_CACHE_DIR=os.path.join(cache, "0")))
            if importlib.util.find_spec("torch"):
                times["import torch"].append(seconds("import torch"))
    for name, found in times.items():
        if found:
            print(
                f"{name:<16} median {np.median(found):6.2f} s, {min(found):.2f} to {max(found):.2f}, {len(found)} times"
            )


if __name__ == "__main__":
    main()
