"""Layers: descriptions that can lower themselves to instructions."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from types import FunctionType, NoneType

from numpy.typing import ArrayLike

from fastml.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from fastml.attributes import Constant, Flag, positive_integer
from fastml.batch_normalization import BatchNormalization
from fastml.embedding import Embedding
from fastml.initializers import ones, resolve_initializer, zeros
from fastml.keras_names import MISSING
from fastml.layer import Input, Layer, Weights, settable
from fastml.layer_normalization import LayerNormalization
from fastml.periodic_embedding import PeriodicEmbedding
from fastml.registry import lookup
from fastml.regularizers import L1L2, resolve_regularizer
from fastml.telling import missing

__all__ = [  # what fastml itself gives of this file
    "ELU", "Activation", "BatchNormalization", "Dense", "Dropout", "Embedding", "Input", "Layer", "LayerNormalization",
    "LeakyReLU", "Normalization", "PeriodicEmbedding", "ReLU", "Softmax", "Weights",
]  # fmt: skip


def codes_of(layers):
    """The columns of the data that hold codes, with the number of categories, for a model of these layers."""
    return layers[0].codes if layers else {}


UNCHANGING = frozenset((int, float, bool, str, NoneType, FunctionType))


def copied(layers):
    """Copies as `deepcopy` makes them, sooner where all that the layers have are numbers, texts and activations."""
    made = [plain_copy(layer, (Activation,)) for layer in layers]
    return deepcopy(layers) if any(copy is None for copy in made) else made


def plain_copy(layer, inside=()):
    """A copy of a layer of fastml's, None where an attribute may change or is a layer, but for those `inside` it."""
    if settable(type(layer)) is None:
        return None
    made = object.__new__(type(layer))
    for name, value in layer.__getstate__().items():
        plain = plain_copy(value) if type(value) in inside else value if type(value) in UNCHANGING else None
        if plain is None and value is not None:
            return None
        made.__dict__[name] = plain
    return made


def method_of(layers):
    """How a model of these layers normalizes the columns of its data, or None where it does not."""
    return layers[0].method if layers and isinstance(layers[0], Normalization) else None


