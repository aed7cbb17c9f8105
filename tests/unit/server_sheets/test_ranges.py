"""Ranges and references: read, written, moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sheets.errors import InvalidArgument
from server.sheets.formulas import references
from server.sheets.text import a1

ROWS, COLUMNS = st.integers(0, 999_999), st.integers(0, 17_000)
TITLES = st.text(min_size=1, max_size=30)


@given(TITLES, ROWS, COLUMNS, st.integers(1, 500), st.integers(1, 500))
def test_a_range_written_is_read_back(title, top, left, height, width):
    """Any title, quotes and exclamation marks included, and any box survive being written and read."""
    area = a1.Area(top, left, top + height, left + width)
    found = a1.parse(a1.write(title, area))
    assert (found.sheet, a1.to_area(found.box)) == (title, area)


@given(COLUMNS)
def test_column_letters_are_read_back(column):
    """Column letters count as in a sheet, without gaps."""
    assert a1.column_of(a1.letters(column)) == column


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_r1c1_and_swapped_corners_name_the_same_box(r1, c1, r2, c2):
    """R1C1 notation, and A1 with its corners in any order, are the same cells."""
    straight = a1.parse_cells(f"{a1.cell_name(r1, c1)}:{a1.cell_name(r2, c2)}")
    assert straight == a1.parse_cells(f"{a1.cell_name(r2, c2)}:{a1.cell_name(r1, c1)}")
    assert straight == a1.parse_cells(f"R{r1 + 1}C{c1 + 1}:R{r2 + 1}C{c2 + 1}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A1", a1.Reference(None, a1.Box(0, 0, 1, 1))),
        ("$B$2", a1.Reference(None, a1.Box(1, 1, 2, 2))),
        ("A:C", a1.Reference(None, a1.Box(0, 0, None, 3))),
        ("2:3", a1.Reference(None, a1.Box(1, 0, 3, None))),
        ("A5:C", a1.Reference(None, a1.Box(4, 0, None, 3))),
        ("A1:1", a1.Reference(None, a1.Box(0, 0, 1, None))),
        ("'It''s'!B2", a1.Reference("It's", a1.Box(1, 1, 2, 2))),
        ("'Only a sheet'", a1.Reference("Only a sheet", a1.Box())),
        ("🌵 x!A1:B", a1.Reference("🌵 x", a1.Box(0, 0, None, 2))),
        ("Sheet1!Name", a1.Reference("Sheet1", None, "Name")),
        ("Name", a1.Reference(None, None, "Name")),
    ],
)
def test_ranges_are_read_as_google_reads_them(text, expected):
    """Open, quoted, absolute and named ranges."""
    assert a1.parse(text) == expected


@pytest.mark.parametrize(
    ("title", "written"), [("Sheet1", "Sheet1"), ("D3", "'D3'"), ("Лист1", "'Лист1'"), ("a b", "'a b'")]
)
def test_titles_are_quoted_as_google_quotes_them(title, written):
    """Only plain ASCII words that are no cell go unquoted."""
    assert a1.quoted(title) == written


def test_unmatched_quotes_are_refused():
    """A range whose quotes do not match is an error that repeats it."""
    with pytest.raises(InvalidArgument, match="Unable to parse range: 'x"):
        a1.parse("'x")


@given(st.integers(0, 300), st.integers(0, 50), st.integers(0, 100), st.integers(0, 20))
def test_relative_references_move_and_absolute_ones_stay(row, column, down, right):
    """A copied formula points as far away as before; dollars hold it."""
    relative, absolute = a1.cell_name(row, column), f"${a1.letters(column)}${row + 1}"
    copied = references.copied(f'={relative}+{absolute}&"{relative}"', down, right)
    assert copied == f'={a1.cell_name(row + down, column + right)}+{absolute}&"{relative}"'


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=A5+B$9", "=A7+B$11"),
        ("=SUM(A1:A9)", "=SUM(A1:A11)"),
        ("=A1", "=A1"),
        ("=Other!A5", "=Other!A5"),
        ("=Here!A5", "=Here!A7"),
        ('="A5"&LOG10(A5)', '="A5"&LOG10(A7)'),
    ],
)
def test_references_follow_inserted_rows(formula, expected):
    """Two rows before row 4: what lies below moves, what lies in other sheets, texts and names does not."""
    moved = references.moved(formula, "Here", "Here", "ROWS", lambda s, e: (s + 2 * (s >= 3), e + 2 * (e > 3)))
    assert moved == expected


def test_a_reference_to_deleted_rows_is_an_error():
    """What is gone shows as #REF!."""
    assert references.moved("=A2*2", "S", "S", "ROWS", lambda _s, _e: None) == "=#REF!*2"
