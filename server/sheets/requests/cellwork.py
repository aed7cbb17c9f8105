"""Requests about cells: write, repeat, append, merge, borders, copy, cut, sort, find and replace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from server.sheets.cells import Cell, filled, simplest
from server.sheets.errors import InvalidArgument, bad_field
from server.sheets.formulas import references
from server.sheets.formulas.evaluate import Evaluator
from server.sheets.requests.context import Context
from server.sheets.requests.styles import apply_format
from server.sheets.storage.book import Sheet
from server.sheets.text import a1, display, entered, fields

CellChange = Callable[[int, int, Cell], Cell]


def change_cells(sheet: Sheet, area: a1.Area, change: CellChange) -> None:
    """Put every cell of the area through `change(row, column, cell)`."""
    before = dict(sheet.grid.rows(area.top, area.bottom))
    rows = []
    for r in range(area.top, area.bottom):
        cells = before.get(r, [])
        cells += [None] * (area.right - len(cells))
        for c in range(area.left, area.right):
            cells[c] = change(r, c, cells[c])
        rows.append((r, cells))
    sheet.grid.put(rows)


def as_dict(cell: Cell) -> dict[str, Any]:
    """The cell as a dict that may be changed."""
    if cell is None:
        return {}
    return dict(cell) if isinstance(cell, dict) else {"v": cell}


def _from_extended(value: dict[str, Any]) -> dict[str, Any]:
    if "formulaValue" in value:
        return {"f": value["formulaValue"]}
    for name in ("numberValue", "stringValue", "boolValue"):
        if name in value:
            given = entered.whole(value[name]) if name == "numberValue" else value[name]
            return {} if given == "" else {"v": given}
    return {}


def with_cell_data(cell: Cell, mask: fields.Mask, given: dict[str, Any]) -> Cell:
    """The cell after the masked fields of a CellData were written."""
    result = as_dict(cell)
    if fields.wants(mask, "userEnteredValue"):
        result = {key: item for key, item in result.items() if key not in {"v", "f"}}
        result |= _from_extended(given.get("userEnteredValue", {}))
    if fields.wants(mask, "userEnteredFormat"):
        deeper = mask.get("userEnteredFormat", {}) if "*" not in mask else {}
        if deeper:
            result["fmt"] = apply_format(result.get("fmt"), deeper, given.get("userEnteredFormat", {}))
        else:
            result["fmt"] = apply_format(None, {"*": {}}, given.get("userEnteredFormat", {}))
    for name, key in (("note", "note"), ("dataValidation", "dv"), ("textFormatRuns", "runs")):
        if fields.wants(mask, name):
            result[key] = given.get(name) or None
    return simplest(result)


def _mask(given: dict[str, Any]) -> fields.Mask:
    if not given.get("fields"):
        raise InvalidArgument("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    return fields.parse(given["fields"])


def update_cells(context: Context, given: dict[str, Any]) -> None:
    """UpdateCellsRequest: rows of CellData from a start or over a range; a range without rows is cleared."""
    mask, rows = _mask(given), given.get("rows", [])
    if "start" in given:
        start = given["start"]
        sheet = context.sheet(start.get("sheetId"))
        top, left = start.get("rowIndex", 0), start.get("columnIndex", 0)
        width = max((len(row.get("values", [])) for row in rows), default=0)
        area = a1.Area(top, left, top + len(rows), left + width)
        if area.bottom > sheet.rows or area.right > sheet.columns:
            raise a1.outside(sheet.title, a1.Box(top, left, area.bottom, area.right), sheet.rows, sheet.columns)
    else:
        sheet, area = context.area(given.get("range", {}))

    def data(r: int, c: int) -> dict[str, Any] | None:
        line = rows[r - area.top].get("values", []) if r - area.top < len(rows) else []
        return line[c - area.left] if c - area.left < len(line) else None

    def change(r: int, c: int, cell: Cell) -> Cell:
        new = data(r, c)
        if new is None and "start" in given:
            return cell
        return with_cell_data(cell, mask, new or {})

    change_cells(sheet, area, change)


def repeat_cell(context: Context, given: dict[str, Any]) -> None:
    """RepeatCellRequest: one CellData over a range; formulas move along."""
    sheet, area = context.area(given.get("range", {}))
    mask, data = _mask(given), given.get("cell", {})
    formula = data.get("userEnteredValue", {}).get("formulaValue")

    def change(r: int, c: int, cell: Cell) -> Cell:
        new = with_cell_data(cell, mask, data)
        if formula and isinstance(new, dict) and "f" in new:
            new = {**new, "f": references.copied(formula, r - area.top, c - area.left)}
        return new

    change_cells(sheet, area, change)


def append_cells(context: Context, given: dict[str, Any]) -> None:
    """AppendCellsRequest: after the last row that holds anything."""
    sheet, mask, rows = context.sheet(given.get("sheetId")), _mask(given), given.get("rows", [])
    top = sheet.grid.last_row()
    width = max((len(row.get("values", [])) for row in rows), default=0)
    if top + len(rows) > sheet.rows or width > sheet.columns:
        context.book.resize(sheet, max(sheet.rows, top + len(rows)), max(sheet.columns, width))
    new = [[with_cell_data(None, mask, data) for data in row.get("values", [])] for row in rows]
    sheet.grid.put((top + index, cells) for index, cells in enumerate(new))


def merge_cells(context: Context, given: dict[str, Any]) -> None:
    """MergeCellsRequest: all together, row by row or column by column; only the first value of each is kept."""
    sheet, area = context.area(given.get("range", {}))
    kind = given.get("mergeType", "MERGE_ALL")
    if kind not in {"MERGE_ALL", "MERGE_ROWS", "MERGE_COLUMNS"}:
        raise bad_field("merge_type", f"Invalid value at 'merge_type', \"{kind}\"")
    merges = sheet.items("merges")
    for entry in merges:
        old = a1.to_area(a1.from_grid_range(entry))
        if old and old.overlaps(area) and not area.contains(old):
            raise InvalidArgument("You must select all cells in a merged range to merge or unmerge them.")
    kept = [entry for entry in merges if not area.contains(_area_of(entry))]
    parts = list(_parts(area, kind))
    for part in parts:
        _keep_first(sheet, part)
    new = [
        a1.to_grid_range(sheet.id, a1.Box(p.top, p.left, p.bottom, p.right))
        for p in parts
        if p.bottom - p.top > 1 or p.right - p.left > 1
    ]
    sheet.doc["merges"] = kept + new


def _area_of(entry: dict[str, Any]) -> a1.Area:
    return a1.Area(entry["startRowIndex"], entry["startColumnIndex"], entry["endRowIndex"], entry["endColumnIndex"])


def _parts(area: a1.Area, kind: str) -> Iterator[a1.Area]:
    if kind == "MERGE_ROWS":
        yield from (a1.Area(r, area.left, r + 1, area.right) for r in range(area.top, area.bottom))
    elif kind == "MERGE_COLUMNS":
        yield from (a1.Area(area.top, c, area.bottom, c + 1) for c in range(area.left, area.right))
    else:
        yield area


def _keep_first(sheet: Sheet, area: a1.Area) -> None:
    first = next(
        (
            cell
            for _, cells in sheet.grid.rows(area.top, area.bottom)
            for cell in cells[area.left : area.right]
            if filled(cell)
        ),
        None,
    )
    content = {key: item for key, item in as_dict(first).items() if key in {"v", "f"}}

    def change(r: int, c: int, cell: Cell) -> Cell:
        bare = {key: item for key, item in as_dict(cell).items() if key not in {"v", "f"}}
        return simplest(bare | content if (r, c) == (area.top, area.left) else bare)

    change_cells(sheet, area, change)


def unmerge_cells(context: Context, given: dict[str, Any]) -> None:
    """UnmergeCellsRequest."""
    sheet, area = context.area(given.get("range", {}))
    touched = [entry for entry in sheet.items("merges") if area.overlaps(_area_of(entry))]
    if any(not area.contains(_area_of(entry)) for entry in touched):
        raise InvalidArgument("You must select all cells in a merged range to merge or unmerge them.")
    sheet.doc["merges"] = [entry for entry in sheet.doc["merges"] if entry not in touched]


def update_borders(context: Context, given: dict[str, Any]) -> None:
    """UpdateBordersRequest: the outer sides, and with innerHorizontal and innerVertical those between."""
    sheet, area = context.area(given.get("range", {}))

    def sides(r: int, c: int) -> dict[str, Any]:
        return {
            "top": given.get("top" if r == area.top else "innerHorizontal"),
            "bottom": given.get("bottom" if r == area.bottom - 1 else "innerHorizontal"),
            "left": given.get("left" if c == area.left else "innerVertical"),
            "right": given.get("right" if c == area.right - 1 else "innerVertical"),
        }

    def change(r: int, c: int, cell: Cell) -> Cell:
        new = {side: border for side, border in sides(r, c).items() if border}
        result = as_dict(cell)
        mask: fields.Mask = {"borders": {side: {} for side in new}}
        if new:
            result["fmt"] = apply_format(result.get("fmt"), mask, {"borders": new})
        return simplest(result)

    change_cells(sheet, area, change)


def sort_range(context: Context, given: dict[str, Any]) -> None:
    """SortRangeRequest: numbers, then texts, then booleans; empty cells last either way."""
    sheet, area = context.area(given.get("range", {}))
    evaluator = Evaluator(context.book)
    rows = dict(sheet.grid.rows(area.top, area.bottom))
    lines = [(r, (rows.get(r, []) + [None] * area.right)[area.left : area.right]) for r in range(area.top, area.bottom)]
    for spec in reversed(given.get("sortSpecs", [])):
        column = spec.get("dimensionIndex", 0)
        if not area.left <= column < area.right:
            raise InvalidArgument(f"Sort dimension index {column} is outside the range.")
        descending = spec.get("sortOrder") == "DESCENDING"

        def key(line: tuple[int, list[Cell]], column: int = column) -> tuple[int, Any]:
            cell = line[1][column - area.left]
            value = evaluator.value(sheet, line[0], column, cell) if isinstance(cell, dict) else cell
            return sort_key(value)

        full = [line for line in lines if filled(line[1][column - area.left])]
        empty = [line for line in lines if not filled(line[1][column - area.left])]
        lines = sorted(full, key=key, reverse=descending) + empty
    put = []
    for place, (_, window) in enumerate(lines, area.top):
        cells = rows.get(place, [])
        cells += [None] * (area.left - len(cells))
        put.append((place, cells[: area.left] + window + cells[area.right :]))
    sheet.grid.put(put)


def sort_key(value: Any) -> tuple[int, Any]:
    """Numbers before texts before booleans; texts without regard to case."""
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    return 1, str(value).casefold()


def copy_paste(context: Context, given: dict[str, Any]) -> None:
    """CopyPasteRequest: repeated to fill the destination, as people's paste does."""
    source_sheet, source = context.area(given.get("source", {}))
    target_sheet, target = context.area(given.get("destination", {}))
    block = _block(source_sheet, source)
    height, width = source.bottom - source.top, source.right - source.left
    transpose = given.get("pasteOrientation") == "TRANSPOSE"
    if transpose:
        block, height, width = [list(line) for line in zip(*block, strict=True)], width, height
    rows = max(height, (target.bottom - target.top) // height * height)
    columns = max(width, (target.right - target.left) // width * width)
    area = _room(target_sheet, a1.Area(target.top, target.left, target.top + rows, target.left + columns))
    kind = given.get("pasteType", "PASTE_NORMAL")
    evaluator = Evaluator(context.book)

    def change(r: int, c: int, cell: Cell) -> Cell:
        down, right = (r - area.top) % height, (c - area.left) % width
        origin = (source.top + right, source.left + down) if transpose else (source.top + down, source.left + right)
        return _pasted(
            cell,
            block[down][right],
            kind,
            (r - origin[0], c - origin[1]),
            lambda: evaluator.value(source_sheet, *origin, block[down][right]),
        )

    change_cells(target_sheet, area, change)


def _room(sheet: Sheet, area: a1.Area) -> a1.Area:
    return a1.Area(area.top, area.left, min(area.bottom, sheet.rows), min(area.right, sheet.columns))


def _block(sheet: Sheet, area: a1.Area) -> list[list[Cell]]:
    rows = dict(sheet.grid.rows(area.top, area.bottom))
    return [(rows.get(r, []) + [None] * area.right)[area.left : area.right] for r in range(area.top, area.bottom)]


PASTE_PARTS = {
    "PASTE_NORMAL": {"v", "f", "fmt", "note", "dv"},
    "PASTE_VALUES": {"v"},
    "PASTE_FORMAT": {"fmt"},
    "PASTE_NO_BORDERS": {"v", "f", "fmt", "note", "dv"},
    "PASTE_FORMULA": {"v", "f"},
    "PASTE_DATA_VALIDATION": {"dv"},
    "PASTE_CONDITIONAL_FORMATTING": set(),
}


def _pasted(old: Cell, new: Cell, kind: str, moved: tuple[int, int], value: Callable[[], Any]) -> Cell:
    if kind not in PASTE_PARTS:
        raise bad_field("paste_type", f"Invalid value at 'paste_type', \"{kind}\"")
    parts, source = PASTE_PARTS[kind], as_dict(new)
    if kind == "PASTE_VALUES" and "f" in source:
        source = {"v": value()}
    if "f" in source:
        source["f"] = references.copied(source["f"], *moved)
    if kind == "PASTE_NO_BORDERS" and "fmt" in source:
        source["fmt"] = {key: item for key, item in source["fmt"].items() if key != "borders"}
    kept = {key: item for key, item in as_dict(old).items() if key not in (parts | {"f"} if "v" in parts else parts)}
    return simplest(kept | {key: item for key, item in source.items() if key in parts})


def cut_paste(context: Context, given: dict[str, Any]) -> None:
    """CutPasteRequest."""
    source_sheet, source = context.area(given.get("source", {}))
    place = given.get("destination", {})
    target_sheet = context.sheet(place.get("sheetId"))
    top, left = place.get("rowIndex", 0), place.get("columnIndex", 0)
    block = _block(source_sheet, source)
    kind = given.get("pasteType", "PASTE_NORMAL")
    area = a1.Area(top, left, top + source.bottom - source.top, left + source.right - source.left)
    if area.bottom > target_sheet.rows or area.right > target_sheet.columns:
        raise a1.outside(
            target_sheet.title,
            a1.Box(area.top, area.left, area.bottom, area.right),
            target_sheet.rows,
            target_sheet.columns,
        )
    evaluator = Evaluator(context.book)
    kept = [
        [
            evaluator.value(source_sheet, source.top + i, source.left + j, cell) if isinstance(cell, dict) else cell
            for j, cell in enumerate(line)
        ]
        for i, line in enumerate(block)
    ]
    parts = PASTE_PARTS.get(kind, set())
    change_cells(
        source_sheet, source, lambda _r, _c, cell: simplest({k: v for k, v in as_dict(cell).items() if k not in parts})
    )
    change_cells(
        target_sheet,
        area,
        lambda r, c, cell: _pasted(cell, block[r - top][c - left], kind, (0, 0), lambda: kept[r - top][c - left]),
    )


def find_replace(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """FindReplaceRequest; the counts of what was changed."""
    pattern = _pattern(given)
    counts = {"valuesChanged": 0, "formulasChanged": 0, "rowsChanged": 0, "sheetsChanged": 0, "occurrencesChanged": 0}
    if given.get("allSheets"):
        places = [(sheet, sheet.clip(a1.Box())) for sheet in context.book.sheets]
    elif "sheetId" in given:
        places = [(context.sheet(given["sheetId"]), context.sheet(given["sheetId"]).clip(a1.Box()))]
    elif "range" in given:
        places = [context.area(given["range"])]
    else:
        raise InvalidArgument("Must specify one of range, sheetId or allSheets.")
    for sheet, area in places:
        before = counts["rowsChanged"]
        _replace_in(sheet, area, pattern, given, counts)
        counts["sheetsChanged"] += counts["rowsChanged"] > before
    return {"findReplace": {name: count for name, count in counts.items() if count}}


def _pattern(given: dict[str, Any]) -> re.Pattern[str]:
    text = given.get("find", "")
    if not text:
        raise InvalidArgument("Find text must not be empty.")
    source = text if given.get("searchByRegex") else re.escape(text)
    if given.get("matchEntireCell"):
        source = rf"\A(?:{source})\Z"
    try:
        return re.compile(source, 0 if given.get("matchCase") else re.IGNORECASE)
    except re.error as error:
        raise InvalidArgument(f"Invalid regular expression: {error}") from error


def _replace_in(
    sheet: Sheet, area: a1.Area, pattern: re.Pattern[str], given: dict[str, Any], counts: dict[str, int]
) -> None:
    new = given.get("replacement", "")
    new = re.sub(r"\$(\d)", r"\\\1", new) if given.get("searchByRegex") else new.replace("\\", "\\\\")
    changed_rows = []
    for r, cells in list(sheet.grid.rows(area.top, area.bottom)):
        hits = 0
        for c in range(area.left, min(area.right, len(cells))):
            cell, count = _replaced(cells[c], pattern, new, given, counts)
            if count:
                cells[c], hits = cell, hits + count
        if hits:
            counts["rowsChanged"] += 1
            counts["occurrencesChanged"] += hits
            changed_rows.append((r, cells))
    sheet.grid.put(changed_rows)


def _replaced(
    cell: Cell, pattern: re.Pattern[str], new: str, given: dict[str, Any], counts: dict[str, int]
) -> tuple[Cell, int]:
    if not filled(cell):
        return cell, 0
    data = as_dict(cell)
    if "f" in data:
        if not given.get("includeFormulas"):
            return cell, 0
        data["f"], count = pattern.subn(new, data["f"])
        counts["formulasChanged"] += bool(count)
        return simplest(data), count
    style = data.get("fmt", {}).get("numberFormat")
    text, count = pattern.subn(new, display.show(data["v"], style))
    if not count:
        return cell, 0
    counts["valuesChanged"] += 1
    read = as_dict(entered.read(text))
    return simplest(
        {key: item for key, item in data.items() if key != "v"} | {k: v for k, v in read.items() if k != "fmt"}
    ), count
