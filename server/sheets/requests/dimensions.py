"""Requests about rows and columns: insert, delete, append, move, hide, size, group."""

from __future__ import annotations

from typing import Any

from server.sheets.cells import Cell
from server.sheets.errors import InvalidArgument
from server.sheets.requests import shift
from server.sheets.requests.context import Context
from server.sheets.storage.book import Sheet
from server.sheets.text import fields

ROWS = "ROWS"


def _resized(context: Context, sheet: Sheet, dimension: str, by: int) -> None:
    rows, columns = (by, 0) if dimension == ROWS else (0, by)
    context.book.resize(sheet, sheet.rows + rows, sheet.columns + columns)


def insert_dimension(context: Context, given: dict[str, Any]) -> None:
    """InsertDimensionRequest."""
    sheet, dimension, start, end = context.span(given.get("range", {}))
    length = sheet.rows if dimension == ROWS else sheet.columns
    before = bool(given.get("inheritFromBefore"))
    if start > length or (start == length and not before):
        raise InvalidArgument(
            f"range.startIndex[{start}] must be less than the grid size ({length}) if inheritFromBefore is false."
        )
    if before and start == 0:
        raise InvalidArgument("inheritFromBefore cannot be true if range.startIndex is 0.")
    count = end - start
    _resized(context, sheet, dimension, count)
    if dimension == ROWS:
        sheet.grid.insert_rows(start, count)
    else:
        sheet.grid.rewrite(
            lambda _, cells: cells[:start] + [None] * count + cells[start:] if len(cells) > start else cells
        )
    shift.apply(context.book, sheet, shift.Insert(dimension, start, count))


def delete_dimension(context: Context, given: dict[str, Any]) -> None:
    """DeleteDimensionRequest."""
    sheet, dimension, start, end = context.span(given.get("range", {}))
    length = sheet.rows if dimension == ROWS else sheet.columns
    if start >= length:
        word = "row" if dimension == ROWS else "column"
        raise InvalidArgument(
            f"Cannot delete a {word} that doesn't exist. Tried to delete {word} index {start} but there are only "
            f"{length} {word}s."
        )
    end = min(end, length)
    if end - start >= length:
        raise InvalidArgument(f"You can't delete all the {dimension.lower()} on the sheet.")
    frozen = sheet.size.get("frozenRowCount" if dimension == ROWS else "frozenColumnCount", 0)
    if frozen and end >= length and start <= frozen:
        raise InvalidArgument(f"You can't delete all the non-frozen {dimension.lower()}.")
    _cut(context, sheet, dimension, start, end)
    _resized(context, sheet, dimension, start - end)


def _cut(context: Context, sheet: Sheet, dimension: str, start: int, end: int) -> None:
    if dimension == ROWS:
        sheet.grid.delete_rows(start, end)
    else:
        sheet.grid.rewrite(lambda _, cells: cells[:start] + cells[end:])
    shift.apply(context.book, sheet, shift.Delete(dimension, start, end))


def cut_rows_and_columns(context: Context, sheet: Sheet, rows: int, columns: int) -> None:
    """Drop what lies beyond a smaller grid."""
    if rows < sheet.rows:
        _cut(context, sheet, ROWS, rows, sheet.rows)
    if columns < sheet.columns:
        _cut(context, sheet, "COLUMNS", columns, sheet.columns)


def append_dimension(context: Context, given: dict[str, Any]) -> None:
    """AppendDimensionRequest."""
    sheet, dimension = context.sheet(given.get("sheetId")), given.get("dimension")
    if dimension not in {ROWS, "COLUMNS"}:
        raise InvalidArgument("No dimension specified.")
    if given.get("length", 0) < 1:
        raise InvalidArgument("length must be positive.")
    _resized(context, sheet, dimension, given["length"])


