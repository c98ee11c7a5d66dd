"""All operations of fastml's: to import this is to know them."""

from fastml.kernels import (  # noqa: F401
    activations,
    adagrad,
    adam,
    control,
    dense,
    dropout,
    embedding,
    losses,
    metrics,
    normalization,
    regularization,
    rmsprop,
    rows,
    rprop,
    sgd,
    sums,
    targets,
)
from fastml.kernels.operation import OPERATIONS as OPERATIONS
