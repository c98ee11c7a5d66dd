"""fastml.data.tables: what becomes of each kind of column, the same from each library, and what is refused."""

import copy
import datetime
import json
import math
import pickle
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from fastml.data.reading import is_table
from fastml.data.tables import TableEncoder

NAN = float("nan")
DAY = datetime.timedelta(days=1)
NOON = datetime.datetime(2024, 2, 29, 12)
UTC = datetime.timezone.utc
TODAY = datetime.date(2024, 2, 29)
REASON = "{} is not installed: pip install 'fastml-cpu[tables]'"

DATA = {
    "age": [20, 30, None, 40, 31, 20],
    "fee": [1.5, -2.25, 1e3, None, 7.125, 0.0],
    "size": [3, 1, 2, 2, 5, 9],
    "alive": [True, None, False, True, True, True],
    "paid": [False, True, True, False, True, False],
    "city": ["Paris", None, "", "Paris", "Berlin", ""],
    "street": ["Šibenik", "a", "Šibenik", None, "c", "a"],
    "born": [TODAY, TODAY + 3 * DAY, None, TODAY, TODAY - 9 * DAY, TODAY],
    "seen": [NOON, NOON, NOON + DAY / 7, None, NOON + DAY, NOON],
    "zoned": [t.replace(tzinfo=UTC) for t in (NOON, NOON, NOON, NOON + DAY, NOON, NOON)],
    "spent": [DAY, None, DAY / 2, 2 * DAY, DAY, DAY],
    "price": [Decimal("1.10"), Decimal("2.30"), None, Decimal("4.00"), Decimal("0.50"), Decimal("0.50")],
}


def need(library):
    pytest.importorskip("narwhals", reason=REASON.format("narwhals"))
    return pytest.importorskip(library, reason=REASON.format(library))


def pandas_table(data):
    return need("pandas").DataFrame(data)


def pandas_objects(data):
    return need("pandas").DataFrame({name: np.array([*values, None], object)[:-1] for name, values in data.items()})


def pandas_nullable(data):
    return pandas_table(data).convert_dtypes()


def pandas_arrow(data):
    pa = need("pyarrow")
    return pa.table(data).to_pandas(types_mapper=need("pandas").ArrowDtype)


def polars_table(data):
    return need("polars").DataFrame(data)


def arrow_table(data):
    return need("pyarrow").table(data)


MAKERS = {f.__name__: f for f in (pandas_table, polars_table, arrow_table)}
VARIANTS = {**MAKERS, **{f.__name__: f for f in (pandas_objects, pandas_nullable, pandas_arrow)}}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS)
def make(request):
    return request.param


def rows_of(data):
    return [list(row) for row in zip(*data.values(), strict=True)]


def encoder(**arguments):
    return TableEncoder(**{"dtype": "float64", **arguments})


def standardized(values):
    values = np.array(values, float)
    return (values - values.mean()) / values.std()


def column(values, **arguments):
    """The matrix of a list of rows with one value each."""
    return encoder(**arguments).fit_transform([[value] for value in values])


# What becomes of the columns


def test_all_kinds_at_once():
    table = encoder(one_hot_limit=4).fit(rows_of(DATA))
    matrix = table.transform(rows_of(DATA))
    names = table.get_feature_names_out().tolist()
    assert matrix.shape == (6, len(names)) and matrix.dtype == np.float64 and matrix.flags.c_contiguous
    assert names == [
        *("x0", "x0 is missing", "x1", "x1 is missing", "x2", "x3", "x3 is missing", "x4"),
        *("x5=", "x5=Berlin", "x5=Paris", "x5 is missing", "x6=a", "x6=c", "x6=Šibenik", "x6 is missing"),
        *("x7", "x7 is missing", "x8", "x8 is missing", "x9", "x10", "x10 is missing", "x11", "x11 is missing"),
    ]
    assert table.embeddings == {}


def test_numbers_are_standardized_over_the_rows_that_have_one(make):
    fitted = encoder()
    matrix = fitted.fit_transform(make({"age": [20, 30, None, 40]}))
    present = np.array([20.0, 30.0, 40.0])
    assert np.array_equal(matrix[:, 0], (np.array([20.0, 30, 30, 40]) - present.mean()) / present.std())
    assert matrix[:, 1].tolist() == [0, 0, 1, 0]
    assert fitted.get_feature_names_out().tolist() == ["age", "age is missing"]


def test_missing_values_are_taken_as_the_median_not_the_mean():
    matrix = column([1.0, 2.0, 100.0, None, 3.0])
    assert matrix[3, 0] == matrix[:, 0][[1, 4]].mean()


