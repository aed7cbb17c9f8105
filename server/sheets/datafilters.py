"""Data filters and developer metadata: cells found by range, grid range or by what clients attached to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from server.sheets import values
from server.sheets.errors import InvalidArgument, NotFound
from server.sheets.storage.book import Book, Sheet
from server.sheets.text import a1

LookupRendering = Callable[[Callable[[str], str | None]], tuple[values.Rendering, str]]


@dataclass(frozen=True)
class Found:
    """Cells a data filter matched, and the filter."""

    sheet: Sheet
    box: a1.Box
    by: dict[str, Any]


def find(book: Book, filters: list[dict[str, Any]]) -> list[Found]:
    """The cells that the filters name, in order.

    Raises
    ------
    InvalidArgument
        Where a filter names nothing.
    """
    found: list[Found] = []
    for entry in filters:
        if "a1Range" in entry:
            found.append(Found(*book.find(entry["a1Range"]), entry))
        elif "gridRange" in entry:
            found.append(Found(*grid_range(book, entry["gridRange"]), entry))
        elif "developerMetadataLookup" in entry:
            hits = [item for item in all_metadata(book) if matches(item, entry["developerMetadataLookup"])]
            found.extend(Found(*place, entry) for item in hits if (place := location(book, item)))
        else:
            raise InvalidArgument("Must specify at least one of a1Range, gridRange or developerMetadataLookup.")
    return found


def grid_range(book: Book, given: dict[str, Any]) -> tuple[Sheet, a1.Box]:
    """The sheet and box of a GridRange.

    Raises
    ------
    InvalidArgument
        Where there is no such sheet.
    """
    sheet = book.sheet(given.get("sheetId"))
    if sheet is None:
        raise InvalidArgument(f"No grid with id: {given.get('sheetId', 0)}")
    return sheet, a1.from_grid_range(given)


def read_all(book: Book, body: dict[str, Any], rendering: values.Rendering, major: str) -> dict[str, Any]:
    """A BatchGetValuesByDataFilterResponse."""
    matched = []
    for found in find(book, body.get("dataFilters", [])):
        area = found.sheet.clip(found.box)
        shown = values.read_area(book, found.sheet, area, rendering, major)
        matched.append({"valueRange": shown, "dataFilters": [found.by]})
    return {"spreadsheetId": book.id} | ({"valueRanges": matched} if matched else {})


def write_all(
    book: Book,
    targets: list[tuple[Sheet, a1.Box, dict[str, Any]]],
    body: dict[str, Any],
    option: str,
    rendering: LookupRendering,
) -> dict[str, Any]:
    """Write several ranges and add up what was written."""
    responses, written = [], []
    for sheet, box, entry in targets:
        rows = values.matrix(entry)
        area = values.write(sheet, box, rows, option)
        response = values.summary(book, sheet, area, rows)
        if body.get("includeValuesInResponse"):
            response["updatedData"] = values.read_area(book, sheet, area, *rendering(body.get))
        responses.append(response)
        if any(rows):
            written.append((sheet, area))
    return {"spreadsheetId": book.id, **_totals(written, responses)} | ({"responses": responses} if responses else {})


def _totals(written: list[tuple[Sheet, a1.Area]], responses: list[dict[str, Any]]) -> dict[str, Any]:
    if not written:
        return {}
    rows = {(sheet.id, r) for sheet, area in written for r in range(area.top, area.bottom)}
    columns = {(sheet.id, c) for sheet, area in written for c in range(area.left, area.right)}
    return {
        "totalUpdatedRows": len(rows),
        "totalUpdatedColumns": len(columns),
        "totalUpdatedCells": sum(response.get("updatedCells", 0) for response in responses),
        "totalUpdatedSheets": len({sheet.id for sheet, _ in written}),
    }


def all_metadata(book: Book) -> list[dict[str, Any]]:
    """Every developer metadata entry of a spreadsheet."""
    entries: list[dict[str, Any]] = book.doc.setdefault("developerMetadata", [])
    return entries


def matches(item: dict[str, Any], lookup: dict[str, Any]) -> bool:
    """Whether an entry is what a DeveloperMetadataLookup asks for."""
    for name, key in (
        ("metadataId", "metadataId"),
        ("metadataKey", "metadataKey"),
        ("metadataValue", "metadataValue"),
        ("visibility", "visibility"),
    ):
        if name in lookup and item.get(key) != lookup[name]:
            return False
    kind = lookup.get("locationType")
    return kind is None or item["location"].get("locationType") == kind


def location(book: Book, item: dict[str, Any]) -> tuple[Sheet, a1.Box] | None:
    """The cells an entry is attached to; None for one on the whole spreadsheet."""
    place = item["location"]
    if place.get("spreadsheet"):
        return book.sheets[0], a1.Box()
    span = place.get("dimensionRange")
    sheet = book.sheet(span.get("sheetId") if span else place.get("sheetId"))
    if sheet is None:
        return None
    if not span:
        return sheet, a1.Box()
    start, end = span.get("startIndex", 0), span.get("endIndex")
    return sheet, a1.Box(start, 0, end) if span["dimension"] == "ROWS" else a1.Box(0, start, None, end)


def metadata(book: Book, metadata_id: int) -> dict[str, Any]:
    """One entry by its id.

    Raises
    ------
    NotFound
        Where there is none.
    """
    for item in all_metadata(book):
        if item["metadataId"] == metadata_id:
            return item
    raise NotFound(f"No developer metadata with ID {metadata_id}")


def search(book: Book, filters: list[dict[str, Any]]) -> dict[str, Any]:
    """A SearchDeveloperMetadataResponse."""
    hits = [
        {"developerMetadata": item, "dataFilters": [entry]}
        for entry in filters
        if (lookup := entry.get("developerMetadataLookup")) is not None
        for item in all_metadata(book)
        if matches(item, lookup)
    ]
    return {"matchedDeveloperMetadata": hits} if hits else {}
