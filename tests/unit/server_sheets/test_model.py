"""Random sequences of changes against the simplest possible model of a sheet, and against the disk."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.sheets import spreadsheets, values
from server.sheets.requests import batch
from server.sheets.storage import database
from server.sheets.storage.grid import mask_of
from server.sheets.storage.library import Library
from server.sheets.text import a1

PLACE = st.integers(0, 6)
CELL = st.one_of(st.integers(0, 9), st.sampled_from(["x", "=1", "", "длинный", True]))
BLOCK = st.lists(st.lists(CELL, min_size=1, max_size=3), min_size=1, max_size=3)
DIMENSION = st.sampled_from(["ROWS", "COLUMNS"])
STEP = st.one_of(
    st.tuples(st.just("write"), PLACE, PLACE, BLOCK),
    st.tuples(st.just("clear"), PLACE, PLACE, st.tuples(st.integers(1, 3), st.integers(1, 3))),
    st.tuples(st.just("insert"), PLACE, st.integers(1, 2), DIMENSION),
    st.tuples(st.just("delete"), PLACE, st.integers(1, 2), DIMENSION),
    st.tuples(st.just("move"), PLACE, st.integers(0, 9), DIMENSION),
    st.tuples(st.just("append"), st.just(0), st.integers(0, 1), BLOCK),  # 1: rows are pushed in
    st.tuples(st.just("fail"), PLACE, PLACE, BLOCK),
)


def apply_to_model(model, step):
    """The same change on a dict of cells."""
    kind, a, b, what = step
    if kind == "write":
        for i, line in enumerate(what):
            for j, value in enumerate(line):
                model[a + i, b + j] = value
    elif kind == "clear":
        for key in [k for k in model if a <= k[0] < a + what[0] and b <= k[1] < b + what[1]]:
            del model[key]
    elif kind in {"insert", "delete", "move"}:
        axis = 0 if what == "ROWS" else 1
        moved = {}
        for key, value in model.items():
            place = new_place(kind, a, b, key[axis])
            if place is not None:
                moved[(place, key[1]) if axis == 0 else (key[0], place)] = value
        return moved
    return {key: value for key, value in model.items() if value != ""}


def new_place(kind, a, b, place):
    """Where a row or column is after the change; None where it is gone."""
    if kind == "insert":
        return place + b if place >= a else place
    if kind == "delete":
        return None if a <= place < a + b else place - b * (place >= a)
    if b in {a, a + 1}:
        return place
    target = b if b < a else b - 1
    if place == a:
        return target
    return place - (a < place <= target) + (target <= place < a)


def apply_to_sheet(library, book, step):
    """The change through the API's own functions."""
    kind, a, b, what = step
    sheet = book.sheets[0]
    if kind == "write":
        values.write(sheet, a1.Box(a, b, a + 1, b + 1), what, "RAW")
    elif kind == "clear":
        values.clear(sheet, a1.Area(a, b, a + what[0], b + what[1]))
    elif kind == "append":
        return values.append(book, sheet, a1.Box(), what, "RAW", insert=bool(b))
    else:
        span = {"sheetId": 0, "dimension": what, "startIndex": a, "endIndex": a + (b if kind != "move" else 1)}
        request = {
            "insert": {"insertDimension": {"range": span, "inheritFromBefore": False}},
            "delete": {"deleteDimension": {"range": span}},
            "move": {"moveDimension": {"source": span, "destinationIndex": b}},
        }[kind]
        batch.run(library, book, {"requests": [request]}, "me")
    return None


class Undone(Exception):
    """The change is to be rolled back."""


def undone(library, book, step):
    """Write, then fail before the end of the transaction."""
    with library.transaction():
        apply_to_sheet(library, book, ("write", *step[1:]))
        raise Undone


def shown(book):
    """Every filled cell as stored."""
    return {(r, c): cell for r, cells in book.sheets[0].grid.rows() for c, cell in enumerate(cells) if cell is not None}


@settings(max_examples=80, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=12))
def test_any_sequence_of_changes_leaves_what_a_plain_model_says(steps):
    """Writes, clears, inserts, deletes, moves, appends and rolled-back changes: cells, masks and disk agree with the model."""
    with tempfile.TemporaryDirectory() as folder, closing(database.connect(Path(folder) / "s.sqlite")) as db:
        library = Library(db)
        with library.transaction():
            file_id = spreadsheets.create(library, "me", "x", parents=[]).id
        model = {}
        for step in steps:
            book = library.book(file_id)
            if step[0] == "fail":
                with pytest.raises(Undone):
                    undone(library, book, step)
            else:
                with library.transaction():
                    result = apply_to_sheet(library, book, step)
                if step[0] == "append":
                    table, area = result
                    assert table is None or area.top == table.bottom
                    if step[2]:
                        model = apply_to_model(model, ("insert", area.top, len(step[3]), "ROWS"))
                    assert not any(area.top <= r < area.bottom and area.left <= c < area.right for r, c in model)
                    step = ("write", area.top, area.left, step[3])  # noqa: PLW2901 - where it was put
                model = {k: v for k, v in (apply_to_model(model, step) or {}).items() if v != ""}
            book = library.book(file_id)
            assert shown(book) == model
            grid = book.sheets[0].grid
            assert grid.occupancy.masks == {r: mask_of(cells) for r, cells in grid.rows()}
        with closing(database.connect(Path(folder) / "s.sqlite")) as again:
            assert shown(Library(again).book(file_id)) == model


def test_rows_pushed_in_at_the_end_leave_what_is_known_of_those_above():
    """Or else every append would read the whole sheet again, and a long study's last answers cost most."""
    with tempfile.TemporaryDirectory() as folder, closing(database.connect(Path(folder) / "s.sqlite")) as db:
        library = Library(db)
        with library.transaction():
            book = spreadsheets.create(library, "me", "x", parents=[])
            sheet = book.sheets[0]
            values.append(book, sheet, a1.Box(), [["a"], ["b"]], "RAW", insert=True)
            known = sheet.grid.occupancy
            for _ in range(3):
                values.append(book, sheet, a1.Box(), [["c"], ["d"]], "RAW", insert=True)
            assert sheet.grid.occupancy is known
            assert known.masks == dict.fromkeys(range(8), 1)
            sheet.grid.insert_rows(7, 1)  # one row stands below
            assert sheet.grid.occupancy.masks == dict.fromkeys([*range(7), 8], 1)
