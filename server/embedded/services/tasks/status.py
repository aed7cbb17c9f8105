"""The life of a task: which change of status is allowed from where, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from server.embedded.endpoints import Call
from server.embedded.errors import fail
from server.embedded.services.tasks import store

# as the official server was recorded: new status -> statuses it is reached from without force
ALLOWED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "in_progress": frozenset({"created", "queued", "in_progress", "stopped", "completed"}),
        "stopped": frozenset({"queued", "in_progress", "stopped", "failed"}),
        "completed": frozenset({"in_progress", "stopped", "completed"}),
        "failed": frozenset({"in_progress", "stopped", "failed"}),
        "closed": frozenset({"stopped"}),
        "published": frozenset({"stopped", "completed", "failed", "publishing"}),
        "queued": frozenset({"created", "stopped", "failed"}),
    }
)
RUNNING = frozenset({"created", "queued", "in_progress"})


def check(task: Mapping[str, Any], status: str, *, force: bool) -> None:
    """Insist that a change of status is allowed.

    Raises
    ------
    ApiError
        `invalid_task_status`
    """
    if not force and task["status"] not in ALLOWED[status]:
        raise fail("invalid_task_status", "Invalid status change", current_status=task["status"], new_status=status)


def change(
    call: Call, task: Mapping[str, Any], status: str, *, reason: str = "", message: str = "", **extra: Any
) -> dict[str, Any]:
    """Write a new status. Returns everything that changed."""
    changes = {
        "status": status,
        "status_reason": reason,
        "status_message": message,
        "status_changed": call.now,
        **extra,
    }
    if task["status"] == "in_progress" and task.get("started") and status != "in_progress":
        changes["active_duration"] = active_seconds(call, task)
    written = store.save(call, task["id"], changes, progress=True)
    written.pop("active_duration", None)
    store.touch_project(call, task)
    return written


def active_seconds(call: Call, task: Mapping[str, Any]) -> int:
    """Seconds since the task was started."""
    row = call.db.execute("SELECT started FROM task WHERE id = ?", (task["id"],)).fetchone()
    return max(0, (call.now - row[0]) // 1_000_000) if row and row[0] else 0


def texts(body: Mapping[str, Any]) -> dict[str, str]:
    """Read the reason and message of a request."""
    return {"reason": str(body.get("status_reason") or ""), "message": str(body.get("status_message") or "")}


def require_mutable(task: Mapping[str, Any], *, force: bool) -> None:
    """Insist on a draft; with force also on one that waits or runs."""
    if task["status"] != "created" and not (force and task["status"] in RUNNING):
        raise fail("invalid_task_status", expected="created", status=task["status"])
