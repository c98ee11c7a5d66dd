"""Operations that steer a program: barriers, the end at a loss that is not finite, the next update."""

import numpy as np

from fastml.kernels.operands import Job, Slice
from fastml.kernels.operation import operation
from fastml.kernels.team import wait_for_all


@operation
def barrier(job: Job(), slice_: Slice()):
    """Threads wait for each other: what one has written before, all read after."""
    slice_.barriers += 1
    wait_for_all(job.arrived, slice_.threads, slice_.barriers)


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
