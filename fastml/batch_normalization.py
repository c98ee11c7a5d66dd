"""The layer of batch normalization: each column by the mean and variance of the batch."""

from fastml.attributes import Constant
from fastml.initializers import ones, zeros
from fastml.layer import Layer, Weights


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

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **common) -> None:
        super().__init__(**common)
        self.momentum = momentum
        self.epsilon = epsilon

    @property
    def alone(self):
        """Whether running statistics take the place of the batch's, as the layer is frozen."""
        return not self.trainable

    def parameters(self, d_in):
        roles = {"gamma": (ones, "bias"), "beta": (zeros, "bias")}
        roles |= {"mean": (zeros, "statistic"), "variance": (ones, "statistic")}
        roles |= {"zero": (zeros, "constant")}  # for the gradient of the layer where it is frozen
        return [Weights(name, (d_in,), *role) for name, role in roles.items()]

    def lower(self, to, x, d_in):
        statistics = {"mean": to.place("mean"), "variance": to.place("variance"), "d_in": d_in}
        shared = {"gamma": to.place("gamma"), "beta": to.place("beta"), "d_in": d_in}
        a, zero = to.rows(d_in) if x in to.kept else x, to.place("zero")
        if not (to.training and self.trainable):
            to.emit("batchnorm_inference", x=x, a=a, epsilon=self.epsilon, **(shared | statistics))
            return a, lambda da, inputs: self._scaled(to, da, shared | statistics, zero) if inputs else None
        batch = {"batch_mean": to.workspace(d_in), "batch_variance": to.workspace(d_in)}
        shared |= {"inverse": to.workspace(d_in), "x_hat": to.rows(d_in)}
        to.barrier()  # rows are shared out, then columns, then rows again
        to.emit("batchnorm_forward", x=x, a=a, epsilon=self.epsilon, **batch, **shared)
        to.barrier()
        to.track("batchnorm_track", momentum=self.momentum, **batch, **statistics)

        def backward(da, inputs):
            to.barrier()
            to.emit("batchnorm_backward", da=da, dx=da, **shared)
            to.barrier()
            return da

        return a, backward

    def _scaled(self, to, da, operands, zero):
        """The gradient where γ and the statistics stay, da·γ / √(variance + epsilon): as in the way forward."""
        operands = operands | {"mean": zero, "beta": zero}
        to.emit("batchnorm_inference", x=da, a=da, epsilon=self.epsilon, **operands)
        return da

    def __repr__(self):
        return f"BatchNormalization(momentum={self.momentum:g}, epsilon={self.epsilon:g}{self._shown()})"
