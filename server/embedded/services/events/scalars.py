"""Scalars read back: curves, raw points, single values and the names of what was reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from server.embedded.endpoints import Call, endpoint
from server.embedded.services.events import blocks, scroll
from server.embedded.services.events.store import SCALARS, SINGLE_VALUES, Series, owners, series_of

SAMPLES = 6_000
RAW_BATCH, RAW_MOST = 10_000, 200_000
DATA_BATCH = 10_000
TAIL = 10  # values whose mean stands for the end of a curve

Curve = dict[str, Any]


def curve(call: Call, series: Series, name: str, key: str, samples: int) -> Curve | None:
    """One series as x and y, thinned to `samples` points; None when it has only single values."""
    points = blocks.plotted(blocks.read(call.db, series.id))
    if not len(points.iters):
        return None
    x, y = points.iters, points.values
    if key != "iter":
        order = points.timestamps.argsort(kind="stable")
        x, y = points.timestamps[order], points.values[order]
    x, y = blocks.sampled(x, y, samples)
    listed = x.tolist()
    shown: Curve = {"name": name, "x": [_iso(ms) for ms in listed] if key == "iso_time" else listed, "y": y.tolist()}
    if series.x_axis_label is not None:
        shown["x_axis_label"] = series.x_axis_label
    return shown


def _iso(milliseconds: int) -> str:
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def _samples(body: dict[str, Any]) -> int:
    samples = body.get("samples")
    return SAMPLES if samples is None else int(samples)


@endpoint("events.scalar_metrics_iter_histogram")
def histogram(call: Call) -> dict[str, Any]:
    """Curves of one task by metric and variant."""
    body = call.body
    owners(call, [body["task"]], models=body.get("model_events", False))
    return curves_of_task(call, body["task"], body)


def curves_of_task(call: Call, task: str, body: dict[str, Any]) -> dict[str, Any]:
    """Curves by metric and variant for a task that is known to exist."""
    shown: dict[str, Any] = {}
    for series in series_of(call.db, [task], body.get("metrics"), SCALARS):
        drawn = curve(call, series, series.variant, body.get("key") or "iter", _samples(body))
        if drawn is not None:
            shown.setdefault(series.metric, {})[series.variant] = drawn
    return shown


@endpoint("events.multi_task_scalar_metrics_iter_histogram")
def multi_histogram(call: Call) -> dict[str, Any]:
    """Curves of several tasks by metric, variant and task."""
    body = call.body
    names = owners(call, body["tasks"], models=body.get("model_events", False))
    return {"metrics": curves_of_tasks(call, names, body)}


def curves_of_tasks(call: Call, names: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    """Curves by metric, variant and task for tasks that are known to exist."""
    shown: dict[str, Any] = {}
    for series in series_of(call.db, list(names), body.get("metrics"), SCALARS):
        drawn = curve(call, series, names[series.object], body.get("key") or "iter", _samples(body))
        if drawn is not None:
            shown.setdefault(series.metric, {}).setdefault(series.variant, {})[series.object] = drawn
    return shown


@endpoint("events.scalar_metrics_iter_raw", version="2.16")
def raw(call: Call) -> dict[str, Any]:
    """Give points as they were reported, in batches."""
    body = call.body
    owners(call, [body["task"]], models=body.get("model_events", False))
    key = "timestamp" if body.get("key") == "timestamp" else "iter"
    left = max(1, min(body.get("batch_size") or RAW_BATCH, RAW_MOST))
    start = scroll.offset(body.get("scroll_id"))
    position, returned = 0, 0
    variants: dict[str, dict[str, list[Any]]] = {}
    for series in series_of(call.db, [body["task"]], [body["metric"]], SCALARS):
        points = blocks.plotted(blocks.read(call.db, series.id))
        cut = slice(max(0, start - position), max(0, start - position) + left)
        position += len(points.iters)
        values = points.values[cut].tolist()
        if values:
            axis = (points.timestamps if key == "timestamp" else points.iters)[cut].tolist()
            variants[series.variant] = {"y": values, key: axis}
            returned += len(values)
            left -= len(values)
    return {
        "returned": returned,
        "total": position if body.get("count_total") else None,
        "scroll_id": scroll.write({"offset": start + returned}) if returned else scroll.END,
        "variants": variants,
    }


@endpoint("events.get_task_single_value_metrics", version="2.20")
def single_values(call: Call) -> dict[str, Any]:
    """Values reported without an iteration."""
    body = call.body
    names = owners(call, body["tasks"], models=body.get("model_events", False))
    return {"tasks": single_values_of(call, names, body)}


def single_values_of(call: Call, names: dict[str, str], body: dict[str, Any]) -> list[dict[str, Any]]:
    """Single values by task, tasks without any left out."""
    values: dict[str, list[dict[str, Any]]] = {}
    for series in series_of(call.db, list(names), body.get("metrics"), SINGLE_VALUES):
        points = blocks.read(call.db, series.id)
        at = int(points.iters.searchsorted(blocks.SINGLE))
        if at < len(points.iters) and points.iters[at] == blocks.SINGLE:
            values.setdefault(series.object, []).append(
                {
                    "metric": series.metric,
                    "variant": series.variant,
                    "value": float(points.values[at]),
                    "timestamp": int(points.timestamps[at]),
                }
            )
    return [{"task": task, "task_name": names[task], "values": values[task]} for task in names if task in values]


@endpoint("events.get_task_latest_scalar_values")
def latest(call: Call) -> dict[str, Any]:
    """Give the last value of every scalar, and the mean of its last ones."""
    task = call.body["task"]
    owners(call, [task])
    metrics: dict[str, list[dict[str, Any]]] = {}
    newest = 0
    for series in series_of(call.db, [task], None, SCALARS):
        points = blocks.read(call.db, series.id)
        if not len(points.values):
            continue
        newest = max(newest, int(points.timestamps.max()))
        last, tail = float(points.values[-1]), float(points.values[-TAIL:].mean())
        metrics.setdefault(series.metric, []).append(
            {"name": series.variant, "last_value": last, "last_10_value": tail}
        )
    row = call.db.execute("SELECT last_iteration, status FROM task WHERE id = ?", (task,)).fetchone()
    return {
        "metrics": [{"name": metric, "variants": variants} for metric, variants in metrics.items()],
        "last_iter": row[0],
        "name": None,
        "status": row[1],
        "last_timestamp": newest or None,
    }


@endpoint("events.get_scalar_metrics_and_variants")
def scalar_names(call: Call) -> dict[str, Any]:
    """Name the scalars of a task: metric to variants."""
    return _names(call, SCALARS)


@endpoint("events.get_vector_metrics_and_variants")
def vector_names(call: Call) -> dict[str, Any]:
    """Name the vectors of a task: metric to variants."""
    return _names(call, "EXISTS (SELECT 1 FROM vector v WHERE v.series = s.id)")


def _names(call: Call, having: str) -> dict[str, Any]:
    task = call.body["task"]
    owners(call, [task], models=call.body.get("model_events", False))
    metrics: dict[str, list[str]] = {}
    for series in series_of(call.db, [task], None, having):
        metrics.setdefault(series.metric, []).append(series.variant)
    return {"metrics": metrics}


@endpoint("events.get_scalar_metric_data")
def metric_data(call: Call) -> dict[str, Any]:
    """Events of one metric, in batches."""
    body = call.body
    owners(call, [body.get("task")], models=body.get("model_events", False))
    metrics = [{"metric": body["metric"]}] if body.get("metric") else None
    events, total = scalar_events(call, body["task"], metrics, scroll.offset(body.get("scroll_id")), DATA_BATCH)
    position = scroll.offset(body.get("scroll_id")) + len(events)
    more = position < total and not body.get("no_scroll")
    return {
        "events": events,
        "returned": len(events),
        "total": total,
        "scroll_id": scroll.write({"offset": position}) if more else None,
    }


def scalar_events(
    call: Call, task: str, metrics: Sequence[dict[str, Any]] | None, start: int, count: int, *, descending: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """Give a slice of a task's scalar events by iteration, and how many there are."""
    import numpy as np  # noqa: PLC0415 - see blocks.unpack

    found = series_of(call.db, [task], metrics, SCALARS)
    parts = [blocks.read(call.db, series.id) for series in found]
    if not parts:
        return [], 0
    iters = np.concatenate([part.iters for part in parts])
    stamps = np.concatenate([part.timestamps for part in parts])
    values = np.concatenate([part.values for part in parts])
    which = np.repeat(np.arange(len(parts)), [len(part.iters) for part in parts])
    order = np.lexsort((which, stamps, iters))
    if descending:
        order = order[::-1]
    picked = order[min(start, len(order)) : min(start, len(order)) + count]
    make = _event_maker(task)
    return [
        make(found[number], iteration, stamp, value)
        for number, iteration, stamp, value in zip(
            which[picked].tolist(),
            iters[picked].tolist(),
            stamps[picked].tolist(),
            values[picked].tolist(),
            strict=True,
        )
    ], len(iters)


