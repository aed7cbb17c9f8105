"""Projects by path: found, created with their parents, moved."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from server.embedded import clock, objects
from server.embedded.errors import fail
from server.embedded.objects import PROJECT

FEATURED = 9999
SHORTEST = 3
DEEPEST = 10


def normalized(name: str) -> str:
    """Write a path as it is kept: parts stripped, empty ones dropped.

    Raises
    ------
    ApiError
        `invalid_project_name`, or `validation_error` for a last part that is too short.
    """
    if not name.strip():
        raise fail("validation_error", "Project name cannot be blank")
    parts = [part.strip() for part in name.split("/") if part.strip()]
    if not parts:
        raise fail("invalid_project_name", name=name)
    if len(parts[-1]) < SHORTEST:
        raise fail("validation_error", "Project name cannot be blank")
    if len(parts) > DEEPEST:
        raise fail("project_path_exceeds_max", max_depth=DEEPEST)
    return "/".join(parts)


def by_name(db: sqlite3.Connection, name: str, company: str) -> dict[str, Any] | None:
    """Find a project by its whole path."""
    row = db.execute("SELECT id FROM project WHERE company = ? AND name = ?", (company, name)).fetchone()
    return None if row is None else objects.get(db, PROJECT, row[0], company)


def require(db: sqlite3.Connection, identifier: str, company: str) -> dict[str, Any]:
    """Read a project.

    Raises
    ------
    ApiError
        `invalid_project_id`
    """
    found = objects.get(db, PROJECT, identifier, company)
    if found is None:
        raise fail("invalid_project_id", id=identifier)
    return found


def create(db: sqlite3.Connection, name: str, user: str, company: str, **fields: Any) -> str:
    """Create a project whose path is free, with the parents that are missing. Returns its id."""
    head, _, basename = name.rpartition("/")
    parent = ensure(db, head, user, company) if head else None
    now = clock.now()
    identifier = objects.new_id()
    path = [*parent.get("path", []), parent["id"]] if parent else []
    values = {
        "id": identifier, "company": company, "user": user, "name": name, "basename": basename, "description": "",
        "created": now, "tags": [], "system_tags": [], "last_update": now, "featured": FEATURED,
        "parent": parent["id"] if parent else None, "path": path,
    }  # fmt: skip
    objects.insert(db, PROJECT, values | {key: value for key, value in fields.items() if value is not None})
    return identifier


def ensure(db: sqlite3.Connection, name: str, user: str, company: str, **fields: Any) -> dict[str, Any]:
    """Find a project by path, or create it."""
    found = by_name(db, name, company)
    if found is not None:
        return found
    return require(db, create(db, name, user, company, **fields), company)


def touch(db: sqlite3.Connection, identifier: str | None, now: int) -> None:
    """Note that something in a project changed."""
    if identifier:
        db.execute("UPDATE project SET last_update = ? WHERE id = ?", (now, identifier))


def with_children(db: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """Return projects and everything below them, each once."""
    found = dict.fromkeys(ids)
    frontier = list(found)
    while frontier:
        rows = db.execute(
            f"SELECT id FROM project WHERE parent IN ({', '.join('?' * len(frontier))})",  # noqa: S608 - placeholders
            frontier,
        )
        frontier = [row[0] for row in rows if row[0] not in found]
        found |= dict.fromkeys(frontier)
    return list(found)


def resolve(db: sqlite3.Connection, identifier: str | None, name: str | None, user: str, company: str) -> str | None:
    """Return the project an id or, failing that, a path names; a path is created when it is new."""
    if identifier:
        return str(require(db, identifier, company)["id"])
    if name:
        return str(ensure(db, normalized(name), user, company)["id"])
    return None


def rename_below(db: sqlite3.Connection, company: str, old: str, new: str) -> None:
    """Carry a changed path through to everything below."""
    db.execute(
        "UPDATE project SET name = ? || substr(name, ?) WHERE company = ? AND name > ? AND name < ?",
        (new, len(old) + 1, company, old + "/", old + "0"),
    )