def test_a_missing_value_that_fit_did_not_see_has_no_flag(make):
    fitted = encoder().fit(make({"a": [1.0, 2.0, 6.0], "b": [True, True, False], "c": ["x", "y", "x"]}))
    matrix = fitted.transform(make({"a": [None, 2.0], "b": [None, False], "c": [None, "y"]}))
    assert matrix.shape == (2, 4)
    assert matrix[0].tolist() == [matrix[1, 0], 1, 0, 0]


def test_a_constant_column_is_zero_forever(make):
    fitted = encoder().fit(make({"a": [7.1, 7.1, None], "b": [1, 2, 3]}))
    assert (fitted.transform(make({"a": [7.1, 1e300, None], "b": [1, 2, 3]}))[:, 0] == 0).all()


def test_a_small_spread_on_a_large_number_is_no_constant():
    assert np.allclose(column([1e9, 1e9 + 1e-6])[:, 0], [-1, 1])


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200, 1e308])
def test_neither_tiny_nor_huge_numbers_overflow(scale):
    low, middle, high = column([scale, 1.2 * scale, 1.4 * scale])[:, 0]
    assert low == pytest.approx(-math.sqrt(1.5), rel=0.05) and abs(middle) < 0.05 and high == pytest.approx(-low, 0.05)


def test_moments_are_those_of_numpy_to_the_bit(make):
    values = np.random.default_rng(0).normal(3, 10, 1001)
    description = encoder().fit(make({"a": values})).to_dict()["columns"][0]
    assert description["mean"] == values.mean() and description["std"] == values.std()
    assert description["median"] == np.median(values)


