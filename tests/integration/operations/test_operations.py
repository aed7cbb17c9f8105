"""Prefect on PostgreSQL, two workers, ClearML: kills, restarts, a full disk. Every due slot ran or has its reason.

The monitor runs in the middle of it as it does in production: started by the event of a failed run, by its schedule,
and keeping the ledger; what it tells the operators arrives at a webhook.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from flows.commands import prefect_api
from flows.monitor.slots import Run, account, due_slots
from tests.integration.operations.place import BIN, ROOT, Place, Postgres, free_port, until
from tests.integration.operations.receiver import Receiver, receiving
from tests.services import running

FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
SLOTS, EVERY, KILLS = (60, 12, 6) if FULL else (4, 15, 1)
PATIENCE = 600
PORTS = ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
SILENT = 25.0

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.xdist_group("operations"),
    pytest.mark.timeout(7200 if FULL else 1800),
]


@pytest.mark.skipif(
    not (BIN / "initdb").exists(), reason="Debian's PostgreSQL is not installed: apt-get install postgresql"
)
def test_every_due_slot_is_in_the_ledger_and_every_alert_arrives_once(monkeypatch):
    """Two workers, kills, server restarts, a full disk: each slot is accounted for, once, in Prefect, ClearML and the
    ledger; operators are told once of what began and once of what ended.
    """
    folder = Path(tempfile.mkdtemp(prefix="operations.", dir="/tmp"))
    folder.chmod(0o755)
    postgres = Postgres(folder / "postgres")
    place = None
    try:
        with running("server.embedded", folder / "clearml", PORTS) as clearml, receiving() as webhook:
            env = environment(folder, postgres.url, clearml, webhook)
            place = Place(folder, {**os.environ, **env})
            place.server()
            Scenario(place, folder, webhook).run()
            for name, value in env.items():
                monkeypatch.setenv(name, value)
            reconciled(folder)
    finally:
        if place is not None:
            place.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path, database: str, clearml, webhook: Receiver) -> dict[str, str]:
    keys = json.loads(Path(clearml.ready["credentials"]).read_text())
    urls = clearml.ready["urls"]
    return {
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
        "PREFECT_HOME": str(folder / "prefect"),
        # as in production: a limit's slot outlives the server that gave it away
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "30",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_WORKER_HEARTBEAT_SECONDS": "3",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "CLEARML_API_HOST": urls["api"],
        "CLEARML_WEB_HOST": urls["web"],
        "CLEARML_FILES_HOST": urls["files"],
        "CLEARML_API_ACCESS_KEY": keys["access_key"],
        "CLEARML_API_SECRET_KEY": keys["secret_key"],
        "CLEARML_UTILS_SPOOL": str(folder / "spool"),
        "SLOTS_FILE": str(folder / "slots"),
        "MOODFLOW_HOME": str(folder / "home"),
        "MOODFLOW_ALERT_WEBHOOK": webhook.url,
    }


def reconciled(folder: Path) -> None:
    """Afterwards ClearML has every run that began, and none of them runs.

    The run whose disk was full may be missing there: its records are kept on that disk until they are delivered.
    """
    from clearml_utils import reconcile, recorder
    from clearml_utils.connection import Connection

    recorder.reset()
    reconcile(stale_after=timedelta(0))
    recorder.reset()
    fields = ["id", "status", "hyperparams.properties"]
    tasks = Connection().call("tasks.get_all", type=["controller"], search_hidden=True, only_fields=fields)["tasks"]
    begun = {line.split()[1] for line in (folder / "slots").read_text().splitlines()}
    full = {path.suffix.removeprefix(".met-") for path in folder.glob("slots.met-*")}
    kept = {t["hyperparams"]["properties"]["prefect_flow_run"]["value"] for t in tasks}
    assert begun - kept <= full
    assert {t["status"] for t in tasks} <= {"completed", "failed", "stopped"}


class Scenario:
    """What happens, in order, and what must have come of it."""

    def __init__(self, place: Place, folder: Path, webhook: Receiver) -> None:
        self.place, self.folder, self.webhook = place, folder, webhook
        self.http = httpx.Client(base_url=place.env["PREFECT_API_URL"] + "/", timeout=60)
        self.chance = random.Random(20261123)
        self.every = timedelta(seconds=EVERY)
        self.restarts = self.looks = 0

    def post(self, where: str, /, **body):
        answer = self.http.post(where, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def run(self) -> None:
        self.deploy()
        self.look()  # from here on no failure goes untold
        (self.folder / "slots.full").touch()
        until(lambda: self.failed("File too large"), PATIENCE, "slot that met the full disk")
        # started by hand: of a run that began within five minutes of being scheduled Prefect holds the events back for a
        # quarter of an hour, waiting for that of its first state, which its scheduler does not emit
        self.post(f"deployments/{self.slotted}/create_flow_run", parameters={"fail": "asked to fail"})
        until(
            lambda: self.told("problem", "failing:slotted"), PATIENCE, "alert of the failed run, started by its event"
        )
        if FULL:
            schedule = {"schedule": {"interval": 30}, "active": True}  # from here on it also looks by schedule
            self.http.post(f"deployments/{self.monitor}/schedules", json=[schedule]).raise_for_status()
        for kill in range(KILLS):
            self.disturb(kill)
        until(self.recovered(datetime.now(UTC)), PATIENCE, "slot that ran after the last kill")
        until(lambda: datetime.now(UTC) > self.begin + self.every * SLOTS, PATIENCE + EVERY * SLOTS, "last slot")
        end = self.begin + self.every * math.floor((datetime.now(UTC) - self.begin) / self.every)
        until(
            lambda: self.taken_up(end), 6 * PATIENCE, "worker for every slot"
        )  # a schedule that ends takes its waiting runs with it
        self.quiet()
        self.accounted(end)
        self.told_once()

    def deploy(self) -> None:
        """The flow of the slots with its interval schedule, and the monitor with the trigger of prefect.yaml."""
        prefect_api.make_pool(self.place.env, "moodflow")
        for name in ("one", "two"):
            self.place.worker(name)
        self.begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
        schedule = {"interval": EVERY, "anchor_date": self.begin.isoformat()}
        self.slotted = self.deployment(
            "slotted",
            "tests/integration/operations/slotted.py:slotted",
            schedules=[{"schedule": schedule, "active": True}],
        )
        asked = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        said = next(one for one in asked if one["name"] == "monitor")
        limits = {"worker_silent": SILENT, "slot_open": PATIENCE, "disk_free_mb": 0, "late": 1e6}
        self.monitor = self.deployment(
            "monitor",
            said["entrypoint"],
            work_queue_name=said["work_pool"]["work_queue_name"],
            parameters={"limits": limits, "per_hour": 1000},
            concurrency_limit=said["concurrency_limit"]["limit"],
            concurrency_options={"collision_strategy": said["concurrency_limit"]["collision_strategy"]},
        )
        (trigger,) = said["triggers"]
        event = {key: value for key, value in trigger.items() if key not in {"name", "type"}}
        event |= {"type": "event", "posture": "Reactive", "threshold": 1, "within": 0}
        event["match_related"] = {**event["match_related"], "prefect.resource.name": ["slotted"]}
        action = {"type": "run-deployment", "source": "selected", "deployment_id": self.monitor}
        self.post("automations/", name=trigger["name"], trigger=event, actions=[action])

    def deployment(self, name: str, entrypoint: str, **more) -> str:
        flow = self.post("flows/", name=name)["id"]
        return self.post(
            "deployments/", name=name, flow_id=flow, work_pool_name="moodflow", entrypoint=entrypoint,
            # run in place: with a `path` Prefect would copy the whole directory for every run
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}], **more,
        )["id"]  # fmt: skip

    def runs(self, *states: str, deployment: str = "") -> list[dict]:
        """Runs that are due since the beginning, of these states (all by default): asked often, so nothing else."""
        found: list[dict] = []
        due = {"after_": self.begin.isoformat(), "before_": datetime.now(UTC).isoformat()}
        asked = {
            "deployments": {"id": {"any_": [deployment or self.slotted]}},
            "flow_runs": {"expected_start_time": due, **({"state": {"type": {"any_": states}}} if states else {})},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        while True:
            page = self.post("flow_runs/filter", limit=200, offset=len(found), **asked)
            found += page
            if len(page) < 200:
                return found

    def failed(self, why: str) -> bool:
        return any(why in (r["state"]["message"] or "") for r in self.runs("FAILED", "CRASHED"))

    def told(self, kind: str, key: str) -> bool:
        return any((n["kind"], n["keys"]) == (kind, [key]) for n in self.webhook.got)

    def look(self, but: str = "", **limits: float) -> None:
        """One run of the monitor on a worker, to its end; where the limit refuses it, once more later."""
        parameters = {"parameters": {"limits": {"worker_silent": SILENT, "disk_free_mb": 0, "late": 1e6, **limits}}}
        run = self.post(f"deployments/{self.monitor}/create_flow_run", **parameters)["id"]
        state = ""

        def ended() -> bool:
            nonlocal state
            self.place.supervise(but)
            state = self.http.get(f"flow_runs/{run}").raise_for_status().json()["state"]["type"]
            return state in {"COMPLETED", "CANCELLED", "FAILED", "CRASHED"}

        until(ended, PATIENCE, "end of a look")
        self.looks += state == "COMPLETED"
        assert state in {"COMPLETED", "CANCELLED"}, (self.folder / "one.log").read_text()[-3000:]

    def disturb(self, kill: int) -> None:
        """A worker dies with its flow runs; the first time it stays away until the operators know, and now and then the
        server dies too.
        """
        before = {r["id"] for r in self.runs("PENDING", "RUNNING")}
        until(lambda: {r["id"] for r in self.runs("RUNNING")} - before, PATIENCE, "running slot")
        victim = self.chance.choice(["one", "two"])
        self.place.kill(victim)
        self.killed = datetime.now(UTC)
        if kill % 3 == 0:
            self.place.kill("server")
            self.place.server()
            self.restarts += 1
        if FULL and kill == 0:
            gone = f"worker:{victim}"
            until(lambda: self.look(but=victim) or self.told("problem", gone), PATIENCE, "alert of the lost worker")
        self.place.worker(victim)
        if FULL and kill == 0:
            until(lambda: self.look() or self.told("recovery", gone), PATIENCE, "word that the worker is back")

    def recovered(self, since: datetime):
        def ran() -> bool:
            self.place.supervise()
            return any(datetime.fromisoformat(r["start_time"]) > since for r in self.runs("COMPLETED"))

        return ran

    def taken_up(self, end: datetime) -> bool:
        self.place.supervise()
        due = [r for r in self.runs("SCHEDULED", "PENDING") if datetime.fromisoformat(r["expected_start_time"]) < end]
        # what a worker had claimed when it was killed stays pending for good
        states = [r["state"] for r in due]
        return all(s["type"] == "PENDING" and datetime.fromisoformat(s["timestamp"]) < self.killed for s in states)

    def quiet(self) -> None:
        """Schedules end, flow runs too; then the monitor closes its books: nothing is waited for any more."""
        for deployment in (self.slotted, self.monitor):
            for schedule in self.http.get(f"deployments/{deployment}/schedules").json():
                gone = f"deployments/{deployment}/schedules/{schedule['id']}"
                self.http.patch(gone, json={"active": False}).raise_for_status()
        until(lambda: not self.place.flow_runs(), PATIENCE, "end of the last flow run's process")
        looks = self.looks
        while self.looks < looks + 2:  # the second one tells the end of what the first had settled
            self.look(slot_open=0)

    def accounted(self, end: datetime) -> None:
        """Prefect, the ledger the monitor kept, and what the flow itself noted agree on every due slot."""
        due = due_slots(self.begin, self.every, self.begin, end)
        slots = account(
            due,
            [
                Run(datetime.fromisoformat(r["expected_start_time"]), r["state"]["type"], r["state"]["name"],
                    r["state"]["message"] or "its worker was killed")
                for r in self.runs() if r["auto_scheduled"]
            ],
        )  # fmt: skip
        missed = [slot.reason for slot in slots if not slot.ran]
        assert len(slots) >= SLOTS
        assert all(slot.ran or slot.reason for slot in slots)
        assert not [reason for reason in missed if "made no run" in reason]
        # a kill costs at most the runs under way on that worker (two), a restart those on both, the full disk one
        assert len(missed) <= 2 * KILLS + 4 * self.restarts + 1, missed
        assert any("File too large" in reason for reason in missed), missed
        noted = Counter(
            datetime.fromisoformat(line.split()[0]) for line in (self.folder / "slots").read_text().splitlines()
        )
        assert set(noted.values()) == {1}  # no slot ran twice
        assert {s.due for s in slots if s.ran} <= set(noted)
        with closing(sqlite3.connect(self.folder / "home" / "private.db")) as db:
            rows = db.execute(
                "SELECT subject, event, reason FROM ledger WHERE subject LIKE 'slot:slotted:%'"
            ).fetchall()
        ledger = {datetime.fromisoformat(row[0].removeprefix("slot:slotted:")): row for row in rows}
        assert len(ledger) == len(rows)  # entered once
        for slot in slots:
            assert ledger[slot.due][1] == ("slot ran" if slot.ran else "slot missed"), (slot, ledger[slot.due])
            assert slot.ran or ledger[slot.due][2]
        print(f"\n{len(slots)} slots: {len(slots) - len(missed)} ran, {len(missed)} missed; "
              f"{KILLS} kills, {self.restarts} restarts of the server")  # fmt: skip
        for reason, number in Counter(missed).items():
            print(f"  {number} x {reason}")

    def told_once(self) -> None:
        """Every notice came once; of each trouble beginning and end alternate; the event started the monitor."""
        got = self.webhook.got
        assert set(Counter(n["id"] for n in got).values()) == {1}
        by_key: dict[str, list[str]] = defaultdict(list)
        for notice in got:
            if notice["kind"] != "digest":
                by_key[notice["keys"][0]].append(notice["kind"])
        for key, kinds in by_key.items():
            assert kinds == [("problem", "recovery")[n % 2] for n in range(len(kinds))], (key, kinds)
        assert by_key["failing:slotted"][:2] == ["problem", "recovery"]
        assert not FULL or [len(kinds) for key, kinds in by_key.items() if key.startswith("worker:")]
        first = next(n for n in got if n["keys"] == ["failing:slotted"])
        broken = {r["id"] for r in self.runs("FAILED", "CRASHED")}
        assert any(run in first["text"] for run in broken), first
        started = [r for r in self.runs(deployment=self.monitor) if (r["created_by"] or {}).get("type") == "AUTOMATION"]
        assert any(r["state"]["type"] == "COMPLETED" for r in started)
        looks = len(self.runs("COMPLETED", deployment=self.monitor))
        print(f"alerts: { ({key: len(kinds) for key, kinds in by_key.items()}) }; looks of the monitor: {looks}")
