"""serving.get_endpoint_metrics_history: what the containers of one endpoint reported, by interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean
from typing import Any

import orjson

from server.embedded.endpoints import Call, endpoint
from server.embedded.services.queues.statistics import buckets
from server.embedded.services.queues.store import KEPT_MS

REQUESTS = ("requests", "requests_min", "latency_ms")
MEAN = frozenset({"latency_ms", "cpu_util", "gpu_util"})  # of several containers; everything else adds up
GPU_LISTS = {"gpu_ram_used": "gpu_memory_used", "gpu_ram_free": "gpu_memory_free"}
Series = dict[int, list[float]]


def note(call: Call) -> dict[str, Any]:
    """Keep a report. Returns the numbers of processors that it tells of."""
    body = call.body
    found = figures(body)
    at = call.now // 1000
    if body.get("endpoint_url"):
        call.db.execute(
            "INSERT INTO container_report VALUES (?, ?, ?, ?, ?)",
            (body["container_id"], call.company, body["endpoint_url"], at, orjson.dumps(found).decode()),
        )
    call.db.execute("DELETE FROM container_report WHERE at < ?", (at - KEPT_MS,))
    return {name: int(found[name]) for name in ("cpu_count", "gpu_count") if name in found}


def figures(body: Mapping[str, Any]) -> dict[str, float]:
    """Read a report as one number per metric; memory in the unit of the report, megabytes."""
    stats = body.get("machine_stats")
    stats = stats if isinstance(stats, dict) else {}
    found: dict[str, float | None] = {
        "requests": _number(body.get("requests_num")),
        "requests_min": _number(body.get("requests_min")),
        "latency_ms": _number(body.get("latency_ms")),
        "ram_used": _number(stats.get("memory_used")),
        "ram_free": _number(stats.get("memory_free")),
        "network_rx": _number(stats.get("network_rx")),
        "network_tx": _number(stats.get("network_tx")),
    }
    for unit in ("cpu", "gpu"):
        used = _numbers(stats.get(f"{unit}_usage"))
        found |= {f"{unit}_count": len(used), f"{unit}_util": fmean(used)} if used else {}
    for name, key in GPU_LISTS.items():
        found[name] = sum(_numbers(stats.get(key))) if stats.get(key) else None
    for unit in ("", "gpu_"):
        parts = [found.get(f"{unit}ram_used"), found.get(f"{unit}ram_free")]
        found[f"{unit}ram_total"] = sum(part for part in parts if part is not None) if None not in parts else None
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> float | None:
    return next(iter(_numbers(value)), None)


def _numbers(value: Any) -> list[float]:
    return [
        float(item)
        for item in (value if isinstance(value, list) else [value])
        if isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item)
    ]


@endpoint("serving.get_endpoint_metrics_history", version="2.31")
def get_endpoint_metrics_history(call: Call) -> dict[str, Any]:
    """Draw one metric of an endpoint: over all its containers, and of each."""
    body = call.body
    start, end, step = buckets(body)
    start, end = start // step * step, end // step * step
    dates = range(start, end, step)
    name = body.get("metric_type") or "requests"
    rows = call.db.execute(
        "SELECT container, at, figures FROM container_report WHERE company = ? AND url = ? AND at >= ? AND at < ?"
        " ORDER BY at",
        (call.company, body["endpoint_url"], start, end),
    )
    found: dict[str, Series] = {}
    for container, at, text in rows:
        value = orjson.loads(text).get(name)
        if value is not None:
            found.setdefault(container, {}).setdefault((at - start) // step, []).append(value)
    seconds = [date // 1000 for date in dates]
    each = {container: _points(series, len(seconds)) for container, series in found.items()}
    combine: Callable[[list[float]], float] = fmean if name in MEAN else sum
    total = [combine(values) if values else 0.0 for values in _together(each.values(), len(seconds))]
    answer: dict[str, Any] = {
        "computed_interval": step // 1000,
        "total": {"title": "Average" if name in MEAN else "Total", "dates": seconds, "values": total},
    }
    if body.get("instance_charts") is not False:
        answer["instances"] = {
            container: {"title": container, "dates": seconds, "values": [value or 0.0 for value in values]}
            for container, values in each.items()
        }
    return answer


def _points(series: Series, count: int) -> list[float | None]:
    return [fmean(series[index]) if index in series else None for index in range(count)]


def _together(each: Iterable[list[float | None]], count: int) -> list[list[float]]:
    lines = list(each)
    return [[line[index] for line in lines if line[index] is not None] for index in range(count)]  # type: ignore[misc]