def test_booleans_are_zero_or_one(make):
    matrix = encoder().fit_transform(make({"a": [True, None, False, True], "b": [True, True, False, False]}))
    assert matrix.tolist() == [[1, 0, 1], [1, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert encoder().fit_transform(make({"a": [True, True]})).tolist() == [[1], [1]]


def test_dates_and_durations_are_standardized(make):
    matrix = encoder().fit_transform(make({k: DATA[k] for k in ("born", "seen", "zoned", "spent")}))
    born = standardized([0, 3, 0, -9, 0])
    assert np.allclose(matrix[[0, 1, 3, 4, 5], 0], born) and matrix[2, 0] == matrix[0, 0]
    assert np.allclose(matrix[[0, 1, 2, 4, 5], 2], standardized([0, 0, 1 / 7, 1, 0]))
    assert np.allclose(matrix[:, 4], standardized([0, 0, 0, 1, 0, 0]))
    assert np.allclose(matrix[[0, 2, 3, 4, 5], 5], standardized([1, 0.5, 2, 1, 1]))
    assert matrix[:, 6].tolist() == [0, 1, 0, 0, 0, 0]


def test_time_zones_are_the_same_instants(make):
    here = datetime.timezone(datetime.timedelta(hours=5))
    local = [t.astimezone(here) for t in DATA["zoned"]]
    both = encoder().fit(make({"t": DATA["zoned"]}))
    assert np.array_equal(both.transform(make({"t": local})), both.transform(make({"t": DATA["zoned"]})))


def test_text_is_one_hot_in_sorted_order_and_missing_a_category(make):
    fitted = encoder()
    matrix = fitted.fit_transform(make({"city": ["Paris", None, "Berlin", "Paris"]}))
    assert fitted.get_feature_names_out().tolist() == ["city=Berlin", "city=Paris", "city is missing"]
    assert matrix.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert fitted.transform(make({"city": ["Rome", "Berlin"]})).tolist() == [[0, 0, 0], [1, 0, 0]]


def test_numbers_in_text_stay_text(make):
    fitted = encoder().fit(make({"a": ["1", "10", "2"]}))
    assert fitted.get_feature_names_out().tolist() == ["a=1", "a=10", "a=2"]


def test_the_limit_counts_categories_without_missing():
    assert column(["a", "b", None], one_hot_limit=2).shape == (3, 3)
    assert column(["a", "a", "b", "b", None], one_hot_limit=1).tolist() == [[1], [1], [2], [2], [0]]


def test_codes_go_by_frequency_and_come_last(make):
    fitted = encoder(one_hot_limit=0)
    data = {"street": ["b", "a", "b", None, "c", "d", "a", "b"], "n": [1, 2, 3, 4, 5, 6, 7, 8], "s": list("yyyyxxxx")}
    matrix = fitted.fit_transform(make(data))
    assert fitted.get_feature_names_out().tolist() == ["n", "street", "s"]
    assert matrix[:, 1].tolist() == [1, 2, 1, 0, 0, 0, 2, 1]  # c and d were seen once
    assert matrix[:, 2].tolist() == [2, 2, 2, 2, 1, 1, 1, 1]  # as frequent: in sorted order
    assert fitted.embeddings == {1: 3, 2: 3}
    later = fitted.transform(make({"street": ["a", "new", None], "n": [1, 1, 1], "s": ["x", "y", None]}))
    assert later[:, 1:].tolist() == [[2, 1], [0, 2], [0, 0]]


def test_embed_limit_keeps_the_most_frequent():
    assert column(list("aabbbccd"), one_hot_limit=1, embed_limit=2)[:, 0].tolist() == [2, 2, 1, 1, 1, 0, 0, 0]


def test_codes_are_exact_in_float32():
    fitted = TableEncoder(one_hot_limit=0, embed_limit=2**24 - 1)
    values = [f"{k:05}" for k in range(20_000)] * 2
    assert np.array_equal(fitted.fit_transform([[v] for v in values])[:, 0], [*range(1, 20_001)] * 2)


def test_an_identifier_warns_and_is_zero(make):
    fitted = encoder(one_hot_limit=2)
    with pytest.warns(UserWarning, match=r"column 'id' holds 4 categories in 4 rows, of which 4 .* leave the column"):
        assert fitted.fit_transform(make({"id": list("abcd")})).tolist() == [[0]] * 4
    assert fitted.embeddings == {0: 1}
    with pytest.warns(UserWarning, match="identifier") as caught:
        fitted.fit([["a"], ["b"], ["c"]])
    assert caught[0].filename == __file__


# The same from each library


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("limit", [0, 4])
def test_libraries_agree_bit_for_bit(make, limit):
    table = make(DATA)
    fitted = encoder(one_hot_limit=limit)
    expected = encoder(one_hot_limit=limit).fit(rows_of(DATA))
    assert np.array_equal(fitted.fit_transform(table), expected.transform(rows_of(DATA)))
    assert fitted.to_dict() == {**expected.to_dict(), "names": list(DATA)}
    assert np.array_equal(fitted.transform(table), encoder(one_hot_limit=limit).fit(table).transform(table))


@pytest.mark.parametrize("one", VARIANTS.values(), ids=VARIANTS)
def test_one_library_fits_and_another_transforms(one):
    fitted = encoder().fit(one(DATA))
    for other in VARIANTS.values():
        assert np.array_equal(fitted.transform(other(DATA)), fitted.transform(one(DATA)))


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)
def test_a_single_row_of_nothing_has_no_kind_and_goes_with_each(make):
    fitted = encoder().fit(make(DATA))
    matrix = fitted.transform(make({name: [None] for name in DATA}))
    names = fitted.get_feature_names_out()
    assert (matrix[0, [name.endswith("is missing") for name in names]] == 1).all()
    assert (matrix[0, ["=" in name for name in names]] == 0).all()


def categorical_tables():
    """Tables of a categorical column a, b, missing, a, by name."""
    values = ["b", "a", None, "b"]

    def pandas(**arguments):
        pd = need("pandas")
        return pd.DataFrame({"c": pd.Categorical(values, **arguments)})

    def polars(dtype):
        pl = need("polars")
        return pl.DataFrame({"c": pl.Series(values, dtype=dtype(pl))})

    def arrow(chunks):
        pa = need("pyarrow")
        return pa.table({"c": pa.chunked_array([pa.array(c, pa.string()).dictionary_encode() for c in chunks])})

    return {
        "pandas": pandas,
        "pandas, unused and ordered": lambda: pandas(categories=["z", "b", "a"], ordered=True),
        "polars categorical": lambda: polars(lambda pl: pl.Categorical),
        "polars enum": lambda: polars(lambda pl: pl.Enum(["z", "b", "a"])),
        "pyarrow": lambda: arrow([values]),
        "pyarrow, two dictionaries": lambda: arrow([values[:1], values[1:]]),
    }


@pytest.mark.parametrize("name", categorical_tables())
def test_categories_are_like_text(name, make):
    table = categorical_tables()[name]()
    text = make({"c": ["b", "a", None, "b"]})
    fitted = encoder()
    assert fitted.fit_transform(table).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert fitted.to_dict() == encoder().fit(text).to_dict()
    assert np.array_equal(fitted.transform(text), fitted.transform(table))


def test_categories_without_any_value():
    pd, pa = need("pandas"), need("pyarrow")
    fitted = encoder().fit(pd.DataFrame({"c": ["a", "b"]}))
    nothing = pa.array([None, None], pa.string()).dictionary_encode()
    assert fitted.transform(pa.table({"c": nothing})).tolist() == [[0, 0]] * 2
    assert (
        fitted.transform(pd.DataFrame({"c": pd.Categorical([None, None], categories=["b"])})).tolist() == [[0, 0]] * 2
    )


def test_categories_may_be_whole_numbers_or_booleans():
    pd, pa = need("pandas"), need("pyarrow")
    one = pd.DataFrame({"n": pd.Categorical([10, None, 9, 10]), "b": pd.Categorical([True, False, None, True])})
    n, b = ([pa.array(v).dictionary_encode()] for v in ([10, None, 9, 10], [1, 0, None, 1]))
    other = pa.table({"n": n[0], "b": pa.DictionaryArray.from_arrays(b[0].indices, pa.array([True, False]))})
    fitted = encoder().fit(one)
    names = ["n=9", "n=10", "n is missing", "b=False", "b=True", "b is missing"]
    assert fitted.get_feature_names_out().tolist() == names
    assert fitted.transform(one)[:, :3].tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert fitted.transform(one)[:, 3:].tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert np.array_equal(fitted.transform(other), fitted.transform(one))
    floats = pd.DataFrame({"n": pd.Categorical([10.0, 9.0]), "b": one["b"][:2]})
    assert np.array_equal(fitted.transform(floats), fitted.transform(one.iloc[[0, 2]].assign(b=one["b"][:2].values)))
    assert encoder().fit(json_copy(one, fitted)).to_dict() == fitted.to_dict()


def json_copy(table, fitted):
    """The table, after a round trip of the encoder that must not change it."""
    again = TableEncoder.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert np.array_equal(again.transform(table), fitted.transform(table))
    return table


def test_sparse_and_small_dtypes_are_numbers():
    pd = need("pandas")
    sparse = pd.DataFrame({"a": pd.arrays.SparseArray([1.0, 0.0, 0.0]), "b": np.array([1, 0, 0], np.float16)})
    assert np.allclose(encoder().fit_transform(sparse), standardized([1, 0, 0])[:, None])


def test_large_integers_are_rounded_like_floats(make):
    big = [2**60 + 1, 2**60 + 2**20, 2**61]
    assert np.array_equal(encoder().fit_transform(make({"a": big}))[:, 0], standardized(big))


def test_128_bits_of_polars():
    pl = need("polars")
    table = pl.DataFrame({"a": pl.Series([2**100, 0, None], dtype=pl.Int128)})
    assert encoder().fit_transform(table)[:2, 0].tolist() == [1, -1]


def test_the_index_and_names_that_are_numbers():
    pd = need("pandas")
    table = pd.DataFrame(np.arange(6.0).reshape(3, 2), index=[7, 7, 1])
    fitted = encoder().fit(table)
    assert fitted.feature_names_in_.tolist() == ["0", "1"] and fitted.n_features_in_ == 2
    assert np.allclose(fitted.transform(table), standardized([0, 1, 2])[:, None])


def test_tables_of_narwhals_themselves(make):
    nw = pytest.importorskip("narwhals", reason=REASON.format("narwhals"))
    table = make(DATA)
    assert is_table(nw.from_native(table))
    assert np.array_equal(encoder().fit_transform(nw.from_native(table)), encoder().fit_transform(table))


def test_tables_are_not_changed(make):
    table, again = make(DATA), make(DATA)
    encoder(one_hot_limit=0).fit_transform(table)
    assert table.equals(again)


# Arrays and rows


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint64", "object"])
def test_arrays_of_numbers(dtype):
    values = np.array([[1, 2], [3, 4], [8, 0]], dtype)
    expected = np.column_stack([standardized([1, 3, 8]), standardized([2, 4, 0])])
    assert np.array_equal(encoder().fit_transform(values), expected)
    assert np.array_equal(encoder().fit_transform(np.asfortranarray(values)[::1]), expected)


def test_arrays_of_other_dtypes():
    assert encoder().fit_transform(np.array([[True], [False]])).tolist() == [[1], [0]]
    assert encoder().fit_transform(np.array([["b"], ["a"]])).tolist() == [[0, 1], [1, 0]]
    times = np.array([["2024-01-01"], ["NaT"], ["2024-01-03"]], "datetime64[D]")
    assert np.allclose(encoder().fit_transform(times), [[-1, 0], [0, 1], [1, 0]])
    spans = np.array([[1], ["NaT"], [3]], "timedelta64[h]")
    assert np.allclose(encoder().fit_transform(spans), [[-1, 0], [0, 1], [1, 0]])
    strings = np.array([["b"], ["a"]], np.dtypes.StringDType())
    assert encoder().fit_transform(strings).tolist() == [[0, 1], [1, 0]]


def test_objects_of_one_kind():
    assert column([1, 2.0, np.float32(4), np.int8(1), Fraction(1, 2), Decimal("NaN"), NAN, None]).shape == (8, 2)
    assert column([True, np.bool_(False), None]).tolist() == [[1, 0], [0, 0], [0.5, 1]]
    assert column(["a", np.str_("a"), NAN, None]).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    dates = [TODAY, np.datetime64("2024-03-02"), datetime.datetime(2024, 3, 4), np.datetime64("NaT")]
    assert np.allclose(column(dates), [[-math.sqrt(1.5), 0], [0, 0], [math.sqrt(1.5), 0], [0, 1]])
    assert column([DAY, np.timedelta64(72, "h"), None]).tolist() == [[-1, 0], [1, 0], [0, 1]]


def test_rows_may_be_tuples_or_arrays():
    expected = encoder().fit_transform([[1, "a"], [2, "b"]])
    assert np.array_equal(encoder().fit_transform(((1, "a"), np.array([2, "b"], object))), expected)


# What is refused


@pytest.mark.parametrize(
    "rows, error, message",
    [
        ([[1.0], [math.inf]], ValueError, "column 0 holds infinity at row 1: expected finite or missing values"),
        ([[1.0], [10**400]], ValueError, "column 0 holds a number beyond the range of float64"),
        ([["a", [1]]], TypeError, "column 1 holds list, for which there is no encoding: turn it into numbers, "),
        ([[{}]], TypeError, "column 0 holds dict, "),
        ([[b"a"]], TypeError, "column 0 holds bytes, "),
        ([[1j]], TypeError, "column 0 holds complex, "),
        ([[1], ["a"]], TypeError, "column 0 mixes int and str: make all its values of one kind, or leave the column"),
        ([[1], ["a"], [True]], TypeError, "column 0 mixes bool and int and str"),
        ([[NOON], [NOON.replace(tzinfo=UTC)]], TypeError, "column 0 mixes dates with a time zone and dates without"),
        ([[None, None], [None, NAN]], ValueError, "the table holds missing values only: there is nothing to learn"),
        ([[1], [2, 3]], ValueError, "row 1 has 2 values, but row 0 has 1"),
        ([[1], {"a": 1}], TypeError, r"row 1 is dict .* table must be a DataFrame of pandas or polars, a Table of "),
        ([{"a": 1}, [1]], TypeError, r"row 1 is list \[1\], but row 0 is a dict"),
        ([{}], ValueError, "the table has no columns"),
        ({}, ValueError, "the table has no columns"),
        ({"a": []}, ValueError, "the table has no rows"),
        ({"a": [1, 2], "b": [1]}, ValueError, "column 'b' has 1 values, but column 'a' has 2"),
        ({"a": [1, 2], "b": 1}, TypeError, "the dict holds a list at 'a' and a single value at 'b': expected"),
        ({1: 1, "1": 2}, ValueError, "2 columns have 1 names: there are several '1'"),
        (["ab"], TypeError, "row 0 is str 'ab'"),
        ([], ValueError, "the table has no rows"),
        ([[], []], ValueError, "the table has no columns"),
        (np.ones((0, 3)), ValueError, "the table has no rows"),
        (np.ones((3, 0)), ValueError, "the table has no columns"),
        (np.ones(3), ValueError, r"table must have shape \(rows, columns\), got float64 \(3,\)"),
        (np.ones((1, 1), [("a", float)]), ValueError, r"table must have shape .* got \[\('a', '<f8'\)\] \(1, 1\)"),
        (np.ones((2, 2), complex), TypeError, "column 0 holds complex128, for which there is no encoding"),
        (np.array([[b"a"]]), TypeError, r"column 0 holds \|S1, "),
        (np.ma.array([[1.0, 2.0]], mask=[[0, 1]]), ValueError, "table is a masked array with masked values: fill them"),
        ({"a": object()}, TypeError, "column 'a' holds object, for which there is no encoding"),
        (None, TypeError, "table must be .* got NoneType"),
        ("file.csv", TypeError, "table must be .* got str"),
    ],
)
def test_unusable_rows(rows, error, message):
    with pytest.raises(error, match="^" + message):
        encoder().fit(rows)


def test_unusable_columns_of_tables(make):
    for values, error, message in [
        ([1.0, math.inf, None], ValueError, "column 'b' holds infinity at row 1"),
        ([1.0, None, -math.inf], ValueError, "column 'b' holds infinity at row 2"),
        ([[1], [2], None], TypeError, r"column 'b' holds (list|List\(Int64\)), for which there is no encoding"),
        ([{"x": 1}, None, None], TypeError, r"column 'b' holds (dict|Struct\(.*\)), for which there is no encoding"),
        ([b"a", b"b", None], TypeError, "column 'b' holds bytes, for which there is no encoding"),
    ]:
        with pytest.raises(error, match="^" + message):
            encoder().fit(make({"a": [1, 2, 3], "b": values}))


def test_unusable_columns_of_pandas():
    pd = need("pandas")
    for values, message in [
        (pd.IntervalIndex.from_breaks([0, 1, 2, 3]), "column 'a' holds Interval, for which there is no encoding"),
        (pd.Categorical([1j, 2j, 3j]), "column 'a' holds complex, for which there is no encoding"),
        (pd.Categorical([1, "a", 2]), "column 'a' mixes int and str"),
        (pd.Series([pd.DateOffset(1)] * 3), "column 'a' holds DateOffset, "),
        (np.array([1, "a", None], object), "column 'a' mixes int and str"),
    ]:
        with pytest.raises(TypeError, match="^" + message):
            encoder().fit(pd.DataFrame({"a": values}))


def test_unusable_columns_of_polars_and_pyarrow():
    pl, pa = need("polars"), need("pyarrow")
    with pytest.raises(TypeError, match=r"column 'a' holds Array\(Int64, shape=\(2,\)\), for which there is no"):
        encoder().fit(pl.DataFrame({"a": pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2))}))
    with pytest.raises(TypeError, match="column 'a' mixes int and str"):
        encoder().fit(pl.DataFrame({"a": pl.Series([1, "a"], dtype=pl.Object)}))
    first = pa.array([0], pa.int32())
    chunks = [pa.DictionaryArray.from_arrays(first, pa.array(values)) for values in (["a", None], ["b", None])]
    with pytest.raises(TypeError, match="column 'a', of Categorical, cannot be read: .*unify"):
        encoder().fit(pa.table({"a": pa.chunked_array(chunks)}))


