"""The operations of the reference that steer a program or look beside it: they compute nothing that training needs."""

import ctypes
import time

import numpy as np

from fastml.kernels.epochs import LIMIT


def array_at(address, dtype, size):
    """The array of so many elements at an address; it owns nothing."""
    dtype, size = np.dtype(dtype), int(size)
    memory = (ctypes.c_char * (size * dtype.itemsize)).from_address(int(address)) if size else None
    return np.ndarray(size, dtype, memory)


def barrier(job, slice_):
    pass  # there is one thread


def begin_block(job, slice_):
    first = slice_.first + slice_.m if slice_.blocks else 0
    blocks = -(-slice_.n // job.block)
    shards = min(job.shards, blocks)
    starts = {shard * blocks // shards * job.block: shard for shard in range(shards)}  # first row of each
    slice_.first, slice_.m = first, min(job.block, slice_.n - first)
    slice_.count, slice_.fresh, slice_.shard = slice_.m, first in starts, starts.get(first, slice_.shard)
    slice_.blocks += 1


def next_block(slice_):
    if slice_.first + slice_.m < slice_.n:
        slice_.next = 0


def stop_unless_finite(job, slice_):
    slice_.diverged = not np.isfinite(job.batch_loss)


def begin_update(job, slice_):
    loss = job.batch_loss / slice_.n
    slice_.worse, slice_.loss = loss > slice_.loss, loss
    slice_.t += 1


def watch(job, slice_, limit):
    limit = array_at(limit, LIMIT, 1)[0]
    totals = array_at(limit["totals"], np.float64, limit["size"]).reshape(-1, limit["columns"])[slice_.epoch]
    value = limit["scale"] * ((totals[limit["column"]] if totals[0] == totals[0] else totals[0]) / limit["rows"])
    best, tolerance, strict = limit["best"], limit["tolerance"], limit["strict"]
    reached = value + tolerance < best if strict else value <= best - tolerance
    if reached or (value < best and not strict):
        limit["best"] = value
    limit["waited"] = 0 if reached else limit["waited"] + 1
    if reached and limit["kept_words"]:
        kept, params = (array_at(place, np.int64, limit["kept_words"]) for place in (limit["kept"], job.params))
        kept[:] = params
    if limit["waited"] >= limit["patience"]:
        job.stop = slice_.step + 1


def clock(slice_, marks, marks_size, number):
    sums, now = array_at(marks, np.int64, marks_size), time.perf_counter_ns()
    sums[number] += now - sums[0] if sums[0] else 0
    sums[0] = now
