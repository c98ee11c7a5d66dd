"""The base of all layers: what they say of themselves, and the way from a layer to the model it is in."""

import functools
import weakref
from collections.abc import Callable
from itertools import count
from math import prod
from typing import NamedTuple

from fastml.attributes import positive_integer
from fastml.custom.rows import custom_rows, vectors
from fastml.files.description import Described, remade, restore
from fastml.files.description import arguments as plain
from fastml.keras_names import LAYER, snake
from fastml.kernels.operation import HEADER, WORDS
from fastml.regularizers import L1L2
from fastml.telling import Told, arguments_in_order, arguments_of, told

MOST_VECTORS = (WORDS - len(HEADER) - 4) // 2  # that an instruction has room for, with their gradients
COMMON = ("name", "trainable", "input_dim", "input_shape")  # arguments that all layers have


class Weights(NamedTuple):
    """What a layer wants to keep: an array of this shape, what it starts as, and what training does to it.

    initializer : what kernel_initializer of `Dense` takes
    role : "weight" decays; "bias" does not; "statistic" is not trained at all; "constant" is 0, and nobody sees it
    """

    name: str
    shape: tuple
    initializer: Callable | str | float
    role: str
    regularizer: L1L2 | None = None


@functools.cache
def settable(kind):
    """The names of the attributes that may be set on layers of this class of fastml's; of users' classes, all."""
    if kind.__module__.partition(".")[0] != "fastml":
        return None
    others = {name for name in dir(kind) if not callable(getattr(kind, name))}
    return arguments_of(kind) | others - {"weights", "kernel", "bias"}


def width_of(shape, name):
    """The width of the data in a Keras shape, (features,) or an int; None for None."""
    if shape is None:
        return None
    if isinstance(shape, (tuple, list)):
        if len(shape) != 1:
            hint = f"the rows are not counted: pass ({shape[1]},)" if len(shape) == 2 and shape[0] is None else ""
            hint = hint or "flatten each row with x.reshape(len(x), -1)"
            raise ValueError(f"{name} must be (features,), got {tuple(shape)}: {hint}")
        (shape,) = shape
    return positive_integer(name, shape)


