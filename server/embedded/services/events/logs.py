"""Console logs: pages in both directions, download, clearing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from server.embedded import clock
from server.embedded.endpoints import Answer, Call, endpoint
from server.embedded.errors import fail
from server.embedded.services.events import scroll
from server.embedded.services.events.store import owners

BATCH, MOST = 500, 10_000
LINE = "{asctime} {worker} {level} {msg}"
_COLUMNS = "timestamp, task, level, worker, msg, received"


def as_event(row: Any) -> dict[str, Any]:
    """Write one log row as the event it was."""
    timestamp, task, level, worker, msg, received = row
    event = {
        "timestamp": timestamp,
        "type": "log",
        "task": task,
        "level": level,
        "worker": worker,
        "msg": msg,
        "model_event": False,
        "@timestamp": clock.iso_millis(received * 1000).replace("+00:00", "Z"),
        "metric": "",
        "variant": "",
    }
    if level is None:
        del event["level"]
    return event


@endpoint("events.get_task_log")
def task_log(call: Call) -> dict[str, Any]:
    """Give a page of a task's log, from its end or start or from a time on, towards either."""
    body = call.body
    task = body["task"]
    owners(call, [task])
    if call.version < (2, 9):
        return _legacy(call)
    count = max(1, min(body.get("batch_size") or BATCH, MOST))
    earlier = body.get("navigate_earlier") is not False
    start = body.get("from_timestamp")
    sign, order = ("<", "DESC") if earlier else (">", "ASC")
    condition = f"AND timestamp {sign} ?" if start is not None else ""
    rows = call.db.execute(
        f"SELECT {_COLUMNS} FROM log WHERE task = ? {condition} ORDER BY timestamp {order}, id {order} LIMIT ?",  # noqa: S608
        [task, *([start] if start is not None else []), count],
    ).fetchall()
    asked = body.get("order")
    if asked is not None and (asked == "asc") == earlier:
        rows.reverse()
    return {"events": [as_event(row) for row in rows], "returned": len(rows), "total": _total(call, task)}


def _total(call: Call, task: str) -> int:
    return int(call.db.execute("SELECT count(*) FROM log WHERE task = ?", (task,)).fetchone()[0])


def _legacy(call: Call) -> dict[str, Any]:
    """Page as clients before 2.9 do: by scroll from the head or the tail."""
    body = call.body
    task = body["task"]
    count = max(1, min(body.get("batch_size") or BATCH, MOST))
    start = scroll.offset(body.get("scroll_id"))
    head = body.get("from") == "head" or body.get("order") == "asc"
    order = "ASC" if head else "DESC"
    rows = call.db.execute(
        f"SELECT {_COLUMNS} FROM log WHERE task = ? ORDER BY timestamp {order}, id {order} LIMIT ? OFFSET ?",  # noqa: S608
        (task, count, start),
    ).fetchall()
    return {
        "events": [as_event(row) for row in rows],
        "returned": len(rows),
        "total": _total(call, task),
        "scroll_id": scroll.write({"offset": start + len(rows)}) if rows else scroll.END,
    }


@endpoint("events.download_task_log")
def download(call: Call) -> Answer:
    """Give the whole log as a text file, or as JSON lines."""
    body = call.body
    owners(call, [body["task"]])
    rows = call.db.execute(
        f"SELECT {_COLUMNS} FROM log WHERE task = ? ORDER BY timestamp, id",  # noqa: S608 - fixed columns
        (body["task"],),
    )
    as_json = body.get("line_type") == "json"
    lines = _json_lines(rows) if as_json else _text_lines(rows, body.get("line_format") or LINE)
    return Answer(
        body=b"".join(lines),
        content_type="application/json" if as_json else "text/plain; charset=utf-8",
        headers=(("content-disposition", f'attachment; filename="task_{body["task"]}.log"'),),
    )


def _json_lines(rows: Any) -> Iterator[bytes]:
    for row in rows:
        yield orjson.dumps(as_event(row)) + b"\n"


def _text_lines(rows: Any, line_format: str) -> Iterator[bytes]:
    """Fill the four names a format may use; anything else of a format stays as written."""
    for timestamp, _task, level, worker, msg, _received in rows:
        line = line_format
        for name, value in (("asctime", timestamp), ("worker", worker or ""), ("level", level or ""), ("msg", msg)):
            line = line.replace("{" + name + "}", str(value))
        yield line.encode() + b"\n"


@endpoint("events.clear_task_log", version="2.19", write=True)
def clear(call: Call) -> dict[str, Any]:
    """Delete a task's log, all of it or what is older than some seconds."""
    body = call.body
    task = body["task"]
    writable(call, task, allow_locked=body.get("allow_locked", False))
    excluded, included = body.get("exclude_metrics") or [], body.get("include_metrics") or []
    if "" in excluded or (included and "" not in included):
        return {"deleted": 0}
    threshold = body.get("threshold_sec")
    limit = call.now // 1000 - max(0, threshold) * 1000 if threshold else 2**62
    gone = call.db.execute("DELETE FROM log WHERE task = ? AND timestamp < ?", (task, limit))
    return {"deleted": gone.rowcount}


def writable(call: Call, identifier: str, *, models: bool = False, allow_locked: bool = False) -> None:
    """Insist on a task or model of the company whose events may be deleted.

    Raises
    ------
    ApiError
        `invalid_task_id` or `invalid_model_id` when it is not there; `invalid_task_status` or `model_is_ready` when
        it is published.
    """
    table, state = ("model", "ready") if models else ("task", "status")
    row = call.db.execute(
        f"SELECT {state} FROM {table} WHERE id = ? AND company = ?",  # noqa: S608 - two names each
        (identifier, call.company),
    ).fetchone()
    if row is None:
        raise fail("invalid_model_id" if models else "invalid_task_id", id=identifier, company=call.company)
    if not allow_locked and models and row[0]:
        raise fail("model_is_ready", company=call.company, model=identifier)
    if not allow_locked and row[0] == "published":
        raise fail("task_published", id=identifier)
