"""Updates of users: what an optimizer's `step` makes of weights, gradients and state, element by element."""

import copy
import inspect
import numbers

import numpy as np

from fastml.custom.formulas import computed
from fastml.custom.shapes import COLUMNS
from fastml.custom.tracing import Recorder, traced
from fastml.kernels.custom import update_operation

GIVEN = ("learning_rate", "t")  # what a step is given by name, where it asks for it


def hyperparameters(optimizer, known):
    """Those arguments of a user's optimizer that are numbers, by name, without those that are `known`."""
    found = {}
    for name in inspect.signature(type(optimizer)).parameters:
        value = optimizer.__dict__.get(name)
        if name not in known and isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
            found[name] = float(value)
    return found


class Update:
    """The update of a user's optimizer, of `GradientDescent`, whose hyper-parameters may change at any time.

    TypeError or ValueError where its `step` cannot be compiled.
    """

    def __init__(self, optimizer, constants):
        what, recorder, states = f"optimizer {type(optimizer).__name__}", Recorder(), len(optimizer.start)
        arrays = [recorder.input(k, (COLUMNS,)) for k in range(2 + states)]
        self.constants, self.states = list(constants), states
        names = [*GIVEN, *constants]
        scalars = {name: recorder.input(len(arrays) + k, ()) for k, name in enumerate(names)}
        W, *rest = arrays
        W = (1.0 - scalars["learning_rate"] * scalars["weight_decay"]) * W
        twin = copy.copy(optimizer)
        twin.__dict__.update({name: scalars[name] for name in constants if name != "weight_decay"})
        parameters = inspect.signature(optimizer.step).parameters.values()
        asked = {name: scalars[name] for name in GIVEN if any(name == p.name for p in parameters)}
        results = traced(what, twin.step, recorder, W, *rest, **asked)
        results = results if isinstance(results, tuple) else (results,)
        if len(results) != 1 + states:
            wanted = "the new W" if not states else f"the new W and {states} state array{'s' * (states > 1)}"
            raise ValueError(f"{what}: step must give {wanted}, got {len(results)} result{'s' * (len(results) > 1)}")
        self.formula = recorder.formula(*results)
        if self.formula.reduces:
            raise ValueError(f"{what}: step must be elementwise, but it has a sum or maximum over weights")

    def operation(self):
        """The name of the operation."""
        constants = list(self.operands(dict.fromkeys(self.constants)))  # of which the formula may need fewer
        name = f"custom_{self.formula.digest}_{len(constants)}_update"
        return update_operation(name, self.formula, self.states, constants, self.run)

    def operands(self, constants):
        """What the operation takes, by the names of its operands, which no hyper-parameter's name can be."""
        return {self.operand(k): constants[name] for k, name in enumerate(self.constants)}

    def operand(self, k):
        """The name of an operand; that of the decay says which it is, as not all weights decay."""
        return f"constant_{k}" if k else "weight_decay"

    def run(self, W, dW, learning_rate, t, **others):
        """The operation in NumPy."""
        states = [others[f"state_{k}"] for k in range(self.states)]
        arrays = [W, dW, *states]
        scalars = [learning_rate, t, *(others[self.operand(k)] for k in range(len(self.constants)))]
        values = dict(enumerate([*arrays, *map(float, scalars)]))
        for array, value in zip((W, *states), computed(self.formula, values), strict=True):
            array[...] = value
