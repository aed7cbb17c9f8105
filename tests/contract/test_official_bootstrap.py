"""The official server's bootstrap and smoke test, run against a ClearML-compatible endpoint with fixed users."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import bcrypt
import httpx
import pytest
import yaml

from server.official import backup, bootstrap, environment
from server.official.errors import ClocksDisagree, ConfTaken, LoginRefused, NotReady
from tests.services import running

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that knows one person, by password."""
    folder = tmp_path_factory.mktemp("official")
    values = environment.ensure(folder / ".env")
    users = folder / "users.json"
    hashed = bcrypt.hashpw(values["ADMIN_PASSWORD"].encode(), bcrypt.gensalt(4)).decode()
    users.write_text(json.dumps({"users": [{"username": values["ADMIN_USER"], "password": hashed, "name": "Admin"}]}))
    ports = ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
    with running("server.embedded", folder / "data", [*ports, "--users", str(users)]) as service:
        urls = service.ready["urls"]
        yield values | {f"CLEARML_{name.upper()}_HOST": url for name, url in urls.items()}


def test_bootstrap_makes_everything_and_changes_nothing_the_second_time(server, tmp_path):
    """Projects, queues and credentials are made once."""
    conf = tmp_path / "clearml.conf"
    first = bootstrap.bootstrap(server, conf)
    assert {*first.made, *first.found} == {
        *(f"project {p}" for p in bootstrap.PROJECTS),
        *(f"queue {q}" for q in bootstrap.QUEUES),
        "credentials in clearml.conf",
    }
    assert "credentials in clearml.conf" in first.made
    before = conf.read_text()
    second = bootstrap.bootstrap(server, conf)
    assert second.made == []
    assert (second.access_key, second.secret_key) == (first.access_key, first.secret_key)
    assert conf.read_text() == before
    assert conf.stat().st_mode & 0o077 == 0


def test_a_lost_clearml_conf_is_made_again(server, tmp_path):
    """A half-finished bootstrap is finished by running it again."""
    conf = tmp_path / "clearml.conf"
    bootstrap.bootstrap(server, conf)
    conf.write_text("api {")
    again = bootstrap.bootstrap(server, conf)
    assert again.made == ["credentials in clearml.conf"]
    assert again.access_key in conf.read_text()


def test_a_key_that_an_interrupted_run_left_is_revoked_by_the_next(server, tmp_path):
    """Made on the server and never written here: its secret is nobody's. Keys of other files, and used ones, stay."""
    other = bootstrap.bootstrap(server, tmp_path / "other.conf").access_key
    folder = tmp_path / "here"
    folder.touch()  # a file where the folder should be: the key is made, and cannot be written
    before = keys(server)
    with pytest.raises(FileExistsError):
        bootstrap.bootstrap(server, folder / "clearml.conf")
    (orphan,) = keys(server) - before
    folder.unlink()
    again = bootstrap.bootstrap(server, folder / "clearml.conf")
    assert again.revoked == [orphan]
    assert keys(server) - before == {again.access_key}
    assert other in before
    with contextlib.closing(bootstrap.Api(server["CLEARML_API_HOST"])) as api:
        api.login(again.access_key, again.secret_key)  # somebody uses it: a copy of the file
        deadline = time.monotonic() + 60
        used: set[str] = set()
        while again.access_key not in used:
            assert time.monotonic() < deadline
            used = {c["access_key"] for c in api("auth.get_credentials")["credentials"] if "last_used" in c}
    (folder / "clearml.conf").unlink()
    assert bootstrap.bootstrap(server, folder / "clearml.conf").revoked == []
    assert again.access_key in keys(server)


def keys(server) -> set[str]:
    """Access keys of the admin."""
    with contextlib.closing(bootstrap.Api(server["CLEARML_API_HOST"])) as api:
        api.login(server["ADMIN_USER"], server["ADMIN_PASSWORD"])
        return {one["access_key"] for one in api("auth.get_credentials")["credentials"]}


def test_a_wrong_admin_password_is_named(server, tmp_path):
    """The next step is in the error, and nothing is written."""
    with pytest.raises(LoginRefused, match=r"refuses user 'admin'.*\.env"):
        bootstrap.bootstrap({**server, "ADMIN_PASSWORD": "wrong"}, tmp_path / "clearml.conf")
    assert not (tmp_path / "clearml.conf").exists()


