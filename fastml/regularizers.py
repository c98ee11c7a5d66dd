"""Penalties on weights, which the loss contains: large weights must be worth it."""

from fastml.attributes import Constant, call_of
from fastml.files.description import Described
from fastml.registry import lookup


class L1L2(Described):
    """l1·Σ|W| + l2·ΣW², added to the loss of each batch, in training and evaluation, as in Keras.

    PyTorch's and the textbooks' λ/2·ΣW² is l2 = λ/2. The slope of |W| at 0 is taken as 0.
    """

    l1 = Constant(0)
    l2 = Constant(0)

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = l1
        self.l2 = l2

    def __repr__(self):
        return call_of(self)


class L1(L1L2):
    """The penalty l1·Σ|W|, -log of a Laplace prior: it drives weights that are of no use to 0."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    """The penalty l2·ΣW², -log of a Gaussian prior."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


REGULARIZERS = {"l1": L1, "l2": L2, "l1_l2": lambda: L1L2(0.01, 0.01)}


def resolve_regularizer(regularizer, argument):
    """None or an L1L2, from itself or from a name."""
    if regularizer is None or isinstance(regularizer, L1L2):
        return regularizer
    if isinstance(regularizer, type) and issubclass(regularizer, L1L2):
        raise TypeError(f"{argument} is the class {regularizer.__name__}: pass {regularizer.__name__}(…) or a name")
    if isinstance(regularizer, (int, float)):
        raise TypeError(f"{argument} must be a penalty such as L2({regularizer}), got a number")
    return lookup(REGULARIZERS, regularizer, argument)()
