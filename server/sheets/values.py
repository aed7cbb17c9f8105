"""`spreadsheets.values`: read, write, append and clear cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.sheets.cells import Cell, filled, number_format, rewritten
from server.sheets.errors import InvalidArgument, bad_field
from server.sheets.formulas.evaluate import Evaluator
from server.sheets.storage.book import Book, Sheet
from server.sheets.text import a1, display, entered

RENDER = {"FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"}
DATE_RENDER = {"SERIAL_NUMBER", "FORMATTED_STRING"}
INPUT = {"RAW", "USER_ENTERED"}
DIMENSIONS = {"ROWS", "COLUMNS"}
LIST_VALUE = "type.googleapis.com/google.protobuf.ListValue"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How values are to be shown."""

    values: str = "FORMATTED_VALUE"
    dates: str = "SERIAL_NUMBER"

    def of(self, cell: Cell, sheet: Sheet, row: int, column: int, evaluator: Evaluator) -> Any:
        """What a client gets for this cell; an empty one is ''."""
        if not isinstance(cell, dict):
            if self.values == "FORMATTED_VALUE" and not isinstance(cell, str):
                return display.show(cell, None)
            return "" if cell is None else cell
        if self.values == "FORMULA" and "f" in cell:
            return cell["f"]
        value = evaluator.value(sheet, row, column, cell)
        style = number_format(cell) or evaluator.format_of(sheet, cell)
        if self.values == "FORMATTED_VALUE" or (self.dates == "FORMATTED_STRING" and display.is_date(style)):
            return display.show(value, style)
        return "" if value is None else value


def choice(name: str, given: str | None, allowed: set[str], default: str) -> str:
    """An enum from a query or body.

    Raises
    ------
    InvalidArgument
        Where it is none of the allowed.
    """
    if given is None or given in ("", f"{name}_UNSPECIFIED"):
        return default
    if given not in allowed:
        raise bad_field(name, f"Invalid value at '{name}', \"{given}\"")
    return given


def read(book: Book, text: str, rendering: Rendering, major: str = "ROWS") -> dict[str, Any]:
    """A ValueRange; empty cells and rows at the end are left out."""
    sheet, box = book.find(text)
    return read_area(book, sheet, sheet.clip(box), rendering, major)


def read_area(book: Book, sheet: Sheet, area: a1.Area, rendering: Rendering, major: str = "ROWS") -> dict[str, Any]:
    """The ValueRange of an area."""
    values = _by_rows(book, sheet, area, rendering)
    if major == "COLUMNS":
        values = transposed(values)
    answer: dict[str, Any] = {"range": sheet.write(area), "majorDimension": major}
    return answer | {"values": values} if values else answer


def _by_rows(book: Book, sheet: Sheet, area: a1.Area, rendering: Rendering) -> list[list[Any]]:
    evaluator = Evaluator(book)
    values: list[list[Any]] = []
    for r, cells in sheet.grid.rows(area.top, area.bottom):
        window = cells[area.left : area.right]
        end = len(window)
        while end and not filled(window[end - 1]):
            end -= 1
        if end:
            values.extend([] for _ in range(r - area.top - len(values)))
            shown = [rendering.of(c, sheet, r, area.left + i, evaluator) for i, c in enumerate(window[:end])]
            values.append(shown)
    return values


def transposed(rows: list[list[Any]]) -> list[list[Any]]:
    """Columns from rows, without empty cells at their ends."""
    columns = []
    for c in range(max((len(row) for row in rows), default=0)):
        column = [row[c] if c < len(row) else "" for row in rows]
        while column and column[-1] == "":
            column.pop()
        columns.append(column)
    return columns


def matrix(body: dict[str, Any], at: str = "data") -> list[list[Any]]:
    """The `values` of a ValueRange, by rows.

    Raises
    ------
    InvalidArgument
        As Google words it, where it is no list of lists of plain values.
    """
    given = body.get("values")
    if given is None:
        return []
    if not isinstance(given, list):
        raise _not_a_list(f"{at}.values", given)
    for index, line in enumerate(given):
        if not isinstance(line, list):
            raise _not_a_list(f"{at}.values", line) if len(given) == 1 else _not_a_list(f"{at}.values[{index}]", line)
        for place, item in enumerate(line):
            _check_plain(item, index, place)
    major = choice(f"{at}.majorDimension", body.get("majorDimension"), DIMENSIONS, "ROWS")
    if major == "COLUMNS":
        return [list(row) for row in _columns_to_rows(given)]
    return given


def _columns_to_rows(columns: list[list[Any]]) -> list[list[Any]]:
    height = max((len(column) for column in columns), default=0)
    return [[column[r] if r < len(column) else None for column in columns] for r in range(height)]


def _not_a_list(field: str, given: Any) -> InvalidArgument:
    shown = f'"{given}"' if isinstance(given, str) else display.show(given, None)
    return bad_field(field, f"Invalid value at '{field}' ({LIST_VALUE}), {shown}")


