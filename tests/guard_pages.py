"""Arrays against pages of memory that nobody may read or write, and a way to run code that may fall into them.

A kernel that goes one element too far is killed by the operating system, there and then, where margins of NaN would
show only what it wrote or let flow into its results.
"""

import ctypes
import mmap
import os
import signal

import numpy as np

SIDES = ("end", "start")  # of the array, where the forbidden page is
AVAILABLE = hasattr(os, "fork") and hasattr(mmap, "MAP_ANONYMOUS")  # not on Windows
PAGE = mmap.PAGESIZE
NO_ACCESS, ALL_ACCESS = 0, mmap.PROT_READ | mmap.PROT_WRITE if AVAILABLE else 0
SECONDS = 120  # that a case may take before it counts as hung


def protect(address, size, access=NO_ACCESS):
    """Takes all access to whole pages away, or gives it back."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), access):
        raise OSError(ctypes.get_errno(), "mprotect failed")


def guarded(shape, dtype, side="end"):
    """An array with a forbidden page right behind its last element, or right before its first.

    Its bytes, and those between it and the next page, are those of NaN.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    room = -(-max(1, size) // PAGE) * PAGE
    pages = np.frombuffer(mmap.mmap(-1, room + PAGE), np.uint8)
    pages[...] = 0xFF
    start, forbidden = (room - size, room) if side == "end" else (PAGE, 0)
    protect(pages.ctypes.data + forbidden, PAGE)
    return np.ndarray(shape, dtype, pages, start)  # a slice without elements would start elsewhere


class Pages:
    """Makes copies of arrays at guard pages, on one side; the same array gets the same copy.

    `scratch`, an array, gets one for all instances: it is large, and what it holds means nothing.
    """

    rooms = {}

    def __init__(self, side, scratch):
        key = side, scratch.shape, scratch.dtype
        if key not in self.rooms:
            self.rooms[key] = guarded(scratch.shape, scratch.dtype, side)
        self.side, self.copies, self.kept = side, {id(scratch): self.rooms[key]}, [scratch]

    def array(self, values):
        values = np.asarray(values)
        if id(values) not in self.copies:
            copy = guarded(values.shape, values.dtype, self.side)
            copy[...] = values
            self.copies[id(values)] = copy
            self.kept.append(values)  # so that no other array gets its id
        return self.copies[id(values)]

    def arguments(self, arguments):
        """The arguments with all arrays among them copied."""
        return [self.array(value) if isinstance(value, np.ndarray) else value for value in arguments]


def faults_of(cases):
    """Runs pairs of name and function, each in a child process that has run those before.

    Returns a list of pairs of name and what happened, for those that were killed or raised; the next goes on in another
    child. To be called where there is one thread.
    """
    cases, faults, done = list(cases), [], 0
    while done < len(cases):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            _run(cases, done, writer)
        os.close(writer)
        with open(reader, "rb") as pipe:
            lines = pipe.read().decode().splitlines()
        _, status = os.waitpid(child, 0)
        for line in lines:
            number, _, error = line.partition(" ")
            done = int(number) + 1
            if error:
                faults.append((cases[done - 1][0], error))
        if os.WIFSIGNALED(status):
            faults.append((cases[done - 1][0], signal.Signals(os.WTERMSIG(status)).name))
        elif os.WEXITSTATUS(status):
            raise RuntimeError(f"the process that ran {cases[done - 1][0]} ended with {os.WEXITSTATUS(status)}")
    return faults


def _run(cases, first, writer):
    """The child's part: the number of each case before it runs, and what it raised behind it."""
    for number in range(first, len(cases)):
        os.write(writer, f"{number}\n".encode())
        signal.alarm(SECONDS)
        try:
            cases[number][1]()
        except BaseException as error:
            told = f"{type(error).__name__}: {error}".replace("\n", " ")
            os.write(writer, f"{number} {told}\n".encode())
    os._exit(0)
