"""The API's objects and their columns: one declaration per kind, and the plain reads and writes over it.

An object is a row; a field of the API is a column. Absent fields are NULL and left out of answers. Lists and objects
are JSON in a column of their own, so that a page that asks for three fields reads three columns.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from server.embedded import clock
from server.embedded.envelope import encode
from server.embedded.errors import fail

TEXT: Final = "text"
INT: Final = "int"
BOOL: Final = "bool"
TIME: Final = "time"
JSON: Final = "json"


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Attributes
    ----------
    table
        Its table, which is also its name in the table of tags.
    title
        What errors call it.
    fields
        Field to column type.
    computed
        Fields that are not columns and are filled in by `compute` of the service.
    references
        Dotted path of a field that holds an id, to the table of the object it names.
    """

    table: str
    title: str
    fields: Mapping[str, str]
    computed: frozenset[str] = frozenset()
    references: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


TASK = Kind(
    "task",
    "Task",
    {
        "id": TEXT, "company": TEXT, "user": TEXT, "name": TEXT, "type": TEXT, "status": TEXT, "status_reason": TEXT,
        "status_message": TEXT, "status_changed": TIME, "comment": TEXT, "report": TEXT, "report_assets": JSON,
        "created": TIME, "started": TIME, "completed": TIME, "published": TIME, "active_duration": INT,
        "parent": TEXT, "project": TEXT, "output": JSON, "execution": JSON, "tags": JSON, "system_tags": JSON,
        "script": JSON, "last_worker": TEXT, "last_worker_report": TIME, "last_update": TIME, "last_change": TIME,
        "last_changed_by": TEXT, "last_iteration": INT, "metric_stats": JSON, "hyperparams": JSON,
        "configuration": JSON, "runtime": JSON, "models": JSON, "container": JSON, "enqueue_status": TEXT,
    },
    computed=frozenset({"last_metrics", "unique_metrics"}),
    references={
        "company": "company", "user": "user", "project": "project", "parent": "task", "execution.queue": "queue",
        "execution.model": "model", "models.input.model": "model", "models.output.model": "model",
    },
)  # fmt: skip

MODEL = Kind(
    "model",
    "Model",
    {
        "id": TEXT, "company": TEXT, "user": TEXT, "name": TEXT, "parent": TEXT, "project": TEXT, "created": TIME,
        "task": TEXT, "comment": TEXT, "tags": JSON, "system_tags": JSON, "uri": TEXT, "framework": TEXT,
        "design": JSON, "labels": JSON, "ready": BOOL, "ui_cache": JSON, "last_update": TIME, "last_change": TIME,
        "last_changed_by": TEXT, "metadata": JSON, "last_iteration": INT, "metric_stats": JSON,
    },
    computed=frozenset({"last_metrics", "unique_metrics", "stats"}),
    references={
        "company": "company", "user": "user", "project": "project", "task": "task", "parent": "model",
    },
)  # fmt: skip

PROJECT = Kind(
    "project",
    "Project",
    {
        "id": TEXT, "company": TEXT, "user": TEXT, "name": TEXT, "basename": TEXT, "description": TEXT,
        "created": TIME, "tags": JSON, "system_tags": JSON, "default_output_destination": TEXT, "last_update": TIME,
        "featured": INT, "parent": TEXT, "path": JSON, "logo_url": TEXT, "logo_blob": TEXT,
    },
    references={"company": "company", "user": "user", "parent": "project"},
)  # fmt: skip

QUEUE = Kind(
    "queue",
    "Queue",
    {
        "id": TEXT, "company": TEXT, "user": TEXT, "name": TEXT, "display_name": TEXT, "created": TIME, "tags": JSON,
        "system_tags": JSON, "last_update": TIME, "metadata": JSON,
    },
    computed=frozenset({"entries", "entries_count", "workers"}),
    references={"company": "company", "user": "user", "entries.task": "task"},
)  # fmt: skip

USER = Kind(
    "user",
    "User",
    {
        "id": TEXT, "company": TEXT, "name": TEXT, "given_name": TEXT, "family_name": TEXT, "avatar": TEXT,
        "created": TIME, "role": TEXT,
    },
    references={"company": "company"},
)  # fmt: skip

COMPANY = Kind("company", "Company", {"id": TEXT, "name": TEXT, "created": TIME})

KINDS: Mapping[str, Kind] = {kind.table: kind for kind in (TASK, MODEL, PROJECT, QUEUE, USER, COMPANY)}


