"""`moodflow deploy` against a real server: every deployment, its schedule, its triggers, the automations; what events start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from flows.clients.events import Events
from flows.commands import prefect_api, prefect_seed, processes
from flows.commands.prefect_api import ROOT, client

pytestmark = pytest.mark.xdist_group("prefect")

TOLD = "failed run -> monitor"  # the automation


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory):
    """A server of this module's own: word of other tests' failed runs would come late, and start the monitor, too."""
    home = tmp_path_factory.mktemp("prefect")
    prefect_seed.plant_seed(home)
    port = processes.choose_port(0, "--port", strict=False)
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "flows.commands.prefect_app:create_app",
        "--port",
        str(port),
    ]
    env = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    child = processes.launch("prefect", command, home / "logs", env, pipe=False)
    try:
        processes.await_http(child, f"http://127.0.0.1:{port}/api/health", 300)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        processes.stop_all([child])


@pytest.fixture(scope="module")
def deployed(prefect_server, tmp_path_factory):
    """What `moodflow deploy` has made."""
    home = tmp_path_factory.mktemp("home")
    env = {**os.environ, "PREFECT_API_URL": prefect_server, "MOODFLOW_HOME": str(home)}
    with client(env) as http:
        others = Counter(one["name"] for one in Prefect(http).post("automations/filter"))
    command = [sys.executable, "-m", "flows", "deploy"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    prefect_api.automate(env)  # again: nothing is made twice
    with client({"PREFECT_API_URL": prefect_server}) as http:
        found = Prefect(http)
        found.made = Counter(one["name"] for one in found.post("automations/filter")) - others
        for one in found.deployments.values():  # no slot of a schedule comes between
            http.patch(f"deployments/{one['id']}", json={"paused": True}).raise_for_status()
        yield found


class Prefect:
    """What the server holds."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.deployments = {d["name"]: d for d in self.post("deployments/filter") if d["name"] in asked("deployments")}
        self.made: Counter[str] = Counter()
        self.automations = {a["name"]: a for a in self.post("automations/filter")}

    def post(self, path: str, **body):
        return self.http.post(path, json=body).raise_for_status().json()

    def started(self, deployment: str, by: str) -> list[dict]:
        """Runs of a deployment that an automation made."""
        runs = self.post(
            "flow_runs/filter", flow_runs={"deployment_id": {"any_": [self.deployments[deployment]["id"]]}}
        )
        made = [r for r in runs if (r["created_by"] or {}).get("type") == "AUTOMATION"]
        return [r for r in made if r["created_by"]["display_value"] == by]

    def await_start(self, deployment: str, by: str, more_than: int = 0) -> list[dict]:
        deadline = time.monotonic() + 180
        while len(found := self.started(deployment, by)) <= more_than and time.monotonic() < deadline:
            time.sleep(0.3)
        return found


def asked(what: str) -> dict[str, dict]:
    return {d["name"]: d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())[what]}


def shipped() -> dict[str, dict]:
    found = [yaml.safe_load(path.read_text()) for path in (ROOT / "deployments" / "automations").glob("*.yaml")]
    return {one["name"]: one for one in found}


def test_every_flow_is_deployed_with_its_schedule_triggers_and_automations(deployed):
    """What prefect.yaml and deployments/automations name is on the server, once; automations too where they were made twice."""
    wanted = asked("deployments")
    assert wanted.keys() == deployed.deployments.keys()
    for name, one in deployed.deployments.items():
        assert len(one["schedules"]) == len(wanted[name]["schedules"])
        assert one["global_concurrency_limit"]["limit"] == 1
    triggers = {t["name"] for d in wanted.values() for t in d.get("triggers", [])}
    assert triggers == {"new answers -> collect", "drift -> train", "failed run -> monitor"}
    for name in triggers | shipped().keys():
        assert deployed.made[name] == 1, name
    assert {a["type"] for name in shipped() for a in deployed.automations[name]["actions"]} == {
        "change-flow-run-state",
        "cancel-flow-run",
    }