def test_a_value_too_far_for_the_dtype():
    fitted = TableEncoder().fit([[1.0], [2.0]])
    message = "column 0 holds 1e[+]300 at row 1, which is too far from the mean, 1.5, to be standardized in float32"
    with pytest.raises(ValueError, match="^" + message):
        fitted.transform([[1.0], [1e300], [1.0]])


def test_empty_tables(make):
    for data, message in [({"a": []}, "the table has no rows"), ({}, "the table has no columns")]:
        with pytest.raises(ValueError, match="^" + message):
            encoder().fit(make(data))
    fitted = encoder().fit(make({"a": [1, 2]}))
    with pytest.raises(ValueError, match="the table has no rows"):
        fitted.transform(make({"a": []}))


def test_lazy_tables_are_to_be_collected():
    pl = need("polars")
    lazy = pl.DataFrame({"a": [1]}).lazy()
    assert is_table(lazy)
    with pytest.raises(TypeError, match="^table is a lazy LazyFrame: collect it first, as by table.collect()"):
        encoder().fit(lazy)


@pytest.mark.parametrize(
    "names, message",
    [
        ("b", "^column 'a' is missing; column 'c' is missing$"),
        ("ab", "^column 'c' is missing$"),
        ("", "^the table has no columns"),
        ("abde", "^column 'c' is missing; columns 'd', 'e' are unknown, as not there at fit$"),
    ],
)
def test_columns_must_be_those_of_fit(make, names, message):
    fitted = encoder().fit(make({name: [1, 2] for name in "abc"}))
    message = message.replace("column 'a' is missing; column 'c' is missing", "columns 'a', 'c' are missing")
    with pytest.raises(ValueError, match=message):
        fitted.transform(make({name: [1, 2] for name in names}))


