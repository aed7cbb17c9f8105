"""Who may call the embedded server, and as whom."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import requests

from tests.contract.embedded_server import PORTS, Client, serving

pytestmark = pytest.mark.xdist_group("embedded-auth")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("auth") / "data") as client:
        yield client


def test_secrets_are_kept_hashed_and_private(server: Client) -> None:
    """The key file is its owner's only; the database knows no secret in the clear."""
    path = Path(server.service.ready["credentials"])
    secret = server.keys[1]
    database = path.with_name("clearml.db")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    stored = sqlite3.connect(database).execute("SELECT secret_hash FROM credential").fetchall()
    assert stored
    assert all(secret not in row[0] for row in stored)
    assert secret.encode() not in database.read_bytes() + database.with_name("clearml.db-wal").read_bytes()


def test_keys_are_created_used_listed_and_revoked(server: Client) -> None:
    """A new pair logs in, is listed without its secret, and logs in no more once revoked."""
    made = server.call("auth.create_credentials", label="laptop")["credentials"]
    pair = (made["access_key"], made["secret_key"])
    login = f"{server.urls['api']}/auth.login"
    assert requests.post(login, auth=pair, timeout=20).status_code == 200
    listed = {entry["access_key"]: entry for entry in server.call("auth.get_credentials")["credentials"]}
    assert listed[pair[0]]["label"] == "laptop"
    assert "secret_key" not in listed[pair[0]]
    assert server.call("auth.edit_credentials", access_key=pair[0], label="desk") == {"updated": 1}
    assert server.call("auth.revoke_credentials", access_key=pair[0]) == {"revoked": 1}
    refused = requests.post(login, auth=pair, timeout=20)
    assert (refused.status_code, refused.json()["meta"]["result_subcode"]) == (401, 22)
    assert server.error("auth.revoke_credentials", {"access_key": pair[0]})[:2] == (400, 75)


def test_bad_tokens_get_a_clear_401(server: Client) -> None:
    """Missing, malformed, forged and revoked tokens each say what they are."""
    stranger = Client(server.service)
    assert stranger.error("tasks.get_all")[:2] == (401, 20)
    for value, subcode in (
        ("Digest x", 10),
        ("Bearer", 30),
        ("Bearer x.y.z", 30),
        ("Basic !!!abcde", 21),
        ("Basic YTpi", 22),
    ):
        assert stranger.error("tasks.get_all", headers={"Authorization": value})[:2] == (401, subcode), value
    head, body, _ = server.token.split(".")
    assert stranger.error("tasks.get_all", headers={"Authorization": f"Bearer {head}.{body}.AAAA"})[1] == 30
    other = Client(server.service).login()
    assert other.call("users.get_current_user")["user"]["role"] == "user"
    assert other.call("auth.logout") == {}
    assert other.error("tasks.get_all") == (401, 30, "Invalid token (revoked token)")


def test_a_cookie_is_as_good_as_a_token_on_both_ports(server: Client) -> None:
    """The web app's cookie opens the API and the files."""
    session = requests.Session()
    session.post(f"{server.urls['api']}/auth.login", auth=server.keys, timeout=20)
    assert "HttpOnly" in session.post(f"{server.urls['api']}/auth.login", timeout=20).headers["set-cookie"]
    assert session.post(f"{server.urls['api']}/tasks.get_all", json={}, timeout=20).status_code == 200
    server.upload("cookie/a.txt", b"x")
    assert session.get(f"{server.urls['files']}/cookie/a.txt", timeout=20).content == b"x"
    assert requests.get(f"{server.urls['files']}/cookie/a.txt", timeout=20).status_code == 401


def test_roles_are_kept(server: Client) -> None:
    """An ordinary user administers nothing and acts as nobody else."""
    assert server.error("auth.create_user", {"name": "eve", "email": "e@x.y", "company": "c"})[:2] == (403, 20)
    assert server.error("server.config")[:2] == (403, 20)
    assert server.error("tasks.get_all", headers={"X-Clearml-Impersonate-As": "x" * 32})[:2] == (400, 6)


def test_the_web_app_logs_in_by_name(server: Client) -> None:
    """In simple mode the web app's own account, known to the page alone, makes a user and acts as them."""
    keys = requests.get(f"{server.urls['web']}/credentials.json", timeout=20)
    if keys.status_code == 404 or "application/json" not in keys.headers.get("content-type", ""):
        keys_file = Path(server.service.ready["credentials"]).with_name("webserver.json")
        found = json.loads(keys_file.read_text())
        pair = (found["access_key"], found["secret_key"])
    else:
        pair = (keys.json()["userKey"], keys.json()["userSecret"])
    api = server.urls["api"]
    body = {"name": "alice", "email": "alice@test.ai", "company": "d1bd92a3b039400cbafc60a7a5b1e52b"}
    made = requests.post(f"{api}/auth.create_user", json=body, auth=pair, timeout=20).json()["data"]["id"]
    login = requests.post(f"{api}/auth.login", auth=pair, headers={"X-Clearml-Impersonate-As": made}, timeout=20)
    token = {"Authorization": f"Bearer {login.json()['data']['token']}"}
    user = requests.post(f"{api}/users.get_current_user", json={}, headers=token, timeout=20).json()["data"]["user"]
    assert (user["id"], user["name"], user["role"]) == (made, "alice", "user")


def test_passwords_are_asked_for_when_there_is_a_file_of_users(tmp_path: Path) -> None:
    """With fixed users, names and passwords log in, wrong ones do not, and nobody gets in by name alone."""
    password = "correct horse"
    users = tmp_path / "users.json"
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    users.write_text(json.dumps({"users": [{"username": "ann", "password": hashed, "name": "Ann"}]}))
    with serving(tmp_path / "data", "--users", str(users)) as server:
        login = f"{server.urls['api']}/auth.login"
        modes = requests.get(f"{server.urls['api']}/login.supported_modes", timeout=20).json()["data"]
        assert modes["basic"]["enabled"] is True
        assert requests.post(login, auth=("ann", "wrong"), timeout=20).status_code == 401
        token = requests.post(login, auth=("ann", password), timeout=20).json()["data"]["token"]
        client = Client(server.service, token)
        assert client.call("users.get_current_user")["user"]["name"] == "Ann"
        assert "userKey" not in requests.get(f"{server.urls['web']}/credentials.json", timeout=20).text


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_open_address_without_passwords_is_refused(tmp_path: Path, host: str) -> None:
    """Binding to more than loopback while anybody may log in is refused, and the reason says what to do."""
    command = [sys.executable, "-m", "server.embedded", "--data", str(tmp_path), "--host", host, *PORTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--users" in done.stderr
    assert not (tmp_path / "clearml.db").exists()


def test_tokens_end(tmp_path: Path) -> None:
    """A token lives as long as it was asked to, and no longer than a year."""
    with serving(tmp_path / "data") as server:
        assert server.error("auth.login", {"expiration_sec": 10**10})[:2] == (400, 12)
        short = server.send("auth.login", {"expiration_sec": 1}).json()["data"]["token"]
        client = Client(server.service, short)
        assert client.send("users.get_current_user").status_code in {200, 401}
        import time

        deadline = time.monotonic() + 10
        while client.send("users.get_current_user").status_code == 200:
            assert time.monotonic() < deadline
        assert client.error("users.get_current_user")[1:] == (
            30,
            "Invalid token (invalid jwt token): reason=Signature has expired",
        )
