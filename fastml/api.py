"""All public names of fastml, which `fastml` itself gives: it imports this module when the first is asked for."""

from fastml import layers, losses, optimizers, plots, schedules, utils
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
from fastml.chunks import fit_chunks
from fastml.data.tables import TableEncoder
from fastml.datasets import load_digits
from fastml.ensemble import Ensemble
from fastml.files.saving import ModelFileError
from fastml.files.writers import CSVLogger, ModelCheckpoint, TensorBoard
from fastml.gradients import GradientCheck, gradient_check
from fastml.initializers import INITIALIZERS
from fastml.keras_names import MISSING
from fastml.layers import *  # noqa: F403
from fastml.learning_rates import LearningRates, find_learning_rate
from fastml.loading import load, load_predictor, read_table
from fastml.losses import *  # noqa: F403
from fastml.many import fit_many
from fastml.metrics import METRICS
from fastml.models import load_model
from fastml.optimizers import *  # noqa: F403
from fastml.program.compiled import warmup
from fastml.program.random import set_random_seed
from fastml.program.threads import get_num_threads, set_num_threads
from fastml.regularizers import L1, L1L2, L2, REGULARIZERS
from fastml.schedules import *  # noqa: F403
from fastml.sequential import Sequential
from fastml.set_metrics import SET_METRICS
from fastml.tasks import Result, Results, Task
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
    "optuna",
    "regularizers",
    "schedules",
    "sklearn",
)

__all__ = [
    *layers.__all__,
    *losses.__all__,
    *optimizers.__all__,
    *schedules.__all__,
    "ACTIVATIONS",
    "INITIALIZERS",
    "L1",
    "L1L2",
    "L2",
    "METRICS",
    "REGULARIZERS",
    "SET_METRICS",
    "Callback",
    "CSVLogger",
    "DivergenceError",
    "Ensemble",
    "EarlyStopping",
    "GradientCheck",
    "History",
    "LearningRateScheduler",
    "LearningRates",
    "ModelCheckpoint",
    "ModelFileError",
    "ReduceLROnPlateau",
    "Result",
    "Results",
    "Sequential",
    "TableEncoder",
    "Task",
    "TensorBoard",
    "__version__",
    "find_learning_rate",
    "fit_chunks",
    "fit_many",
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
    "load_model",
    "set_random_seed",
]