def test_long_lists_of_names_are_cut(make):
    names = [f"c{k}" for k in range(30)]
    fitted = encoder().fit(make({name: [1, 2] for name in names}))
    with pytest.raises(ValueError, match="^columns 'c0', .* 'c19' and 10 more are missing; column 'd' is unknown"):
        fitted.transform(make({"d": [1, 2]}))


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_columns_of_one_name(method):
    pd, pa = need("pandas"), need("pyarrow")
    fitted = encoder().fit(pd.DataFrame({"a": [1, 2], "b": [1, 2]}))
    for table in (
        pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]),
        pa.table([[1], [2], [3]], names=["a", "b", "a"]),
    ):
        assert is_table(table)
        with pytest.raises(ValueError, match="^3 columns have 2 names: there are several 'a'"):
            getattr(fitted, method)(table)
    with pytest.raises(ValueError, match="^2 columns have 1 names: there are several '1'"):
        getattr(fitted, method)(pd.DataFrame([[1, 2]], columns=[1, "1"]))


def test_names_are_given_twice_or_never(make):
    named, rows = encoder().fit(make({"a": [1, 2]})), encoder().fit([[1], [2]])
    with pytest.raises(ValueError, match="fit was given a table with names of columns, this is one without: pass what"):
        named.transform([[1]])
    with pytest.raises(
        ValueError, match="fit was given rows without names of columns, this is a table with: pass what"
    ):
        rows.transform(make({"a": [1, 2]}))
    with pytest.raises(ValueError, match="the table has 2 columns, but at fit it had 1"):
        rows.transform(np.ones((3, 2)))