def _event_maker(task: str) -> Callable[[Series, int, int, float], dict[str, Any]]:
    def make(series: Series, iteration: int, stamp: int, value: float) -> dict[str, Any]:
        event: dict[str, Any] = {
            "timestamp": stamp,
            "type": "training_stats_scalar",
            "task": task,
            "iter": iteration,
            "metric": series.metric,
            "variant": series.variant,
            "value": value,
        }
        if iteration == blocks.NO_ITER:
            del event["iter"]
        if series.x_axis_label is not None:
            event["x_axis_label"] = series.x_axis_label
        return event

    return make


@endpoint("events.vector_metrics_iter_histogram")
def vectors(call: Call) -> dict[str, Any]:
    """Give the vectors of one metric and variant by iteration."""
    import orjson  # noqa: PLC0415 - rarely called

    body = call.body
    owners(call, [body["task"]], models=body.get("model_events", False))
    asked = [{"metric": body["metric"], "variants": [body["variant"]]}]
    shown: list[dict[str, Any]] = []
    for series in series_of(call.db, [body["task"]], asked):
        rows = call.db.execute("SELECT iter, timestamp, event FROM vector WHERE series = ? ORDER BY iter", (series.id,))
        shown += [
            {"iter": row[0], "timestamp": row[1], "values": orjson.loads(row[2]).get("values", [])} for row in rows
        ]
    return {"images": shown}
