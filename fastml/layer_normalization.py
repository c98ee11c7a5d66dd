"""The layer of layer normalization: each row by its own mean and variance."""

from fastml.attributes import Constant
from fastml.initializers import ones, zeros
from fastml.layer import Layer, Weights


class LayerNormalization(Layer):
    """Normalizes each row, ``a = γ·(x - mean) / √(variance + epsilon) + β``; γ and β, both (d_in,), are trained.

    Mean and variance (biased) are those of the row's own columns, so that batches of any size do, and predictions do
    the same as training. The default of epsilon is PyTorch's; Keras has 1e-3. Source: Ba, Kiros & Hinton, 2016.

    Parameters
    ----------
    epsilon : float
        Added to the variance, above 0.
    """

    epsilon = Constant(0, open_low=True)

    def __init__(self, epsilon: float = 1e-5, **common) -> None:
        super().__init__(**common)
        self.epsilon = epsilon

    def parameters(self, d_in):
        return [Weights("gamma", (d_in,), ones, "bias"), Weights("beta", (d_in,), zeros, "bias")]

    def lower(self, to, x, d_in):
        gamma, beta = to.place("gamma"), to.place("beta")
        shared = {"gamma": gamma, "epsilon": self.epsilon, "d_in": d_in}
        to.keep(x)
        a = to.rows(d_in) if x in to.kept else x
        to.emit("layernorm_forward", x=x, beta=beta, a=a, **shared)

        def backward(da, inputs):
            dx, terms = to.rows(d_in), to.rows(d_in)
            to.emit("layernorm_backward", x=x, da=da, dx=dx, terms=terms, **shared)
            if self.trainable:
                for rows, W in ((terms, gamma), (da, beta)):
                    to.sum_vector(rows, W, d_in)
            return dx

        return a, backward

    def __repr__(self):
        return f"LayerNormalization(epsilon={self.epsilon:g}{self._shown()})"
