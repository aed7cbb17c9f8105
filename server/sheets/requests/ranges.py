"""Requests about what is attached to ranges: names, protection, filters, validation, colours by rule, metadata."""

from __future__ import annotations

import re
import secrets
from typing import Any

from server.sheets import datafilters
from server.sheets.cells import Cell, filled, simplest
from server.sheets.errors import InvalidArgument
from server.sheets.requests.cellwork import as_dict, change_cells
from server.sheets.requests.context import Context
from server.sheets.requests.styles import rounded_colors
from server.sheets.storage.book import Sheet
from server.sheets.text import a1, fields
from server.sheets.text.a1 import parse_cells

NAME = re.compile(r"[A-Za-z_\u0080-\uffff][A-Za-z0-9_.\u0080-\uffff]{0,249}")


def _kept(given: dict[str, Any], context: Context) -> dict[str, Any]:
    """A GridRange as it is stored: checked, sheet 0 left out."""
    sheet = context.sheet(given.get("sheetId"))
    return a1.to_grid_range(sheet.id, a1.from_grid_range(given), given)


def _new_id() -> int:
    return secrets.randbelow(2**31 - 1) + 1


def add_named_range(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """AddNamedRangeRequest."""
    wanted = given.get("namedRange", {})
    name = wanted.get("name", "")
    _check_name(context, name)
    entry = {
        "namedRangeId": str(wanted.get("namedRangeId") or _new_id()),
        "name": name,
        "range": _kept(wanted.get("range", {}), context),
    }
    context.book.touch().setdefault("namedRanges", []).append(entry)
    return {"addNamedRange": {"namedRange": entry}}


def _check_name(context: Context, name: str) -> None:
    if not NAME.fullmatch(name) or name.upper() in {"TRUE", "FALSE"} or parse_cells(name):
        raise InvalidArgument(f'The name "{name}" is not a valid name for a range.')
    if context.book.named_range(name):
        raise InvalidArgument(f"A named range with the name '{name}' already exists.")


def _named(context: Context, named_id: str) -> dict[str, Any]:
    for entry in context.book.touch().get("namedRanges", []):
        if entry["namedRangeId"] == named_id:
            return dict(entry)
    raise InvalidArgument(f"No named range with id: {named_id}")


def update_named_range(context: Context, given: dict[str, Any]) -> None:
    """UpdateNamedRangeRequest."""
    wanted, mask = given.get("namedRange", {}), fields.parse(given.get("fields") or "*")
    old = _named(context, wanted.get("namedRangeId", ""))
    new = dict(old)
    if fields.wants(mask, "name") and wanted.get("name", old["name"]) != old["name"]:
        _check_name(context, wanted["name"])
        new["name"] = wanted["name"]
    if fields.wants(mask, "range") and "range" in wanted:
        new["range"] = _kept(wanted["range"], context)
    entries = context.book.doc["namedRanges"]
    entries[entries.index(old)] = new


def delete_named_range(context: Context, given: dict[str, Any]) -> None:
    """DeleteNamedRangeRequest."""
    entry = _named(context, given.get("namedRangeId", ""))
    context.book.doc["namedRanges"].remove(entry)


def add_protected_range(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """AddProtectedRangeRequest; the reply lists the editors asked for, the sheet then also its owner."""
    wanted = given.get("protectedRange", {})
    sheet = context.sheet(wanted.get("range", {}).get("sheetId"))
    entry: dict[str, Any] = {"protectedRangeId": _new_id(), "range": _kept(wanted.get("range", {}), context)}
    if "namedRangeId" in wanted:
        entry["namedRangeId"] = wanted["namedRangeId"]
    entry |= {key: wanted[key] for key in ("description", "warningOnly", "unprotectedRanges") if wanted.get(key)}
    entry["requestingUserCanEdit"] = True
    asked = {key: people for key, people in (wanted.get("editors") or {}).items() if people}
    users = asked.get("users", [])
    entry["editors"] = asked | {"users": users if context.email in users else [*users, context.email]}
    reply = entry | {"editors": asked}
    sheet.items("protectedRanges").append(entry)
    return {"addProtectedRange": {"protectedRange": reply}}


def _protected(context: Context, protected_id: Any) -> tuple[Sheet, dict[str, Any]]:
    for sheet in context.book.sheets:
        for entry in sheet.doc.get("protectedRanges", []):
            if entry["protectedRangeId"] == protected_id:
                sheet.touch()
                return sheet, entry
    raise InvalidArgument(f"No protected range with id: {protected_id}")


def update_protected_range(context: Context, given: dict[str, Any]) -> None:
    """UpdateProtectedRangeRequest."""
    wanted = dict(given.get("protectedRange", {}))
    _, entry = _protected(context, wanted.get("protectedRangeId"))
    if "range" in wanted:
        wanted["range"] = _kept(wanted["range"], context)
    fields.update(entry, fields.parse(given.get("fields") or "*"), wanted)


def delete_protected_range(context: Context, given: dict[str, Any]) -> None:
    """DeleteProtectedRangeRequest."""
    sheet, entry = _protected(context, given.get("protectedRangeId"))
    sheet.doc["protectedRanges"].remove(entry)


def set_basic_filter(context: Context, given: dict[str, Any]) -> None:
    """SetBasicFilterRequest; open ends become the sheet's."""
    wanted = given.get("filter", {})
    sheet = context.sheet(wanted.get("range", {}).get("sheetId"))
    area = sheet.clip(a1.from_grid_range(wanted.get("range", {})))
    whole = a1.to_grid_range(sheet.id, a1.Box(area.top, area.left, area.bottom, area.right))
    sheet.touch()["basicFilter"] = {**wanted, "range": whole}


def clear_basic_filter(context: Context, given: dict[str, Any]) -> None:
    """ClearBasicFilterRequest."""
    context.sheet(given.get("sheetId")).touch().pop("basicFilter", None)


def set_data_validation(context: Context, given: dict[str, Any]) -> None:
    """SetDataValidationRequest; without a rule, rules are removed."""
    sheet, area = context.area(given.get("range", {}))
    rule = {key: value for key, value in (given.get("rule") or {}).items() if value not in (False, None)}
    only_filled = bool(given.get("filteredRowsIncluded"))

    def change(_r: int, _c: int, cell: Cell) -> Cell:
        if only_filled and not filled(cell) and not rule:
            return cell
        return simplest(as_dict(cell) | {"dv": rule or None})

    change_cells(sheet, area, change)


def add_conditional_format(context: Context, given: dict[str, Any]) -> None:
    """AddConditionalFormatRuleRequest: kept and shown back; nothing is coloured here."""
    rule = rounded_colors(given.get("rule", {}))
    ranges = [_kept(entry, context) for entry in rule.get("ranges", [])]
    if not ranges:
        raise InvalidArgument("ConditionalFormatRule must have at least one range.")
    sheet = context.sheet(ranges[0].get("sheetId"))
    rules = sheet.items("conditionalFormats")
    rules.insert(given.get("index", 0), {**rule, "ranges": ranges})


def delete_conditional_format(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """DeleteConditionalFormatRuleRequest."""
    rules = context.sheet(given.get("sheetId")).items("conditionalFormats")
    index = given.get("index", 0)
    if index >= len(rules):
        raise InvalidArgument(f"No conditional format on sheet: {given.get('sheetId', 0)} at index: {index}")
    return {"deleteConditionalFormatRule": {"rule": rules.pop(index)}}


def create_metadata(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """CreateDeveloperMetadataRequest."""
    wanted = given.get("developerMetadata", {})
    if not wanted.get("metadataKey") or not wanted.get("visibility"):
        raise InvalidArgument("developerMetadata.metadataKey and visibility must be specified.")
    entry = {"metadataId": _new_id(), **wanted, "location": _location(context, wanted.get("location", {}))}
    context.book.touch()
    datafilters.all_metadata(context.book).append(entry)
    return {"createDeveloperMetadata": {"developerMetadata": entry}}


def _location(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    if given.get("spreadsheet"):
        return {"locationType": "SPREADSHEET", "spreadsheet": True}
    if "dimensionRange" in given:
        span = given["dimensionRange"]
        context.sheet(span.get("sheetId"))
        kind = "ROW" if span.get("dimension") == "ROWS" else "COLUMN"
        return {"locationType": kind, "dimensionRange": span}
    if "sheetId" in given:
        return {"locationType": "SHEET", "sheetId": context.sheet(given["sheetId"]).id}
    raise InvalidArgument("developerMetadata.location must be specified.")


def _hits(context: Context, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lookups = [entry["developerMetadataLookup"] for entry in filters if "developerMetadataLookup" in entry]
    context.book.touch()
    entries = datafilters.all_metadata(context.book)
    return [entry for entry in entries if any(datafilters.matches(entry, lookup) for lookup in lookups)]


def update_metadata(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """UpdateDeveloperMetadataRequest."""
    hits = _hits(context, given.get("dataFilters", []))
    mask = fields.parse(given.get("fields") or "*")
    for entry in hits:
        fields.update(entry, mask, {**entry, **given.get("developerMetadata", {})})
    return {"updateDeveloperMetadata": {"developerMetadata": hits}}


def delete_metadata(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """DeleteDeveloperMetadataRequest."""
    hits = _hits(context, [given.get("dataFilter", {})])
    for entry in hits:
        datafilters.all_metadata(context.book).remove(entry)
    return {"deleteDeveloperMetadata": {"deletedDeveloperMetadata": hits}}
