"""Models in files: safetensors with a description in its metadata. A file holds numbers and names, never code.

The metadata has ``format`` "fastml", ``description``, a JSON text, and ``sha256``, of that text and all tensors. These
are ``weights.<layer>.<name>``, and with the optimizer ``optimizer.<k>.<layer>.<name>``, its k-th state of a weight.
An estimator of `fastml.sklearn` adds itself to the description: parameters, preprocessing, classes. A model in training
adds how far that is, as ``resume`` (see `fastml.training.state`). An ensemble has a list ``models`` of descriptions;
the tensors of each have its number and a dot before their names.
VERSION counts changes that an older fastml could not read; older versions stay readable.
"""

import hashlib
import json
import math
import os
import warnings

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as pack

from fastml.attributes import positive_integer
from fastml.files.checks import (
    MOST_TENSORS,
    check_count,
    check_tensors,
    check_width,
    count,
    expected_tensors,
    last_loss,
    parse,
)
from fastml.files.description import Unknown, check_known, describe, restore
from fastml.layers import method_of
from fastml.process.atomic import write_atomically
from fastml.program.compiled import DTYPES
from fastml.training.state import CALLBACK, captured
from fastml.version import __version__

VERSION, ALONE = 2, 1  # the first with ensembles; models alone are still written as the one before
FORMAT = "fastml"
FOREIGN = (".keras", ".h5", ".hdf5", ".pb", ".tf", ".tflite", ".onnx", ".pt", ".pth", ".ckpt", ".bin", ".json", ".yaml")
FOREIGN += (
    ".pkl",
    ".pickle",
    ".joblib",
    ".npz",
    ".npy",
    ".zip",
    ".gz",
    ".hdf",
    ".hd5",
    ".he5",
    ".mat",
    ".sav",
    ".pmml",
)
FOREIGN += (".csv", ".tsv", ".parquet", ".xlsx")  # of tables, which a model must not replace


class ModelFileError(ValueError):
    """A file is no model of fastml, is damaged, or was written by a newer fastml."""


def save(model, path, include_optimizer, estimator=None):
    """Writes a built model to a file, with the description of its estimator, or leaves what was there."""
    check_suffix(path, "path")
    custom = {}
    text, tensors = contents(model, include_optimizer, estimator, custom)
    if custom:
        names = ", ".join(f"{name!r}: …" for name in custom)
        warnings.warn(
            f"the file has the names of {', '.join(custom)}, not their code: pass custom_objects={{{names}}} to load",
            UserWarning,
            stacklevel=3,
        )
    metadata = {"format": FORMAT, "description": text, "sha256": digest(text, tensors)}
    write_atomically(path, pack(tensors, metadata))


def check_suffix(path, argument):
    """ValueError for the name of a file of another format, as which it would be taken."""
    root, suffix = os.path.splitext(os.fsdecode(path))
    if suffix.lower() in FOREIGN:
        raise ValueError(
            f"{argument} {os.fsdecode(path)!r} is the name of another format; models are written as safetensors: use "
            f"'{root}.safetensors'"
        )


def contents(model, include_optimizer, estimator, custom):
    """The description of a model or an ensemble, a text, and copies of its tensors, as they are at this moment.

    Users' functions and classes are put into the dict `custom`.
    """
    if hasattr(model, "models"):
        check_count(model.models)
        description, tensors = {"version": VERSION, "fastml": __version__, "models": []}, {}
        for number, member in enumerate(model.models):
            described, own = description_of(member, include_optimizer, custom)
            description["models"].append(described)
            tensors |= {f"{number}.{name}": array for name, array in own.items()}
    else:
        description, tensors = description_of(model, include_optimizer, custom)
    if estimator:
        description["estimator"] = estimator
    return json.dumps(description, allow_nan=False), tensors


def description_of(model, include_optimizer, custom):
    """The description of a model, a dict, and copies of its tensors."""
    with model._rest.visit():
        description, tensors = described(model, include_optimizer, custom)
        return description, {name: array.copy() for name, array in tensors.items()}


