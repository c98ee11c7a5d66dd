"""All public names of fastml, which `fastml` itself gives: it imports this module when the first is asked for."""

from fastml import plots, utils
from fastml.activations import ACTIVATIONS
from fastml.callback import Callback
from fastml.callbacks import (
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastml.data.tables import TableEncoder
from fastml.datasets import load_digits
from fastml.embedding import Embedding
from fastml.files.saving import ModelFileError
from fastml.files.writers import CSVLogger, ModelCheckpoint, TensorBoard
from fastml.gradients import GradientCheck, gradient_check
from fastml.initializers import INITIALIZERS
from fastml.keras_names import MISSING
from fastml.layer import Input, Layer, Weights
from fastml.layers import (
    ELU,
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    LeakyReLU,
    Normalization,
    ReLU,
    Softmax,
)
from fastml.learning_rates import LearningRates, find_learning_rate
from fastml.loading import load, load_predictor, read_table
from fastml.losses import (
    LOSSES,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    SparseCategoricalCrossentropy,
)
from fastml.metrics import METRICS
from fastml.models import load_model
from fastml.optimizer import GradientDescent
from fastml.optimizers import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, Rprop
from fastml.program.compiled import warmup
from fastml.program.random import set_random_seed
from fastml.program.threads import get_num_threads, set_num_threads
from fastml.regularizers import L1, L1L2, L2, REGULARIZERS
from fastml.schedules import (
    SCHEDULES,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    PiecewiseConstantDecay,
    Schedule,
    StepDecay,
)
from fastml.sequential import Sequential
from fastml.set_metrics import SET_METRICS
from fastml.telling import missing as telling_of
from fastml.training.loop import DivergenceError
from fastml.version import __version__

missing = telling_of("fastml", MISSING, depth=2)  # what `fastml` gives for names that are not here

MODULES = (  # that users import from, beside those in __all__
    "activations",
    "callbacks",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "regularizers",
    "schedules",
    "sklearn",
)

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "L1",
    "L1L2",
    "L2",
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "REGULARIZERS",
    "SCHEDULES",
    "SET_METRICS",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "BatchNormalization",
    "BinaryCrossentropy",
    "Callback",
    "CSVLogger",
    "CategoricalCrossentropy",
    "CosineDecay",
    "Dense",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "ExponentialDecay",
    "GradientCheck",
    "GradientDescent",
    "History",
    "Huber",
    "Layer",
    "LearningRateScheduler",
    "LearningRates",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ModelCheckpoint",
    "ModelFileError",
    "Normalization",
    "OneCycle",
    "Optimizer",
    "Poisson",
    "RMSprop",
    "ReduceLROnPlateau",
    "Rprop",
    "Schedule",
    "Sequential",
    "SparseCategoricalCrossentropy",
    "StepDecay",
    "TableEncoder",
    "TensorBoard",
    "Weights",
    "__version__",
    "find_learning_rate",
    "get_num_threads",
    "gradient_check",
    "load",
    "load_digits",
    "load_predictor",
    "read_table",
    "plots",
    "set_num_threads",
    "utils",
    "warmup",
    "LambdaCallback",
    "TerminateOnNaN",
    "Input",
    "ELU",
    "LeakyReLU",
    "ReLU",
    "Softmax",
    "load_model",
    "set_random_seed",
    "PiecewiseConstantDecay",
]
