"""What the server does of itself: stops tasks that fell silent, keeps what retention allows, tidies the database."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass

from server.embedded import clock, objects
from server.embedded.objects import TASK
from server.embedded.services.events import store as events
from server.embedded.state import Settings, State

log = logging.getLogger("server.embedded.watchdog")
SECOND = 1_000_000
DAY = 86_400 * SECOND
CHUNK = 100


@dataclass(frozen=True)
class Round:
    """What one round of the watchdog did."""

    stopped: int = 0
    deleted_tasks: int = 0
    deleted_logs: int = 0


def stop_silent(db: sqlite3.Connection, silent_s: float, now: int) -> int:
    """Stop running tasks that have shown no sign of life for a while. Returns how many."""
    rows = db.execute(
        "SELECT id FROM task WHERE status = 'in_progress' AND last_update < ?", (now - int(silent_s * SECOND),)
    ).fetchall()
    for row in rows:
        changes = {
            "status": "stopped",
            "status_reason": "Forced stop (non-responsive)",
            "status_message": "Forced stop (non-responsive)",
            "status_changed": now,
            "completed": now,
            "last_update": now,
            "last_change": now,
        }
        objects.update(db, TASK, row["id"], changes)
    return len(rows)


def delete_archived(db: sqlite3.Connection, days: float, now: int) -> int:
    """Delete tasks that have lain in the archive for longer than is kept. Returns how many."""
    rows = db.execute(
        "SELECT id FROM task WHERE last_change < ? AND EXISTS (SELECT 1 FROM tag WHERE object = task.id"
        " AND field = 'system_tags' AND tag = 'archived') LIMIT ?",
        (now - int(days * DAY), CHUNK),
    ).fetchall()
    ids = [row["id"] for row in rows]
    marks = ", ".join("?" * len(ids))
    events.delete_events(db, ids)
    db.execute(f"UPDATE task SET parent = NULL WHERE parent IN ({marks})", ids)  # noqa: S608 - placeholders
    db.execute(f"UPDATE model SET task = NULL WHERE task IN ({marks})", ids)  # noqa: S608 - placeholders
    db.execute(f"DELETE FROM task WHERE id IN ({marks})", ids)  # noqa: S608 - placeholders
    return len(ids)


def delete_logs(db: sqlite3.Connection, days: float, now: int) -> int:
    """Delete console lines older than is kept. Returns how many."""
    oldest = (now - int(days * DAY)) // 1000
    chosen = "SELECT id FROM log WHERE received < ? LIMIT 10000"
    return db.execute(f"DELETE FROM log WHERE id IN ({chosen})", (oldest,)).rowcount  # noqa: S608 - fixed text


def run_round(db: sqlite3.Connection, settings: Settings, now: int) -> Round:
    """Do one round, in the write thread."""
    return Round(
        stop_silent(db, settings.silent_task_s, now),
        delete_archived(db, settings.archive_days, now) if settings.archive_days else 0,
        delete_logs(db, settings.log_days, now) if settings.log_days else 0,
    )


async def watch(state: State) -> None:
    """Do rounds for as long as the server runs."""
    while True:
        await asyncio.sleep(state.settings.watchdog_every_s)
        try:
            done = await asyncio.wrap_future(state.db.write(lambda db: run_round(db, state.settings, clock.now())))
        except sqlite3.Error:
            log.exception("a round of the watchdog failed; the next one is in %s s", state.settings.watchdog_every_s)
        else:
            if done != Round():
                log.warning("watchdog: %s", done)
