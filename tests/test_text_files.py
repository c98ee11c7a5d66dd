"""Text files as offices, databases, sensors, R and pandas write them, and what becomes of their cells."""

import bz2
import datetime
import gzip
import io
import lzma
import zipfile

import pytest

pytest.importorskip("polars", reason="needs polars, the extra train")

import polars as pl

import fastml
from fastml.commands import CommandError
from fastml.commands.files.style import Style
from fastml.commands.files.table import ANY, Format, open_table
from fastml.commands.files.typed import typed


@pytest.fixture
def read(tmp_path):
    """A function from what a file holds to its columns as lists, and the remarks."""

    def read(content, form=ANY, name="t.csv", **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        table = open_table(path, form)
        found = typed(table, form.style, **options)
        return found.frame.to_dict(as_series=False), found.notes

    return read


def day(*numbers):
    return datetime.datetime(*numbers)


UTC = datetime.timezone.utc
NUMBERS = {  # what stands in a column of its own, and what it is
    "point": (["1.5", "-2", "+3", ".5", "5.", "1e-3"], [1.5, -2, 3, 0.5, 5, 1e-3]),
    "quoted": (['"1"', '"2.5"'], [1, 2.5]),
    "spaces around": ([" 1", "2 ", "\u00a03"], [1, 2, 3]),
    "dollars": (['"$1,234"', "$-5.50", '"1,000"'], [1234, -5.5, 1000]),
    "euros behind": (["12 €", "3.5 €"], [12, 3.5]),
    "codes of money": (["USD 12", "3.5 USD"], [12, 3.5]),
    "percent": (["38%", "4.5 %"], [38, 4.5]),
    "thousands": (['"1,234,567"', '"2,000"', "800"], [1234567, 2000, 800]),
    "thousands of India": (['"12,34,567"', "5"], [1234567, 5]),
    "spaces between thousands": (["1 234", "12 345.5"], [1234, 12345.5]),
    "narrow spaces between thousands": (["1\u202f234", "5\u00a0678"], [1234, 5678]),
    "Switzerland": (["1'234.50", "12’345.5"], [1234.5, 12345.5]),
    "accounts": (['"(1,234.5)"', "12.5", "7.5-"], [-1234.5, 12.5, -7.5]),
    "a dash of accounts": (['" $1,234.50 "', '" $-   "', "$(12.00)"], [1234.5, 0, -12]),
    "a dash before euros": (['"12,50 €"', "- €"], [12.5, 0]),
    "minus signs": (["−5", "4", "–3"], [-5, 4, -3]),
    "units": (["12 kg", "3.5kg"], [12, 3.5]),
    "degrees": (["21.5 °C", "-3 °C"], [21.5, -3]),
    "gaps of spreadsheets": (["1", "#N/A", "#DIV/0!", "-", "2"], [1, None, None, None, 2]),
    "gaps of programs": (["1", "NULL", "\\N", "<NA>", "nan", "None", "2.5"], [1, None, None, None, None, None, 2.5]),
    "gaps of people": (["unknown", "3", "?", "n/a", "n.a.", "."], [None, 3, None, None, None, None]),
    "decimal commas in quotes": (['"1.234,56"', '"3,5"'], [1234.56, 3.5]),
    "zeros in front and a decimal comma": (['"01,5"', '"12,5"'], [1.5, 12.5]),
    "zeros before a decimal comma": (['"0,375"', '"12,500"'], [0.375, 12.5]),
    "pounds": (['"£1,234.50"', "£12"], [1234.5, 12]),
    "kronor": (['"1 234,50 kr"', '"12,00 kr"'], [1234.5, 12]),
    "reais": (['"R$ 1.234,56"', '"R$ 10,00"'], [1234.56, 10]),
    "euros before": (['"€ 1.234,56"', '"€ 5,00"'], [1234.56, 5]),
    "rupees": (['"₹12,34,567"', "₹500"], [1234567, 500]),
    "dollars below zero": (['"-$1,234"', '"$(12)"'], [-1234, -12]),
    "percent with a decimal comma": (['"12,5 %"', '"-7,25 %"'], [12.5, -7.25]),
    "percent with signs": (["-3%", "+4%"], [-3, 4]),
    "all errors of Excel": (
        ["1", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#NULL!", "2"],
        [1, None, None, None, None, None, 2],
    ),
    "errors of a German Excel": (["#WERT!", "#NV", "#BEZUG!", "#ZAHL!", "1"], [None, None, None, None, 1]),
    "gaps of databases": (["(null)", "1", "NULL", "2"], [None, 1, None, 2]),
    "gaps of statistics": ([".", "1", "NaN", "NA", "2"], [None, 1, None, None, 2]),
    "gaps of pandas": (["NaT", "<NA>", "-nan", "1", "NaN"], [None, None, None, 1, None]),
    "dashes of all lengths": (["--", "1", "—", "–", "---", "2"], [None, 1, None, None, None, 2]),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_as_people_write_them(kind, read):
    written, expected = NUMBERS[kind]
    found, _ = read("n\n" + "\n".join(written) + "\n")
    assert found["n"] == expected


TEXTS = {
    "zeros in front": ["000123", "4", "12"],
    "numbers of twenty digits": ["12345678901234567890", "12345678901234567891"],
    "beyond what float64 tells apart": ["9007199254740993", "9007199254740992"],
    "letters before": ["A12", "A13"],
    "different units": ["12 kg", "3 lb"],
    "addresses": ["192.168.1.10", "10.0.0.1"],
    "versions": ["1.2.3", "1.10.0"],
    "telephones": ["+49 123 456 789", "+1 234 567 890"],
    "words": ["red", "green"],
    "two words": ["John Smith", "Jane Doe"],
    "streets": ["Main 12", "Mill 3"],
    "versions of two digits": ["3.13.10", "3.12.11", "3.11.14"],
    "addresses of three digits": ["192.168.100.200", "192.168.100.201"],
    "times that are not there": ["2020-01-01 25:61:00", "2020-01-01 10:00:00"],
    "digits of other scripts": ["١٢", "１２"],
    "ranges": ["10-20", "20-30"],
    "seasons": ["2010-11", "2011-12", "2008-09"],
    "months that are not there": ["2020-01", "2020-13"],
    "words that begin as months": ["mayor 2012", "marathon 2013"],
    "codes with a month in them": ["5DEC12", "7MAR14"],
    "yes and no": ["yes", "no"],
    "days that are not there": ["30/02/2020", "31/02/2020"],
    "mixed zones": ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00"],
    "postcodes": ["01067", "80331", "99084"],
    "numbers of cards": ["4000001234567899", "4000009876543210", "5500000000000004123"],
    "numbers of twenty digits in quotes": ['"00000000000000000017"', "12345678901234567890"],
    "hexadecimal": ["0x1F", "0x20"],
    "one digit and zeros": ["1", "01", "001"],
    "weeks": ["2020-W05", "2020-W06"],
}


@pytest.mark.parametrize("kind", TEXTS)
def test_text_stays_what_it_was(kind, read):
    found, _ = read("n\n" + "\n".join(TEXTS[kind]) + "\n")
    assert found["n"] == [text.strip('"') for text in TEXTS[kind]]


DATES = {
    "ISO": (["2020-01-31", "2020-02-01"], [day(2020, 1, 31), day(2020, 2, 1)]),
    "ISO with time": (
        ["2020-01-31T17:45:00", "2020-02-01 06:00:00.5"],
        [day(2020, 1, 31, 17, 45), day(2020, 2, 1, 6, 0, 0, 500000)],
    ),
    "zones": (
        ["2020-01-31T17:45:00+01:00", "2020-02-01T00:00:00Z"],
        [day(2020, 1, 31, 16, 45).replace(tzinfo=UTC), day(2020, 2, 1).replace(tzinfo=UTC)],
    ),
    "United States": (["1/31/2020", "2/1/2020"], [day(2020, 1, 31), day(2020, 2, 1)]),
    "with half days": (["1/31/2020 5:45 PM", "2/1/2020 12:05 am"], [day(2020, 1, 31, 17, 45), day(2020, 2, 1, 0, 5)]),
    "Germany": (["31.01.2020", "1.2.2020 08:30"], [day(2020, 1, 31), day(2020, 2, 1, 8, 30)]),
    "France": (["31/01/2020", "01/02/2020"], [day(2020, 1, 31), day(2020, 2, 1)]),
    "Oracle": (["31-JAN-20", "01-FEB-99"], [day(2020, 1, 31), day(1999, 2, 1)]),
    "words": (['"Jan 31, 2020"', '"February 1, 2020"'], [day(2020, 1, 31), day(2020, 2, 1)]),
    "mail": (['"Fri, 31 Jan 2020 10:00:00 GMT"'] * 2, [day(2020, 1, 31, 10).replace(tzinfo=UTC)] * 2),
    "compact": (["20200131", "20200201", "20200202"], [day(2020, 1, 31), day(2020, 2, 1), day(2020, 2, 2)]),
    "Japan": (["2020/1/31", "2020/12/01"], [day(2020, 1, 31), day(2020, 12, 1)]),
    "Oracle with time": (
        ["31-JAN-20 05.45.12.500000 PM", "01-FEB-99 12.00.00 AM"],
        [day(2020, 1, 31, 17, 45, 12, 500000), day(1999, 2, 1)],
    ),
    "SAS": (["31JAN2020", "01FEB2020"], [day(2020, 1, 31), day(2020, 2, 1)]),
    "SAS with time": (
        ["31JAN2020:10:15:00", "01FEB2020:00:00:01"],
        [day(2020, 1, 31, 10, 15), day(2020, 2, 1, 0, 0, 1)],
    ),
    "server's log": (["31/Jan/2020:13:55:36 -0700"] * 2, [day(2020, 1, 31, 20, 55, 36).replace(tzinfo=UTC)] * 2),
    "asctime": (
        ["Fri Jan 31 11:49:25 2020", "Sat Feb  1 00:00:00 2020"],
        [day(2020, 1, 31, 11, 49, 25), day(2020, 2, 1)],
    ),
    "Finland": (["31.1.2020 17.45", "1.2.2020 8.05"], [day(2020, 1, 31, 17, 45), day(2020, 2, 1, 8, 5)]),
    "German words": (["3. März 2020", "12. Dezember 2020"], [day(2020, 3, 3), day(2020, 12, 12)]),
    "French words": (
        ["1er juin 2020", "14 juil. 2020", "2 août 2020"],
        [day(2020, 6, 1), day(2020, 7, 14), day(2020, 8, 2)],
    ),
    "Spanish words": (["3 de enero de 2020", "4 de agosto de 2021"], [day(2020, 1, 3), day(2021, 8, 4)]),
    "ordinals": (['"March 3rd, 2020"', '"May 1st, 2020"'], [day(2020, 3, 3), day(2020, 5, 1)]),
    "months": (["2020-01", "2020-11"], [day(2020, 1, 1), day(2020, 11, 1)]),
    "months of spreadsheets": (["Jan-20", "Nov-99"], [day(2020, 1, 1), day(1999, 11, 1)]),
    "months in words": (["May 2020", "June 2021"], [day(2020, 5, 1), day(2021, 6, 1)]),
    "gaps": (["2020-01-31", "NaT", "", "2020-02-01"], [day(2020, 1, 31), None, None, day(2020, 2, 1)]),
    "zones in words": (["2020-01-31 17:45:00 UTC"] * 2, [day(2020, 1, 31, 17, 45).replace(tzinfo=UTC)] * 2),
    "zones without a colon": (["2020-01-31T17:45:00+0100"] * 2, [day(2020, 1, 31, 16, 45).replace(tzinfo=UTC)] * 2),
    "zones of hours": (["2020-01-31 17:45:00+01"] * 2, [day(2020, 1, 31, 16, 45).replace(tzinfo=UTC)] * 2),
    "zones that change": (
        ["2020-01-31 17:45:00 +0100", "2020-07-01 00:00:00 +0200"],
        [day(2020, 1, 31, 16, 45).replace(tzinfo=UTC), day(2020, 6, 30, 22).replace(tzinfo=UTC)],
    ),
    "SQL Server": (
        ["2020-01-31 17:45:00.0000000", "2020-02-01 00:00:00.5000000"],
        [day(2020, 1, 31, 17, 45), day(2020, 2, 1, 0, 0, 0, 500000)],
    ),
    "Python's log": (['"2020-01-31 17:45:00,123"'] * 2, [day(2020, 1, 31, 17, 45, 0, 123000)] * 2),
    "United States with dashes": (["01-31-2020", "02-01-2020"], [day(2020, 1, 31), day(2020, 2, 1)]),
    "United States with weekdays": (['"Friday, January 31, 2020"'] * 2, [day(2020, 1, 31)] * 2),
    "Dutch words": (["31 januari 2020", "1 februari 2020"], [day(2020, 1, 31), day(2020, 2, 1)]),
    "Italian words": (["31 gennaio 2020", "1 febbraio 2020"], [day(2020, 1, 31), day(2020, 2, 1)]),
    "Portuguese words": (["31 de janeiro de 2020", "1 de fevereiro de 2020"], [day(2020, 1, 31), day(2020, 2, 1)]),
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_as_people_write_them(kind, read):
    written, expected = DATES[kind]
    found, _ = read("id,n\n" + "\n".join(f"{k},{text}" for k, text in enumerate(written)) + "\n")
    assert found["n"] == expected


def test_times_of_day_and_durations(read):
    found, _ = read("a,b,c\n17:45,36:15:00,5:45 PM\n5:30,0:00:10.5,12:00 am\n")
    seconds = {name: [value.total_seconds() for value in values] for name, values in found.items()}
    assert seconds == {"a": [63900, 19800], "b": [130500, 10.5], "c": [63900, 0]}


TIMES = {  # of day and durations, in seconds
    "with thousandths": (["17:45:00.123", "05:30:00"], [63900.123, 19800]),
    "with a decimal comma": (['"17:45:00,5"', '"05:30:00,25"'], [63900.5, 19800.25]),
    "half days without a space": (["5:45am", "12:05pm"], [20700, 43500]),
    "half days with points": (["5:45 a.m.", "12:05 p.m."], [20700, 43500]),
    "SQL Server": (["17:45:00.0000000", "05:30:00.0000000"], [63900, 19800]),
    "durations of pandas": (["1 days 02:03:04", "0 days 00:00:10"], [93784, 10]),
    "below zero": (["-1:30", "2:00"], [-5400, 7200]),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_as_people_write_them(kind, read):
    written, seconds = TIMES[kind]
    found, _ = read("n\n" + "\n".join(written) + "\n")
    assert [value.total_seconds() for value in found["n"]] == seconds


@pytest.mark.parametrize("name", ["date", "event_time", "updatedAt", "timestamp", "time"])
def test_names_of_columns_that_count_from_1970(name, read):
    found, notes = read(f"{name},a\n1700000000,1\n,2\n1700000060,3\n")
    assert found[name] == [day(2023, 11, 14, 22, 13, 20), None, day(2023, 11, 14, 22, 14, 20)]
    assert notes == [f"column '{name}' is read as seconds since 1970"]


@pytest.mark.parametrize("name", ["price", "unix_id", "phone"])
def test_names_of_columns_that_do_not_count_from_1970(name, read):
    assert read(f"{name},a\n1700000000,1\n1700000060,3\n") == ({name: [1700000000, 1700000060], "a": [1, 3]}, [])


def test_numbers_that_count_from_1970_are_dates_where_the_name_says_so(read):
    found, notes = read("ts,n,created_at\n1700000000,1700000000,1700000000123\n1700000060,1700000060,1700000000999\n")
    assert found["ts"][0] == day(2023, 11, 14, 22, 13, 20) and found["n"][0] == 1700000000
    assert found["created_at"][1] == day(2023, 11, 14, 22, 13, 20, 999000)
    assert notes == [
        "column 'ts' is read as seconds since 1970",
        "column 'created_at' is read as milliseconds since 1970",
    ]


def test_truth_in_any_case(read):
    found, _ = read("a,b\nTRUE,true\nFalse,n/a\n")
    assert found == {"a": [True, False], "b": [True, None]}


# The file tells


def test_the_other_columns_tell_the_decimal_sign(read):
    """Alone, 12,500 and 9,800 could be both."""
    column = "12,500", "9,800"
    with pytest.raises(CommandError, match=r"as '12,500' may be 12500 or 12.500: --decimal , or --decimal . tells"):
        read(f"t;p\n1;{column[0]}\n2;{column[1]}\n")
    assert read(f"t;p\n1,5;{column[0]}\n2;{column[1]}\n")[0]["p"] == [12.5, 9.8]
    assert read(f"t;p\n1.5;{column[0]}\n2;{column[1]}\n")[0]["p"] == [12500, 9800]
    assert read(f't,p\n1,"{column[0]}"\n2,"{column[1]}"\n')[0]["p"] == [12500, 9800], "commas separate columns"
    for sign, expected in ((".", [12500, 9800]), (",", [12.5, 9.8])):
        form = Format(style=Style(decimal=sign))
        assert read(f"t\tp\n1\t{column[0]}\n2\t{column[1]}\n", form)[0]["p"] == expected
    assert read("p\n12,500\n800\n", Format(separator=";"))[0]["p"] == [12500, 800], "three decimals would be in both"


def test_points_group_where_another_column_has_decimal_commas(read):
    assert read("a;b\n1,5;1.234\n2,5;800\n")[0]["b"] == [1234, 800]
    assert read("a;b\n1.5;1.234\n2.5;800\n")[0]["b"] == [1.234, 800]
    found, notes = read("a;b\n1;1.234\n2;800\n")
    assert found["b"] == [1234, 800], "with three decimals, 800 would have them, too"
    assert notes == ["points in column 'b' are taken for thousands, as in '1.234': else say --decimal ."]
    found, notes = read("a;b\n1;1.234\n2;2.800\n")
    assert found["b"] == [1.234, 2.8]
    assert notes == ["points in column 'b' are taken for decimal signs, as in '1.234': else say --decimal ,"]
    assert read("a;b\n1;2.380 €\n2;476 €\n")[0]["b"] == [2380, 476]
    found, notes = read("a,b\n1,1.234\n2,800\n")
    assert found["b"] == [1.234, 800] and "are taken for decimal signs" in notes[0]
    assert read("a,b\n1,1.230\n2,800\n")[0]["b"] == [1230, 800], "no program writes a last 0 in some numbers alone"
    assert read("a,b\n1,1.230\n2,8.015\n") == ({"a": [1, 2], "b": [1.23, 8.015]}, [])


def test_the_other_columns_tell_whether_days_come_first(read):
    assert read("a,b\n03/04/2020,31/12/2020\n04/05/2020,1/1/2020\n") == (
        {"a": [day(2020, 4, 3), day(2020, 5, 4)], "b": [day(2020, 12, 31), day(2020, 1, 1)]},
        [],
    )
    found, notes = read("a\n03/04/2020\n04/05/2020\n")
    assert found["a"][0] == day(2020, 3, 4) and "are taken as month, day, year: --day-first yes" in notes[0]
    found, notes = read("a;b\n03/04/2020;1,5\n04/05/2020;2,5\n")
    assert found["a"][0] == day(2020, 4, 3) and "are taken as day, month, year" in notes[0]
    assert read("a\n03/04/2020\n", Format(style=Style(day_first=True))) == ({"a": [day(2020, 4, 3)]}, [])
    assert read("a\n03/04/2020\n", prior=Style(day_first=True, separator=",")) == ({"a": [day(2020, 4, 3)]}, [])


def test_a_model_remembers_how_its_file_was_written(read):
    assert read("p\n12,500\n9,800\n", Format(separator=";"), prior=Style(decimal=",", separator=";"))[0]["p"] == [
        12.5,
        9.8,
    ]
    content = "p\n12,5\n9,800\n"
    assert read(content, Format(separator=";"), prior=Style(decimal=".", separator=";"))[0]["p"] == [12.5, 9.8], (
        "told by itself"
    )


def test_a_model_says_nothing_of_files_that_are_separated_otherwise(read):
    prior = Style(decimal=".", day_first=True, separator=",")
    with pytest.raises(CommandError, match="can be read in two ways"):
        read("p\tq\n12,500\tx\n", prior=prior)
    found, notes = read("p;d\n14.445;03/04/2020\n", prior=prior._replace(decimal=","))
    assert found == {"p": [14.445], "d": [day(2020, 3, 4)]} and len(notes) == 2
    assert read("d\n05.03.2020\n", prior=Style(day_first=False, separator=","))[0]["d"] == [day(2020, 3, 5)]


def test_options_that_a_column_contradicts_are_told(read):
    notes = read("a\n1.25\n2.5\n", Format(style=Style(decimal=",")))[1]
    assert notes == ["column 'a' has '.' as its decimal sign, other than --decimal says"]
    notes = read("a\n01/13/2020\n", Format(style=Style(day_first=True)))[1]
    assert notes == ["dates in column 'a' can be read in one way only, other than --day-first says"]


def test_years_of_two_digits_are_told(read):
    found, notes = read("a\n15/03/52\n16/04/85\n")
    assert found["a"] == [day(2052, 3, 15), day(1985, 4, 16)]
    assert notes == ["dates in column 'a' have years of two digits, and are read as day, month, year, of 1969 to 2068"]


def test_numbers_with_an_exponent_have_no_groups(read):
    assert read("x\tp\n1\t1.234e-04\n2\t5e-04\n3\t2.345e-05\n")[0]["p"] == [1.234e-4, 5e-4, 2.345e-5]


def test_dates_with_other_values_are_told(read):
    rows = "".join(f"2020-01-{k:02}\n" for k in range(1, 31))
    found, notes = read("a\n" + rows + "0000-00-00x\n")
    assert found["a"][0] == "2020-01-01"
    assert (
        "taken as text, as it holds dates and 1 other value: '0000-00-00x'; if these stand for gaps, --na" in notes[0]
    )


QUOTES = {
    "doubled": '"5"" pipe, long"',
    "of MySQL": '"5\\" pipe, long"',
}


@pytest.mark.parametrize("kind", QUOTES)
def test_quotes_within_quotes(kind, read):
    found, _ = read(f"id,name,v\n1,{QUOTES[kind]},4\n2,c,4\n3,{QUOTES[kind]},5\n")
    assert found == {"id": [1, 2, 3], "name": ['5" pipe, long', "c", '5" pipe, long'], "v": [4, 4, 5]}


def test_quotes_that_are_signs(read):
    found, _ = read('id,name,v\n1,3" pipe,4\n2,5,4\n3,6" bolt,5\n')
    assert found["name"] == ['3" pipe', "5", '6" bolt']
    assert read('c,d\n"red, ""dark""",1\n')[0] == {"c": ['red, "dark"'], "d": [1]}


def test_line_ends_of_all_kinds(read):
    assert read("x,y\r\r\n1,no\r\r\n2,yes\r\r\n")[0] == {"x": [1, 2], "y": ["no", "yes"]}


def test_rows_that_lack_their_last_fields(read):
    assert read("a,b,\n1,2\n3,4\n")[0] == {"a": [1, 3], "b": [2, 4], "column 3": [None, None]}
    rows = "1,2\n" * 20
    assert len(read("x,y,comment\n1,2,late\n" + rows)[0]["y"]) == 21


def test_short_rows_are_told(read):
    found, notes = read("a,b,c\n1,2,3\n4,5\n6,7,8\n")
    assert found["c"] == [3, None, 8] and "some rows have fewer values than there are columns" in notes[0]
    found, notes = read('a,b,c\n"1,5",2,3\n4,"5,6"\n')
    assert found["c"] == [3, None] and "some rows have fewer values" in notes[0]
    assert read('a,b\n"1,5",2\n"3,5",4\n')[1] == []
    assert read("a,b\n1,2\n\n3,4\n")[1] == [] and read("a,b\n1,2\n,\n3,4\n")[1] == []
    assert read("title\n\na,b\n1,2\n3,4")[1] == ["1 line before the header passed over, beginning with 'title'"]


def test_a_gap_in_the_last_row_of_one_column(read):
    assert read('x\n1\n2\n""\n')[0] == {"x": [1, 2, None]}
    assert read('x\n""\n')[0] == {"x": [None]}


def test_spreadsheets_keep_text_by_a_formula(read):
    assert read('a,b\n="007",1\n="012",2\n')[0] == {"a": ["007", "012"], "b": [1, 2]}


ALIGNED = {  # columns that spaces align, and what they are
    "statistics": ("  x    y  z\n 1.5  20  a\n10.25  3  b\n", {"x": [1.5, 10.25], "y": [20, 3], "z": ["a", "b"]}),
    "printed by pandas": ("    x   y\n0   1  20\n10  3   4\n", {"row names": [0, 10], "x": [1, 3], "y": [20, 4]}),
    "quoted names": ('x y name\n1  2  "a  b"\n3 40  "c"\n', {"x": [1, 3], "y": [2, 40], "name": ["a  b", "c"]}),
    "ends of Windows": ("x  y  z \r\n1  2  3 \r\n4  5 66\r\n", {"x": [1, 4], "y": [2, 5], "z": [3, 66]}),
}


@pytest.mark.parametrize("kind", ALIGNED)
def test_columns_aligned_by_spaces(kind, read):
    text, expected = ALIGNED[kind]
    assert read(text)[0] == expected


DRAWN = {  # tables as clients of databases and documents draw them
    "psql": " id | name | v \n----+------+---\n  1 | anna | 1.5\n  2 | bert |    \n(2 rows)\n\n",
    "MySQL": "+----+------+------+\n| id | name | v    |\n+----+------+------+\n|  1 | anna |  1.5 |\n"
    "|  2 | bert | NULL |\n+----+------+------+\n2 rows in set (0.00 sec)\n",
    "Markdown": "| id | name | v   |\n|---:|:-----|----:|\n| 1  | anna | 1.5 |\n| 2  | bert |     |\n",
    "SQL Server": "id name v\n-- ---- ----\n 1 anna 1.5\n 2 bert NULL\n\n(2 rows affected)\n",
}


@pytest.mark.parametrize("kind", DRAWN)
def test_drawn_tables(kind, read):
    found, notes = read(DRAWN[kind])
    assert found == {"id": [1, 2], "name": ["anna", "bert"], "v": [1.5, None]}
    assert any("drawn between rows" in note for note in notes)


@pytest.mark.parametrize("end", ["(2 rows)", "2 rows in set (0.00 sec)", "2 rows selected.", "(2 rows affected)\n"])
def test_a_count_of_rows_at_the_end_is_left_out(end, read):
    found, notes = read(f"a|b\n0|x\n1|y\n{end}\n")
    assert found == {"a": [0, 1], "b": ["x", "y"]} and "as it counts rows" in notes[0]
    assert read("n\n2 rows\n3 rows\n")[0]["n"] == [2, 3], "numbers with a unit"


def test_dates_without_signs_between(read):
    found, _ = read("t,u\n20200131174500,202001311745\n20200201000000,202002010000\n20200202000000,202002020001\n")
    assert found["t"][0] == day(2020, 1, 31, 17, 45) and found["u"][2] == day(2020, 2, 2, 0, 1)
    assert read("t\n20200131174500\n20209931174500\n20200131174501\n")[0]["t"][0] == 20200131174500


@pytest.mark.parametrize("factor, unit", [(10**6, "microseconds"), (10**9, "nanoseconds")])
def test_small_parts_of_seconds_since_1970(factor, unit, read):
    found, notes = read(f"timestamp\n{1577836800 * factor}\n{1577836801 * factor}\n")
    assert found["timestamp"] == [day(2020, 1, 1), day(2020, 1, 1, 0, 0, 1)] and unit in notes[0]


def test_rules_that_are_values_stay(read):
    assert read("x\n---\n1\n2\n")[0] == {"x": [None, 1, 2]}
    found, notes = read("x,y\n-----,------\n1,2\n2,3\n")
    assert found == {"x": [1, 2], "y": [2, 3]} and notes == ["the row of dashes below the header left out"]
    found, notes = read("x,y\n---,-\n1,2\n2,3\n")
    assert found == {"x": [1, 2], "y": [2, 3]} and notes == ["the row of dashes below the header left out"]
    assert read("x,y\na-b,--c\nd,+-\n")[0] == {"x": ["a-b", "d"], "y": ["--c", "+-"]}


def test_remarks_between_rows(read):
    found, notes = read("# made by a logger\nt,v\n1,2\n# restarted\n3,4\n#\n")
    assert found == {"t": [1, 3], "v": [2, 4]}
    assert "2 lines between rows left out, as they begin with #" in notes
    assert read("t,v\n#1,2\n#2,4\n")[0] == {"t": ["#1", "#2"], "v": [2, 4]}
    assert read("t\n#1\n#2\n")[0] == {"t": ["#1", "#2"]}


def test_columns_of_spaces_and_tabs_that_are_told(read):
    text = ' 0.1  18.0\t6  "a  b"\n 0.2   2.0\t 7\t"c"\n'
    found, _ = read(text, Format(separator=" ", header=False))
    assert found == {"1": [0.1, 0.2], "2": [18, 2], "3": [6, 7], "4": ["a  b", "c"]}


def test_the_end_of_a_file_of_old(read):
    assert read(b"a,b\r\n1,2\r\n\x1a")[0] == {"a": [1], "b": [2]}


def test_given_gaps_that_are_numbers_may_be_written_otherwise(read):
    form = Format(style=Style(gaps=("-999", "n.b.")))
    assert read("a\n-999.0\n-999\nn.b.\n3\n", form)[0] == {"a": [None, None, None, 3]}


def test_a_file_without_a_header_keeps_its_first_row(read):
    form = Format(header=False)
    assert len(read("5,7\n1.5,1234,a\n2.5,1234,b\n", form)[0]["1"]) == 3
    assert len(read("a,,\nb,u,v\nc,w,x\n", form)[0]["1"]) == 3
    assert len(read("|1x3 Cross validator\n1,2,3\n4,5,6\n", form)[0]["1"]) == 2


def test_a_last_row_that_lacks_values_stays(read):
    rows = "".join(f"name {k},{k},x\n" for k in range(20))
    found, _ = read("a,b,c\n" + rows + "name 3,,\n")
    assert len(found["a"]) == 21
    found, _ = read("id,amount,k\n-,-,\n" + LINES)
    assert len(found["id"]) == 21, "gaps are no units"


def test_gaps_are_those_that_are_given(read):
    content = "a,b\nNA,1\nnone,-9\nx,2\n"
    assert read(content)[0] == {"a": [None, None, "x"], "b": [1, -9, 2]}
    form = Format(style=Style(gaps=("-9",)))
    assert read(content, form)[0] == {"a": ["NA", "none", "x"], "b": [1, None, 2]}
    assert read("y\nNone\nsome\nNA\n", target="y")[0] == {"y": ["None", "some", None]}, "None may be a class"


def test_other_values_among_numbers_are_told(read):
    found, notes = read("n\n" + "".join(f"{k}.5\n" for k in range(30)) + "n.b.\nn.b.\n")
    assert found["n"][0] == "0.5"
    assert notes == [
        "column 'n' is taken as text, as it holds numbers and 2 other values: 'n.b.'; if these stand for gaps, "
        "--na says so"
    ]


# Layout

LAYOUTS = {
    "spaces behind commas": "a, b\n1, x y \n2, z\n",
    "quotes behind spaces": 'a, b\n1, "x y"\n2, z\n',
    "tabs": "a\tb\n1\tx y\n2\tz\n",
    "semicolons": "a;b\n1;x y\n2;z\n",
    "bars": "a|b\n1|x y\n2|z\n",
    "Excel's first line": "sep=;\na;b\n1;x y\n2;z\n",
    "returns and feeds": "a,b\r\n1,x y\r\n2,z\r\n",
    "old Macs": "a,b\r1,x y\r2,z\r",
    "a title before": "Report of today\n\na,b\n1,x y\n2,z\n",
    "several lines before": "# made by a logger\n# at noon, in the shade, somewhere\na,b\n1,x y\n2,z\n",
    "blank lines": "\n\na,b\n1,x y\n\n2,z\n\n\n",
    "rows of separators at the end": "a,b\n1,x y\n2,z\n,\n,\n",
    "a separator behind each row": "a,b,\n1,x y,\n2,z,\n",
    "joined files": "a,b\n1,x y\na,b\n2,z\n",
    "a mark": "\ufeffa,b\n1,x y\n2,z\n",
    "quoted names": '"a","b"\n"1","x y"\n"2","z"\n',
    "spaces on both sides": " a , b \n 1 , x y \n 2 , z \n",
    "tabs beside semicolons": "a;\tb\n1;\tx y\n2;\tz\n",
    "spaces that do not break": "a,\u00a0b\n1,\u00a0x y\u00a0\n2,z\n",
    "spaces within quotes": 'a,b\n" 1"," x y "\n"2 "," z"\n',
    "a blank line of spaces at the end": "a,b\n1,x y\n2,z\n   \n",
    "the end of a file of old": "a,b\r\n1,x y\r\n2,z\r\n\x1a",
    "a dump's remarks": "-- exported at noon\n-- by a database\na,b\n1,x y\n2,z\n",
    "names and values of a logger": "Serial: 0815\nInterval: 5 min\n\na,b\n1,x y\n2,z\n",
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_layouts(kind, read):
    found, _ = read(LAYOUTS[kind])
    assert {name: found[name] for name in ("a", "b")} == {"a": [1, 2], "b": ["x y", "z"]}
    assert all(set(values) == {None} for name, values in found.items() if name not in ("a", "b"))


def test_what_was_passed_over_is_told(read):
    _, notes = read(LAYOUTS["several lines before"])
    assert notes == ["2 lines before the header passed over, beginning with '# made by a logger'"]
    assert read(LAYOUTS["rows of separators at the end"])[1] == ["2 empty rows at the end left out"]
    assert read(LAYOUTS["joined files"])[1] == ["1 row that repeat the header left out"]
    rows = "".join(f"{k},x,{k}\n" for k in range(30))
    found, notes = read(f"a,b,c\n{rows}Total of 30 rows,,\n")
    assert len(found["a"]) == 30 and notes == ["1 remark at the end left out, such as 'Total of 30 rows'"]


LINES = "".join(f"{k},{k}.5,x\n" for k in range(20))
ENDS = {
    "totals": "Total,190,\n",
    "totals behind an empty field": ",Sum of all,190\n".replace(",190", ","),
    "totals in German": "Summe:,190,\n",
    "a grand total behind an empty row, and a remark": ",,\nGrand total,190,\n\nPrinted at noon,,\n",
    "a subtotal and a total": "Subtotal,190,\nTotal,190,\n",
    "a remark": "Source: our own\n",
    "a count of psql": "(20 rows)\n\n",
    "a count of SQL Server": "\n(20 rows affected)\n",
    "a count of Oracle": "\n20 rows selected.\n",
}


@pytest.mark.parametrize("kind", ENDS)
def test_what_is_no_row_at_the_end_is_left_out(kind, read):
    found, notes = read("id,amount,k\n" + LINES + ENDS[kind])
    assert found["id"] == list(range(20)) and found["amount"][-1] == 19.5 and notes


@pytest.mark.parametrize("last", ["Total,190,x\n", "Totalis,,\n" + LINES])
def test_rows_at_the_end_that_only_look_like_totals_stay(last, read):
    found, _ = read("id,amount,k\n" + LINES + last)
    assert len(found["id"]) == 20 + last.count("\n")


@pytest.mark.parametrize("units", [",EUR,", "years,EUR,", "s,[kW],name", "[s],[°C],"])
def test_a_row_of_units_is_left_out(units, read):
    found, notes = read(f"id,amount,k\n{units}\n" + LINES)
    assert found["id"] == list(range(20)) and "the row below the header left out, as it holds units" in notes[0]
    found, notes = read("id,amount,k\n,n/a,x\n" + LINES)
    assert found["amount"][0] is None and len(found["id"]) == 21 and not notes, "a gap is no unit"


TITLES = {
    "filled up with separators": "Sales of today,,\n",
    "and an empty row": "Sales of today,,\n,,\n",
    "and an empty line": "Sales of today,,\n\n",
    "two lines": "Sales,,\nof today,,\n",
}


@pytest.mark.parametrize("kind", TITLES)
def test_titles_of_spreadsheets_are_passed_over(kind, read):
    found, notes = read(TITLES[kind] + "id,amount,k\n" + LINES)
    assert list(found) == ["id", "amount", "k"] and len(found["id"]) == 20
    assert "before the header passed over, beginning with 'Sales" in notes[0]


def test_short_and_blank_lines_at_the_start(read):
    assert read("a,b,c\n1,2\n3,4,5\n")[0] == {"a": [1, 3], "b": [2, 4], "c": [None, 5]}
    assert read("a,b,c\n\n\n1,2,9\n3,4,5\n")[0]["c"] == [9, 5]
    assert read("a,,\n1,2,3\n4,5,6\n")[0] == {"a": [1, 4], "column 2": [2, 5], "column 3": [3, 6]}


def test_rows_within_a_table_that_are_empty_stay(read):
    assert read("a,b\n1,2\n,\n3,4\n")[0] == {"a": [1, None, 3], "b": [2, None, 4]}
    assert read("a\n1\n\n3\n\n")[0] == {"a": [1, None, 3]}


def test_names_of_columns(read):
    assert list(read('"a\nb", c ,\n1,2,3\n')[0]) == ["a b", "c", "column 3"]
    found, notes = read("a,b,a\n1,2,3\n")
    assert found == {"a": [1], "b": [2], "a (2)": [3]} and "several columns are called 'a'" in notes[0]
    assert list(read('"x" "y"\n"1" 2 3\n"2" 4 5\n')[0]) == ["row names", "x", "y"], "of R"
    assert list(read(",x\n0,2\n1,4\n")[0]) == ["column 1", "x"], "of pandas"
    assert list(read("1,2\n3,4\n", Format(header=False))[0]) == ["1", "2"]
    assert list(read("1,2\n3,4\n", Format(header=False, names=("a", "b")))[0]) == ["a", "b"]
    assert read("x,y\n3,4\n", Format(names=("a", "b")))[0] == {"a": [3], "b": [4]}
    with pytest.raises(CommandError, match="has 2 columns, but --names gives 1"):
        read("x,y\n3,4\n", Format(names=("a",)))


HEADERS = {
    "feeds": ('"net\nweight\n(kg)",c\n', ["net weight (kg)", "c"]),
    "returns and feeds": ('c,"net\r\nweight"\r\n', ["c", "net weight"]),
    "returns": ('"net\rweight",c\n', ["net weight", "c"]),
    "in all names": ('"a\nb","c\nd"\n', ["a b", "c d"]),
    "and separators": ('"a,\nb",c\n', ["a, b", "c"]),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_line_breaks_in_a_header(kind, read):
    header, names = HEADERS[kind]
    assert read(header + "1,2\n3,4\n")[0] == dict(zip(names, ([1, 3], [2, 4]), strict=True))


@pytest.mark.parametrize("columns, rows", [(200, 30), (300, 5), (400, 2)])
def test_wide_tables_of_many_kinds(columns, rows, read):
    """Every third column has a number, a text and a date with a gap."""
    cells = ["1,5", "x y", "31.01.2020"]
    lines = [";".join(f"c{k}" for k in range(columns))]
    lines += [";".join(cells[k % 3] if (k + row) % 2 else "" for k in range(columns)) for row in range(rows)]
    found, notes = read("\n".join(lines) + "\n")
    assert list(found) == [f"c{k}" for k in range(columns)] and not notes
    values = [1.5, "x y", day(2020, 1, 31)]
    assert all(set(found[f"c{k}"]) == {values[k % 3], None} for k in range(columns))


def test_wide_tables(read):
    names = [f"c{k}" for k in range(20_000)]
    found, _ = read(",".join(names) + "\n" + ",".join(["1"] * 20_000) + "\n")
    assert list(found) == names and found["c19999"] == [1]


# Encodings and archives

TEXT = "ä,b\n1,ü\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(encoding, read):
    found, notes = read(TEXT.encode(encoding))
    assert found == {"ä": [1], "b": ["ü"]}
    assert len(notes) == (encoding == "cp1252")


def test_an_encoding_that_is_given(read):
    assert read("a,b\n1,ł\n".encode("cp1250"), Format(encoding="cp1250"))[0]["b"] == ["ł"]
    with pytest.raises(CommandError, match="is not text in utf-8"):
        read(TEXT.encode("cp1252"), Format(encoding="utf-8"))
    with pytest.raises(CommandError, match="is not text in utf-16"):
        read(TEXT.encode("utf-16") + b"\0", Format(encoding="utf-16"))


def zipped(*members):
    with zipfile.ZipFile(held := io.BytesIO(), "w") as archive:
        for name, content in members:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def zstd(content):
    return pytest.importorskip("zstandard", reason="needs zstandard, the extra train").compress(content)


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
    "zip": lambda content: zipped(("folder/", b""), ("folder/t.csv", content), ("__MACOSX/._t.csv", b"x")),
    "zip of gz": lambda content: zipped(("t.csv.gz", gzip.compress(content))),
}


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_files(packer, read):
    packed = PACKERS[packer](TEXT.encode())
    assert read(packed)[0] == {"ä": [1], "b": ["ü"]}
    with pytest.raises(CommandError, match="cannot be unpacked|has columns, but no rows|is empty"):
        read(packed[: len(packed) // 2])


@pytest.mark.parametrize("packer", ["gz", "bz2", "xz", "zst", "zip"])
def test_files_that_unpack_to_a_multiple(packer, read, monkeypatch):
    monkeypatch.setattr("fastml.commands.files.source.LEAST_LIMIT", 2**20)
    monkeypatch.setattr("fastml.commands.files.source.CHUNK", 2**18)
    with pytest.raises(CommandError, match="unpacks to more than 0.0 GB, which is too much for its size"):
        read(PACKERS[packer](b"a\n" + b"1\n" * 2**21))


FOREIGN = {
    "workbook": (zipped(("[Content_Types].xml", b"<x/>")), "is a workbook of Excel or LibreOffice: save its sheet as"),
    "old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel workbook"),
    "web page": (b"<!DOCTYPE html><table>", "is a web page or XML: save the table as CSV"),
    "JSON": (b'[{"a": 1}]', "is JSON: write it as CSV or Parquet"),
    "JSON lines": (b'{"a": 1}\n{"a": 2}\n', "is JSON"),
    "PDF": (b"%PDF-1.4", "is a PDF"),
    "Feather": (b"ARROW1\0\0", "is an Arrow file"),
    "database": (b"SQLite format 3\0", "is a database of SQLite"),
    "several": (zipped(("a.csv", b"a\n1\n"), ("b.csv", b"a\n1\n")), "holds 2 files, expected one: 'a.csv', 'b.csv'"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0", "is not a text file"),
    "packed by zlib": (b"x\x9c\x01\x01\x02", "is not a text file"),
    "nothing": (b" \n \n", "is empty"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_table_is_called_by_its_name(kind, read):
    content, message = FOREIGN[kind]
    with pytest.raises(CommandError) as caught:
        read(content)
    assert message in str(caught.value)


def test_a_row_that_is_too_long_is_told_with_its_line(read):
    with pytest.raises(CommandError, match=r"t.csv has 3 values in line 4, but 2 columns: put quotes around"):
        read('a,b\n1,"x\ny"\n3,4,5\n')


def test_texts_of_parquet_have_no_spaces_around(read):
    frame = pl.DataFrame({"a": [" x", "y "], "n": [1.0, float("nan")], "t": [datetime.time(6), None]})
    frame.write_parquet(held := io.BytesIO())
    found, _ = read(held.getvalue(), name="t.parquet")
    assert found == {"a": ["x", "y"], "n": [1, None], "t": [datetime.time(6), None]}


# What a model wants


def test_columns_must_hold_what_they_held_in_training(read):
    kinds = {"a": "number", "b": "text", "c": "date", "d": "boolean", "e": "duration"}
    content = "a,b,c,d,e\n1700000000,007,2020-01-01,1,1:30\n,12,,0,\n"
    found, _ = read(content, kinds=kinds)
    assert found["a"] == [1700000000, None] and found["b"] == ["007", "12"]
    for content, message in {
        "a\n1\nx1\n": "column 'a' held numbers in training, here it holds text, such as 'x1' in row 2",
        "c\n2020-01-01\nsoon\n": "column 'c' held dates in training, here it holds text, such as 'soon' in row 2",
        "c\ntrue\n": "column 'c' held dates in training, here it holds true and false, such as 'true' in row 1",
        "e\n1:30\n90\n": "column 'e' held times in training, here it holds text",
    }.items():
        with pytest.raises(CommandError, match=message):
            read(content, kinds=kinds)
    assert read("a\n007\n", kinds=kinds)[0] == {"a": [7]}
    assert read("a,c,d,e\n-,unknown,x,#WERT!\n", kinds=kinds)[0] == dict.fromkeys("acde", [None])
    assert read("c\n20200131\n", kinds=kinds)[0] == {"c": [day(2020, 1, 31)]}
    with pytest.raises(CommandError, match="held dates in training, here it holds numbers"):
        read("c\n43861\n", kinds=kinds)
    assert read("c\n1700000000\n", kinds=kinds)[0] == {"c": [day(2023, 11, 14, 22, 13, 20)]}
    assert read("b\ntrue\n1\n", kinds=kinds)[0] == {"b": ["true", "1"]}


def test_in_python_a_table_is_read_as_by_the_commands(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,5;03/04/2020\n2,5;04/05/2020\n")
    with pytest.warns(UserWarning, match="are taken as day, month, year"):
        found = fastml.read_table(path)
    assert found.to_dict(as_series=False) == {"a": [1.5, 2.5], "b": [day(2020, 4, 3), day(2020, 5, 4)]}
    assert fastml.read_table(path, day_first=False)["b"][0] == day(2020, 3, 4)
    assert fastml.read_table(path, day_first=True, header=False, names=("x", "y"))["x"].to_list() == ["a", "1,5", "2,5"]
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        fastml.read_table(tmp_path / "none.csv")
    with pytest.raises(TypeError):
        fastml.read_table(path, sep=";")