def test_columns_must_stay_of_their_kind(make):
    data = {"n": [1, 2], "b": [True, False], "s": ["a", "b"], "d": [TODAY] * 2, "z": DATA["zoned"][:2], "u": [DAY] * 2}
    kinds = {"n": "number", "b": "boolean", "s": "text", "d": "date", "z": "date with time zone", "u": "duration"}
    for name, kind in kinds.items():
        fitted = encoder().fit(make({"x": data[name]}))
        for other, found in kinds.items():
            if other != name and (name, other) != ("n", "b"):
                message = f"^column 'x' is of kind {found}, but at fit it was of kind {kind}(: it holds .*|$)"
                with pytest.raises(TypeError, match=message):
                    fitted.transform(make({"x": data[other]}))


def test_categories_must_stay_of_their_kind():
    pd = need("pandas")
    fitted = encoder().fit(pd.DataFrame({"c": pd.Categorical([1, 2])}))
    for values, kind in [
        (pd.Categorical(["one"]), "text"),
        ([1.5], "number"),
        ([TODAY], "date"),
    ]:
        with pytest.raises(TypeError, match=f"column 'c' is of kind {kind}, but at fit .* whole-number category"):
            fitted.transform(pd.DataFrame({"c": values}))


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"one_hot_limit": -1}, ValueError, "one_hot_limit must be at least 0"),
        ({"one_hot_limit": 1.5}, TypeError, "one_hot_limit must be an integer"),
        ({"embed_limit": 0}, ValueError, "embed_limit must be at least 1"),
        ({"embed_limit": 2**24}, ValueError, "embed_limit must be less than 16777216, got 16777216"),
        ({"dtype": "int8"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ],
)
def test_unusable_arguments(arguments, error, message):
    with pytest.raises(error, match="^" + message):
        TableEncoder(**arguments)


