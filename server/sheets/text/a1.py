"""Ranges: A1 and R1C1 notation to boxes and back.

A box is half-open and zero-based; an open end (`A:A`, `2:2`, `A5:C`) is `None` until it meets a sheet's size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from server.sheets.errors import InvalidArgument

PLAIN_TITLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CELL_LIKE = re.compile(r"[A-Za-z]{1,3}[0-9]+|[Rr][0-9]+[Cc][0-9]+|[Rr][0-9]*[Cc][0-9]*")
CORNER = re.compile(r"\$?(?P<column>[A-Za-z]{1,3})?\$?(?P<row>[0-9]{1,8})?")
R1C1 = re.compile(r"R(?P<row>[0-9]{1,8})C(?P<column>[0-9]{1,5})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of cells: rows `top` up to `bottom`, columns `left` up to `right`; `None` is an open end."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None

    @property
    def single(self) -> bool:
        """Whether this is one cell."""
        return self.bottom == self.top + 1 and self.right == self.left + 1


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle with all four sides known."""

    top: int
    left: int
    bottom: int
    right: int

    def overlaps(self, other: Area) -> bool:
        """Whether the two share a cell."""
        return (
            self.top < other.bottom and other.top < self.bottom and self.left < other.right and other.left < self.right
        )

    def contains(self, other: Area) -> bool:
        """Whether the other lies wholly inside."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and self.bottom >= other.bottom
            and self.right >= other.right
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """What a range string names: a sheet by title, cells, or a named range (to be looked up)."""

    sheet: str | None
    box: Box | None
    name: str | None = None


def letters(column: int) -> str:
    """Column 0 is `A`, 25 `Z`, 26 `AA`."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def column_of(text: str) -> int:
    """`A` is 0, `AA` 26."""
    number = 0
    for char in text.upper():
        number = number * 26 + ord(char) - 64
    return number - 1


def quoted(title: str) -> str:
    """A sheet title as Google writes it in ranges: quoted unless it is a plain ASCII word that is no cell."""
    if PLAIN_TITLE.fullmatch(title) and not CELL_LIKE.fullmatch(title):
        return title
    return "'" + title.replace("'", "''") + "'"


def cell_name(row: int, column: int) -> str:
    """`A1` for the first cell."""
    return f"{letters(column)}{row + 1}"


def write(title: str, area: Area) -> str:
    """`Sheet1!A1:B2`; one cell is written without the colon."""
    first = cell_name(area.top, area.left)
    last = cell_name(area.bottom - 1, area.right - 1)
    return f"{quoted(title)}!{first}" if first == last else f"{quoted(title)}!{first}:{last}"


def unparsable(text: str) -> InvalidArgument:
    """Google's answer to a range it cannot read."""
    return InvalidArgument(f"Unable to parse range: {text}")


def parse(text: str) -> Reference:
    """Read a range string.

    Raises
    ------
    InvalidArgument
        `Unable to parse range: ...` where the quotes do not match.
    """
    sheet, rest = split_sheet(text)
    if rest is None:
        return Reference(sheet, Box())
    box = parse_cells(rest)
    return Reference(sheet, box) if box else Reference(sheet, None, rest)


def split_sheet(text: str) -> tuple[str | None, str | None]:
    """Title and cells of `'It''s'!A1:B2`; either may be missing."""
    if text.startswith("'"):
        match = re.match(r"'((?:[^']|'')*)'(?:!(.*))?\Z", text, re.DOTALL)
        if not match:
            raise unparsable(text)
        return match.group(1).replace("''", "'"), match.group(2)
    if "!" in text:
        sheet, _, cells = text.rpartition("!")
        return sheet, cells
    return None, text


def parse_cells(text: str) -> Box | None:
    """The cells of a range without its sheet; None where the text is no range (it may be a name)."""
    first, colon, last = text.partition(":")
    start = corner(first)
    if start is None:
        return None
    if not colon:
        return _one_cell(start)
    end = corner(last)
    return None if end is None else span(start, end)


def _one_cell(start: tuple[int | None, int | None]) -> Box | None:
    row, column = start
    if row is None or column is None:
        return None
    return Box(row, column, row + 1, column + 1)


def span(start: tuple[int | None, int | None], end: tuple[int | None, int | None]) -> Box:
    """From two corners in any order; a corner without row or column leaves that side open."""
    (top, left), (bottom, right) = start, end
    if top is not None and bottom is not None and top > bottom:
        top, bottom = bottom, top
    if left is not None and right is not None and left > right:
        left, right = right, left
    # 'A:B5' opens downwards from row 5, as 'A5:B' does
    if top is None and bottom is not None:
        top, bottom = bottom, None
    if left is None and right is not None:
        left, right = right, None
    return Box(top or 0, left or 0, None if bottom is None else bottom + 1, None if right is None else right + 1)


def corner(text: str) -> tuple[int | None, int | None] | None:
    """Row and column of `B7`, `B`, `7` or `R7C2`; None where it is none of them."""
    numbered = R1C1.fullmatch(text)
    if numbered:
        row, column = int(numbered["row"]) - 1, int(numbered["column"]) - 1
        return (row, column) if row >= 0 and column >= 0 else None
    match = CORNER.fullmatch(text)
    if not match or not text or (match["row"] and int(match["row"]) == 0) or not (match["row"] or match["column"]):
        return None
    return (int(match["row"]) - 1 if match["row"] else None, column_of(match["column"]) if match["column"] else None)


def clip(box: Box, rows: int, columns: int) -> Area:
    """The box on a sheet of this size; open and overhanging ends stop at the edge."""
    bottom = rows if box.bottom is None else min(box.bottom, rows)
    right = columns if box.right is None else min(box.right, columns)
    return Area(box.top, box.left, bottom, right)


def outside(title: str, box: Box, rows: int, columns: int) -> InvalidArgument:
    """Google's answer to a range beyond the grid."""
    area = Area(box.top, box.left, box.bottom or max(rows, box.top + 1), box.right or max(columns, box.left + 1))
    text = write(title, area)
    return InvalidArgument(f"Range ({text}) exceeds grid limits. Max rows: {rows}, max columns: {columns}")


def from_grid_range(grid: dict[str, Any]) -> Box:
    """The box of a GridRange; missing indices are open."""
    return Box(
        grid.get("startRowIndex") or 0,
        grid.get("startColumnIndex") or 0,
        grid.get("endRowIndex"),
        grid.get("endColumnIndex"),
    )


def to_grid_range(sheet_id: int, box: Box, like: dict[str, Any] | None = None) -> dict[str, Any]:
    """A GridRange as Google sends it back: sheet 0 and open ends are left out; `like` says which starts were given."""
    keep = {"startRowIndex", "endRowIndex", "startColumnIndex", "endColumnIndex"} if like is None else set(like)
    whole: dict[str, Any] = {"sheetId": sheet_id} if sheet_id else {}
    sides = {
        "startRowIndex": box.top,
        "endRowIndex": box.bottom,
        "startColumnIndex": box.left,
        "endColumnIndex": box.right,
    }
    return whole | {key: value for key, value in sides.items() if value is not None and key in keep}


def to_area(box: Box) -> Area | None:
    """The box as an area where all sides are known."""
    if box.bottom is None or box.right is None:
        return None
    return Area(box.top, box.left, box.bottom, box.right)


def shifted(box: Box, rows: int, columns: int) -> Box:
    """The same box moved."""
    return replace(
        box,
        top=box.top + rows,
        left=box.left + columns,
        bottom=None if box.bottom is None else box.bottom + rows,
        right=None if box.right is None else box.right + columns,
    )
