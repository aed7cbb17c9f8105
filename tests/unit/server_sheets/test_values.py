"""What is typed, what is shown, what is computed."""

from __future__ import annotations

import datetime as dt
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sheets import spreadsheets, values
from server.sheets.formulas.evaluate import Evaluator
from server.sheets.storage import database
from server.sheets.storage.library import Library
from server.sheets.text import a1, display, entered, serial


@pytest.mark.parametrize(
    ("typed", "value", "shown"),
    [
        ("2,000,000.01", 2000000.01, "2,000,000.01"),
        ("0042", 42, "42"),
        ("50%", 0.5, "50%"),
        ("12.34%", 0.1234, "12.34%"),
        ("$5", 5, "$5"),
        ("-$1,234.5", -1234.5, "-$1,234.5"),
        ("1e3", 1000, "1.00E+03"),
        ("2020-01-01", 43831, "2020-01-01"),
        ("1/2/2020", 43832, "1/2/2020"),
        ("2020-01-01 10:30", 43831.4375, "2020-01-01 10:30"),
        ("3:05 pm", 15.0833333333 / 24, "3:05 pm"),
        ("Jan 5, 2024", 45296, "Jan 5, 2024"),
        ("January 5, 2024", 45296, "January 5, 2024"),
        ("5-Jan-2024", 45296, "5-Jan-2024"),
        ("Jan 35, 2024", "Jan 35, 2024", "Jan 35, 2024"),
        ("Foo 5, 2024", "Foo 5, 2024", "Foo 5, 2024"),
        ("true", True, "TRUE"),
        ("'0042", "0042", "0042"),
        ("2020-13-45", "2020-13-45", "2020-13-45"),
        ("1,2", "1,2", "1,2"),
        ("2026-11-23T20:15:00Z", "2026-11-23T20:15:00Z", "2026-11-23T20:15:00Z"),
    ],
)
def test_what_is_typed_is_recognised_as_in_a_sheet(typed, value, shown):
    """USER_ENTERED texts become numbers, dates, booleans or stay, and are shown in the format they came in."""
    cell = entered.read(typed)
    rich = cell if isinstance(cell, dict) else {"v": cell}
    assert rich["v"] == (pytest.approx(value) if isinstance(value, float) else value)
    assert display.show(rich["v"], rich.get("fmt", {}).get("numberFormat")).lower() in {
        shown.lower(),
        shown.lower() + "0",
    }


@given(st.text(max_size=40))
def test_raw_values_are_kept_as_they_are(text):
    """RAW changes nothing: no formula, no number, no date comes of a text."""
    assert entered.read_raw(text) == (text or None)


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)))
def test_serial_numbers_give_the_moment_back(moment):
    """A moment survives being a number, to the millisecond."""
    back = serial.from_serial(serial.to_serial(moment))
    assert abs(back - moment) <= dt.timedelta(milliseconds=1)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e14, max_value=1e14))
def test_numbers_without_a_format_read_back_close(number):
    """What is shown of a number is that number to ten significant digits."""
    assert float(display.general(number)) == pytest.approx(number, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "pattern", "shown"),
    [
        (1234.567, "#,##0.00", "1,234.57"),
        (0.5, "0.00%", "50.00%"),
        (-3, "0;(0)", "(3)"),
        (2.5, "0", "3"),
        (1 / 1024, "", "0.0009765625"),
        (1 / 3, "", "0.3333333333"),
        (1e15, "", "1E+15"),
    ],
)
def test_number_patterns_show_as_in_a_sheet(value, pattern, shown):
    """Grouping, percent, sections, rounding half up."""
    assert display.show(value, {"type": "NUMBER", "pattern": pattern} if pattern else None) == shown


@pytest.fixture
def book(tmp_path):
    """A spreadsheet with numbers 1 to 4 in A1:A4, texts in B1:B2 and a second sheet."""
    with closing(database.connect(tmp_path / "s.sqlite")) as db:
        library = Library(db)
        with library.transaction():
            made = spreadsheets.create(
                library, "me", "x", parents=[], body={"sheets": [{}, {"properties": {"title": "Other one"}}]}
            )
            values.write(made.sheets[0], a1.Box(0, 0, 1, 1), [[1, "a"], [2, "b"], [3], [4]], "RAW")
            values.write(made.sheets[1], a1.Box(0, 0, 1, 1), [[10], ["=A1*2"]], "USER_ENTERED")
        yield made


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("= 1 / 1024", 1 / 1024),
        ("=1+2*3^2", 19),
        ("=-2^2", 4),
        ("=50%", 0.5),
        ("=SUM(A1:A4)", 10),
        ("=AVERAGE(A:A)", 2.5),
        ("=STDEV(A1:A4)", pytest.approx(1.2909944487)),
        ('=COUNTIF(A1:A4;">2")', 2),
        ('=IF(A1=1,"yes","no")', "yes"),
        ('=B1&"-"&A2', "a-2"),
        ("='Other one'!A2", 20),
        ("=IFERROR(1/0,7)", 7),
        ("=VLOOKUP(3,A1:A4,1,FALSE)", 3),
        ("=ROUND(2.675,2)", 2.68),
        ('=TEXT(0.256,"0.0%")', "25.6%"),
        ("=1/0", "#DIV/0!"),
        ("=NOSUCH(1)", "#NAME?"),
        ("=B1+1", "#VALUE!"),
        ("=A1:A4", "#VALUE!"),
        ("=Z9999999", "#REF!"),
        ("=1+", "#ERROR!"),
        ("=QUERY(A1:B2)", "#NAME?"),
        ("=SQRT(-1)", "#NUM!"),
    ],
)
def test_formulas_come_to_what_a_sheet_shows(book, formula, value):
    """Arithmetic, references, common functions; what is not computed is an error value, never a wrong number."""
    sheet = book.sheets[0]
    assert Evaluator(book).value(sheet, 20, 20, {"f": formula}) == value


def test_a_formula_that_needs_itself_is_an_error(book):
    """A circle ends in #REF!, not in a crash."""
    sheet = book.sheets[0]
    with_circle = [["=B7"], ["=A7"]]
    values.write(sheet, a1.Box(6, 0, 7, 1), [[with_circle[0][0], "=A7"]], "USER_ENTERED")
    assert Evaluator(book).value(sheet, 6, 0, sheet.grid.cell(6, 0)) == "#REF!"
