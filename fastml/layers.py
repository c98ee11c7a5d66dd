"""Layers: descriptions that can lower themselves to instructions."""

import operator

from fastml.activations import ACTIVATIONS
from fastml.initializers import INITIALIZERS
from fastml.kernels import instruction
from fastml.registry import lookup


def positive_integer(name, value, most=2**31 - 1):
    """The value as an int from 1 to `most`; TypeError or ValueError otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {value!r}") from None
    if not 1 <= count <= most:
        raise ValueError(f"{name} must be from 1 to {most}, got {count}")
    return count


class Layer:
    """One step of a model. A subclass says how wide its output is and which instructions it becomes."""

    def units_out(self, d_in):
        """Width of the output for inputs of width d_in."""
        return d_in

    def expand(self):
        """The layer as the list of elementary layers that it abbreviates."""
        return [self]

    def lower(self, to, x, d_in):
        """Emits the forward instructions for the rows at x : (n, d_in).

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
    activation : str
        Name of f: linear, relu, sigmoid, tanh or softmax.
    kernel_initializer, bias_initializer : str
        Start values of W and b: glorot_uniform, he_normal or zeros.
    """

    def __init__(
        self,
        units: int,
        activation: str | None = "linear",
        kernel_initializer: str = "glorot_uniform",
        bias_initializer: str = "zeros",
    ) -> None:
        self.units = positive_integer("units", units)
        self.activation = "linear" if activation is None else activation
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        lookup(ACTIVATIONS, self.activation, "activation")
        lookup(INITIALIZERS, kernel_initializer, "kernel_initializer")
        lookup(INITIALIZERS, bias_initializer, "bias_initializer")

    def units_out(self, d_in):
        return self.units

    def expand(self):
        return [self, *Activation(self.activation).expand()]

    def lower(self, to, x, d_in):
        W = to.parameter((d_in, self.units), INITIALIZERS[self.kernel_initializer])
        b = to.parameter((self.units,), INITIALIZERS[self.bias_initializer])
        z = to.rows(self.units)
        to.kept.add(x)
        sizes = {"d_in": d_in, "d_out": self.units}
        to.emit(instruction.DENSE_FORWARD, x=x, W=W, b=b, z=z, **sizes)

        def backward(dz, inputs):
            to.emit(instruction.DENSE_BACKWARD_WEIGHTS, x=x, dz=dz, W=W, b=b, **sizes)
            if not inputs:
                return None
            dx = to.rows(d_in)
            to.emit(instruction.DENSE_BACKWARD_INPUTS, dz=dz, W=W, Wt=to.room(d_in * self.units), dx=dx, **sizes)
            return dx

        return z, backward

    def __repr__(self):
        return f"Dense({self.units}, activation={self.activation!r})"


class Activation(Layer):
    """An activation function as a layer of its own: linear, relu, sigmoid, tanh or softmax (over each row)."""

    def __init__(self, activation: str) -> None:
        lookup(ACTIVATIONS, activation, "activation")
        self.activation = activation

    def expand(self):
        return [] if self.activation == "linear" else [self]

    def lower(self, to, z, d_in):
        kind = ACTIVATIONS[self.activation].code
        a = to.rows(d_in) if z in to.kept else z
        to.kept.add(a)
        to.emit(instruction.ACTIVATION_FORWARD, kind=kind, z=z, a=a, d_out=d_in)

        def backward(da, inputs):
            to.emit(instruction.ACTIVATION_BACKWARD, kind=kind, a=a, da=da, dz=da, d_out=d_in)
            return da

        return a, backward

    def __repr__(self):
        return f"Activation({self.activation!r})"
