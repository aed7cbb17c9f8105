"""Queues and who waits in them. A task waits in one queue at most."""

from __future__ import annotations

import sqlite3
from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call
from server.embedded.errors import fail
from server.embedded.objects import QUEUE

WORKER_ALIVE_S = 600
KEPT_MS = 30 * 86_400_000  # how long the lengths of queues are remembered


def require(call: Call, identifier: Any) -> dict[str, Any]:
    """Read a queue.

    Raises
    ------
    ApiError
        `invalid_queue_id`
    """
    found = objects.get(call.db, QUEUE, str(identifier), call.company)
    if found is None:
        raise fail("invalid_queue_id", id=identifier, company=call.company)
    return found


def create(db: sqlite3.Connection, name: str, user: str, company: str, now: int, **fields: Any) -> str:
    """Create a queue. Returns its id."""
    identifier = objects.new_id()
    values: dict[str, Any] = {
        "id": identifier, "company": company, "user": user, "name": name, "created": now, "tags": [],
        "system_tags": [], "last_update": now, "metadata": {},
    }  # fmt: skip
    objects.insert(db, QUEUE, values | {key: value for key, value in fields.items() if value is not None})
    return identifier


def by_name(db: sqlite3.Connection, name: str, company: str) -> str | None:
    """Find a queue by its exact name."""
    row = db.execute("SELECT id FROM queue WHERE company = ? AND name = ?", (company, name)).fetchone()
    return None if row is None else str(row[0])


def default(call: Call) -> dict[str, Any]:
    """Return the default queue, made when an installation has none."""
    row = call.db.execute(
        "SELECT object FROM tag JOIN queue ON queue.id = object WHERE kind = 'queue' AND field = 'system_tags'"
        " AND tag = 'default' AND company = ?",
        (call.company,),
    ).fetchone()
    if row is None:
        raise fail("no_default_queue")
    return require(call, row[0])


def chosen(call: Call, identifier: Any, name: Any) -> str:
    """Return the queue a request names by id or name (made when new), or the default one."""
    if identifier:
        return str(require(call, identifier)["id"])
    if name:
        text = objects.check_name(name)
        return by_name(call.db, text, call.company) or create(call.db, text, call.user, call.company, call.now)
    return str(default(call)["id"])


def add(db: sqlite3.Connection, queue: str, task: str, now: int) -> None:
    """Let a task wait at the end of a queue."""
    last = db.execute("SELECT max(position) FROM queue_entry WHERE queue = ?", (queue,)).fetchone()[0]
    db.execute("INSERT INTO queue_entry VALUES (?, ?, ?, ?)", (queue, (last or 0) + 1, task, now))
    db.execute("UPDATE queue SET last_update = ? WHERE id = ?", (now, queue))
    note(db, queue, now)


def note(db: sqlite3.Connection, queue: str, now: int, waited: float | None = None) -> None:
    """Remember the length of a queue after a change, and how long a task that left had waited (seconds)."""
    at = now // 1000
    length = db.execute("SELECT count(*) FROM queue_entry WHERE queue = ?", (queue,)).fetchone()[0]
    db.execute("INSERT INTO queue_report VALUES (?, ?, ?, ?)", (queue, at, waited, length))
    db.execute("DELETE FROM queue_report WHERE at < ?", (at - KEPT_MS,))


def waiting_in(db: sqlite3.Connection, task: str) -> str | None:
    """Return the queue a task waits in."""
    row = db.execute("SELECT queue FROM queue_entry WHERE task = ?", (task,)).fetchone()
    return None if row is None else str(row[0])


def remove_waiting(db: sqlite3.Connection, task: str, now: int, waited: float | None = None) -> bool:
    """Take a task out of whatever queue it waits in; `waited` seconds when it leaves to be run."""
    queue = waiting_in(db, task)
    if queue is None:
        return False
    db.execute("DELETE FROM queue_entry WHERE task = ?", (task,))
    db.execute("UPDATE queue SET last_update = ? WHERE id = ?", (now, queue))
    note(db, queue, now, waited)
    return True


def worker_of(db: sqlite3.Connection, task: str, now: int) -> str | None:
    """Return a live worker that reports to be running a task."""
    row = db.execute(
        "SELECT id FROM worker WHERE task = ? AND last_activity > ? - 1000000 * coalesce(timeout, ?)",
        (task, now, WORKER_ALIVE_S),
    ).fetchone()
    return None if row is None else str(row[0])


def watched(db: sqlite3.Connection, queue: str, now: int) -> bool:
    """Tell whether a live worker serves a queue."""
    row = db.execute(
        "SELECT 1 FROM worker, json_each(worker.queues) AS q WHERE q.value = ?"
        " AND last_activity > ? - 1000000 * coalesce(timeout, ?)",
        (queue, now, WORKER_ALIVE_S),
    ).fetchone()
    return row is not None
