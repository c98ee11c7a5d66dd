"""fastml.data.reading: dicts, names of columns, their order, and types that hold common things under other names."""

import datetime
import decimal
import warnings

import numpy as np
import pytest

from fastml import TableEncoder
from fastml.data.reading import read

D = decimal.Decimal
TIME, TODAY = datetime.time(12, 30, 15), datetime.date(2024, 2, 29)
ROWS = [{"age": 20, "city": "Rome"}, {"age": 31.5, "city": None}, {"city": "Oslo", "age": 40}]


def need(library):
    pytest.importorskip("narwhals", reason="needs narwhals, the extra tables")
    return pytest.importorskip(library, reason=f"needs {library}")


def encoder():
    return TableEncoder(dtype="float64")


# Dicts


def test_dicts_are_rows():
    names, (age, city) = read(ROWS)
    assert names == ["age", "city"] and age.values.tolist() == [20, 31.5, 40] and city.values == ["Rome", None, "Oslo"]
    fitted = encoder().fit(ROWS)
    matrix = fitted.transform(ROWS)
    assert fitted.feature_names_in_.tolist() == ["age", "city"]
    for row, expected in zip(ROWS, matrix, strict=True):
        assert np.array_equal(fitted.transform(row)[0], expected)
        assert np.array_equal(fitted.transform_one(row), expected)
    assert np.array_equal(fitted.transform({"city": "Rome", "age": 20}), matrix[:1])


def test_a_dict_of_lists_holds_columns():
    columns = {"age": (20, 31.5, 40), "city": np.array(["Rome", None, "Oslo"], object)}
    fitted = encoder().fit(columns)
    assert np.array_equal(fitted.transform(columns), fitted.transform(ROWS))
    pd = need("pandas")
    series = {"age": pd.Series([20, 31.5, 40]), "city": pd.Series(["Rome", None, "Oslo"], dtype="category")}
    assert np.array_equal(fitted.transform(series), fitted.transform(ROWS))


def test_what_a_dict_does_not_have_is_missing():
    fitted = encoder().fit([{"a": 1.0, "b": "x"}, {"a": 3.0}, {"b": "y"}])
    assert fitted.get_feature_names_out().tolist() == ["a", "a is missing", "b=x", "b=y", "b is missing"]
    assert fitted.transform([{"a": 1.0}, {"b": "y"}]).tolist() == [[-1, 0, 0, 0, 1], [0, 1, 0, 1, 0]]
    with pytest.raises(ValueError, match="^column 'b' is missing$"):
        fitted.transform({"a": 1.0})
    with pytest.raises(ValueError, match="^column 'b' is missing$"):
        fitted.transform_one({"a": 1.0})


def test_a_row_that_is_none():
    fitted = encoder().fit(ROWS)
    for row, error, message in [
        ({"age": [20], "city": "Rome"}, TypeError, "column 'age' holds list, for which there is no encoding"),
        ([20, "Rome"], ValueError, "fit was given a table with names of columns, this is one without"),
        ("Rome", TypeError, r"row must be an array \(columns,\), a dict, or a table or Series of one row, got str"),
        (np.ones((1, 2)), TypeError, r"row must be .* got ndarray \(1, 2\)"),
        (ROWS, TypeError, "row must be .* got list"),
        ({"age": 20, "city": "Rome", "x": {}}, UserWarning, "the table has further columns: column 'x'"),
        ({"age": "old", "city": "Rome"}, TypeError, "column 'age' is of kind text, but at fit it was of kind number"),
        ({"age": 1e400, "city": "Rome"}, ValueError, "column 'age' holds infinity at row 0"),
    ]:
        with pytest.raises(error, match="^" + message):
            fitted.transform_one(row)
    frame = need("pandas").DataFrame(ROWS)
    with pytest.raises(ValueError, match="^row is a table of 3 rows, expected one"):
        fitted.transform_one(frame)
    with pytest.raises(ValueError, match="^row has 1 values, but at fit there were 2 columns"):
        encoder().fit([[1, 2], [3, 4]]).transform_one([1])