def new_id() -> str:
    """Draw an id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def to_column(kind: str, value: Any) -> Any:
    """Turn a field's value into what its column holds."""
    if value is None:
        return None
    if kind == JSON:
        return encode(value).decode()
    if kind == BOOL:
        return int(bool(value))
    return value


def from_column(kind: str, value: Any) -> Any:
    """Turn what a column holds into the value an answer carries."""
    if kind == JSON:
        return orjson.loads(value)
    if kind == TIME:
        return clock.iso_millis(value)
    if kind == BOOL:
        return bool(value)
    return value


def from_row(kind: Kind, row: sqlite3.Row) -> dict[str, Any]:
    """Turn a row into an object, absent fields left out."""
    fields = kind.fields
    return {
        key: from_column(fields[key], value)
        for key, value in zip(row.keys(), tuple(row), strict=True)
        if value is not None and key in fields
    }


def columns(kind: Kind, fields: Iterable[str] | None) -> list[str]:
    """Return the columns to read for top-level fields; all of them for None."""
    if fields is None:
        return list(kind.fields)
    return [name for name in dict.fromkeys(("id", *fields)) if name in kind.fields]


def get(
    db: sqlite3.Connection, kind: Kind, identifier: str, company: str, fields: Iterable[str] | None = None
) -> dict[str, Any] | None:
    """Read one object of a company, or None. An object without a company belongs to everybody."""
    names = ", ".join(f'"{name}"' for name in columns(kind, fields))
    row = db.execute(
        f"SELECT {names} FROM {kind.table} WHERE id = ? AND company IN (?, '')",  # noqa: S608 - names are declared above
        (identifier, company),
    ).fetchone()
    return None if row is None else from_row(kind, row)


def insert(db: sqlite3.Connection, kind: Kind, values: Mapping[str, Any]) -> None:
    """Write a new object."""
    names = [name for name in values if name in kind.fields]
    listed = ", ".join(f'"{name}"' for name in names)
    db.execute(
        f"INSERT INTO {kind.table} ({listed}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608 - names are declared
        [to_column(kind.fields[name], values[name]) for name in names],
    )


def update(db: sqlite3.Connection, kind: Kind, identifier: str, changes: Mapping[str, Any]) -> int:
    """Set fields of an object; None removes one. Returns the number of rows changed."""
    names = [name for name in changes if name in kind.fields]
    if not names:
        return 0
    assigned = ", ".join(f'"{name}" = ?' for name in names)
    values = [to_column(kind.fields[name], changes[name]) for name in names]
    statement = f"UPDATE {kind.table} SET {assigned} WHERE id = ?"  # noqa: S608 - names are declared above
    return db.execute(statement, [*values, identifier]).rowcount


def shown(kind: Kind, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Write changes as a mutation answers them: times to the microsecond."""
    return {
        name: clock.iso(value) if kind.fields.get(name) == TIME and isinstance(value, int) else value
        for name, value in changes.items()
    }


def names_of(db: sqlite3.Connection, table: str, ids: Sequence[str]) -> set[str]:
    """Return which of some ids exist."""
    marks = ", ".join("?" * len(ids))
    return {row[0] for row in db.execute(f"SELECT id FROM {table} WHERE id IN ({marks})", list(ids))}  # noqa: S608


def clean_tags(value: Any, name: str = "tags") -> list[str]:
    """Check and sort tags; duplicates stay, as on the official server."""
    if not isinstance(value, list | tuple):
        raise fail_field(name, "Only lists and tuples may be used in a list field")
    for tag in value:
        if not isinstance(tag, str):
            raise fail_field(name, "StringField only accepts string values")
    return sorted(value)


def fail_field(name: str, problem: str) -> Exception:
    """Tell that a value does not go into an object."""
    return fail("data_validation_error", None, **{name: problem})


def check_name(value: Any, name: str = "name", minimum: int = 3) -> str:
    """Strip a name and insist on its length."""
    text = str(value).strip()
    if len(text) < minimum:
        raise fail_field(name, "String value is too short")
    return text


def metadata_items(items: Any) -> dict[str, Any]:
    """Read metadata, a list of items or an object of them, as items by key."""
    listed = list(items.values()) if isinstance(items, dict) else items
    if not isinstance(listed, list) or not all(isinstance(item, dict) and item.get("key") for item in listed):
        raise fail_field("metadata", "Only items with a key may be used in metadata")
    return {
        str(item["key"]): {name: item[name] for name in ("key", "type", "value") if name in item} for item in listed
    }
