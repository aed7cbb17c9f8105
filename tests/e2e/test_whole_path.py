"""The whole path, run as a newcomer runs it, then checked in every system it left its trace in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import httpx
import psutil
import pytest

from server.official import bootstrap, environment
from tests.services import running

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("MOODFLOW_SHARED", ROOT.parent / "shared"))
FRIED = SHARED / "data" / "fried2021.csv"

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(1500)]


@dataclass
class Demo:
    """A demo that was left running after its summary."""

    home: Path
    process: subprocess.Popen
    stack: dict
    summary: dict
    log: Path
    _headers: dict = field(default_factory=dict)

    def clearml(self, endpoint, **body):
        env = self.stack["environment"]
        api = env["CLEARML_API_HOST"]
        if not self._headers:
            keys = (env["CLEARML_API_ACCESS_KEY"], env["CLEARML_API_SECRET_KEY"])
            token = httpx.post(f"{api}/auth.login", auth=keys).raise_for_status().json()["data"]["token"]
            self._headers = {"Authorization": f"Bearer {token}"}
        return (
            httpx.post(f"{api}/{endpoint}", json=body, headers=self._headers, timeout=60)
            .raise_for_status()
            .json()["data"]
        )

    def prefect(self, path, body):
        url = f"{self.stack['environment']['PREFECT_API_URL']}/{path}"
        return httpx.post(url, json=body, timeout=60).raise_for_status().json()

    def tasks(self):
        """Every task in ClearML, with its parent and what it knows of Prefect."""
        found, page = [], 0
        while True:
            got = self.clearml("tasks.get_all", search_hidden=True, page=page, page_size=500, order_by=["created"])[
                "tasks"
            ]
            found += got
            if len(got) < 500:
                return found
            page += 1

    def runs(self, kind, sort="ID_DESC"):
        """Every flow run, task run or log line in Prefect."""
        found = []
        while True:
            got = self.prefect(f"{kind}/filter", {"limit": 200, "offset": len(found), "sort": sort})
            found += got
            if len(got) < 200:
                return found

    def store(self):
        from flows.store import Store

        return Store.open(self.home / "private.db")


def start(home: Path, *options: str, **named: str) -> Demo:
    """A demo to its summary; `named` are variables of its environment."""
    log = home.parent / f"{home.name}.log"
    (home / "summary.json").unlink(missing_ok=True)
    hidden = ("MOODFLOW_", "CLEARML_", "PREFECT_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(hidden)} | named
    env["MOODFLOW_HOME"] = str(home)
    with log.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows", "demo", "--keep", *options],
            stdout=sink, stderr=sink, env=env, cwd=home.parent,
        )  # fmt: skip
    while not (home / "summary.json").exists():
        if process.poll() is not None:
            raise AssertionError(f"the demo ended with {process.returncode}:\n{log.read_text()[-6000:]}")
        time.sleep(0.5)
    stack = json.loads((home / "stack.json").read_text())
    stack["environment"] = named | stack["environment"]
    return Demo(home, process, stack, json.loads((home / "summary.json").read_text()), log)


def stop(demo: Demo) -> list[psutil.Process]:
    """Ctrl-C; the processes of it that are left."""
    family = [p for pid in demo.stack["processes"].values() for p in _family(pid)]
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(120) in {0, 130}, demo.log.read_text()[-3000:]
    _, left = psutil.wait_procs(family, timeout=10)
    return left


def _family(pid):
    try:
        me = psutil.Process(pid)
        return [me, *me.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    demo = start(tmp_path_factory.mktemp("simulated") / "home", "--persons", "6", "--days", "8")
    yield demo
    stop(demo)


def sheet_rows(demo: Demo) -> list[dict]:
    """Answers as they stand in the Sheet, read over its own API."""
    from flows.clients.sheets import read_answers
    from flows.settings import Settings

    settings = Settings(home=demo.home, **demo.stack["settings"])
    header, *rows = read_answers(settings)
    return [dict(zip(header, row, strict=False)) for row in rows]


def check_one_child_per_task_run(demo: Demo, *, telling: bool = True):
    """Every Prefect task run has exactly one ClearML child, of the right parent, with a final status, which tells something
    (`telling`: of three days there may be nothing to write to anybody).
    """
    by_run = Counter()
    tasks = {t["id"]: t for t in demo.tasks()}
    flow_of, parent_of, status_of = {}, {}, {}
    for task in tasks.values():
        properties = {k: v["value"] for k, v in (task.get("hyperparams") or {}).get("properties", {}).items()}
        if "prefect_task_run" in properties:
            by_run[properties["prefect_task_run"]] += 1
            parent_of[properties["prefect_task_run"]] = task.get("parent")
            status_of[properties["prefect_task_run"]] = task["status"]
        elif "prefect_flow_run" in properties:
            flow_of[properties["prefect_flow_run"]] = task["id"]
    runs = [r for r in demo.runs("task_runs") if not _wraps_a_flow(r)]
    assert runs
    assert {r["id"]: by_run[r["id"]] for r in runs if by_run[r["id"]] != 1} == {}
    assert [r["name"] for r in runs if parent_of[r["id"]] != flow_of[r["flow_run_id"]]] == []
    finals = {"completed", "failed", "stopped", "published"}
    assert {r["name"]: status_of[r["id"]] for r in runs if status_of[r["id"]] not in finals} == {}
    children = [
        t for t in tasks.values() if "prefect_task_run" in ((t.get("hyperparams") or {}).get("properties") or {})
    ]
    told = {t["name"]: bool(t["last_metrics"] or t["execution"].get("artifacts")) for t in children}
    assert not telling or [name for name, something in told.items() if not something] == []
    flows = demo.runs("flow_runs")
    assert {f["name"] for f in flows if f["state"]["type"] == "COMPLETED" and f["id"] not in flow_of} == set()


def _wraps_a_flow(run) -> bool:
    """Tell whether it is the task run Prefect makes to stand for a nested flow in its parent."""
    return bool((run.get("state") or {}).get("state_details", {}).get("child_flow_run_id"))


def check_private(demo: Demo):
    """Everything in the state directory is its owner's alone; no log holds a key, a token, a name or who is who."""
    open_to_others = {
        str(path.relative_to(demo.home)): oct(path.stat().st_mode & 0o777)
        for path in (demo.home, *demo.home.rglob("*"))
        if not path.is_symlink() and path.stat().st_mode & 0o077
    }
    assert open_to_others == {}
    with demo.store() as store:
        chats = {str(store.people.chat_id(one.person)) for one in store.people.list()}
    service_account = json.loads(Path(demo.stack["settings"]["sheets_credentials"]).read_text())
    secrets = {
        demo.stack["settings"]["telegram_token"],
        demo.stack["environment"]["CLEARML_API_ACCESS_KEY"],
        demo.stack["environment"]["CLEARML_API_SECRET_KEY"],
        service_account["private_key"].splitlines()[1],
        *chats,
    }
    logs = [*(demo.home / "logs").rglob("*.log"), demo.log]
    assert len(logs) > 5
    assert [(log.name, n) for log in logs for n, secret in enumerate(secrets) if secret in log.read_text()] == []


