"""Deleting tasks and what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.embedded.endpoints import Call
from server.embedded.errors import fail
from server.embedded.services.events import store as events
from server.embedded.services.queues import store as queues
from server.embedded.services.tasks import store


def delete_events(call: Call, identifier: str) -> None:
    """Delete everything a task or model reported."""
    events.delete_events(call.db, [identifier])


def urls_of(call: Call, task: Mapping[str, Any]) -> dict[str, list[str]]:
    """List the files a task left behind, for the client to delete."""
    identifier = task["id"]
    models = call.db.execute("SELECT uri FROM model WHERE task = ? AND uri IS NOT NULL AND uri <> ''", (identifier,))
    artifacts = task.get("execution", {}).get("artifacts", ())
    return {
        "model_urls": [row[0] for row in models],
        "artifact_urls": [a["uri"] for a in artifacts if a.get("mode") != "input" and a.get("uri")],
        "event_urls": events.event_urls(call.db, [identifier]),
    }


def delete_output_models(call: Call, task: Mapping[str, Any]) -> int:
    """Delete the models a task made that are drafts and that no other task uses."""
    rows = call.db.execute("SELECT id FROM model WHERE task = ? AND coalesce(ready, 0) = 0", (task["id"],)).fetchall()
    gone = [row[0] for row in rows if not _used(call, row[0], task["id"])]
    for model in gone:
        delete_events(call, model)
        call.db.execute("DELETE FROM model WHERE id = ?", (model,))
    return len(gone)


def _used(call: Call, model: str, except_task: str) -> bool:
    row = call.db.execute(
        "SELECT 1 FROM task_model WHERE model = ? AND side = 'input' AND task <> ? LIMIT 1", (model, except_task)
    ).fetchone()
    return row is not None


def delete_one(call: Call, identifier: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Delete one task.

    Raises
    ------
    ApiError
        `task_cannot_be_deleted`: it is no draft and force is not set.
    """
    task = store.find(call.db, identifier, call.company)
    if task["status"] != "created" and not body.get("force"):
        raise fail(
            "task_cannot_be_deleted",
            "due to status, use force=True",
            task=task["id"],
            expected="created",
            current=task["status"],
        )
    urls = urls_of(call, task) if body.get("return_file_urls") else None
    deleted = delete_output_models(call, task) if body.get("delete_output_models", True) else 0
    return remove(call, task) | {"deleted_models": deleted, "urls": urls}


def remove(call: Call, task: Mapping[str, Any]) -> dict[str, Any]:
    """Remove a task, its events and its place in a queue; children and models forget it."""
    identifier = task["id"]
    queues.remove_waiting(call.db, identifier, call.now)
    children = call.db.execute("UPDATE task SET parent = NULL WHERE parent = ?", (identifier,)).rowcount
    models = call.db.execute("UPDATE model SET task = NULL WHERE task = ?", (identifier,)).rowcount
    delete_events(call, identifier)
    call.db.execute("DELETE FROM task WHERE id = ?", (identifier,))
    store.touch_project(call, task)
    return {"deleted": True, "updated_children": children, "updated_models": models}
