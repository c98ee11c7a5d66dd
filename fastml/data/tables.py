"""Tables in: a DataFrame of numbers, text, dates and gaps becomes the matrix of numbers that a network takes.

Tables of pandas, polars and pyarrow are read by narwhals, the extra ``tables``; arrays and lists of rows without it.
"""

import warnings

import numpy as np

from fastml.attributes import Whole, call_of
from fastml.data.columns import NOTHING
from fastml.data.encodings import MOST_CODES, Codes, describe, fit_column, restore
from fastml.data.kinds import as_kind
from fastml.data.reading import arranged, check_unique, opened, read
from fastml.data.rows import RowReader
from fastml.program.compiled import check_dtype
from fastml.registry import lookup

VERSION = 1


class TableEncoder:
    """Turns a table into a matrix (rows, features) of float32 or float64, and remembers how.

    What `fit` sees of a column decides what becomes of it:

    ==================== ===============================================================================================
    column               features
    ==================== ===============================================================================================
    numbers              standardized, (value - mean) / std, with the mean and standard deviation of the rows at fit; a
                         constant column is 0, also where a later value differs; or normal scores, see `numbers`
    dates, durations     in days, standardized; with or without a time zone, which must stay so
    booleans             0 or 1
    text, categories     one-hot, if there are at most `one_hot_limit` categories, in sorted order
    … with more          one whole number, for an embedding: 1 for the most frequent category, and so on to
                         `embed_limit`; 0 for the rarer ones, and for any that was seen in one row only
    ==================== ===============================================================================================

    A missing value (None, NaN, NaT, NA) of the first three is taken as the median at fit, and if there was one at fit,
    a further feature is 1 where it is missing and 0 elsewhere. Missing text is one more one-hot category if there was
    some at fit, else all zeros; as a whole number it is 0. A category that was not there at fit is like that: all
    zeros, or 0. A column without any value at fit has a warning and no feature; later values of it are ignored. Times
    of day are durations since midnight, periods of pandas begin when they start. Text stays text at fit, also "12"
    and "2024-02-29"; a column of Python objects must hold one kind of them.

    A table may be one of pandas, polars or pyarrow, an array, a list of rows, or of dicts, of which what is not there
    is missing, or a dict: one row, or columns where it holds lists. Names that are no text are taken as `str` has them,
    and must differ as such. `transform` finds columns by their names, in any order; further ones are ignored, with a
    warning. Values may come written otherwise than at fit where they can mean one thing alone: booleans as 0 and 1,
    categories that are whole numbers as plain numbers, text such as "3" as "3.0" or 3, numbers as text, dates and times
    of day as text in ISO 8601; and the reverse.

    The whole numbers come last in the matrix; `embeddings` tells how many each may be. Where most values of a column
    have the number 0, as with identifiers and free text, there is a warning. ValueError for infinite values, and for a
    table that lacks a column that was there at fit; TypeError for a column that is none of the above, or was of another
    kind at fit.

    Parameters
    ----------
    one_hot_limit : from 0, the most categories that become one-hot
    embed_limit : from 1, the most categories of another column that get a number
    dtype : "float32" or "float64". Statistics are computed in float64.
    numbers : "standard", or "quantile": numbers, dates and durations become normal scores, by their rank among the rows
        at fit, so that their distribution and outliers do not matter. See `fastml.data.quantiles`.

    Attributes, after `fit`
    -----------------------
    feature_names_in_ : names of the table's columns; x0, x1 … for an array or a list of rows
    n_features_in_ : their number
    embeddings : {column of the matrix: how many whole numbers, 0 included}
    """

    one_hot_limit = Whole(0)
    embed_limit = Whole(1)

    def __init__(self, one_hot_limit=16, embed_limit=1000, dtype="float32", numbers="standard"):
        self.one_hot_limit, self.embed_limit, self.dtype = one_hot_limit, embed_limit, check_dtype(dtype)
        self.numbers = lookup({"standard": "standard", "quantile": "quantile"}, numbers, "numbers")
        if self.embed_limit >= MOST_CODES:
            raise ValueError(f"embed_limit must be less than {MOST_CODES}, got {embed_limit}")
        self._encodings, self._reader, self._told = None, None, set()  # of what there was a warning already

    def __repr__(self):
        return call_of(self)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in ("_reader", "_told")}

    def __setstate__(self, state):
        self.__dict__.update(state, _reader=None, _told=set())

    def fit(self, table):
        """Learns from a table, (rows, columns), what `transform` is to do; returns the encoder."""
        found = opened(table)
        self._fit(found.names, map(found.column, range(found.count)))  # one after the other, to spare memory
        return self

    def transform(self, table):
        """The matrix (rows, features) of a table with the columns that there were at fit."""
        self._check_fitted("transform")
        return self._encode(self._columns(table))

    def transform_one(self, row):
        """The numbers (features,) of one row: an array or list (columns,), a dict, or a table of one row.

        As those of `transform`, sooner.
        """
        self._check_fitted("transform_one")
        if self._reader is None:
            self._reader = RowReader(self)
        return self._reader.read(row)

    def fit_transform(self, table):
        """Fits to a table and returns its matrix."""
        names, columns = read(table)
        self._fit(names, columns)
        return self._encode(columns)

    def get_feature_names_out(self):
        """Names of the matrix' columns, such as "age", "age is missing", "city=Paris"."""
        self._check_fitted("get_feature_names_out")
        names = [None] * self._width
        for name, encoding, place in zip(self.feature_names_in_, self._encodings, self._places, strict=True):
            names[place] = encoding.names(name)
        return np.array(names, object)

    @property
    def embeddings(self):
        """How many whole numbers, 0 included, a column of the matrix holds, by its index, for those that hold such."""
        self._check_fitted("embeddings")
        pairs = zip(self._encodings, self._places, strict=True)
        return {place.start: len(encoding.categories) + 1 for encoding, place in pairs if isinstance(encoding, Codes)}

    def summary(self):
        """Prints what happens to each column, and where it goes in the matrix."""
        self._check_fitted("summary")
        rows = [("column", "kind", "becomes", "features")]
        for name, encoding, place in zip(self.feature_names_in_, self._encodings, self._places, strict=True):
            last = place.stop - 1
            where = f"{place.start}" if place.start == last else f"{place.start} to {last}"
            where = where if encoding.width else "none"
            rows.append((name, encoding.kind, encoding.tells(), where))
        lengths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = ["  ".join(f"{cell:<{lengths[k]}}" for k, cell in enumerate(row)).rstrip() for row in rows]
        rule = "─" * (sum(lengths) + 6)
        total = f"{self.n_features_in_} columns become {self._width} features of {self.dtype}"
        print("\n".join([lines[0], rule, *lines[1:], rule, total]))

    def to_dict(self):
        """The fitted encoder as what JSON holds; `from_dict` brings it back exactly."""
        self._check_fitted("to_dict")
        return {
            "version": VERSION,
            "one_hot_limit": self.one_hot_limit,
            "embed_limit": self.embed_limit,
            "dtype": self.dtype,
            "names": self._given_names(),
            "columns": [describe(encoding) for encoding in self._encodings],
        } | ({} if self.numbers == "standard" else {"numbers": self.numbers})  # which older versions do not know

    @classmethod
    def from_dict(cls, description):
        """The encoder that `to_dict` described; ValueError for anything else."""
        try:
            arguments = dict(description)
            version, names, columns = (arguments.pop(key) for key in ("version", "names", "columns"))
            if version != VERSION:
                raise ValueError(f"it has version {version!r}, this fastml reads {VERSION}")
            if not isinstance(columns, list) or not columns:
                raise ValueError(f"its columns are {columns!r}")
            if names is not None:
                if not isinstance(names, list) or not all(type(name) is str for name in names):
                    raise ValueError(f"its names are {names!r}")
                if len(names) != len(columns):
                    raise ValueError(f"it has {len(names)} names of {len(columns)} columns")
                check_unique(names)
            encoder = cls(**arguments)
            encoder._keep(names, [restore(column) for column in columns])
            if not encoder._width:
                raise ValueError("none of its columns becomes a feature")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"this does not describe a TableEncoder: {error!r}") from error
        return encoder

    def _fit(self, names, columns):
        """Fits to columns and, if all went well, keeps what came of it."""
        self._told = set()
        how = self.one_hot_limit, self.embed_limit, self.numbers
        encodings, told = zip(*(fit_column(column, *how) for column in columns), strict=True)
        if not any(encoding.width for encoding in encodings):
            raise ValueError("the table holds missing values only: there is nothing to learn from")
        for text in filter(None, told):
            warnings.warn(text, UserWarning, stacklevel=3)
        self._keep(names, list(encodings))

    def _keep(self, names, encodings):
        """Becomes fitted: gives each column its place, those with codes last."""
        self._named, self._encodings, self._places, end = names is not None, encodings, [None] * len(encodings), 0
        for position in sorted(range(len(encodings)), key=lambda k: isinstance(encodings[k], Codes)):
            start, end = end, end + encodings[position].width
            self._places[position] = slice(start, end)
        self._width, self.n_features_in_, self._reader = end, len(encodings), None
        self.feature_names_in_ = np.array(names or [f"x{k}" for k in range(len(encodings))], object)

    def _given_names(self):
        """The names that the table had at fit, or None."""
        return list(self.feature_names_in_) if self._named else None

    def _columns(self, table):
        """The columns of a table, one by one, in the order that they had at fit, and of the kinds that they had."""
        found = arranged(opened(table), self._given_names(), self.n_features_in_, self._told)
        return map(self._checked, found, self._encodings)

    def _checked(self, column, encoding):
        """A column of the kind of its encoding. That of one which was empty at fit may be anything, and is ignored."""
        if encoding.kind == NOTHING and column.kind != NOTHING and column.label not in self._told:
            self._told.add(column.label)
            text = f"{column.label} held missing values only at fit: its values are ignored"
            warnings.warn(text, UserWarning, stacklevel=5)
        return as_kind(column, encoding.kind, getattr(encoding, "categories", ()))

    def _encode(self, columns):
        """The matrix of columns that fit, of which one at a time is held."""
        matrix = None
        for column, encoding, place in zip(columns, self._encodings, self._places, strict=True):
            if matrix is None:
                matrix = np.zeros((len(column.missing), self._width), self.dtype)
            encoding.write(column, matrix[:, place])
        return matrix

    def _check_fitted(self, method):
        if self._encodings is None:
            raise RuntimeError(f"call fit(table) before {method}")