class Dense(Layer):
    """A layer of neurons, ``a = f(x·W + b)``, W : (d_in, units), b : (units,).

    Parameters
    ----------
    units : int
        Number of neurons, the width of the output.
    activation : str, Activation or function
        f: a name of `ACTIVATIONS`, an `Activation` with its parameter, or a function of your own, see there. None is
        linear.
    kernel_initializer, bias_initializer : str, number, array or function
        Start values of W and b: a name of `INITIALIZERS`, a number for all, an array of the shape, or a function of the
        shape and a numpy.random.Generator. For relu and its family take he_normal, for selu lecun_normal.
    kernel_regularizer, bias_regularizer : None, L1, L2 or L1L2
        Penalties on W and on b, part of the loss.
    use_bias : bool
        Whether there is a b; without one, `get_weights` has W alone.
    name, trainable, input_dim, input_shape
        See `Layer`.
    """

    function = None  # the Activation
    use_bias = Flag()

    def __init__(
        self,
        units: int,
        activation: str | Activation | Callable | None = "linear",
        kernel_initializer: str | ArrayLike | Callable = "glorot_uniform",
        bias_initializer: str | ArrayLike | Callable = "zeros",
        kernel_regularizer: L1L2 | str | None = None,
        bias_regularizer: L1L2 | str | None = None,
        use_bias: bool = True,
        **common,
    ) -> None:
        super().__init__(**common)
        self.units = positive_integer("units", units)
        if not isinstance(activation, Activation):
            activation = Activation("linear" if activation is None else activation)
        self.function = activation
        self.kernel_initializer = resolve_initializer(kernel_initializer, "kernel_initializer")
        self.bias_initializer = resolve_initializer(bias_initializer, "bias_initializer")
        self.kernel_regularizer = resolve_regularizer(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = resolve_regularizer(bias_regularizer, "bias_regularizer")
        self.use_bias = use_bias
        if self.bias_regularizer and not self.use_bias:
            raise ValueError("bias_regularizer is for a bias, but use_bias is False")

    @property
    def activation(self):
        """The name of the activation function, or the user's function."""
        return self.function.activation

    @property
    def arguments(self):
        """Arguments of the constructor that are not attributes of the same name."""
        return {"activation": self.function}

    def units_out(self, d_in):
        return self.units

    def expand(self):
        return [self, *self.function.expand()]

    def parameters(self, d_in):
        W = Weights("W", (d_in, self.units), self.kernel_initializer, "weight", self.kernel_regularizer)
        if not self.use_bias:
            return [W, Weights("b", (self.units,), zeros, "constant")]
        return [W, Weights("b", (self.units,), self.bias_initializer, "bias", self.bias_regularizer)]

    @property
    def kernel(self):
        """W as it is, (d_in, units), read-only."""
        return self._array(0)

    @property
    def bias(self):
        """b as it is, (units,), read-only; None where there is none."""
        return self._array(1) if self.use_bias else None

    def _array(self, k):
        array = self.get_weights()[k]
        array.flags.writeable = False
        return array

    def lower(self, to, x, d_in):
        W, b, z = to.place("W"), to.place("b"), to.rows(self.units)
        if self.trainable:
            to.keep(x)
        sizes = {"d_in": d_in, "d_out": self.units, **to.scratch}
        to.emit("dense_forward", x=x, W=W, b=b, z=z, a=z, **sizes)

        def backward(dz, inputs):
            operands = {"dz": dz, "W": W, **sizes}
            if self.trainable:
                to.sum("dense_backward_weights", x=x, b=b, size=to.trained, **operands)
            if not inputs:
                return None
            dx = to.rows(d_in)
            to.emit("dense_backward_inputs", u=x, dx=dx, **operands)
            return dx

        return z, backward

    def __repr__(self):
        shown = self.function.shown if self.function.alpha is None else repr(self.function)
        return f"Dense({self.units}, activation={shown}{'' if self.use_bias else ', use_bias=False'}{self._shown()})"


class Dropout(Layer):
    """Sets each input to 0 with probability `rate` while training, and scales the others by 1 / (1 - rate).

    Inverted dropout: predictions and evaluations need no scaling, the layer does nothing to them. rate is from 0 to
    below 1. The mask is drawn anew for each row, unit and step, from the model's seed alone. Source: Srivastava et al.,
    JMLR 15, 2014.
    """

    rate = Constant(0, 1, why=": a rate of 1 would leave nothing to learn from")

    def __init__(self, rate: float, **common) -> None:
        super().__init__(**common)
        self.rate = rate

    def lower(self, to, x, d_in):
        if not to.training or self.rate == 0:
            return x, lambda da, inputs: da
        a = to.rows(d_in) if x in to.kept else x
        mask = to.rows(d_in)
        to.emit("dropout_forward", x=x, a=a, mask=mask, rate=self.rate, layer=to.layer, d_in=d_in)

        def backward(da, inputs):
            to.emit("dropout_backward", da=da, dx=da, mask=mask, d_in=d_in)
            return da

        return a, backward

    def __repr__(self):
        return f"Dropout({self.rate:g}{self._shown()})"


class Normalization(Layer):
    """Centres and scales each column of the data, ``a = (x - mean)·scale``. The first layer of a model, or none.

    `fit` sets mean and scale at its first call, from the rows it trains on (not those it validates with), in float64,
    and they stay; weights of the rows do not matter. They are part of the model, and of `get_weights`. A column in
    which all rows are equal becomes 0, with a scale of 0; the first later `fit` in whose rows, those of a weight above
    0, it varies sets its mean and scale. In a model of float32, columns whose mean is far from 0, more than 256
    spreads, are centred in float64 as they come in, so that seconds since 1970 are told apart; then the mean in
    `get_weights` is float64.

    Parameters
    ----------
    method : str
        "standard": mean 0 and standard deviation 1 (of the biased variance). "minmax": from 0 to 1. "robust": median 0
        and interquartile range 1, or where that range is 0, half of the whole range 1; outliers do not move it.
    """

    METHODS = ("standard", "minmax", "robust")

    first = "it is fitted to the data; use BatchNormalization"

    def __init__(self, method: str = "standard", **common) -> None:
        super().__init__(**common)
        lookup(dict.fromkeys(self.METHODS), method, "method")
        self.method = method

    def parameters(self, d_in):
        return [Weights("mean", (d_in,), zeros, "statistic"), Weights("scale", (d_in,), ones, "statistic")]

    def lower(self, to, x, d_in):
        to.emit("normalize", x=x, a=x, mean=to.place("mean"), scale=to.place("scale"), d_in=d_in)
        return x, lambda da, inputs: None

    def __repr__(self):
        return f"Normalization({self.method!r}{self._shown()})"


__getattr__ = missing("fastml.layers", MISSING)
