"""The monitor flow against real services: everything is made to fail, and each failure is told once."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from clearml_utils import recorder
from clearml_utils.connection import Connection
from clearml_utils.spool import Segment, Waiting
from flows.commands.prefect_api import client
from flows.store import Response, Store
from tests.integration.operations.receiver import receiving
from tests.services import running, start

pytestmark = pytest.mark.xdist_group("prefect")
TOKEN = "123456789:" + "m" * 35
OPERATOR = 4711


class Prefect:
    """Runs of a deployment, made to end as wanted."""

    def __init__(self, url: str) -> None:
        self.http = client({"PREFECT_API_URL": url})  # patient where its SQLite is locked
        self.name = f"watched-{uuid.uuid4().hex[:6]}"
        self.flow = self.post("flows/", name=self.name)["id"]
        self.deployment = self.post("deployments/", name=self.name, flow_id=self.flow)["id"]
        if self.http.get("work_pools/moodflow").status_code == 404:
            self.post("work_pools/", name="moodflow", type="process")

    def post(self, path: str, **body):
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def run(self, state: str, at: datetime | None = None) -> str:
        details = {"scheduled_time": at.isoformat()} if at else {}
        first = {"type": state, "name": state.title(), "state_details": details}
        return self.post("flow_runs/", flow_id=self.flow, deployment_id=self.deployment, state=first)["id"]

    def ended(self, state: str) -> None:
        run = self.run("RUNNING")
        self.post(f"flow_runs/{run}/set_state", state={"type": state, "name": state.title()}, force=True)

    def heartbeat(self) -> None:
        self.post("work_pools/moodflow/workers/heartbeat", name="w", heartbeat_interval_seconds=30)

    def close(self) -> None:
        self.http.delete(f"deployments/{self.deployment}")
        self.http.close()


@pytest.fixture
def place(prefect_server, tmp_path: Path, monkeypatch):
    """An installation: Telegram, a webhook receiver, ClearML, a store, and what Prefect is made to say."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    ports = ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
    with running("server.telegram", tmp_path / "telegram", ["--port", "0"]) as telegram, receiving() as webhook:
        api = telegram.ready["urls"]["api"]
        httpx.get(f"{api}/bot{TOKEN}/getMe").raise_for_status()
        clearml = start("server.embedded", tmp_path / "clearml", *ports)
        keys = json.loads(Path(clearml.ready["credentials"]).read_text())
        chat = httpx.post(
            f"{api}/client/start",
            json={"user_id": OPERATOR, "first_name": "Op", "bot": TOKEN.split(":", maxsplit=1)[0]},
        ).raise_for_status()
        values = {
            "MOODFLOW_HOME": str(home),
            "MOODFLOW_TELEGRAM_TOKEN": TOKEN,
            "MOODFLOW_TELEGRAM_URL": api,
            "MOODFLOW_OPERATOR_CHAT": str(chat.json()["chat_id"]),
            "MOODFLOW_ALERT_WEBHOOK": webhook.url,
            "CLEARML_API_HOST": clearml.ready["urls"]["api"],
            "CLEARML_WEB_HOST": clearml.ready["urls"]["web"],
            "CLEARML_FILES_HOST": clearml.ready["urls"]["files"],
            "CLEARML_API_ACCESS_KEY": keys["access_key"],
            "CLEARML_API_SECRET_KEY": keys["secret_key"],
            "CLEARML_UTILS_SPOOL": str(home / "spool"),
            "PREFECT_API_URL": prefect_server,
        }
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        recorder.reset()
        prefect = Prefect(prefect_server)
        yield Place(home, api, webhook, clearml, prefect, prefect_server)
        recorder.reset()
        prefect.close()
        clearml.stop()


class Place:
    def __init__(self, home, api, webhook, clearml, prefect, prefect_url) -> None:
        self.prefect_url = prefect_url
        self.home, self.api, self.webhook, self.clearml, self.prefect = home, api, webhook, clearml, prefect
        self.store = Store.open(home / "private.db")

    def look(self, **limits: float) -> dict:
        from flows.monitor.flow import monitor

        return monitor(limits=limits or None, per_hour=100)

    def chat(self) -> list[str]:
        events = httpx.get(f"{self.api}/client/events", params={"after": 0, "timeout": 0, "limit": 1000}).json()
        texts = [e["message"].get("text", "") for e in events["events"] if e["type"] == "message"]
        return [text for text in texts if text.startswith(("PROBLEM", "RECOVERED", "Digest"))]


