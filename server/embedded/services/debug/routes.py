"""debug.*: is anybody there."""

from __future__ import annotations

from typing import Any

from server.embedded.endpoints import Call, endpoint


@endpoint("debug.ping", version="2.9", auth=False)
def ping(_: Call) -> dict[str, Any]:
    """Answer."""
    return {"msg": "ClearML server"}
