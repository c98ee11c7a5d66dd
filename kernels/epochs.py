"""Operations that come after each epoch of a job: an epoch of another job, and the end where progress fails to come."""

import numpy as np

from fastml.kernels.executor import SLICE_SIZE, run_steps
from fastml.kernels.job import JOB, SLICE
from fastml.kernels.operands import Job, Size, Slice
from fastml.kernels.operation import operation
from fastml.kernels.team import wait_for_all
from fastml.kernels.views import at_address

# What ends a job: so many epochs without progress of a mean over the rows of an epoch.
LIMIT = np.dtype(
    [
        ("patience", np.int64),  # epochs without progress that end the job
        ("waited", np.int64),  # epochs since there was some; the executor keeps it
        ("best", np.float64),  # the least so far; the executor keeps it
        ("tolerance", np.float64),  # progress is to be at least this much below the best
        ("scale", np.float64),  # factor of what is watched, which is then compared
        ("strict", np.int64),  # whether progress is to be more than the tolerance, and only it makes a new best
        ("totals", np.int64),  # address of the totals that tell of progress, this job's or those of what follows
        ("size", np.int64),  # of these
        ("columns", np.int64),
        ("column", np.int64),
        ("rows", np.int64),
        ("kept", np.int64),  # address of a copy of the parameters after the best epoch so far
        ("kept_words", np.int64),  # of eight bytes, that these take, or 0 where they are not to be kept
    ]
)


@operation
def follow(slice_: Slice(), after: Size()):
    """Runs an epoch of the JOB at the address `after`, by the same threads: as many as this job's epochs so far."""
    job = at_address(JOB, after, 1)[0]
    place = job.slices + slice_.thread * SLICE_SIZE
    own = at_address(SLICE, place, 1)[0]
    own.thread, own.threads, own.barriers = slice_.thread, slice_.threads, slice_.barriers
    own.diverged, own.jump, own.step = 0, -1, slice_.epoch * job.steps_per_epoch
    own.stop = own.step + job.steps_per_epoch
    run_steps(after, place)
    slice_.barriers = own.barriers


@operation
def watch(job: Job(), slice_: Slice(), limit: Size()):
    """Ends the job after the last of the epochs without progress that a LIMIT, at this address, allows.

    The first thread tells, and may copy the parameters, which no other one changes before they have met.
    """
    if slice_.thread == 0:
        to = at_address(LIMIT, limit, 1)[0]
        totals, place = at_address(0.0, to.totals, to.size), slice_.epoch * to.columns
        loss, value = totals[place] / to.rows, totals[place + to.column] / to.rows
        value = to.scale * (value if loss == loss else loss)  # NaN where the loss is, whatever the scores are
        reached = value + to.tolerance < to.best if to.strict else value <= to.best - to.tolerance
        if reached or (not to.strict and value < to.best):
            to.best = value
        to.waited = 0 if reached else to.waited + 1
        if reached:
            params, kept = at_address(0, job.params, to.kept_words), at_address(0, to.kept, to.kept_words)
            for k in range(to.kept_words):
                kept[k] = params[k]
        if to.waited >= to.patience:
            job.stop = slice_.step + 1
    slice_.barriers += 1
    wait_for_all(job.arrived, slice_.threads, slice_.barriers)
    slice_.stop = job.stop
