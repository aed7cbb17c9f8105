"""Requests about whole sheets and the spreadsheet: add, delete, duplicate, rename, move, resize."""

from __future__ import annotations

import copy
from typing import Any

from server.sheets import spreadsheets
from server.sheets.errors import InvalidArgument
from server.sheets.requests import shift
from server.sheets.requests.context import Context
from server.sheets.requests.dimensions import cut_rows_and_columns
from server.sheets.requests.styles import rounded_colors
from server.sheets.storage.book import Sheet
from server.sheets.text import fields

NO_COLOR: tuple[str, Any] = ("tabColorStyle", {})
TAKEN = 'A sheet with the name "{}" already exists. Please enter another name.'


def _check_title(context: Context, title: str, sheet: Sheet | None = None) -> None:
    other = context.book.titled(title)
    if other is not None and other is not sheet:
        raise InvalidArgument(TAKEN.format(title))
    if not title or len(title) > 100:
        raise InvalidArgument("Sheet names must be between 1 and 100 characters long.")


def _free_title(context: Context, base: str) -> str:
    number = len(context.book.sheets) + 1
    while context.book.titled(f"{base}{number}"):
        number += 1
    return f"{base}{number}"


def add_sheet(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """AddSheetRequest."""
    wanted = dict(given.get("properties", {}))
    title = wanted.pop("title", None) or _free_title(context, "Sheet")
    _check_title(context, title)
    sheet_id = wanted.pop("sheetId", None)
    if sheet_id is not None and context.book.sheet(sheet_id):
        raise InvalidArgument(f"Sheet with id {sheet_id} already exists.")
    index = wanted.pop("index", len(context.book.sheets))
    grid = {key: value for key, value in wanted.pop("gridProperties", {}).items() if value not in (None, 0, False)}
    doc = spreadsheets.new_sheet(sheet_id if sheet_id is not None else context.book.free_sheet_id(), title, 0, 0)
    sheet = context.library.add_sheet(context.book, doc, min(index, len(context.book.sheets)))
    context.book.resize(sheet, grid.pop("rowCount", 1000), grid.pop("columnCount", 26))
    sheet.size.update(grid)
    sheet.doc["properties"].update(rounded_colors({k: v for k, v in wanted.items() if k != "sheetType"}))
    return {"addSheet": {"properties": spreadsheets.properties_of(context.book, sheet)}}


def delete_sheet(context: Context, given: dict[str, Any]) -> None:
    """DeleteSheetRequest."""
    sheet = context.sheet(given.get("sheetId"))
    if len(context.book.sheets) == 1:
        raise InvalidArgument("You can't remove all the sheets in a document.")
    if not sheet.doc["properties"].get("hidden"):
        _check_others_visible(context, sheet)
    context.library.drop_sheet(context.book, sheet)
    named = context.book.touch().get("namedRanges", [])
    kept = [entry for entry in named if entry["range"].get("sheetId", 0) != sheet.id]
    context.book.doc["namedRanges"] = kept


def duplicate_sheet(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """DuplicateSheetRequest."""
    source = context.sheet(given.get("sourceSheetId"))
    title = given.get("newSheetName") or _copy_title(context, source.title)
    _check_title(context, title)
    sheet_id = given.get("newSheetId")
    if sheet_id is not None and context.book.sheet(sheet_id):
        raise InvalidArgument(f"Sheet with id {sheet_id} already exists.")
    doc = copy.deepcopy(source.doc)
    rows, columns = source.rows, source.columns
    doc["properties"] |= {"title": title, "sheetId": context.book.free_sheet_id() if sheet_id is None else sheet_id}
    doc["properties"]["gridProperties"] |= {"rowCount": 0, "columnCount": 0}
    index = min(given.get("insertSheetIndex", 0), len(context.book.sheets))
    sheet = context.library.add_sheet(context.book, doc, index)
    context.book.resize(sheet, rows, columns)
    sheet.grid.copy_from(source.grid)
    return {"duplicateSheet": {"properties": spreadsheets.properties_of(context.book, sheet)}}


def _copy_title(context: Context, title: str) -> str:
    base = f"Copy of {title}"
    number, result = 1, base
    while context.book.titled(result):
        number += 1
        result = f"{base} {number}"
    return result


def update_sheet_properties(context: Context, given: dict[str, Any]) -> None:
    """UpdateSheetPropertiesRequest."""
    wanted = given.get("properties", {})
    sheet = context.sheet(wanted.get("sheetId"))
    if not given.get("fields"):
        raise InvalidArgument("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    mask = fields.parse(given["fields"])
    if fields.wants(mask, "title") and "title" in wanted:
        _check_title(context, wanted["title"], sheet)
        shift.rename_in_formulas(context.book, sheet.title, wanted["title"])
    if fields.wants(mask, "hidden") and wanted.get("hidden"):
        _check_others_visible(context, sheet)
    if fields.wants(mask, "gridProperties"):
        _resize(context, sheet, mask, wanted.get("gridProperties", {}))
    _write(sheet, mask, wanted)
    if fields.wants(mask, "index") and "index" in wanted:
        _move(context, sheet, wanted["index"])


def _write(sheet: Sheet, mask: fields.Mask, wanted: dict[str, Any]) -> None:
    """The masked properties, but for the place and the size that the grid really has; defaults are left out."""
    properties = sheet.touch()["properties"]
    size = (sheet.rows, sheet.columns)
    whole = {name: deeper for name, deeper in mask.items() if name not in {"index", "sheetId"}}
    if whole:
        source = rounded_colors({k: v for k, v in wanted.items() if k not in {"index", "sheetId", "sheetType"}})
        fields.update(properties, whole, source)
    grid = properties.setdefault("gridProperties", {})
    kept = {
        key: value
        for key, value in grid.items()
        if value not in (0, False, None) and key not in {"rowCount", "columnCount"}
    }
    properties["gridProperties"] = {"rowCount": size[0], "columnCount": size[1]} | kept
    for name in [name for name, value in properties.items() if value is False or (name, value) == NO_COLOR]:
        del properties[name]


def _check_others_visible(context: Context, sheet: Sheet) -> None:
    if all(other is sheet or other.doc["properties"].get("hidden") for other in context.book.sheets):
        raise InvalidArgument("You can't hide all the sheets in a document.")


def _resize(context: Context, sheet: Sheet, mask: fields.Mask, wanted: dict[str, Any]) -> None:
    rows = wanted.get("rowCount", sheet.rows) if fields.wants(mask, "gridProperties", "rowCount") else sheet.rows
    columns = (
        wanted.get("columnCount", sheet.columns)
        if fields.wants(mask, "gridProperties", "columnCount")
        else sheet.columns
    )
    if rows < 1 or columns < 1:
        raise InvalidArgument("A sheet must have at least one row and one column.")
    frozen_rows = wanted.get("frozenRowCount", sheet.size.get("frozenRowCount", 0))
    if frozen_rows and frozen_rows >= rows:
        raise InvalidArgument("You can't freeze all visible rows on the sheet.")
    frozen_columns = wanted.get("frozenColumnCount", sheet.size.get("frozenColumnCount", 0))
    if frozen_columns and frozen_columns >= columns:
        raise InvalidArgument("You can't freeze all visible columns on the sheet.")
    cut_rows_and_columns(context, sheet, rows, columns)
    context.book.resize(sheet, rows, columns)


def _move(context: Context, sheet: Sheet, index: int) -> None:
    """To `index` as counted before the move; its own place and the one after it mean no move at all."""
    sheets = context.book.sheets
    before = sheets.index(sheet)
    if index in {before, before + 1}:
        return
    target = index - 1 if index > before else index
    sheets.remove(sheet)
    sheets.insert(min(target, len(sheets)), sheet)
    context.book.changed = True


def update_spreadsheet_properties(context: Context, given: dict[str, Any]) -> None:
    """UpdateSpreadsheetPropertiesRequest."""
    wanted = given.get("properties", {})
    if not given.get("fields"):
        raise InvalidArgument("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    mask = fields.parse(given["fields"])
    book = context.book
    if fields.wants(mask, "title") and "title" in wanted:
        book.name = wanted["title"]
    rest = {name: deeper for name, deeper in mask.items() if name != "title"}
    if rest:
        fields.update(book.doc["properties"], rest, {k: v for k, v in wanted.items() if k != "title"})
    book.touch()
