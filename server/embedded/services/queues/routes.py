"""queues.*: creating, editing and listing queues."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from server.embedded import clock, objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import ApiError, fail
from server.embedded.objects import QUEUE
from server.embedded.query import find
from server.embedded.query.filters import Where
from server.embedded.services.queues import entries, statistics, store

__all__ = ["entries", "statistics"]
ITEMS_AS_OBJECT = (2, 13)  # older clients know metadata as a list


@endpoint("queues.create", version="2.4", write=True)
def create(call: Call) -> dict[str, Any]:
    """Create a queue."""
    values = _fields(call)
    if store.by_name(call.db, values["name"], call.company):
        raise _taken("Tried to save duplicate unique keys")
    return {"id": store.create(call.db, values.pop("name"), call.user, call.company, call.now, **values)}


def _taken(what: str) -> ApiError:
    return fail(
        "expected_unique_data",
        "unique field already contains this value",
        err=f"{what} (E11000 Duplicate Key Error)",
    )


def _fields(call: Call) -> dict[str, Any]:
    body = call.body
    values: dict[str, Any] = {}
    if body.get("name") is not None:
        values["name"] = objects.check_name(body["name"])
    if body.get("display_name") is not None:
        values["display_name"] = body["display_name"]
    for key in ("tags", "system_tags"):
        if body.get(key) is not None:
            values[key] = objects.clean_tags(body[key], key)
    if body.get("metadata") is not None:
        values["metadata"] = objects.metadata_items(body["metadata"])
    return values


@endpoint("queues.update", version="2.4", write=True)
def update(call: Call) -> dict[str, Any]:
    """Edit a queue."""
    queue = store.require(call, call.body["queue"])
    values = _fields(call)
    if "name" in values and store.by_name(call.db, values["name"], call.company) not in {None, queue["id"]}:
        raise _taken("Update failed")
    values["last_update"] = call.now
    objects.update(call.db, QUEUE, queue["id"], values)
    return {"updated": 1, "fields": objects.shown(QUEUE, values)}


@endpoint("queues.get_all", version="2.4")
def get_all(call: Call) -> dict[str, Any]:
    """List queues."""
    return _list(call, expanded=False)


@endpoint("queues.get_all_ex", version="2.4")
def get_all_ex(call: Call) -> dict[str, Any]:
    """List queues with the workers that serve them, what they name as objects."""
    return _list(call, expanded=True)


def _list(call: Call, *, expanded: bool) -> dict[str, Any]:
    page = find(
        call.db, QUEUE, call.body, call.company, extra=_visible(call), expanded=expanded,
        compute=_filler(call, expanded=expanded), patterns=("name", "display_name"),
    )  # fmt: skip
    for queue in page.objects:
        _older(call, queue)
    return page.answer("queues")


def _visible(call: Call) -> Where:
    where = Where()
    if not call.body.get("search_hidden") and not call.body.get("id"):
        where.add(
            "queue.id NOT IN (SELECT object FROM tag WHERE kind = 'queue' AND field = 'system_tags' AND tag = 'hidden')"
        )
    return where


def _filler(call: Call, *, expanded: bool) -> Callable[..., None]:
    most = call.body.get("max_task_entries")
    names = call.body.get("only_fields") or []

    def fill(db: sqlite3.Connection, queues: list[dict[str, Any]], paths: Sequence[str] | None) -> None:
        if paths is None or any(path.startswith("entries") for path in paths):
            waiting(db, queues, most)
        if expanded and (paths is None or any(str(name).startswith("workers") for name in names)):
            for queue in queues:
                queue["workers"] = serving(call, queue["id"])

    return fill


def waiting(db: sqlite3.Connection, queues: Sequence[dict[str, Any]], most: int | None = None) -> None:
    """Fill in who waits, the first ones when there is a limit."""
    for queue in queues:
        rows = db.execute(
            "SELECT task, added FROM queue_entry WHERE queue = ? ORDER BY position LIMIT ?",
            (queue["id"], -1 if most is None else max(0, most)),
        )
        queue["entries"] = [{"task": row[0], "added": clock.iso_millis(row[1])} for row in rows]


def _waiting_count(db: sqlite3.Connection, queue: str) -> int:
    return int(db.execute("SELECT count(*) FROM queue_entry WHERE queue = ?", (queue,)).fetchone()[0])


def serving(call: Call, queue: str) -> list[dict[str, Any]]:
    """Name the live workers that pull from a queue."""
    rows = call.db.execute(
        "SELECT w.id, w.ip, w.task, w.last_activity, t.name AS title FROM worker w LEFT JOIN task t ON t.id = w.task"
        " WHERE w.company = ? AND w.last_activity > ? - 1000000 * coalesce(w.timeout, ?)"
        " AND EXISTS (SELECT 1 FROM json_each(w.queues) q WHERE q.value = ?)",
        (call.company, call.now, store.WORKER_ALIVE_S, queue),
    )
    return [
        {"name": row["id"], "ip": row["ip"], "task": {"id": row["task"], "name": row["title"]} if row["task"] else None}
        for row in rows
    ]


def _older(call: Call, queue: dict[str, Any]) -> None:
    if call.version < ITEMS_AS_OBJECT and isinstance(queue.get("metadata"), dict):
        queue["metadata"] = list(queue["metadata"].values())


@endpoint("queues.get_by_id", version="2.4")
def get_by_id(call: Call) -> dict[str, Any]:
    """Read one queue."""
    queue = store.require(call, call.body["queue"])
    waiting(call.db, [queue], call.body.get("max_task_entries"))
    _older(call, queue)
    return {"queue": queue}


@endpoint("queues.get_default", version="2.4")
def get_default(call: Call) -> dict[str, Any]:
    """Name the default queue."""
    queue = store.default(call)
    return {"id": queue["id"], "name": queue["name"]}


@endpoint("queues.get_num_entries", version="2.15")
def get_num_entries(call: Call) -> dict[str, Any]:
    """Count who waits."""
    return {"num": _waiting_count(call.db, store.require(call, call.body["queue"])["id"])}


@endpoint("queues.delete", version="2.4", write=True)
def delete(call: Call) -> dict[str, Any]:
    """Delete a queue; with force also one in which tasks wait, which then wait no longer."""
    queue = store.require(call, call.body["queue"])
    if _waiting_count(call.db, queue["id"]):
        if not call.body.get("force"):
            raise fail("queue_not_empty", "use force=true to delete", id=queue["id"])
        entries.empty(call, queue["id"])
    call.db.execute("DELETE FROM queue WHERE id = ?", (queue["id"],))
    call.db.execute("DELETE FROM queue_report WHERE queue = ?", (queue["id"],))
    return {"deleted": 1}


@endpoint("queues.add_or_update_metadata", version="2.13", write=True)
def add_or_update_metadata(call: Call) -> dict[str, Any]:
    """Add metadata, or replace all of it."""
    queue = store.require(call, call.body["queue"])
    old = {} if call.body.get("replace_metadata") else dict(queue.get("metadata") or {})
    return _save_metadata(call, queue["id"], old | objects.metadata_items(call.body["metadata"]))


@endpoint("queues.delete_metadata", version="2.13", write=True)
def delete_metadata(call: Call) -> dict[str, Any]:
    """Delete metadata by key."""
    queue = store.require(call, call.body["queue"])
    gone = set(call.body["keys"])
    kept = {key: item for key, item in (queue.get("metadata") or {}).items() if key not in gone}
    return _save_metadata(call, queue["id"], kept)


def _save_metadata(call: Call, queue: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {"updated": objects.update(call.db, QUEUE, queue, {"metadata": metadata, "last_update": call.now})}
