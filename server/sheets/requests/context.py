"""What every request needs: the spreadsheet, and ways to find sheets and ranges in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from server.sheets.errors import InvalidArgument
from server.sheets.storage.book import Book, Sheet
from server.sheets.storage.library import Library
from server.sheets.text import a1


@dataclass(frozen=True)
class Context:
    """The spreadsheet a batch works on, and who asked."""

    library: Library
    book: Book
    email: str

    def sheet(self, sheet_id: int | None) -> Sheet:
        """The sheet with this id.

        Raises
        ------
        InvalidArgument
            Where there is none.
        """
        sheet = self.book.sheet(sheet_id)
        if sheet is None:
            raise InvalidArgument(f"No grid with id: {sheet_id or 0}")
        return sheet

    def area(self, grid_range: dict[str, Any]) -> tuple[Sheet, a1.Area]:
        """The sheet and cells of a GridRange, within the grid."""
        sheet = self.sheet(grid_range.get("sheetId"))
        return sheet, sheet.clip(a1.from_grid_range(grid_range))

    def span(self, given: dict[str, Any]) -> tuple[Sheet, str, int, int]:
        """Sheet, dimension, start and end of a DimensionRange.

        Raises
        ------
        InvalidArgument
            Where it lies outside the grid or says no dimension.
        """
        sheet, dimension = self.sheet(given.get("sheetId")), given.get("dimension")
        if dimension not in {"ROWS", "COLUMNS"}:
            raise InvalidArgument("No dimension specified.")
        length = sheet.rows if dimension == "ROWS" else sheet.columns
        start, end = given.get("startIndex", 0), given.get("endIndex", length)
        if start < 0 or end <= start:
            raise InvalidArgument(f"range.endIndex ({end}) must be greater than range.startIndex ({start}).")
        return sheet, dimension, start, end


Handler = Callable[[Context, dict[str, Any]], dict[str, Any] | None]