def move_dimension(context: Context, given: dict[str, Any]) -> None:
    """MoveDimensionRequest; `destinationIndex` counts as if nothing had been taken out yet."""
    sheet, dimension, start, end = context.span(given.get("source", {}))
    target = given.get("destinationIndex", 0)
    length = sheet.rows if dimension == ROWS else sheet.columns
    if end > length or target > length:
        raise InvalidArgument("Cannot move to or from outside the grid.")
    if start < target < end:
        raise InvalidArgument("Cannot move a range into itself.")
    order = [*range(start), *range(end, length)]
    place = target if target <= start else target - (end - start)
    order[place:place] = range(start, end)
    move = shift.Move(dimension, {old: new for new, old in enumerate(order)})
    if dimension == ROWS:
        sheet.grid.replace_all([(move.to[r], cells) for r, cells in list(sheet.grid.rows())])
    else:
        sheet.grid.rewrite(lambda _, cells: _permuted(cells, order))
    shift.apply(context.book, sheet, move)


def _permuted(cells: list[Cell], order: list[int]) -> list[Cell]:
    return [cells[old] if old < len(cells) else None for old in order]


def insert_range(context: Context, given: dict[str, Any]) -> None:
    """InsertRangeRequest: cells beside or below move over; those pushed out make the grid larger."""
    sheet, area = context.area(given.get("range", {}))
    down = given.get("shiftDimension") == ROWS
    height, width = area.bottom - area.top, area.right - area.left
    if down:
        columns = {r: cells[area.left : area.right] for r, cells in sheet.grid.rows(area.top)}
        last = max((r for r, cells in columns.items() if any(c is not None for c in cells)), default=-1)
        if last + height >= sheet.rows:
            _resized(context, sheet, ROWS, last + height + 1 - sheet.rows)
        _put_block(sheet, area.top, sheet.rows, area.left, width, {r + height: cells for r, cells in columns.items()})
        return
    longest = max((len(cells) for _, cells in sheet.grid.rows(area.top, area.bottom)), default=0)
    if longest > area.left and longest + width > sheet.columns:
        _resized(context, sheet, "COLUMNS", longest + width - sheet.columns)
    sheet.grid.rewrite(
        lambda _, cells: cells[: area.left] + [None] * width + cells[area.left :] if len(cells) > area.left else cells,
        area.top,
        area.bottom,
    )


def delete_range(context: Context, given: dict[str, Any]) -> None:
    """DeleteRangeRequest: cells beside or below close the gap."""
    sheet, area = context.area(given.get("range", {}))
    if given.get("shiftDimension") == ROWS:
        height = area.bottom - area.top
        columns = {r: cells[area.left : area.right] for r, cells in sheet.grid.rows(area.bottom)}
        moved = {r - height: cells for r, cells in columns.items()}
        _put_block(sheet, area.top, sheet.rows, area.left, area.right - area.left, moved)
        return
    sheet.grid.rewrite(lambda _, cells: cells[: area.left] + cells[area.right :], area.top, area.bottom)


def _put_block(sheet: Sheet, top: int, bottom: int, left: int, width: int, block: dict[int, list[Cell]]) -> None:
    """Replace the columns `left` to `left + width` of the rows by the block's, missing rows being empty."""
    before = dict(sheet.grid.rows(top, bottom))
    rows = []
    for r in sorted(before.keys() | block.keys()):
        cells, new = before.get(r, []), block.get(r, [])
        cells = cells[:left] + [None] * (left - len(cells)) + new + [None] * (width - len(new)) + cells[left + width :]
        rows.append((r, cells))
    sheet.grid.put(rows)


def update_dimension_properties(context: Context, given: dict[str, Any]) -> None:
    """UpdateDimensionPropertiesRequest."""
    sheet, dimension, start, end = context.span(given.get("range", {}))
    mask = fields.parse(given.get("fields") or "*")
    wanted = {key: value for key, value in given.get("properties", {}).items() if value not in (False, None)}
    meta = sheet.touch().setdefault("rowMeta" if dimension == ROWS else "columnMeta", {})
    for index in range(start, min(end, sheet.rows if dimension == ROWS else sheet.columns)):
        entry = meta.setdefault(str(index), {})
        fields.update(entry, mask, wanted)
        if not entry:
            del meta[str(index)]


