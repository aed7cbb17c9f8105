"""Compute formulas when cells are read."""

from __future__ import annotations

from typing import Any

from server.sheets.cells import Cell
from server.sheets.storage.book import Book, Sheet


class Evaluator:
    """Values of formula cells, for one request."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def value(self, sheet: Sheet, row: int, column: int, cell: Cell) -> Any:
        """The cell's value; of a formula, what it comes to."""
        return "#NAME?" if "f" in cell else cell.get("v")

    def format_of(self, cell: Cell) -> dict[str, str] | None:
        """The number format a formula's value brings with it."""
        return None
