"""What the monitor asks Prefect's REST API."""

from __future__ import annotations

from collections.abc import Iterator
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

    def _pages(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self._ask(path, {**body, "limit": _PAGE, "offset": offset})
            yield from page
            offset += len(page)
            if len(page) < _PAGE:
                return

    def deployments(self) -> dict[str, str]:
        """Id -> name of every deployment."""
        return {one["id"]: one["name"] for one in self.scheduled()}

    def scheduled(self) -> list[dict[str, Any]]:
        """Every deployment as Prefect tells it, with its schedules."""
        return list(self._pages("deployments/filter", {}))

    def runs_due(self, deployment: str, after: datetime, until: datetime) -> list[dict[str, Any]]:
        """Flow runs the scheduler made for times in (after, until]."""
        body = {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {"expected_start_time": {"after_": _iso(after), "before_": _iso(until)}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        found = self._pages("flow_runs/filter", body)
        return [
            run for run in found if run["auto_scheduled"] and datetime.fromisoformat(run["expected_start_time"]) > after
        ]

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

    def last_ended(self, deployment: str, since: datetime | None = None) -> tuple[str, str] | None:
        """State type and id of the deployment's last finished run; None before the first.

        A run that did not complete after `since` comes before a later one that did: its failure was not told yet.
        """
        asked: list[dict[str, Any]] = [{"state": {"type": {"any_": _ENDED}}}]
        if since is not None:
            asked.insert(0, {"state": {"type": {"any_": _ENDED[1:]}}, "end_time": {"after_": _iso(since)}})
        for runs in asked:
            where = {"flow_runs": runs, "deployments": {"id": {"any_": [deployment]}}}
            for run in self._ask("flow_runs/filter", {**where, "sort": "END_TIME_DESC", "limit": 1}):
                return run["state"]["type"], run["id"]
        return None

    def ended(self, states: list[str], since: datetime) -> int:
        """Flow runs that ended in one of `states` since a time."""
        where = {"state": {"type": {"any_": states}}, "end_time": {"after_": _iso(since)}}
        return int(self._ask("flow_runs/count", {"flow_runs": where}))

    def worker_silence(self, now: datetime) -> dict[str, float]:
        """Worker of the pool -> seconds since it was heard."""
        self.calls += 1
        answer = self._http.post(f"work_pools/{self._pool}/workers/filter", json={"limit": _PAGE})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        found = {one["name"]: one["last_heartbeat_time"] for one in answer.raise_for_status().json()}
        return {name: (now - datetime.fromisoformat(beat)).total_seconds() for name, beat in found.items() if beat}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def day_before(now: datetime) -> datetime:
    """A day earlier."""
    return now - timedelta(days=1)