def test_before_fit():
    for use in (
        lambda e: e.transform([[1]]),
        lambda e: e.get_feature_names_out(),
        lambda e: e.embeddings,
        lambda e: e.summary(),
        lambda e: e.to_dict(),
    ):
        with pytest.raises(
            RuntimeError, match=r"^call fit\(table\) before (transform|get_|embeddings|summary|to_dict)"
        ):
            use(TableEncoder())


def test_a_fit_that_fails_changes_nothing():
    fitted = encoder().fit([[1], [2]])
    before = fitted.to_dict()
    with pytest.raises(TypeError, match="column 1 holds dict"):
        fitted.fit([[1, {}]])
    with pytest.raises(ValueError, match="missing values only"):
        fitted.fit_transform([[None, None]])
    assert fitted.to_dict() == before and fitted.n_features_in_ == 1


def test_without_narwhals(monkeypatch):
    table = pandas_table({"a": [1, 2]})
    for name in [name for name in sys.modules if name.split(".")[0] == "narwhals"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert is_table(table) and not is_table(np.ones(3)) and not is_table(Decimal(1))
    with pytest.raises(ImportError, match=r"^tables need narwhals: pip install 'fastml-cpu\[tables\]'$"):
        TableEncoder().fit(table)
    assert TableEncoder().fit_transform([[1], [2]]).tolist() == [[-1], [1]]


# What is kept


def test_is_table(make):
    assert is_table(make({"a": [1]}))
    for other in (None, 1, "a", [[1]], {"a": [1]}, np.ones((2, 2)), Decimal(1), TableEncoder(), json):
        assert is_table(other) is False


def test_a_series_is_no_table():
    series = need("pandas").Series([1])
    assert not is_table(series)
    with pytest.raises(TypeError, match="got Series"):
        encoder().fit(series)


@pytest.mark.parametrize("limit", [0, 16])
def test_json_and_pickle_keep_everything(make, limit):
    table = make(DATA)
    fitted = TableEncoder(limit, 7, "float64").fit(table)
    text = json.dumps(fitted.to_dict(), allow_nan=False)
    for again in (
        TableEncoder.from_dict(json.loads(text)),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
    ):
        assert json.dumps(again.to_dict()) == text and repr(again) == repr(fitted)
        assert again.transform(table).tobytes() == fitted.transform(table).tobytes()
        assert again.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()
        assert again.feature_names_in_.tolist() == list(DATA) and again.embeddings == fitted.embeddings


def test_json_keeps_floats_to_the_bit_and_strange_text():
    rows = [[v, t] for v, t in zip([0.1, 1e-300, -7e99], ['"\n', "\ud800", "Šibenik ☂"], strict=True)]
    fitted = TableEncoder(dtype="float64").fit(rows)
    again = TableEncoder.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again.to_dict() == fitted.to_dict()
    assert again.transform(rows).tobytes() == fitted.transform(rows).tobytes()
    assert again.to_dict()["names"] is None and again.feature_names_in_.tolist() == ["x0", "x1"]


def changed(path, value):
    """A description with a value at a path of keys; without it where the value is ..."""
    rows = [[1.0, True, "a", "x"], [2.0, None, "b", "y"], [2.0, False, "b", "y"], [2.0, False, "c", "x"]]
    description = TableEncoder(one_hot_limit=2).fit(rows).to_dict()
    assert [c["encoding"] for c in description["columns"]] == ["number", "number", "codes", "one-hot"]
    place = description
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return description


@pytest.mark.parametrize(
    "path, value",
    [
        *(((key,), ...) for key in ("version", "names", "columns")),
        *((("version",), v) for v in (2, None, "1")),
        *((("columns",), v) for v in ([], {}, None, [1], [None], [{}], "ab")),
        *((("names",), v) for v in ("abcd", [], ["a"], ["a", "b", "c", "c"], ["a", "b", "c", 1], [["a"]] * 4, 0)),
        *((("one_hot_limit",), v) for v in (None, "2", -1, NAN)),
        *((("embed_limit",), v) for v in (None, 0, 1e9)),
        *((("dtype",), v) for v in (None, "int8", "object")),
        (("more",), 1),
        *((("columns", k, "encoding"), v) for k in (0, 2, 3) for v in (..., None, "Number", "other", [])),
        *((("columns", k, "kind"), v) for k in (0, 2, 3) for v in (..., None, "nothing", "other", [], {})),
        *((("columns", k, "more"), 1) for k in (0, 2, 3)),
        *((("columns", 0, key), v) for key in ("mean", "std", "median") for v in (..., None, NAN, math.inf, "1", True)),
        (("columns", 0, "std"), -1.0),
        *((("columns", k, "missing"), v) for k in (0, 3) for v in (..., None, 1, "no")),
        *((("columns", k, "categories"), v) for k in (2, 3) for v in (..., None, "ab", [1], ["a", "a"], [["a"]], {})),
        (("columns", 3, "categories"), []),
        (("columns", 2, "kind"), "whole-number category"),
        (("columns", 3, "encoding"), "codes"),
    ],
)
def test_descriptions_that_describe_nothing(path, value):
    with pytest.raises(ValueError, match="^this does not describe a TableEncoder: "):
        TableEncoder.from_dict(changed(path, value))


@pytest.mark.parametrize("description", [None, [], "ab", 1, {}, {"version": 1}])
def test_no_descriptions_at_all(description):
    with pytest.raises(ValueError, match="^this does not describe a TableEncoder: "):
        TableEncoder.from_dict(description)


def test_summary_and_repr(make, capsys):
    data = {k: DATA[k] for k in ("age", "alive", "paid", "born")} | {"code": list("aabbcc"), "one": [1] * 6}
    TableEncoder(one_hot_limit=2).fit(make(data)).summary()
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if "──" not in line]
    assert lines == [
        "column kind becomes features",
        "age number standardized: mean 28.2, std 7.547; gaps become 30, with a flag 0 to 1",
        "alive boolean 0 or 1; gaps become 1, with a flag 2 to 3",
        "paid boolean 0 or 1 4",
        "born date standardized: mean 2024-02-28, std 4.069 days; gaps become 2024-02-29, with a flag 5 to 6",
        "code text codes 1 to 3 of categories; 0: rare, unknown or missing 8",
        "one number constant: 0 7",
        "6 columns become 9 features of float32",
    ]
    encoder().fit([["a"], [None]]).summary()
    assert "one-hot: 1 categories and missing" in capsys.readouterr().out
    assert repr(TableEncoder(3, dtype="float64")) == "TableEncoder(one_hot_limit=3, dtype='float64')"


def test_the_dtype_of_the_matrix(make):
    single, double = TableEncoder().fit_transform(make(DATA)), encoder().fit_transform(make(DATA))
    assert single.dtype == np.float32 and double.dtype == np.float64
    assert np.array_equal(single, double.astype(np.float32))
