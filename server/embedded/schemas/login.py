"""What the endpoints of `login` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {}
