"""Last metrics of tasks and models: what each series ended at, its extremes and its mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from server.embedded.services.events.store import chunks

LastMetrics = dict[str, dict[str, dict[str, Any]]]
_COLUMNS = (
    "object, metric_hash, variant_hash, metric, variant, value, min_value, min_value_iteration, max_value, "
    "max_value_iteration, first_value, first_value_iteration, count, mean_value, x_axis_label"
)
_FIELDS = tuple(name.strip() for name in _COLUMNS.split(","))[3:]


def last_metrics(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, LastMetrics]:
    """Last metrics by object, hash of the metric and hash of the variant. The mean has two decimals, as everywhere."""
    found: dict[str, LastMetrics] = {identifier: {} for identifier in ids}
    for piece in chunks(list(ids)):
        marks = ", ".join("?" * len(piece))
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM series WHERE object IN ({marks}) AND count > 0 ORDER BY metric, variant",  # noqa: S608
            list(piece),
        )
        for owner, metric_hash, variant_hash, *values in rows:
            event = {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None}
            event["mean_value"] = round(event["mean_value"], 2)
            found[owner].setdefault(metric_hash, {})[variant_hash] = event
    return found
