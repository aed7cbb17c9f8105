"""From rows to what a client asked for: `only_fields` with dotted paths, and references answered as objects."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server.embedded.errors import fail
from server.embedded.objects import JSON, KINDS, Kind
from server.embedded.query.filters import marks, path_parts

EVERYTHING = "*"


def checked_fields(kind: Kind, body: Mapping[str, Any], *, expanded: bool) -> list[str] | None:
    """Return the fields a request asks for; None for all. Only expanded answers follow references.

    Raises
    ------
    ApiError
        `fields_not_defined`, or `invalid_field` where references are not followed.
    """
    asked = body.get("only_fields")
    if not asked:
        return None
    paths = [str(item) for item in (asked if isinstance(asked, list) else list(dict.fromkeys(str(asked))))]
    known = set(kind.fields) | kind.computed | {EVERYTHING}
    unknown = [path for path in paths if path.split(".")[0] not in known]
    if unknown and not expanded:
        raise fail("invalid_field", err=f'Cannot resolve field "{unknown[0]}"')
    if unknown:
        raise fail("fields_not_defined", fields=tuple(unknown), object=kind.title)
    if not expanded:
        _check_nesting(kind, paths)
        return paths
    named = [reference for reference in kind.references if any(path.startswith(reference + ".") for path in paths)]
    return paths + [f"{reference}.id" for reference in named]


def _check_nesting(kind: Kind, paths: Iterable[str]) -> None:
    """Refuse a path below a plain field, such as `parent.name` where references are not followed."""
    for path in paths:
        head, *rest = path.split(".")
        if rest and head in kind.fields and kind.fields[head] != JSON:
            raise fail("invalid_field", err=f'Cannot resolve field "{rest[-1]}"')


def pick(source: Mapping[str, Any], parts: Sequence[str], target: dict[str, Any]) -> None:
    """Copy one dotted path; parents come along even when they are empty."""
    head, *rest = parts
    if head not in source:
        return
    value = source[head]
    if not rest or value is None:
        target[head] = value
    elif isinstance(value, dict):
        inner = target.setdefault(head, {})
        if isinstance(inner, dict):
            pick(value, rest, inner)
    elif isinstance(value, list):
        _pick_items(value, rest, target, head)


def _pick_items(value: list[Any], rest: Sequence[str], target: dict[str, Any], head: str) -> None:
    inner = target.setdefault(head, [{} for _ in value])
    for item, slot in zip(value, inner, strict=False):
        if isinstance(item, dict) and isinstance(slot, dict):
            pick(item, rest, slot)


def project_fields(
    objects: Sequence[Mapping[str, Any]], paths: Sequence[str] | None, *, with_id: bool
) -> list[dict[str, Any]]:
    """Cut objects down to what was asked for."""
    if paths is None:
        return [dict(item) for item in objects]
    if EVERYTHING in paths:  # whole objects; the paths beside it say which fields of named objects are wanted
        return [dict(item) for item in objects]
    split = [path_parts(path) for path in paths]
    answers = []
    for item in objects:
        target: dict[str, Any] = {"id": item["id"]} if with_id else {}
        for parts in split:
            pick(item, parts, target)
        answers.append(target)
    return answers


def expand(db: sqlite3.Connection, kind: Kind, objects: list[dict[str, Any]], paths: Sequence[str] | None) -> None:
    """Replace ids of other objects by `{"id": ...}` with whatever fields of theirs were asked for (in place)."""
    for reference, table in kind.references.items():
        asked = sorted({path[len(reference) + 1 :] for path in paths or () if path.startswith(reference + ".")})
        slots = [slot for item in objects for slot in _slots(item, reference.split("."))]
        known = _named(db, table, {slot[0][slot[1]] for slot in slots}, [name for name in asked if name != "id"])
        for holder, key in slots:
            holder[key] = {"id": holder[key], **known.get(holder[key], {})}


def _slots(item: Any, parts: Sequence[str]) -> list[tuple[dict[str, Any], str]]:
    if isinstance(item, list):
        return [slot for inner in item for slot in _slots(inner, parts)]
    if not isinstance(item, dict) or parts[0] not in item:
        return []
    if len(parts) == 1:
        return [(item, parts[0])] if isinstance(item[parts[0]], str) and item[parts[0]] else []
    return _slots(item[parts[0]], parts[1:])


def _named(db: sqlite3.Connection, table: str, ids: set[str], asked: Sequence[str]) -> dict[str, dict[str, Any]]:
    from server.embedded.objects import columns, from_row  # noqa: PLC0415 - objects and projection name each other

    kind = KINDS[table]
    known = [path for path in asked if path.split(".")[0] in kind.fields]
    if not known or not ids:
        return {}
    names = ", ".join(f'"{name}"' for name in columns(kind, [path.split(".")[0] for path in known]))
    found: dict[str, dict[str, Any]] = {}
    listed = list(ids)
    for start in range(0, len(listed), 500):
        part = listed[start : start + 500]
        rows = db.execute(f"SELECT {names} FROM {table} WHERE id IN ({marks(part)})", part)  # noqa: S608 - declared names
        objects = [from_row(kind, row) for row in rows]
        for answer in project_fields(objects, known, with_id=True):
            found[answer["id"]] = answer
    return found