def overdue_response(now: datetime) -> Response:
    return Response("r1", "p1", "anna", "mood", "v", 1, "complete", 1, 1, now, now, now, now, "UTC", {})


def test_everything_that_fails_is_told_once_and_its_end_once(place, tmp_path):
    """Late and failing flows, worker, bot, Sheet, outbox, inbox, spool, drift, disk, rights: one alert, one recovery."""
    now = datetime.now(UTC)
    store = place.store
    past = now - timedelta(hours=3)
    place.prefect.heartbeat()
    patient = {"worker_silent": 1e9}  # a look may take longer here than a worker may be silent
    assert place.look(**patient)["problems"] == []

    place.prefect.ended("FAILED")
    late = place.prefect.run("SCHEDULED", past)
    store.facts.set("heard", {"real": time.time() - 3600, "clock": past.isoformat()})
    store.facts.set("drift", ["na"])
    store.responses.add(overdue_response(past))
    store.outbox.enqueue("k1", None, "insight", {"method": "sendMessage", "text": "x"}, past, chat_id=1)
    store.inbox.add([(1, 1, "{}"), (2, 1, "{}")], past)
    stuck = Segment.create(place.home / "spool")
    stuck.add([Waiting("some-run", "events", {"events": []}, time.time() - 7200)])
    (place.home / "spool" / "refused.jsonl").write_text("{}\n")
    place.home.chmod(0o755)
    wrong = {
        f"late:{place.prefect.name}", f"failing:{place.prefect.name}", "bot", "sheet", "outbox", "inbox", "drift:na",
        "spool", "refused", "disk", "permissions",
    }  # fmt: skip
    assert {*place.look(inbox_waiting=1, disk_free_mb=1e12, **patient)["problems"]} == wrong
    assert place.look(inbox_waiting=1, disk_free_mb=1e12, **patient)["told"] == 0

    place.prefect.ended("COMPLETED")
    place.prefect.http.delete(f"flow_runs/{late}").raise_for_status()
    store.facts.set("heard", {"real": time.time(), "clock": now.isoformat()})
    store.facts.set("drift", [])
    store.responses.written(["r1"], now)
    store.outbox.cancel("k1")
    store.inbox.done([1, 2], now)
    stuck.done(stuck.head())
    stuck.close()
    (place.home / "spool" / "refused.jsonl").unlink()
    place.home.chmod(0o700)
    assert place.look(**patient)["problems"] == []
    assert place.look(**patient)["told"] == 0

    told = Counter((n["kind"], *n["keys"]) for n in place.webhook.got)
    assert told.keys() == {(kind, key) for kind in ("problem", "recovery") for key in wrong}
    assert set(told.values()) == {1}
    assert Counter(place.chat()) == Counter(n["text"] for n in place.webhook.got)


def test_clearml_gone_and_back_is_told_once_each_and_the_flow_goes_on(place):
    """The monitor works without ClearML; it tells that it is away and that it is back."""
    place.prefect.heartbeat()
    place.look()
    ports = {name: url.rpartition(":")[2] for name, url in place.clearml.ready["urls"].items()}
    place.clearml.kill()
    recorder.reset()
    assert "clearml" in place.look()["problems"]
    options = [f"--{name}-port={port}" for name, port in ports.items()]
    again = start("server.embedded", place.clearml.log.parent, *options)
    try:
        recorder.reset()
        assert "clearml" not in place.look()["problems"]
    finally:
        again.stop()
    assert [n["kind"] for n in place.webhook.got if n["keys"] == ["clearml"]] == ["problem", "recovery"]


def test_a_channel_that_is_away_gets_it_later_and_the_worker_is_watched(place):
    """While the webhook refuses, its alerts wait; the chat has them at once; no worker is a problem of its own."""
    place.webhook.refuse = True
    place.look(worker_silent=-1)
    first = place.look(worker_silent=-1)
    assert first["waiting"] == 1
    assert sum("worker" in text for text in place.chat()) == 1
    place.webhook.refuse = False
    assert place.look(worker_silent=-1)["told"] == 1
    assert [(n["kind"], n["keys"]) for n in place.webhook.got] == [("problem", ["worker"])]


def test_a_failure_between_two_looks_is_told_though_the_next_run_was_good(place):
    """Nobody looked while it was the last one: it is told all the same, and its end at the next look."""
    place.prefect.heartbeat()
    key = f"failing:{place.prefect.name}"
    place.look()
    place.prefect.ended("FAILED")
    place.prefect.ended("COMPLETED")
    assert key in place.look()["problems"]
    assert key not in place.look()["problems"]
    assert [n["kind"] for n in place.webhook.got if n["keys"] == [key]] == ["problem", "recovery"]


