"""Threads that run one program together: what each does, and that they wait for each other."""

import os
import threading
from itertools import pairwise

import numpy as np
import pytest
from numba import njit

from fastml.kernels.blocks import shard_of, slice_of_blocks
from fastml.kernels.job import SLICE
from fastml.kernels.slices import LINE, rows_of_thread, slice_of
from fastml.kernels.team import PAUSES, wait_for_all
from fastml.kernels.views import at_address

SIZES = [0, 1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 100, 127, 128, 129, 1000, 1023, 1024, 1025, 60_000]
THREADS = [1, 2, 3, 4, 5, 7, 8, 16, 17, 64]
BLOCKS = [16, 48, 128, 1024]
SHARDS = [1, 2, 3, 7, 8, 16]


def assert_parts(parts, size):
    """One behind the other, they are 0 … size - 1."""
    assert parts[0][0] == 0 and parts[-1][1] == size
    assert all(first <= last for first, last in parts)
    assert all(before[1] == after[0] for before, after in pairwise(parts))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("size", SIZES)
def test_shares_are_all_of_it(size, threads):
    """As even as whole cache lines allow, and none starts within one."""
    parts = [slice_of(size, thread, threads) for thread in range(threads)]
    assert_parts(parts, size)
    assert all(first % LINE == 0 or first == size for first, _ in parts)
    lines = [-(-(last - first) // LINE) for first, last in parts]
    assert max(lines) - min(lines) <= 1


def slices(threads, count=1):
    """The slices of threads whose gradients are sums over so many rows."""
    found = np.zeros(threads, SLICE)
    found["thread"], found["threads"], found["count"] = range(threads), threads, count
    return found


@pytest.mark.parametrize("threads", THREADS)
def test_of_a_batch_in_blocks_each_thread_sums_up_all_rows_of_the_weights(threads):
    assert {rows_of_thread(1000, 16, 37, 5, one, 128) for one in slices(threads)} == {(0, 37)}
    assert {rows_of_thread(1000, 16, 37, 5, one, 128) for one in slices(threads, count=0)} == {(0, 0)}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("d_out", [1, 2, 3, 16, 33, 300])
@pytest.mark.parametrize("d_in", [1, 5, 16, 17, 64, 100, 1000])
def test_shares_of_the_rows_of_weights(d_in, d_out, threads):
    """All of them once, wherever the matrix stands; about those of the share of the parameters, up to a few lines."""
    for offset, behind in ((0, 0), (0, 5000), (48, 16), (4800, 32), (100_000, 0)):
        size = offset + d_in * d_out + behind
        parts = [rows_of_thread(size, offset, d_in, d_out, one, 0) for one in slices(threads)]
        assert_parts(parts, d_in)
        assert all(first % LINE == 0 or first == d_in for first, _ in parts)
        for thread, (first, last) in enumerate(parts if threads > 1 else ()):
            left, right = slice_of(size, thread, threads)
            for row, place in ((first, left), (last, right)):
                wanted = min(max((place - offset) / d_out, 0), d_in)
                assert 0 <= row - wanted < LINE


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("block", BLOCKS)
def test_shares_of_a_batch_in_blocks(block, shards, threads):
    """Whole shards for each thread; each block belongs to one shard, and the first of a shard is known as such.

    Which blocks are a shard, and their order, does not depend on the threads.
    """
    for n in [size for size in SIZES if size]:
        blocks = -(-n // block)
        found = [shard_of(k * block, n, block, shards) for k in range(blocks)]
        numbers = [int(shard) for shard, _ in found]
        assert sorted(set(numbers)) == list(range(min(shards, blocks))) and numbers == sorted(numbers)
        assert [bool(fresh) for _, fresh in found] == [k == 0 or numbers[k - 1] < numbers[k] for k in range(blocks)]
        counts = np.bincount(numbers)
        assert counts.max() - counts.min() <= 1

        parts = [slice_of_blocks(n, block, shards, thread, threads) for thread in range(threads)]
        assert_parts(parts, n)
        taken = []
        for first, last in parts:
            assert first % block == 0 or first == n
            taken.append({numbers[k] for k in range(first // block, -(-last // block))} if first < last else set())
        assert sum(map(len, taken)) == len(set().union(*taken)) == min(shards, blocks)
        assert max(map(len, taken)) - min(map(len, taken)) <= 1


@njit(nogil=True)
def rounds(address, room, thread, threads, times):
    """Each round, every thread writes its number, and reads those of all others once they have met; counts errors."""
    arrived, slots = address, at_address(0, room, threads)
    wrong = 0
    for turn in range(times):
        slots[thread] = turn * 1000 + thread
        wait_for_all(arrived, threads, 2 * turn + 1)
        for other in range(threads):
            wrong += slots[other] != turn * 1000 + other
        wait_for_all(arrived, threads, 2 * turn + 2)  # before anyone writes again
    return wrong


def in_threads(function, threads):
    """What function(k) returns for each thread k, all at the same time."""
    results = [None] * threads

    def run(thread):
        results[thread] = function(thread)

    team = [threading.Thread(target=run, args=(thread,), daemon=True) for thread in range(threads)]
    for member in team:
        member.start()
    for member in team:
        member.join(timeout=60)
    assert not any(member.is_alive() for member in team), "they wait for each other for ever"
    return results


@pytest.mark.parametrize("threads, times", [(1, 1000), (2, 5000), (3, 300), (2 * (os.cpu_count() or 1) + 1, 100)])
def test_what_each_wrote_before_all_read_after(threads, times):
    """Also of more threads than there are CPUs: who waits makes way."""
    arrived, slots = np.zeros(16, np.int64), np.zeros(threads, np.int64)
    rounds(arrived.ctypes.data, slots.ctypes.data, 0, 1, 0)  # compiled before
    address, room = arrived[8:].ctypes.data, slots.ctypes.data
    assert in_threads(lambda thread: rounds(address, room, thread, threads, times), threads) == [0] * threads
    assert arrived[8] == (threads * 2 * times if threads > 1 else 0)
    assert arrived[9] >= 0 and not np.delete(arrived, [8, 9]).any()


@njit(nogil=True)
def arrive(address, threads):
    wait_for_all(address, threads, 1)


def test_nobody_goes_on_before_all_have_come():
    arrived, through = np.zeros(16, np.int64), []
    address = arrived[8:].ctypes.data
    arrive(address, 1)

    def run(thread):
        arrive(address, 3)
        through.append(thread)

    team = [threading.Thread(target=run, args=(thread,), daemon=True) for thread in range(3)]
    for member in team[:2]:
        member.start()
    for member in team[:2]:
        member.join(timeout=0.2)
        assert member.is_alive()
    assert through == [] and arrived[8] == 2
    assert arrived[9] > 0, f"after {PAUSES} turns they offer their cores, and count how often"
    team[2].start()
    for member in team:
        member.join(timeout=60)
    assert sorted(through) == [0, 1, 2]
