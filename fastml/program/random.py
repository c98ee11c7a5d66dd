"""The random numbers of fastml in NumPy: the same Philox4x32-10 as in the compiled kernels, all at once.

Every number is a function of seed, epoch, step, stream (what it is for, with the layer) and index; see
`fastml.kernels.random` for the streams and the source.
"""

import math
import random
import secrets
from functools import lru_cache

import numpy as np

from fastml.attributes import positive_integer
from fastml.kernels.random import DROPOUT, INITIAL, SHUFFLE

LOW = np.uint64(0xFFFFFFFF)


seeds = None  # where those of models come from that are given none: chance, or see `set_random_seed`


def set_random_seed(seed: int) -> None:
    """Makes what follows repeatable, as in Keras: Python's random, NumPy's global generator, and models without a seed.

    seed : int from 0 to 2**32 - 1. Models that are made from now on draw their seeds from a sequence that starts with
    it. ``Sequential(…, seed=…)`` needs none of that.
    """
    global seeds
    seed = positive_integer("seed", seed, most=2**32 - 1, least=0)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002, as it is the one that Keras sets
    seeds = random.Random(seed)


def draw_seed():
    """A seed for a model that was given none."""
    return secrets.randbits(64) if seeds is None else seeds.getrandbits(64)


def check_seed(seed):
    """The seed as an int of 64 bits; TypeError or ValueError otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer, got {type(seed).__name__}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be from 0 to 2**64 - 1, got {seed}")
    return int(seed)


MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
WEYL = np.arange(10, dtype=np.uint64).reshape(10, 1, 1) * np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)  # by round
HALF = np.uint64(32)


def philox(seed, index, step, epoch, stream):
    """Four random 32-bit words, as uint64, for each element of `index`: shape (4, …).

    `stream` may be an array like it. Words 0 and 2 of the counter go through a round side by side, and so do 1 and 3:
    NumPy takes longer to be called than for the arithmetic of a few numbers.
    """
    index = np.asarray(index, dtype=np.uint64)
    even, odd = np.empty((2, index.size), np.uint64), np.empty((2, index.size), np.uint64)
    even[0], odd[0], even[1], odd[1] = index.ravel() & LOW, int(step) & LOW, int(epoch) & LOW, np.ravel(stream)
    start = np.array(halves(seed), np.uint64).reshape(2, 1)
    for key in (start + WEYL) & LOW:
        product = even * MULTIPLIERS
        even = (product >> HALF)[::-1] ^ odd
        even ^= key
        product &= LOW
        odd = product[::-1]
    return np.array([even[0], odd[0], even[1], odd[1]]).reshape(4, *index.shape)


def halves(seed):
    """The lower and the upper 32 bits of a seed."""
    return int(seed) & 0xFFFFFFFF, int(seed) >> 32


def permutation(seed, epoch, n):
    """The order of n rows in an epoch: a uniformly random permutation, (n,) int64."""
    words = philox(seed, np.arange((n + 3) // 4), 0, epoch, SHUFFLE).T.ravel()[:n]
    places = (words * np.arange(1, n + 1, dtype=np.uint64)) >> np.uint64(32)
    order = list(range(n))
    for i, j in enumerate(places.tolist()):
        order[i] = order[j]
        order[j] = i
    return np.array(order, dtype=np.int64)


def dropout_mask(seed, step, epoch, layer, rate, shape):
    """The factors of a dropout layer for a batch: 0 with probability `rate`, else 1 / (1 - rate), float64.

    Four words of a counter are four elements, 16 apart, as the compiled kernel takes the words of 16 counters at once.
    """
    size = int(np.prod(shape))
    blocks = -(-size // 64)
    words = philox(seed, np.arange(16 * blocks), step, epoch, DROPOUT + layer)
    words = words.reshape(4, blocks, 16).transpose(1, 0, 2).ravel()[:size].reshape(shape)
    return (words >= np.rint(rate * 2.0**32)) / (1 - rate)


CHUNK = 4096  # numbers that are drawn at a time


class Streams:
    """The Streams of a model's parameters, of these sizes. Where they are few numbers, they are drawn at once."""

    def __init__(self, seed, sizes):
        self.seed, self.sizes = seed, sizes
        self.words = None  # of each position, once one is asked for

    def __getitem__(self, position):
        return Stream(self.seed, position, self)

    def drawn(self, position, size):
        """The words for so many numbers of a position, (4, size), or None where they are not drawn yet."""
        if sum(self.sizes) > CHUNK or size != self.sizes[position]:
            return None
        if self.words is None:
            index, stream, self.starts = places_of(*self.sizes)
            self.words = philox(self.seed, index, 0, 0, stream)
        return self.words[:, self.starts[position] : self.starts[position + 1]]


@lru_cache(64)
def places_of(*sizes):
    """Index and stream of each number of Streams of these sizes, one after the other, and where each of them starts."""
    index = np.concatenate([np.arange(size) for size in sizes])
    starts = [0, *np.cumsum(sizes).tolist()]
    return index, np.repeat(INITIAL + np.arange(len(sizes)), sizes), starts


class Stream:
    """Random numbers for the start values of parameter number `position` of a model, which may be drawn `together`."""

    def __init__(self, seed, position, together=None):
        self.seed, self.position, self.together = seed, position, together

    def uniform(self, shape):
        """Uniform in [0, 1) with 53 random bits, float64."""
        return self._drawn(shape, lambda bits, _: bits * 2.0**-53)

    def normal(self, shape):
        """Standard normal, float64 (Box-Muller)."""

        def polar(bits, angle):
            return np.sqrt(-2 * np.log((bits + 1) * 2.0**-53)) * np.cos(2 * np.pi * angle * 2.0**-32)

        return self._drawn(shape, polar)

    def generator(self):
        """A NumPy Generator of its own."""
        return np.random.default_rng([*halves(self.seed), self.position])

    def _drawn(self, shape, number):
        """What `number` makes of whole numbers of 53 and of 32 random bits, some at a time, which stay in the cache."""
        size = math.prod(shape)
        drawn = self.together.drawn(self.position, size) if self.together else None
        if drawn is not None:
            return self._numbers(drawn, number).reshape(shape)
        found = np.empty(size)
        for first in range(0, size, CHUNK):
            index = np.arange(first, min(first + CHUNK, size))
            words = philox(self.seed, index, 0, 0, INITIAL + self.position)
            found[first : first + CHUNK] = self._numbers(words, number)
        return found.reshape(shape)

    @staticmethod
    def _numbers(w, number):
        return number((w[0] << np.uint64(21)) ^ (w[1] >> np.uint64(11)), w[2])
