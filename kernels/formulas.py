"""Formulas as data, such as users' functions become: steps, each of which is computed from earlier ones.

A step is a function of elements, or a sum or a maximum over the columns of each row. What it gives differs from row to
row, from column to column, or both. A formula is computed by full vectors, like the kernels beside this file.
"""

import hashlib
import math
from typing import NamedTuple

from llvmlite import ir

from fastml.kernels import vmath
from fastml.kernels.simd import Vec, declare

COLUMNS = "d"  # in a step's axes, which are "", "n", "d" or "nd"


class Step(NamedTuple):
    """op : "input", "constant", "numbers" (of the columns), a name of `REDUCTIONS` or one of `VECTORS`.

    args : the numbers of earlier steps; of an input what it is called, of a constant its value. axes : along which it
    differs.
    """

    op: str
    args: tuple = ()
    axes: str = ""


class Formula(NamedTuple):
    """Steps, and the numbers of those that are the results."""

    steps: tuple
    outputs: tuple

    @property
    def digest(self):
        """A text that no other formula has: 16 hexadecimal digits."""
        return hashlib.sha256(repr(tuple(self)).encode()).hexdigest()[:16]

    @property
    def reduces(self):
        """Whether elements of a result need more of their row than their own place: a sum, or its length."""
        return any(step.op in (*REDUCTIONS, "numbers") or step == Step("input", (COLUMNS,)) for step in self.steps)


def evaluated(formula, table, inputs, constant):
    """The results of a formula: `table` computes the steps, `constant` makes what they take of a number."""
    values = []
    for step in formula.steps:
        if step.op == "input":
            values.append(inputs[step.args[0]])
        elif step.op == "constant":
            values.append(constant(step.args[0]))
        else:
            values.append(table[step.op](*(values[k] for k in step.args)))
    return [values[k] for k in formula.outputs]


def by_lane(name):
    """A function of the C library, which computes one number at a time, on each lane."""

    def function(x):
        b, value = x.builder, x.value
        scalar = declare(b, name + ("f" if isinstance(x.real, ir.FloatType) else ""), x.real, [x.real])
        for k in range(value.type.count):
            lane = ir.IntType(32)(k)
            value = b.insert_element(value, b.call(scalar, [b.extract_element(x.value, lane)]), lane)
        return Vec(b, value)

    return function


def compared(sign):
    """1 where it is so, else 0."""
    return lambda x, y: x.where(sign, y, 1.0, 0.0)


def power_by_lane(x, y):
    """x to the power of y as the C library has it, also of numbers below 0."""
    b, value = x.builder, x.value
    scalar = declare(b, "powf" if isinstance(x.real, ir.FloatType) else "pow", x.real, [x.real, x.real])
    for k in range(value.type.count):
        lane = ir.IntType(32)(k)
        pair = [b.extract_element(vector, lane) for vector in (x.value, x.of(y))]
        value = b.insert_element(value, b.call(scalar, pair), lane)
    return Vec(b, value)


def greater_or_nan(u, v):
    """The greater of each pair of lanes, NaN where one of them is."""
    larger = u.where("<", v, v, u)
    return v.where("==", v, larger, v)


LIBRARY = ("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh", "cbrt")

VECTORS = {
    "add": Vec.__add__,
    "subtract": Vec.__sub__,
    "multiply": Vec.__mul__,
    "divide": Vec.__truediv__,
    "negative": Vec.__neg__,
    "abs": abs,
    "sign": lambda x: x.where(">", 0.0, 1.0, x.where("<", 0.0, -1.0, x)),
    "floor": lambda x: x.call("floor"),
    "ceil": lambda x: x.call("ceil"),
    "rint": lambda x: x.call("rint"),
    "trunc": lambda x: x.call("trunc"),
    "sqrt": Vec.sqrt,
    "exp": vmath.exp,
    "expm1": vmath.expm1,
    "log": vmath.log,
    "log1p": vmath.log1p,
    "tanh": vmath.tanh,
    "sigmoid": vmath.sigmoid,
    "softplus": vmath.softplus,
    "erf": vmath.erf,
    "normal": lambda x: vmath.normal(x)[0],
    "power": power_by_lane,
    "root_power": lambda x, y: vmath.exp(y * vmath.log(x)),  # y is no whole number
    "less": compared("<"),
    "less_equal": compared("<="),
    "greater": compared(">"),
    "greater_equal": compared(">="),
    "equal": compared("=="),
    "not_equal": lambda x, y: x.where("==", y, 0.0, 1.0),
    "where": lambda condition, yes, no: condition.where("==", 0.0, no, yes),
} | {name: by_lane(name.replace("arc", "a")) for name in LIBRARY}