def check_lineage(demo: Demo):
    """Every message names flow run, data hash and model version, these resolve, and `why` writes it again bit by bit."""
    from flows.commands.messages import again

    flow_runs = {r["id"] for r in demo.runs("flow_runs")}
    tasks = demo.tasks()
    known_text = json.dumps(tasks)
    models = {m["id"] for m in demo.clearml("models.get_all", page_size=500)["models"]}
    with demo.store() as store:
        messages = store.messages.all()
        rewritten = {m.message_id: again(store, m, "") for m in messages}
    assert messages
    assert rewritten == {m.message_id: m.text for m in messages}
    for message in messages:
        assert message.flow_run_id in flow_runs
        assert message.data_hash in known_text
        assert message.policy_id in models
        assert message.model_id in models


def check_answers(demo: Demo, expected: int):
    """Beeps answered = rows in the Sheet = responses in the store, once each."""
    rows = sheet_rows(demo)
    ids = [row["response_id"] for row in rows]
    assert len(ids) == len(set(ids)) == expected
    assert {row["status"] for row in rows} <= {"complete", "partial"}
    with demo.store() as store:
        assert {r.response_id for r in store.responses.of()} == set(ids)
    return rows


def test_every_answer_reaches_the_sheet_once(simulated):
    """Answered beeps, responses and rows are the same, and the summary counts them."""
    answered = simulated.summary["prompts"].get("answered")
    rows = check_answers(simulated, answered)
    assert simulated.summary["sheet_rows"] == len(rows)


def test_every_task_run_is_one_clearml_child(simulated):
    """One child per Prefect task run, right parent, final status; a controller per flow run."""
    check_one_child_per_task_run(simulated)