def test_the_monitor_is_taken_before_what_waited_longer(deployed):
    """Behind a backlog of an older run of `cycle` the worker is given the monitor first."""

    def wait(name: str, minutes: int) -> str:
        at = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
        one = deployed.deployments[name]
        state = {"type": "SCHEDULED", "name": "Scheduled", "state_details": {"scheduled_time": at}}
        return deployed.post(f"deployments/{one['id']}/create_flow_run", state=state)["id"]

    older, monitor = wait("cycle", 30), wait("monitor", 1)
    try:
        given = deployed.post("work_pools/moodflow/get_scheduled_flow_runs", limit=10)
        order = [one["flow_run"]["id"] for one in given]
        assert order.index(monitor) < order.index(older)
    finally:
        for run in (older, monitor):
            deployed.http.delete(f"flow_runs/{run}").raise_for_status()


def test_a_run_whose_worker_died_before_it_began_is_crashed(deployed):
    """What a worker had taken and never began does not wait for good, and one that began is left alone; with the shortest
    time Prefect allows instead of the shipped quarter of an hour.
    """
    wanted = shipped()["unbegun runs are crashed"]
    quick = {**wanted, "name": "unbegun at once", "trigger": {**wanted["trigger"], "within": 10}}
    made = deployed.post("automations/", **quick)["id"]
    one = deployed.deployments["cycle"]

    def taken() -> str:
        run = deployed.post(f"deployments/{one['id']}/create_flow_run")["id"]
        pending = {"type": "PENDING", "name": "Submitting"}
        deployed.post(f"flow_runs/{run}/set_state", state=pending, force=True)
        return run

    def state(run: str) -> str:
        return deployed.http.get(f"flow_runs/{run}").raise_for_status().json()["state"]["type"]

    begun, lost = taken(), taken()
    try:
        running = {"type": "RUNNING", "name": "Running"}
        deployed.post(f"flow_runs/{begun}/set_state", state=running, force=True)
        deadline = time.monotonic() + 200
        again = time.monotonic() + 45
        while state(lost) != "CRASHED" and time.monotonic() < deadline:
            if time.monotonic() > again:  # taken before the server had read the automation made just before
                deployed.http.delete(f"flow_runs/{lost}").raise_for_status()
                lost, again = taken(), time.monotonic() + 45
            time.sleep(0.5)
        assert (state(lost), state(begun)) == ("CRASHED", "RUNNING")
        assert deployed.await_start("monitor", TOLD)  # as after any crash; the next tests count from here
    finally:
        deployed.http.delete(f"automations/{made}").raise_for_status()
        for run in (begun, lost):
            deployed.http.delete(f"flow_runs/{run}").raise_for_status()


def test_new_answers_start_a_collection(deployed):
    """The bot's own word of new answers makes a run of `collect`, by Prefect's automation."""

    async def answer() -> None:
        events = Events(str(deployed.http.base_url))
        events.answers(3)
        await events.close()

    asyncio.run(answer())
    (run,) = deployed.await_start("collect", "new answers -> collect")
    assert run["state"]["type"] == "SCHEDULED"


def test_a_failed_or_crashed_run_starts_the_monitor_and_its_own_runs_do_not(deployed):
    """A run of `cycle` that fails, and one that crashes, make one run of the monitor each; a failed run of the monitor
    makes none, or it would go round in a circle.
    """
    before = len(deployed.started("monitor", TOLD))

    def started(more: int) -> int:
        return len(deployed.await_start("monitor", TOLD, before + more - 1)) - before

    def ends(name: str, state: str) -> None:
        one = deployed.deployments[name]
        begun = {"type": "RUNNING", "name": "Running"}
        run = deployed.post("flow_runs/", flow_id=one["flow_id"], deployment_id=one["id"], state=begun)["id"]
        ended = {"type": state, "name": state.title(), "message": "made to fail"}
        deployed.post(f"flow_runs/{run}/set_state", state=ended, force=True)

    ends("monitor", "FAILED")
    ends("cycle", "FAILED")
    assert started(1) == 1
    ends("cycle", "CRASHED")
    assert started(2) == 2
    ends("cycle", "COMPLETED")
    ends("monitor", "CRASHED")
    ends("collect", "FAILED")  # events are taken in order: what the two before started would be seen by now
    assert started(3) == 3


def test_a_deployment_to_nowhere_is_named(tmp_path: Path):
    """Without a Prefect server the command says so and what to set."""
    env = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"} | {"MOODFLOW_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "flows", "deploy"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "PREFECT_API_URL is not set" in done.stderr
