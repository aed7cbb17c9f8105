"""What moves along when rows or columns do: merges, names, protections, filters, groups, sizes, rules and formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from server.sheets.formulas import references
from server.sheets.storage.book import Book, Sheet


@dataclass(frozen=True, slots=True)
class Insert:
    """`count` new rows or columns before `start`."""

    dimension: str
    start: int
    count: int

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a span of rows or columns is afterwards."""
        moved = start + self.count if start >= self.start else start
        return moved, end + self.count if end > self.start else end


@dataclass(frozen=True, slots=True)
class Delete:
    """Rows or columns from `start` up to `end` are gone."""

    dimension: str
    start: int
    end: int

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a span is afterwards; None where nothing is left of it."""
        first, last = self._place(start), self._place(end)
        return (first, last) if last > first else None

    def _place(self, index: int) -> int:
        if index <= self.start:
            return index
        return max(index - (self.end - self.start), self.start)


@dataclass(frozen=True, slots=True)
class Move:
    """Rows or columns in a new order: `to[old]` is the new place."""

    dimension: str
    to: dict[int, int]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a span is afterwards: from the first to the last of its new places."""
        places = [self.to.get(index, index) for index in range(start, end)]
        if not places:
            return start, end
        return (min(places), max(places) + 1) if max(places) - min(places) == end - start - 1 else (start, end)


Change = Insert | Delete | Move


def apply(book: Book, sheet: Sheet, change: Change) -> None:
    """Move along everything in the spreadsheet that points into the sheet."""
    doc = sheet.touch()
    for name in ("merges", "protectedRanges", "conditionalFormats", "bandedRanges", "filterViews"):
        if doc.get(name):
            doc[name] = [item for item in doc[name] if _move_ranges(item, change)]
    if "basicFilter" in doc and not _move_ranges(doc["basicFilter"], change):
        del doc["basicFilter"]
    if book.doc.get("namedRanges"):
        named = book.touch()["namedRanges"]
        book.doc["namedRanges"] = [
            item for item in named if item["range"].get("sheetId", 0) != sheet.id or _move_ranges(item, change)
        ]
    _move_meta(doc, change)
    _move_groups(doc, change)
    move_formulas(book, sheet, change.dimension, change.span)


def _move_ranges(item: dict[str, Any], change: Change) -> bool:
    """Move the GridRange(s) of an entry; False where nothing is left of them."""
    if "ranges" in item:
        item["ranges"] = [entry for entry in item["ranges"] if _move_range(entry, change)]
        return bool(item["ranges"])
    return _move_range(item.get("range", item), change)


def _move_range(grid_range: dict[str, Any], change: Change) -> bool:
    first, last = (
        ("startRowIndex", "endRowIndex") if change.dimension == "ROWS" else ("startColumnIndex", "endColumnIndex")
    )
    if last not in grid_range:
        return True
    moved = change.span(grid_range.get(first, 0), grid_range[last])
    if moved is None:
        return False
    grid_range[first], grid_range[last] = moved
    return True


def _move_meta(doc: dict[str, Any], change: Change) -> None:
    key = "rowMeta" if change.dimension == "ROWS" else "columnMeta"
    if doc.get(key):
        moved = {}
        for index, entry in doc[key].items():
            span = change.span(int(index), int(index) + 1)
            if span:
                moved[str(span[0])] = entry
        doc[key] = moved


def _move_groups(doc: dict[str, Any], change: Change) -> None:
    key = "rowGroups" if change.dimension == "ROWS" else "columnGroups"
    kept = []
    for group in doc.get(key, []):
        span = change.span(group["range"]["startIndex"], group["range"]["endIndex"])
        if span:
            group["range"]["startIndex"], group["range"]["endIndex"] = span
            kept.append(group)
    if key in doc:
        doc[key] = kept


def move_formulas(book: Book, sheet: Sheet, dimension: str, span: Callable[[int, int], tuple[int, int] | None]) -> None:
    """Rewrite the references that formulas anywhere in the spreadsheet make to the sheet."""
    _rewrite(book, lambda formula, own: references.moved(formula, own, sheet.title, dimension, span))


def rename_in_formulas(book: Book, old: str, new: str) -> None:
    """Rewrite the references to a sheet that gets another title."""
    _rewrite(book, lambda formula, _: references.retitled(formula, old, new))


def _rewrite(book: Book, change: Callable[[str, str], str]) -> None:
    """Put every formula through `change(formula, title of its sheet)`."""
    for sheet in book.sheets:
        for r, cells in sheet.grid.formula_rows():
            changed = False
            for cell in cells:
                if isinstance(cell, dict) and "f" in cell:
                    text = change(cell["f"], sheet.title)
                    changed |= text != cell["f"]
                    cell["f"] = text
            if changed:
                sheet.grid.put([(r, cells)])
