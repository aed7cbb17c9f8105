"""Prefect on PostgreSQL, two workers, ClearML: kills, a restart, a full disk. Every due slot ran or has its reason."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from flows.monitor.slots import Run, account, due_slots
from flows.store import Store
from tests.services import running

ROOT = Path(__file__).resolve().parents[3]
BIN = Path("/usr/lib/postgresql/15/bin")
FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
SLOTS, EVERY, KILLS = (60, 10, 6) if FULL else (4, 10, 1)
PATIENCE = 600
PORTS = ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
START = datetime(2026, 3, 2, tzinfo=UTC)

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.xdist_group("operations"),
    pytest.mark.timeout(7200 if FULL else 1800),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.2)


def descendants(pid: int) -> list[int]:
    """Living children, theirs, and so on."""
    try:
        text = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [found for child in map(int, text.split()) for found in (child, *descendants(child))]


class Postgres:
    """A cluster of its own below /tmp, run by the user `postgres` where we are root (initdb refuses root)."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "-D", str(folder / "data"), "-U", "prefect", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.process = subprocess.Popen(
            [*self._as, BIN / "postgres", "-D", folder / "data", "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "fsync=off"],
            cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        asked = [BIN / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)]
        until(lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0, 60, "PostgreSQL")
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "prefect", "prefect")
        self.url = f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/prefect"

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run([*self._as, BIN / name, *arguments], cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


class Place:
    """The processes of the test, each leading its own group."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env, self.alive = folder, env, {}

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as sink:
            self.alive[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=self.env,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def server(self) -> None:
        port = self.env["PREFECT_API_URL"].split(":")[2].removesuffix("/api")
        factory = ("uvicorn", "--factory", "prefect.server.api.server:create_app", "--log-level", "warning")
        self.start("server", *factory, "--host", "127.0.0.1", "--port", port)

        def healthy() -> bool:
            assert self.alive["server"].poll() is None, (self.folder / "server.log").read_text()[-3000:]
            try:
                return httpx.get(f"{self.env['PREFECT_API_URL']}/health", timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        until(healthy, 180, "healthy Prefect server")

    def worker(self, name: str) -> None:
        self.start(
            name,
            "prefect",
            "worker",
            "start",
            "--pool",
            "moodflow",
            "--type",
            "process",
            "--name",
            name,
            "--limit",
            "2",
        )

    def kill(self, name: str) -> None:
        """SIGKILL it with the flow runs it started, which lead groups of their own."""
        process = self.alive.pop(name)
        started = descendants(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def supervise(self) -> None:
        """Start a worker that gave up again, as its service does."""
        for name in ("one", "two"):
            if self.alive[name].poll() is not None:
                self.worker(name)

    def flow_runs(self) -> list[int]:
        """Processes of flow runs that still live."""
        return [pid for name in ("one", "two") for pid in descendants(self.alive[name].pid)]

    def stop(self) -> None:
        for name in list(self.alive):
            self.kill(name)


@pytest.mark.skipif(
    not (BIN / "initdb").exists(), reason="Debian's PostgreSQL 15 is not installed: apt-get install postgresql"
)
def test_every_due_slot_ran_or_has_its_reason(tmp_path_factory, monkeypatch):
    """Two workers, kills, a server restart, a full disk: each slot is accounted for, once, in Prefect, ClearML, ledger."""
    folder = Path(
        subprocess.run(
            ["mktemp", "-d", "/tmp/operations.XXXXXX"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    folder.chmod(0o755)
    chance = random.Random(20261123)
    postgres = Postgres(folder / "postgres")
    place = None
    try:
        with running("server.embedded", folder / "clearml", PORTS) as clearml:
            keys = json.loads(Path(clearml.ready["credentials"]).read_text())
            urls = clearml.ready["urls"]
            env = {
                "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
                "PREFECT_API_DATABASE_CONNECTION_URL": postgres.url,
                "PREFECT_HOME": str(folder / "prefect"),
                "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
                "PREFECT_WORKER_QUERY_SECONDS": "2",
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
            }
            place = Place(folder, {**os.environ, **env})
            place.server()
            scenario(place, folder, chance)
            for name, value in env.items():
                monkeypatch.setenv(name, value)
            reconciled(folder)
    finally:
        if place is not None:
            place.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def scenario(place: Place, folder: Path, chance: random.Random) -> None:
    http = httpx.Client(base_url=place.env["PREFECT_API_URL"] + "/", timeout=60)

    def post(where: str, /, **body):
        answer = http.post(where, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    post("work_pools/", name="moodflow", type="process")
    flow = post("flows/", name="slotted")["id"]
    (folder / "slots.full").touch()
    place.worker("one")
    place.worker("two")
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
    every = timedelta(seconds=EVERY)
    deployment = post(
        "deployments/", name="slotted", flow_id=flow, work_pool_name="moodflow",
        # run in place: with a `path` Prefect would copy the whole directory for every run
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
        entrypoint="tests/integration/operations/slotted.py:slotted",
        schedules=[{"schedule": {"interval": EVERY, "anchor_date": begin.isoformat()}, "active": True}],
    )["id"]  # fmt: skip
    end = begin + timedelta(days=1)  # the schedule goes on until everything has happened

    def runs() -> list[dict]:
        found: list[dict] = []
        while True:
            page = post(
                "flow_runs/filter",
                deployments={"id": {"any_": [deployment]}},
                limit=200,
                offset=len(found),
                sort="EXPECTED_START_TIME_ASC",
            )
            found += page
            if len(page) < 200:
                return [r for r in found if begin <= datetime.fromisoformat(r["expected_start_time"]) < end]

    def new_running(before: set[str]) -> bool:
        return any(r["state"]["type"] == "RUNNING" and r["id"] not in before for r in runs())

    def full_disk_met() -> bool:
        return any("File too large" in (r["state"]["message"] or "") for r in runs())

    until(full_disk_met, PATIENCE, "slot that met the full disk")
    restarts = 0
    for kill in range(KILLS):
        before = {r["id"] for r in runs() if r["state"]["type"] != "SCHEDULED"}
        until(lambda before=before: new_running(before), PATIENCE, "running slot")
        victim = chance.choice(["one", "two"])
        place.kill(victim)
        if kill % 3 == 0:
            place.kill("server")
            place.server()
            restarts += 1
        place.worker(victim)
    last = datetime.now(UTC)

    def recovered() -> bool:
        place.supervise()
        return any(
            datetime.fromisoformat(r["expected_start_time"]) > last and r["state"]["type"] == "COMPLETED"
            for r in runs()
        )

    until(recovered, PATIENCE, "slot that ran after the last kill")
    until(lambda: datetime.now(UTC) > begin + every * SLOTS, PATIENCE + EVERY * SLOTS, "end of the schedule")
    end = begin + every * math.floor((datetime.now(UTC) - begin) / every)

    def taken_up() -> bool:
        place.supervise()
        return not any(r["state"]["type"] == "SCHEDULED" for r in runs())

    until(taken_up, PATIENCE, "worker for every slot")  # a schedule that ends takes its waiting runs with it
    for schedule in http.get(f"deployments/{deployment}/schedules").json():
        http.patch(f"deployments/{deployment}/schedules/{schedule['id']}", json={"active": False}).raise_for_status()
    until(lambda: not place.flow_runs(), PATIENCE, "end of the last flow run's process")
    slots = account(
        due_slots(begin, every, begin, end),
        [
            Run(datetime.fromisoformat(r["expected_start_time"]), r["state"]["type"], r["state"]["name"],
                r["state"]["message"] or "its worker was killed")
            for r in runs()
        ],
    )  # fmt: skip
    with Store.open(folder / "home" / "private.db") as store:
        for slot in slots:
            store.ledger.add(f"slot:{slot.due.isoformat()}", "ran" if slot.ran else "missed", slot.due, slot.reason)
        counts = store.ledger.counts()
    assert len(slots) >= SLOTS
    assert counts.get("ran", 0) + counts.get("missed", 0) == len(slots)
    assert all(slot.ran or slot.reason for slot in slots)
    assert not [slot for slot in slots if "made no run" in slot.reason]
    # a kill costs at most the runs under way on that worker (two), a restart those on both, the full disk one
    assert counts.get("missed", 0) <= 2 * KILLS + 4 * restarts + 1, [s.reason for s in slots if not s.ran]
    assert any("File too large" in slot.reason for slot in slots), [s.reason for s in slots]
    noted = Counter(datetime.fromisoformat(line.split()[0]) for line in (folder / "slots").read_text().splitlines())
    assert set(noted.values()) == {1}  # no slot ran twice
    assert {s.due for s in slots if s.ran} <= set(noted)


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


def test_slots_are_counted_whatever_became_of_them():
    """The account has one entry per due slot: ran, failed with its message, or never made."""
    every = timedelta(seconds=10)
    due = due_slots(START, every, START + timedelta(seconds=15), START + timedelta(seconds=55))
    assert due == [START + every * n for n in (2, 3, 4, 5)]
    runs = [
        Run(due[0], "FAILED", "Failed", "no"),
        Run(due[0], "COMPLETED", "Completed"),
        Run(due[1], "CRASHED", "Crashed", "gone"),
    ]
    assert [(s.ran, s.reason) for s in account(due, runs)] == [
        (True, ""), (False, "Crashed: gone"), *[(False, "the scheduler made no run for it")] * 2,
    ]  # fmt: skip
