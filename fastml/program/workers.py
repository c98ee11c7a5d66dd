"""The threads that help the one which runs a job: workers, which sleep in machine code until they are woken.

The executor wakes the workers of its job and returns when all have left it (`fastml.kernels.team`). No Python runs in
between, so that an exception, whatever its origin, finds no thread at work on arrays that it then frees.
"""

import _thread
import ctypes
import os
import threading

import numpy as np

from fastml.kernels.executor import SERVES
from fastml.kernels.team import WORKER
from fastml.program import threads

allocate_lock = ctypes.pythonapi.PyThread_allocate_lock
allocate_lock.restype, allocate_lock.argtypes = ctypes.c_void_p, []
acquire_lock = ctypes.pythonapi.PyThread_acquire_lock
acquire_lock.restype, acquire_lock.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]


class Pool:
    """The workers that sleep, and how many threads of this process run jobs."""

    def __init__(self):
        self.lock = threading.RLock()  # a Team that is forgotten gives back from wherever Python then is
        self.idle = []
        self.busy = 0
        self.born = []  # records of all workers, which read them as long as the process lives


_pool = Pool()


def new_worker(enter):
    """A worker that serves in the executor `enter`: its WORKER (1,).

    RuntimeError where the system refuses a thread.
    """
    record = np.zeros(1, WORKER)
    lock = allocate_lock()
    if not lock:
        raise RuntimeError("the system refuses another lock")
    acquire_lock(lock, 1)  # so that the worker sleeps until the first job
    record["lock"] = lock
    _pool.born.append(record)
    _thread.start_new_thread(enter, (record.ctypes.data, SERVES))  # which no exception can interrupt halfway
    return record


class Disbanded:
    """What a Team is once it has given its workers back: in its end no line of Python runs, in which an exception from
    a signal's handler would be lost.
    """

    def release(self):
        """Gives the workers back, once, however the block ended: also where an exception kept it from beginning."""
        with self.pool.lock:
            counted, self.counted = self.counted, 0
            self.pool.busy -= counted
            while self.workers:
                self.pool.idle.append(self.workers.pop())


class Team(Disbanded):
    """Workers for a job that wants so many threads, in a ``with`` block: as many as there are CPUs that nobody uses.

    There may be fewer, also where the system refuses a thread. Results do not depend on it.
    """

    def __init__(self, enter, wanted):
        self.enter, self.wanted = enter, wanted
        self.pool, self.workers, self.counted = _pool, [], 0

    def __enter__(self):
        most = threads.available() if self.wanted > 1 else 1
        with self.pool.lock:
            free = most - self.pool.busy
            self.counted = count = max(1, min(self.wanted, free))
            self.pool.busy += count
            while self.pool.idle and len(self.workers) < count - 1:
                self.workers.append(self.pool.idle.pop())
        while len(self.workers) < count - 1:
            try:
                self.workers.append(new_worker(self.enter))
            except RuntimeError:
                break
        self.addresses = np.array([worker.ctypes.data for worker in self.workers], np.int64)
        return self

    @property
    def threads(self):
        """Threads of the job, with that of its caller."""
        return 1 + len(self.workers)

    def __exit__(self, *_):
        self.release()
        self.__class__ = Disbanded

    def __del__(self):
        self.release()


def _start_anew():
    """In a child process, which has none of its parent's threads, and perhaps a lock that one of them held."""
    global _pool
    _pool = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