def test_a_run_that_died_without_a_word_is_settled_and_told_once(place, tmp_path):
    """Its process was killed, Prefect and ClearML still call it running: both say how it ended, operators hear of it."""
    place.prefect.heartbeat()
    patient = {"worker_silent": 1e9}
    place.look(**patient)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        run = process.stdout.readline().strip()
        process.kill()
    assert {*place.look(**patient)["problems"]} == {"lost"}
    assert place.prefect.http.get(f"flow_runs/{run}").json()["state"]["type"] == "CRASHED"
    (task,) = [t for t in controllers() if t["hyperparams"]["properties"]["prefect_flow_run"]["value"] == run]
    assert (task["status"], task["status_reason"]) == ("failed", "lost")
    assert place.look(**patient)["problems"] == []
    assert [(n["kind"], n["keys"]) for n in place.webhook.got] == [("problem", ["lost"]), ("recovery", ["lost"])]


KILLED = """
import time
from prefect.runtime import flow_run
from clearml_utils import flow

@flow(name="killed")
def killed():
    print(flow_run.id, flush=True)
    time.sleep(600)

killed()
"""


def controllers() -> list[dict]:
    """Every controller in ClearML."""
    fields = ["status", "status_reason", "hyperparams.properties"]
    return Connection().call("tasks.get_all", type=["controller"], search_hidden=True, only_fields=fields)["tasks"]


def test_prefect_that_does_not_answer_is_told_once_and_its_return(place, monkeypatch):
    """The monitor goes on looking at everything else, and says of Prefect that it is away and that it is back."""
    place.prefect.heartbeat()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert "prefect" in place.look()["problems"]
    assert "prefect" in place.look()["problems"]
    monkeypatch.setenv("PREFECT_API_URL", place.prefect_url)
    assert "prefect" not in place.look()["problems"]
    assert [n["kind"] for n in place.webhook.got if n["keys"] == ["prefect"]] == ["problem", "recovery"]


def test_a_store_from_a_newer_version_is_told_and_not_touched(place):
    """A database of a newer Moodflow is a problem of its own; nothing is written to it."""
    place.prefect.heartbeat()
    place.store.close()
    path = place.home / "private.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    assert "store" in place.look()["problems"]
    assert any("private store" in text for text in place.chat())
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (99,)
        assert db.execute("SELECT COUNT(*) FROM facts").fetchone() == (0,)
    db.close()


def test_due_slots_are_in_the_ledger_and_missed_ones_are_told(place):
    """Of a real schedule that stands still, every due slot is entered once with its reason; one alert, one recovery."""
    from flows import settings
    from flows.monitor.flow import account_for_slots

    prefect, name = place.prefect, f"slots-{uuid.uuid4().hex[:6]}"
    prefect.heartbeat()
    begun = datetime.now(UTC).replace(microsecond=0)
    schedule = {"interval": 600, "anchor_date": begun.isoformat()}
    made = prefect.post(
        "deployments/", name=name, flow_id=prefect.flow, schedules=[{"schedule": schedule, "active": True}]
    )["id"]
    later = begun + timedelta(hours=12, seconds=5)
    try:
        for _ in range(2):
            account_for_slots(settings.load(), place.prefect_url, later)
        with sqlite3.connect(place.home / "private.db") as db:
            rows = db.execute(
                "SELECT subject, event, reason FROM ledger WHERE subject LIKE ? ORDER BY id", (f"slot:{name}:%",)
            ).fetchall()
        db.close()
        entered = [row[0] for row in rows]
        # the scheduler may have made runs ahead, which nothing took; the last hour's are not given up yet
        due = [f"slot:{name}:{(begun + timedelta(seconds=600 * n)).isoformat()}" for n in range(1, 72)]
        assert entered == due[: len(entered)]
        assert len(entered) >= 60
        assert {row[1] for row in rows} == {"slot missed"}
        assert all(row[2] for row in rows)
        assert f"slots:{name}" in place.look()["problems"]
        assert f"slots:{name}" in place.look()["problems"]
    finally:
        prefect.http.delete(f"deployments/{made}").raise_for_status()
    assert f"slots:{name}" not in place.look()["problems"]
    assert [n["kind"] for n in place.webhook.got if n["keys"] == [f"slots:{name}"]] == ["problem", "recovery"]