def test_a_conf_for_another_server_is_not_overwritten(server, tmp_path):
    """A person's own `clearml.conf` for elsewhere is named and left as it is; nothing is made on the server."""
    conf = tmp_path / "clearml.conf"
    conf.write_text('api { api_server: "https://api.elsewhere.example", credentials { access_key: "A" } }')
    before = conf.read_text()
    with pytest.raises(ConfTaken, match=r"is for https://api\.elsewhere\.example.*--conf"):
        bootstrap.bootstrap(server, conf)
    assert conf.read_text() == before


class Official:
    """The command line in a copy of its folder, with a `docker` that has no engine behind it."""

    def __init__(self, folder: Path, values: dict[str, str]) -> None:
        self.folder = folder
        self.here = folder / "server" / "official"
        shutil.copytree(
            ROOT / "server" / "official", self.here, ignore=shutil.ignore_patterns("__pycache__", ".env", "config")
        )
        (folder / "server" / "__init__.py").touch()
        docker = folder / "bin" / "docker"
        docker.parent.mkdir()
        docker.write_text(f"#!{sys.executable}\n" + (ROOT / "tests" / "contract" / "official_docker.py").read_text())
        docker.chmod(0o755)
        environment.write(self.here / ".env", {k: v for k, v in values.items() if k in environment.defaults()})

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "STUB_DOCKER": str(self.folder)}
        return subprocess.run(
            [sys.executable, "-m", "server.official", *arguments],
            cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip

    def state(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self.here.rglob("*") if p.is_file() and "__pycache__" not in p.parts}

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.partition(".env ")[2] if " -f " in line and line.startswith("compose") else line for line in lines]


@pytest.fixture
def official(server, tmp_path):
    return Official(tmp_path / "official", server)


def test_one_command_brings_it_up_and_the_second_time_changes_nothing(official):
    """Configuration, start, health, bootstrap, smoke test; then the same again leaves every file as it is and restarts
    nothing.
    """
    first = official("up")
    assert first.returncode == 0, first.stderr
    assert "smoke  " in first.stdout
    calls = official.calls()
    assert [call for call in calls if call.startswith("compose") or "up" in call or "restart" in call]
    assert sum(call.startswith("restart") for call in calls) == 1
    before = official.state()
    assert {"apiserver.conf", "services.conf", "clearml.conf"} <= before.keys()
    again = official("up")
    assert again.returncode == 0, again.stderr
    assert "made " not in again.stdout
    assert official.state() == before
    assert not [call for call in official.calls() if "restart" in call]
    logs = official("logs")
    assert (logs.returncode, logs.stdout) == (0, "apiserver  | it said this\n")
    (call,) = [call for call in official.calls() if "logs" in call]
    assert call.endswith("logs --no-color --tail 100")
    lost = official.here / ".env"
    lost.unlink()
    refused = official("up")
    assert refused.returncode == 2
    assert "new secrets would lock it out" in refused.stderr
    assert not lost.exists()


def test_what_is_wrong_is_one_text_with_the_next_step_and_nothing_is_touched(official, server):
    """A wrong admin password, and a clock two hours away: exit 2, named; no `clearml.conf` is written."""
    values = environment.read(official.here / ".env")
    environment.write(official.here / ".env", values | {"ADMIN_PASSWORD": "wrong"})
    wrong = official("prepare")
    assert wrong.returncode == 2
    assert "refuses user 'admin'" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    with two_hours_behind(server["CLEARML_API_HOST"]) as url:
        environment.write(official.here / ".env", values | {"CLEARML_API_HOST": url})
        behind = official("prepare")
    assert behind.returncode == 2
    assert "set both by NTP" in behind.stderr
    assert not (official.here / "clearml.conf").exists()


