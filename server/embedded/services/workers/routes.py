"""workers.*: who pulls from the queues."""

from __future__ import annotations

import json
from typing import Any

from server.embedded import clock
from server.embedded.auth import COMPANY_NAME
from server.embedded.endpoints import Call, endpoint
from server.embedded.services.queues import store as queues


def _upsert(call: Call, values: dict[str, Any]) -> None:
    values = {"company": call.company, "user": call.user, "last_activity": call.now, "ip": call.client, **values}
    names = list(values)
    assigned = ", ".join(f"{name} = excluded.{name}" for name in names)
    call.db.execute(
        f"INSERT INTO worker (id, {', '.join(names)}) VALUES (?{', ?' * len(names)}) ON CONFLICT (id) DO UPDATE SET {assigned}",  # noqa: S608
        [str(call.body["worker"]), *values.values()],
    )


@endpoint("workers.register", version="2.4", write=True)
def register(call: Call) -> dict[str, Any]:
    """Announce a worker."""
    listed = [queues.require(call, queue)["id"] for queue in call.body.get("queues") or ()]
    _upsert(
        call,
        {
            "registered": call.now,
            "timeout": call.body.get("timeout") or queues.WORKER_ALIVE_S,
            "queues": json.dumps(listed),
        },
    )
    return {}


@endpoint("workers.unregister", version="2.4", write=True)
def unregister(call: Call) -> dict[str, Any]:
    """Forget a worker."""
    call.db.execute("DELETE FROM worker WHERE id = ?", (str(call.body["worker"]),))
    return {}


@endpoint("workers.status_report", version="2.4", write=True)
def status_report(call: Call) -> dict[str, Any]:
    """Tell that a worker is alive and what it runs."""
    body = call.body
    values: dict[str, Any] = {"last_report": call.now, "task": body.get("task"), "queue": body.get("queue")}
    if body.get("queues") is not None:
        values["queues"] = json.dumps(body["queues"])
    _upsert(call, values)
    if body.get("task"):
        call.db.execute(
            "UPDATE task SET last_worker = ?, last_worker_report = ?, last_update = ? WHERE id = ?",
            (str(body["worker"]), call.now, call.now, body["task"]),
        )
    return {}


@endpoint("workers.get_all", version="2.4")
def get_all(call: Call) -> dict[str, Any]:
    """List the workers that are alive."""
    since = call.now - 1_000_000 * int(call.body.get("last_seen") or 3600)
    rows = call.db.execute(
        "SELECT * FROM worker WHERE company = ? AND last_activity >= ?", (call.company, since)
    ).fetchall()
    return {"workers": [_shown(call, row) for row in rows]}


def _shown(call: Call, row: Any) -> dict[str, Any]:
    named = (
        call.db.execute("SELECT id, name FROM task WHERE id = ?", (row["task"],)).fetchone() if row["task"] else None
    )
    user = call.db.execute("SELECT id, name FROM user WHERE id = ?", (row["user"],)).fetchone()
    found = {
        "id": row["id"], "company": {"id": call.company, "name": COMPANY_NAME}, "user": dict(user) if user else {},
        "ip": row["ip"], "queues": [{"id": queue} for queue in json.loads(row["queues"] or "[]")], "tags": [],
        "register_time": clock.iso_millis(row["registered"] or row["last_activity"]),
        "last_activity_time": clock.iso_millis(row["last_activity"]),
        "last_report_time": clock.iso_millis(row["last_report"] or row["last_activity"]),
    }  # fmt: skip
    if named:
        found["task"] = dict(named)
    return found
