"""What a model consists of, by Keras's names: layers, weights, shapes, and its description as plain data."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastml.attributes import positive_integer
from fastml.data.arrays import as_list
from fastml.files import saving
from fastml.files.description import check_known, custom_objects, describe, restore
from fastml.keras_names import MODEL
from fastml.layer import Input, Layer, check_name
from fastml.profiling import Profile, profile
from fastml.summary import format_summary, html_summary


class Contents:
    """The part of `Sequential` that looks at layers and weights."""

    @property
    def name(self) -> str:
        """What the model is called."""
        return self._name or "sequential"

    @name.setter
    def name(self, value):
        self._name = check_name(value)

    def add(self, layer: Layer) -> None:
        """Appends a layer, or as the first an `Input`. Not possible once the model has weights."""
        if isinstance(layer, Input):
            if self.layers:
                raise ValueError(f"{layer!r} must be the first of the layers")
            self._set_input_dim(layer.input_dim)
            return
        ways = ("call", "expand", "lower")
        if not isinstance(layer, Layer) or all(getattr(type(layer), way) is getattr(Layer, way) for way in ways):
            why = ": a layer of your own needs a method call(self, x)" if isinstance(layer, Layer) else ""
            raise TypeError(f"a layer is expected, such as Dense(10); got {type(layer).__name__} {layer!r}{why}")
        if type(layer).lower is not Layer.lower and type(layer).call is not Layer.call:
            base = next(kind.__name__ for kind in type(layer).__mro__ if "lower" in vars(kind))
            what = f"layer {type(layer).__name__}: its method call would not be used, as {base} has a method lower"
            raise TypeError(f"{what}: derive it from Layer")
        if self._engine:
            raise RuntimeError("this model has its weights already: add layers before fit, predict or build")
        if any(layer is other for other in self.layers):
            raise ValueError(f"{layer!r} is in the model already: make a new layer, weights are not shared")
        if layer.first and self.layers:
            raise ValueError(f"{type(layer).__name__} must be the first layer: {layer.first}")
        names = [other.name for other in self.layers]
        if layer._name in names:
            raise ValueError(f"name '{layer._name}' is taken by another layer of the model")
        if any(model._engine for model in layer._living()):
            warnings.warn(
                f"{layer!r} has weights in another model, which are not shared: it starts anew here; copy them by "
                "get_weights and set_weights, and make a new layer",
                UserWarning,
                stacklevel=2,
            )
        if layer.input_dim is not None and not self.layers:
            self._set_input_dim(layer.input_dim)
        self.layers.append(layer)
        layer._join(self, names)

    def pop(self) -> Layer:
        """Takes the last layer away and returns it. Not possible once the model has weights."""
        if not self.layers:
            raise IndexError("the model has no layers")
        if self._engine:
            raise RuntimeError(
                "this model has its weights already: make a new Sequential of new layers, and copy the weights that "
                "are to stay by layer.get_weights and layer.set_weights"
            )
        layer = self.layers.pop()
        layer._leave(self)
        return layer

    def _set_input_dim(self, input_dim):
        if self.input_dim not in (None, input_dim):
            raise ValueError(f"input_dim is {self.input_dim} already, got {input_dim}")
        self.input_dim = input_dim

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of this name, or at this index; ValueError where there is none."""
        if (name is None) == (index is None):
            raise ValueError("give name or index of the layer")
        if index is not None:
            if not -len(self.layers) <= (k := positive_integer("index", index, least=-(2**31))) < len(self.layers):
                raise ValueError(f"index {index}: the model has {len(self.layers)} layers, counted from 0")
            return self.layers[k]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"no layer is called {name!r}; there are: {', '.join(layer.name for layer in self.layers)}")

    @property
    def trainable(self) -> bool:
        """Whether any layer is trained; to set it sets that of all layers."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value):
        for layer in self.layers:
            layer.trainable = value

    @property
    def weights(self) -> list[NDArray]:
        """All weights as they are, read-only arrays in the order of `get_weights`."""
        return self._read_only(lambda parameter: True)

    @property
    def trainable_weights(self) -> list[NDArray]:
        """The weights that `fit` changes, read-only arrays."""
        return self._read_only(lambda parameter: parameter.trained)

    @property
    def non_trainable_weights(self) -> list[NDArray]:
        """Weights of frozen layers, and statistics, read-only arrays."""
        return self._read_only(lambda parameter: not parameter.trained)

    variables, trainable_variables, non_trainable_variables = weights, trainable_weights, non_trainable_weights

    def _read_only(self, wanted):
        arrays = self.get_weights()
        found = [a for a, p in zip(arrays, self._engine.program.parameters, strict=True) if wanted(p)]
        for array in found:
            array.flags.writeable = False
        return found

    def get_weights(self) -> list[NDArray]:
        """Copies of the weights, layer by layer: W (d_in, units), b (units,), …; the layers say what they have."""
        self._check_built("get_weights")
        with self._rest.visit():
            return [weights.copy() for weights in self._engine.weights()]

    def set_weights(self, weights: Iterable[ArrayLike]) -> None:
        """Overwrites the weights with arrays in the order and shapes of `get_weights`, all or none."""
        self._check_built("set_weights")
        self._engine.set_weights(as_list(weights, "weights", "arrays"))

    def _repr_html_(self):
        return html_summary(self._built_layers(), self.input_dim, self.dtype)

    def count_params(self) -> int:
        """The number of weights, statistics included. Raises RuntimeError while the width of the data is unknown."""
        self._check_built("count_params")
        return sum(parameter.size for parameter in self._engine.program.parameters)

    @property
    def input_shape(self) -> tuple[None, int | None]:
        """(None, features): the number of rows is any; features are None while not known."""
        return None, self.input_dim

    @property
    def output_shape(self) -> tuple[None, int | None]:
        """(None, units); units are None while not known."""
        width = self.input_dim
        for layer in self._built_layers():
            width = layer.units_out(width) if width else getattr(layer, "units", None)
        return None, width

    def summary(self, *, print_fn: Any = None, expand_nested: bool = False, show_trainable: bool = False) -> None:
        """Prints the layers with their shapes, parameters, memory and FLOP for a row.

        `print_fn` is called with the text in place of print. The other arguments are Keras's and change nothing: there
        are no nested models, and a frozen layer always says trainable=False.
        """
        (print_fn or print)(format_summary(self._built_layers(), self.input_dim, self.dtype))

    def profile(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        sample_weight: ArrayLike | None = None,
        class_weight: dict[int, float] | str | None = None,
        seconds: float = 1.0,
    ) -> Profile:
        """Where the time of a training step goes, instruction by instruction: print it. See `fastml.profiling`."""
        return profile(self, x, y, batch_size, sample_weight, class_weight, seconds)

    def get_config(self) -> dict:
        """What makes a model like this one, without weights and `compile`, as plain data; `from_config` takes it."""
        config = {"name": self._name, "dtype": self.dtype, "seed": self.seed, "input_dim": self.input_dim}
        return config | {"layers": [describe(layer) for layer in self._built_layers()]}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """The model that `get_config` described; ValueError or TypeError for anything else.

        custom_objects : functions and classes of your own that it has, by name.
        """
        if not isinstance(config, dict) or "layers" not in config:
            raise ValueError(f"config must be what get_config gives, got {saving.shortened(repr(config))}")
        check_known(config["layers"], custom_objects)
        layers = [restore(layer, custom_objects) for layer in config["layers"]]
        return cls(layers, **{name: value for name, value in config.items() if name != "layers"})

    def to_json(self) -> str:
        """The description of `get_config` as JSON, which `fastml.models.model_from_json` takes."""
        return json.dumps({"class_name": "Sequential", "config": self.get_config()})

    def save_weights(self, path: str | os.PathLike) -> None:
        """Writes the model without the optimizer's state to a safetensors file; see `save`."""
        self.save(path, include_optimizer=False)

    def load_weights(self, path: str | os.PathLike) -> None:
        """Takes the weights from a file of `save` or `save_weights`; layers must have the same shapes.

        Raises `ModelFileError` where the file is none, ValueError where its weights do not fit.
        """
        other = saving.load(path, type(self), custom=custom_objects(self))
        if not other._engine.fitted:
            raise ValueError(f"{os.fspath(path)} has no statistics of Normalization: it was saved before its first fit")
        if not self._engine:
            self.build(other.input_dim)
        self.set_weights(other.get_weights())

    def __getattr__(self, name):
        if name in MODEL:
            raise AttributeError(f"Sequential has no {name}: {MODEL[name]}")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