@contextmanager
def two_hours_behind(server: str):
    """The server, seen through a relay whose clock is wrong."""

    class Relay(BaseHTTPRequestHandler):
        def do_GET(self):
            self._pass("GET", b"")

        def do_POST(self):
            self._pass("POST", self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _pass(self, method: str, body: bytes):
            kept = {k: v for k, v in self.headers.items() if k.lower() in {"authorization", "content-type"}}
            answer = httpx.request(method, server + self.path, content=body, headers=kept, timeout=30)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def date_time_string(self, timestamp=None):
            return formatdate(time.time() - 7200, usegmt=True)

        def log_message(self, *args):
            pass

    relay = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{relay.server_address[1]}"
    finally:
        relay.shutdown()
        relay.server_close()


def test_volumes_come_back_as_they_were_backed_up(official):
    """Backup stops the servers, archives every volume, starts them again; restore puts each back, and a damaged
    archive stops nothing.
    """
    volumes = {name: official.folder / f"moodflow-clearml_{name}" for name in backup.VOLUMES}
    for name, path in volumes.items():
        path.mkdir()
        (path / "data").write_text(name)
    made = official("backup", str(official.folder / "backups"))
    assert made.returncode == 0, made.stderr
    calls = [call for call in official.calls() if not call.startswith("info")]
    assert calls[0].endswith("stop")
    assert calls[-1].endswith("start")
    assert len(calls) == len(volumes) + 2
    for path in volumes.values():
        (path / "data").write_text("later")
        (path / "more").touch()
    folder = Path(made.stdout.strip())
    back = official("restore", str(folder))
    assert back.returncode == 0, back.stderr
    assert {name: (path / "data").read_text() for name, path in volumes.items()} == {name: name for name in volumes}
    assert not [path for path in volumes.values() if (path / "more").exists()]
    official.calls()
    (folder / "mongo.tar.gz").write_bytes(b"damaged")
    refused = official("restore", str(folder))
    assert refused.returncode == 2
    assert "mongo.tar.gz missing or damaged; nothing was touched" in refused.stderr
    assert official.calls() == []


def test_the_services_agent_serves_its_queue(server, tmp_path):
    """The command of the compose file, run here: the agent registers and listens to `services`."""
    conf = tmp_path / "clearml.conf"
    done = bootstrap.bootstrap(server, conf)
    said = yaml.safe_load((ROOT / "server" / "official" / "compose.yaml").read_text())["services"]["agent-services"]
    hosts = {name: server[name] for name in ("CLEARML_API_HOST", "CLEARML_WEB_HOST", "CLEARML_FILES_HOST")}
    keys = {"CLEARML_API_ACCESS_KEY": done.access_key, "CLEARML_API_SECRET_KEY": done.secret_key}
    env = {**os.environ, **hosts, **keys, "CLEARML_WORKER_ID": said["environment"]["CLEARML_WORKER_ID"]}
    command = [str(Path(sys.executable).with_name(said["command"][0])), *said["command"][1:]]
    log = (tmp_path / "agent.log").open("wb")
    agent = subprocess.Popen(command, env={**env, "HOME": str(tmp_path)}, stdout=log, stderr=log)
    try:
        with contextlib.closing(bootstrap.Api(server["CLEARML_API_HOST"])) as api:
            api.login(done.access_key, done.secret_key)
            deadline = time.monotonic() + 240
            serving: set[str] = set()
            while "services" not in serving and time.monotonic() < deadline:
                assert agent.poll() is None, (tmp_path / "agent.log").read_text()[-2000:]
                workers = api("workers.get_all")["workers"]
                serving = {q["name"] for w in workers if "clearml-services" in w["id"] for q in w["queues"]}
                time.sleep(0.3)
        assert serving == {"services"}
    finally:
        agent.send_signal(signal.SIGINT)
        try:
            agent.wait(30)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()
        log.close()


def test_an_absent_server_is_named():
    """No answer in time: which address, and where its log is."""
    with pytest.raises(NotReady, match=r"127\.0\.0\.1:9 is not healthy.*server\.official logs"):
        bootstrap.await_health("http://127.0.0.1:9", seconds=0.1)


def test_health_is_debug_ping(server):
    """A running server is seen at once."""
    bootstrap.await_health(server["CLEARML_API_HOST"], seconds=10)
    assert httpx.get(f"{server['CLEARML_API_HOST']}/debug.ping").status_code == 200


def test_clocks_that_disagree_are_an_error():
    """An hour apart, signed tokens would be refused later and elsewhere: it is said here."""
    bootstrap._compare_clocks(formatdate(time.time(), usegmt=True))
    with pytest.raises(ClocksDisagree, match=r"differ by 3[56]\d\d s"):
        bootstrap._compare_clocks(formatdate(time.time() - 3600, usegmt=True))
