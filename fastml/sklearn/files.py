"""Estimators as plain data, beside their networks in model files, and back."""

import copy
import math
from numbers import Integral, Real

import numpy as np

from fastml.data.encodings import check
from fastml.data.running import Running
from fastml.data.tables import TableEncoder
from fastml.ensemble import Ensemble
from fastml.files.about import plain
from fastml.files.checks import unique
from fastml.files.description import describe, restore
from fastml.layers import positive_integer
from fastml.sklearn.checks import check_progress, check_state, check_statistics
from fastml.sklearn.chunks import assumed_of
from fastml.sklearn.lone import LONE, TRAINING
from fastml.sklearn.medians import known_medians
from fastml.sklearn.network import Aim
from fastml.sklearn.stopping import Patience
from fastml.trained import TrainedClassifier, TrainedRegressor

STATE = (
    "classes_", "_kind", "n_features_in_", "feature_names_in_", "encoder_", "n_outputs_", "out_activation_",
    "n_layers_", "n_iter_", "t_", "loss_", "loss_curve_", "history_", "best_loss_", "validation_scores_",
    "best_validation_score_", "_target_mean", "_target_spread", "_aim", "_patience", "_announced", "_medians",
    "best_epoch_", "oob_score_",
)  # fmt: skip
CLASSIFIERS, REGRESSORS = ("MLPClassifier", "TabularClassifier"), ("MLPRegressor", "TabularRegressor")
LATER = ("_medians", "best_epoch_")  # which older versions had not
OF_MEMBER = [name for name in TRAINING if name != "model_"]
TYPES = {"b": (bool,), "i": (int,), "u": (int,), "f": (float,), "U": (str,), "O": (str, bool, int, float, type(None))}
RUNNING = ("_inputs", "_targets", "_middle")  # what `partial_fit` needs besides
DROPPED = ("callbacks", "scoring", "random_state")  # parameters that may be code or a generator: None in a file


def describe_estimator(estimator):
    """A fitted estimator without its network. TypeError for a parameter or class that is not fastml's own."""
    if not type(estimator).__module__.startswith("fastml."):
        raise TypeError(f"{estimator!r} cannot be saved: its class is not one of fastml's own")
    known_medians(estimator)
    parameters = estimator.get_params(deep=False)
    for name in DROPPED:
        if name in parameters and not isinstance(parameters[name], (str, Integral)):
            parameters[name] = None
    description = {
        "class": type(estimator).__name__,
        "parameters": {name: pack(value) for name, value in parameters.items()},
        "state": {name: pack(vars(estimator)[name]) for name in STATE if name in vars(estimator)},
        "statistics": {
            name: pack_statistics(vars(estimator).get(name)) for name in RUNNING
        },  # older ones overlook them
    }
    if "estimators_" in vars(estimator):
        members = [{name: vars(m)[name] for name in OF_MEMBER if name in vars(m)} for m in estimator.estimators_]
        description["members"] = [pack(member) for member in members]
    if estimator.about_ is not None:
        description["about"] = plain(estimator.about_)
    return description


def restore_estimator(description, model, classes, custom=None):
    """The estimator, one of `classes`, that was described, around its network; ValueError for anything else.

    custom : users' functions and classes by name.
    """
    kinds = {kind.__name__: kind for kind in classes}
    if description["class"] not in kinds:
        raise ValueError(f"there is no estimator {description['class']!r}")
    parameters = {name: unpack(value, custom) for name, value in description["parameters"].items()}
    for name in DROPPED:
        if not isinstance(parameters.get(name), (type(None), str, int)):
            raise ValueError(f"{name} is {parameters[name]!r}")
    estimator = kinds[description["class"]](**parameters)
    estimator._validate_params()
    vars(estimator).update(checked_state(description, hasattr(estimator, "predict_proba"), model, custom))
    estimator.model_ = model
    if isinstance(model, Ensemble):
        estimator.estimators_ = restored_members(estimator, description["members"])
    if "_inputs" not in vars(estimator):  # of an older version
        vars(estimator).update(assumed_of(estimator), _middle=None)
        check_statistics(vars(estimator), model)
    return estimator


def restored_members(estimator, descriptions):
    """The members of an estimator that is an ensemble, of what is told of their training."""
    members = []
    for described, model in zip(descriptions, estimator.model_.models, strict=True):
        found = unpack(described)
        check(isinstance(found, dict) and set(found) <= set(OF_MEMBER), "a network's training has other attributes")
        member = copy.copy(estimator)
        vars(member).update(found, model_=model, **LONE)
        check_progress(vars(member))
        members.append(member)
    return members


def restore_trained(description, model, custom=None):
    """What predicts of the estimator that was described; ValueError for what is none.

    All is checked as for the estimator but its parameters, of which only `n_threads` counts.
    """
    kind = description["class"]
    if kind not in (*CLASSIFIERS, *REGRESSORS):
        raise ValueError(f"there is no estimator {kind!r}")
    parameters = {name: unpack(value, custom) for name, value in description["parameters"].items()}
    threads = parameters["n_threads"]
    if threads is not None:
        positive_integer("n_threads", threads, most=2**31 - 1)
    state = checked_state(description, kind in CLASSIFIERS, model, custom)
    optional = [state.get(name) for name in ("encoder_", "feature_names_in_", "n_features_in_", "_medians")]
    parts = model, *optional, threads, state.get("about_")
    if kind in CLASSIFIERS:
        return TrainedClassifier(state["classes_"], state["_kind"], *parts)
    return TrainedRegressor(state["_target_mean"], state["_target_spread"], *parts)


