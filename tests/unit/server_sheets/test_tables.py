"""Which table an append goes under."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sheets.storage.occupancy import Occupancy
from server.sheets.text.a1 import Area, parse_cells, to_area

EVERYWHERE = Area(0, 0, 1000, 26)
# A1:C2 and B4:D6, the example in Google's guide to appending
GUIDE = {0: 0b111, 1: 0b111, 3: 0b1110, 4: 0b1110, 5: 0b1110}


@pytest.mark.parametrize(
    ("where", "table"),
    [
        ("A1:Z1000", "B4:D6"),
        ("C5", "B4:D6"),
        ("C5:D5", "B4:D6"),
        ("B2:D4", "B4:D6"),
        ("A3:G10", "B4:D6"),
        ("A1", "A1:C2"),
        ("E4", None),
        ("A4", None),
    ],
)
def test_tables_are_found_as_in_googles_guide(where, table):
    """Every example of the guide to `values.append`."""
    found = Occupancy(dict(GUIDE)).table_for(to_area(parse_cells(where)))
    assert found == (to_area(parse_cells(table)) if table else None)


def test_a_gap_in_the_only_row_makes_two_tables():
    """As recorded: after x, empty, x in row 1 the last table is C1, so the next row starts at C2."""
    assert Occupancy({0: 0b101}).table_for(EVERYWHERE) == Area(0, 2, 1, 3)


def region(filled, row, column):
    """The data region, cell by cell: the slow and plain way."""
    top, left, bottom, right = row, column, row + 1, column + 1
    while True:
        before = (top, left, bottom, right)
        top -= any((top - 1, c) in filled for c in range(left, right))
        bottom += any((bottom, c) in filled for c in range(left, right))
        left -= any((r, left - 1) in filled for r in range(top, bottom))
        right += any((r, right) in filled for r in range(top, bottom))
        if before == (top, left, bottom, right):
            return Area(top, left, bottom, right)


MASKS = st.integers(0, 63)


@given(
    st.dictionaries(st.integers(0, 12), MASKS, max_size=10), st.lists(st.tuples(st.integers(0, 14), MASKS), max_size=12)
)
def test_remembered_tables_are_the_true_ones(start, writes):
    """After any writes, the table found with memory is the one found cell by cell without."""
    occupancy = Occupancy({r: mask for r, mask in start.items() if mask})
    for row, mask in writes:
        occupancy.table_for(EVERYWHERE)
        occupancy.set(row, mask)
        filled = {(r, c) for r, m in occupancy.masks.items() for c in range(6) if m >> c & 1}
        table = occupancy.table_for(EVERYWHERE)
        if not filled:
            assert table is None
        else:
            assert table == region(filled, *max(filled))


@given(st.dictionaries(st.integers(0, 12), MASKS, max_size=10))
def test_below_the_table_there_is_nothing_of_it(masks):
    """An append under the last table of the sheet overwrites nothing."""
    occupancy = Occupancy({r: mask for r, mask in masks.items() if mask})
    table = occupancy.table_for(EVERYWHERE)
    if table:
        window = ((1 << table.right) - 1) & ~((1 << table.left) - 1)
        assert not any(mask & window for r, mask in occupancy.masks.items() if r >= table.bottom)
