"""Take events in: every event of a batch is checked, the good ones are stored, the bad ones counted by reason."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.embedded.endpoints import Call
from server.embedded.errors import ApiError, fail
from server.embedded.services.events import blocks
from server.embedded.services.events.blocks import NO_ITER, SINGLE
from server.embedded.services.events.store import chunks, series_id

SCALAR, VECTOR, IMAGE, PLOT, LOG = (
    "training_stats_scalar",
    "training_stats_vector",
    "training_debug_image",
    "plot",
    "log",
)
TYPES = frozenset({SCALAR, VECTOR, IMAGE, PLOT, LOG})
_COLUMNS = frozenset({"task", "metric", "variant", "iter", "timestamp", "type", "allow_locked"})
UNKNOWN_WORKER = "<unknown>"
_NUMBER = frozenset({int, float})
_FAR = 2**53
_LARGEST = 1e300  # what is larger, or no number, is looked at more closely

Key = tuple[str, str, str]


class _UnstorableError(Exception):
    """The value of an event does not go into the store."""


@dataclass
class _Scalars:
    """Points of one series in one batch."""

    points: list[tuple[int, int, float]] = field(default_factory=list)
    label: str | None = None


@dataclass
class _Owner:
    """What one batch changes on a task or model."""

    last: int = -1


@dataclass
class Batch:
    """Events of one request, sorted by where they go."""

    now: int
    worker: str
    scalars: dict[Key, _Scalars] = field(default_factory=dict)
    samples: list[tuple[str, Key, int, int, dict[str, Any]]] = field(default_factory=list)
    logs: list[tuple[Any, ...]] = field(default_factory=list)
    owners: dict[tuple[str, bool], _Owner] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    unstorable: Counter[str | None] = field(default_factory=Counter)
    added: int = 0


def add(call: Call, events: list[Any]) -> dict[str, Any]:
    """Store a batch and tell how many events went in.

    Raises
    ------
    ApiError
        `batch_contains_no_items`; `events_not_added` or `general_data_error` when none could be stored.
    """
    if not events:
        raise fail("batch_contains_no_items")
    batch = Batch(call.now // 1000, call.headers.get("x-clearml-worker") or UNKNOWN_WORKER)
    known = _known(call, events)
    running = {owner for (owner, models), status in known.items() if not models and status != "published"}
    for event in events:
        if not _plain(batch, event, running):
            _sort(batch, event, known)
    if batch.unstorable and not batch.added:
        reason = next(iter(batch.unstorable))
        count = batch.unstorable.total()
        raise fail("general_data_error", err=f"{count} document(s) failed to index.", extra_info=reason)
    errors = batch.errors + Counter({str(reason): count for reason, count in batch.unstorable.items()})
    if not batch.added:
        raise fail_events(errors)
    _store(call.db, batch)
    _progress(batch)
    _touch(call, batch)
    return {"added": batch.added, "errors": errors.total(), "errors_info": dict(errors)}


def fail_events(errors: Counter[str]) -> ApiError:
    """Make the error of a batch of which nothing was stored."""
    listed = ", ".join(f"{reason}={count}" for reason, count in errors.items())
    return ApiError.raw("events_not_added", f"Events not added: {listed}")


def _known(call: Call, events: list[Any]) -> dict[tuple[str, bool], str]:
    """Status of every task, and `published` or not of every model, that the batch names."""
    asked: dict[bool, dict[str, None]] = {False: {}, True: {}}
    for event in events:
        if isinstance(event, dict) and isinstance(event.get("task"), str):
            asked[bool(event.get("model_event"))][event["task"]] = None
    found: dict[tuple[str, bool], str] = {}
    for models, sql in (
        (False, "SELECT id, status FROM task"),
        (True, "SELECT id, CASE WHEN ready THEN 'published' ELSE '' END FROM model"),
    ):
        for piece in chunks(list(asked[models])):
            marks = ", ".join("?" * len(piece))
            rows = call.db.execute(f"{sql} WHERE id IN ({marks}) AND company = ?", [*piece, call.company])
            found.update(((row[0], models), row[1]) for row in rows)
    return found


def _plain(batch: Batch, event: Any, running: set[str]) -> bool:
    """Take in a scalar as reporters send them, whole and of the right types; leave any other event to `_sort`.

    Nearly all events are such scalars, and the checks of all that may be wrong with an event take longer than the rest.
    """
    try:
        if event["type"] != SCALAR or "model_event" in event:
            return False
        owner, metric, variant = event["task"], event["metric"], event["variant"]
        iteration, value, timestamp = event["iter"], event["value"], event["timestamp"]
        label = event.get("x_axis_label")
        if owner not in running:
            return False
    except (KeyError, TypeError, AttributeError):
        return False
    if not (
        type(metric) is type(variant) is str
        and type(iteration) is type(timestamp) is int
        and type(value) in _NUMBER
        and label is None
        and 0 <= iteration < _FAR
        and 0 < timestamp < _FAR
        and -_LARGEST <= value <= _LARGEST
    ):
        return False
    key = (owner, metric, variant)
    series = batch.scalars.get(key)
    if series is None:
        series = batch.scalars[key] = _Scalars()
        batch.owners.setdefault((owner, False), _Owner())
    series.points.append((iteration, timestamp, float(value)))
    batch.added += 1
    return True


def _sort(batch: Batch, event: Any, known: dict[tuple[str, bool], str]) -> None:
    if not isinstance(event, dict):
        batch.errors["Event must be an object"] += 1
        return
    kind = event.get("type")
    owner = event.get("task")
    models = bool(event.get("model_event"))
    reason = _refused(event, kind, owner, models, known)
    if reason:
        batch.errors[reason] += 1
        return
    try:
        _take(batch, event, str(kind), str(owner), models)
    except _UnstorableError as error:
        batch.unstorable[error.args[0]] += 1
    else:
        batch.added += 1


def _refused(event: dict[str, Any], kind: Any, owner: Any, models: bool, known: dict[tuple[str, bool], str]) -> str:  # noqa: FBT001 - a field of the event
    if not kind:
        return "Event must have a 'type' field"
    if not isinstance(kind, str) or kind not in TYPES:
        return f"Invalid event type {kind}"
    if not owner:
        return "Event must have a 'task' field"
    if models and kind == LOG:
        return "Task log events are not supported for models"
    status = known.get((owner, models)) if isinstance(owner, str) else None
    if status is None or (status == "published" and not event.get("allow_locked")):
        return f"Invalid {'model' if models else 'task'} id {owner}"
    return ""


def _take(batch: Batch, event: dict[str, Any], kind: str, owner: str, models: bool) -> None:  # noqa: FBT001 - see above
    timestamp = _timestamp(event, batch.now)
    if kind == LOG:
        message = event.get("msg")
        batch.logs.append(
            (
                owner,
                timestamp,
                _text(event.get("level")) or None,
                _text(event.get("worker")) or batch.worker,
                _text(message),
                batch.now,
            )
        )
        batch.owners.setdefault((owner, models), _Owner())
        return
    iteration = _iteration(event)
    key = (owner, _text(event.get("metric")), _text(event.get("variant")))
    if kind == SCALAR:
        value = _value(event.get("value"))
        series = batch.scalars.get(key)
        if series is None:
            series = batch.scalars[key] = _Scalars()
        series.points.append((iteration, timestamp, value))
        label = event.get("x_axis_label")
        if label is not None:
            series.label = _text(label)
    else:
        batch.samples.append((kind, key, iteration, timestamp, event))
    changed = batch.owners.setdefault((owner, models), _Owner())
    changed.last = max(changed.last, iteration)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _timestamp(event: dict[str, Any], now: int) -> int:
    value = event.get("timestamp")
    if not value:
        return now
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise _UnstorableError("failed to parse field [timestamp] of type [date]")
    return int(value)


def _iteration(event: dict[str, Any]) -> int:
    value = event.get("iter")
    if value is None:
        return NO_ITER
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ApiError.raw("bad_request", str(error)) from error
    if not NO_ITER < number < -NO_ITER:
        raise _UnstorableError(None)
    return number


def _value(value: Any) -> float:
    if isinstance(value, bool) or value is None:
        return float(bool(value))
    if not isinstance(value, int | float):
        raise ApiError.raw("bad_request", f"unsupported operand type(s) for +: 'int' and '{type(value).__name__}'")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _UnstorableError("failed to parse field [value] of type [float]")
    return number


def _store(db: sqlite3.Connection, batch: Batch) -> None:
    for (owner, metric, variant), found in batch.scalars.items():
        series = series_id(db, owner, metric, variant)
        blocks.append(db, series, found.points)
        _last(db, series, found)
    for kind, (owner, metric, variant), iteration, timestamp, event in batch.samples:
        _sample(db, batch, kind, series_id(db, owner, metric, variant), iteration, timestamp, event)
    if batch.logs:
        db.executemany(
            "INSERT INTO log (task, timestamp, level, worker, msg, received) VALUES (?, ?, ?, ?, ?, ?)", batch.logs
        )


def _last(db: sqlite3.Connection, series: int, found: _Scalars) -> None:
    """Carry a batch into the last metrics of its series: each point counts, also one that replaces another."""
    points = found.points
    iterations, _, values = zip(*points, strict=True)
    low = points[values.index(min(values))]
    high = points[values.index(max(values))]
    newest = points[len(points) - 1 - iterations[::-1].index(max(iterations))]
    db.execute(
        "UPDATE series SET value = :value, "
        "min_value_iteration = CASE WHEN count = 0 OR :low < min_value THEN :low_at ELSE min_value_iteration END, "
        "min_value = CASE WHEN count = 0 OR :low < min_value THEN :low ELSE min_value END, "
        "max_value_iteration = CASE WHEN count = 0 OR :high > max_value THEN :high_at ELSE max_value_iteration END, "
        "max_value = CASE WHEN count = 0 OR :high > max_value THEN :high ELSE max_value END, "
        "first_value = coalesce(first_value, :first), "
        "first_value_iteration = coalesce(first_value_iteration, :first_at), "
        "mean_value = (coalesce(mean_value, 0) * count + :total) / (count + :n), count = count + :n, "
        "x_axis_label = coalesce(:label, x_axis_label) WHERE id = :series",
        {
            "value": newest[2], "low": low[2], "low_at": _shown(low[0]), "high": high[2], "high_at": _shown(high[0]),
            "first": points[0][2], "first_at": _shown(points[0][0]), "total": sum(values),
            "n": len(points), "label": found.label, "series": series,
        },
    )  # fmt: skip


def _shown(iteration: int) -> int:
    return 0 if iteration == NO_ITER else iteration


_TABLES = {PLOT: "plot", IMAGE: "image", VECTOR: "vector"}


def _sample(
    db: sqlite3.Connection, batch: Batch, kind: str, series: int, iteration: int, timestamp: int, event: dict[str, Any]
) -> None:
    rest = {name: value for name, value in event.items() if name not in _COLUMNS}
    rest.setdefault("model_event", False)
    rest["@timestamp"] = batch.now
    rest.setdefault("worker", batch.worker)
    text = orjson.dumps(rest).decode()
    if kind == IMAGE:
        url = _text(event.get("url"))
        if url:  # clients reuse a fixed set of file names: what a file showed before is gone
            db.execute("DELETE FROM image WHERE series = ? AND url = ? AND iter < ?", (series, url, iteration))
        db.execute("INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?, ?)", (series, iteration, timestamp, url, text))
        return
    db.execute(
        f"INSERT OR REPLACE INTO {_TABLES[kind]} VALUES (?, ?, ?, ?)",  # noqa: S608 - one of three names
        (series, iteration, timestamp, text),
    )


def _progress(batch: Batch) -> None:
    """Carry the iterations of scalars to the tasks they are of."""
    for (owner, _, _), found in batch.scalars.items():
        changed = batch.owners.get((owner, False))
        if changed is not None:
            changed.last = max(changed.last, *(point[0] for point in found.points))


def _touch(call: Call, batch: Batch) -> None:
    """Tell tasks and models that something was reported for them."""
    worker = batch.worker if batch.worker != UNKNOWN_WORKER else None
    for (owner, models), changed in batch.owners.items():
        last = changed.last if changed.last > SINGLE else -1
        if models:
            call.db.execute(
                "UPDATE model SET last_update = ?, last_change = ?, "
                "last_iteration = max(coalesce(last_iteration, 0), ?) WHERE id = ?",
                (call.now, call.now, last, owner),
            )
        else:
            call.db.execute(
                "UPDATE task SET last_update = ?, last_change = ?, "
                "last_iteration = max(coalesce(last_iteration, 0), ?), last_worker = coalesce(?, last_worker), "
                "last_worker_report = CASE WHEN ? IS NULL THEN last_worker_report ELSE ? END WHERE id = ?",
                (call.now, call.now, last, worker, worker, call.now, owner),
            )
