"""fastml: trains dense neural networks on the CPU, fast.

A `Sequential` model is a description; it is lowered to a program, a table of instructions, and one compiled executor
runs the programs of all models. Start with `Sequential`, or with ``fastml demo`` on the command line.
"""

from fastml.activations import ACTIVATIONS
from fastml.callbacks import Callback, History
from fastml.compiled import warmup
from fastml.datasets import load_digits
from fastml.initializers import INITIALIZERS
from fastml.layers import Activation, Dense, Layer
from fastml.losses import LOSSES
from fastml.metrics import METRICS
from fastml.optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from fastml.sequential import Sequential
from fastml.training import DivergenceError
from fastml.version import __version__

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "SGD",
    "Activation",
    "Adam",
    "Callback",
    "Dense",
    "DivergenceError",
    "History",
    "Layer",
    "Optimizer",
    "Sequential",
    "__version__",
    "load_digits",
    "warmup",
]
