"""workers.*: who pulls from the queues, alive or not."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from server.embedded import clock
from server.embedded.database import matches
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.services.queues import store as queues
from server.embedded.services.workers import statistics

LAST_SEEN_S = 3600


def _upsert(call: Call, values: dict[str, Any]) -> None:
    body = call.body
    values = {"company": call.company, "user": call.user, "last_activity": call.now, "ip": call.client, **values}
    for key in ("tags", "system_tags"):
        if body.get(key) is not None:
            values[key] = json.dumps(sorted(set(body[key])))
    names = list(values)
    assigned = ", ".join(f"{name} = excluded.{name}" for name in names)
    call.db.execute(
        f"INSERT INTO worker (id, {', '.join(names)}) VALUES (?{', ?' * len(names)}) "  # noqa: S608 - our own names
        f"ON CONFLICT (id) DO UPDATE SET {assigned}",
        [body["worker"], *values.values()],
    )
    call.db.execute("UPDATE worker SET registered = ? WHERE id = ? AND registered IS NULL", (call.now, body["worker"]))


def _own(call: Call) -> None:
    """Insist that a worker's name is not another company's."""
    row = call.db.execute("SELECT company FROM worker WHERE id = ?", (call.body["worker"],)).fetchone()
    if row is not None and row[0] != call.company:
        raise fail("worker_registration_failed", worker=call.body["worker"])


def _known_queues(call: Call) -> list[str]:
    asked = [str(queue) for queue in call.body.get("queues") or ()]
    marks = ", ".join("?" * len(asked))
    found = call.db.execute(
        f"SELECT id FROM queue WHERE company = ? AND id IN ({marks})",  # noqa: S608 - placeholders only
        [call.company, *asked],
    ).fetchall()
    unknown = sorted(set(asked) - {row[0] for row in found})
    if unknown:
        raise fail("invalid_queue_id", ids=tuple(unknown))
    return asked


@endpoint("workers.register", version="2.4", write=True)
def register(call: Call) -> dict[str, Any]:
    """Announce a worker."""
    _own(call)
    timeout = call.body.get("timeout") or queues.WORKER_ALIVE_S
    values = {
        "registered": call.now,
        "timeout": max(1, min(int(timeout), 10**9)),
        "queues": json.dumps(_known_queues(call)),
        "task": None,
        "queue": None,
    }
    _upsert(call, values)
    return {}


@endpoint("workers.unregister", version="2.4", write=True)
def unregister(call: Call) -> dict[str, Any]:
    """Forget a worker."""
    call.db.execute("DELETE FROM worker WHERE id = ? AND company = ?", (call.body["worker"], call.company))
    return {}


@endpoint("workers.status_report", version="2.4", write=True)
def status_report(call: Call) -> dict[str, Any]:
    """Tell that a worker is alive, what it runs and how its machine does. A worker nobody knows is taken in."""
    body = call.body
    _own(call)
    values: dict[str, Any] = {"last_report": call.now, "task": body.get("task"), "queue": body.get("queue")}
    if body.get("queues") is not None:
        values["queues"] = json.dumps(body["queues"])
    _upsert(call, values)
    statistics.note(call)
    if body.get("task"):
        call.db.execute(
            "UPDATE task SET last_worker = ?, last_worker_report = ?, last_update = ? WHERE id = ? AND company = ?",
            (body["worker"], call.now, call.now, body["task"], call.company),
        )
    return {}


def _alive(call: Call, last_seen: int) -> list[sqlite3.Row]:
    body = call.body
    since = call.now - 1_000_000 * min(last_seen, 10**10) if last_seen > 0 else 0
    rows = call.db.execute(
        "SELECT * FROM worker WHERE company = ? AND last_activity >= ? ORDER BY id", (call.company, since)
    ).fetchall()
    wanted = body.get("worker_pattern")
    if wanted:
        whole = rf"\A(?:{wanted.replace('*', '.*')})\Z"
        rows = [row for row in rows if matches(whole, 0, row["id"])]
    for key in ("tags", "system_tags"):
        rows = [row for row in rows if _tagged(_listed(row[key]), body.get(key))]
    return rows


def _tagged(tags: list[Any], wanted: Any) -> bool:
    """Tell whether tags hold one of those wanted and none of those written with a minus."""
    asked = [wanted] if isinstance(wanted, str) else [str(tag) for tag in wanted or ()]
    excluded = {tag[1:] for tag in asked if tag.startswith("-")}
    included = {tag for tag in asked if not tag.startswith("-")}
    return not excluded & set(tags) and (not included or bool(included & set(tags)))


def _listed(text: str | None) -> list[Any]:
    return list(json.loads(text)) if text else []


@endpoint("workers.get_all", version="2.4")
def get_all(call: Call) -> dict[str, Any]:
    """List workers that were heard of lately."""
    asked = call.body.get("last_seen")
    return {"workers": [_shown(call, row) for row in _alive(call, LAST_SEEN_S if asked is None else asked)]}


@endpoint("workers.get_count", version="2.26")
def get_count(call: Call) -> dict[str, Any]:
    """Count workers."""
    return {"count": len(_alive(call, call.body.get("last_seen") or 0))}


def _shown(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    user = call.db.execute("SELECT name FROM user WHERE id = ?", (row["user"],)).fetchone()
    company = call.db.execute("SELECT name FROM company WHERE id = ?", (row["company"],)).fetchone()
    shown: dict[str, Any] = {
        "id": row["id"],
        "key": f"worker_{row['company']}_{row['user']}_{row['id']}",
        "company": {"id": row["company"], "name": company[0] if company else ""},
        "user": {"id": row["user"], "name": user[0] if user else ""},
        "ip": row["ip"],
        "queues": [_queue(call, queue) for queue in _listed(row["queues"])],
        "tags": _listed(row["tags"]),
        "system_tags": _listed(row["system_tags"]),
        "register_time": clock.iso(row["registered"] or row["last_activity"]),
        "register_timeout": row["timeout"] or queues.WORKER_ALIVE_S,
        "last_activity_time": clock.iso(row["last_activity"]),
        "last_report_time": clock.iso(row["last_report"] or row["last_activity"]),
    }
    if row["task"]:
        shown |= _running(call, row["task"])
    if row["queue"]:
        shown["queue"] = _queue(call, row["queue"])
    return shown


def _running(call: Call, identifier: str) -> dict[str, Any]:
    row = call.db.execute(
        "SELECT t.name, t.started, t.last_iteration, t.project, p.name AS title FROM task t"
        " LEFT JOIN project p ON p.id = t.project WHERE t.id = ? AND t.company = ?",
        (identifier, call.company),
    ).fetchone()
    if row is None:
        return {"task": {"id": identifier}}
    running = max(0, (call.now - row["started"]) // 1000) if row["started"] else 0
    task = {"id": identifier, "name": row["name"], "running_time": running, "last_iteration": row["last_iteration"]}
    project = {"project": {"id": row["project"], "name": row["title"]}} if row["project"] else {}
    return {"task": task, **project}


def _queue(call: Call, identifier: str) -> dict[str, Any]:
    row = call.db.execute(
        "SELECT q.name, q.display_name, (SELECT count(*) FROM queue_entry e WHERE e.queue = q.id) AS n FROM queue q"
        " WHERE q.id = ? AND q.company = ?",
        (identifier, call.company),
    ).fetchone()
    if row is None:
        return {"id": identifier}
    shown: dict[str, Any] = {"id": identifier, "name": row["name"], "num_tasks": row["n"]}
    if row["display_name"]:
        shown["display_name"] = row["display_name"]
    first = call.db.execute(
        "SELECT t.id, t.name FROM queue_entry e JOIN task t ON t.id = e.task WHERE e.queue = ?"
        " ORDER BY position LIMIT 1",
        (identifier,),
    ).fetchone()
    if first is not None:
        shown["next_task"] = {"id": first[0], "name": first[1]}
    return shown