def checked_state(description, classifies, model, custom):
    """The attributes of an estimator, which classifies or not, in its description: such as can be."""
    unknown = set(description["state"]) - set(STATE)
    if unknown:
        raise ValueError(f"an estimator has no {', '.join(sorted(unknown))}")
    state = dict.fromkeys(LATER) | {name: unpack(value, custom) for name, value in description["state"].items()}
    check_state(state, classifies, model)
    statistics = description.get("statistics")
    if statistics:
        state |= {name: unpack(statistics.get(name)) for name in RUNNING}
        check_statistics(state, model)
    if description.get("about") is not None:
        state["about_"] = plain(description["about"])
    return state


def pack(value):
    """A value as what JSON holds: numbers, text and None as they are, other things as {kind: content}."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.ndarray):
        kind = "objects" if value.dtype == object else value.dtype.str
        return {"array": [kind, list(value.shape), [pack(item) for item in value.ravel().tolist()]]}
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, Aim):
        return {"aim": [pack(item) for item in value]}
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: [pack(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[pack(key), pack(item)] for key, item in value.items()]}
    if isinstance(value, TableEncoder):
        return {"encoder": value.to_dict()}
    if isinstance(value, Running):
        return {"running": pack(value.to_dict())}
    if isinstance(value, Patience):
        return {"patience": [pack(item) for item in (value.tol, value.most, value.best, value.count)]}
    return {"object": describe(value)}


def pack_statistics(found):
    """A Running, or those of the columns of a table, None for others, in a few arrays: brackets in a file are few."""
    if not isinstance(found, list):
        return pack(found)
    known = [running.to_dict() for running in found if running is not None]
    kept = [len(each.get("keys", ())) for each in known]
    packed = {"known": np.array([running is not None for running in found]), "kept": np.array(kept, int)}
    for name in Running.KEPT:
        packed[name] = np.concatenate([np.zeros(0, int), *(np.ravel(each[name]) for each in known if name in each)])
    return {"columns": pack(packed)}


def unpack(value, custom=None):
    """What was packed, users' things by the names in `custom`. ValueError, TypeError or KeyError for others."""
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise ValueError(f"no value: {value!r}")
        return value
    ((kind, content),) = value.items()
    if kind in PARTS:
        return PARTS[kind]([unpack(item, custom) for item in content])
    return restore(content, custom) if kind == "object" else UNPACK[kind](content)


def unpack_array(content):
    """An array of plain values. A text's width, which a file may make as large as it likes, is cut to what is used."""
    kind, shape, items = content
    dtype = np.dtype(object if kind == "objects" else kind)
    if kind != "objects" and (dtype.str != kind or dtype.kind not in TYPES):
        raise ValueError(f"no array of {kind!r} is stored")
    types = TYPES[dtype.kind]
    items = [unpack(item) for item in items]
    if not all(type(item) in types for item in items):
        raise ValueError(f"an array of {kind} must hold {', '.join(t.__name__ for t in types)}")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"an array of shape {shape} is stored")
    if dtype.kind == "U":
        longest = max(map(len, items), default=0)
        dtype = np.dtype(f"{dtype.byteorder}U{min(dtype.itemsize // 4, 256 + 4 * longest)}")
    array = np.empty(len(items), dtype)
    array[:] = items
    return array.reshape(shape)


def unpack_columns(content):
    """The Runnings of the columns of a table, whose numbers stand one after the other."""
    packed = unpack(content)
    known, kept = packed.pop("known"), packed.pop("kept")
    check(known.dtype == bool and kept.dtype.kind == packed["rows"].dtype.kind == "i", "statistics count in fractions")
    check(known.sum() == len(kept) and (kept >= 0).all(), "there are statistics of more or fewer columns")
    sizes = {"points": np.where(kept > 0, 0, 3), "sample": kept, "weights": kept, "keys": kept}
    found = [Running("standard", True) for _ in kept]
    for name in Running.KEPT:
        values, at = packed.pop(name), 0
        for running, size in zip(found, sizes.get(name, np.ones_like(kept)).tolist(), strict=True):
            part, at = values[at : at + size], at + size
            if name in ("rows", "weight"):
                part = part.item()
            if size:
                setattr(running, name, part.reshape(-1, 1) if name in ("points", "sample") else part)
        check(at == len(values), f"there are {len(values)} numbers for {name} of columns, expected {at}")
    check(not packed, f"statistics have no {', '.join(map(str, packed))}")
    found = iter(found)
    return [next(found) if there else None for there in known]


def unpack_patience(content):
    tol, most, best, count = (unpack(item) for item in content)
    patience = Patience(tol, most)
    patience.best, patience.count = best, count
    return patience


UNPACK = {
    "array": unpack_array,
    "float": lambda content: {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[content],
    "dict": lambda content: unique([(unpack(key), unpack(item)) for key, item in content]),
    "columns": unpack_columns,
    "encoder": TableEncoder.from_dict,
    "patience": unpack_patience,
    "running": lambda content: Running.from_dict(unpack(content)),
}
PARTS = {"tuple": tuple, "list": list, "aim": lambda parts: Aim(*parts)}  # of what may be the user's