def test_what_a_run_on_the_worker_logs_is_in_prefect(simulated):
    """Every finished run of a deployment has told Prefect of its end."""
    ran = {r["id"] for r in simulated.runs("flow_runs") if r["deployment_id"] and r["state"]["type"] == "COMPLETED"}
    lines = simulated.runs("logs", "TIMESTAMP_ASC")
    told = {line["flow_run_id"] for line in lines if line["message"].startswith("Finished in state")}
    assert ran
    assert ran - told == set()


def test_every_message_can_be_traced(simulated):
    """Flow run, data hash, policy and model of every message resolve."""
    check_lineage(simulated)


def test_insights_are_delivered(simulated):
    """Somebody is told something, and a model is registered as champion."""
    assert sum(simulated.summary["messages"].values()) > 0
    assert any(m["stage"] == "champion" for m in simulated.summary["models"])


def test_no_raw_answer_or_chat_is_in_clearml(simulated):
    """ClearML's tasks hold no chat id and no respondent's name."""
    text = json.dumps(simulated.tasks())
    assert "Respondent" not in text
    assert "500000001" not in text


def test_the_state_directory_is_private_and_logs_hold_no_secret(simulated):
    """Files 0600, folders 0700, whoever of the stack wrote them; keys, token and chats are in no log."""
    check_private(simulated)


@pytest.fixture
def teams_server(tmp_path):
    """A ClearML server of somebody else, that knows people by password, made ready as the official one is."""
    values = environment.ensure(tmp_path / ".env")
    hashed = bcrypt.hashpw(values["ADMIN_PASSWORD"].encode(), bcrypt.gensalt(4)).decode()
    users = {"users": [{"username": values["ADMIN_USER"], "password": hashed, "name": "Admin"}]}
    (tmp_path / "users.json").write_text(json.dumps(users))
    ports = ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
    with running("server.embedded", tmp_path / "data", [*ports, "--users", str(tmp_path / "users.json")]) as service:
        hosts = {f"CLEARML_{name.upper()}_HOST": url for name, url in service.ready["urls"].items()}
        made = bootstrap.bootstrap(values | hosts, tmp_path / "clearml.conf")
        yield hosts | {"CLEARML_API_ACCESS_KEY": made.access_key, "CLEARML_API_SECRET_KEY": made.secret_key}


def test_nothing_outlives_the_demo_and_the_next_uses_the_server_it_is_given(simulated, teams_server):
    """Ctrl-C stops every process, and another demo can use the same directory; where hosts and credentials of a ClearML
    server are set, it starts none of its own and everything is there.
    """
    assert stop(simulated) == []
    again = start(simulated.home, "--persons", "2", "--days", "3", **teams_server)
    try:
        assert again.summary["people"] == 2
        assert "clearml" not in again.stack["processes"]
        check_one_child_per_task_run(again, telling=False)
    finally:
        assert stop(again) == []
    assert again.clearml("users.get_current_user")["user"]["name"] == "Admin"  # it was not ours to stop


@pytest.mark.study
@pytest.mark.skipif(not FRIED.exists(), reason="the real studies are not beside this checkout (../shared/data)")
def test_a_real_study_keeps_its_own_time(tmp_path):
    """Fried 2021, all persons: 3,946 answered beeps, each at the study's answer time, partial ones marked.

    The study has no answer time for 543 of them: these are answered two minutes after their prompt.
    """
    import pandas as pd

    demo = start(tmp_path / "home", "--data", str(FRIED))
    try:
        study = pd.read_csv(FRIED)
        items = [c for c in study.columns if c not in {"person", "timestamp", "scheduled", "day", "beep", "na"}]
        answered = study[study[items].notna().any(axis=1)]
        assert len(answered) == 3946
        rows = pd.DataFrame(check_answers(demo, len(answered)))
        partial = int(answered[items].isna().any(axis=1).sum())
        assert (rows["status"] == "partial").sum() == partial
        prompted = pd.to_datetime(answered["scheduled"]) + pd.Timedelta(minutes=2)
        wanted = pd.to_datetime(answered["timestamp"]).fillna(prompted)
        assert int(answered["timestamp"].isna().sum()) == 543
        got = pd.to_datetime(rows["answered_at"], utc=True).dt.floor("s")
        assert sorted(got) == sorted(wanted.dt.tz_localize("Europe/Amsterdam").dt.tz_convert("UTC"))
        values = pd.concat([rows[i].astype(str) for i in items]).replace("", None).dropna().astype(float)
        assert values.sum() == answered[items].sum().sum()
        check_one_child_per_task_run(demo)
        check_lineage(demo)
        frames = [t for t in demo.tasks() if t["name"].startswith("read the Sheet")]
        assert any("3946" in json.dumps(t) for t in frames)
    finally:
        assert stop(demo) == []