def check_name(name):
    """A name, or None; TypeError or ValueError otherwise."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a text, got {type(name).__name__} {name!r}")
    if name == "":
        raise ValueError("name must not be empty")
    return name


class Input:
    """The width of the data, as the first entry of a Sequential: ``Input(shape=(10,))`` is ``input_dim=10``.

    shape : tuple (features,), without the rows. Raises ValueError for any other shape.
    """

    @told
    def __init__(self, shape: tuple[int], name: str | None = None) -> None:
        self.name, self.input_dim = check_name(name), width_of(shape, "shape")
        if shape is None:
            raise TypeError("shape must be (features,), got None")

    def __repr__(self):
        return f"Input(shape=({self.input_dim},))"


class Layer(Told, Described, base=True):
    """One step of a model. A subclass says how wide its output is, what it keeps, and which instructions it becomes.

    All layers of fastml also take, by name:

    name : str
        What `Sequential.get_layer` finds it by; "dense", "dense_1", … if not given.
    trainable : bool
        Whether `fit` changes its weights. It may be set at any time between trainings. A frozen layer has no updates,
        no decay and no penalty, and its optimizer's state rests; BatchNormalization then uses its running statistics.
        Statistics of Normalization are no matter of training.
    input_dim, input_shape : int, tuple (features,)
        Width of the data, for the first layer.
    """

    _shared = ("name", "trainable")
    first = ""  # why the layer must be the first one of a model, for those that must
    codes = {}  # columns of the data that hold codes of categories, which must be checked: their number by column
    alone = True  # whether each row's output depends on that row alone, also while training
    input_dim = None
    _name, _label, _trainable, _models = None, None, True, ()

    @told
    def __init__(self, *, name=None, trainable=True, input_dim=None, input_shape=None):
        if input_dim is not None and input_shape is not None:
            raise ValueError("give input_dim or input_shape, not both")
        dim = width_of(input_shape, "input_shape") if input_dim is None else positive_integer("input_dim", input_dim)
        self.name, self.trainable, self.input_dim = name, trainable, dim

    def units_out(self, d_in):
        """Width of the output for inputs of width d_in."""
        return d_in

    def expand(self):
        """The layer as the list of elementary layers that it abbreviates."""
        return [self]

    def parameters(self, d_in):
        """The Weights that the layer keeps, for inputs of width d_in."""
        return []

    def products(self, d_in):
        """Multiplications of matrix products for each row: as many as there are weights."""
        return sum(prod(weights.shape) for weights in self.parameters(d_in) if weights.role == "weight")

    def lower(self, to, x, d_in):
        """Emits the forward instructions for the rows at x : (n, d_in), those of training if `to.training`.

        Returns the place of the output rows and a function ``backward(da, inputs) -> dx`` that emits the backward
        instructions: da is the place of the output's gradient, dx that of the input's. With ``inputs`` false nobody
        asks for dx: the layer may leave it out and return None.
        """
        if type(self).call is Layer.call:
            raise NotImplementedError
        traced = self.__dict__.setdefault("_kept_rows", {})  # the same in all programs of a model
        if d_in not in traced:
            what = f"layer {type(self).__name__}"
            names = vectors(what, self.parameters(d_in), d_in)
            if len(names) > MOST_VECTORS:
                raise ValueError(f"{what} has {len(names)} vectors of weights, at most {MOST_VECTORS} can be compiled")
            traced.setdefault(d_in, custom_rows(what, self.call, names))  # another thread may have been there first
        return traced[d_in].lower(to, x, d_in, self.trainable)

    def call(self, x, *weights):
        """The output for the rows x : (n, d), in functions of NumPy, in layers of your own that have no `lower`.

        weights : those of `parameters`, each a vector (d,). The output has the shape of x. The function is called once,
        with arrays that note what is computed, and compiled with its gradient; see docs/custom.
        """
        raise NotImplementedError

    # What follows is for users.

    @property
    def name(self):
        """What the layer is called: as given, or by its class, with a number where a model has several."""
        return self._name or self._label or snake(type(self).__name__)

    @name.setter
    def name(self, value):
        self._name = check_name(value)

    @property
    def trainable(self):
        """Whether `fit` changes the weights of the layer."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        if not isinstance(value, bool) and type(value).__name__ not in ("bool", "bool_"):
            raise TypeError(f"trainable must be True or False, got {value!r}")
        models = self._living()
        for model in models:
            model._check_idle("setting trainable")
        self._trainable = bool(value)
        for model in models:
            model._freeze()

    @property
    def weights(self):
        """The weights as they are, a list of read-only arrays; [] before the model has some."""
        models = self._living()
        if not models or models[-1]._engine is None:
            return []
        arrays = self.get_weights()
        for array in arrays:
            array.flags.writeable = False
        return arrays

    def get_weights(self):
        """Copies of the weights, as in `Sequential.get_weights`. Raises RuntimeError before there are some."""
        model, places = self._place("get_weights")
        weights = model.get_weights()
        return [weights[k] for k in places]

    def set_weights(self, weights):
        """Overwrites the weights with arrays in the order and shapes of `get_weights`, all or none."""
        model, places = self._place("set_weights")
        if not hasattr(weights, "__len__") or len(weights) != len(places):
            got = f"{len(weights)}" if hasattr(weights, "__len__") else type(weights).__name__
            raise ValueError(f"weights must be {len(places)} arrays for {self!r}, got {got}")
        whole = model.get_weights()
        for k, array in zip(places, weights, strict=True):
            whole[k] = array
        model.set_weights(whole)

    def count_params(self):
        """The number of weights, statistics included. Raises RuntimeError before there are some."""
        return sum(array.size for array in self.get_weights())

    def get_config(self):
        """The arguments that make the like of this layer, as plain data; `from_config` takes them."""
        return plain(self, {})

    @classmethod
    def from_config(cls, config):
        """The layer that `get_config` described."""
        return remade(cls, {name: restore(value) for name, value in config.items()})

    def described(self):
        names = [name for name in arguments_in_order(type(self)) if name not in (*self._shared, "input_shape")]
        common = {"name": self._name, "trainable": self.trainable}
        return self.attributes(names) | common | getattr(self, "arguments", {})

    def _living(self):
        """The models that the layer is in."""
        return [model for reference in self._models if (model := reference()) is not None]

    def _join(self, model, names):
        """Notes that it is now in this model, in which these names are taken."""
        self._models = (*(reference for reference in self._models if reference() is not None), weakref.ref(model))
        base = snake(type(self).__name__)
        before = [layer for layer in model.layers[: model.layers.index(self)] if type(layer) is type(self)]
        labels = (f"{base}_{k}" if k else base for k in count(len(before)))
        self._label = next(label for label in labels if label not in names)

    def _leave(self, model):
        """Notes that it is no longer in this model."""
        self._models = tuple(reference for reference in self._models if reference() not in (None, model))

    def _place(self, method):
        """The model that the layer is in, and the numbers of its weights there."""
        models = self._living()
        if len(models) != 1:
            why = "it is in several models: ask one of these" if models else "it is in no model yet"
            raise RuntimeError(f"{method} of {self!r}: {why}")
        (model,) = models
        model._check_built(method)
        position = next(k for k, layer in enumerate(model.layers) if layer is self)
        return model, [k for k, p in enumerate(model._engine.program.parameters) if p.layer == position]

    def __call__(self, *inputs, **options):
        """Refused: layers are put into a `Sequential`, there are no graphs."""
        raise TypeError(f"{self!r} cannot be called on data or layers: a model is one chain, Sequential([…])")

    def __setattr__(self, name, value):
        if not name.startswith("_"):
            known = settable(type(self))
            if known is None and name not in (*COMMON, "alone") and hasattr(Layer, name):
                if callable(getattr(Layer, name)) or getattr(type(self), name) is getattr(Layer, name):
                    raise AttributeError(f"{name} of {type(self).__name__} cannot be set: all layers have one")
            if known is not None and (self._models or name not in known):
                self._check_attribute(name, known)
            elif known is None and self._models and name in arguments_of(type(self)):
                self._check_attribute(name, (name,))
        super().__setattr__(name, value)

    def _check_attribute(self, name, known):
        """AttributeError for what would have no effect: unknown names, and arguments once the model has its weights."""
        kind = type(self).__name__
        if name not in known:
            if name in ("weights", "kernel", "bias") or hasattr(type(self), name):
                raise AttributeError(f"{name} of {kind} cannot be set: use set_weights([…])")
            raise AttributeError(f"{kind} has no {name}{f': {LAYER[name]}' if name in LAYER else '; it has no effect'}")
        if name not in ("name", "trainable") and any(model._engine for model in self._living()):
            raise AttributeError(f"{name} of {kind} cannot be changed once the model has its weights: make a new model")

    def __getattr__(self, name):
        if name in LAYER:
            raise AttributeError(f"{type(self).__name__} has no {name}: {LAYER[name]}")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __getstate__(self):
        """Without the models that it is in, which put themselves there again, and what it expands to anew."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_models", "_kept_parts")}

    def __repr__(self):
        names = [name for name in arguments_in_order(type(self)) if name not in COMMON and hasattr(self, name)]
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({(shown + self._shown()).removeprefix(', ')})"

    def _shown(self):
        """The common arguments in a representation, where they are not what is usual."""
        name = f", name={self._name!r}" if self._name else ""
        return name if self._trainable else f"{name}, trainable=False"
