"""The language between fastml and its executors: what an instruction is, and what a job is.

A program is a table of instructions. An instruction is an operation, the sizes it works on, and where its operands
start in the flat buffers. An operand's buffer follows from its name, as the fields below say. Gradients stand at the
same offsets in the gradient buffer as their parameters, optimizer state likewise, one array after the other.
"""

import numpy as np

# Operations, about in the order in which a training step meets them.
NOTHING = 0
GATHER_INPUTS = 1
GATHER_TARGETS = 2
GATHER_WEIGHTS = 3
SMOOTH_TARGETS = 4
NORMALIZE = 5
DENSE_FORWARD = 6
BATCHNORM_FORWARD = 7
BATCHNORM_INFERENCE = 8
ACTIVATION_FORWARD = 9
DROPOUT_FORWARD = 10
LOSS_FORWARD = 11
WEIGH_ROWS = 12
SUM_LOSS = 13
PENALTY_FORWARD = 14
STOP_UNLESS_FINITE = 15
METRIC = 16
LOSS_BACKWARD = 17
DROPOUT_BACKWARD = 18
ACTIVATION_BACKWARD = 19
BATCHNORM_BACKWARD = 20
DENSE_BACKWARD_WEIGHTS = 21
DENSE_BACKWARD_INPUTS = 22
PENALTY_BACKWARD = 23
CLIP_VALUE = 24
CLIP_NORM = 25
BEGIN_UPDATE = 26
SGD_UPDATE = 27
MOMENTUM_UPDATE = 28
NESTEROV_UPDATE = 29
ADAM_UPDATE = 30
RMSPROP_UPDATE = 31
ADAGRAD_UPDATE = 32
RPROP_UPDATE = 33
RPROP_BACKTRACK_UPDATE = 34
BATCHNORM_TRACK = 35
STORE_OUTPUTS = 36

SIZES = (
    "kind",  # which activation, loss or metric
    "layer",  # position in the model: the stream of its random numbers
    "d_in",
    "d_out",
    "d_y",  # width of the targets: 1 for class labels
    "size",  # elements of parameters; classes, of targets
    "total",  # column of the totals that a loss or metric adds to
)

IN_PARAMETERS = (
    "W",  # of an update: the first of its parameters
    "b",
    "gamma",
    "beta",
    "mean",  # what a normalization subtracts
    "scale",  # what it then multiplies with
    "variance",
)

IN_WORKSPACE = (
    "x",
    "z",
    "a",
    "y",
    "w",  # weights of the rows
    "losses",  # one a row
    "dx",
    "dz",
    "da",
    "Wt",  # room for the transposed weights
    "mask",
    "x_hat",
    "batch_mean",
    "batch_variance",
    "inverse",  # of the standard deviation
)

CONSTANTS = (
    "alpha",
    "delta",
    "label_smoothing",
    "rate",  # of dropout
    "l1",
    "l2",
    "clip",
    "momentum",
    "weight_decay",
    "rho",
    "beta_1",
    "beta_2",
    "epsilon",
    "eta_minus",
    "eta_plus",
    "step_min",
    "step_max",
)

INSTRUCTION = np.dtype(
    [("op", np.int64)]
    + [(name, np.int64) for name in SIZES + IN_PARAMETERS + IN_WORKSPACE]
    + [(name, np.float64) for name in CONSTANTS],
    align=True,
)

JOB = np.dtype(
    [
        ("seed", np.uint64),
        ("epoch", np.int64),  # epochs that the model had trained before this job
        ("t", np.int64),  # updates made so far; the executor advances it
        ("loss", np.float64),  # mean loss before the last update; the executor keeps it
        ("step", np.int64),  # next step, counted from the start of the job; the executor advances it
        ("start", np.int64),  # the step that the first of the learning rates is for
        ("stop", np.int64),  # run until this step
        ("steps_per_epoch", np.int64),
        ("batch_size", np.int64),  # the last batch of an epoch takes what is left
        ("rows", np.int64),
        ("digest", np.int64),  # of the kernels that ran it; the executor sets it, which keeps it in its cache key
        ("diverged", np.int64),  # 1 once a loss was NaN or infinite: that step made no update
    ],
    align=True,
)