REDUCTIONS = {"sum": (Vec.__add__, 0.0), "max": (greater_or_nan, -math.inf)}  # and what changes nothing


def elementwise_of(formula):
    """The formula of `kernels.elementwise`: of two Vecs and alpha, which it passes over."""
    return lambda u, v, alpha: evaluated(formula, VECTORS, (u, v), u.constant)[0]


class RowFormula:
    """A formula of `kernels.sweeps.rowwise` that computes this Formula for a row, by passes over its columns.

    Inputs are numbers of matrices, but for those that `scalars` has, by their place among the scalars. `places` are
    where results go: ("matrix", k), or ("vector", k) of results that do not differ from column to column.
    """

    def __init__(self, formula, scalars, places):
        self.steps, self.scalars = formula.steps, scalars
        self.results = list(zip(formula.outputs, places, strict=True))
        self.depth = []  # how many reductions lead to a step, one after the other
        for step in self.steps:
            below = max((self.depth[k] for k in operands(step)), default=0)
            self.depth.append(below + (step.op in REDUCTIONS))

    def __call__(self, row, *constants):
        known = {}  # steps that are the same for all columns
        self.settle(row, constants, known, 0)
        for level in range(1, max(self.depth) + 1):
            self.reduce(row, known, level)
            self.settle(row, constants, known, level)
        self.store(row, known)

    def settle(self, row, constants, known, level):
        """Computes what is the same for all columns, now that the reductions of a level are known."""
        for number, step in enumerate(self.steps):
            if COLUMNS in step.axes or self.depth[number] > level or number in known:
                continue
            if step.op == "input":
                known[number] = constants[self.scalars[step.args[0]]]
            elif step.op == "constant":
                known[number] = row.constant(step.args[0])
            else:
                known[number] = VECTORS[step.op](*(known[k] for k in step.args))

    def reduce(self, row, known, level):
        """All reductions of a level, in one pass."""
        found = [k for k, step in enumerate(self.steps) if step.op in REDUCTIONS and self.depth[k] == level]
        kinds = [REDUCTIONS[self.steps[k].op] for k in found]

        def gathered(part, *totals):
            at_part = dict(known)
            terms = [self.value(self.steps[k].args[0], part, at_part) for k in found]
            return [
                combine(total, part.only(term, nothing))
                for total, term, (combine, nothing) in zip(totals, terms, kinds, strict=True)
            ]

        totals = row.parts(gathered, *(row.constant(nothing) for _, nothing in kinds))
        for k, total, (combine, _) in zip(found, totals, kinds, strict=True):
            known[k] = row.across(total, combine)

    def value(self, number, part, found):
        """The Vec of a step for a part of the row; `found` has those that are known there."""
        needed, open_ = set(), [number]
        while open_:
            k = open_.pop()
            if k not in found and k not in needed:
                needed.add(k)
                open_ += operands(self.steps[k])
        for k in sorted(needed):
            step = self.steps[k]
            if step.op == "input":
                found[k] = part.load(step.args[0])
            elif step.op == "numbers":
                found[k] = part.numbers()
            else:
                found[k] = VECTORS[step.op](*(found[n] for n in step.args))
        return found[number]

    def store(self, row, known):
        """Writes the results, those of columns in one pass."""
        for k, (kind, place) in self.results:
            if kind == "vector":
                row.put(place, known[k])
        elements = [(k, place) for k, (kind, place) in self.results if kind == "matrix"]

        def stored(part):
            at_part = dict(known)
            vecs = [self.value(k, part, at_part) for k, _ in elements]
            for vec, (_, place) in zip(vecs, elements, strict=True):
                part.store(place, vec)

        if elements:
            row.parts(stored)


def operands(step):
    """The numbers of the steps that a step is computed from."""
    return () if step.op in ("input", "constant", "numbers") else step.args
