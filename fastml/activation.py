"""The layer of an activation function, and Keras's names for some."""

from __future__ import annotations

from collections.abc import Callable

from fastml.activations import ACTIVATIONS
from fastml.attributes import Constant
from fastml.custom import called
from fastml.custom.activation import CustomActivation
from fastml.keras_names import canonical
from fastml.layer import Layer
from fastml.registry import lookup
from fastml.telling import told


class Activation(Layer):
    """An activation function as a layer of its own, or for a `Dense` layer if it has a parameter.

    Parameters
    ----------
    activation : str or function
        A name of `ACTIVATIONS`; softmax is over each row. Or a function of your own in functions of NumPy, of an array
        z : (n, d) that gives a : (n, d); it is called once and compiled, see docs/custom/README.md.
    alpha : float, optional
        The slope of leaky_relu, or the scale of elu, for z < 0; from 0 on. If not given: 0.01 and 1.
    derivative : function, optional
        Of z, gives the derivative of a function of your own where it is not to be what its formula says.
    """

    def __init__(
        self,
        activation: str | Callable,
        alpha: float | None = None,
        derivative: Callable | None = None,
        **common,
    ) -> None:
        super().__init__(**common)
        own = callable(activation) and not isinstance(activation, (type, Layer))
        if derivative is not None and not (own and callable(derivative)):
            raise TypeError("derivative must be a function of z, beside an activation that is a function of your own")
        function = CustomActivation(activation, derivative) if own else lookup(ACTIVATIONS, activation, "activation")
        if alpha is not None and function.alpha is None:
            parametric = ", ".join(name for name, entry in ACTIVATIONS.items() if entry.alpha is not None)
            raise ValueError(f"activation '{called(activation)}' has no alpha; these have: {parametric}")
        self.activation = activation if own else canonical(activation, ACTIVATIONS)
        self.alpha = None if function.alpha is None else _Alpha(function.alpha if alpha is None else alpha).alpha
        self.derivative, self._own = derivative, function if own else None

    @property
    def _function(self):
        """The ActivationFunction, or the CustomActivation."""
        return self._own or ACTIVATIONS[self.activation]

    @property
    def shown(self):
        """The activation as it stands in a representation."""
        return called(self.activation) if callable(self.activation) else repr(self.activation)

    def expand(self):
        return [] if self.activation == "linear" else [self]

    def lower(self, to, z, d_in):
        function = self._function
        if self._own and self._own.rows:
            return function.rows.lower(to, z, d_in, trainable=False)
        a = to.rows(d_in) if z in to.kept or (to.training and function.keeps_z) else z
        to.keep(a, *[z] * function.keeps_z)
        if self.activation == "softmax":
            to.emit("softmax_forward", z=z, a=a, d_out=d_in)
            return a, lambda da, inputs: self._emit_softmax_backward(to, a, da, d_in)
        name, slope_name = self.activation, f"{self.activation}_slope"
        if self._own:
            name, slope_name = function.functions()
        named = {"function": name, "alpha": self.alpha or 0.0}
        product = to.product_of("z", z)
        if product:
            product |= {"a": a, **named}  # which the product applies while what it has computed is in the cache
        else:
            to.emit("activation_forward", z=z, a=a, d_out=d_in, **named)
        slope = {"function": slope_name, "alpha": self.alpha or 0.0, "u": z if function.keeps_z else a}

        def backward(da, inputs):
            product = to.product_of("dx", da)
            if product:
                product |= slope
            else:
                to.emit("activation_backward", da=da, dz=da, d_out=d_in, **slope)
            return da

        return a, backward

    def _emit_softmax_backward(self, to, a, da, d_out):
        to.emit("softmax_backward", a=a, da=da, dz=da, d_out=d_out)
        return da

    def __repr__(self):
        alpha = "" if self.alpha == self._function.alpha else f", alpha={self.alpha:g}"
        return f"Activation({self.shown}{alpha}{self._shown()})"


class _Alpha:
    """Checks the parameter of an activation."""

    alpha = Constant(0)

    def __init__(self, alpha):
        self.alpha = alpha


@told
def ReLU(**common) -> Activation:
    """``Activation("relu")``, under Keras's name; `common` is what each `Layer` takes."""
    return Activation("relu", **common)


@told
def LeakyReLU(negative_slope: float = 0.3, **common) -> Activation:
    """``Activation("leaky_relu", alpha=negative_slope)``, with Keras's default slope for this layer, 0.3."""
    return Activation("leaky_relu", negative_slope, **common)


@told
def ELU(alpha: float = 1.0, **common) -> Activation:
    """``Activation("elu", alpha)``, under Keras's name."""
    return Activation("elu", alpha, **common)


@told
def Softmax(**common) -> Activation:
    """``Activation("softmax")``, over each row, under Keras's name."""
    return Activation("softmax", **common)
