"""Containers that serve models: who is there, and what each last said of itself."""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from server.embedded import clock
from server.embedded.endpoints import Call

TIMEOUT_S = 600
INFO = (
    "endpoint_name", "model_name", "endpoint_url", "model_source", "model_version", "preprocess_artifact",
    "input_type", "input_size", "reference",
)  # fmt: skip
SHOWN = {"endpoint_name": "endpoint", "model_name": "model", "endpoint_url": "url"}


def save(call: Call, **values: Any) -> None:
    """Write what a container tells of itself; one that nobody knows is taken in."""
    body = call.body
    info = {name: body[name] for name in INFO if body.get(name) is not None}
    row = {
        "id": body["container_id"], "company": call.company, "info": orjson.dumps(info).decode(),
        "url": body.get("endpoint_url"), "updated": call.now, **values,
    }  # fmt: skip
    kept = {"registered": call.now, "timeout": TIMEOUT_S}
    names = [*row, *(name for name in kept if name not in row)]
    assigned = ", ".join(f"{name} = excluded.{name}" for name in row)
    call.db.execute(
        f"INSERT INTO container ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our own names
        f" ON CONFLICT (company, id) DO UPDATE SET {assigned}",
        [{**kept, **row}[name] for name in names],
    )


def alive(call: Call, condition: str = "1", *values: Any) -> list[sqlite3.Row]:
    """Read the containers that were heard of within the time they asked for."""
    return call.db.execute(
        f"SELECT * FROM container WHERE company = ? AND updated > ? - 1000000 * timeout AND {condition}"  # noqa: S608 - fixed
        " ORDER BY registered, id",
        [call.company, call.now, *values],
    ).fetchall()


def info(row: sqlite3.Row) -> dict[str, Any]:
    """Write what a container serves, as an answer names it."""
    found: dict[str, Any] = orjson.loads(row["info"])
    return {SHOWN.get(name, name): value for name, value in found.items() if name != "reference"}


def instance(row: sqlite3.Row) -> dict[str, Any]:
    """Write how one container does."""
    figures = {
        name: row[name]
        for name in ("uptime_sec", "requests", "requests_min", "latency_ms", "cpu_count", "gpu_count")
        if row[name] is not None
    }
    reference = orjson.loads(row["info"]).get("reference") or []
    return {"id": row["id"], **figures, "last_update": clock.iso_millis(row["updated"]), "reference": reference}
