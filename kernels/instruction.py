"""The language between fastml and its executors: what an instruction is, and what a job is.

A program is a table of instructions. An instruction is an operation, the sizes it works on, and where its operands
start in the flat buffers. An operand's buffer follows from its name: ``W`` and ``b`` are offsets into the parameters
(their gradients stand at the same offsets in the gradient buffer, optimizer state likewise); all other operands are
offsets into the workspace.
"""

import numpy as np

# Operations, in the order in which a training step meets them.
GATHER_INPUTS = 1
GATHER_TARGETS = 2
DENSE_FORWARD = 3
ACTIVATION_FORWARD = 4
LOSS_FORWARD = 5
STOP_UNLESS_FINITE = 6
METRIC = 7
LOSS_BACKWARD = 8
ACTIVATION_BACKWARD = 9
DENSE_BACKWARD_WEIGHTS = 10
DENSE_BACKWARD_INPUTS = 11
SGD_UPDATE = 12
ADAM_UPDATE = 13
STORE_OUTPUTS = 14

INSTRUCTION = np.dtype(
    [
        ("op", np.int64),
        ("kind", np.int64),  # which activation, loss or metric
        ("d_in", np.int64),
        ("d_out", np.int64),
        ("d_y", np.int64),  # width of the targets: 1 for class labels
        ("total", np.int64),  # column of the totals that a loss or metric adds to
        ("W", np.int64),
        ("b", np.int64),
        ("x", np.int64),
        ("z", np.int64),
        ("a", np.int64),
        ("y", np.int64),
        ("dx", np.int64),
        ("dz", np.int64),
        ("da", np.int64),
        ("Wt", np.int64),  # room for the transposed weights
        ("learning_rate", np.float64),
        ("beta_1", np.float64),
        ("beta_2", np.float64),
        ("epsilon", np.float64),
    ],
    align=True,
)

JOB = np.dtype(
    [
        ("seed", np.uint64),
        ("epoch", np.int64),  # epochs that the model had trained before this job
        ("t", np.int64),  # updates made so far; the executor advances it
        ("step", np.int64),  # next step, counted from the start of the job; the executor advances it
        ("stop", np.int64),  # run until this step
        ("steps_per_epoch", np.int64),
        ("batch_size", np.int64),
        ("rows", np.int64),
        ("digest", np.int64),  # of the kernels that ran it; the executor sets it, which keeps it in its cache key
        ("diverged", np.int64),  # 1 once a loss was NaN or infinite: that step made no update
    ],
    align=True,
)
