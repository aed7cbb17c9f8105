"""serving.*: containers that serve models tell that they are there, and the page of model endpoints asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from server.embedded import clock
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.services.serving import history, store

LONGEST_S = 10**9


@endpoint("serving.register_container", version="2.31", write=True)
def register_container(call: Call) -> dict[str, Any]:
    """Announce a container; one that is silent for its timeout counts as gone."""
    timeout = call.body.get("timeout") or store.TIMEOUT_S
    store.save(call, registered=call.now, timeout=max(1, min(timeout, LONGEST_S)))
    return {}


@endpoint("serving.unregister_container", version="2.31", write=True)
def unregister_container(call: Call) -> dict[str, Any]:
    """Forget a container.

    Raises
    ------
    ApiError
        `invalid_object_id`
    """
    gone = call.db.execute(
        "DELETE FROM container WHERE company = ? AND id = ?", (call.company, call.body["container_id"])
    )
    if not gone.rowcount:
        raise fail("invalid_object_id", "no such container", id=call.body["container_id"])
    return {}


@endpoint("serving.container_status_report", version="2.31", write=True)
def container_status_report(call: Call) -> dict[str, Any]:
    """Tell how a container does."""
    body = call.body
    told = {"uptime_sec": "uptime_sec", "requests_num": "requests", "requests_min": "requests_min",
            "latency_ms": "latency_ms"}  # fmt: skip
    values = {column: body[name] for name, column in told.items() if body.get(name) is not None}
    store.save(call, **values, **history.note(call))
    return {}


@endpoint("serving.get_endpoints", version="2.31")
def get_endpoints(call: Call) -> dict[str, Any]:
    """List the model endpoints that live containers serve."""
    by_url: dict[str, list[sqlite3.Row]] = {}
    for row in store.alive(call, "url IS NOT NULL AND url <> ''"):
        by_url.setdefault(row["url"], []).append(row)
    return {"endpoints": [_endpoint(rows) for rows in by_url.values()]}


@endpoint("serving.get_loading_instances", version="2.31")
def get_loading_instances(call: Call) -> dict[str, Any]:
    """List containers that have no address yet."""
    return {
        "instances": [
            store.info(row)
            | {
                "id": row["id"],
                "uptime_sec": row["uptime_sec"] or 0,
                "last_update": clock.iso_millis(row["updated"]),
                "age_sec": max(0, (call.now - row["registered"]) // 1_000_000),
            }
            for row in store.alive(call, "coalesce(url, '') = ''")
        ]
    }


@endpoint("serving.get_endpoint_details", version="2.31")
def get_endpoint_details(call: Call) -> dict[str, Any]:
    """Describe one model endpoint and each of its containers.

    Raises
    ------
    ApiError
        `invalid_object_id`: no live container serves that address.
    """
    rows = store.alive(call, "url = ?", call.body["endpoint_url"])
    if not rows:
        raise fail("invalid_object_id", "no such endpoint", endpoint_url=call.body["endpoint_url"])
    return store.info(rows[-1]) | {
        "uptime_sec": _most(rows, "uptime_sec"),
        "last_update": clock.iso_millis(max(row["updated"] for row in rows)),
        "instances": [store.instance(row) for row in rows],
    }


def _endpoint(rows: Sequence[sqlite3.Row]) -> dict[str, Any]:
    found = store.info(rows[-1])
    return {
        "endpoint": found.get("endpoint"),
        "model": found.get("model"),
        "url": rows[-1]["url"],
        "instances": len(rows),
        "uptime_sec": _most(rows, "uptime_sec"),
        "requests": sum(row["requests"] or 0 for row in rows),
        "requests_min": fmean(row["requests_min"] or 0 for row in rows),
        "latency_ms": round(fmean(row["latency_ms"] or 0 for row in rows)),
        "last_update": clock.iso_millis(max(row["updated"] for row in rows)),
    }


def _most(rows: Sequence[sqlite3.Row], name: str) -> int:
    return int(max(row[name] or 0 for row in rows))