# Names


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_are_found_by_their_names(library):
    module = need(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    data = {"a": [1.0, 2.0], "b": ["x", "y"], "c": [True, False]}
    fitted = encoder().fit(make(data))
    expected = fitted.transform(make(data))
    assert np.array_equal(fitted.transform(make(dict(reversed(data.items())))), expected)
    more = {"z": [[1], [2]], **dict(reversed(data.items())), "y": [None, None]}  # a list has no encoding
    with pytest.warns(UserWarning, match="further columns: columns 'z', 'y' are not known from fit and ignored$"):
        assert np.array_equal(fitted.transform(make(more)), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(fitted.transform(make(more)), expected)  # told once
    with pytest.raises(ValueError, match="^column 'b' is missing; column 'B' is unknown, as not there at fit$"):
        fitted.transform(make({"a": [1.0], "B": ["x"], "c": [True]}))


@pytest.mark.parametrize(
    "keys, names",
    [
        ([3, 5, 8], ["3", "5", "8"]),
        (["a", 1, 2.5], ["a", "1", "2.5"]),
        ([("a", 1), ("a", 2), ("b", 1)], ["('a', 1)", "('a', 2)", "('b', 1)"]),
        ([("a", 1), "b", None], ["('a', 1)", "b", "nan"]),
        ([TODAY, True, b"x"], ["2024-02-29", "True", "b'x'"]),
    ],
)
def test_names_are_their_text(keys, names):
    pd = need("pandas")
    table = pd.DataFrame([[1.0, 2.0, 3.0], [2.0, 4.0, 7.0]], columns=pd.Index(keys, tupleize_cols="b" not in keys))
    fitted = encoder().fit(table)
    assert fitted.feature_names_in_.tolist() == [*names[:2], *(fitted.feature_names_in_[2:])]
    assert fitted.feature_names_in_[2] == names[2] or keys[2] is None
    assert np.array_equal(fitted.transform(table.iloc[:, [2, 0, 1]]), fitted.transform(table))


def test_names_of_one_text():
    pd = need("pandas")
    with pytest.raises(ValueError, match="^2 columns have 1 names: there are several '1'"):
        encoder().fit(pd.DataFrame([[1, 2]], columns=[1, "1"]))
    with pytest.raises(ValueError, match=r"there are several \"\('a', 1\)\""):
        encoder().fit(pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 1)])))


# Columns without values


def test_a_column_without_a_value_is_left_out():
    for nothing in (None, float("nan"), np.datetime64("NaT")):
        fitted = encoder()
        with pytest.warns(UserWarning, match="^column 'b' holds missing values only: it is left out, and later values"):
            matrix = fitted.fit_transform([{"a": 1.0, "b": nothing}, {"a": 3.0, "b": nothing}])
        assert matrix.tolist() == [[-1], [1]] and fitted.get_feature_names_out().tolist() == ["a"]
        assert fitted.n_features_in_ == 2 and fitted.feature_names_in_.tolist() == ["a", "b"]
        for value in (1.5, "text", TODAY, True):
            again = TableEncoder.from_dict(fitted.to_dict())
            with pytest.warns(UserWarning, match="^column 'b' held missing values only at fit: its values are ignored"):
                assert again.transform([{"a": 1.0, "b": value}]).tolist() == [[-1]]
            assert again.transform([{"a": 1.0, "b": value}]).tolist() == [[-1]]  # told once
            assert again.transform_one({"a": 1.0, "b": value}).tolist() == [-1]


def test_the_summary_of_a_column_without_a_value(capsys):
    with pytest.warns(UserWarning, match="missing values only"):
        encoder().fit([[None, 1.0], [None, 3.0]]).summary()
    assert "x0      nothing  no value at fit: left out" in capsys.readouterr().out


# Types


def tables(name, values):
    """Tables of a column c of the type, from each library that has it."""
    pd, pl, pa = need("pandas"), need("polars"), need("pyarrow")
    gap = [values[0], None, values[1]]
    arrow = lambda kind: pd.DataFrame({"c": pd.Series(gap, dtype=pd.ArrowDtype(kind))})  # noqa: E731
    series = lambda kind, of=gap: pd.DataFrame({"c": pd.Series(of, dtype=kind)})  # noqa: E731
    frame = lambda kind, of=gap: pl.DataFrame({"c": pl.Series(of, dtype=kind)})  # noqa: E731
    table = lambda kind, of=gap: pa.table({"c": pa.array(of, kind)})  # noqa: E731
    found = {
        "text": lambda: [
            *(series(kind) for kind in ("string[python]", "string[pyarrow]", "category", object)),
            *(arrow(kind) for kind in (pa.string(), pa.large_string(), pa.string_view())),
            *(frame(kind) for kind in (pl.String, pl.Categorical, pl.Enum(values), pl.Object)),
            *(table(kind) for kind in (pa.string(), pa.large_string(), pa.string_view())),
            pa.table({"c": pa.array(gap).dictionary_encode()}),
            pa.table({"c": pa.array(gap, pa.large_string()).dictionary_encode()}),
        ],
        "number": lambda: [
            *(series(kind) for kind in ("Int8", "UInt64", "Int64", "Float32", "Float64", float, object)),
            *(arrow(kind) for kind in (pa.uint8(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(20, 2))),
            series(None, pd.arrays.SparseArray([values[0], np.nan, values[1]])),
            series(object, [D(values[0]), None, D(values[1])]),
            *(frame(kind) for kind in (pl.UInt8, pl.Int64, pl.UInt64, pl.Int128, pl.Float32, pl.Decimal(20, 2))),
            *(table(kind) for kind in (pa.uint64(), pa.int16(), pa.float32(), pa.decimal128(9, 1))),
            table(pa.decimal256(50, 3)),
        ],
        "boolean": lambda: [
            *(series(kind) for kind in ("boolean", "bool[pyarrow]", object)),
            frame(pl.Boolean),
            table(pa.bool_()),
        ],
        "date": lambda: [
            *(series(kind) for kind in ("datetime64[s]", "datetime64[ns]", object)),
            *(arrow(kind) for kind in (pa.date32(), pa.date64(), pa.timestamp("ms"), pa.timestamp("ns"))),
            series(None, pd.PeriodIndex([values[0], None, values[1]], freq="D")),
            *(frame(kind) for kind in (pl.Date, pl.Datetime("ms"), pl.Datetime("ns"))),
            *(table(kind) for kind in (pa.date32(), pa.date64())),
            pa.table({"c": pa.array(gap).cast(pa.timestamp("ns"))}),
            pa.table({"c": pa.array(gap).dictionary_encode()}),
        ],
        "duration": lambda: [
            *(series(kind) for kind in ("timedelta64[s]", "timedelta64[ns]", object)),
            arrow(pa.duration("us")),
            *(frame(kind) for kind in (pl.Duration("ms"), pl.Duration("ns"))),
            *(table(kind) for kind in (pa.duration("s"), pa.duration("ns"))),
        ],
        "time of day": lambda: [
            series(object),
            *(arrow(kind) for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))),
            frame(pl.Time),
            *(table(kind) for kind in (pa.time32("s"), pa.time64("us"), pa.time64("ns"))),
        ],
    }  # fmt: skip
    return found[name]()


