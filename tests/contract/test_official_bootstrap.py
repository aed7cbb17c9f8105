"""The official server's bootstrap and smoke test, run against a ClearML-compatible endpoint with fixed users."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import bcrypt
import httpx
import pytest

from server.official import __main__ as command
from server.official import bootstrap, environment
from server.official.errors import ClocksDisagree, LoginRefused, NotReady
from tests.services import running


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
    """Projects, queues and credentials are made once; the smoke test passes with the credentials made."""
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
    command.smoke(server, first.access_key, first.secret_key)


def test_a_lost_clearml_conf_is_made_again(server, tmp_path):
    """A half-finished bootstrap is finished by running it again."""
    conf = tmp_path / "clearml.conf"
    bootstrap.bootstrap(server, conf)
    conf.write_text("api {")
    again = bootstrap.bootstrap(server, conf)
    assert again.made == ["credentials in clearml.conf"]
    assert again.access_key in conf.read_text()


def test_a_wrong_admin_password_is_named(server, tmp_path):
    """The next step is in the error, and nothing is written."""
    with pytest.raises(LoginRefused, match=r"refuses user 'admin'.*\.env"):
        bootstrap.bootstrap({**server, "ADMIN_PASSWORD": "wrong"}, tmp_path / "clearml.conf")
    assert not (tmp_path / "clearml.conf").exists()


def test_an_absent_server_is_named():
    """No answer in time: which address, and where its log is."""
    with pytest.raises(NotReady, match=r"127\.0\.0\.1:9 is not healthy.*docker compose logs"):
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
