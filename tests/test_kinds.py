"""fastml.data.kinds: columns that hold at prediction what they held at fit, written otherwise, and what is refused."""

import datetime

import numpy as np
import pytest

from fastml import TableEncoder

NAN = float("nan")
TODAY = datetime.date(2024, 2, 29)
NOON = datetime.datetime(2024, 2, 29, 12)
UTC = datetime.timezone.utc
HOUR = datetime.timedelta(hours=1)


def pandas():
    return pytest.importorskip("pandas", reason="needs pandas")


def fitted(values):
    """An encoder of one column, which is "c" of a table."""
    return TableEncoder(dtype="float64").fit(table(values))


def table(values):
    pytest.importorskip("narwhals", reason="needs narwhals, the extra tables")
    return pandas().DataFrame({"c": values})


def category(values):
    return pandas().Categorical(values)


def objects(values):
    return np.array([*values, None], object)[:-1]


NUMBERS, BOOLEANS, TEXT = [1, 0, 3.5], [True, False, True], ["3", "12", "3"]
ZONED = NOON.replace(tzinfo=UTC)

SAME = {  # what was there at fit, what comes later, and what that is
    "booleans as 0 and 1": (BOOLEANS, [1, 0, 0], [True, False, False]),
    "booleans as 1.0 and a gap": (BOOLEANS, [1.0, NAN, 0.0], [True, None, False]),
    "booleans as objects with None": (BOOLEANS, objects([True, None, False]), [True, None, False]),
    "booleans among numbers": (BOOLEANS, objects([True, 1, 0.0]), [True, True, False]),
    "booleans as text": (BOOLEANS, ["true", "False", "1"], [True, False, True]),
    "booleans as a category": (BOOLEANS, lambda: category([True, False]), [True, False]),
    "booleans as a category of numbers": (BOOLEANS, lambda: category([1, 0]), [True, False]),
    "numbers as booleans": (NUMBERS, [True, False], [1, 0]),
    "numbers as a category": (NUMBERS, lambda: category([3, 1, None]), [3, 1, None]),
    "numbers as a category of halves": (NUMBERS, lambda: category([3.5, 1, None]), [3.5, 1, None]),
    "numbers as text": (NUMBERS, ["3", " -2.5e1", "+.5", None], [3, -25, 0.5, None]),
    "numbers as whole numbers in float": ([1, 2, 3], [3.0, NAN], [3, None]),
    "numbers as objects": (NUMBERS, objects([np.int8(3), None, np.float32(0.5)]), [3, None, 0.5]),
    "a category as plain whole numbers": (lambda: category([3, 12, 3]), [12, 3], lambda: category([12, 3])),
    "a category as floats with a gap": (lambda: category([3, 12, 3]), [12.0, NAN], lambda: category([12, None])),
    "a category as text": (lambda: category([3, 12, 3]), ["12", "3.0"], lambda: category([12, 3])),
    "a category as text categories": (lambda: category([3, 12]), lambda: category(["12"]), lambda: category([12])),
    "a category as booleans": (lambda: category([1, 0]), [True, False], lambda: category([1, 0])),
    "a category of booleans as numbers": (lambda: category(BOOLEANS), [1, 0], lambda: category([True, False])),
    "a category of booleans as booleans": (lambda: category(BOOLEANS), BOOLEANS, lambda: category(BOOLEANS)),
    "a category of booleans as text": (lambda: category(BOOLEANS), ["TRUE"], lambda: category([True])),
    "text as whole numbers": (TEXT, [12, 3], ["12", "3"]),
    "text as floats with a gap": (TEXT, [12.0, NAN, 7.5], ["12", None, "7.5"]),
    "text as text of floats": (TEXT, ["12.0", "3", "8.0"], ["12", "3", "8.0"]),
    "text of floats as text of whole numbers": (["3.0", "a"], ["3", "a"], ["3.0", "a"]),
    "text of floats as numbers": (["3.0", "12.0"], [3, 12], ["3.0", "12.0"]),
    "text as a category of numbers": (TEXT, lambda: category([12, 3]), ["12", "3"]),
    "dates as text": ([TODAY, NOON], ["2024-02-29", None, "2024-02-29 12:00"], [TODAY, None, NOON]),
    "times as text": ([NOON, TODAY], ["2024-02-29T12:00:00.000000"], [NOON]),
    "zoned times as text": (
        [ZONED, ZONED + HOUR],
        ["2024-02-29T13:00:00+01:00", "2024-02-29 12:00Z", "2024-02-29T06:30:00-05:30"],
        [ZONED, ZONED, ZONED],
    ),
    "times of day as text": ([NOON.time(), (NOON + HOUR).time()], ["12:00", "13:00:00.0"], [12 * HOUR, 13 * HOUR]),
    "times of day as durations": ([NOON.time(), (NOON + HOUR).time()], [12 * HOUR], [NOON.time()]),
}


