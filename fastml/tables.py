"""Tables in: a DataFrame of numbers, text, dates and gaps becomes the matrix of numbers that a network takes.

Tables of pandas, polars and pyarrow are read by narwhals, the extra ``tables``; arrays and lists of rows without it.
"""

import warnings
from collections import Counter

import numpy as np

from fastml.columns import MOST_CODES, NOTHING, Codes, describe, fit_column, read_array, read_objects, refused, restore
from fastml.compiled import check_dtype
from fastml.constants import Whole, call_of

VERSION = 1
LIBRARIES = ("pandas", "polars", "pyarrow")
EXPECTED = "a DataFrame of pandas or polars, a Table of pyarrow, a 2-D array or a list of rows"


def is_table(x):
    """Whether x is a DataFrame of pandas or polars, a Table of pyarrow, or another table that narwhals knows.

    A lazy one is a table too. Without narwhals the three are told by name, so that others can say what to install.
    """
    module = type(x).__module__.split(".")[0]
    if module in ("builtins", "numpy"):
        return False
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        return module in LIBRARIES and type(x).__name__ in ("DataFrame", "LazyFrame", "Table")
    try:
        x = nw.to_native(x, pass_through=True)  # what another API of narwhals has wrapped
        return isinstance(nw.from_native(x, pass_through=True), (nw.DataFrame, nw.LazyFrame))
    except nw.exceptions.DuplicateError:
        return True


def is_plain(table):
    """Whether all columns of a table hold numbers or booleans, and none is missing, so that it is a matrix already."""
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        return np.asarray(table).dtype.kind in "biuf"
    frame = nw.from_native(table)
    if isinstance(frame, nw.LazyFrame) or not all(t.is_numeric() or t == nw.Boolean for t in frame.schema.values()):
        return False
    columns = list(frame.iter_columns())
    gaps = any(c.is_null().any() or (c.dtype.is_float() and c.is_nan().any()) for c in columns)
    return not gaps


class TableEncoder:
    """Turns a table into a matrix (rows, features) of float32 or float64, and remembers how.

    What `fit` sees of a column decides what becomes of it:

    ==================== ===============================================================================================
    column               features
    ==================== ===============================================================================================
    numbers              standardized, (value - mean) / std, with the mean and standard deviation of the rows at fit; a
                         constant column is 0, also where a later value differs
    dates, durations     in days, standardized; with or without a time zone, which must stay so
    booleans             0 or 1
    text, categories     one-hot, if there are at most `one_hot_limit` categories, in sorted order
    … with more          one whole number, for an embedding: 1 for the most frequent category, and so on to
                         `embed_limit`; 0 for the rarer ones, and for any that was seen in one row only
    ==================== ===============================================================================================

    A missing value (None, NaN, NaT, NA) of the first three is taken as the median at fit, and if there was one at fit,
    a further feature is 1 where it is missing and 0 elsewhere. Missing text is one more one-hot category if there was
    some at fit, else all zeros; as a whole number it is 0. A category that was not there at fit is like that: all
    zeros, or 0. Text stays text, also "12"; a column of Python objects must hold one kind of them.

    The whole numbers come last in the matrix; `embeddings` tells how many each may be. Where most values of a column
    have the number 0, as with identifiers and free text, there is a warning. ValueError for infinite values, for a
    column without any value at fit, and for a table whose columns are not those at fit; TypeError for a column that is
    none of the above, or was of another kind at fit.

    Parameters
    ----------
    one_hot_limit : from 0, the most categories that become one-hot
    embed_limit : from 1, the most categories of another column that get a number
    dtype : "float32" or "float64". Statistics are computed in float64.

    Attributes, after `fit`
    -----------------------
    feature_names_in_ : names of the table's columns; x0, x1 … for an array or a list of rows
    n_features_in_ : their number
    embeddings : {column of the matrix: how many whole numbers, 0 included}
    """

    one_hot_limit = Whole(0)
    embed_limit = Whole(1)

    def __init__(self, one_hot_limit=16, embed_limit=1000, dtype="float32"):
        self.one_hot_limit, self.embed_limit, self.dtype = one_hot_limit, embed_limit, check_dtype(dtype)
        if self.embed_limit >= MOST_CODES:
            raise ValueError(f"embed_limit must be less than {MOST_CODES}, got {embed_limit}")
        self._encodings = None

    def __repr__(self):
        return call_of(self)

    def fit(self, table):
        """Learns from a table, (rows, columns), what `transform` is to do; returns the encoder."""
        self._fit(*read(table))
        return self

    def transform(self, table):
        """The matrix (rows, features) of a table with the columns that there were at fit."""
        self._check_fitted("transform")
        return self._encode(self._columns(table))

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
        }

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
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"this does not describe a TableEncoder: {error!r}") from error
        return encoder

    def _fit(self, names, columns):
        """Fits to columns and, if all went well, keeps what came of it."""
        encodings, told = zip(*(fit_column(c, self.one_hot_limit, self.embed_limit) for c in columns), strict=True)
        for text in filter(None, told):
            warnings.warn(text, UserWarning, stacklevel=3)
        self._keep(names, list(encodings))

    def _keep(self, names, encodings):
        """Becomes fitted: gives each column its place, those with codes last."""
        self._named, self._encodings, self._places, end = names is not None, encodings, [None] * len(encodings), 0
        for position in sorted(range(len(encodings)), key=lambda k: isinstance(encodings[k], Codes)):
            start, end = end, end + encodings[position].width
            self._places[position] = slice(start, end)
        self._width, self.n_features_in_ = end, len(encodings)
        self.feature_names_in_ = np.array(names or [f"x{k}" for k in range(len(encodings))], object)

    def _given_names(self):
        """The names that the table had at fit, or None."""
        return list(self.feature_names_in_) if self._named else None

    def _columns(self, table):
        """The columns of a table, which must be those that there were at fit."""
        names, columns = read(table)
        self._check_names(names, len(columns))
        for column, encoding in zip(columns, self._encodings, strict=True):
            if column.kind not in (encoding.kind, NOTHING):
                raise TypeError(f"{column.label} is of kind {column.kind}, but at fit it was of kind {encoding.kind}")
        return columns

    def _encode(self, columns):
        """The matrix of columns that fit."""
        matrix = np.zeros((len(columns[0].missing), self._width), self.dtype)
        for column, encoding, place in zip(columns, self._encodings, self._places, strict=True):
            encoding.write(column, matrix[:, place])
        return matrix

    def _check_fitted(self, method):
        if self._encodings is None:
            raise RuntimeError(f"call fit(table) before {method}")

    def _check_names(self, names, width):
        """ValueError unless a table has the columns that there were at fit, in their order."""
        expected = list(self.feature_names_in_)
        if not self._named or names is None:
            if self._named or names is not None:
                there, here = ("a table with", "one without") if self._named else ("rows without", "a table with")
                raise ValueError(f"fit was given {there} names of columns, this is {here}: pass what fit was given")
            if width != len(expected):
                raise ValueError(f"the table has {width} columns, but at fit it had {len(expected)}")
        elif names != expected:
            known, found = set(expected), set(names)
            wrong = said([n for n in expected if n not in found], "missing")
            wrong += said([n for n in names if n not in known], "unknown, as not there at fit")
            listed = f"columns are in another order: expected {listing(expected)}; got {listing(names)}"
            raise ValueError("; ".join(wrong) or listed)


