"""The routes of the Sheets API v4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.sheets import datafilters, spreadsheets, values
from server.sheets.errors import NotFound, PermissionDenied, bad_field
from server.sheets.requests import batch
from server.sheets.storage.book import Book
from server.sheets.text import fields
from server.sheets.web.call import Call

READ_ONLY = "https://www.googleapis.com/auth/spreadsheets.readonly"
Handler = Callable[[Call], dict[str, Any]]


def answer(call: Call) -> dict[str, Any]:
    """Carry out one call.

    Raises
    ------
    NotFound
        Where there is no such path.
    """
    for method, length, fixed, verb, handler in ROUTES:
        if method == call.method and verb == call.verb and length == len(call.segments) and _matches(call, fixed):
            return fields.apply(call.mask(), handler(call)) if handler is not get else handler(call)
    raise NotFound("Requested entity was not found.")


def _matches(call: Call, fixed: dict[int, str]) -> bool:
    return all(call.segments[place] == name for place, name in fixed.items())


def _book(call: Call) -> Book:
    return call.library.book(call.segments[2])


def _writable(call: Call) -> Book:
    if call.caller.scopes == {READ_ONLY}:
        raise PermissionDenied("Request had insufficient authentication scopes.")
    book = _book(call)
    call.library.touch(book.id)
    return book


def create(call: Call) -> dict[str, Any]:
    """`POST /v4/spreadsheets`."""
    body = call.body()
    title = body.get("properties", {}).get("title", "Untitled spreadsheet")
    book = spreadsheets.create(call.library, call.caller.email, title, parents=[], body=body)
    return spreadsheets.describe(book, [], None, grid_data=False)


def get(call: Call) -> dict[str, Any]:
    """`GET /v4/spreadsheets/{id}`."""
    ranges, grid_data = call.query.get("ranges", []), call.flag("includeGridData")
    return spreadsheets.describe(_book(call), ranges, call.mask(), grid_data=grid_data)


def get_by_filter(call: Call) -> dict[str, Any]:
    """`POST /v4/spreadsheets/{id}:getByDataFilter`."""
    book, body = _book(call), call.body()
    ranges = [
        found.sheet.write(found.sheet.clip(found.box)) for found in datafilters.find(book, body.get("dataFilters", []))
    ]
    return spreadsheets.describe(book, ranges, call.mask(), grid_data=bool(body.get("includeGridData")))


def batch_update(call: Call) -> dict[str, Any]:
    """`POST /v4/spreadsheets/{id}:batchUpdate`."""
    return batch.run(call.library, _writable(call), call.body(), call.caller.email)


def copy_to(call: Call) -> dict[str, Any]:
    """`POST /v4/spreadsheets/{id}/sheets/{sheetId}:copyTo`."""
    body = call.body()
    target = call.library.book(str(body.get("destinationSpreadsheetId", "")))
    return batch.copy_to(call.library, _book(call), int(call.segments[4]), target)


def _rendering(given: Callable[[str], str | None]) -> tuple[values.Rendering, str]:
    shown = values.Rendering(
        values.choice("value_render_option", given("valueRenderOption"), values.RENDER, "FORMATTED_VALUE"),
        values.choice("date_time_render_option", given("dateTimeRenderOption"), values.DATE_RENDER, "SERIAL_NUMBER"),
    )
    return shown, values.choice("major_dimension", given("majorDimension"), values.DIMENSIONS, "ROWS")


def values_get(call: Call) -> dict[str, Any]:
    """`GET /v4/spreadsheets/{id}/values/{range}`."""
    return values.read(_book(call), call.segments[4], *_rendering(call.one))


def values_batch_get(call: Call) -> dict[str, Any]:
    """`GET /v4/spreadsheets/{id}/values:batchGet`."""
    book = _book(call)
    rendering = _rendering(call.one)
    ranges = [values.read(book, text, *rendering) for text in call.query.get("ranges", [])]
    return {"spreadsheetId": book.id} | ({"valueRanges": ranges} if ranges else {})


def _input_option(given: Any) -> str:
    if not given or given == "INPUT_VALUE_OPTION_UNSPECIFIED":
        raise bad_field("valueInputOption", "'valueInputOption' is required but not specified")
    return values.choice("value_input_option", given, values.INPUT, "RAW")


def values_update(call: Call) -> dict[str, Any]:
    """`PUT /v4/spreadsheets/{id}/values/{range}`."""
    body = call.body()
    rows = values.matrix(body)
    book, option = _writable(call), _input_option(call.one("valueInputOption"))
    _same_range(call.segments[4], body.get("range"))
    sheet, box = book.find(call.segments[4])
    area = values.write(sheet, box, rows, option)
    result = values.summary(book, sheet, area, rows)
    if call.flag("includeValuesInResponse"):
        result["updatedData"] = values.read_area(book, sheet, area, *_response_rendering(call.one))
    return result


def _same_range(path: str, given: str | None) -> None:
    if given is not None and given != path:
        raise bad_field("", f"Requested writing within range [{path}], but the range of the data is [{given}]")


def _response_rendering(given: Callable[[str], str | None]) -> tuple[values.Rendering, str]:
    names = {
        "valueRenderOption": "responseValueRenderOption",
        "dateTimeRenderOption": "responseDateTimeRenderOption",
    }
    return _rendering(lambda name: given(names.get(name, name)))


def values_append(call: Call) -> dict[str, Any]:
    """`POST /v4/spreadsheets/{id}/values/{range}:append`."""
    rows = values.matrix(call.body())
    book, option = _writable(call), _input_option(call.one("valueInputOption"))
    insert = values.choice(
        "insert_data_option", call.one("insertDataOption"), {"OVERWRITE", "INSERT_ROWS"}, "OVERWRITE"
    )
    sheet, box = book.find(call.segments[4])
    table, area = values.append(book, sheet, box, rows, option, insert=insert == "INSERT_ROWS")
    updates = values.summary(book, sheet, area, rows)
    if call.flag("includeValuesInResponse"):
        updates["updatedData"] = values.read_area(book, sheet, area, *_response_rendering(call.one))
    found = {"tableRange": sheet.write(table)} if table else {}
    return {"spreadsheetId": book.id, **found, "updates": updates}


def values_clear(call: Call) -> dict[str, Any]:
    """`POST /v4/spreadsheets/{id}/values/{range}:clear`."""
    book = _writable(call)
    return {"spreadsheetId": book.id, "clearedRange": _clear(book, call.segments[4])}


def _clear(book: Book, text: str) -> str:
    sheet, box = book.find(text)
    area = sheet.clip(box)
    values.clear(sheet, area)
    return sheet.write(area)


def values_batch_clear(call: Call) -> dict[str, Any]:
    """`POST /v4/spreadsheets/{id}/values:batchClear`."""
    book = _writable(call)
    cleared = [_clear(book, text) for text in call.body().get("ranges", [])]
    return {"spreadsheetId": book.id} | ({"clearedRanges": cleared} if cleared else {})


def values_batch_update(call: Call) -> dict[str, Any]:
    """`POST /v4/spreadsheets/{id}/values:batchUpdate`."""
    book, body = _writable(call), call.body()
    targets = [(*book.find(str(entry.get("range", ""))), entry) for entry in body.get("data", [])]
    return datafilters.write_all(book, targets, body, _input_option(body.get("valueInputOption")), _response_rendering)


def by_filter_get(call: Call) -> dict[str, Any]:
    """`POST .../values:batchGetByDataFilter`."""
    body = call.body()
    return datafilters.read_all(_book(call), body, *_rendering(body.get))


def by_filter_update(call: Call) -> dict[str, Any]:
    """`POST .../values:batchUpdateByDataFilter`."""
    book, body = _writable(call), call.body()
    targets = []
    for entry in body.get("data", []):
        targets += [(found.sheet, found.box, entry) for found in datafilters.find(book, [entry.get("dataFilter", {})])]
    return datafilters.write_all(book, targets, body, _input_option(body.get("valueInputOption")), _response_rendering)


def by_filter_clear(call: Call) -> dict[str, Any]:
    """`POST .../values:batchClearByDataFilter`."""
    book = _writable(call)
    cleared = []
    for found in datafilters.find(book, call.body().get("dataFilters", [])):
        area = found.sheet.clip(found.box)
        values.clear(found.sheet, area)
        cleared.append(found.sheet.write(area))
    return {"spreadsheetId": book.id} | ({"clearedRanges": cleared} if cleared else {})


def metadata_get(call: Call) -> dict[str, Any]:
    """`GET .../developerMetadata/{metadataId}`."""
    return datafilters.metadata(_book(call), int(call.segments[4]))


def metadata_search(call: Call) -> dict[str, Any]:
    """`POST .../developerMetadata:search`."""
    return datafilters.search(_book(call), call.body().get("dataFilters", []))


VALUES = {3: "values"}
METADATA = {3: "developerMetadata"}
ROUTES: list[tuple[str, int, dict[int, str], str, Handler]] = [
    ("POST", 2, {}, "", create),
    ("GET", 3, {}, "", get),
    ("POST", 3, {}, "getByDataFilter", get_by_filter),
    ("POST", 3, {}, "batchUpdate", batch_update),
    ("POST", 5, {3: "sheets"}, "copyTo", copy_to),
    ("GET", 4, VALUES, "batchGet", values_batch_get),
    ("POST", 4, VALUES, "batchUpdate", values_batch_update),
    ("POST", 4, VALUES, "batchClear", values_batch_clear),
    ("POST", 4, VALUES, "batchGetByDataFilter", by_filter_get),
    ("POST", 4, VALUES, "batchUpdateByDataFilter", by_filter_update),
    ("POST", 4, VALUES, "batchClearByDataFilter", by_filter_clear),
    ("GET", 5, VALUES, "", values_get),
    ("PUT", 5, VALUES, "", values_update),
    ("POST", 5, VALUES, "append", values_append),
    ("POST", 5, VALUES, "clear", values_clear),
    ("GET", 5, METADATA, "", metadata_get),
    ("POST", 4, METADATA, "search", metadata_search),
]
