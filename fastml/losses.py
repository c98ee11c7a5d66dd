"""Losses: what each takes, the likelihood it comes from, and the formulas in NumPy.

The loss of a batch is the mean over its rows; where a row has several independent outputs (all but the two
cross-entropies of classes) the row's loss is the mean over them, as in Keras and PyTorch.

===============================  =======================  =================================  =========================
name                             likelihood               output layer                       targets
===============================  =======================  =================================  =========================
mean_squared_error               Gaussian                 any                                numbers (rows, units)
mean_absolute_error              Laplace                  any                                numbers (rows, units)
huber                            Gaussian with the tails  any                                numbers (rows, units)
                                 of Laplace
log_cosh                         hyperbolic secant        any                                numbers (rows, units)
poisson                          Poisson                  exponential, or linear for log     numbers from 0 on
                                                          rates                              (rows, units)
binary_crossentropy              Bernoulli                sigmoid, or linear for logits      0 … 1 (rows, units)
categorical_crossentropy         categorical              softmax, or linear for logits      one-hot rows or
                                                                                             distributions
sparse_categorical_crossentropy  categorical              softmax, or linear for logits      class numbers (rows,)
===============================  =======================  =================================  =========================

The last four are computed from what enters the output activation, which is fused with its loss: that makes the gradient
(a - y) / rows and keeps loss and gradient finite for logits of any size. With a linear output layer the loss is the
same and `predict` returns logits or log rates.

With weights of the rows, the loss is Σ wᵢ·lossᵢ / Σ wᵢ over all rows of the data. In a batch that is the mean of
wᵢ·lossᵢ / w̄, with w̄ the mean weight of all rows, so that a step follows the gradient without bias whichever rows it
draws; PyTorch divides by the batch's own sum, Keras by the number of rows. In a full batch PyTorch does the same.
"""

import numpy as np

from fastml.activations import magnitude, sigmoid, softmax, softplus
from fastml.attributes import Constant
from fastml.keras_names import MISSING
from fastml.loss import CustomLoss, Loss, double
from fastml.registry import lookup
from fastml.telling import missing

__all__ = [  # what fastml itself gives of this file
    "LOSSES", "BinaryCrossentropy", "CategoricalCrossentropy", "Huber", "LogCosh", "Loss", "MeanAbsoluteError",
    "MeanSquaredError", "Poisson", "SparseCategoricalCrossentropy",
]  # fmt: skip


class MeanSquaredError(Loss):
    """(a - y)², the mean over outputs and rows: -log of a Gaussian of variance ½, but for a constant. Not halved."""

    operation = "mean_squared_error"

    @staticmethod
    def forward(s, z, y):
        return (double(z - y) ** 2).mean(axis=1), z

    @staticmethod
    def backward(s, a, y):
        return 2 * (a - y) / a.size


class MeanAbsoluteError(Loss):
    """|a - y|, the mean over outputs and rows: -log of a Laplace distribution of scale 1, but for a constant.

    At a = y the slope is taken as 0.
    """

    operation = "mean_absolute_error"

    @staticmethod
    def forward(s, z, y):
        error = z - y
        return double(np.where(error.real == 0, 0, magnitude(error))).mean(axis=1), z

    @staticmethod
    def backward(s, a, y):
        return np.sign(a - y) / a.size


class Huber(Loss):
    """½·e² where e = |a - y| ≤ delta, and delta·(e - ½·delta) beyond, the mean over outputs and rows.

    -log of a density with a Gaussian middle and the tails of Laplace (Huber, "Robust Estimation of a Location
    Parameter", 1964): a few wrong targets do not decide. delta > 0, in the units of the targets.
    """

    operation = "huber"
    delta = Constant(0, open_low=True)

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    @staticmethod
    def forward(s, z, y):
        size, delta = double(magnitude(z - y)), s["delta"]
        return np.where(size.real <= delta, size**2 / 2, delta * (size - delta / 2)).mean(axis=1), z

    @staticmethod
    def backward(s, a, y):
        delta = a.dtype.type(s["delta"])
        return np.clip(a - y, -delta, delta) / a.size


class LogCosh(Loss):
    """log cosh(a - y), the mean over outputs and rows: about ½·e² where e = a - y is little, |e| - log 2 where large.

    -log of a hyperbolic secant distribution, but for a constant: as smooth as a square, with tails as those of Laplace.
    """

    operation = "log_cosh"

    @staticmethod
    def forward(s, z, y):
        size = double(magnitude(z - y))
        return (size + np.log1p(np.expm1(-2 * size) / 2)).mean(axis=1), z

    @staticmethod
    def backward(s, a, y):
        return np.tanh(a - y) / a.size