def said(names, what):
    """A list of the sentence that these columns are so, or an empty one."""
    if not names:
        return []
    return [f"column {names[0]!r} is {what}" if len(names) == 1 else f"columns {listing(names)} are {what}"]


def listing(names):
    """Names as text, the first twenty of them."""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(map(repr, names[:20])) + more


def check_unique(names):
    """ValueError unless names are different."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{len(names)} columns have {len(set(names))} names: there are several {twice[0]!r}")


def read(table):
    """Names, or None, and columns of a table; an error where it has no rows, no columns, or is none."""
    if is_table(table):
        names, columns = read_frame(table)
    elif isinstance(table, np.ndarray):
        if table.ndim != 2 or table.dtype.names:
            raise ValueError(f"table must have shape (rows, columns), got {table.dtype} {table.shape}")
        if np.ma.is_masked(table):
            raise ValueError("table is a masked array with masked values: fill them first, as with NaN")
        check_size(*table.shape)
        names, columns = None, [read_array(f"column {k}", values) for k, values in enumerate(np.asarray(table).T)]
    elif isinstance(table, (list, tuple)):
        names, columns = None, read_rows(table)
    else:
        raise TypeError(f"table must be {EXPECTED}, got {type(table).__name__}")
    return names, columns


def check_size(rows, columns):
    """ValueError for an empty table."""
    if columns == 0:
        raise ValueError("the table has no columns")
    if rows == 0:
        raise ValueError("the table has no rows")


def read_rows(rows):
    """Columns of a list of rows, which are lists, tuples or arrays."""
    for k, row in enumerate(rows):
        if not isinstance(row, (list, tuple, np.ndarray)):
            raise TypeError(f"row {k} is {type(row).__name__} {row!r}; table must be {EXPECTED}")
        if len(row) != len(rows[0]):
            raise ValueError(f"row {k} has {len(row)} values, but row 0 has {len(rows[0])}")
    check_size(len(rows), len(rows[0]) if rows else 1)
    return [read_objects(f"column {k}", list(values)) for k, values in enumerate(zip(*rows, strict=True))]


def read_frame(table):
    """Names and columns of a table that narwhals knows."""
    try:
        import narwhals.stable.v2 as nw
    except ImportError as error:
        raise ImportError("tables need narwhals: pip install 'fastml-cpu[tables]'") from error
    table = nw.to_native(table, pass_through=True)
    try:
        frame = nw.from_native(table)
    except nw.exceptions.DuplicateError:
        check_unique(table.column_names if hasattr(type(table), "column_names") else table.columns)
        raise
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(f"table is a lazy {type(table).__name__}: collect it first, as by table.collect()")
    check_size(*frame.shape)
    names = list(map(str, frame.columns))
    check_unique(names)
    return names, [read_series(f"column {n!r}", s, nw) for n, s in zip(names, frame.iter_columns(), strict=True)]


def read_series(label, series, nw):
    """The column in a Series of narwhals."""
    dtype = series.dtype
    if dtype.is_nested():
        raise refused(label, {str(dtype)})
    categorical = isinstance(dtype, (nw.Categorical, nw.Enum))
    zoned = isinstance(dtype, nw.Datetime) and dtype.time_zone is not None
    try:
        if categorical:  # pyarrow gives a category where there is none, pandas makes floats of all
            missing = series.is_null().to_numpy()
            array = np.full(len(missing), None, object)
            array[~missing] = series.drop_nulls().to_numpy().astype(object)
        elif isinstance(dtype, (nw.Int128, nw.UInt128)):
            return read_objects(label, series.to_list())
        else:
            array = series.to_numpy()
    except Exception as error:
        raise TypeError(f"{label}, of {dtype}, cannot be read: {error}") from error
    return read_array(label, array, categorical, zoned)
