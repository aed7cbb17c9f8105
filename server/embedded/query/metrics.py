"""The last metrics of tasks and models, kept per series and answered nested by the hashes clients use."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from server.embedded.query.filters import marks

VALUES = (
    "metric", "variant", "value", "min_value", "min_value_iteration", "max_value", "max_value_iteration",
    "first_value", "first_value_iteration", "count", "mean_value", "x_axis_label",
)  # fmt: skip
_SQL = f"SELECT object, {', '.join(VALUES)} FROM series WHERE value IS NOT NULL AND object IN "  # noqa: S608 - names above
CHUNK = 500


@lru_cache(maxsize=65536)
def name_hash(name: str) -> str:
    """Hash a metric or variant name as the API's clients do."""
    return hashlib.md5(name.encode()).hexdigest()  # noqa: S324 - an identifier of the protocol, not security


def last_metrics(
    db: sqlite3.Connection, ids: Sequence[str], paths: Iterable[Sequence[str]] | None = None
) -> dict[str, dict[str, Any]]:
    """Read the last metrics of objects.

    Parameters
    ----------
    paths
        What is asked for below `last_metrics`, e.g. `["<metric hash>", "<variant hash>"]`; None for everything.

    Returns
    -------
    dict
        Object id to `{metric hash: {variant hash: {...}}}`, one for every id.
    """
    found: dict[str, dict[str, Any]] = {identifier: {} for identifier in ids}
    asked = None if paths is None else [list(path) for path in paths]
    narrow, extra = _narrow(asked)
    cursor = db.cursor()
    cursor.row_factory = None  # plain tuples: a page of tasks has thousands of these
    for start in range(0, len(ids), CHUNK):
        part = list(ids[start : start + CHUNK])
        for owner, *row in cursor.execute(f"{_SQL} ({marks(part)}){narrow}", part + extra):
            values = dict(zip(VALUES, row, strict=True))
            if None in row:
                values = {name: value for name, value in values.items() if value is not None}
            if "mean_value" in values:
                values["mean_value"] = round(values["mean_value"], 2)  # as the official server keeps it
            found[owner].setdefault(name_hash(row[0]), {})[name_hash(row[1])] = values
    return found


def _narrow(asked: list[list[str]] | None) -> tuple[str, list[str]]:
    if asked is None or any(not path for path in asked):
        return "", []
    metrics = sorted({path[0] for path in asked})
    return f" AND name IN (SELECT id FROM metric_name WHERE metric_hash IN ({marks(metrics)}))", metrics  # noqa: S608 - placeholders