def described(model, include_optimizer, custom):
    """The description of a model, a dict, and its tensors."""
    engine = model._engine
    epochs, updates, loss = engine.progress()
    tensors = {f"weights.{name}": array for name, array in zip(engine.names(), engine.weights(), strict=True)}
    description = {
        "version": ALONE,
        "fastml": __version__,
        "dtype": model.dtype,
        "seed": model.seed,
        "input_dim": model.input_dim,
        "layers": [describe(layer, custom) for layer in engine.layers],
        "fitted": engine.fitted,
        "epochs": epochs,
        "compiled": None,
    }
    if model.loss:
        description["compiled"] = {
            "optimizer": describe(model.optimizer, custom),
            "loss": describe(model.loss, custom),
            "metrics": [describe(metric, custom) for metric in model.metrics],
            "executor": model.executor,
        }
    if model.loss and include_optimizer:
        tensors |= within_bounds(states(engine), model.optimizer)
        description["training"] = {"updates": updates, "loss": loss if math.isfinite(loss) else None}
    run = engine.run
    if run and run.loop and run.loop.complete and include_optimizer and not run.loop.refill:
        description["resume"] = captured(model, run, remembered := {})
        tensors |= remembered
    return description, tensors


def states(engine):
    """Views of the optimizer's state, by name of tensor."""
    found, size = {}, engine.program.params_size
    for k in range(len(engine.aim["optimizer"].start)):
        state = engine.buffers.state[k * size : (k + 1) * size]
        for name, parameter in zip(engine.names(), engine.program.parameters, strict=True):
            if parameter.role != "statistic":
                found[f"optimizer.{k}.{name}"] = parameter.view(state)
    return found


def within_bounds(states, optimizer):
    """The states; where a user has narrowed the optimizer's bounds since the last update, cut off at these."""
    for name, state in states.items():
        bounds = np.asarray(optimizer.bounds[int(name.split(".")[1])], state.dtype)
        if (state < bounds[0]).any() or (state > bounds[1]).any():
            states[name] = state.clip(*bounds)
    return states


def digest(text, tensors):
    """SHA-256 of a description and tensors, hexadecimal."""
    summed = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        summed.update(f"\0{name}\0{array.dtype}\0{array.shape}\0".encode() + array.tobytes())
    return summed.hexdigest()


def load(path, sequential, estimator=None, custom=None, ensemble=None):
    """The model in a file, an instance of `sequential`, or what `estimator` makes of it and an estimator's description.

    Without such a function, a file of an estimator is refused, and so is one of several models without an `ensemble`,
    which makes one of a list of them. custom : users' functions and classes by name, which `estimator` takes as well.
    """
    return made(path, *read(path), sequential, estimator, custom, ensemble)[0]


