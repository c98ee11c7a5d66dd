"""Models in files: safetensors with a description in its metadata. A file holds numbers and names, never code.

The metadata has ``format`` "fastml", ``description``, a JSON text, and ``sha256``, of that text and all tensors. These
are ``weights.<layer>.<name>``, and with the optimizer ``optimizer.<k>.<layer>.<name>``, its k-th state of a weight.
An estimator of `fastml.sklearn` adds itself to the description: parameters, preprocessing, classes.
VERSION counts changes that an older fastml could not read; older versions stay readable.
"""

import hashlib
import json
import math
import operator
import os
import secrets
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as pack

from fastml.description import describe, restore
from fastml.layers import Layer
from fastml.version import __version__

VERSION = 1
FORMAT = "fastml"


class ModelFileError(ValueError):
    """A file is no model of fastml, is damaged, or was written by a newer fastml."""


def save(model, path, include_optimizer, estimator=None):
    """Writes a built model to a file, with the description of its estimator, or leaves what was there."""
    with model._rest.visit():
        text, tensors = contents(model, include_optimizer, estimator)
    metadata = {"format": FORMAT, "description": text, "sha256": digest(text, tensors)}
    write_atomically(path, pack(tensors, metadata))


def contents(model, include_optimizer, estimator):
    """The description of a model, a text, and copies of its tensors, as they are at this moment."""
    engine = model._engine
    epochs, updates, loss = engine.progress()
    tensors = {f"weights.{name}": array for name, array in zip(engine.names(), engine.weights(), strict=True)}
    description = {
        "version": VERSION,
        "fastml": __version__,
        "dtype": model.dtype,
        "seed": model.seed,
        "input_dim": model.input_dim,
        "layers": [describe(layer) for layer in engine.layers],
        "fitted": engine.fitted,
        "epochs": epochs,
        "compiled": None,
    }
    if model.loss:
        description["compiled"] = {
            "optimizer": describe(model.optimizer),
            "loss": describe(model.loss),
            "metrics": list(model.metrics),
            "executor": model.executor,
        }
    if model.loss and include_optimizer:
        tensors |= states(engine)
        description["training"] = {"updates": updates, "loss": loss if math.isfinite(loss) else None}
    if estimator:
        description["estimator"] = estimator
    text = json.dumps(description, allow_nan=False)
    return text, {name: array.copy() for name, array in tensors.items()}


def states(engine):
    """Views of the optimizer's state, by name of tensor."""
    found, size = {}, engine.program.params_size
    for k in range(len(engine.aim["optimizer"].start)):
        state = engine.buffers.state[k * size : (k + 1) * size]
        for name, parameter in zip(engine.names(), engine.program.parameters, strict=True):
            if parameter.role != "statistic":
                found[f"optimizer.{k}.{name}"] = parameter.view(state)
    return found


def digest(text, tensors):
    """SHA-256 of a description and tensors, hexadecimal."""
    summed = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        summed.update(f"\0{name}\0{array.dtype}\0{array.shape}\0".encode() + array.tobytes())
    return summed.hexdigest()


def write_atomically(path, content):
    """Writes the bytes to a file that is either complete or, at an error or a power cut, as it was before."""
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the name, too, must be on disk
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load(path, sequential):
    """The model in a file, an instance of `sequential`, or the estimator around it."""
    text, tensors = read(path)
    try:
        description = json.loads(text)
        version, writer = operator.index(description["version"]), description["fastml"]
        if version <= VERSION:
            if "estimator" not in description:
                return rebuilt(description, tensors, sequential)
            from fastml.sklearn import restored  # which needs scikit-learn

            return restored(description["estimator"], rebuilt(description, tensors, sequential))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"{path} does not describe a model that this fastml can build: {error!r}") from error
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
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, TypeError, KeyError, AttributeError) as error:
        raise ModelFileError(f"{path} is no model file, or is damaged: {error}") from error
    if metadata.get("format") != FORMAT or "description" not in metadata:
        raise ModelFileError(f"{path} is a safetensors file, but not one that fastml has written")
    text = metadata["description"]
    if metadata.get("sha256") != digest(text, tensors):
        raise ModelFileError(f"{path} is damaged: its content does not have the checksum that was stored with it")
    return text, tensors


def rebuilt(description, tensors, sequential):
    """The model of a description, with its weights, and the optimizer's state if it is there."""
    layers = [restore(layer) for layer in description["layers"]]
    check_shapes(layers, description["input_dim"], tensors)
    kept = {name: description[name] for name in ("dtype", "seed", "input_dim")}
    model = sequential(layers, **kept)
    if description["compiled"]:
        compiled = {name: restore(value) for name, value in description["compiled"].items() if name != "metrics"}
        model.compile(**compiled, metrics=description["compiled"]["metrics"])
    model.build()
    engine = model._engine
    engine.set_weights([tensors[f"weights.{name}"] for name in engine.names()])
    engine.fitted, engine.epochs = bool(description["fitted"]), operator.index(description["epochs"])
    training = description.get("training")
    if training:
        engine.updates = operator.index(training["updates"])
        engine.loss = math.inf if training["loss"] is None else float(training["loss"])
        for name, state in states(engine).items():
            if tensors[name].shape != state.shape:
                raise ValueError(f"{name} has shape {tensors[name].shape}, expected {state.shape}")
            state[...] = tensors[name]
    return model


def check_shapes(layers, width, tensors):
    """ValueError unless the tensors are the weights of the layers, so that nothing larger than the file is made."""
    for position, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ValueError(f"layer {position} is {layer!r}")
        for weights in layer.weights(width):
            found = tensors[f"weights.{position}.{weights.name}"].shape
            if found != weights.shape:
                raise ValueError(f"{weights.name} of layer {position} has shape {found}, expected {weights.shape}")
        width = layer.units_out(width)
