"""A process for one library at one number of threads, which does what it is told and sleeps meanwhile.

Parent and child exchange lines of JSON over pipes; arrays go through files. The child gets its cores and its
environment before it imports the library.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.peers.nets import find
from bench.peers.session import Skip

ROOT = Path(__file__).parents[2]


class Rival(NamedTuple):
    """A library, by what its sessions are: a class in a module here, in an environment of its own if one is named."""

    label: str
    module: str
    kind: str
    environment: str = ""


RIVALS = {
    "fastml": Rival("fastml", "ours", "Fastml"),
    "numpy": Rival("NumPy", "ours", "NumPy"),
    "pytorch": Rival("PyTorch eager", "pytorch", "Eager"),
    "pytorch-compiled": Rival("PyTorch compiled", "pytorch_compiled", "Compiled"),
    "jax": Rival("JAX", "jax_scan", "Scan"),
    "jax-0.4.31": Rival("JAX 0.4.31", "jax_scan", "Scan", ".venv-peers-jax"),  # the last with the older runtime
    "scikit-learn": Rival("scikit-learn", "scikit", "MLP"),
}
ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}


def usable_cores():
    """The numbers of the cores that this process may use; on systems that do not tell, of all."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count()))


def pin(cores):
    """Keeps this process on these cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


class Failed(Exception):
    """The worker ended, or an error came up in it; the text is the last line of what it wrote."""


class Worker:
    """The parent's end. `ask` sends a request and waits for the answer, a dict."""

    def __init__(self, rival, threads):
        cores = usable_cores()
        self.rival, self.threads = rival, threads
        self.log = tempfile.TemporaryFile("w+")
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(variables, str(threads))
        environment |= {"JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        environment |= ONE_THREAD if threads == 1 else {}
        used = ",".join(map(str, cores[-threads:]))
        python = ROOT / RIVALS[rival].environment / "bin/python" if RIVALS[rival].environment else sys.executable
        if not os.path.exists(python):
            raise Failed(f"there is no {RIVALS[rival].environment}, which make bench-peers tries to make")
        command = [python, "-m", "bench.peers.worker", rival, str(threads), used]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log, "text": True}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)

    def ask(self, do, **arguments):
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            lines = self.log.read().strip().splitlines()
            raise Failed(lines[-1] if lines else "the process ended")
        answer = json.loads(line)
        if "skip" in answer:
            raise Skip(answer["skip"])
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.log.close()


class Service:
    """The child's end: a method for each request."""

    def __init__(self, rival, threads):
        made = RIVALS[rival]
        self.kind = getattr(importlib.import_module(f"bench.peers.{made.module}"), made.kind)
        self.version = self.kind.library(threads)
        self.sessions = {}

    def info(self):
        return {"version": self.version}

    def prepare(self, net, data):
        """Loads data and start weights, and trains an epoch, so that everything is compiled."""
        with np.load(data) as arrays:
            start = [arrays[f"start_{k}"] for k in range(len(arrays.files) - 2)]
            session = self.kind(find(net), arrays["x"], arrays["y"], start)
        session.train(session.stride)
        self.sessions[net] = session
        return {"stride": session.stride}

    def check(self, net, epochs, shuffle, result):
        """Trains from the start and writes the weights."""
        session = self.sessions[net]
        session.restart()
        session.train(epochs, shuffle)
        np.savez(result, *session.weights())
        return {}

    def burst(self, net, epochs):
        """Trains from the start; seconds without the restart."""
        session = self.sessions[net]
        session.restart()
        start = time.perf_counter()
        session.train(epochs)
        return {"seconds": time.perf_counter() - start}

    def forget(self):
        self.sessions.clear()
        return {}


def main(rival, threads, cores):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    pin([int(core) for core in cores.split(",")])
    service = Service(rival, int(threads))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(service, request.pop("do"))(**request)
        except Skip as reason:
            answer = {"skip": str(reason)}
        except Exception as error:
            traceback.print_exc()
            answer = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
