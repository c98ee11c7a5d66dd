"""The base of all losses, and those that are functions of users."""

import copy

import numpy as np

from fastml.attributes import Constant, call_of
from fastml.custom import called
from fastml.custom.loss import RowLoss
from fastml.files.description import Described
from fastml.registry import Wrapper
from fastml.telling import Told


def double(values):
    """The values in double precision, complex ones as they are."""
    return values.astype(np.result_type(values, np.float64))


class Loss(Told, Described, base=True):
    """What training minimizes. `s` below has the hyper-parameters by name: s["delta"]."""

    operation = ""  # name of its kernels, before _forward and _backward
    link = "linear"  # the output activation that is fused into the loss
    targets = "numbers"  # or "counts", "probabilities", "distributions", "labels"

    from_logits = None
    _unchanging = False  # once it is a model's

    def __setattr__(self, name, value):
        if self._unchanging:
            told = f"{name} of {self!r} cannot be changed once the model is compiled: compile it with another loss"
            raise AttributeError(told)
        super().__setattr__(name, value)

    def constants(self):
        """The hyper-parameters by name."""
        return Constant.values(self)

    def check_units(self, units):
        """ValueError where the loss cannot be of so many outputs."""

    @staticmethod
    def forward(s, z, y):
        """Loss of each row, and predictions a, from what enters the loss, z : (n, d), and the targets y."""
        raise NotImplementedError

    @staticmethod
    def backward(s, a, y):
        """Gradient of the mean loss over the rows with respect to z."""
        raise NotImplementedError

    def __repr__(self):
        return call_of(self)


def unchanging(loss):
    """A copy of a loss that stays as it is."""
    loss = copy.copy(loss)
    loss.__dict__["_unchanging"] = True
    return loss


class CustomLoss(Wrapper, Loss, base=True):
    """A user's loss: a function of y_true and y_pred, or a Loss with such a method `call`.

    y_true, y_pred : (rows, units), targets and predictions. The loss of each row, (rows,), or of each output.
    """

    def __init__(self, source):
        source = unchanging(copy.deepcopy(source)) if isinstance(source, Loss) else source
        self.source, self.name = source, called(source)
        self.rows = RowLoss(f"loss '{self.name}'", source.call if isinstance(source, Loss) else source)

    @property
    def operation(self):
        return self.rows.operation()

    def check_units(self, units):
        self.rows.check(units)

    def forward(self, s, z, y):
        return self.rows.forward(z, y), z

    def backward(self, s, a, y):
        return self.rows.backward(a, y, 1 / len(a))

    def __repr__(self):
        return repr(self.source) if isinstance(self.source, Loss) else self.name
