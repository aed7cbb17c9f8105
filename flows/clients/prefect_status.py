"""What the monitor asks Prefect's REST API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

_ENDED = ["COMPLETED", "FAILED", "CRASHED"]  # cancelled runs are a concurrency limit's doing, or a person's
_PAGE = 200


class PrefectStatus:
    """Questions to one Prefect server, for one work pool.

    Every method raises `httpx.HTTPError` where it does not answer.
    """

    def __init__(self, api_url: str, pool: str) -> None:
        self._http = httpx.Client(base_url=api_url.rstrip("/") + "/", timeout=20)
        self._pool = pool
        self.calls = 0

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        self.calls += 1
        return self._http.post(path, json=body).raise_for_status().json()

    def deployments(self) -> dict[str, str]:
        """Id -> name of every deployment."""
        found: dict[str, str] = {}
        while True:
            page = self._ask("deployments/filter", {"limit": _PAGE, "offset": len(found)})
            found |= {one["id"]: one["name"] for one in page}
            if len(page) < _PAGE:
                return found

    def overdue(self, now: datetime) -> dict[str, float]:
        """Deployment id -> seconds by which its earliest run not begun is overdue (machine's clock)."""
        late = {"state": {"type": {"any_": ["SCHEDULED"]}}, "next_scheduled_start_time": {"before_": _iso(now)}}
        body = {"flow_runs": late, "sort": "NEXT_SCHEDULED_START_TIME_ASC", "limit": _PAGE}
        found: dict[str, float] = {}
        for run in self._ask("flow_runs/filter", body):
            due = datetime.fromisoformat(run["next_scheduled_start_time"])
            if run["deployment_id"] is not None:
                found.setdefault(run["deployment_id"], (now - due).total_seconds())
        return found

    def last_ended(self, deployment: str) -> tuple[str, str] | None:
        """State type and id of the deployment's last finished run; None before the first."""
        body = {
            "flow_runs": {"state": {"type": {"any_": _ENDED}}},
            "deployments": {"id": {"any_": [deployment]}},
            "sort": "END_TIME_DESC",
            "limit": 1,
        }
        runs = self._ask("flow_runs/filter", body)
        return (runs[0]["state"]["type"], runs[0]["id"]) if runs else None

    def ended(self, states: list[str], since: datetime) -> int:
        """Flow runs that ended in one of `states` since a time."""
        where = {"state": {"type": {"any_": states}}, "end_time": {"after_": _iso(since)}}
        return int(self._ask("flow_runs/count", {"flow_runs": where}))

    def worker_silence(self, now: datetime) -> float | None:
        """Seconds since the liveliest worker of the pool was heard; None where there never was one."""
        self.calls += 1
        answer = self._http.post(f"work_pools/{self._pool}/workers/filter", json={"limit": _PAGE})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        beats = [one["last_heartbeat_time"] for one in answer.raise_for_status().json()]
        heard = [datetime.fromisoformat(beat) for beat in beats if beat]
        return (now - max(heard)).total_seconds() if heard else None


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def day_before(now: datetime) -> datetime:
    """A day earlier."""
    return now - timedelta(days=1)