def _check_plain(item: Any, row: int, column: int) -> None:
    if isinstance(item, (dict, list)):
        kind = "struct_value" if isinstance(item, dict) else "list_value"
        raise InvalidArgument(f"Invalid values[{row}][{column}]: {kind} {{\n}}\n")
    if isinstance(item, str) and len(item) > 50_000:
        raise InvalidArgument("Your input contains more than the maximum of 50000 characters in a single cell.")


def write(sheet: Sheet, box: a1.Box, rows: list[list[Any]], option: str) -> a1.Area:
    """Put values into cells from the box's first one on; the area written. `None` leaves a cell as it is.

    Raises
    ------
    InvalidArgument
        Where the values do not fit the box, or the box the grid.
    """
    area = _target(sheet, box, rows)
    read_cell = entered.read if option == "USER_ENTERED" else entered.read_raw
    before = dict(sheet.grid.rows(area.top, area.bottom)) if rows else {}
    written = []
    for offset, line in enumerate(rows):
        cells = before.get(area.top + offset, [])
        cells += [None] * (area.left + len(line) - len(cells))
        for place, item in enumerate(line, area.left):
            if item is not None:
                cells[place] = rewritten(cells[place], read_cell(item))
        written.append((area.top + offset, cells))
    sheet.grid.put(written)
    return area


def _target(sheet: Sheet, box: a1.Box, rows: list[list[Any]]) -> a1.Area:
    height, width = max(len(rows), 1), max((len(row) for row in rows), default=1) or 1
    area = a1.Area(box.top, box.left, box.top + height, box.left + width)
    closed = a1.clip(box, max(sheet.rows, box.top + 1), max(sheet.columns, box.left + 1))
    if not box.single:
        _fits(sheet, box, closed, area)
    if area.bottom > sheet.rows or area.right > sheet.columns or _beyond(sheet, box):
        reach = a1.Box(area.top, area.left, area.bottom, area.right) if box.single else box
        raise a1.outside(sheet.title, reach, sheet.rows, sheet.columns)
    return area


def _beyond(sheet: Sheet, box: a1.Box) -> bool:
    return (box.bottom or 0) > sheet.rows or (box.right or 0) > sheet.columns


def _fits(sheet: Sheet, box: a1.Box, closed: a1.Area, area: a1.Area) -> None:
    asked = a1.Area(box.top, box.left, box.bottom or closed.bottom, box.right or closed.right)
    if area.bottom > asked.bottom:
        where = f"row [{asked.bottom + 1}]"
    elif area.right > asked.right:
        where = f"column [{a1.letters(asked.right)}]"
    else:
        return
    raise InvalidArgument(f"Requested writing within range [{sheet.write(asked)}], but tried writing to {where}")


def append(
    book: Book, sheet: Sheet, box: a1.Box, rows: list[list[Any]], option: str, *, insert: bool
) -> tuple[a1.Area | None, a1.Area]:
    """Add rows under the last table that the box touches, or at its first cell; table (if any) and area written.

    The grid grows where it has to. With `insert`, rows are pushed in instead of being written over.
    """
    table = sheet.grid.occupancy.table_for(sheet.clip(box))
    top, left = (table.bottom, table.left) if table else (box.top, box.left)
    height, width = len(rows), max((len(row) for row in rows), default=0)
    if insert and height:
        book.resize(sheet, sheet.rows + height, sheet.columns)
        sheet.grid.insert_rows(top, height)
    if top + height > sheet.rows or left + width > sheet.columns:
        book.resize(sheet, max(sheet.rows, top + height), max(sheet.columns, left + width))
    area = write(sheet, a1.Box(top, left, top + 1, left + 1), rows, option) if height else None
    return table, area or a1.Area(top, left, top + 1, left + 1)


def clear(sheet: Sheet, area: a1.Area) -> None:
    """Remove values and formulas; formats, notes and rules stay."""

    def wiped(_: int, cells: list[Cell]) -> list[Cell]:
        middle = [rewritten(cell, None) for cell in cells[area.left : area.right]]
        return cells[: area.left] + middle + cells[area.right :]

    sheet.grid.rewrite(wiped, area.top, area.bottom)


def summary(book: Book, sheet: Sheet, area: a1.Area, rows: list[list[Any]]) -> dict[str, Any]:
    """An UpdateValuesResponse; zeros are left out, as Google leaves them. A null is a cell that is not written."""
    written = [(r, c) for r, row in enumerate(rows) for c, item in enumerate(row) if item is not None]
    answer: dict[str, Any] = {"spreadsheetId": book.id, "updatedRange": sheet.write(area)}
    if written:
        answer |= {
            "updatedRows": len({r for r, _ in written}),
            "updatedColumns": len({c for _, c in written}),
            "updatedCells": len(written),
        }
    return answer
