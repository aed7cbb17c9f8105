"""Google's quotas, off until switched on: per minute 300 reads and 300 writes a project, 60 of each a user."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from server.sheets.auth import PROJECT
from server.sheets.errors import ERROR_INFO, QuotaExceeded

WINDOW = 60.0
READS = {"GET"}


@dataclass
class Quota:
    """Requests of the last minute, by kind; `None` is no limit."""

    per_project: int | None = None
    per_user: int | None = None
    _recent: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def count(self, method: str, user: str, now: float | None = None) -> None:
        """Count one request.

        Raises
        ------
        QuotaExceeded
            With Google's words, where it is one too many; it is not counted then.
        """
        if self.per_project is None and self.per_user is None:
            return
        moment = time.monotonic() if now is None else now
        kind = "Read" if method in READS else "Write"
        for limit, who, per in ((self.per_user, user, "per user"), (self.per_project, "", "")):
            if limit is not None and len(self._window(kind, who, moment)) >= limit:
                raise _exceeded(kind, per, limit)
        for who in (user, ""):
            self._window(kind, who, moment).append(moment)

    def _window(self, kind: str, who: str, now: float) -> deque[float]:
        recent = self._recent.setdefault((kind, who), deque())
        while recent and recent[0] <= now - WINDOW:
            recent.popleft()
        return recent


def _exceeded(kind: str, per: str, limit: int) -> QuotaExceeded:
    name = f"{kind} requests per minute" + (f" {per}" if per else "")
    metric = f"{kind} requests"
    message = (
        f"Quota exceeded for quota metric '{metric}' and limit '{name}' of service 'sheets.googleapis.com' "
        f"for consumer 'project_number:{PROJECT}'."
    )
    metadata = {
        "service": "sheets.googleapis.com",
        "quota_limit": f"{kind}RequestsPerMinutePer{'User' if per else 'Project'}",
        "quota_limit_value": str(limit),
        "quota_metric": f"sheets.googleapis.com/{kind.lower()}_requests",
        "quota_location": "global",
        "consumer": f"projects/{PROJECT}",
    }
    details = [{"@type": ERROR_INFO, "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com", "metadata": metadata}]
    return QuotaExceeded(message, details=details)
