"""What the endpoints of `server` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "get_stats": "interval:int",
    "config": "path:str",
    "report_stats_option": "enabled:bool",
}
