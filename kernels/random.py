"""Random numbers without state: each is a function of seed, epoch, step, stream and index alone.

So the numbers do not depend on how many threads draw them, or in which order, and training can resume at any step.
Generator: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
"""

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastml.kernels.words import Words

# Streams: what a number is for. The low 24 bits can hold the position of a layer or parameter in the model.
SHUFFLE = 1 << 24
INITIAL = 2 << 24
DROPOUT = 3 << 24

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MULTIPLIER_0 = np.uint64(0xD2511F53)
MULTIPLIER_1 = np.uint64(0xCD9E8D57)
WEYL_0 = np.uint64(0x9E3779B9)
WEYL_1 = np.uint64(0xBB67AE85)


def rounds(k0, k1, c0, c1, c2, c3):
    """The ten rounds of Philox on `Words` of 32 bits: one, or a vector of them."""
    c0, c1, c2, c3 = c0 & LOW, c1 & LOW, c2 & LOW, c3 & LOW
    for _ in range(10):
        p0, p1 = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + WEYL_0) & LOW, (k1 + WEYL_1) & LOW
    return c0, c1, c2, c3


@intrinsic
def four_words(typingctx, key, counter):
    """Four random words, a tuple of uint64, from tuples of 2 and 4 words."""

    def codegen(context, builder, signature, args):
        key_words, counter_words = cgutils.unpack_tuple(builder, args[0], 2), cgutils.unpack_tuple(builder, args[1], 4)
        words = [Words(builder, word) for word in key_words + counter_words]
        return cgutils.pack_array(builder, [word.value for word in rounds(*words)])

    return types.UniTuple(types.uint64, 4)(key, counter), codegen


@njit(inline="always", error_model="numpy")
def philox(seed, index, step, epoch, stream):
    """Four random 32-bit words, as uint64, of a 64-bit seed and a counter of four 32-bit words."""
    key = np.uint64(seed) & LOW, np.uint64(seed) >> HALF
    return four_words(key, (np.uint64(index), np.uint64(step), np.uint64(epoch), np.uint64(stream)))


@njit(inline="always", error_model="numpy")
def shuffle(seed, epoch, order):
    """A uniformly random permutation of 0 … n-1 for this epoch (Fisher-Yates, inside out). Overwrites order.

    order : (n,) int64, n < 2**32. Position i draws from i + 1 places by multiply-shift, biased by less than n / 2**32.
    """
    for block in range((order.size + 3) // 4):
        words = philox(seed, np.int64(block), np.int64(0), np.int64(epoch), np.int64(SHUFFLE))
        for i in range(4 * block, min(4 * block + 4, order.size)):
            j = np.int64((words[i % 4] * np.uint64(i + 1)) >> HALF)
            order[i] = order[j]
            order[j] = i
