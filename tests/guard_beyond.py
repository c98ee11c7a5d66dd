"""Calls that go one element beyond an array, which guard pages must notice."""

from itertools import product

import numpy as np
import test_same_bits
from guard_cases import kernel
from guard_pages import SIDES, guarded
from guard_programs import Spaced, everything_at
from numba import njit

from fastml.kernels.views import vector
from fastml.program import compiled

SIZES = 0, 1, 7, 1024, 1031  # of which one fills whole pages


@njit
def read(array, place):
    return vector(array, place, 1)[0]


@njit
def write(array, place):
    vector(array, place, 1)[0] = 1


def beyond(dtype):
    """Pairs of name and function, each of which must be killed."""
    for function in (read, write):
        function(np.zeros(1, dtype), 0)
    for name, size, side in product(("read", "write"), SIZES, SIDES):
        function, place = globals()[name], size if side == "end" else -1
        yield f"{name} {size} {side}", lambda f=function, n=size, s=side, p=place: f(guarded((n,), dtype, s), p)
    add, large = kernel("add"), np.zeros(65, dtype)
    add(large, large)
    yield "the last lane of a vector", lambda: add(large, guarded((64,), dtype))
    compiled.warmup(dtype)
    for side in SIDES:
        yield f"a program with too little room at the {side}", lambda s=side: too_little(s, dtype)


def too_little(side, dtype):
    """A training whose pieces of the workspace lack an element each."""
    room = Spaced.workspace

    def less(self, size):
        return room(self, size - 1) - (side == "start")

    Spaced.workspace = less
    with everything_at(side):
        test_same_bits.results(test_same_bits.Case("no hidden layer", "one line"), dtype)
