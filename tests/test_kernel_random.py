"""The generator in the kernels: Philox4x32-10 by the published vectors, and the shuffle made of it."""

import numpy as np
import pytest

from fastml.kernels.random import philox, shuffle
from fastml.program import random

# Known answers of Random123 (Salmon et al., SC 2011), file kat_vectors: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize("counter, key, result", KNOWN)
def test_known_answers(counter, key, result):
    low, high = words(key)
    got = philox(np.uint64(low | high << 32), *(np.int64(word) for word in words(counter)))
    assert [int(word) for word in got] == words(result)


def shuffled(seed, epoch, n):
    order = np.full(n, -1, np.int64)
    shuffle(np.uint64(seed), np.int64(epoch), order)
    return order


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 16, 33, 1000])
@pytest.mark.parametrize("seed, epoch", [(0, 0), (1, 0), (0, 1), (2**64 - 1, 2**31), (12345678901234567890, 7)])
def test_shuffle_is_the_permutation_of_the_reference(seed, epoch, n):
    order = shuffled(seed, epoch, n)
    assert sorted(order.tolist()) == list(range(n))
    assert np.array_equal(order, random.permutation(seed, epoch, n))


def test_shuffle_does_not_depend_on_what_order_held():
    order = np.arange(50)[::-1].copy()
    shuffle(np.uint64(3), np.int64(2), order)
    assert np.array_equal(order, shuffled(3, 2, 50))


def test_other_seeds_and_epochs_give_other_orders():
    orders = {tuple(shuffled(seed, epoch, 20)) for seed in (0, 1, 2**32, 2**63) for epoch in range(50)}
    assert len(orders) == 200


@pytest.mark.parametrize("n", [2, 5, 8])
def test_every_element_stands_everywhere_equally_often(n):
    """Each count is binomial: within 5 standard deviations of its mean."""
    draws = 20_000
    counts = np.zeros((n, n))
    for epoch in range(draws):
        counts[np.arange(n), shuffled(99, epoch, n)] += 1
    sigma = np.sqrt(draws * (1 / n) * (1 - 1 / n))
    assert np.abs(counts - draws / n).max() < 5 * sigma


def test_all_orders_of_four_are_equally_likely():
    draws, counts = 24_000, {}
    for epoch in range(draws):
        order = tuple(shuffled(5, epoch, 4))
        counts[order] = counts.get(order, 0) + 1
    sigma = np.sqrt(draws * (1 / 24) * (23 / 24))
    assert len(counts) == 24
    assert max(abs(count - 1000) for count in counts.values()) < 5 * sigma
