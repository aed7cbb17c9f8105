"""The few questions the command line asks Prefect's REST API, without importing Prefect."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from flows.commands.errors import ServiceError, StateError

ROOT = Path(__file__).resolve().parents[2]
URGENT = "urgent"
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class _Patient(httpx.HTTPTransport):
    """Asks again while Prefect's database is busy (it answers 503), up to half a minute."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + 30
        while True:
            response = super().handle_request(request)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                return response
            response.close()
            time.sleep(0.3)


def client(environment: Mapping[str, str] = os.environ) -> httpx.Client:
    """HTTP client of the Prefect API that `PREFECT_API_URL` names."""
    return httpx.Client(base_url=environment["PREFECT_API_URL"].rstrip("/") + "/", timeout=180, transport=_Patient())


def make_pool(environment: Mapping[str, str], pool: str, *, paused: bool = False) -> None:
    """Make the process work pool the deployments name, if it is not there; a paused one gives its workers nothing.

    What stands in its queue `urgent` is taken before all else: who watches must not wait behind what it watches.
    """
    with client(environment) as prefect:
        answer = prefect.get(f"work_pools/{pool}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            body = {"name": pool, "type": "process", "is_paused": paused}
            prefect.post("work_pools/", json=body).raise_for_status()
        if prefect.get(f"work_pools/{pool}/queues/{URGENT}").status_code == httpx.codes.NOT_FOUND:
            prefect.post(f"work_pools/{pool}/queues", json={"name": URGENT, "priority": 1}).raise_for_status()


def resume_pool(environment: Mapping[str, str], pool: str) -> None:
    """Let the workers of a paused pool have its runs."""
    with client(environment) as prefect:
        prefect.patch(f"work_pools/{pool}", json={"is_paused": False}).raise_for_status()


def require_sole_worker(environment: Mapping[str, str], pool: str, name: str) -> None:
    """Make sure that nobody else works under this name: two would hide each other's death, and share one heartbeat.

    A worker that was heard lately may be dead all the same: it is given one and a half intervals to be heard again.

    Raises
    ------
    StateError
        Where it is heard again.
    """
    with client(environment) as prefect:

        def heard() -> tuple[str, float]:
            found = prefect.post(f"work_pools/{pool}/workers/filter", json={"limit": 200})
            if found.status_code == httpx.codes.NOT_FOUND:
                return "", 0.0
            one: dict[str, Any] = next((one for one in found.raise_for_status().json() if one["name"] == name), {})
            return one.get("last_heartbeat_time") or "", float(one.get("heartbeat_interval_seconds") or 30)

        first, interval = heard()
        if not first or datetime.now(UTC) - datetime.fromisoformat(first) > timedelta(seconds=3 * interval):
            return
        deadline = time.monotonic() + 1.5 * interval
        while time.monotonic() < deadline:
            if heard()[0] != first:
                raise StateError(
                    f"a worker named {name!r} is alive in work pool {pool!r} ({prefect.base_url}) already: "
                    "two of one name hide each other's death. Stop it, or let this stack start a Prefect of its own "
                    "(unset PREFECT_API_URL)"
                )
            time.sleep(min(interval / 10, 1.0))


def deploy_all(environment: Mapping[str, str], log: Path) -> None:
    """`prefect --no-prompt deploy --all` from the folder of `prefect.yaml`, and the automations beside it.

    Raises
    ------
    ServiceError
        With the end of its output, if it fails.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=False)
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        raise ServiceError(f"prefect deploy --all failed ({done.returncode}):\n{(done.stdout + done.stderr)[-2000:]}")
    automate(environment)


def automate(environment: Mapping[str, str]) -> None:
    """Make what `deployments/automations` describes, or renew it: an automation is known by its name."""
    import yaml

    with client(environment) as prefect:
        for path in sorted((ROOT / "deployments" / "automations").glob("*.yaml")):
            wanted = yaml.safe_load(path.read_text())
            same = {"automations": {"name": {"any_": [wanted["name"]]}}}
            known = prefect.post("automations/filter", json=same).raise_for_status().json()
            if known:
                prefect.put(f"automations/{known[0]['id']}", json=wanted).raise_for_status()
            else:
                prefect.post("automations/", json=wanted).raise_for_status()


def drop_waiting(environment: Mapping[str, str], besides: str) -> None:
    """Delete the runs that wait for a worker, planned by a schedule or asked for by an event, but for one."""
    waiting = {"state": {"type": {"any_": ["SCHEDULED"]}}, "id": {"not_any_": [besides]}}
    with client(environment) as prefect:
        while found := prefect.post("flow_runs/filter", json={"flow_runs": waiting}).raise_for_status().json():
            for run in found:
                prefect.delete(f"flow_runs/{run['id']}").raise_for_status()


def set_paused(environment: Mapping[str, str], *, paused: bool) -> int:
    """Pause or resume every deployment's schedules; how many there are."""
    with client(environment) as prefect:
        found = prefect.post("deployments/filter", json={}).raise_for_status().json()
        for deployment in found:
            prefect.patch(f"deployments/{deployment['id']}", json={"paused": paused}).raise_for_status()
        return len(found)


def run_deployment(
    environment: Mapping[str, str],
    name: str,
    *,
    parameters: dict[str, Any] | None = None,
    made: Callable[[str], None] = lambda _: None,
    watch: Callable[[str], None] = lambda _: None,
    seconds: float = 1800,
) -> dict[str, Any]:
    """Start the deployment `flow/name` and wait for its run's final state.

    Parameters
    ----------
    made
        Told the run's id before it is waited for.
    watch
        Told the name of its state, again and again.

    Raises
    ------
    ServiceError
        If the run does not complete, with its state's message.
    """
    with client(environment) as prefect:
        deployment = prefect.get(f"deployments/name/{name}").raise_for_status().json()
        asked = prefect.post(f"deployments/{deployment['id']}/create_flow_run", json={"parameters": parameters or {}})
        run: dict[str, Any] = asked.raise_for_status().json()
        made(run["id"])
        deadline = time.monotonic() + seconds
        while run["state"]["type"] not in _FINAL:
            if time.monotonic() > deadline:
                raise ServiceError(f"{name} ({run['id']}) is still {run['state']['name']} after {seconds:.0f} s")
            time.sleep(0.3)
            run = prefect.get(f"flow_runs/{run['id']}").raise_for_status().json()
            watch(run["state"]["name"])
    if run["state"]["type"] != "COMPLETED":
        raise ServiceError(f"{name} ended {run['state']['name']}: {run['state'].get('message')}")
    return run
