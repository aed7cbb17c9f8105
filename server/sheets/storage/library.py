"""All spreadsheets: made, opened, saved, deleted. Every change goes through `transaction`."""

from __future__ import annotations

import re
import secrets
import sqlite3
import string
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from server.sheets.errors import NotFound, PermissionDenied
from server.sheets.storage import database
from server.sheets.storage.book import Book, Sheet
from server.sheets.storage.grid import Grid

SPREADSHEET = "application/vnd.google-apps.spreadsheet"
FOLDER = "application/vnd.google-apps.folder"
ID_CHARS = string.ascii_letters + string.digits + "-_"
WELL_FORMED = re.compile(r"1[A-Za-z0-9_-]{43}")
OPEN_BOOKS = 64


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """A file id that looks like Google's: 44 characters, the first a 1."""
    return "1" + "".join(secrets.choice(ID_CHARS) for _ in range(43))


def dumps(value: Any) -> str:
    """JSON as stored."""
    return orjson.dumps(value).decode()


class Library:
    """The spreadsheets in one database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self._open: dict[str, Book] = {}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are on disk at its end, or none is."""
        try:
            with database.transaction(self.db):
                yield
                self._save_changed()
        except BaseException:
            self._open.clear()
            raise

    def book(self, file_id: str) -> Book:
        """Open a spreadsheet.

        Raises
        ------
        NotFound
            Deleted here, or no id at all.
        PermissionDenied
            An id of the right form that was never given out here: somebody else's file, as far as this server knows.
        """
        book = self._open.pop(file_id, None) or self._load(file_id)
        self._open[file_id] = book
        if len(self._open) > OPEN_BOOKS:
            oldest = next(key for key, other in self._open.items() if not dirty(other))
            del self._open[oldest]
        return book

    def _load(self, file_id: str) -> Book:
        found = self.db.execute("select name, mime, doc from files where id = ?", (file_id,)).fetchone()
        if found is None:
            raise self.missing(file_id)
        if found[1] != SPREADSHEET:
            raise NotFound
        book = Book(file_id, found[0], orjson.loads(found[2]))
        for key, doc in self.db.execute("select grid, doc from sheets where file = ? order by position", (file_id,)):
            book.sheets.append(Sheet(Grid(self.db, key), orjson.loads(doc)))
        return book

    def missing(self, file_id: str) -> NotFound | PermissionDenied:
        """Why there is no such file."""
        gone = self.db.execute("select 1 from gone where id = ?", (file_id,)).fetchone()
        return PermissionDenied() if WELL_FORMED.fullmatch(file_id) and not gone else NotFound()

    def create(self, name: str, owner: str, doc: dict[str, Any], *, mime: str = SPREADSHEET, parents: list[str]) -> str:
        """Make a file; its id."""
        file_id, now = new_id(), now_ms()
        row = (file_id, name, mime, owner, now, now, dumps(parents), dumps(doc))
        self.db.execute("insert into files values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return file_id

    def add_sheet(self, book: Book, doc: dict[str, Any], index: int) -> Sheet:
        """Put a new sheet into the book."""
        sql = "insert into sheets (file, sheet_id, position, doc) values (?, ?, ?, ?) returning grid"
        row = (book.id, doc["properties"]["sheetId"], -1, dumps(doc))
        sheet = Sheet(Grid(self.db, self.db.execute(sql, row).fetchone()[0]), doc, changed=True)
        book.sheets.insert(index, sheet)
        book.changed = True
        return sheet

    def drop_sheet(self, book: Book, sheet: Sheet) -> None:
        """Delete a sheet and its cells."""
        self.db.execute("delete from sheets where grid = ?", (sheet.grid.key,))
        book.sheets.remove(sheet)
        book.changed = True

    def delete(self, file_id: str) -> None:
        """Delete a file for good."""
        self.db.execute("delete from files where id = ?", (file_id,))
        self.db.execute("insert or ignore into gone values (?)", (file_id,))
        self._open.pop(file_id, None)

    def touch(self, file_id: str) -> None:
        """The file was modified now."""
        self.db.execute("update files set modified = ? where id = ?", (now_ms(), file_id))

    def _save_changed(self) -> None:
        for book in self._open.values():
            if book.changed:
                row = (book.name, dumps(book.doc), book.id)
                self.db.execute("update files set name = ?, doc = ? where id = ?", row)
                for position, sheet in enumerate(book.sheets):
                    self.db.execute("update sheets set position = ? where grid = ?", (position, sheet.grid.key))
                book.changed = False
            for sheet in book.sheets:
                if sheet.changed:
                    saved = (dumps(sheet.doc), sheet.grid.key)
                    self.db.execute("update sheets set doc = ? where grid = ?", saved)
                    sheet.changed = False


def dirty(book: Book) -> bool:
    """Whether anything is still to be saved."""
    return book.changed or any(sheet.changed for sheet in book.sheets)