def made(path, text, tensors, sequential, estimator=None, custom=None, ensemble=None):
    """What `load` gives, of the content of a file, and the description."""
    try:
        description = parse(text, sum(array.size for array in tensors.values()))
        version = positive_integer("version", description["version"])
        if version <= VERSION:
            described = description.get("estimator")
            if described is not None and estimator is None:
                raise ModelFileError(f"{path} holds an estimator, not a model alone: use fastml.load")
            if "models" in description:
                if ensemble is None:
                    raise ModelFileError(f"{path} holds an ensemble, not a model alone: use fastml.load")
                model = ensemble(members(description["models"], tensors, sequential, custom))
            else:
                model = rebuilt(description, tensors, sequential, custom)
            return (model if described is None else estimator(described, model, custom)), description
        writer = str(description["fastml"])[:40]
    except ModelFileError:
        raise
    except Unknown as error:
        raise ModelFileError(f"{path}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        told = shortened(f"{type(error).__name__}: {error}")
        raise ModelFileError(f"{path} does not describe a model that this fastml can build: {told}") from error
    except MemoryError as error:
        raise ModelFileError(f"{path} describes a model for which there is not enough memory") from error
    raise ModelFileError(
        f"{path} was written by fastml {writer}, in version {version} of the format; this is fastml {__version__}, "
        f"which reads versions up to {VERSION}"
    )


def read(path):
    """Description, a text, and tensors of a file, unharmed; ModelFileError otherwise."""
    path = os.fspath(path)
    with open(path, "rb"):  # a missing or forbidden file has the usual error
        pass
    try:
        with safe_open(path, framework="np") as file:
            metadata, names = file.metadata() or {}, file.keys()
            if len(names) > MOST_TENSORS:
                raise ModelFileError(f"{path} holds {len(names)} tensors, which are more than a model has")
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, TypeError, KeyError, AttributeError) as error:
        other = os.path.splitext(os.fsdecode(path))[1].lower() in FOREIGN
        hint = "; files of other libraries are not read, only those that fastml has written" if other else ""
        told = shortened(str(error))
        raise ModelFileError(f"{os.fsdecode(path)} is no model file, or is damaged: {told}{hint}") from error
    if metadata.get("format") != FORMAT or "description" not in metadata:
        raise ModelFileError(f"{path} is a safetensors file, but not one that fastml has written")
    text = metadata["description"]
    if metadata.get("sha256") != digest(text, tensors):
        raise ModelFileError(f"{path} is damaged: its content does not have the checksum that was stored with it")
    return text, tensors


def shortened(text):
    """A text that may hold whatever was in a file, as one that fits on a screen."""
    return text if len(text) <= 300 else f"{text[:300]} …"


def members(descriptions, tensors, sequential, custom):
    """The models of an ensemble, of their descriptions and all their tensors."""
    check_count(descriptions)
    own = {str(number): {} for number in range(len(descriptions))}
    for name, array in tensors.items():
        number, _, rest = name.partition(".")
        if number not in own:
            raise ValueError(f"tensor {name} is of none of {len(own)} models")
        own[number][rest] = array
    check_width(sum(count(description, "input_dim") for description in descriptions), tensors)
    return [rebuilt(*pair, sequential, custom) for pair in zip(descriptions, own.values(), strict=True)]


def rebuilt(description, tensors, sequential, custom=None):
    """The model of a description, with its weights, and the optimizer's state if it is there."""
    check_count(description["layers"])
    check_known([description["layers"], description.get("compiled")], custom)
    layers = [restore(layer, custom) for layer in description["layers"]]
    kept = {name: description[name] for name in ("dtype", "seed", "input_dim")}
    if kept["dtype"] not in DTYPES:
        raise ValueError(f"dtype is {kept['dtype']!r}")
    model = sequential(layers, **kept)
    compiled, training, fitted = (description.get(name) for name in ("compiled", "training", "fitted"))
    if compiled is not None:
        arguments = {name: restore(value, custom) for name, value in compiled.items() if name != "metrics"}
        model.compile(**arguments, metrics=[restore(metric, custom) for metric in compiled["metrics"]])
    expected = expected_tensors(layers, model.input_dim, model.optimizer if training is not None else None)
    if description.get("resume") is not None:
        tensors = {name: array for name, array in tensors.items() if not name.startswith(CALLBACK)}
    check_tensors(tensors, expected, model.dtype)
    check_width(model.input_dim, tensors)
    model._build(model.input_dim, initialize=False)
    engine = model._engine
    engine.set_weights([tensors[f"weights.{name}"] for name in engine.names()])
    if not (fitted is True or (fitted is False and method_of(engine.layers))):
        raise ValueError(f"fitted is {fitted!r}")
    engine.fitted, engine.epochs = fitted, count(description, "epochs")
    if training is not None:
        engine.updates, engine.loss = count(training, "updates"), last_loss(training)
        for name, state in states(engine).items():
            state[...] = tensors[name]
    return model
