"""Models in files, as the commands use them."""

from fastml import load
from fastml.commands import CommandError, one_line
from fastml.commands.reading.cells import Style
from fastml.saving import ModelFileError


def read_any(path):
    """What a model file holds; CommandError where it cannot be read."""
    try:
        return load(path)
    except ModelFileError as error:
        raise CommandError(one_line(error)) from error
    except ImportError as error:
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
    if not hasattr(estimator, "predict_proba") and not hasattr(estimator, "n_features_in_"):
        raise CommandError(f"{path} holds a network that knows no columns of tables: use fastml.load in Python")
    if getattr(estimator, "feature_names_in_", None) is None or (estimator.encoder_ and not estimator.encoder_._named):
        raise CommandError(f"{path} was trained with columns that have no names: use fastml.load in Python")
    return estimator


def kinds_of(estimator):
    """What the columns of an estimator hold, {name: kind of an encoder}."""
    names = map(str, estimator.feature_names_in_)
    if estimator.encoder_ is None:
        return dict.fromkeys(names, "number")
    return {name: encoding.kind for name, encoding in zip(names, estimator.encoder_._encodings, strict=True)}


def style_of_training(about):
    """The Style of the file that a model was trained with."""
    known = about.get("style") or {}
    gaps = known.get("gaps")
    signs = known.get("decimal"), known.get("day_first"), None if gaps is None else tuple(gaps)
    return Style(*signs, known.get("separator"))
