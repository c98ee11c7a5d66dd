"""A crew: workers that each run whole jobs, one after the other, while the thread that gives them goes on in Python."""

import ctypes
import time
from collections import deque

import numpy as np

from fastml.kernels.executor import TURNS
from fastml.kernels.team import LEFT
from fastml.kernels.turns import LINE, TURN
from fastml.program import linking
from fastml.program.memory import address_of
from fastml.program.workers import Team

ROOM = 16  # turns that a line has room for
NAP = 1e-4  # seconds between two looks at workers that are to come to an end

release_lock = ctypes.pythonapi.PyThread_release_lock
release_lock.restype, release_lock.argtypes = None, [ctypes.c_void_p]


class Line:
    """The jobs that one thread runs: a worker, whose WORKER it is given, or the caller, who is None."""

    def __init__(self, worker=None):
        self.worker = worker
        self.turns, self.record, self.arrived = np.zeros(ROOM, TURN), np.zeros(1, LINE), np.zeros(24, np.int64)[8:]
        self.record["turns"], self.record["room"] = address_of(self.turns), ROOM
        self.record["arrived"] = address_of(self.arrived)
        self.address, self.fields = address_of(self.record), self.record[0]
        self.waiting = deque()  # what was posted and not told as done
        self.posted = self.told = self.woken = 0

    @property
    def free(self):
        """Turns that may be posted."""
        return ROOM - len(self.waiting)

    @property
    def awake(self):
        """Whether the worker is at work, or about to leave."""
        return self.woken > self.arrived[LEFT]

    def post(self, job, token):
        """Appends the JOB at an address; `done` gives the token when it has run."""
        self.turns[self.posted % ROOM]["job"] = job
        self.waiting.append(token)
        self.posted += 1
        self.fields["posted"] = self.posted
        self.wake()

    def wake(self):
        """Wakes the worker if there is something to do for it, which it may have missed when it went to sleep."""
        behind = self.fields["done"] < self.posted and not self.fields["closed"]
        if self.worker is not None and behind and not self.awake:
            self.worker["job"], self.worker["thread"] = self.address, TURNS
            self.woken += 1
            release_lock(self.worker["lock"].item())

    def done(self):
        """Tokens of the jobs that have run since the last call, with the ticks that each took."""
        found, done = [], int(self.fields["done"])
        while self.told < done:
            found.append((self.waiting.popleft(), int(self.turns[self.told % ROOM]["ticks"])))
            self.told += 1
        self.wake()
        return found

    def run(self):
        """Runs what was posted, in the thread of the caller."""
        linking.executor()(self.address, TURNS)

    def close(self):
        """Has the worker take no further turns, and waits until it sleeps."""
        self.fields["closed"] = 1
        while self.worker is not None and self.awake:
            time.sleep(NAP)


class Crew:
    """Workers for jobs of one thread each, in a ``with`` block: up to so many threads with that of the caller."""

    def __init__(self, threads):
        self.team = Team(linking.executor(), threads)

    def __enter__(self):
        self.team.__enter__()
        self.own, self.lines = Line(), [Line(worker) for worker in self.team.workers]
        return self

    def __exit__(self, *error):
        for line in self.lines:
            line.close()
        self.team.__exit__(*error)
