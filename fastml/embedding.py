"""The layer of embeddings: learned vectors for categories."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from fastml.attributes import positive_integer
from fastml.initializers import resolve_initializer
from fastml.layer import Layer, Weights
from fastml.regularizers import L1L2, resolve_regularizer

MOST = 2**24  # categories of a column: float32 holds codes up to there exactly


def usual_width(categories):
    """fastai's rule of thumb for the width of an embedding: 1.6·categories^0.56, at most 600."""
    return min(600, round(1.6 * categories**0.56))


class Table(NamedTuple):
    """The vectors of the categories of one column."""

    column: int
    categories: int
    width: int


class Embedding(Layer):
    """Learned vectors in place of codes of categories. The first layer of a model, or none.

    A column of the data with n categories holds the codes 0 to n - 1, whole numbers; any other value is refused with
    ValueError. Each column has a table of its own, (n, width), whose rows are the vectors of its categories. The output
    is the columns that are not embedded, in their order, and behind them the vectors of those that are, in the order of
    the columns. The same as a one-hot column times a weight matrix, but nothing is multiplied. Source: Guo & Berkhahn,
    "Entity Embeddings of Categorical Variables", 2016.

    `get_weights` has the tables, named ``table_<column>``. They are weights like others: weight_decay shrinks them, and
    the vector of a category that a batch lacks has the gradient 0, with which momentum, Adam and decay still move it,
    as they do in PyTorch unless its embedding is sparse. So a step takes time for whole tables.

    Parameters
    ----------
    columns : dict
        From column of the data, counted from 0, to the number of its categories.
    widths : int or dict, optional
        Width of the vectors, of all or from column to width; if not given, ``min(600, round(1.6 * n**0.56))``, the rule
        of thumb of fastai.
    embeddings_initializer : str, number or array
        Start values of each table: a name of `INITIALIZERS`, a number for all, or an array of the shape.
    embeddings_regularizer : None, L1, L2 or L1L2
        Penalty on the tables, part of the loss.
    """

    first = "it takes codes from columns of the data, which no layer may change; scale the other columns yourself"

    def __init__(
        self,
        columns: dict[int, int],
        widths: int | dict[int, int] | None = None,
        embeddings_initializer: str | ArrayLike = "random_uniform",
        embeddings_regularizer: L1L2 | str | None = None,
        **common,
    ) -> None:
        super().__init__(**common)
        if not isinstance(columns, dict):
            raise TypeError(
                "columns must be a dict from column of the data to number of categories, such as {3: 10}; "
                f"got {type(columns).__name__} {columns!r}"
            )
        if not columns:
            raise ValueError("columns is empty: name at least one column, such as {3: 10}")
        for column, categories in columns.items():
            positive_integer("a column in columns", column, least=0)
            positive_integer(f"columns[{column}]", categories, MOST)
        if widths is None:
            widths = {column: usual_width(categories) for column, categories in columns.items()}
        elif not isinstance(widths, dict):
            widths = dict.fromkeys(columns, positive_integer("widths", widths))
        elif set(widths) != set(columns):
            raise ValueError(f"widths must name the columns {sorted(columns)}, got {list(widths)}")
        self._tables = tuple(
            Table(int(column), int(columns[column]), positive_integer(f"widths[{column}]", widths[column]))
            for column in sorted(columns)
        )
        self.embeddings_initializer = resolve_initializer(embeddings_initializer, "embeddings_initializer")
        self.embeddings_regularizer = resolve_regularizer(embeddings_regularizer, "embeddings_regularizer")

    @property
    def columns(self):
        """The number of categories by column."""
        return {table.column: table.categories for table in self._tables}

    codes = columns

    @property
    def widths(self):
        """The width of the vectors by column."""
        return {table.column: table.width for table in self._tables}

    def units_out(self, d_in):
        last = self._tables[-1].column
        if last >= d_in:
            raise ValueError(f"Embedding is for column {last}, from 0 on, but the data has {d_in} columns")
        return d_in + sum(table.width - 1 for table in self._tables)

    def parameters(self, d_in):
        how = self.embeddings_initializer, "weight", self.embeddings_regularizer
        return [Weights(f"table_{t.column}", (t.categories, t.width), *how) for t in self._tables]

    def products(self, d_in):
        return 0

    def lower(self, to, x, d_in):
        if to.layer:
            raise ValueError(f"Embedding must be the first layer: {self.first}")
        d_out = self.units_out(d_in)
        a, sizes, begin, place, tables = to.rows(d_out), {"d_in": d_in, "d_out": d_out}, 0, 0, []
        for end in (*self.columns, d_in):  # between two embedded columns
            if end > begin:
                to.emit("copy_columns", x=x, a=a, column=begin, width=end - begin, place=place, **sizes)
            begin, place = end + 1, place + end - begin
        for table in self._tables:
            tables.append({"x": x, "W": to.place(f"table_{table.column}"), "place": place, **table._asdict(), **sizes})
            place += table.width
        for table in tables:
            to.emit("embed_forward", a=a, **table)
        to.keep(x)

        def backward(da, inputs):
            for table in tables if self.trainable else ():
                to.sum("embed_backward", da=da, size=to.trained, **table)

        return a, backward

    def __repr__(self):
        columns, widths = self.columns, self.widths
        if widths == {column: usual_width(categories) for column, categories in columns.items()}:
            return f"Embedding({columns}{self._shown()})"
        same = len(set(widths.values())) == 1
        return f"Embedding({columns}, widths={self._tables[0].width if same else widths}{self._shown()})"
