"""How long tasks waited and how long queues were, over time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.services.queues import store

TOTAL = "total"
MOST_POINTS = 100_000


def buckets(body: dict[str, Any]) -> tuple[int, int, int]:
    """Read a request's time range: first and last millisecond, and the step, at least a second.

    Raises
    ------
    ApiError
        `invalid_fields_value` for a range that is empty or has no end of points.
    """
    start, end = float(body["from_date"]), float(body["to_date"])
    step = max(1, int(body["interval"])) * 1000
    if start >= end:
        raise fail("invalid_fields_value", "from_date must be less than to_date")
    if not 0 <= start < end < 2**40 or (end - start) * 1000 / step > MOST_POINTS:
        raise fail("invalid_fields_value", "the range has too many intervals")
    return int(start * 1000), int(end * 1000), step


@endpoint("queues.get_queue_metrics", version="2.4", write=True)
def get_queue_metrics(call: Call) -> dict[str, Any]:
    """Waiting times and lengths by interval, for some queues or over all of them."""
    start, end, step = buckets(call.body)
    asked = [store.require(call, queue)["id"] for queue in call.body.get("queue_ids") or ()]
    mine = [row[0] for row in call.db.execute("SELECT id FROM queue WHERE company = ?", (call.company,))]
    if call.body.get("refresh"):
        for queue in asked or mine:
            store.note(call.db, queue, call.now)
    rows = call.db.execute(
        "SELECT queue, at, waited, length FROM queue_report WHERE at >= ? AND at < ? ORDER BY at",
        (start // step * step, end + 1),
    ).fetchall()
    if asked:
        return {"queues": [_shown(queue, [row for row in rows if row[0] == queue], step) for queue in asked]}
    known = set(mine)
    total = _shown(TOTAL, [row for row in rows if row[0] in known], step)
    return {"queues": [total] if total["dates"] else []}


def _shown(name: str, rows: Iterable[Any], step: int) -> dict[str, Any]:
    found: dict[int, tuple[list[float], list[int]]] = {}
    for _, at, waited, length in rows:
        times, lengths = found.setdefault(at // step * step, ([], []))
        lengths.append(length)
        if waited is not None:
            times.append(waited)
    return {
        "queue": name,
        "dates": list(found),
        "avg_waiting_times": [sum(times) / len(times) if times else 0 for times, _ in found.values()],
        "queue_lengths": [max(lengths) for _, lengths in found.values()],
    }
