"""The state of a training between two steps as plain data: what its file holds beside the model.

Arrays that callbacks remember become the tensors ``callback.<k>.<n>``.
"""

import math
import zlib

import numpy as np

CALLBACK = "callback."  # in front of the names of tensors that callbacks remember


def captured(model, run, tensors):
    """The description of a training between two steps; arrays go to the tensors, which are named in it."""
    loop, job, data = run.loop, run.jobs[0], run.data
    if data.fingerprint is None:
        data.fingerprint = fingerprint(data.x, data.y, data.weights)
    initial = {"initial_epoch": loop.initial} if loop.initial else {}
    return initial | {
        "step": run.step,
        "steps_per_epoch": run.steps_per_epoch,
        "epochs": loop.epochs,
        "first": run.first,
        "began": int(job["epoch"]),
        "batch_size": int(job["batch_size"]),
        "shuffle": data.shuffle,
        "data": data.fingerprint,
        "history": {name: [encoded(v) for v in values] for name, values in loop.history.history.items()},
        "totals": data.totals[run.epochs].tolist() if run.step % run.steps_per_epoch else [],
        "stopped": bool(model.stop_training),
        "callbacks": [
            {"class": type(callback).__name__, "state": state_of(callback, tensors, f"{CALLBACK}{k}.")}
            for k, callback in enumerate(loop.callbacks)
        ],
    }


def state_of(callback, tensors, name):
    """What a callback remembers, encoded."""
    try:
        return encoded(callback.state_dict() if hasattr(callback, "state_dict") else {}, tensors, name)
    except TypeError as error:
        raise TypeError(f"the state_dict of {type(callback).__name__} cannot be saved: {error}") from error


def encoded(value, tensors=None, name=""):
    """What a callback remembers as JSON holds it. TypeError for what is neither number, text, array, list nor dict."""
    if isinstance(value, np.ndarray):
        key = f"{name}{len(tensors)}"
        tensors[key] = np.array(value)
        return {"tensor": key}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, dict):
        return {"dict": [[encoded(key), encoded(entry, tensors, name)] for key, entry in value.items()]}
    if isinstance(value, (list, tuple)):
        return [encoded(entry, tensors, name) for entry in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"it holds {value!r}, neither number, text, array, list nor dict")


def decoded(value, tensors):
    """What `encoded` was given, with lists for tuples."""
    if isinstance(value, list):
        return [decoded(entry, tensors) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {decoded(key, tensors): decoded(entry, tensors) for key, entry in content}
    return {"tensor": tensors.get, "float": float}[kind](content)


def fingerprint(x, y, weights):
    """A text that changes with the rows of a training: their shapes, and CRC-32 of their bytes."""
    arrays = [np.ascontiguousarray(array) for array in (x, y, weights) if array is not None and len(array)]
    return " ".join(f"{array.shape}:{zlib.crc32(array.view(np.uint8)):08x}" for array in arrays)
