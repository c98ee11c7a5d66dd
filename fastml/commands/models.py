"""Models in files, as the commands use them."""

import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from fastml import load_predictor
from fastml.commands import CommandError, one_line
from fastml.commands.files.source import PACKED, STDIN
from fastml.files.saving import ModelFileError
from fastml.version import __version__


def read_any(path):
    """What a model file holds; CommandError where it cannot be read."""
    try:
        return load_predictor(path)
    except (ModelFileError, ImportError) as error:
        raise CommandError(one_line(error)) from error
    except IsADirectoryError:
        raise CommandError(f"{path} is a folder, not a file") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error


def read_about(path):
    """What a model file tells of its training, or an empty dict."""
    return getattr(read_any(path), "about_", None) or {}


def read_model(path):
    """The estimator in a file; CommandError where it is none that takes tables."""
    estimator = read_any(path)
    if not hasattr(estimator, "n_features_in_"):
        raise CommandError(f"{path} holds a network that knows no columns of tables: use fastml.load in Python")
    if getattr(estimator, "feature_names_in_", None) is None or (estimator.encoder_ and not estimator.encoder_._named):
        raise CommandError(f"{path} was trained with columns that have no names: use fastml.load in Python")
    return estimator


def stem(path):
    """The name of a file without its folder and what tells its kind, such as "sales" for "old/sales.csv.gz"."""
    if path == STDIN:
        return "model"
    name = Path(path)
    return Path(name.stem).stem if name.suffix.lower() in PACKED and Path(name.stem).suffix else name.stem


def describe_replaced(path, options):
    """Words on the model that will be replaced; CommandError where it is of another target, or none, unless allowed."""
    if not Path(path).exists():
        return ""
    try:
        known = read_about(path)
    except CommandError:
        known = None
    target = (known or {}).get("target")
    if options.overwrite or target == options.target:
        return ", in place of an older one"
    what = f"a model of {target!r}" if target else "a file that this command has not written"
    raise CommandError(f"{path} is {what}: give another name with --model, or allow to replace it with --overwrite")


def about(training):
    """What the model file tells of the training, for `fastml predict`, `evaluate` and `info`."""
    scores = {s.metric.title: {"model": finite(s.ours), "baseline": finite(s.theirs)} for s in training.scores}
    libraries = ("numpy", "numba", "scikit-learn", "polars")
    return {
        "command": training.command,
        "source": training.source,
        "target": training.target,
        "task": training.task,
        "rows": training.rows,
        "scores": scores,
        "baseline": training.baseline,
        "style": training.style._asdict(),
        "units": training.units,
        "headerless": training.headerless,
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "versions": {"fastml": __version__, "python": platform.python_version()}
        | {name: version(name) for name in libraries},
    }


def finite(value):
    """A score as a file holds it: None where it is not defined."""
    return float(value) if np.isfinite(value) else None
