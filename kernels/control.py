"""Operations that steer a program: barriers, blocks of rows, the end at a loss that is not finite, the next update."""

import numpy as np
from numba import njit

from fastml.kernels.operands import Job, Slice
from fastml.kernels.operation import operation
from fastml.kernels.slices import next_slice
from fastml.kernels.team import wait_for_all
from fastml.kernels.views import at_address


@operation
def barrier(job: Job(), slice_: Slice()):
    """Threads wait for each other: what one has written before, all read after."""
    slice_.barriers += 1
    wait_for_all(job.arrived, slice_.threads, slice_.barriers)


@operation
def next_block(job: Job(), slice_: Slice()):
    """Back to the first instruction with the next block of the thread's rows, if there is one."""
    if next_slice(job, slice_):
        slice_.jump = 0


@operation
def stop_unless_finite(job: Job(), slice_: Slice()):
    """Ends the job, before anything is updated, where the loss of the batch is NaN or infinite."""
    if not np.isfinite(job.batch_loss):
        slice_.diverged = 1
        slice_.jump = job.program_size


@operation
def begin_update(job: Job(), slice_: Slice()):
    """Counts the update, and whether the loss is worse than before the last one."""
    loss = job.batch_loss / slice_.n
    slice_.t += 1
    slice_.worse = 1.0 if loss > slice_.loss else 0.0
    slice_.loss = loss


@njit(inline="always", error_model="numpy")
def wait_for_progress(job, slice_):
    """Ends the job after the epoch whose value is the last of `patience` ones without progress; see JOB."""
    value = job.scale * watched_value(job, slice_.epoch)
    reached = value + job.tolerance < slice_.best if job.strict else value <= slice_.best - job.tolerance
    if reached or (not job.strict and value < slice_.best):
        slice_.best = value
    slice_.waited = 0 if reached else slice_.waited + 1
    if reached and slice_.thread == 0:  # the others change no parameters before they have met this thread again
        params, kept = at_address(0, job.params, job.kept_words), at_address(0, job.kept, job.kept_words)
        for k in range(job.kept_words):
            kept[k] = params[k]
    if slice_.waited >= job.patience:
        slice_.stop = slice_.step


@njit(inline="always", error_model="numpy")
def watched_value(job, epoch):
    """The mean of an epoch that tells of progress; NaN where the loss is, whatever the scores are."""
    totals = at_address(0.0, job.watched, job.watched_size)
    first = epoch * job.watched_columns
    loss, value = totals[first] / job.watched_rows, totals[first + job.watched_column] / job.watched_rows
    return value if loss == loss else loss
