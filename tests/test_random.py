"""Random numbers in NumPy: the same generator as the kernels', and what is made of it."""

import numpy as np
import pytest
from test_kernel_random import KNOWN, words

from fastml.kernels import random as kernels
from fastml.program.random import Stream, permutation, philox

DRAWS = 100_000


@pytest.mark.parametrize("counter, key, result", KNOWN)
def test_known_answers(counter, key, result):
    low, high = words(key)
    assert philox(low | high << 32, *words(counter)).tolist() == words(result)


def test_all_at_once_is_one_by_one():
    together = philox(77, np.arange(10), 3, 4, 5)
    assert together.shape == (4, 10)
    for index in range(10):
        assert together[:, index].tolist() == [int(word) for word in kernels.philox(np.uint64(77), index, 3, 4, 5)]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 100])
def test_a_permutation_holds_every_row_once(n):
    order = permutation(3, 1, n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_every_argument_counts():
    """Another seed, in either half, or another position gives other numbers."""
    streams = [Stream(seed, position) for seed in (0, 1, 2**32, 2**63) for position in range(20)]
    drawn = {tuple(stream.uniform((4,))) for stream in streams}
    assert len(drawn) == len(streams)


@pytest.mark.parametrize("draw", ["uniform", "normal"])
def test_streams_have_no_state(draw):
    a = getattr(Stream(5, 1), draw)((3, 4))
    stream = Stream(5, 1)
    stream.uniform((9,))
    assert np.array_equal(getattr(stream, draw)((3, 4)), a)
    assert a.shape == (3, 4) and a.dtype == np.float64


def test_the_first_numbers_do_not_depend_on_how_many_are_drawn():
    assert np.array_equal(Stream(5, 1).uniform((100,))[:7], Stream(5, 1).uniform((7,)))


def within_five_sigma(values, mean, variance, fourth):
    """Whether mean and variance of the sample are those of a distribution with this fourth central moment."""
    deviation = abs(values.mean() - mean) / np.sqrt(variance / values.size)
    spread = abs(((values - mean) ** 2).mean() - variance) / np.sqrt((fourth - variance**2) / values.size)
    return deviation < 5 and spread < 5


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_uniform_numbers(seed):
    u = Stream(seed, 0).uniform((DRAWS,))
    assert (u >= 0).all() and (u < 1).all()
    assert within_five_sigma(u, 1 / 2, 1 / 12, 1 / 80)
    counts = np.bincount((u * 64).astype(int), minlength=64)
    assert np.abs(counts - DRAWS / 64).max() < 5 * np.sqrt(DRAWS / 64 * 63 / 64)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_normal_numbers(seed):
    z = Stream(seed, 0).normal((DRAWS,))
    assert np.isfinite(z).all()
    assert within_five_sigma(z, 0, 1, 3)
    for limit, share in ((1, 0.682689492), (2, 0.954499736), (3, 0.997300204)):
        count = (np.abs(z) < limit).sum()
        assert abs(count - share * DRAWS) < 5 * np.sqrt(DRAWS * share * (1 - share))


@pytest.mark.parametrize("draw", ["uniform", "normal"])
def test_neighbours_are_not_correlated(draw):
    """Neither along a stream nor between the streams of two parameters."""
    a, b = (getattr(Stream(8, position), draw)((DRAWS,)) for position in (0, 1))
    for u, v in ((a[:-1], a[1:]), (a, b)):
        assert abs(np.corrcoef(u, v)[0, 1]) < 5 / np.sqrt(DRAWS)


def test_the_streams_of_shuffles_and_start_values_are_apart():
    assert len({kernels.SHUFFLE >> 24, kernels.INITIAL >> 24}) == 2
    assert kernels.SHUFFLE & 0xFFFFFF == kernels.INITIAL & 0xFFFFFF == 0
