"""Derivatives of what `fastml.custom.tracing` has recorded, by the chain rule.

Within a row, each step's slope comes from those of its arguments, forward; sums and maxima over the columns are gone
through backward. A slope through ``where`` is chosen, not multiplied by 0: what overflows in the branch that is not
taken does no harm.
"""

import math

import numpy as np

from fastml.custom.functions import FUNCTIONS, elementary
from fastml.custom.shapes import COLUMNS
from fastml.kernels.formulas import REDUCTIONS, operands

sigmoid = elementary("sigmoid")

# ∂ step / ∂ its argument, from the step's value and its arguments. What is not here has the slope 0.
SLOPES = {
    "add": (lambda f, x, y: 1.0, lambda f, x, y: 1.0),
    "subtract": (lambda f, x, y: 1.0, lambda f, x, y: -1.0),
    "multiply": (lambda f, x, y: y, lambda f, x, y: x),
    "divide": (lambda f, x, y: 1 / y, lambda f, x, y: -f / y),
    "negative": (lambda f, x: -1.0,),
    "abs": (lambda f, x: np.sign(x),),
    "sqrt": (lambda f, x: 0.5 / f,),
    "exp": (lambda f, x: f,),
    "expm1": (lambda f, x: f + 1.0,),
    "log": (lambda f, x: 1 / x,),
    "log1p": (lambda f, x: 1 / (1.0 + x),),
    "tanh": (lambda f, x: 1.0 - f * f,),
    "sigmoid": (lambda f, x: f * (1.0 - f),),
    "softplus": (lambda f, x: sigmoid(x),),
    "erf": (lambda f, x: 2 / math.sqrt(math.pi) * np.exp(-x * x),),
    "normal": (lambda f, x: 1 / math.sqrt(2 * math.pi) * np.exp(-0.5 * x * x),),
    "sin": (lambda f, x: np.cos(x),),
    "cos": (lambda f, x: -np.sin(x),),
    "tan": (lambda f, x: 1.0 + f * f,),
    "arcsin": (lambda f, x: 1 / np.sqrt(1.0 - x * x),),
    "arccos": (lambda f, x: -1 / np.sqrt(1.0 - x * x),),
    "arctan": (lambda f, x: 1 / (1.0 + x * x),),
    "sinh": (lambda f, x: np.cosh(x),),
    "cosh": (lambda f, x: np.sinh(x),),
    "arcsinh": (lambda f, x: 1 / np.sqrt(1.0 + x * x),),
    "arccosh": (lambda f, x: 1 / np.sqrt(x * x - 1.0),),
    "arctanh": (lambda f, x: 1 / (1.0 - x * x),),
    "cbrt": (lambda f, x: 1 / (3.0 * f * f),),
    "power": (
        lambda f, x, y: np.where(np.equal(y, 0), 0.0, y * x ** (y - 1.0)),
        lambda f, x, y: np.where(np.equal(x, 0), 0.0, f * np.log(x)),
    ),
    "root_power": (lambda f, x, y: y * x ** (y - 1.0),),  # whose y is a constant
}


class Differentiation:
    """Slopes of steps with respect to others of one Recorder."""

    def __init__(self, recorder):
        self.recorder, self.found = recorder, {}

    def leaves(self, number):
        """The inputs and reductions that a step is made of, without going through the latter."""
        found, seen, open_ = [], set(), [number]
        while open_:
            k = open_.pop()
            if k in seen:
                continue
            seen.add(k)
            step = self.recorder.steps[k]
            if step.op == "input" or step.op in REDUCTIONS:
                found.append(k)
            else:
                open_ += operands(step)
        return found

    def slope(self, number, leaf):
        """∂ step / ∂ leaf within a row and column, or None where it is 0."""
        if number == leaf:
            return self.recorder.number(1.0)
        step = self.recorder.steps[number]
        if step.op in REDUCTIONS or not operands(step):
            return None
        for k in self.unknown(number, leaf):
            self.found[k, leaf] = self.chained(self.recorder.steps[k], k, leaf)
        return self.found[number, leaf]

    def unknown(self, number, leaf):
        """The steps whose slopes are needed first, and the step itself, in the order in which they can be found."""
        needed, open_ = set(), [number]
        while open_:
            k = open_.pop()
            step = self.recorder.steps[k]
            if k != leaf and k not in needed and (k, leaf) not in self.found and step.op not in REDUCTIONS:
                needed.add(k)
                open_ += operands(step)
        return sorted(k for k in needed if operands(self.recorder.steps[k]))

    def chained(self, step, number, leaf):
        at = self.recorder.at
        if step.op == "where":
            condition, *branches = step.args
            slopes = [self.slope(k, leaf) for k in branches]
            if all(slope is None for slope in slopes):
                return None
            return np.where(at(condition), *(0.0 if slope is None else slope for slope in slopes))
        total, arguments = None, [at(k) for k in step.args]
        for rule, k in zip(SLOPES.get(step.op, ()), step.args, strict=False):
            inner = self.slope(k, leaf)
            if inner is not None:
                term = inner * rule(at(number), *arguments)
                total = term if total is None else total + term
        return total

    def gradients(self, result, seed, wanted):
        """Of Σ seed · result over rows and columns, the gradient with respect to each of the inputs `wanted`.

        Those that differ by row and column come whole; of those that differ by column alone, what each row adds.
        """
        recorder, totals = self.recorder, {}

        def add(leaf, term):
            totals[leaf] = totals[leaf] + term if leaf in totals else term

        def spread(number, adjoint):
            """Adds to the leaves of a step what its adjoint says, summed over columns where they have none."""
            for leaf in self.leaves(number):
                slope = self.slope(number, leaf)
                if slope is None:
                    continue
                term = adjoint * slope
                if recorder.steps[leaf].op in REDUCTIONS and COLUMNS not in recorder.steps[leaf].axes:
                    over = COLUMNS in recorder.steps[number].axes
                    term = whole(term).sum(axis=-1, keepdims=True) if over else term
                add(leaf, term)

        def whole(term):
            """A term for each column, where it is the same for all."""
            return recorder.at(term.number, ("n", COLUMNS))

        spread(result.number, seed)
        for number in reversed(range(len(recorder.steps))):
            step = recorder.steps[number]
            if step.op in REDUCTIONS and number in totals:
                (inside,), adjoint = step.args, recorder.at(totals[number].number)
                if step.op == "max":  # shared among equal ones
                    largest = np.equal(recorder.at(inside), recorder.at(number))
                    adjoint = adjoint * largest / whole(largest).sum(axis=-1, keepdims=True)
                spread(inside, adjoint)
        return [totals.get(leaf.number, recorder.number(0.0)) for leaf in wanted]


def derivative(result, leaf):
    """∂ result / ∂ leaf of elements, 0 where there is none."""
    slope = Differentiation(result.recorder).slope(result.number, leaf.number)
    return result.recorder.number(0.0) if slope is None else slope


assert set(SLOPES) <= {*FUNCTIONS, "sigmoid", "softplus", "normal", "root_power"}