class Poisson(Loss):
    """eᶻ - y·z, the mean over outputs and rows: -log of a Poisson distribution with rate a = eᶻ, without log y!."""

    operation = "poisson"
    link = "exponential"
    targets = "counts"

    @staticmethod
    def forward(s, z, y):
        rate = np.exp(z)
        return double(rate - y * z).mean(axis=1), rate

    @staticmethod
    def backward(s, a, y):
        return (a - y) / a.size


class CrossEntropy(Loss, base=True):
    """What the cross-entropies share: smoothing of their targets, y → (1 - label_smoothing)·y + label_smoothing / K.

    K is the number of classes, 2 for binary targets (Szegedy et al., "Rethinking the Inception Architecture", 2016).
    Training and evaluation smooth; metrics see the targets as they are.

    from_logits : bool or None
        What the output layer is said to give: True for logits, which takes activation "linear", False for
        probabilities, which takes the activation that the loss is fused with; None for either. The loss is the same.
    """

    label_smoothing = Constant(0, 1)

    def __init__(self, label_smoothing: float = 0.0, from_logits: bool | None = None) -> None:
        self.label_smoothing = label_smoothing
        if from_logits is not None and not isinstance(from_logits, bool):
            raise TypeError(f"from_logits must be True, False or None, got {from_logits!r}")
        self.from_logits = from_logits


class BinaryCrossentropy(CrossEntropy):
    """-y·log a - (1 - y)·log(1 - a) with a = sigmoid z, the mean over outputs and rows: -log of a Bernoulli law.

    Targets y from 0 to 1, several independent ones in a row or one. label_smoothing in [0, 1): y → (1 - ε)·y + ε / 2.
    from_logits: see `CategoricalCrossentropy`.
    """

    operation = "binary_crossentropy"
    link = "sigmoid"
    targets = "probabilities"

    @staticmethod
    def forward(s, z, y):
        return double(softplus(z) - z * y).mean(axis=1), sigmoid(z)

    @staticmethod
    def backward(s, a, y):
        return (a - y) / a.size


class CategoricalCrossentropy(CrossEntropy):
    """-Σₖ yₖ·log aₖ with a = softmax z, the mean over rows: -log of a categorical distribution.

    Targets are one-hot rows, or distributions, or class numbers. label_smoothing in [0, 1): y → (1 - ε)·y + ε / K. The
    Jacobian of softmax is aᵢ·(δᵢₖ - aₖ); with the loss it becomes a - y. from_logits says what the output layer gives:
    True for logits, with activation "linear", False for probabilities, None for either; the loss is the same.
    """

    operation = "categorical_crossentropy"
    link = "softmax"
    targets = "distributions"

    @staticmethod
    def forward(s, z, y):
        shifted = z - z.real.max(axis=1, keepdims=True)
        log_a = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -double(y * log_a).sum(axis=1), softmax(z)

    @staticmethod
    def backward(s, a, y):
        return (a - y) / len(a)


class SparseCategoricalCrossentropy(CrossEntropy):
    """-log of aₖ at the class k with a = softmax z, the mean over rows: CategoricalCrossentropy for class numbers.

    label_smoothing in [0, 1) and from_logits as there. One-hot rows are taken for their class numbers.
    """

    operation = "sparse_categorical_crossentropy"
    link = "softmax"
    targets = "labels"

    @staticmethod
    def forward(s, z, y):
        return CategoricalCrossentropy.forward(s, z, one_hot(y, z.shape[1]))

    @staticmethod
    def backward(s, a, y):
        return CategoricalCrossentropy.backward(s, a, one_hot(y, a.shape[1]))


def one_hot(y, classes):
    """Class numbers (n, 1) as rows with a 1 at the class: (n, classes)."""
    return (y.real == np.arange(classes)).astype(y.dtype)


LOSSES = {
    "mean_squared_error": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "poisson": Poisson,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


def resolve_loss(loss):
    """A Loss from a name or from itself."""
    if type(loss) in LOSSES.values():
        return loss
    if isinstance(loss, CustomLoss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"loss is the class {loss.__name__}: pass {loss.__name__}() or its name")
    if isinstance(loss, Loss) and not hasattr(loss, "call"):
        raise TypeError(f"loss {loss!r} needs a method call(self, y_true, y_pred)")
    if isinstance(loss, Loss) or (callable(loss) and not isinstance(loss, type)):
        return CustomLoss(loss)
    return lookup(LOSSES, loss, "loss")()


def name_of(loss):
    """The name of a Loss in `LOSSES`, or of a user's."""
    if isinstance(loss, CustomLoss):
        return loss.name
    return next(name for name, kind in LOSSES.items() if type(loss) is kind)


__getattr__ = missing("fastml.losses", MISSING)