TYPES = {  # two values, the kind of a column of them, and the numbers of these
    "text": (["b", "a"], "text", ["b", None, "a"]),
    "number": ([3, 5], "number", [3, np.nan, 5]),
    "boolean": ([True, False], "boolean", [1, np.nan, 0]),
    "date": ([TODAY, TODAY + datetime.timedelta(2)], "date", [19782, np.nan, 19784]),
    "duration": ([datetime.timedelta(1), datetime.timedelta(3)], "duration", [1, np.nan, 3]),
    "time of day": ([TIME, datetime.time(6)], "duration", [45015 / 86400, np.nan, 0.25]),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_that_hold_it_under_another_name(name):
    values, kind, expected = TYPES[name]
    found = tables(name, values)
    fitted = encoder().fit(found[0])
    matrix = fitted.transform(found[0])
    for table in found:
        (column,) = read(table)[1]
        assert column.kind == kind and column.missing.tolist() == [False, True, False], table
        assert list(map(str, column.values)) == list(map(str, expected)) or np.array_equal(
            np.array(column.values, float), expected, equal_nan=True
        )
        assert np.array_equal(fitted.transform(table), matrix)
        for row in range(3):
            assert np.array_equal(fitted.transform_one(table[row : row + 1]), matrix[row])


def test_columns_that_hold_nothing():
    pd, pl, pa = need("pandas"), need("polars"), need("pyarrow")
    for table in (
        pd.DataFrame({"c": pd.Series([None] * 2, dtype=pd.ArrowDtype(pa.null()))}),
        pd.DataFrame({"c": pd.Series([None] * 2, dtype="category")}),
        pl.DataFrame({"c": [None] * 2}),
        pl.DataFrame({"c": pl.Series([None] * 2, dtype=pl.Enum(["a"]))}),
        pa.table({"c": pa.nulls(2)}),
        pa.table({"c": pa.array([None] * 2, pa.time64("ns"))}),
    ):
        assert read(table)[1][0].kind == "nothing"
        assert encoder().fit([{"c": "a"}, {"c": None}]).transform(table).tolist() == [[0, 1]] * 2


def test_categories_of_anything():
    pd = need("pandas")
    for values, kind in [
        (pd.Series([0.5, 1.5, None]), "number"),
        (pd.Series([1, 2, None], dtype="Int64"), "whole-number category"),
        (pd.to_datetime(pd.Series(["2024-01-01", None, "2024-01-02"])), "date"),
        (pd.to_timedelta(pd.Series(["1h", None, "2h"])), "duration"),
        (pd.Series(pd.cut([1, 2, 9], 2)), "text"),
        (pd.Series([TIME, None, TIME], dtype=object), "duration"),
        (pd.Series([D("0.5"), None, D(3)], dtype=object), "number"),
    ]:
        table = pd.DataFrame({"c": values.astype("category")})
        assert read(table)[1][0].kind == kind
        fitted = encoder().fit(table)
        for row, expected in enumerate(fitted.transform(table)):
            assert np.array_equal(fitted.transform_one(table[row : row + 1]), expected)


def test_the_extremes_of_integers():
    pl = need("polars")
    for dtype in ("int64", "uint64"):
        ends = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
        for table in (ends[:, None], need("pandas").DataFrame({"c": ends}), pl.DataFrame({"c": ends})):
            assert encoder().fit_transform(table).tolist() == [[-1], [1]]
        kind = {"int64": pl.Int64, "uint64": pl.UInt64}[dtype]
        gaps = pl.DataFrame({"c": [int(ends[0]), None, int(ends[1])]}, schema={"c": kind})
        assert encoder().fit_transform(gaps)[[0, 2], 0].tolist() == [-1, 1]
