"""serving.*: what the page of model endpoints asks.

Model servers do not report to this server: the lists are empty, and reporting or asking for one endpoint says that it
is not implemented.
"""

from __future__ import annotations

from typing import Any

from server.embedded.endpoints import Call, endpoint


@endpoint("serving.get_endpoints", version="2.31")
def get_endpoints(call: Call) -> dict[str, Any]:
    """List model endpoints: there are none."""
    del call
    return {"endpoints": []}


@endpoint("serving.get_loading_instances", version="2.31")
def get_loading_instances(call: Call) -> dict[str, Any]:
    """List model servers that are starting: there are none."""
    del call
    return {"instances": []}
