"""`spreadsheets.create` and `.get`: the document of a spreadsheet."""

from __future__ import annotations

import copy
from typing import Any

from server.sheets.errors import InvalidArgument
from server.sheets.storage.book import MAX_CELLS, Book, Sheet
from server.sheets.storage.library import Library
from server.sheets.text import a1, fields

WHITE: dict[str, float] = {"red": 1, "green": 1, "blue": 1}
ACCENTS: list[dict[str, float]] = [
    {"red": 0.25882354, "green": 0.52156866, "blue": 0.95686275},
    {"red": 0.91764706, "green": 0.2627451, "blue": 0.20784314},
    {"red": 0.9843137, "green": 0.7372549, "blue": 0.015686275},
    {"red": 0.20392157, "green": 0.65882355, "blue": 0.3254902},
    {"red": 1, "green": 0.42745098, "blue": 0.003921569},
    {"red": 0.27450982, "green": 0.7411765, "blue": 0.7764706},
]
LINK: dict[str, float] = {"red": 0.06666667, "green": 0.33333334, "blue": 0.8}
DEFAULT_FORMAT: dict[str, Any] = {
    "backgroundColor": WHITE,
    "padding": {"top": 2, "right": 3, "bottom": 2, "left": 3},
    "verticalAlignment": "BOTTOM",
    "wrapStrategy": "OVERFLOW_CELL",
    "textFormat": {
        "foregroundColor": {},
        "fontFamily": "arial,sans,sans-serif",
        "fontSize": 10,
        "bold": False,
        "italic": False,
        "strikethrough": False,
        "underline": False,
        "foregroundColorStyle": {"rgbColor": {}},
    },
    "backgroundColorStyle": {"rgbColor": WHITE},
}


def _theme() -> dict[str, Any]:
    colors: list[tuple[str, dict[str, float]]] = [("TEXT", {}), ("BACKGROUND", WHITE)]
    colors += [(f"ACCENT{number}", color) for number, color in enumerate(ACCENTS, 1)] + [("LINK", LINK)]
    return {
        "primaryFontFamily": "Arial",
        "themeColors": [{"colorType": kind, "color": {"rgbColor": color}} for kind, color in colors],
    }


def new_doc(given: dict[str, Any] | None = None) -> dict[str, Any]:
    """A spreadsheet's document with Google's defaults; the title is kept with the file."""
    properties = {
        "locale": "en_US",
        "autoRecalc": "ON_CHANGE",
        "timeZone": "Etc/GMT",
        "defaultFormat": copy.deepcopy(DEFAULT_FORMAT),
        "spreadsheetTheme": _theme(),
    }
    return {"properties": properties | {key: value for key, value in (given or {}).items() if key != "title"}}


def new_sheet(sheet_id: int, title: str, rows: int = 1000, columns: int = 26) -> dict[str, Any]:
    """A worksheet's document."""
    grid = {"rowCount": rows, "columnCount": columns}
    return {"properties": {"sheetId": sheet_id, "title": title, "sheetType": "GRID", "gridProperties": grid}}


def create(library: Library, owner: str, name: str, *, parents: list[str], body: dict[str, Any] | None = None) -> Book:
    """A new spreadsheet with one sheet, or those of the body."""
    body = body or {}
    properties = body.get("properties", {})
    file_id = library.create(name, owner, new_doc(properties), parents=parents)
    book = library.book(file_id)
    for index, entry in enumerate(body.get("sheets") or [{}]):
        given = entry.get("properties", {})
        grid = given.get("gridProperties", {})
        sheet_id = given.get("sheetId", 0 if index == 0 else book.free_sheet_id())
        doc = new_sheet(
            sheet_id, given.get("title", f"Sheet{index + 1}"), grid.get("rowCount", 1000), grid.get("columnCount", 26)
        )
        doc["properties"]["gridProperties"].update(grid)
        library.add_sheet(book, doc, index)
    if book.cells() > MAX_CELLS:
        raise InvalidArgument(f"This action would increase the number of cells above the limit of {MAX_CELLS} cells.")
    return book


SHEET_LISTS = (
    "merges",
    "conditionalFormats",
    "filterViews",
    "protectedRanges",
    "basicFilter",
    "developerMetadata",
    "bandedRanges",
    "rowGroups",
    "columnGroups",
)


def properties_of(book: Book, sheet: Sheet) -> dict[str, Any]:
    """SheetProperties, the index where Google has it."""
    properties = dict(sheet.doc["properties"])
    first = {"sheetId": properties.pop("sheetId"), "title": properties.pop("title"), "index": book.sheets.index(sheet)}
    return first | properties


def describe(book: Book, ranges: list[str], mask: fields.Mask | None, *, grid_data: bool) -> dict[str, Any]:
    """The Spreadsheet resource; with ranges, only the sheets they name; with a mask, only what it takes."""
    found = [book.find(text) for text in ranges]
    with_data = fields.wants(mask, "sheets", "data") if mask else grid_data
    shown = [sheet for sheet in book.sheets if not ranges or any(sheet is named for named, _ in found)]
    sheets = []
    for sheet in shown:
        entry: dict[str, Any] = {"properties": properties_of(book, sheet)}
        entry |= {name: sheet.doc[name] for name in SHEET_LISTS if sheet.doc.get(name)}
        if with_data:
            boxes = [box for named, box in found if named is sheet] or [a1.Box()]
            entry["data"] = [_data(book, sheet, box, mask) for box in boxes]
        sheets.append(entry)
    url = f"https://docs.google.com/spreadsheets/d/{book.id}/edit"
    whole: dict[str, Any] = {"spreadsheetId": book.id, "properties": {"title": book.name, **book.doc["properties"]}}
    whole["sheets"] = sheets
    whole |= {name: book.doc[name] for name in ("namedRanges", "developerMetadata") if book.doc.get(name)}
    whole["spreadsheetUrl"] = url
    result: dict[str, Any] = fields.apply(mask, whole)
    return result


def _data(book: Book, sheet: Sheet, box: a1.Box, mask: fields.Mask | None) -> dict[str, Any]:
    from server.sheets import griddata  # noqa: PLC0415 - it needs the formats of this module

    return griddata.of(book, sheet, sheet.clip(box), mask)
