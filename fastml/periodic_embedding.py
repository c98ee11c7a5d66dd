"""The layer of periodic embeddings: learned vectors for numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fastml.attributes import Constant, Flag, positive_integer
from fastml.initializers import Law, uniform
from fastml.kernels.tiling import scratch_size
from fastml.layer import Layer, Weights
from fastml.program.memory import ALIGNMENT
from fastml.regularizers import L1L2, resolve_regularizer

LONGEST = 3  # standard deviations, beyond which no frequency begins


def frequencies_of(random, shape, sigma):
    """Normal with this standard deviation, none beyond three of them."""
    return sigma * random.normal(shape).clip(-LONGEST, LONGEST)


def phases_of(random, shape):
    """Uniform in ±π."""
    return math.pi * (2 * random.uniform(shape) - 1)


def plain_uniform(random, shape, terms):
    """Uniform in ±1 / √terms."""
    return uniform(random, shape, 1 / (3 * terms))


class PeriodicEmbedding(Layer):
    """Learned vectors for numbers: ``W·cos(2π·f·x + p) + b``, frequencies f, phases p, W and b of each column.

    Dense layers alone learn smooth functions of their inputs; with waves of several frequencies they learn steps and
    peaks of a column, as trees do. The output is the columns of the input, those that are embedded among them if `keep`
    says so, and behind them the vectors, in the order of `columns`. Put it behind a `Normalization`, or scale the data.
    Source: Gorishniy, Rubachev & Babenko, "On Embeddings for Numerical Features", 2022; with `keep` it is the "PBLD" of
    Holzmüller, Grinsztajn & Steinwart, "Better by Default", 2024.

    `get_weights` has f and p, (columns, frequencies), W, (columns·frequencies, width), and b, (columns, width). W alone
    decays.

    Parameters
    ----------
    columns : list of int or None
        The columns that are embedded, counted from 0; all of them, where None.
    frequencies : int
        Waves of each column.
    width : int
        Width of the vectors.
    sigma : float
        Standard deviation of the frequencies at the start: how many waves there are in a unit of x.
    relu : bool
        Whether vectors are cut off at 0.
    keep : bool
        Whether the embedded columns themselves stay.
    kernel_regularizer : None, L1, L2 or L1L2
        Penalty on W, part of the loss.
    name, trainable, input_dim, input_shape
        See `Layer`.
    """

    sigma = Constant(0, open_low=True)
    relu, keep = Flag(), Flag()

    def __init__(
        self,
        columns: Iterable[int] | None = None,
        frequencies: int = 16,
        width: int = 4,
        sigma: float = 0.5,
        relu: bool = False,
        keep: bool = True,
        kernel_regularizer: L1L2 | str | None = None,
        **common,
    ) -> None:
        super().__init__(**common)
        if columns is not None:
            if isinstance(columns, (str, dict)) or not hasattr(columns, "__iter__"):
                raise TypeError(f"columns must be a list of numbers of columns, got {columns!r}")
            columns = [positive_integer("a column in columns", column, least=0) for column in columns]
            if not columns:
                raise ValueError("columns is empty: name at least one column, or None for all")
            if len(set(columns)) < len(columns):
                raise ValueError(f"columns names one twice: {columns}")
        self.columns = columns
        self.frequencies = positive_integer("frequencies", frequencies)
        self.width = positive_integer("width", width)
        self.sigma, self.relu, self.keep = sigma, relu, keep
        self.kernel_regularizer = resolve_regularizer(kernel_regularizer, "kernel_regularizer")

    def embedded(self, d_in):
        """The columns that are embedded, of so many; ValueError where there are fewer."""
        if self.columns is None:
            return list(range(d_in))
        if max(self.columns) >= d_in:
            raise ValueError(
                f"PeriodicEmbedding is for column {max(self.columns)}, from 0 on, but it gets {d_in} columns"
            )
        return self.columns

    def units_out(self, d_in):
        count = len(self.embedded(d_in))
        return d_in + count * (self.width - (not self.keep))

    def parameters(self, d_in):
        count, frequencies, width = len(self.embedded(d_in)), self.frequencies, self.width
        law = Law(plain_uniform, frequencies)
        return [
            Weights("frequencies", (count, frequencies), Law(frequencies_of, self.sigma), "bias"),
            Weights("phases", (count, frequencies), Law(phases_of), "bias"),
            Weights("W", (count * frequencies, width), law, "weight", self.kernel_regularizer),
            Weights("b", (count, width), law, "bias"),
        ]

    def lower(self, to, x, d_in):
        columns, d_out = self.embedded(d_in), self.units_out(d_in)
        a, room = to.rows(d_out), self.room(to)
        gone = set() if self.keep else set(columns)
        kept = [column for column in range(d_in) if column not in gone]
        copies, place = [], 0
        for column, width in runs(kept):
            copies.append((column, width, place))
            place += width
        for column, width, at in copies:
            to.emit("copy_columns", x=x, a=a, column=column, width=width, place=at, d_in=d_in, d_out=d_out)
        parts, first = [], 0
        for column, count in runs(columns):
            parts.append({"x": x, "column": column, "place": place, **self.part(to, first, count), **room})
            parts[-1] |= {"d_in": d_in, "d_out": d_out, "relu": int(self.relu)}
            first, place = first + count, place + count * self.width
        for part in parts:
            to.emit("periodic_forward", a=a, **part)
        to.keep(x, a)

        def backward(da, inputs):
            for part in parts if self.trainable else ():
                to.sum("periodic_backward", a=a, da=da, size=to.trained, **part)
            if not inputs:
                return None
            dx = to.rows(d_in)
            for column, width, at in copies:
                to.emit("copy_columns", x=da, a=dx, column=at, width=width, place=column, d_in=d_out, d_out=d_in)
            for part in parts:
                to.emit("periodic_backward_inputs", a=a, da=da, dx=dx, keep=int(self.keep), **part)
            return dx

        return a, backward

    def part(self, to, first, count):
        """The weights of `count` of the embedded columns from number `first` on, and their sizes."""
        frequencies, width = self.frequencies, self.width
        steps = {"w": ("frequencies", frequencies), "b": ("phases", frequencies)}
        steps |= {"V": ("W", frequencies * width), "c": ("b", width)}
        places = {operand: to.place(name) + first * step for operand, (name, step) in steps.items()}
        return {**places, "count": count, "frequencies": frequencies, "terms": count * frequencies, "width": width}

    def room(self, to):
        """Room of each thread for what belongs to a column, in all rows, and for the products with it."""
        size = to.height * (1 + 2 * self.frequencies + self.width)
        size += scratch_size(self.frequencies, [(self.width, to.height), (self.frequencies, to.height)])
        size = -(-size // ALIGNMENT) * ALIGNMENT
        return {"room": to.workspace(size * to.plan.threads), "size_of_room": size}

    def __repr__(self):
        shown = [] if self.columns is None else [f"columns={self.columns}"]
        shown += [f"frequencies={self.frequencies}, width={self.width}, sigma={self.sigma:g}"]
        shown += ["relu=True"] * self.relu + ["keep=False"] * (not self.keep)
        return f"PeriodicEmbedding({', '.join(shown)}{self._shown()})"


def runs(columns):
    """Pairs of first and count of neighbours among columns, in their order."""
    found = []
    for column in columns:
        if found and sum(found[-1]) == column:
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((column, 1))
    return found
