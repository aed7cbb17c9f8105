"""`spreadsheets.batchUpdate`: requests one after the other, all or none."""

from __future__ import annotations

import copy
from typing import Any

from server.sheets import spreadsheets
from server.sheets.errors import InvalidArgument, NotFound, bad_field, unknown_name
from server.sheets.requests.context import Context
from server.sheets.requests.table import HANDLERS, OUT_OF_SCOPE
from server.sheets.storage.book import Book
from server.sheets.storage.library import Library


def run(library: Library, book: Book, body: dict[str, Any], email: str) -> dict[str, Any]:
    """Carry out the requests and collect their replies.

    Raises
    ------
    InvalidArgument
        As Google words it, naming the request by number and kind; nothing is changed then.
    """
    requests = body.get("requests")
    if not requests:
        raise InvalidArgument("Must specify at least one request.")
    known = {"requests", "includeSpreadsheetInResponse", "responseRanges", "responseIncludeGridData"}
    for name in body.keys() - known:
        raise unknown_name(name, "")
    context = Context(library, book, email)
    answer: dict[str, Any] = {"spreadsheetId": book.id}
    answer["replies"] = [_one(context, index, request) for index, request in enumerate(requests)]
    if body.get("includeSpreadsheetInResponse"):
        ranges, grid_data = body.get("responseRanges", []), bool(body.get("responseIncludeGridData"))
        answer["updatedSpreadsheet"] = spreadsheets.describe(book, ranges, None, grid_data=grid_data)
    return answer


def _one(context: Context, index: int, request: Any) -> dict[str, Any]:
    if not isinstance(request, dict) or not request:
        raise bad_field(f"requests[{index}]", f"Invalid requests[{index}]: No request set.")
    if len(request) > 1:
        raise bad_field(f"requests[{index}]", f"Invalid requests[{index}]: more than one kind of request is set.")
    [(kind, given)] = request.items()
    if kind in OUT_OF_SCOPE:
        raise InvalidArgument(
            f"Invalid requests[{index}].{kind}: this local endpoint does not carry out {kind} ({OUT_OF_SCOPE[kind]})."
        )
    handler = HANDLERS.get(kind)
    if handler is None:
        raise unknown_name(kind, f"requests[{index}]")
    try:
        return handler(context, _without_nulls(given or {})) or {}
    except InvalidArgument as error:
        raise InvalidArgument(f"Invalid requests[{index}].{kind}: {error.message}", details=error.details) from error


def _without_nulls(given: Any) -> Any:
    """A message in which a field that is null is not set, as protocol buffers read JSON."""
    if isinstance(given, dict):
        return {name: _without_nulls(value) for name, value in given.items() if value is not None}
    return [_without_nulls(item) for item in given] if isinstance(given, list) else given


def copy_to(library: Library, book: Book, sheet_id: int, target: Book) -> dict[str, Any]:
    """Copy a sheet into another spreadsheet; the new sheet's properties.

    Raises
    ------
    NotFound
        Where there is no such sheet.
    """
    source = book.sheet(sheet_id)
    if source is None:
        raise NotFound
    doc = copy.deepcopy(source.doc)
    title = f"Copy of {source.title}"
    while target.titled(title):
        title += " 1"
    sheet_id = sheet_id if target.sheet(sheet_id) is None else target.free_sheet_id()
    doc["properties"] |= {"title": title, "sheetId": sheet_id}
    sheet = library.add_sheet(target, doc, len(target.sheets))
    target.resize(sheet, sheet.rows, sheet.columns)
    sheet.grid.copy_from(source.grid)
    library.touch(target.id)
    return spreadsheets.properties_of(target, sheet)