def made(values):
    return values() if callable(values) else values


@pytest.mark.parametrize("case", SAME)
def test_one_stands_for_the_other(case):
    first, later, meant = map(made, SAME[case])
    encoder = fitted(first)
    expected = encoder.transform(table(meant))
    assert np.array_equal(encoder.transform(table(later)), expected)
    for row, want in enumerate(expected):
        assert np.array_equal(encoder.transform_one(table(later)[row : row + 1]), want)


REFUSED = {
    "a boolean of 2": (BOOLEANS, [1, 2], "boolean: it holds 2.0 at row 1, expected True or False, or 1 or 0"),
    "a boolean in words": (BOOLEANS, ["yes"], "boolean: it holds 'yes' at row 0, expected True or False"),
    "half a category": (lambda: category([1, 2]), [1, 1.5], "category: it holds 1.5 at row 1, expected a whole number"),
    "a category in words": (lambda: category([1, 2]), ["1", "x"], "it holds 'x' at row 1, expected a whole number"),
    "a number in words": (NUMBERS, ["1", "two"], "number: it holds 'two' at row 1, expected a number"),
    "NaN in text": (NUMBERS, ["nan"], "it holds 'nan' at row 0"),
    "infinity in text": (NUMBERS, ["1", "-inf"], "it holds '-inf' at row 1"),
    "an empty text": (NUMBERS, [""], "it holds '' at row 0"),
    "Python's underscores": (NUMBERS, ["1_000"], "it holds '1_000' at row 0"),
    "a decimal comma": (NUMBERS, ["1,5"], "it holds '1,5' at row 0"),
    "a date that may be two": ([TODAY], ["03/04/2024"], "it holds '03/04/2024' at row 0, expected a date as YYYY"),
    "a day that is none": ([TODAY], ["2024-02-30"], "it holds '2024-02-30' at row 0"),
    "a date without its zone": ([ZONED], ["2024-02-29T12:00"], "expected a date and time with its distance from UTC"),
    "a date with a zone": ([TODAY], ["2024-02-29T12:00Z"], "it holds '2024-02-29T12:00Z' at row 0"),
    "a time of day of 25 hours": ([NOON.time()], ["25:00"], "it holds '25:00' at row 0, expected a time of day"),
    "numbers where there was text": (["a", "b"], [1, 2], "is of kind number, but at fit it was of kind text$"),
    "dates where there was text": (["a", "b"], [TODAY], "is of kind date, but at fit it was of kind text$"),
    "seconds where there were dates": ([TODAY], [1.7e9], "is of kind number, but at fit it was of kind date$"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_mean_two_things_is_refused(case):
    first, later, message = map(made, REFUSED[case])
    encoder = fitted(first)
    for use in (encoder.transform, lambda t: encoder.transform(t.to_dict("records"))):
        with pytest.raises(TypeError, match=message):
            use(table(later))


def test_whole_numbers_beyond_float64_stay_apart():
    pd = pandas()
    big = 2**63 - 1
    encoder = fitted(category([big, big - 1, 2]))
    first, second = encoder.transform(table(np.array([big - 1, big])))[:, -2:].tolist()
    assert first == [1, 0] and second == [0, 1]
    gaps = table(pd.array([big - 1, None, big], "Int64"))
    assert encoder.transform(gaps)[:, -2:].tolist() == [[1, 0], [0, 0], [0, 1]]
    assert encoder.transform_one({"c": big})[-1] == 1
    text = fitted([str(2**64 - 1), str(2**64 - 2)])
    assert text.transform(table(np.array([2**64 - 2], np.uint64))).tolist() == [[1, 0]]


def test_text_stays_text_at_fit():
    assert fitted(["1", "2"]).to_dict()["columns"][0]["kind"] == "text"
    assert fitted(["2024-01-01"]).to_dict()["columns"][0]["kind"] == "text"


def test_text_that_differs_in_more_than_its_form_stays_unknown():
    assert fitted(["3", "03"]).transform(table(["3.0", "03", "03.0", "x"])).tolist() == [[0, 1], [1, 0], [1, 0], [0, 0]]
    assert fitted(["3", "3.0"]).transform(table(["3", "3.0"])).tolist() == [[1, 0], [0, 1]]
