"""queues.*: creating queues and handing out what waits in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from server.embedded import clock, objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import QUEUE
from server.embedded.query import find
from server.embedded.services.queues import store


@endpoint("queues.create", version="2.4", write=True)
def create(call: Call) -> dict[str, Any]:
    """Create a queue."""
    name = objects.check_name(call.body["name"])
    if store.by_name(call.db, name, call.company):
        raise fail(
            "expected_unique_data",
            "unique field already contains this value",
            err="Tried to save duplicate unique keys (E11000 Duplicate Key Error)",
        )
    tags = {key: objects.clean_tags(call.body[key], key) for key in ("tags", "system_tags") if call.body.get(key)}
    return {"id": store.create(call.db, name, call.user, call.company, call.now, **tags)}


def entries(db: sqlite3.Connection, queues: list[dict[str, Any]], paths: Sequence[str] | None) -> None:
    """Fill in who waits."""
    if paths is not None and not any(path.startswith("entries") for path in paths):
        return
    for queue in queues:
        rows = db.execute("SELECT task, added FROM queue_entry WHERE queue = ? ORDER BY position", (queue["id"],))
        queue["entries"] = [{"task": row[0], "added": clock.iso_millis(row[1])} for row in rows]


@endpoint("queues.get_all", version="2.4")
def get_all(call: Call) -> dict[str, Any]:
    """List queues."""
    return find(call.db, QUEUE, call.body, call.company, compute=entries).answer("queues")


@endpoint("queues.get_by_id", version="2.4")
def get_by_id(call: Call) -> dict[str, Any]:
    """Read one queue."""
    queue = store.require(call, call.body["queue"])
    entries(call.db, [queue], None)
    return {"queue": queue}


@endpoint("queues.get_default", version="2.4")
def get_default(call: Call) -> dict[str, Any]:
    """Name the default queue."""
    queue = store.default(call)
    return {"id": queue["id"], "name": queue["name"]}


@endpoint("queues.get_num_entries", version="2.15")
def get_num_entries(call: Call) -> dict[str, Any]:
    """Count who waits."""
    queue = store.require(call, call.body["queue"])
    return {"num": call.db.execute("SELECT count(*) FROM queue_entry WHERE queue = ?", (queue["id"],)).fetchone()[0]}


@endpoint("queues.get_next_task", version="2.4", write=True)
def get_next_task(call: Call) -> dict[str, Any]:
    """Hand out the first task that waits, to one worker only."""
    queue = store.require(call, call.body["queue"])
    row = call.db.execute(
        "SELECT task, added FROM queue_entry WHERE queue = ? ORDER BY position LIMIT 1", (queue["id"],)
    ).fetchone()
    if row is None:
        return {}
    store.remove_waiting(call.db, row["task"], call.now)
    return {"entry": {"task": row["task"], "added": clock.iso_millis(row["added"])}}


@endpoint("queues.delete", version="2.4", write=True)
def delete(call: Call) -> dict[str, Any]:
    """Delete a queue."""
    queue = store.require(call, call.body["queue"])
    waiting = call.db.execute("SELECT count(*) FROM queue_entry WHERE queue = ?", (queue["id"],)).fetchone()[0]
    if waiting and not call.body.get("force"):
        raise fail("queue_not_empty", "use force=true to delete", id=queue["id"])
    call.db.execute("DELETE FROM queue WHERE id = ?", (queue["id"],))
    return {"deleted": 1}
