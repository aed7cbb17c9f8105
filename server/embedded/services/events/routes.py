"""The events service: taking events in, lists of raw events, deletion. Reads by kind are in the modules beside."""

from __future__ import annotations

from typing import Any

from server.embedded.endpoints import Call, endpoint
from server.embedded.services.events import ingest, logs, samples, scalars, scroll
from server.embedded.services.events.logs import writable
from server.embedded.services.events.store import delete_events, owners

BATCH, MOST = 500, 10_000


@endpoint("events.add", write=True)
def add(call: Call) -> dict[str, Any]:
    """Store one event."""
    return ingest.add(call, [call.body])


@endpoint("events.add_batch", write=True, batch=True)
def add_batch(call: Call) -> dict[str, Any]:
    """Store a batch of events."""
    return ingest.add(call, call.items)


@endpoint("events.delete_for_task", write=True)
def delete_for_task(call: Call) -> dict[str, Any]:
    """Delete all events of a task."""
    task = call.body["task"]
    writable(call, task, allow_locked=call.body.get("allow_locked", False))
    return {"deleted": delete_events(call.db, [task])}


@endpoint("events.delete_for_model", version="2.22", write=True)
def delete_for_model(call: Call) -> dict[str, Any]:
    """Delete all events of a model."""
    model = call.body["model"]
    writable(call, model, models=True, allow_locked=call.body.get("allow_locked", False))
    return {"deleted": delete_events(call.db, [model])}


@endpoint("events.clear_scroll", version="2.18")
def clear_scroll(call: Call) -> dict[str, Any]:
    """Forget a scroll; scrolls carry their state, so there is nothing to forget."""
    del call
    return {}


@endpoint("events.get_task_events")
def task_events(call: Call) -> dict[str, Any]:
    """Give events of a task, of one type or all, in batches."""
    body = call.body
    task = body["task"]
    owners(call, [task], models=body.get("model_events", False))
    start = scroll.offset(body.get("scroll_id"))
    left = max(1, min(body.get("batch_size") or BATCH, MOST))
    descending = body.get("order") == "desc"
    events: list[dict[str, Any]] = []
    total = 0
    for kind in _kinds(body.get("event_type")):
        found, count = _slice(call, kind, max(0, start - total), left - len(events), descending=descending)
        events += found
        total += count
    return {
        "returned": len(events),
        "total": total,
        "scroll_id": scroll.write({"offset": min(start, total) + len(events)}),
        "events": events,
    }


def _kinds(event_type: str | None) -> tuple[str, ...]:
    if event_type:
        return (event_type,)
    return (ingest.SCALAR, ingest.VECTOR, ingest.PLOT, ingest.IMAGE, ingest.LOG)


def _slice(call: Call, kind: str, start: int, count: int, *, descending: bool) -> tuple[list[dict[str, Any]], int]:
    """Give some events of one type from a position on, and how many of it there are."""
    task, metrics = call.body["task"], call.body.get("metrics")
    if kind == ingest.SCALAR:
        return scalars.scalar_events(call, task, metrics, start, max(0, count), descending=descending)
    if kind == ingest.LOG:
        return _log_slice(call, task, start, max(0, count), descending=descending)
    table = samples.TABLES.get(kind)
    if table is None:
        return [], 0
    found = sorted(samples.places(call.db, table, [task], metrics), key=lambda place: place.iter, reverse=descending)
    return samples.events_at(call.db, table, found[start : start + max(0, count)]), len(found)


def _log_slice(call: Call, task: str, start: int, count: int, *, descending: bool) -> tuple[list[dict[str, Any]], int]:
    order = "DESC" if descending else "ASC"
    rows = call.db.execute(
        "SELECT timestamp, task, level, worker, msg, received FROM log WHERE task = ? "  # noqa: S608 - a direction
        f"ORDER BY timestamp {order}, id {order} LIMIT ? OFFSET ?",
        (task, count, start),
    ).fetchall()
    total = call.db.execute("SELECT count(*) FROM log WHERE task = ?", (task,)).fetchone()[0]
    return [logs.as_event(row) for row in rows], int(total)
