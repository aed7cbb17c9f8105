"""server.*: what this server is and can do."""

from __future__ import annotations

from typing import Any

from server.embedded.auth import SERVER_VERSION
from server.embedded.catalogue import ENDPOINTS
from server.embedded.endpoints import API_VERSION, REGISTRY, Call, endpoint

ADMINS = ("root", "system")


@endpoint("server.info")
def info(_: Call) -> dict[str, Any]:
    """Tell versions."""
    return {"version": SERVER_VERSION, "build": "", "commit": "", "api_version": API_VERSION}


@endpoint("server.config", roles=ADMINS)
def config(call: Call) -> dict[str, Any]:
    """Tell settings, secrets left out."""
    settings = call.state.settings
    shown = {"max_upload_mb": settings.max_upload_mb, "silent_task_s": settings.silent_task_s, "urls": call.state.urls}
    section = call.body.get("path")
    return {"values": shown if not section else shown.get(str(section))}


@endpoint("server.endpoints", roles=ADMINS)
def endpoints(call: Call) -> dict[str, Any]:
    """List every endpoint of the API and whether this server has it."""
    return {
        "endpoints": [
            {
                "name": name,
                "versions": list(versions),
                "implemented": name in REGISTRY,
                "refused_calls": call.state.unimplemented.get(name, 0),
            }
            for name, versions in ENDPOINTS.items()
        ]
    }


@endpoint("server.report_stats_option")
def report_stats_option(_: Call) -> dict[str, Any]:
    """Tell that nothing is ever reported to anybody."""
    return {"current_version": SERVER_VERSION, "enabled": False, "supported": True}


@endpoint("server.get_stats", roles=ADMINS)
def get_stats(call: Call) -> dict[str, Any]:
    """Count objects and calls. Nothing of it leaves this machine."""
    tables = ("task", "model", "project", "queue", "user")
    counts = {name: call.db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608 - names above
    return {"objects": counts, "calls": dict(call.state.calls), "refused": dict(call.state.unimplemented)}
