"""Layers: descriptions that can lower themselves to instructions."""

import operator
from collections.abc import Callable
from math import prod
from typing import NamedTuple

from numpy.typing import ArrayLike

from fastml.activations import ACTIVATIONS
from fastml.constants import Constant
from fastml.initializers import ones, resolve_initializer, zeros
from fastml.kernels import instruction
from fastml.kernels.activations import EPILOGUES
from fastml.registry import lookup
from fastml.regularizers import L1L2, resolve_regularizer


def positive_integer(name, value, most=2**31 - 1, least=1):
    """The value as an int from `least` to `most`; TypeError or ValueError otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {value!r}") from None
    if not least <= count <= most:
        raise ValueError(f"{name} must be from {least} to {most}, got {count}")
    return count


def codes_of(layers):
    """The columns of the data that hold codes, with the number of categories, for a model of these layers."""
    return layers[0].codes if layers else {}


def method_of(layers):
    """How a model of these layers normalizes the columns of its data, or None where it does not."""
    return layers[0].method if layers and isinstance(layers[0], Normalization) else None


class Weights(NamedTuple):
    """What a layer wants to keep: an array of this shape, what it starts as, and what training does to it."""

    name: str
    shape: tuple
    initializer: Callable
    role: str  # "weight": decays; "bias": does not; "statistic": is not trained at all
    regularizer: L1L2 | None = None


class Layer:
    """One step of a model. A subclass says how wide its output is, what it keeps, and which instructions it becomes."""

    alone = True  # whether each row's output depends on that row alone, also while training
    first = ""  # why the layer must be the first one of a model, for those that must
    codes = {}  # columns of the data that hold codes of categories, which must be checked: their number by column

    def units_out(self, d_in):
        """Width of the output for inputs of width d_in."""
        return d_in

    def expand(self):
        """The layer as the list of elementary layers that it abbreviates."""
        return [self]

    def weights(self, d_in):
        """The Weights that the layer keeps, for inputs of width d_in."""
        return []

    def products(self, d_in):
        """Multiplications of matrix products for each row: as many as there are weights."""
        return sum(prod(weights.shape) for weights in self.weights(d_in) if weights.role == "weight")

    def lower(self, to, x, d_in):
        """Emits the forward instructions for the rows at x : (n, d_in), those of training if `to.training`.

        Returns the place of the output rows and a function ``backward(da, inputs) -> dx`` that emits the backward
        instructions: da is the place of the output's gradient, dx that of the input's. With ``inputs`` false nobody
        asks for dx: the layer may leave it out and return None.
        """
        raise NotImplementedError


class Dense(Layer):
    """A layer of neurons, ``a = f(x·W + b)``, W : (d_in, units), b : (units,).

    Parameters
    ----------
    units : int
        Number of neurons, the width of the output.
    activation : str or Activation
        f: a name of `ACTIVATIONS`, or an `Activation` with its parameter. None is linear.
    kernel_initializer, bias_initializer : str, number or array
        Start values of W and b: a name of `INITIALIZERS`, a number for all, or an array of the shape. For relu and its
        family take he_normal, for selu lecun_normal.
    kernel_regularizer, bias_regularizer : None, L1, L2 or L1L2
        Penalties on W and on b, part of the loss.
    """

    def __init__(
        self,
        units: int,
        activation: "str | Activation | None" = "linear",
        kernel_initializer: str | ArrayLike = "glorot_uniform",
        bias_initializer: str | ArrayLike = "zeros",
        kernel_regularizer: L1L2 | str | None = None,
        bias_regularizer: L1L2 | str | None = None,
    ) -> None:
        self.units = positive_integer("units", units)
        if not isinstance(activation, Activation):
            activation = Activation("linear" if activation is None else activation)
        self.function = activation
        self.kernel_initializer = resolve_initializer(kernel_initializer, "kernel_initializer")
        self.bias_initializer = resolve_initializer(bias_initializer, "bias_initializer")
        self.kernel_regularizer = resolve_regularizer(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = resolve_regularizer(bias_regularizer, "bias_regularizer")

    @property
    def activation(self):
        """The name of the activation function."""
        return self.function.activation

    @property
    def arguments(self):
        """Arguments of the constructor that are not attributes of the same name."""
        return {"activation": self.function}

    def units_out(self, d_in):
        return self.units

    def expand(self):
        return [self, *self.function.expand()]

    def weights(self, d_in):
        return [
            Weights("W", (d_in, self.units), self.kernel_initializer, "weight", self.kernel_regularizer),
            Weights("b", (self.units,), self.bias_initializer, "bias", self.bias_regularizer),
        ]

    def lower(self, to, x, d_in):
        W, b, z = to.place("W"), to.place("b"), to.rows(self.units)
        to.keep(x)
        sizes = {"d_in": d_in, "d_out": self.units}
        to.emit(instruction.DENSE_FORWARD, x=x, W=W, b=b, z=z, room=to.copies, **sizes)

        def backward(dz, inputs):
            operands = {"x": x, "dz": dz, "W": W, "b": b, "size": to.trained, "room": to.copies}
            to.sum(instruction.DENSE_BACKWARD_WEIGHTS, **operands, **sizes)
            if not inputs:
                return None
            dx = to.rows(d_in)
            to.emit(instruction.DENSE_BACKWARD_INPUTS, dz=dz, W=W, a=x, dx=dx, room=to.copies, **sizes)
            return dx

        return z, backward

    def __repr__(self):
        shown = repr(self.activation) if self.function.alpha is None else repr(self.function)
        return f"Dense({self.units}, activation={shown})"


class Activation(Layer):
    """An activation function as a layer of its own, or for a `Dense` layer if it has a parameter.

    Parameters
    ----------
    activation : str
        A name of `ACTIVATIONS`; softmax is over each row.
    alpha : float, optional
        The slope of leaky_relu, or the scale of elu, for z < 0; from 0 on. If not given: 0.01 and 1.
    """

    def __init__(self, activation: str, alpha: float | None = None) -> None:
        function = lookup(ACTIVATIONS, activation, "activation")
        if alpha is not None and function.alpha is None:
            parametric = ", ".join(name for name, entry in ACTIVATIONS.items() if entry.alpha is not None)
            raise ValueError(f"activation '{activation}' has no alpha; these have: {parametric}")
        self.activation = activation
        self.alpha = None if function.alpha is None else _Alpha(function.alpha if alpha is None else alpha).alpha

    def expand(self):
        return [] if self.activation == "linear" else [self]

    def lower(self, to, z, d_in):
        function = ACTIVATIONS[self.activation]
        a = to.rows(d_in) if z in to.kept or (to.training and function.keeps_z) else z
        to.keep(a, *[z] * function.keeps_z)
        operands = {"kind": function.code, "alpha": self.alpha or 0.0, "z": z, "a": a, "d_out": d_in}
        product = to.product_of("z", z) if a == z and function.code in EPILOGUES else None
        if product:
            product["kind"] = function.code  # applied by the product before it writes z
        else:
            to.emit(instruction.ACTIVATION_FORWARD, **operands)

        def backward(da, inputs):
            product = to.product_of("dx", da) if function.code in EPILOGUES else None
            if product:
                product |= {"kind": function.code, "a": a}
            else:
                to.emit(instruction.ACTIVATION_BACKWARD, da=da, dz=da, **operands)
            return da

        return a, backward

    def __repr__(self):
        default = ACTIVATIONS[self.activation].alpha
        return f"Activation({self.activation!r}{'' if self.alpha == default else f', alpha={self.alpha:g}'})"


class _Alpha:
    """Checks the parameter of an activation."""

    alpha = Constant(0)

    def __init__(self, alpha):
        self.alpha = alpha


class Dropout(Layer):
    """Sets each input to 0 with probability `rate` while training, and scales the others by 1 / (1 - rate).

    Inverted dropout: predictions and evaluations need no scaling, the layer does nothing to them. rate is from 0 to
    below 1. The mask is drawn anew for each row, unit and step, from the model's seed alone. Source: Srivastava et al.,
    JMLR 15, 2014.
    """

    rate = Constant(0, 1, why=": a rate of 1 would leave nothing to learn from")

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def lower(self, to, x, d_in):
        if not to.training or self.rate == 0:
            return x, lambda da, inputs: da
        a = to.rows(d_in) if x in to.kept else x
        operands = {"mask": to.rows(d_in), "rate": self.rate, "layer": to.layer, "d_in": d_in}
        to.emit(instruction.DROPOUT_FORWARD, x=x, a=a, **operands)

        def backward(da, inputs):
            to.emit(instruction.DROPOUT_BACKWARD, da=da, dx=da, **operands)
            return da

        return a, backward

    def __repr__(self):
        return f"Dropout({self.rate:g})"


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

    def __init__(self, method: str = "standard") -> None:
        lookup(dict.fromkeys(self.METHODS), method, "method")
        self.method = method

    def weights(self, d_in):
        return [Weights("mean", (d_in,), zeros, "statistic"), Weights("scale", (d_in,), ones, "statistic")]

    def lower(self, to, x, d_in):
        to.emit(instruction.NORMALIZE, x=x, a=x, mean=to.place("mean"), scale=to.place("scale"), d_in=d_in)
        return x, lambda da, inputs: None

    def __repr__(self):
        return f"Normalization({self.method!r})"


class BatchNormalization(Layer):
    """Normalizes each column by the batch, ``a = γ·(x - mean) / √(variance + epsilon) + β``; γ and β are trained.

    While training, mean and variance (biased, in two passes) are those of the batch, which must have at least 2 rows;
    a single last row joins the batch before it. Predictions and evaluations use running statistics, which each update
    moves: ``running = momentum·running + (1 - momentum)·batch``, with the unbiased variance. That is PyTorch's way with
    momentum 0.1 meaning 1 - momentum here; Keras has this meaning of momentum, but 0.99, epsilon 1e-3 and the biased
    variance. Weights of the rows do not matter. `get_weights` has γ, β, mean and variance, all (units,). Source: Ioffe
    & Szegedy, ICML 2015.

    Parameters
    ----------
    momentum : float
        Share of the running statistics that an update keeps, from 0 to below 1.
    epsilon : float
        Added to the variance, above 0.
    """

    momentum = Constant(0, 1)
    epsilon = Constant(0, open_low=True)

    alone = False

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        self.momentum = momentum
        self.epsilon = epsilon

    def weights(self, d_in):
        roles = {"gamma": (ones, "bias"), "beta": (zeros, "bias")}
        roles |= {"mean": (zeros, "statistic"), "variance": (ones, "statistic")}
        return [Weights(name, (d_in,), *role) for name, role in roles.items()]

    def lower(self, to, x, d_in):
        statistics = {"mean": to.place("mean"), "variance": to.place("variance"), "d_in": d_in}
        shared = {"gamma": to.place("gamma"), "beta": to.place("beta"), "d_in": d_in}
        a = to.rows(d_in) if x in to.kept else x
        if not to.training:
            to.emit(instruction.BATCHNORM_INFERENCE, x=x, a=a, epsilon=self.epsilon, **(shared | statistics))
            return a, None
        batch = {"batch_mean": to.room(d_in), "batch_variance": to.room(d_in)}
        shared |= {"inverse": to.room(d_in), "x_hat": to.rows(d_in)}
        to.meet()  # rows are shared out, then columns, then rows again
        to.emit(instruction.BATCHNORM_FORWARD, x=x, a=a, epsilon=self.epsilon, **batch, **shared)
        to.meet()
        to.track(instruction.BATCHNORM_TRACK, momentum=self.momentum, **batch, **statistics)

        def backward(da, inputs):
            to.meet()
            to.emit(instruction.BATCHNORM_BACKWARD, da=da, dx=da, **shared)
            to.meet()
            return da

        return a, backward

    def __repr__(self):
        return f"BatchNormalization(momentum={self.momentum:g}, epsilon={self.epsilon:g})"
