"""What events hang on: tasks and models that exist, and the series of their metrics."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.embedded.endpoints import Call
from server.embedded.errors import fail

_STEP = 500  # ids per statement


@dataclass(frozen=True)
class Series:
    """One metric and variant of a task or model."""

    id: int
    object: str
    metric: str
    variant: str
    x_axis_label: str | None


def chunks(values: Sequence[Any], size: int = _STEP) -> Iterator[Sequence[Any]]:
    """Cut a list into pieces that fit one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def owners(call: Call, ids: Sequence[Any], *, models: bool = False) -> dict[str, str]:
    """Names of the tasks or models that a request is about.

    Raises
    ------
    ApiError
        `invalid_task_id` or `invalid_model_id` when one is not there, or another company's.
    """
    table = "model" if models else "task"
    names: dict[str, str] = {}
    for piece in chunks([item for item in dict.fromkeys(ids) if isinstance(item, str)]):
        marks = ", ".join("?" * len(piece))
        found = f"SELECT id, name FROM {table} WHERE id IN ({marks}) AND company IN (?, '')"  # noqa: S608 - two names
        names.update(call.db.execute(found, [*piece, call.company]).fetchall())
    if len(names) < len(set(ids)):
        raise fail("invalid_model_id" if models else "invalid_task_id", ids=tuple(ids))
    return names


def wanted(metrics: Iterable[Mapping[str, Any]] | None) -> tuple[str, list[Any]]:
    """Condition on series `s` for a request's `metrics`: any of the metrics, each with all or some variants."""
    parts: list[str] = []
    values: list[Any] = []
    for item in metrics or ():
        metric = item.get("metric")
        variants = item.get("variants") or []
        if metric is None:
            return "1", []
        parts.append("s.metric = ?" + (f" AND s.variant IN ({', '.join('?' * len(variants))})" if variants else ""))
        values += [metric, *variants]
    if not parts:
        return "1", []
    return "(" + " OR ".join(f"({part})" for part in parts) + ")", values


def series_of(
    db: sqlite3.Connection, ids: Sequence[str], metrics: Iterable[Mapping[str, Any]] | None = None, having: str = "1"
) -> list[Series]:
    """Series of some tasks or models in the order of their names."""
    condition, values = wanted(metrics)
    found: list[Series] = []
    for piece in chunks(list(ids)):
        marks = ", ".join("?" * len(piece))
        rows = db.execute(
            "SELECT s.id, s.object, s.metric, s.variant, s.x_axis_label FROM series s "  # noqa: S608 - fixed conditions
            f"WHERE s.object IN ({marks}) AND {condition} AND {having} ORDER BY s.metric, s.variant",
            [*piece, *values],
        )
        found += [Series(*row) for row in rows]
    return found


SCALARS = "s.count > 0"
SINGLE_VALUES = "-2147483648 IN (s.min_value_iteration, s.max_value_iteration, s.first_value_iteration)"


def digest(text: str) -> str:
    """Hash of a metric's or variant's name, by which clients address last metrics."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def series_id(db: sqlite3.Connection, owner: str, metric: str, variant: str) -> int:
    """Find or make the series of a metric and variant."""
    row = db.execute(
        "SELECT id FROM series WHERE object = ? AND metric = ? AND variant = ?", (owner, metric, variant)
    ).fetchone()
    if row is not None:
        return int(row[0])
    added = db.execute(
        "INSERT INTO series (object, metric, variant, name) VALUES (?, ?, ?, ?)",
        (owner, metric, variant, name_id(db, metric, variant)),
    )
    return int(added.lastrowid or 0)


def name_id(db: sqlite3.Connection, metric: str, variant: str) -> int:
    """Find or make the number of a metric's and variant's name."""
    row = db.execute("SELECT id FROM metric_name WHERE metric = ? AND variant = ?", (metric, variant)).fetchone()
    if row is not None:
        return int(row[0])
    added = db.execute(
        "INSERT INTO metric_name (metric, variant, metric_hash, variant_hash) VALUES (?, ?, ?, ?)",
        (metric, variant, digest(metric), digest(variant)),
    )
    return int(added.lastrowid or 0)


def event_urls(db: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """Addresses of the files that the debug samples of some tasks or models point at."""
    urls: dict[str, None] = {}
    for piece in chunks(list(ids)):
        marks = ", ".join("?" * len(piece))
        rows = db.execute(
            f"SELECT i.url FROM image i JOIN series s ON s.id = i.series WHERE s.object IN ({marks})",  # noqa: S608
            list(piece),
        )
        urls.update((row[0], None) for row in rows if row[0])
    return list(urls)


def delete_events(db: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Delete every event and last metric of some tasks or models. Returns how many events went."""
    gone = 0
    for piece in chunks(list(ids)):
        marks = ", ".join("?" * len(piece))
        mine = f"SELECT id FROM series WHERE object IN ({marks})"  # noqa: S608 - placeholders only
        gone += int(
            db.execute(f"SELECT coalesce(sum(n), 0) FROM scalar_block WHERE series IN ({mine})", piece).fetchone()[0]  # noqa: S608
        )
        for table in ("scalar_block", "plot", "image", "vector"):
            removed = db.execute(f"DELETE FROM {table} WHERE series IN ({mine})", piece)  # noqa: S608 - names above
            gone += removed.rowcount if table != "scalar_block" else 0
        db.execute(f"DELETE FROM series WHERE object IN ({marks})", piece)  # noqa: S608
        gone += db.execute(f"DELETE FROM log WHERE task IN ({marks})", piece).rowcount  # noqa: S608
    return gone
