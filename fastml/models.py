"""Models from descriptions and files, by Keras's names."""

from __future__ import annotations

import json
import os

from fastml.files.description import custom_objects
from fastml.keras_names import MISSING
from fastml.loading import load
from fastml.sequential import Sequential
from fastml.telling import missing, told


@told
def load_model(filepath: str | os.PathLike, custom_objects: dict | None = None) -> Sequential:
    """`fastml.load` under Keras's name: the model, or estimator, that is in a safetensors file."""
    return load(filepath, custom_objects)


@told
def clone_model(model: Sequential) -> Sequential:
    """A model of the same layers with start values of its own; it is not compiled."""
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}")
    return Sequential.from_config(model.get_config() | {"seed": None}, custom_objects(model))


@told
def model_from_json(json_string: str, custom_objects: dict | None = None) -> Sequential:
    """The model that `Sequential.to_json` described; ValueError for any other text.

    custom_objects : functions and classes of your own that it has, by name.
    """
    description = json.loads(json_string)
    if not isinstance(description, dict) or description.get("class_name") != "Sequential":
        raise ValueError("json_string must be what to_json of a Sequential gives")
    return Sequential.from_config(description.get("config"), custom_objects)


__getattr__ = missing("fastml.models", MISSING)
