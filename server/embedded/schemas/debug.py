"""What the endpoints of `debug` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {}
