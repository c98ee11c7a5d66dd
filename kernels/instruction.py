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
MEET = 37  # threads wait for each other
NEXT_BLOCK = 38  # back to the first instruction with the next block of the batch's rows, if there is one
SUM_SHARDS = 39
SUM_SCORES = 40
WEIGH_LOSSES = 41
COPY_COLUMNS = 42
EMBED_FORWARD = 43
EMBED_BACKWARD = 44

SIZES = (
    "kind",  # which activation, loss or metric; of a dense layer, the activation that its product applies, or 0
    "layer",  # position in the model: the stream of its random numbers
    "d_in",
    "d_out",
    "d_y",  # width of the targets: 1 for class labels
    "size",  # elements of parameters, for the gradient of weights those that are trained; classes, of targets
    "total",  # column of the totals that a loss or metric adds to
    "column",  # of the inputs: where the codes of an embedding stand, or the first one to copy
    "place",  # column of the outputs: the first one that an embedding or a copy writes
    "width",  # columns of an embedding or a copy
    "categories",  # rows of an embedding's table
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
    "losses",  # one a row of the batch, or what a metric gives it
    "dx",
    "dz",
    "da",
    "room",  # for the copies of matrix products
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

# The arrays of a job, which enter as addresses: 1-D, C-contiguous, of one dtype unless noted.
ARRAYS = (
    "program",  # of INSTRUCTION
    "rates",  # learning rates of the steps from `start` on, the last one for all that follow; float64
    "params",
    "grads",  # as long as the parameters, once for each shard
    "state",  # of the optimizer, as long as the parameters or a multiple
    "work",
    "x",  # (rows, d), as y and outputs
    "y",
    "weights",  # (rows,) or (0,)
    "order",  # (rows,) int64 to shuffle each epoch, (0,) not to
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
        ("workers", np.int64),  # address of the addresses of `threads` - 1 WORKERs; see `team`
        ("arrived", np.int64),  # address of three int64 in a cache line of their own; see `team.meet`
        ("patience", np.int64),  # epochs without progress of the loss that end the job, or 0 where they do not
        ("waited", np.int64),  # epochs since there was some; the executor keeps it
        ("scale", np.float64),  # factor of the mean loss of an epoch, which is then compared
        ("best", np.float64),  # the least so far; the executor keeps it
        ("tolerance", np.float64),  # progress is to be at least this much below the best
        ("diverged", np.int64),  # 1 once a loss was NaN or infinite: that step made no update
    ],
    align=True,
)
