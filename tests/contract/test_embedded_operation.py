"""Running the embedded server: ports, restarts, the watchdog, retention and backups."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.contract.embedded_server import PORTS, Client, begin, serving

pytestmark = pytest.mark.xdist_group("embedded-operation")


def until(ask: Any, seconds: float = 20) -> Any:
    """Ask again until the answer is true."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
    return answer


def test_one_line_says_where_it_is_and_a_signal_ends_it(tmp_path: Path) -> None:
    """Ready is one JSON line; SIGINT ends with status 0; keys, tokens and data are there after a restart."""
    server = begin(tmp_path / "data")
    assert server.service.ready["service"] == "embedded"
    assert set(server.urls) == {"api", "files", "web"}
    keys, token = server.keys, server.token
    task = server.call("tasks.create", name="kept", type="training")["id"]
    server.service.stop()
    assert server.service.process.returncode == 0
    with serving(tmp_path / "data") as again:
        assert again.keys == keys
        assert Client(again.service, token).call("tasks.get_by_id", task=task)["task"]["name"] == "kept"


def test_a_start_loads_only_what_clients_need() -> None:
    """What draws pages, curves and patterns is loaded with the first request for it: a restart does not wait for it."""
    code = (
        "import sys, server.embedded.cli; print(sorted({'jinja2', 'markdown_it', 'numpy', 'regex'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """A port that is taken ends with status 2 and names the port and the option."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = ["--data", str(tmp_path), *PORTS, "--files-port", str(port)]
        done = subprocess.run(
            [sys.executable, "-m", "server.embedded", *options], capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "--files-port" in done.stderr
    assert done.stdout == ""


def test_silent_tasks_are_stopped_and_others_are_not(tmp_path: Path) -> None:
    """A running task without a sign of life is stopped; one that pings goes on."""
    with serving(tmp_path / "data", "--silent-task-s", "2", "--watchdog-every-s", "0.1") as server:
        silent, alive = (server.call("tasks.create", name=name, type="training")["id"] for name in ("silent", "alive"))
        for task in (silent, alive):
            server.call("tasks.started", task=task)

        def stopped() -> bool:
            server.call("tasks.ping", task=alive)
            return server.call("tasks.get_by_id", task=silent)["task"]["status"] == "stopped"

        until(stopped)
        assert "non-responsive" in server.call("tasks.get_by_id", task=silent)["task"]["status_message"]
        assert server.call("tasks.get_by_id", task=alive)["task"]["status"] == "in_progress"


def test_the_archive_is_emptied_after_its_time(tmp_path: Path) -> None:
    """With a retention, tasks archived for longer go with their events; others stay."""
    with serving(tmp_path / "data", "--archive-days", "0.00002", "--watchdog-every-s", "0.1") as server:
        old, kept = (server.call("tasks.create", name=name, type="training")["id"] for name in ("old", "kept"))
        server.events({"type": "training_stats_scalar", "task": old, "metric": "m", "variant": "v", "value": 1})
        server.call("tasks.archive_many", ids=[old])
        until(lambda: not server.call("tasks.get_all", id=[old])["tasks"])
        assert server.call("tasks.get_all", id=[kept], only_fields=["id"])["tasks"] == [{"id": kept}]
        database = sqlite3.connect(Path(server.service.ready["credentials"]).with_name("clearml.db"))
        assert database.execute("SELECT count(*) FROM series").fetchone()[0] == 0


def test_a_backup_is_taken_while_serving(tmp_path: Path) -> None:
    """A copy made under load is a whole installation: every task, event and file it names is in it."""
    with serving(tmp_path / "data") as server:
        files = {}
        for n in range(20):
            task = server.call("tasks.create", name=f"task {n}", type="training")["id"]
            server.events({"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v", "value": n})
            assert server.upload(f"{task}/a.bin", b"x" * n).status_code == 200
            files[f"{task}/a.bin"] = b"x" * n
        command = [sys.executable, "-m", "server.embedded", "backup", "--data", str(tmp_path / "data")]
        process = subprocess.Popen([*command, "--to", str(tmp_path / "copy")])
        while process.poll() is None:
            server.call("tasks.create", name="during", type="training")
        assert process.returncode == 0
        again = subprocess.run(
            [*command, "--to", str(tmp_path / "copy")], capture_output=True, text=True, timeout=30, check=False
        )
        assert again.returncode == 2
        assert "exists" in again.stderr
        keys = server.keys
        for name in files:
            server.file(name, "DELETE")
    with serving(tmp_path / "copy") as copy:
        assert copy.keys == keys
        tasks = copy.call("tasks.get_all", name="^task ", only_fields=["id"])["tasks"]
        assert len(tasks) == 20
        assert {name: copy.file(name).content for name in files} == files


def test_an_unknown_endpoint_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    """What the API does not have is 404; what the schema has and this server has not is 501 and counted."""
    from server.embedded import services
    from server.embedded.catalogue import ENDPOINTS
    from server.embedded.endpoints import REGISTRY

    services.load()
    missing = [name for name in ENDPOINTS if name not in REGISTRY]
    with serving(tmp_path / "data") as server:
        assert server.error("tasks.nonsense")[:2] == (404, 0)
        for name in missing:
            assert server.error(name)[:2] == (501, 0)
        web = json.loads(Path(server.service.ready["credentials"]).with_name("webserver.json").read_text())
        root = Client(server.service)
        import requests

        pair = (web["access_key"], web["secret_key"])
        root.token = requests.post(f"{server.urls['api']}/auth.login", auth=pair, timeout=20).json()["data"]["token"]
        listed = {entry["name"]: entry for entry in root.call("server.endpoints")["endpoints"]}
        assert {name for name, entry in listed.items() if not entry["implemented"]} == set(missing)
        assert all(listed[name]["refused_calls"] == 1 for name in missing)


def test_history_keeps_its_times(tmp_path: Path) -> None:
    """A task brought over from elsewhere can be given the time it was made; a wrong time is told."""
    with serving(tmp_path / "data") as server:
        task = server.call("tasks.create", name="old", type="training")["id"]
        server.call("tasks.update", task=task, created="2024-01-02T03:04:05.678000+00:00")
        assert server.call("tasks.get_by_id", task=task)["task"]["created"] == "2024-01-02T03:04:05.678000+00:00"
        assert server.error("tasks.update", {"task": task, "created": "yesterday"})[:2] == (400, 12)


def test_a_cross_company_object_is_not_there(tmp_path: Path) -> None:
    """What belongs to another company is neither read, listed, changed nor counted."""
    with serving(tmp_path / "data") as server:
        task = server.call("tasks.create", name="theirs", type="training")["id"]
        database = sqlite3.connect(Path(server.service.ready["credentials"]).with_name("clearml.db"))
        with database:
            database.execute("UPDATE task SET company = 'other' WHERE id = ?", (task,))
        assert server.call("tasks.get_all", id=[task])["tasks"] == []
        for name in ("tasks.get_by_id", "tasks.edit", "tasks.delete", "tasks.stopped", "events.get_task_log"):
            assert server.error(name, {"task": task, "force": True})[:2] == (400, 101), name
        event = {"type": "log", "task": task, "msg": "x"}
        assert server.error("events.add", event)[:2] == (400, 131)


def test_a_client_that_forks_gets_a_connection_of_its_own_each_time(tmp_path: Path) -> None:
    """Answers to the SDK end their connection, on the API and the files port; a browser keeps its own."""
    with serving(tmp_path / "data") as server:
        sdk = server.send("debug.ping", {}, headers={"X-ClearML-Client": "clearml-2.1.12"})
        assert (sdk.status_code, sdk.headers["connection"]) == (200, "close")
        assert "connection" not in server.send("debug.ping", {}).headers
        assert server.upload("one/file.bin", b"x").headers["connection"] == "close"
        assert server.file("one/file.bin").headers["connection"] == "close"
        assert "connection" not in server.file("one/file.bin", **{"User-Agent": "Mozilla/5.0"}).headers
