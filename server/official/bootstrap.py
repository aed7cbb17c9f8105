"""Make a fresh ClearML-compatible server ready for work: credentials, projects, queues, a `clearml.conf`.

Runs against any endpoint that speaks the API, and changes nothing the second time.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from server.official import configuration
from server.official.environment import keep
from server.official.errors import ClocksDisagree, ConfTaken, LoginRefused, NotReady

PROJECTS = ("Moodflow",)
QUEUES = ("default", "services", "moodflow")
_CLOCK_TOLERANCE = 60.0


@dataclass
class Bootstrap:
    """What was made, what was there, and the keys revoked that nobody could use."""

    made: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    access_key: str = ""
    secret_key: str = ""


class Api:
    """The few calls a bootstrap makes, with the server's own words in its errors."""

    def __init__(self, host: str) -> None:
        self._http = httpx.Client(base_url=host.rstrip("/"), timeout=30)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def login(self, user: str, password: str) -> None:
        """Log in with a user and password, or an access and secret key.

        Raises
        ------
        LoginRefused
            With what the server answered.
        ClocksDisagree
            If the server's clock is over a minute away from this machine's.
        """
        answer = self._http.post("/auth.login", auth=(user, password))
        _compare_clocks(answer.headers.get("date"))  # first: a clock that is wrong is why keys are refused
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise LoginRefused(
                f"{self._http.base_url} refuses user {user!r} ({answer.json()['meta']['result_msg']}): "
                "the password in .env is not the one in config/apiserver.conf, or the server was not restarted since"
            )
        answer.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['data']['token']}"

    def __call__(self, endpoint: str, **body: Any) -> dict[str, Any]:
        """Call an endpoint; its `data`."""
        answer = self._http.post(f"/{endpoint}", json=body)
        if answer.status_code != httpx.codes.OK:
            raise NotReady(f"{endpoint} answered {answer.status_code}: {answer.json()['meta']['result_msg']}")
        data: dict[str, Any] = answer.json()["data"]
        return data


def _compare_clocks(theirs: str | None) -> None:
    if theirs is None:
        return
    apart = abs(parsedate_to_datetime(theirs).timestamp() - time.time())
    if apart > _CLOCK_TOLERANCE:
        raise ClocksDisagree(
            f"the server's clock and this machine's differ by {apart:.0f} s: set both by NTP, then try again"
        )


def await_health(host: str, seconds: float = 300, tell: Callable[[str], None] = lambda _: None) -> None:
    """Wait until the API answers `debug.ping`.

    Raises
    ------
    NotReady
        After `seconds`, with the last error.
    """
    deadline = time.monotonic() + seconds
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{host.rstrip('/')}/debug.ping", timeout=5)
            if answer.status_code == httpx.codes.OK:
                return
            last = f"{answer.status_code}"
        except httpx.HTTPError as error:
            last = f"{type(error).__name__}"
        tell(f"waiting for {host}: {last}")
        time.sleep(1)
    raise NotReady(
        f"{host} is not healthy after {seconds:.0f} s ({last}): see `python -m server.official logs apiserver`"
    )


def bootstrap(environment: dict[str, str], conf: Path) -> Bootstrap:
    """Create what is missing and write `conf` (0600); credentials are made once and kept there."""
    done = Bootstrap()
    _kept(conf, environment["CLEARML_API_HOST"])  # refused before anything is made
    with contextlib.closing(Api(environment["CLEARML_API_HOST"])) as api:
        api.login(environment["ADMIN_USER"], environment["ADMIN_PASSWORD"])
        _make_all(api, done)
        done.access_key, done.secret_key = _credentials(api, environment, conf, done)
    return done


def _make_all(api: Api, done: Bootstrap) -> None:
    for name in PROJECTS:
        known = any(p["name"] == name for p in api("projects.get_all", name=f"^{name}$")["projects"])
        _make_once(done, f"project {name}", known, partial(api, "projects.create", name=name, description="Moodflow"))
    for name in QUEUES:
        known = any(q["name"] == name for q in api("queues.get_all", name=f"^{name}$")["queues"])
        _make_once(done, f"queue {name}", known, partial(api, "queues.create", name=name))


def _make_once(done: Bootstrap, what: str, known: bool, make: Callable[[], Any]) -> None:  # noqa: FBT001 - a fact, not a mode
    if known:
        done.found.append(what)
    else:
        make()
        done.made.append(what)


def _credentials(api: Api, environment: dict[str, str], conf: Path, done: Bootstrap) -> tuple[str, str]:
    kept = _kept(conf, environment["CLEARML_API_HOST"])
    listed = api("auth.get_credentials")["credentials"]
    label = f"moodflow: {socket.gethostname()}:{conf.resolve()}"
    _revoke_orphans(api, listed, label, kept, done)
    if kept is not None and kept[0] in {c["access_key"] for c in listed}:
        done.found.append(f"credentials in {conf.name}")
        return kept
    made = api("auth.create_credentials", label=label)["credentials"]
    keys = (made["access_key"], made["secret_key"])
    keep(conf, configuration.clearml_conf(environment, *keys))
    done.made.append(f"credentials in {conf.name}")
    return keys


def _revoke_orphans(
    api: Api, listed: list[dict[str, Any]], label: str, kept: tuple[str, str] | None, done: Bootstrap
) -> None:
    """Revoke keys that an interrupted run made for this file and never wrote: their secrets are nobody's.

    A key that was used once is somebody's who copied the file, and stays.
    """
    for one in listed:
        mine = one.get("label") == label and (kept is None or one["access_key"] != kept[0])
        if mine and not one.get("last_used"):
            api("auth.revoke_credentials", access_key=one["access_key"])
            done.revoked.append(one["access_key"])


def _kept(conf: Path, host: str) -> tuple[str, str] | None:
    """Credentials in a `clearml.conf` that an earlier run wrote; None where there is none, or half of one.

    Raises
    ------
    ConfTaken
        If it is somebody's for another server.
    """
    if not conf.is_file():
        return None
    text = conf.read_text()
    other = re.search(r'api_server\W+"?(https?://[^\s"]+)', text)
    if other is not None and other.group(1).rstrip("/") != host.rstrip("/"):
        raise ConfTaken(
            f"{conf} is for {other.group(1)}, not for {host}: name another file with --conf; it was not touched"
        )
    try:
        access = text.split('access_key: "', 1)[1].split('"', 1)[0]
        secret = text.split('secret_key: "', 1)[1].split('"', 1)[0]
    except IndexError:
        return None
    return access, secret
