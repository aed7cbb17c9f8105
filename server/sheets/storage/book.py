"""A spreadsheet and its sheets: what is small is held as documents, the cells stay in their grids."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from server.sheets.errors import InvalidArgument
from server.sheets.storage.grid import Grid
from server.sheets.text import a1

MAX_CELLS = 10_000_000
MAX_COLUMNS = 18_278


@dataclass
class Sheet:
    """One worksheet.

    `doc` holds `properties` (as the API sends them, without `index`), and where there are any `merges`,
    `protectedRanges`, `basicFilter`, `rowGroups`, `columnGroups`, `rowMeta`, `columnMeta`, `conditionalFormats`,
    `bandedRanges`, `filterViews`.
    """

    grid: Grid
    doc: dict[str, Any]
    changed: bool = False

    @property
    def id(self) -> int:
        """The sheetId."""
        return int(self.doc["properties"]["sheetId"])

    @property
    def title(self) -> str:
        """The name on the tab."""
        return str(self.doc["properties"]["title"])

    @property
    def size(self) -> dict[str, Any]:
        """`gridProperties`, with `rowCount` and `columnCount`."""
        size: dict[str, Any] = self.doc["properties"]["gridProperties"]
        return size

    @property
    def rows(self) -> int:
        """Rows in the grid."""
        return int(self.size["rowCount"])

    @property
    def columns(self) -> int:
        """Columns in the grid."""
        return int(self.size["columnCount"])

    def touch(self) -> dict[str, Any]:
        """The document, to be changed and saved."""
        self.changed = True
        return self.doc

    def clip(self, box: a1.Box) -> a1.Area:
        """The box on this sheet.

        Raises
        ------
        InvalidArgument
            Where the box starts outside the grid.
        """
        if box.top >= self.rows or box.left >= self.columns:
            raise a1.outside(self.title, box, self.rows, self.columns)
        return a1.clip(box, self.rows, self.columns)

    def write(self, area: a1.Area) -> str:
        """The area as a range string."""
        return a1.write(self.title, area)

    def items(self, name: str) -> list[Any]:
        """A list of the document, made where missing, to be changed and saved."""
        found: list[Any] = self.touch().setdefault(name, [])
        return found


@dataclass
class Book:
    """One spreadsheet."""

    id: str
    name: str
    doc: dict[str, Any]
    sheets: list[Sheet] = field(default_factory=list)
    changed: bool = False

    def touch(self) -> dict[str, Any]:
        """The document, to be changed and saved."""
        self.changed = True
        return self.doc

    def sheet(self, sheet_id: int | None) -> Sheet | None:
        """The sheet with this id; 0 where none is given, as protobuf defaults have it."""
        return next((sheet for sheet in self.sheets if sheet.id == (sheet_id or 0)), None)

    def titled(self, title: str) -> Sheet | None:
        """The sheet with this title, upper or lower case."""
        exact = next((sheet for sheet in self.sheets if sheet.title == title), None)
        return exact or next((sheet for sheet in self.sheets if sheet.title.casefold() == title.casefold()), None)

    def named_range(self, name: str) -> tuple[Sheet, a1.Box] | None:
        """The cells of a named range."""
        for entry in self.doc.get("namedRanges", []):
            if entry["name"].casefold() == name.casefold():
                sheet = self.sheet(entry["range"].get("sheetId"))
                return (sheet, a1.from_grid_range(entry["range"])) if sheet else None
        return None

    def find(self, text: str) -> tuple[Sheet, a1.Box]:
        """The sheet and box that a range string names.

        Raises
        ------
        InvalidArgument
            `Unable to parse range: ...` where there is no such sheet, range or name.
        """
        reference = a1.parse(text)
        sheet = self.sheets[0] if reference.sheet is None else self.titled(reference.sheet)
        if sheet is None:
            raise a1.unparsable(text)
        if reference.box is not None or reference.name is None:
            return sheet, reference.box or a1.Box()
        named = self.named_range(reference.name)
        whole = self.titled(reference.name) if reference.sheet is None else None
        if whole:
            return whole, a1.Box()
        if named is None:
            raise a1.unparsable(text)
        return named

    def cells(self) -> int:
        """Cells of all grids together, empty ones counted, as the limit counts them."""
        return sum(sheet.rows * sheet.columns for sheet in self.sheets)

    def resize(self, sheet: Sheet, rows: int, columns: int) -> None:
        """Change a grid's size within the limit of ten million cells.

        Raises
        ------
        InvalidArgument
            Above the limit.
        """
        more = rows * columns - sheet.rows * sheet.columns
        if more > 0 and self.cells() + more > MAX_CELLS:
            raise InvalidArgument(
                f"This action would increase the number of cells in the workbook above the limit of {MAX_CELLS} cells."
            )
        if columns > MAX_COLUMNS:
            raise InvalidArgument(f"The number of columns ({columns}) is above the limit of {MAX_COLUMNS} columns.")
        size = sheet.touch()["properties"]["gridProperties"]
        size["rowCount"], size["columnCount"] = rows, columns

    def free_sheet_id(self) -> int:
        """An id no sheet has."""
        taken = {sheet.id for sheet in self.sheets}
        return next(number for number in iter(lambda: secrets.randbelow(2**31 - 1), None) if number not in taken)
