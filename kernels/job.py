"""What a job is: arrays, counters, and for each thread the slice of the batch that it works on."""

import numpy as np

# The arrays of a job, which enter as addresses: 1-D, C-contiguous, of one dtype unless noted.
ARRAYS = (
    "program",  # of instructions, see `operation`
    "rates",  # learning rates of the steps from `start` on, the last one for all that follow; float64
    "params",
    "grads",  # as long as the parameters, once for each shard
    "state",  # of the optimizer, as long as the parameters or a multiple
    "work",
    "x",  # (rows, d), as y and outputs
    "y",
    "weights",  # (rows,) or (0,)
    "order",  # (rows,) int64, numbers of the rows of x in the order of the epoch; (0,) where they come as they stand
    "totals",  # (epochs, 1 + metrics) float64, sums over the rows of an epoch
    "outputs",
)

JOB = np.dtype(
    [(name, np.int64) for name in ARRAYS]  # addresses
    + [(f"{name}_size", np.int64) for name in ARRAYS]  # elements
    + [
        ("seed", np.uint64),
        ("epoch", np.int64),  # epochs that the model had trained before this job
        ("t", np.int64),  # updates made so far; the executor advances it
        ("loss", np.float64),  # mean loss before the last update; the executor keeps it
        ("batch_loss", np.float64),  # sum over the rows of the batch; the executor keeps it
        ("step", np.int64),  # next step, counted from the start of the job; the executor advances it
        ("start", np.int64),  # the step that the first of the learning rates is for
        ("stop", np.int64),  # run until this step
        ("steps_per_epoch", np.int64),
        ("batch_size", np.int64),  # the last batch of an epoch takes what is left
        ("rows", np.int64),
        ("columns", np.int64),  # of the totals
        ("block", np.int64),  # rows that go through the network at once, a multiple of 16, or 0 for all of a batch
        ("shards", np.int64),  # gradients that sum up some blocks each, in an order of their own
        ("threads", np.int64),
        ("slices", np.int64),  # address of as many SLICEs
        ("workers", np.int64),  # address of the addresses of `threads` - 1 WORKERs; see `team`
        ("arrived", np.int64),  # address of three int64 in a cache line of their own; see `team.wait_for_all`
        ("diverged", np.int64),  # 1 once a loss was NaN or infinite: that step made no update
        ("shuffles", np.int64),  # whether the order is drawn anew for each epoch
        ("chosen", np.int64),  # address of the (rows,) int64 that this is an order of, or 0 for 0 … rows - 1
        ("ending", np.int64),  # address of the INSTRUCTIONs that come after each epoch
        ("ending_size", np.int64),
    ],
    align=True,
)

# What a thread knows of the step that it is in. All threads agree in all but their number and their rows.
SLICE = np.dtype(
    [
        ("thread", np.int64),  # its number, of
        ("threads", np.int64),
        ("jump", np.int64),  # the instruction that comes next where it is not the one behind, else -1
        ("barriers", np.int64),  # that it has passed
        ("step", np.int64),  # as in the job
        ("stop", np.int64),
        ("epoch", np.int64),  # of the job
        ("age", np.int64),  # epochs that the model was trained before this one
        ("batch", np.int64),  # of the epoch
        ("begin", np.int64),  # the first row of the batch, in the order of the epoch
        ("n", np.int64),  # rows of the batch
        ("first", np.int64),  # the first row of the batch that is the thread's, or of its block if it goes in blocks
        ("end", np.int64),  # the one behind its last
        ("at", np.int64),  # where that first row stands in the workspace, as a number of rows
        ("m", np.int64),  # rows of the slice, or of the block
        ("source", np.int64),  # the first row in the workspace, of those that the gradient of weights is a sum over
        ("count", np.int64),  # how many rows these are
        ("blocks", np.int64),  # of the thread that have begun, where a batch goes in blocks
        ("shard", np.int64),  # the gradient that they are added to
        ("fresh", np.int64),  # whether they are its first
        ("t", np.int64),  # updates, this one included
        ("diverged", np.int64),
        ("rate", np.float64),  # learning rate
        ("batch_loss", np.float64),  # so far, of the first thread
        ("loss", np.float64),  # mean loss of the batch, from the update on
        ("worse", np.float64),  # 1 where that is more than in the step before, else 0
        ("factor", np.float64),  # of the gradients that a norm is to be clipped to
        ("rest", np.int64, 5),  # whole cache lines, as another thread writes to what follows
    ],
    align=True,
)
assert SLICE.itemsize % 64 == 0
