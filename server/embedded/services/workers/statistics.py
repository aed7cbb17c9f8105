"""How the workers' machines did over time, and how many of them worked."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean
from typing import Any

import orjson

from server.embedded.endpoints import Call, endpoint
from server.embedded.services.queues.statistics import buckets
from server.embedded.services.queues.store import KEPT_MS

AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {"avg": fmean, "min": min, "max": max}


def note(call: Call) -> None:
    """Keep a worker's report of its machine."""
    stats = call.body.get("machine_stats")
    kept = {name: value for name, value in stats.items() if _numbers(value)} if isinstance(stats, dict) else {}
    at = call.now // 1000
    call.db.execute(
        "INSERT INTO worker_report VALUES (?, ?, ?, ?, ?)",
        (call.body["worker"], call.company, at, call.body.get("task"), orjson.dumps(kept).decode() if kept else None),
    )
    call.db.execute("DELETE FROM worker_report WHERE company = ? AND at < ?", (call.company, at - KEPT_MS))


def _numbers(value: Any) -> list[float]:
    values = value if isinstance(value, list) else [value]
    return [
        float(item)
        for item in values
        if isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item)
    ]


def _reports(call: Call, start: int, end: int) -> list[Any]:
    asked = call.body.get("worker_ids") or []
    rows = call.db.execute(
        "SELECT worker, at, task, stats FROM worker_report WHERE company = ? AND at >= ? AND at < ? ORDER BY at",
        (call.company, start, end),
    )
    return [row for row in rows if not asked or row[0] in asked]


@endpoint("workers.get_metric_keys", version="2.4")
def get_metric_keys(call: Call) -> dict[str, Any]:
    """Name what workers last reported of their machines, by category."""
    asked = call.body.get("worker_ids") or []
    rows = call.db.execute(
        "SELECT worker, stats, max(at) FROM worker_report WHERE company = ? AND stats IS NOT NULL GROUP BY worker",
        (call.company,),
    )
    found: dict[str, set[str]] = {}
    for worker, stats, _ in rows:
        for name in orjson.loads(stats) if not asked or worker in asked else ():
            found.setdefault(name.partition("_")[0], set()).add(name)
    return {"categories": [{"name": name, "metric_keys": sorted(keys)} for name, keys in found.items()]}


@endpoint("workers.get_stats", version="2.4")
def get_stats(call: Call) -> dict[str, Any]:
    """Machine statistics of workers by interval."""
    body = call.body
    start, end, step = buckets(body)
    start, end = start // step * step, end // step * step
    dates = list(range(start, end, step))
    series: dict[str, dict[str, dict[int, list[list[float]]]]] = {}
    asked = list(dict.fromkeys((item["key"], item.get("category") or "avg") for item in body["items"]))
    for worker, at, _, text in _reports(call, start, end):
        stats = orjson.loads(text or "{}")
        for key, _category in asked:
            values = _numbers(stats.get(key))
            if values:
                points = series.setdefault(worker, {}).setdefault(key, {})
                points.setdefault((at - start) // step, []).append(values)
    return {
        "workers": [
            {
                "worker": worker,
                "metrics": [
                    {
                        "metric": key,
                        "stats": [_shown(by_key[key], category, dates, split=bool(body.get("split_by_resource")))],
                    }
                    for key, category in asked
                    if key in by_key
                ],
            }
            for worker, by_key in sorted(series.items())
        ]
    }


def _shown(points: dict[int, list[list[float]]], category: str, dates: list[int], *, split: bool) -> dict[str, Any]:
    combine = AGGREGATIONS[category]
    resources = max((len(values) for found in points.values() for values in found), default=0) if split else 0
    return {
        "aggregation": category,
        "dates": dates,
        "values": [
            combine([value for values in points[index] for value in values]) if index in points else 0.0
            for index in range(len(dates))
        ],
        "resource_series": [
            {"name": str(number), "values": _resource(points, number, combine, len(dates))}
            for number in range(resources)
        ],
    }


def _resource(points: dict[int, list[list[float]]], number: int, combine: Any, count: int) -> list[float]:
    found = []
    for index in range(count):
        values = [values[number] for values in points.get(index, ()) if len(values) > number]
        found.append(combine(values) if values else 0.0)
    return found


@endpoint("workers.get_activity_report", version="2.4")
def get_activity_report(call: Call) -> dict[str, Any]:
    """Count the workers that were there, and those that worked, by interval."""
    start, end, step = buckets(call.body)
    start, end = start // step * step, end // step * step
    dates = list(range(start, end, step))
    there: list[set[str]] = [set() for _ in dates]
    active: list[set[str]] = [set() for _ in dates]
    for worker, at, task, _ in _reports(call, start, end):
        index = (at - start) // step
        there[index].add(worker)
        if task:
            active[index].add(worker)
    return {
        "total": {"dates": dates, "counts": [len(workers) for workers in there]},
        "active": {"dates": dates, "counts": [len(workers) for workers in active]},
    }
