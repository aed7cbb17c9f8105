"""Whatever a client sends, the embedded server answers with a clear error and goes on.

Requests are drawn from the schemas and then broken. Short and seeded here; 10,000 requests with MOODFLOW_CAMPAIGN=full.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.embedded import schemas
from server.embedded.schemas.structures import STRUCTURES
from tests.services import Service, running

FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
REQUESTS = 10_000 if FULL else 900
SEED = 20_261_123
MARK = "only-in-the-other-project"
STACK = re.compile(r'Traceback|File \\?"|\.py\b|sqlite3\.|site-packages')
# they end what the other requests need
LEFT_OUT = {"auth.logout", "login.logout", "auth.revoke_credentials", "users.delete"}

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.xdist_group("embedded-fuzz"),
    pytest.mark.timeout(3600 if FULL else 300),
]

ODD: tuple[Any, ...] = (
    None, "", " ", "x", "a" * 5000, "\x00", "ключ", "🦆", "%", "_", "'; DROP TABLE task; --", "../..", "[", "(?P<", "-", "__$not",
    "2024-01-01", ">=zz", 0, -1, 1, 2**31, -(2**31), 2**63, -(2**70), 1e308, -0.5, True, False, [], {}, [None], [[]], [{}],
    {"": ""}, {"a": {"b": {"c": []}}}, {"$where": 1}, ["-x", "__$all", "__$not", None, 5],
)  # fmt: skip


@dataclass
class Target:
    """The server under fire and ids of what lives on it."""

    service: Service
    http: httpx.Client
    token: str
    ids: dict[str, list[str]] = field(default_factory=dict)

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(f"/{endpoint}", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    data = tmp_path_factory.mktemp("fuzz")
    ports = ("--api-port", "0", "--files-port", "0", "--web-port", "0", "--max-request-mb", "2", "--max-upload-mb", "1")
    with running("server.embedded", data, ports) as service:
        keys = json.loads(Path(service.ready["credentials"]).read_text())
        api = service.ready["urls"]["api"]
        token = httpx.post(f"{api}/auth.login", auth=(keys["access_key"], keys["secret_key"])).json()["data"]["token"]
        with httpx.Client(base_url=api, headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
            found = Target(service, http, token)
            populate(found)
            yield found


def populate(target: Target) -> None:
    """Make two projects with tasks, models, queues and events, so that requests hit something."""
    call = target.call
    mine, other = (call("projects.create", name=name, description="d")["id"] for name in ("mine", "other"))
    tasks = [call("tasks.create", name=f"task {n}", type="training", project=mine, tags=["a"])["id"] for n in range(5)]
    tasks.append(call("tasks.create", name=f"{MARK} task", type="training", project=other)["id"])
    models = [call("models.create", name="model", uri="http://x/1", project=mine)["id"]]
    models.append(call("models.create", name=f"{MARK} model", uri="http://x/2", project=other)["id"])
    queues = [call("queues.create", name="fuzz queue")["id"], call("queues.get_default")["id"]]
    reports = [call("reports.create", name="report", project=mine)["id"]]
    for task in tasks:
        for event in ({"type": "log", "msg": "line"}, {"type": "plot", "metric": "p", "variant": "v", "iter": 1, "plot_str": "{}"},
                      {"type": "training_stats_scalar", "metric": "m", "variant": "v", "iter": 1, "value": 1.0},
                      {"type": "training_debug_image", "metric": "i", "variant": "v", "iter": 1, "url": "http://x/i.png"}):  # fmt: skip
            call("events.add", task=task, **event)
    target.ids = {
        "task": tasks,
        "model": models,
        "queue": queues,
        "project": [mine],
        "report": reports,
        "other": [other],
    }


class Draw:
    """Draws request bodies: valid ones from the schemas, and broken ones."""

    def __init__(self, target: Target, seed: int) -> None:
        self.random = random.Random(seed)
        self.target = target

    def value(self, name: str, kind: str) -> Any:
        """A value that fits, or in one of five cases one that does not."""
        if self.random.random() < 0.2:
            return self.random.choice(ODD)
        kind = kind.lstrip("~")
        for part in ("task", "model", "queue", "project"):
            if name.rstrip("s") == part or (name in {"id", "ids"} and self.random.random() < 0.5):
                found = self.random.choice([*self.target.ids[part], "f" * 32, "nope"])
                return [found] if kind.startswith("[") or kind == "strs" else found
        return self.of(kind)

    def of(self, kind: str) -> Any:
        pick = self.random.choice
        if kind.startswith("["):
            return [self.of(kind[1:].partition("]")[0]) for _ in range(self.random.randint(0, 3))]
        if kind.startswith("<"):
            return pick(kind.strip("<>").rpartition("=")[2].split("|"))
        if kind.startswith("@"):
            return self.fields(STRUCTURES[kind[1:]])
        if kind.startswith(("(", "{")):
            return {pick(["a", "b.c", "$d"]): pick(ODD)}
        plain: dict[str, Callable[[], Any]] = {
            "str": lambda: pick(["m", "v", "name", "task 1", "^task", "http://x"]),
            "int": lambda: self.random.randint(-3, 1000),
            "num": lambda: self.random.uniform(-10, 2e9),
            "bool": lambda: pick([True, False]),
            "strs": lambda: [pick(["a", "-a", "name", "created", "id", "last_metrics", "m"])],
            "page": lambda: self.random.randint(0, 5),
        }
        return plain.get(kind, lambda: pick(ODD))()

    def fields(self, line: str) -> dict[str, Any]:
        """A body for one schema line; optional fields now and then."""
        body: dict[str, Any] = {}
        for item in re.findall(r"([\w.]+)(!{0,2}):(\S+)", line):
            name, required, kind = item
            if (required and self.random.random() < 0.95) or self.random.random() < 0.35:
                body[name] = self.value(name, kind)
        return body

    def body(self, endpoint: str, line: str) -> bytes:
        """A request body as bytes: JSON of drawn fields, and sometimes no JSON at all."""
        if endpoint.endswith("_batch"):
            return self.lines()
        body = self.fields(line)
        if self.random.random() < 0.1:
            body[self.random.choice(["zz", "order_by", "only_fields", "_any_", "filters", "hyperparams.a.b"])] = (
                self.random.choice(ODD)
            )
        text = json.dumps(body, ensure_ascii=self.random.random() < 0.5).encode("utf-8", "surrogatepass")
        roll = self.random.random()
        if roll < 0.03:
            return text[: self.random.randint(0, len(text))]
        if roll < 0.05:
            return bytes(self.random.randrange(256) for _ in range(40))
        if roll < 0.06:
            return b'{"task": "\\ud800", "name": ' + b"[" * 5000
        return text

    def lines(self) -> bytes:
        """A batch of events, some of them broken."""
        pick = self.random.choice
        rows = []
        for _ in range(self.random.randint(0, 5)):
            event = {
                "type": pick(["training_stats_scalar", "log", "plot", "training_debug_image", "training_stats_vector", 5]),
                "task": pick([*self.target.ids["task"], "nope", None, 7]),
                "metric": pick(["m", *ODD]), "variant": pick(["v", *ODD]), "iter": pick([1, *ODD]), "value": pick([1, *ODD]),
                "timestamp": pick([1_700_000_000_000, *ODD]), "msg": pick(["x", *ODD]), "level": pick(["info", *ODD]),
                "url": pick(["http://x", *ODD]), "plot_str": pick(["{}", *ODD]), "model_event": pick([False, True, *ODD]),
            }  # fmt: skip
            rows.append(json.dumps({key: value for key, value in event.items() if self.random.random() < 0.9}))
        return pick(["\n", "\r\n", "\n\n"]).join([*rows, *pick([[], ["{bad"], ["[]"], ["null"]])]).encode()


def registered(target: Target) -> list[str]:
    """The endpoints that are implemented."""
    found: list[str] = []
    for service in schemas.SERVICES:
        for action in schemas.lines(service):
            answer = target.http.post(f"/{service}.{action}", json={"zz": 1})
            if answer.status_code != 501:
                found.append(f"{service}.{action}")
    assert len(found) > 150
    return sorted([*found, "events.add_batch", "events.add", "tasks.update_batch"])


def check(answer: httpx.Response, what: str) -> None:
    """An answer is an envelope that tells, or a file; never a failure of the server, never a stack trace."""
    assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:500]}"
    if (
        not answer.headers.get("content-type", "").startswith("application/json")
        or "content-disposition" in answer.headers
    ):
        return
    meta = answer.json()["meta"]
    assert meta["error_stack"] is None, what
    assert meta["result_code"] == answer.status_code, what
    if answer.status_code >= 400:
        assert meta["result_msg"], what
        told = json.dumps(meta["result_msg"])
        assert not STACK.search(told), f"{what}: {told[:300]}"


def test_broken_requests_get_clear_errors(target: Target) -> None:
    """No drawn request gets a 5xx or a stack trace, and the server still works afterwards."""
    names = [name for name in registered(target) if name not in LEFT_OUT]
    draw = Draw(target, SEED)
    for number in range(REQUESTS):
        endpoint = names[number % len(names)] if number < len(names) else draw.random.choice(names)
        service, _, action = endpoint.partition(".")
        body = draw.body(endpoint, schemas.lines(service).get(action, ""))
        kind = draw.random.choice(["application/json"] * 8 + ["text/plain", "application/x-www-form-urlencoded"])
        version = draw.random.choice(["", "/v2.34", "/v2.1", "/v999.0", "/v1.5"])
        answer = target.http.request(
            draw.random.choice(["POST", "POST", "GET", "PUT", "DELETE", "PATCH"]), f"{version}/{endpoint}", content=body,
            headers={"Content-Type": kind},
        )  # fmt: skip
        check(answer, f"request {number} of seed {SEED}: {version}/{endpoint} {body[:300]!r}")
        if number % 100 == 0 or target.service.process.poll() is not None:
            assert target.service.process.poll() is None, f"the server died at request {number}"
    assert target.call("debug.ping")["msg"]


def test_queries_of_one_project_show_nothing_of_another(target: Target) -> None:
    """Lists that name a project hold no word of what is in the other one, whatever else they filter and order by."""
    draw = Draw(target, SEED + 1)
    mine = target.call("projects.create", name=f"alone {draw.random.random()}", description="d")["id"]
    target.call("tasks.create", name="inside", type="training", project=mine)
    lists = (
        "tasks.get_all",
        "tasks.get_all_ex",
        "models.get_all",
        "models.get_all_ex",
        "reports.get_all_ex",
        "reports.get_task_data",
    )
    told = (
        "projects.get_task_tags",
        "projects.get_hyperparam_values",
        "projects.get_task_parents",
        "models.get_frameworks",
    )
    for number in range(REQUESTS // 5):
        endpoint = draw.random.choice(lists + told)
        service, _, action = endpoint.partition(".")
        body = draw.fields(schemas.lines(service)[action])
        for name in ("id", "ids", "task", "parent"):
            body.pop(name, None)
        body["projects" if endpoint in told else "project"] = [mine]
        answer = target.http.post(f"/{endpoint}", content=json.dumps(body).encode())
        check(answer, f"request {number}: {endpoint} {body}")
        assert MARK not in answer.text, f"request {number}: {endpoint} {body}"


@pytest.mark.parametrize(
    ("authorization", "subcode"),
    [
        (None, 20), ("Bearer garbage", 30), ("Bearer a.b.c", 30), ("Basic abcde", 21), ("Basic bm8=", 22), ("Digest x", 10),
        ("Bearer", 30), ("Basic YTpi", 22),
    ],
)  # fmt: skip
def test_bad_credentials_are_told_apart(target: Target, authorization: str | None, subcode: int) -> None:
    """Every kind of bad credentials gets a 401 of its own kind."""
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = httpx.post(f"{target.service.ready['urls']['api']}/tasks.get_all", json={}, headers=headers)
    assert (answer.status_code, answer.json()["meta"]["result_subcode"]) == (401, subcode)
    assert not STACK.search(answer.text)


def test_a_tampered_token_is_refused(target: Target) -> None:
    """A token whose content or signature was changed opens nothing."""
    head, body, signature = target.token.split(".")
    for token in (f"{head}.{body[:-2]}xx.{signature}", f"{head}.{body}.{signature[:-3]}AAA", f"{head}.{body}."):
        answer = httpx.post(
            f"{target.service.ready['urls']['api']}/tasks.get_all",
            json={},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert (answer.status_code, answer.json()["meta"]["result_subcode"]) == (401, 30)


def test_a_body_over_the_limit_is_refused(target: Target) -> None:
    """A request larger than the setting gets a 413 that names the limit."""
    answer = target.http.post("/tasks.create", content=b'{"name": "' + b"x" * (3 * 2**20) + b'"}')
    assert answer.status_code == 413
    assert "limit" in answer.json()["meta"]["result_msg"]


BOUNDARY = b"multipart/form-data; boundary=x"
PARTS: list[tuple[str, bytes, bytes]] = [
    ("no boundary", b"multipart/form-data", b"--x\r\n\r\n"),
    ("no end", BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nabc'),
    ("no headers", BOUNDARY, b"--x\r\n\r\nabc\r\n--x--\r\n"),
    ("garbage", BOUNDARY, bytes(range(256))),
    ("empty", BOUNDARY, b""),
    ("outside", BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="../../e"; filename="../../e"\r\n\r\nabc\r\n--x--\r\n'),
    ("absolute", BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="/etc/e/../../x"; filename="%2e%2e/x"\r\n\r\na\r\n--x--\r\n'),
    ("too large", BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="a/b"; filename="a/b"\r\n\r\n' + b"z" * 2**21 + b"\r\n--x--\r\n"),
    ("not multipart", b"application/json", b"{}"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content_type", "body"), PARTS, ids=[part[0] for part in PARTS])
def test_broken_uploads_are_refused(target: Target, name: str, content_type: bytes, body: bytes) -> None:
    """A broken, escaping or oversized upload gets a 4xx, keeps nothing and shows no stack trace."""
    files = target.service.ready["urls"]["files"]
    folder = Path(target.service.ready["credentials"]).parent
    before = sorted(path for path in folder.rglob("*") if path.is_file() and "clearml.db" not in path.name)
    answer = httpx.post(
        f"{files}/",
        content=body,
        headers={"Authorization": f"Bearer {target.token}", "Content-Type": content_type.decode()},
    )
    assert 400 <= answer.status_code < 500, (name, answer.status_code, answer.text)
    assert not STACK.search(answer.text)
    after = sorted(path for path in folder.rglob("*") if path.is_file() and "clearml.db" not in path.name)
    assert before == after


@pytest.mark.parametrize(
    "path", ["../credentials.json", "%2e%2e/credentials.json", "a/../../clearml.db", "%00", "x" * 300, ""]
)
def test_downloads_stay_inside(target: Target, path: str) -> None:
    """No path of a download reaches outside the folder of files."""
    files = target.service.ready["urls"]["files"]
    answer = httpx.request(
        "GET",
        httpx.URL(files).copy_with(raw_path=b"/" + path.encode()),
        headers={"Authorization": f"Bearer {target.token}"},
    )
    assert 400 <= answer.status_code < 500
    assert b"access_key" not in answer.content
    assert not STACK.search(answer.text)
