"""Plots and debug samples read back: the latest of each metric, by iteration, one at a time, for several tasks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from server.embedded import clock
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import ApiError, fail
from server.embedded.services.events import scroll
from server.embedded.services.events.blocks import NO_ITER
from server.embedded.services.events.store import SCALARS, chunks, owners, wanted

PLOT, IMAGE, VECTOR = "plot", "image", "vector"
TYPES = {PLOT: "plot", IMAGE: "training_debug_image", VECTOR: "training_stats_vector"}
TABLES = {event_type: table for table, event_type in TYPES.items()}
PAGE = 1_000  # plots in one answer


@dataclass(frozen=True)
class Place:
    """Where an event is, without its content."""

    rowid: int
    object: str
    metric: str
    variant: str
    iter: int


def places(
    db: sqlite3.Connection,
    table: str,
    ids: Sequence[str],
    metrics: Iterable[Mapping[str, Any]] | None = None,
) -> list[Place]:
    """Every plot or debug sample of some tasks, by metric and variant, earliest first."""
    condition, values = wanted(metrics)
    found: list[Place] = []
    for piece in chunks(list(ids)):
        marks = ", ".join("?" * len(piece))
        rows = db.execute(
            f"SELECT e.rowid, s.object, s.metric, s.variant, e.iter FROM series s "  # noqa: S608 - one of three tables
            f"JOIN {table} e ON e.series = s.id WHERE s.object IN ({marks}) AND {condition} "
            "ORDER BY s.metric, s.variant, e.iter",
            [*piece, *values],
        )
        found += [Place(*row) for row in rows]
    return found


def events_at(db: sqlite3.Connection, table: str, found: Sequence[Place]) -> list[dict[str, Any]]:
    """Read the events at some places, in that order."""
    contents: dict[int, tuple[int, str]] = {}
    for piece in chunks([place.rowid for place in found]):
        marks = ", ".join("?" * len(piece))
        rows = db.execute(f"SELECT rowid, timestamp, event FROM {table} WHERE rowid IN ({marks})", list(piece))  # noqa: S608
        contents.update((row[0], (row[1], row[2])) for row in rows)
    return [_event(table, place, *contents[place.rowid]) for place in found if place.rowid in contents]


def _event(table: str, place: Place, timestamp: int, text: str) -> dict[str, Any]:
    rest = orjson.loads(text)
    event = {
        "timestamp": timestamp,
        "type": TYPES[table],
        "task": place.object,
        "iter": place.iter,
        "metric": place.metric,
        "variant": place.variant,
        **rest,
        "@timestamp": clock.iso_millis(rest["@timestamp"] * 1000).replace("+00:00", "Z"),
    }
    if place.iter == NO_ITER:
        del event["iter"]
    if table == PLOT:
        event["plot_len"] = len(rest.get("plot_str") or "")
    return event


def latest(found: Sequence[Place], iters: int, *, per_task: bool = False) -> list[Place]:
    """Keep the last iterations: of each series, or of each task over all its series."""
    seen: dict[tuple[str, ...], list[int]] = {}
    kept: list[Place] = []
    for place in sorted(found, key=lambda place: -place.iter):
        key = (place.object,) if per_task else (place.object, place.metric, place.variant)
        known = seen.setdefault(key, [])
        if place.iter not in known:
            if len(known) >= iters:
                continue
            known.append(place.iter)
        kept.append(place)
    return sorted(kept, key=lambda place: (place.metric, place.variant, place.object, -place.iter))


@endpoint("events.get_task_plots")
def task_plots(call: Call) -> dict[str, Any]:
    """Give the latest plots of a task."""
    body = call.body
    owners(call, [body["task"]], models=body.get("model_events", False))
    found = latest(places(call.db, PLOT, [body["task"]], body.get("metrics")), max(1, body.get("iters") or 1))
    start = scroll.offset(body.get("scroll_id"))
    picked = found[start : start + PAGE]
    more = start + len(picked) < len(found) and not body.get("no_scroll")
    return {
        "plots": events_at(call.db, PLOT, picked),
        "returned": len(picked),
        "total": len(found),
        "scroll_id": scroll.write({"offset": start + len(picked)}) if more else None,
    }


@endpoint("events.get_multi_task_plots")
def multi_plots(call: Call) -> dict[str, Any]:
    """Give the latest plots of several tasks by metric, variant, task and iteration."""
    body = call.body
    names = owners(call, body["tasks"], models=body.get("model_events", False))
    per_task = body.get("last_iters_per_task_metric") is False
    found = latest(
        places(call.db, PLOT, list(names), body.get("metrics")), max(1, body.get("iters") or 1), per_task=per_task
    )
    start = scroll.offset(body.get("scroll_id"))
    picked = found[start : start + PAGE]
    answer = {"plots": plots_tree(call, names, picked), "returned": len(picked), "total": len(found)}
    if not body.get("no_scroll"):
        answer["scroll_id"] = scroll.write({"offset": start + len(picked)}) if picked else scroll.END
    return answer


def plots_tree(call: Call, names: Mapping[str, str], found: Sequence[Place]) -> dict[str, Any]:
    """Nest plots under metric, variant, task and iteration, as pages that compare tasks want them."""
    tree: dict[str, Any] = {}
    for event in events_at(call.db, PLOT, found):
        task = event["task"]
        branch = tree.setdefault(event["metric"], {}).setdefault(event["variant"], {}).setdefault(task, {})
        leaf = branch.setdefault(str(event.get("iter", "")), {"name": names[task], "plots": []})
        leaf["plots"].append(event)
    return tree


@endpoint("events.get_task_metrics", version="2.7")
def task_metrics(call: Call) -> dict[str, Any]:
    """Name the metrics each task has events of a type for."""
    names = owners(call, call.body["tasks"], models=call.body.get("model_events", False))
    metrics: dict[str, list[str]] = {task: [] for task in names}
    for task, metric, _ in _reported(call, list(names)):
        if metric not in metrics[task]:
            metrics[task].append(metric)
    return {"metrics": [{"task": task, "metrics": listed} for task, listed in metrics.items()]}


@endpoint("events.get_multi_task_metrics", version="2.28")
def multi_metrics(call: Call) -> dict[str, Any]:
    """Name the metrics and variants that any of the tasks has events of a type for."""
    names = owners(call, call.body["tasks"], models=call.body.get("model_events", False))
    metrics: dict[str, set[str]] = {}
    for _, metric, variant in _reported(call, list(names)):
        metrics.setdefault(metric, set()).add(variant)
    return {"metrics": [{"metric": metric, "variants": sorted(metrics[metric])} for metric in sorted(metrics)]}


def _reported(call: Call, ids: Sequence[str]) -> list[tuple[str, str, str]]:
    event_type = call.body.get("event_type")
    table = TABLES.get(event_type or "")
    having = "1"
    if table:
        having = f"EXISTS (SELECT 1 FROM {table} e WHERE e.series = s.id)"  # noqa: S608 - one of three tables
    elif event_type == "training_stats_scalar":
        having = SCALARS
    elif event_type == "log":
        return []
    found: list[tuple[str, str, str]] = []
    for piece in chunks(list(ids)):
        marks = ", ".join("?" * len(piece))
        rows = call.db.execute(
            f"SELECT s.object, s.metric, s.variant FROM series s WHERE s.object IN ({marks}) AND {having} "  # noqa: S608
            "ORDER BY s.metric, s.variant",
            list(piece),
        )
        found += [tuple(row) for row in rows]
    return found


@endpoint("events.debug_images")
def debug_images(call: Call) -> dict[str, Any]:
    """Give debug samples by task and iteration, a window of iterations at a time."""
    if "metrics" not in call.body and call.version < (2, 7):
        return _legacy_images(call)
    return _windows(call, IMAGE)


@endpoint("events.plots", version="2.20")
def plots(call: Call) -> dict[str, Any]:
    """Give plots by task and iteration, a window of iterations at a time."""
    return _windows(call, PLOT)


def _legacy_images(call: Call) -> dict[str, Any]:
    task = call.body.get("task") or ""
    owners(call, [task])
    found = latest(places(call.db, IMAGE, [task]), max(1, call.body.get("iters") or 1))
    images = events_at(call.db, IMAGE, found) if not call.body.get("scroll_id") else []
    return {"task": task, "images": images, "returned": len(images), "total": len(found), "scroll_id": scroll.END}


def _windows(call: Call, table: str) -> dict[str, Any]:
    body = call.body
    asked = body.get("metrics")
    if not asked:
        raise ApiError.raw(
            "validation_error",
            "Validation error (error for field 'metrics'. value '[]' length is lower than allowed minimum '1'.)",
        )
    tasks = list(dict.fromkeys(item["task"] for item in asked))
    owners(call, tasks, models=body.get("model_events", False))
    state = {} if body.get("refresh") else scroll.read(body.get("scroll_id") or "") or {}
    seen = state.get("seen")
    windows: dict[str, Any] = dict(seen) if isinstance(seen, dict) else {}
    earlier = body.get("navigate_earlier") is not False
    shown = []
    for task in tasks:
        metrics = [item for item in asked if item["task"] == task]
        window = windows.get(task)
        picked = next_window(
            places(call.db, table, [task], metrics),
            window if isinstance(window, list) else None,
            max(1, body.get("iters") or 1),
            earlier=earlier,
        )
        if picked:
            windows[task] = [min(place.iter for place in picked), max(place.iter for place in picked)]
        shown.append({"task": task, "iterations": by_iteration(events_at(call.db, table, picked))})
    return {"metrics": shown, "scroll_id": scroll.write({"seen": windows})}


def next_window(found: Sequence[Place], seen: Sequence[Any] | None, iters: int, *, earlier: bool = True) -> list[Place]:
    """Pick the next iterations: the latest ones first, then those before or after what was seen."""
    known = sorted({place.iter for place in found})
    if seen and len(seen) == 2 and all(isinstance(edge, int) for edge in seen):  # its first and last iteration
        known = [number for number in known if (number < seen[0] if earlier else number > seen[1])]
    chosen = set(known[-iters:] if earlier or not seen else known[:iters])
    return [place for place in found if place.iter in chosen]


def by_iteration(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Group events under their iteration, the latest first."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        groups.setdefault(event.get("iter", NO_ITER), []).append(event)
    return [{"events": groups[number], "iter": number} for number in sorted(groups, reverse=True)]


@endpoint("events.get_debug_image_sample", version="2.12")
def image_sample(call: Call) -> dict[str, Any]:
    """Give one debug sample and where one may go from it."""
    return _sample(call, IMAGE)


@endpoint("events.get_plot_sample", version="2.20")
def plot_sample(call: Call) -> dict[str, Any]:
    """Give the plots of one metric at one iteration and where one may go from it."""
    return _sample(call, PLOT)


def _sample(call: Call, table: str) -> dict[str, Any]:
    body = call.body
    owners(call, [body["task"]], models=body.get("model_events", False))
    variant = body.get("variant") if table == IMAGE else None
    mine = [
        place
        for place in places(call.db, table, [body["task"]], [{"metric": body["metric"]}])
        if variant is None or place.variant == variant
    ]
    if not mine:
        return _shown(call, table, [], [], {})
    asked = body.get("iteration")
    wanted_iter = max(place.iter for place in mine) if asked is None else asked
    at = [place for place in mine if place.iter == wanted_iter]
    state = {
        "metric": body["metric"],
        "variant": variant,
        "iter": wanted_iter,
        "only": body["metric"] if body.get("navigate_current_metric") is not False else None,
    }
    return _shown(call, table, at, mine, state)


def _shown(
    call: Call, table: str, at: Sequence[Place], around: Sequence[Place], state: dict[str, Any]
) -> dict[str, Any]:
    events = events_at(call.db, table, at)
    iterations = [place.iter for place in around]
    content: dict[str, Any] = {"event": events[0] if events else None} if table == IMAGE else {"events": events}
    return {
        "scroll_id": scroll.write(state),
        **content,
        "min_iteration": min(iterations, default=None),
        "max_iteration": max(iterations, default=None),
    }


@endpoint("events.next_debug_image_sample", version="2.12")
def next_image(call: Call) -> dict[str, Any]:
    """Go to the next debug sample: another variant of the iteration, or another iteration."""
    return _next(call, IMAGE)


@endpoint("events.next_plot_sample", version="2.20")
def next_plot(call: Call) -> dict[str, Any]:
    """Go to the next plots: another metric of the iteration, or another iteration."""
    return _next(call, PLOT)


def _next(call: Call, table: str) -> dict[str, Any]:
    body = call.body
    owners(call, [body["task"]], models=body.get("model_events", False))
    state = scroll.read(body["scroll_id"])
    if state is None or not isinstance(state.get("iter", 0), int):
        raise fail("invalid_scroll_id", scroll_id=body["scroll_id"])
    if "iter" not in state:
        return _shown(call, table, [], [], state)
    only = state.get("only")
    found = places(call.db, table, [body["task"]], [{"metric": only}] if isinstance(only, str) else None)
    step = step_from(
        sorted({_stop(table, place) for place in found}),
        (state["iter"], str(state.get("metric")), str(state.get("variant") or "")),
        earlier=body.get("navigate_earlier") is not False,
        whole=body.get("next_iteration", False),
    )
    if step is None:
        return _shown(call, table, [], [], state)
    iteration, metric, variant = step
    at = [place for place in found if _stop(table, place) == step]
    around = [place for place in found if place.metric == metric and (table != IMAGE or place.variant == variant)]
    state = {**state, "iter": iteration, "metric": metric, "variant": variant or None}
    return _shown(call, table, at, around, state)


Stop = tuple[int, str, str]


def _stop(table: str, place: Place) -> Stop:
    return place.iter, place.metric, place.variant if table == IMAGE else ""


def step_from(stops: Sequence[Stop], here: Stop, *, earlier: bool, whole: bool) -> Stop | None:
    """Find the stop before or after this one; `whole` asks for another iteration, same variant if it can."""
    if whole:
        same = [stop for stop in stops if stop[1:] == here[1:]]
        stops = [stop for stop in same or stops if stop[0] != here[0]]
    beyond = [stop for stop in stops if (stop < here if earlier else stop > here)]
    if not beyond:
        return None
    return beyond[-1] if earlier else beyond[0]
