"""The cells of one sheet: rows read and written one by one, and what is needed to find a table without reading them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator

import orjson

from server.sheets.cells import Cell, filled, trimmed
from server.sheets.storage.occupancy import Occupancy

LAST = 2**62


def mask_of(cells: list[Cell]) -> int:
    """Bit `i` says whether column `i` is filled."""
    mask = 0
    for column, cell in enumerate(cells):
        if cell is not None and filled(cell):
            mask |= 1 << column
    return mask


class Grid:
    """Rows of one sheet in the database; `occupancy` follows every write."""

    def __init__(self, db: sqlite3.Connection, key: int) -> None:
        self.db = db
        self.key = key
        self._occupancy: Occupancy | None = None

    @property
    def occupancy(self) -> Occupancy:
        """Which cells are filled; read from disk at first use."""
        if self._occupancy is None:
            self._occupancy = Occupancy({r: mask for r, cells in self.rows() if (mask := mask_of(cells))})
        return self._occupancy

    def rows(self, top: int = 0, bottom: int | None = None) -> Iterator[tuple[int, list[Cell]]]:
        """The rows that hold anything, from `top` up to `bottom`, in order."""
        sql = "select r, cells from rows where grid = ? and r >= ? and r < ? order by r"
        found = self.db.execute(sql, (self.key, top, LAST if bottom is None else bottom))
        for r, text in found:
            yield r, orjson.loads(text)

    def formula_rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """The rows in which there may be a formula."""
        sql = """select r, cells from rows where grid = ? and cells like '%"f":"=%'"""
        for r, text in self.db.execute(sql, (self.key,)).fetchall():
            yield r, orjson.loads(text)

    def row(self, r: int) -> list[Cell]:
        """One row, without the empty cells at its end."""
        found = self.db.execute("select cells from rows where grid = ? and r = ?", (self.key, r)).fetchone()
        return orjson.loads(found[0]) if found else []

    def cell(self, r: int, c: int) -> Cell:
        """One cell."""
        row = self.row(r)
        return row[c] if c < len(row) else None

    def put(self, rows: Iterable[tuple[int, list[Cell]]]) -> None:
        """Write whole rows; an empty one is removed."""
        kept, removed = [], []
        for r, cells in rows:
            slim = trimmed(cells)
            if slim:
                kept.append((self.key, r, orjson.dumps(slim).decode()))
            else:
                removed.append((self.key, r))
            if self._occupancy is not None:
                self._occupancy.set(r, mask_of(slim))
        self.db.executemany("insert or replace into rows values (?, ?, ?)", kept)
        self.db.executemany("delete from rows where grid = ? and r = ?", removed)

    def rewrite(self, change: Callable[[int, list[Cell]], list[Cell]], top: int = 0, bottom: int | None = None) -> None:
        """Put every stored row through `change`."""
        self.put([(r, change(r, cells)) for r, cells in self.rows(top, bottom)])

    def replace_all(self, rows: Iterable[tuple[int, list[Cell]]]) -> None:
        """Write these rows and nothing else."""
        self.clear()
        self.put(rows)

    def clear(self) -> None:
        """Remove every row."""
        self.db.execute("delete from rows where grid = ?", (self.key,))
        self._occupancy = None

    def delete_rows(self, start: int, end: int) -> None:
        """Cut rows out; those below move up."""
        self.db.execute("delete from rows where grid = ? and r >= ? and r < ?", (self.key, start, end))
        self._shift(end, start - end)

    def insert_rows(self, start: int, count: int) -> None:
        """Make room; rows from `start` on move down."""
        if start < self.last_row():  # or else nothing moves: appending stays as quick as the sheet grows
            self._shift(start, count)

    def _shift(self, start: int, by: int) -> None:
        # through negative numbers: SQLite checks the key row by row
        self.db.execute("update rows set r = -1 - (r + ?) where grid = ? and r >= ?", (by, self.key, start))
        self.db.execute("update rows set r = -1 - r where grid = ? and r < 0", (self.key,))
        self._occupancy = None

    def last_row(self) -> int:
        """One past the last row that holds anything."""
        found = self.db.execute("select max(r) from rows where grid = ?", (self.key,)).fetchone()[0]
        return 0 if found is None else found + 1

    def copy_from(self, other: Grid) -> None:
        """Take over the other sheet's rows."""
        self.clear()
        self.db.execute("insert into rows select ?, r, cells from rows where grid = ?", (self.key, other.key))
