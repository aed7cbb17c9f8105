"""Queues with what waits in them, and workers with what they do."""

from __future__ import annotations

import sqlite3
from typing import Any

from server.embedded import clock

SHOWN = 200


def board(db: sqlite3.Connection) -> dict[str, Any]:
    """Read queues with their first entries, and workers."""
    queues = [dict(row) for row in db.execute("SELECT id, name, display_name FROM queue ORDER BY name")]
    for queue in queues:
        queue["length"] = db.execute("SELECT count(*) FROM queue_entry WHERE queue = ?", (queue["id"],)).fetchone()[0]
        queue["entries"] = [
            dict(row)
            for row in db.execute(
                "SELECT task.id, task.name FROM queue_entry JOIN task ON task.id = queue_entry.task"
                " WHERE queue = ? ORDER BY position LIMIT 20",
                (queue["id"],),
            )
        ]
    workers = db.execute(
        "SELECT worker.id, worker.task, worker.last_activity, task.name AS task_name FROM worker"
        " LEFT JOIN task ON task.id = worker.task ORDER BY worker.last_activity DESC LIMIT ?",
        (SHOWN,),
    )
    listed = [dict(row) for row in workers]
    for worker in listed:
        worker["seen"] = clock.iso_millis(worker["last_activity"]) if worker["last_activity"] else None
    return {"queues": queues, "workers": listed}