CHARACTER_PIXELS = 7.25
PADDING_PIXELS = 6


def auto_resize(context: Context, given: dict[str, Any]) -> None:
    """AutoResizeDimensionsRequest: columns as wide as their longest text, measured by an average character."""
    sheet, dimension, start, end = context.span(given.get("dimensions", {}))
    if dimension == ROWS:
        return
    longest: dict[int, int] = {}
    for _, cells in sheet.grid.rows():
        for c in range(start, min(end, len(cells))):
            text = cells[c].get("v", "") if isinstance(cells[c], dict) else cells[c]
            lines = str("" if text is None else text).split("\n")
            longest[c] = max(longest.get(c, 0), *(len(line) for line in lines))
    meta = sheet.touch().setdefault("columnMeta", {})
    for c, length in longest.items():
        if length:
            meta.setdefault(str(c), {})["pixelSize"] = max(21, round(length * CHARACTER_PIXELS) + PADDING_PIXELS)


def _groups(sheet: Sheet, dimension: str) -> list[dict[str, Any]]:
    return sheet.items("rowGroups" if dimension == ROWS else "columnGroups")


def _depths(sheet: Sheet, dimension: str) -> list[int]:
    length = sheet.rows if dimension == ROWS else sheet.columns
    depths = [0] * length
    for group in _groups(sheet, dimension):
        span = group["range"]
        for index in range(span["startIndex"], min(span["endIndex"], length)):
            depths[index] = max(depths[index], group["depth"])
    return depths


def _regroup(sheet: Sheet, dimension: str, depths: list[int]) -> list[dict[str, Any]]:
    """Groups from how deep each row or column is nested: every run at least `depth` deep is one group."""
    groups = []
    extra = {"sheetId": sheet.id} if sheet.id else {}
    for depth in range(1, max(depths, default=0) + 1):
        start = None
        for index, value in enumerate([*depths, 0]):
            if value >= depth and start is None:
                start = index
            elif value < depth and start is not None:
                span = {**extra, "dimension": dimension, "startIndex": start, "endIndex": index}
                groups.append({"range": span, "depth": depth})
                start = None
    return sorted(groups, key=lambda group: (group["depth"], group["range"]["startIndex"]))


def _change_depth(context: Context, given: dict[str, Any], by: int) -> list[dict[str, Any]]:
    sheet, dimension, start, end = context.span(given.get("range", {}))
    depths = _depths(sheet, dimension)
    end = min(end, len(depths))
    if by < 0 and not any(depths[start:end]):
        raise InvalidArgument("Cannot delete a dimension group that does not exist.")
    for index in range(start, end):
        depths[index] = max(0, depths[index] + by)
    if max(depths) > 8:
        raise InvalidArgument("Cannot add more than 8 levels of dimension groups.")
    groups = _regroup(sheet, dimension, depths)
    name, control = (
        ("rowGroups", "rowGroupControlAfter") if dimension == ROWS else ("columnGroups", "columnGroupControlAfter")
    )
    sheet.touch()[name] = groups
    sheet.size[control] = True
    return groups


def add_group(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """AddDimensionGroupRequest."""
    return {"addDimensionGroup": {"dimensionGroups": _change_depth(context, given, 1)}}


def delete_group(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """DeleteDimensionGroupRequest."""
    groups = _change_depth(context, given, -1)
    return {"deleteDimensionGroup": {"dimensionGroups": groups} if groups else {}}


def update_group(context: Context, given: dict[str, Any]) -> None:
    """UpdateDimensionGroupRequest: collapse or open."""
    wanted = given.get("dimensionGroup", {})
    sheet, dimension, start, end = context.span(wanted.get("range", {}))
    for group in _groups(sheet, dimension):
        span = group["range"]
        if (span["startIndex"], span["endIndex"], group["depth"]) == (start, end, wanted.get("depth")):
            group.pop("collapsed", None)
            if wanted.get("collapsed"):
                group["collapsed"] = True
            return
    raise InvalidArgument("Cannot update a dimension group that does not exist.")
