"""The command ``fastml warmup``: compiles all kernels ahead, by as many processes as there are cores."""

import json
import subprocess
import sys
import time

from fastml.commands.figures import many
from fastml.program import compiled, linking
from fastml.program.threads import available

SHARE = "import json, sys; from fastml import linking; linking.ready([tuple(pair) for pair in json.loads(sys.argv[1])])"
ENOUGH = 8  # kernels for a process, which takes as long to start as it takes to compile a few


def warmup(dtypes):
    """Runs the command for these dtypes."""
    for dtype in dtypes:
        start = time.perf_counter()
        missing = [pair for pair in linking.everything(dtype) if not linking.stored(*pair)]
        compile_together(missing)
        compiled.warmup(dtype)
        what = f"{many(len(missing), 'kernel')} compiled" if missing else "found on disk"
        print(f"{dtype}  {what:<20}  {time.perf_counter() - start:5.2f} s", flush=True)


def compile_together(pairs):
    """Has processes compile their shares of what is missing, this one among them.

    The others say nothing; what they fail at is left to `compiled.warmup`, which tells why.
    """
    count = max(1, min(available(), len(pairs) // ENOUGH))
    shares = [json.dumps(pairs[k::count]) for k in range(1, count)]
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    others = [subprocess.Popen([sys.executable, "-c", SHARE, share], **silent) for share in shares]
    try:
        linking.ready(pairs[::count])
    finally:
        for process in others:
            process.wait()
