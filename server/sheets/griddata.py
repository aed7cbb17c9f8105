"""GridData: cells with their formats, notes and rules, and the sizes of rows and columns."""

from __future__ import annotations

import copy
from typing import Any

from server.sheets.cells import Cell
from server.sheets.formulas.evaluate import Evaluator
from server.sheets.formulas.values import FormulaError
from server.sheets.spreadsheets import DEFAULT_FORMAT
from server.sheets.storage.book import Book, Sheet
from server.sheets.text import a1, display, fields

ROW_PIXELS, COLUMN_PIXELS = 21, 100


def of(book: Book, sheet: Sheet, area: a1.Area, mask: fields.Mask | None) -> dict[str, Any]:
    """GridData of an area; what the mask does not want is not computed."""
    data: dict[str, Any] = {}
    if area.top:
        data["startRow"] = area.top
    if area.left:
        data["startColumn"] = area.left
    if fields.wants(mask, "sheets", "data", "rowData"):
        rows = _rows(book, sheet, area)
        if rows:
            data["rowData"] = rows
    for name, key, first, last, size in (
        ("rowMetadata", "rowMeta", area.top, area.bottom, ROW_PIXELS),
        ("columnMetadata", "columnMeta", area.left, area.right, COLUMN_PIXELS),
    ):
        if fields.wants(mask, "sheets", "data", name):
            kept = sheet.doc.get(key, {})
            data[name] = [{"pixelSize": size} | kept.get(str(index), {}) for index in range(first, last)]
    return data


def _rows(book: Book, sheet: Sheet, area: a1.Area) -> list[dict[str, Any]]:
    evaluator = Evaluator(book)
    rows: list[dict[str, Any]] = []
    for r, cells in sheet.grid.rows(area.top, area.bottom):
        window = cells[area.left : area.right]
        if not any(cell is not None for cell in window):
            continue
        rows.extend({} for _ in range(r - area.top - len(rows)))
        shown = [cell_data(cell, sheet, r, area.left + i, evaluator) for i, cell in enumerate(window)]
        rows.append({"values": shown})
    return rows


def cell_data(cell: Cell, sheet: Sheet, row: int, column: int, evaluator: Evaluator) -> dict[str, Any]:
    """CellData of one cell."""
    if cell is None:
        return {}
    rich: dict[str, Any] = cell if isinstance(cell, dict) else {"v": cell}
    data: dict[str, Any] = {}
    value = evaluator.value(sheet, row, column, rich)
    style = rich.get("fmt", {}).get("numberFormat") or evaluator.format_of(sheet, rich)
    if "f" in rich or rich.get("v") is not None:
        data["userEnteredValue"] = {"formulaValue": rich["f"]} if "f" in rich else extended(rich["v"])
        data["effectiveValue"] = extended(value)
        data["formattedValue"] = display.show(value, style)
    if "fmt" in rich:
        data["userEnteredFormat"] = rich["fmt"]
    data["effectiveFormat"] = effective(rich.get("fmt"), style)
    for name, key in (("note", "note"), ("dataValidation", "dv")):
        if key in rich:
            data[name] = rich[key]
    return data


def extended(value: Any) -> dict[str, Any]:
    """An ExtendedValue."""
    if isinstance(value, FormulaError):
        return {"errorValue": {"type": value.kind, "message": value.message}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int | float):
        return {"numberValue": value}
    return {"stringValue": "" if value is None else value}


def effective(given: dict[str, Any] | None, style: dict[str, str] | None) -> dict[str, Any]:
    """The spreadsheet's default format with the cell's own over it."""
    result = copy.deepcopy(DEFAULT_FORMAT)
    if style:
        result["numberFormat"] = style
    return _over(result, given or {})


def _over(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    for key, value in more.items():
        base[key] = _over(base[key], value) if isinstance(value, dict) and key == "textFormat" else value
    return base
