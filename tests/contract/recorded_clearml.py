"""Replay recorded calls of the official server: objects are made as the calls need them, ids mapped, answers compared.

A recording names tasks, models, queues and projects that only the recorded server had. Before a call is replayed, every id
in it that is not known yet gets an object of the same kind here, in the state that the recording shows or implies.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

HEX = re.compile(r"\b[0-9a-f]{32}\b")
NOBODY = "f" * 32
RECORDED_COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"
CUT = re.compile(r"^<\+\d+ (more|chars)>$")
STATES = ("created", "in_progress", "stopped", "completed", "failed", "published", "queued")
IN_CASE = re.compile(rf" on ({'|'.join(STATES)})$")
SERVICE_KINDS = {"tasks": "task", "models": "model", "queues": "queue", "projects": "project", "reports": "report",
                 "pipelines": "task", "events": "task", "workers": "queue"}  # fmt: skip
FIELD_KINDS = {
    "task": "task", "tasks": "task", "parent": "task", "new_task_parent": "task", "model": "model", "models": "model",
    "project": "project", "projects": "project", "new_task_project": "project", "destination_project": "project",
    "queue": "queue", "queues": "queue", "queue_ids": "queue",
}  # fmt: skip
TASK_FIELDS = ("name", "type", "comment", "tags", "system_tags", "hyperparams", "configuration", "script", "container")
# values that must agree, not only be there
COMPARED = frozenset(
    {
        "updated", "deleted", "archived", "unarchived", "enqueued", "dequeued", "started", "stopped", "added", "removed",
        "errors", "errors_info", "status", "status_reason", "status_message", "created_flag", "published", "codes",
        "num", "total", "returned", "y", "x", "iter", "value", "values", "metric", "variant", "variants", "msg", "level",
        "min_value", "max_value", "first_value", "deleted_models", "updated_children",
    }
)  # fmt: skip
COUNTS = ("data.total is", "data.returned is", "data.added is", "data.parameters")  # of lists that were cut
# what only the past of the recorded objects and installation gave them
HISTORY = frozenset(
    {
        "destination", "last_task_run", "active_duration", "last_worker", "last_worker_report", "queue", "given_name",
        "family_name", "created_in_version", "version", "firstLogin", "method", "status_count", "diff",
    }
)  # fmt: skip
ENDS = ("first_value", "min_value", "max_value")
REFERENCES = {"company", "user", "project", "parent", "task", "entries.task"}
NEVER = frozenset({"min_iteration", "scroll_id", "timestamp", "@timestamp", "worker", "started_flag"})


@dataclass(frozen=True)
class Line:
    """One recorded call."""

    case: str
    method: str
    path: str
    headers: dict[str, Any]
    request: Any
    status: int
    response: Any
    number: int

    @property
    def endpoint(self) -> str:
        return self.path.partition("?")[0].rstrip("/").rpartition("/")[2]

    @property
    def service(self) -> str:
        return self.endpoint.partition(".")[0]

    @property
    def name(self) -> str:
        return f"{self.number}: {self.case}"


def lines(path: Path) -> list[Line]:
    """Read a recording."""
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    return [
        Line(
            row.get("case") or row["endpoint"], row["method"], row["path"], row["headers"], row["request"], row["status"],
            row["response"], number,
        )
        for number, row in enumerate(rows)
    ]  # fmt: skip


@dataclass
class World:
    """A running server and what recorded ids became on it."""

    url: str
    key: str
    secret: str
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.token = self.login()
        self.revoked = ""
        me = self.call("users.get_current_user")["user"]
        self.user, self.user_name, self.company = me["id"], me["name"], me["company"]["id"]
        self.made = 0

    def login(self) -> str:
        """Draw a new token."""
        token = self.http.post("/auth.login", auth=(self.key, self.secret)).json()["data"]["token"]
        self.http.cookies.clear()
        return str(token)

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        """Call an endpoint that must work."""
        answer = self.http.post(f"/{endpoint}", json=body, headers={"Authorization": f"Bearer {self.token}"}).json()
        assert answer["meta"]["result_code"] == 200, (endpoint, body, answer["meta"])
        return answer["data"]

    def batch(self, events: list[dict[str, Any]]) -> None:
        """Report events."""
        text = "\n".join(json.dumps(event) for event in events)
        answer = self.http.post("/events.add_batch", content=text, headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200, answer.text

    def make(self, kind: str, state: str, like: dict[str, Any] | None) -> str:
        """Make an object of a kind in a state, as much as can be like a recorded one."""
        self.made += 1
        return getattr(self, f"_make_{kind}")(state, like or {})

    def _make_task(self, state: str, like: dict[str, Any]) -> str:
        body = {name: like[name] for name in TASK_FIELDS if like.get(name) and not _cut(like[name])}
        for name in ("project", "parent"):
            if like.get(name):
                body[name] = self._reference(name, like[name])
        if body.get("type") == "report":
            return self._make_report(state, like)
        body = {"name": f"replayed {self.made}", "type": "training"} | body
        task = str(self.call("tasks.create", **body)["id"])
        if like.get("runtime"):
            self.call("tasks.edit", task=task, runtime=like["runtime"], force=True)
        events = _metric_events(task, like.get("last_metrics") or {})
        if events:
            self.batch(events)
        if state == "queued":
            self.call("tasks.enqueue", task=task)
        elif state != "created":
            self.call("tasks.started", task=task)
            if state == "published":
                self.call("tasks.stopped", task=task)
                self.call("tasks.publish", task=task)
            elif state != "in_progress":
                self.call(f"tasks.{state}", task=task)
        return task

    def _reference(self, name: str, value: Any) -> str:
        like = value if isinstance(value, dict) else {"id": value}
        recorded = str(like.get("id"))
        if recorded not in self.ids:
            self.ids[recorded] = self.make("project" if name == "project" else "task", "created", like)
        return self.ids[recorded]

    def _make_model(self, state: str, like: dict[str, Any]) -> str:
        names = ("name", "uri", "framework", "design", "labels", "tags", "comment", "system_tags")
        body = {name: like[name] for name in names if like.get(name)}
        for name in ("project", "task"):
            if like.get(name) and "__DELETED__" not in str(like[name]):
                body[name] = self._reference(name, like[name])
        body = {"name": f"replayed {self.made}", "uri": f"http://x/{self.made}"} | body
        model = str(self.call("models.create", ready=state == "ready" or bool(like.get("ready")), **body)["id"])
        if like.get("metadata"):
            self.call("models.add_or_update_metadata", model=model, metadata=list(like["metadata"].values()))
        events = [event | {"model_event": True} for event in _metric_events(model, like.get("last_metrics") or {})]
        if events:
            self.batch(events)
        return model

    def _make_project(self, state: str, like: dict[str, Any]) -> str:
        name = like.get("name") or f"replayed {self.made}"
        found = self.call("projects.get_all", name=f"^{re.escape(name)}$", search_hidden=True)["projects"]
        tags = {"system_tags": like["system_tags"]} if like.get("system_tags") else {}
        made = found[0] if found else self.call("projects.create", name=name, description="d", **tags)
        project = str(made["id"])
        if state == "busy":
            self.call("tasks.create", name="of the project", type="training", project=project)
        return project

    def _make_queue(self, state: str, like: dict[str, Any]) -> str:
        name = like.get("name") or f"replayed {self.made}"
        found = self.call("queues.get_all", name=f"^{re.escape(name)}$")["queues"]
        queue = str(found[0]["id"] if found else self.call("queues.create", name=name)["id"])
        if state == "busy":
            task = self._make_task("created", {})
            self.call("tasks.enqueue", task=task, queue=queue)
        return queue

    def _make_report(self, state: str, like: dict[str, Any]) -> str:
        body = {name: like[name] for name in ("name", "comment", "report", "tags") if like.get(name)}
        task = str(self.call("reports.create", **({"name": f"replayed {self.made}"} | body))["id"])
        if state == "published":
            self.call("reports.publish", task=task)
        return task

    def ours(self, value: Any) -> Any:
        """Put our ids where recorded ones are, and leave out what the recording cut."""
        text = json.dumps(_uncut(value))
        return json.loads(HEX.sub(lambda match: self.ids.get(match[0], match[0]), text))

    def theirs(self, text: str) -> str:
        """Put the recorded ids where ours are."""
        back = {mine: recorded for recorded, mine in self.ids.items()}
        return HEX.sub(lambda match: "<company>" if match[0] == self.company else back.get(match[0], match[0]), text)


def _metric_events(owner: str, last_metrics: dict[str, Any]) -> list[dict[str, Any]]:
    events: dict[tuple[Any, ...], dict[str, Any]] = {}
    for variants in last_metrics.values():
        for item in variants.values() if isinstance(variants, dict) else ():
            ends = [(item.get(f"{name}_iteration", 0), item[name]) for name in ENDS if name in item]
            last = next((at for at, value in ends if value == item.get("value")), 0)
            for at, value in sorted({*ends, *([(last, item["value"])] if "value" in item else [])}):
                events[item["metric"], item["variant"], at] = {
                    "type": "training_stats_scalar", "task": owner, "metric": item["metric"],
                    "variant": item["variant"], "iter": at, "value": value,
                }  # fmt: skip
    return list(events.values())


def _uncut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _uncut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_uncut(item) for item in value if not (isinstance(item, str) and CUT.match(item))]
    return value


def _cut(value: Any) -> bool:
    return "<+" in json.dumps(value)


@dataclass(frozen=True)
class Need:
    """An id of a recorded request: what it must become here."""

    id: str
    kind: str


def needs(line: Line) -> list[Need]:
    """Ids that a request names, in order, each once."""
    found: dict[str, Need] = {}
    body = line.request
    if isinstance(body, dict) and "__json_lines__" in body:
        body = body["__json_lines__"]
    if isinstance(body, dict) and "__raw__" in body:
        rows = [_try_json(text) for text in str(body["__raw__"]).splitlines()]
        body = [row for row in rows if row is not None]
    for name, value in _walk(body, ""):
        if HEX.fullmatch(value) and value != NOBODY:
            kind = FIELD_KINDS.get(name) or (SERVICE_KINDS.get(line.service) if name in {"id", "ids"} else None)
            if name == "task" and line.service == "reports":
                kind = "report"
            if name in {"task", "tasks"} and isinstance(body, dict | list) and _is_model_event(body):
                kind = "model"
            if kind:
                found.setdefault(value, Need(value, kind))
    data = line.response.get("data") if isinstance(line.response, dict) else None
    kind = SERVICE_KINDS.get(line.service)
    if kind and line.status == 200 and re.search(r"\.get_(all|by_id)", line.endpoint) and isinstance(data, dict):
        listed = [
            item for value in data.values() if isinstance(value, list) for item in value if isinstance(item, dict)
        ]
        for item in listed[:1]:  # answers are compared by their first object
            if HEX.fullmatch(str(item.get("id"))):
                found.setdefault(item["id"], Need(item["id"], kind))
    return list(found.values())


def _is_model_event(body: Any) -> bool:
    first = body[0] if isinstance(body, list) and body else body
    return isinstance(first, dict) and bool(first.get("model_event") or first.get("model_events"))


def _try_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        match = re.search(r'"task": ?"([0-9a-f]{32})"', text)
        return {"task": match[1]} if match else None


def _walk(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, name)
    elif isinstance(value, str):
        yield name, value


def recorded_objects(response: Any) -> dict[str, dict[str, Any]]:
    """Objects of an answer by id."""
    found: dict[str, dict[str, Any]] = {}
    if isinstance(response, dict):
        if isinstance(response.get("id"), str) and len(response) > 2:
            found[response["id"]] = response
        for value in response.values():
            found |= recorded_objects(value)
    elif isinstance(response, list):
        for value in response:
            found |= recorded_objects(value)
    return found


def state_hints(line: Line) -> dict[str, str]:
    """States that the recording shows: in the case's name, in the error, or for one of several ids."""
    hints: dict[str, str] = {}
    named = IN_CASE.search(line.case)
    if named:
        hints["*"] = named[1]
    meta = line.response.get("meta", {}) if isinstance(line.response, dict) else {}
    message = meta.get("result_msg", "")
    told = re.search(r"(?:current_status|current|, status)=(\w+)", message)
    if told and told[1] in STATES:
        hints["*"] = told[1]
    if "Model is ready" in message:
        hints["*"] = "ready"
    if "Queue is not empty" in message:
        hints["*"] = "busy"
    if "has associated" in message:
        hints["*"] = "busy"
    if "already queued" in message:
        hints["*"] = "queued"
    data = line.response.get("data") if isinstance(line.response, dict) else None
    if isinstance(data, dict) and ("entry" in data or data.get("num")):
        hints["*"] = "busy"
    data = line.response.get("data", {}) if isinstance(line.response, dict) else {}
    for item in data.get("failed", []) if isinstance(data, dict) else []:
        if isinstance(item, dict):
            facts = item["error"].get("data", {})
            state = facts.get("current") or facts.get("current_status") or facts.get("status")
            if state:
                hints[item["id"]] = state
    return hints


def send(world: World, line: Line) -> httpx.Response:
    """Send a recorded request with ids and credentials of this server."""
    headers = {
        name: value
        for name, value in line.headers.items()
        if isinstance(value, str) and name.lower() not in {"authorization", "cookie", "accept-encoding", "origin"}
    }
    headers |= _credentials(world, line)
    body = line.request
    content: bytes | None = None
    if isinstance(body, dict) and "__raw__" in body:
        content = HEX.sub(lambda match: world.ids.get(match[0], match[0]), body["__raw__"]).encode()
    elif isinstance(body, dict) and "__json_lines__" in body:
        rows = [row for row in body["__json_lines__"] if isinstance(row, dict)]
        content = "\n".join(json.dumps(world.ours(row)) for row in rows).encode()
    elif body is not None:
        if isinstance(body, dict) and _cut(body.get("only_fields")):
            body = body | {"only_fields": answered_fields(line)}
        content = json.dumps(world.ours(body)).encode()
    path = HEX.sub(lambda match: world.ids.get(match[0], match[0]), line.path)
    world.http.cookies.clear()
    return world.http.request(line.method, path, content=content, headers=headers)


def answered_fields(line: Line) -> list[str]:
    """Read the fields a request asked for, cut from the recording, off the objects that it got."""
    data = line.response.get("data") if isinstance(line.response, dict) else None
    listed = [value for value in data.values() if isinstance(value, list)] if isinstance(data, dict) else []
    paths: dict[str, None] = {}
    for item in listed[0] if listed else ():
        for key, value in item.items() if isinstance(item, dict) else ():
            inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
            names = REFERENCES & {key, *(f"{key}.{name}" for name in inner)} if isinstance(inner, dict) else ()
            for name in names:
                target = inner if name == key else inner[name.partition(".")[2]]
                paths.update({f"{name}.{field}": None for field in target if isinstance(target, dict)})
            if key not in names:
                paths[key] = None
    return list(paths)


def _credentials(world: World, line: Line) -> dict[str, str]:
    """Make credentials as good or bad as the recorded ones, which were cut out of the recording."""
    given = next((value for name, value in line.headers.items() if name.lower() == "authorization"), None)
    cookie = any(name.lower() == "cookie" for name in line.headers)
    if given is None:
        return {"Cookie": f"clearml_token_basic={world.token}"} if cookie else {}
    message = line.response.get("meta", {}).get("result_msg", "") if isinstance(line.response, dict) else ""
    if given == "Basic <redacted>":
        secret = "wrong" if "invalid credentials" in message else world.secret
        return {"Authorization": "Basic " + base64.b64encode(f"{world.key}:{secret}".encode()).decode()}
    if given == "Bearer <redacted>":
        return {"Authorization": f"Bearer {_token(world, line, message)}"}
    return {"Authorization": given.partition("<")[0]}


def _token(world: World, line: Line, message: str) -> str:
    if "Not enough segments" in message:
        return "garbage"
    if "Signature verification failed" in message:
        head, body, signature = world.token.split(".")
        return f"{head}.{body}.{signature[:-8]}AAAAAAAA"
    if "revoked token" in message:
        return world.revoked
    if line.endpoint.endswith(".logout"):
        world.revoked = world.login()
        return world.revoked
    return world.token


def learn(world: World, recorded: Any, ours: Any) -> None:
    """Map ids of objects that a call made."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key, value in recorded.items():
            if key in {"id", "project_id", "pipeline"} and isinstance(value, str) and isinstance(ours.get(key), str):
                world.ids[value] = ours[key]
            else:
                learn(world, value, ours.get(key))


def differences(world: World, line: Line, answer: httpx.Response) -> list[str]:
    """Everything in which an answer is not as recorded."""
    found: list[str] = []
    status = 400 if line.status == 500 else line.status  # bad input is the client's fault here
    if answer.status_code != status:
        found.append(f"status {answer.status_code}, recorded {line.status}")
    recorded = line.response
    if not isinstance(recorded, dict) or "meta" not in recorded:
        return found
    try:
        ours = answer.json()
    except ValueError:
        return [*found, "not JSON"]
    theirs_meta, our_meta = recorded["meta"], ours.get("meta", {})
    if our_meta.get("result_subcode") != theirs_meta["result_subcode"]:
        found.append(f"subcode {our_meta.get('result_subcode')}, recorded {theirs_meta['result_subcode']}")
    mine, theirs = (_message(world, str(meta.get("result_msg"))) for meta in (our_meta, theirs_meta))
    if mine != theirs:
        found.append(f"message {mine!r}, recorded {theirs!r}")
    if our_meta.get("error_stack") is not None:
        found.append("a stack trace")
    if line.status == 200:
        theirs_data = json.loads(_neutral(world, json.dumps(recorded.get("data"))))
        our_data = json.loads(_neutral(world, world.theirs(json.dumps(ours.get("data")))))
        skipped = COUNTS if _cut(recorded.get("data")) or _cut(line.request) else ()
        found += [text for text in _compare(theirs_data, our_data, "data") if not text.startswith(skipped or "-")]
    return found


def _neutral(world: World, text: str) -> str:
    """Take out what names the one installation or the other."""
    for old, new in ((RECORDED_COMPANY, "<company>"), (world.user, "<user>"), ("__tests__", "<user>"),
                     (f"by {world.user_name}", "by <name>"), ("by tests", "by <name>")):  # fmt: skip
        text = text.replace(old, new)
    return text


def _message(world: World, text: str) -> str:
    text = _neutral(world, world.theirs(text))
    text = re.sub(r"fields=\(([^)]*)\)", lambda match: f"fields={sorted(match[1].split(', '))}", text)
    text = re.sub(r"number of data characters \(\d+\)", "number of data characters", text)
    return re.split(r"(?<=err=)|(?<=extra_info=)", text)[0]


def _compare(recorded: Any, ours: Any, where: str, name: str = "") -> Iterator[str]:
    if recorded is None or name in NEVER or (isinstance(recorded, str) and "<+" in recorded):
        return
    if isinstance(recorded, dict):
        if not isinstance(ours, dict):
            yield f"{where} is {type(ours).__name__}, recorded an object"
            return
        for key, value in recorded.items():
            if key in HISTORY or (key in {"status_reason", "status_message"} and not where.startswith("data.fields")):
                continue
            if key not in ours:
                if value is not None and not HEX.fullmatch(key):
                    yield f"{where}.{key} is missing"
            else:
                yield from _compare(value, ours[key], f"{where}.{key}", key)
    elif isinstance(recorded, list):
        if not isinstance(ours, list):
            yield f"{where} is {type(ours).__name__}, recorded a list"
        elif recorded and ours and name not in COMPARED:
            first = next((item for item in recorded if not isinstance(item, str) or not CUT.match(item)), None)
            yield from _compare(first, _like(first, ours), f"{where}[]", name)
        elif name in COMPARED and not _same_list(recorded, ours):
            yield f"{where} is {ours!r}, recorded {recorded!r}"
    elif name in COMPARED and ours is not None and not _same(recorded, ours):
        if not (isinstance(recorded, str) and re.match(r"\d{4}-\d\d-\d\dT", recorded)):
            yield f"{where} is {ours!r}, recorded {recorded!r}"
    elif ours is not None and _kind(recorded) != _kind(ours):
        yield f"{where} is {_kind(ours)}, recorded {_kind(recorded)}"


def _same_list(recorded: list[Any], ours: list[Any]) -> bool:
    if not recorded or any(isinstance(item, str) for item in recorded):
        return True
    return len(recorded) == len(ours) and all(_same(a, b) for a, b in zip(recorded, ours, strict=True))


def _like(first: Any, ours: list[Any]) -> Any:
    """Choose the item of ours that has most of a recorded item's fields: listings hold other objects here."""
    if not isinstance(first, dict):
        return ours[0]
    for item in ours:
        if isinstance(item, dict) and "id" in item and item["id"] == first.get("id"):
            return item
    return max(ours, key=lambda item: len(set(item) & set(first)) if isinstance(item, dict) else -1)


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__


def _same(recorded: Any, ours: Any) -> bool:
    if isinstance(recorded, int | float) and isinstance(ours, int | float):
        return abs(recorded - ours) <= 1e-6 * max(1.0, abs(recorded))
    if isinstance(recorded, dict | list):
        return True
    return bool(recorded == ours)


def not_replayable(line: Line) -> bool:
    """Tell whether a call cannot be replayed: it goes on with the recorded server's scroll, or its text was cut."""
    scroll = line.request.get("scroll_id") if isinstance(line.request, dict) else None
    raw = line.request.get("__raw__", "") if isinstance(line.request, dict) else ""
    return line.status == 200 and ((bool(scroll) and scroll != "zzz") or "chars>" in str(raw))


def replay(world: World, line: Line, *, fresh: bool) -> list[str]:
    """Replay one call and tell what differs.

    Where the recording does not say in which state its tasks were, the call is tried on every state, as the recorded
    one must have been one of them.
    """
    if not_replayable(line):
        return []
    kept = dict(world.ids)
    hints = state_hints(line)
    wanted = [need for need in needs(line) if fresh or need.id not in world.ids]
    likes = recorded_objects(line.response)
    tries = [hints["*"]] if "*" in hints else list(STATES) if any(n.kind == "task" for n in wanted) else ["created"]
    best: tuple[list[str], dict[str, str], Any] | None = None
    for state in tries:
        world.ids = dict(kept)
        for need in wanted:
            like = likes.get(need.id, {})
            status = hints.get(need.id) or (like.get("status") if need.kind in {"task", "report"} else None) or state
            world.ids[need.id] = world.make(need.kind, status if need.kind in {"task", "report"} else state, like)
        prepare(world, line)
        answer = send(world, line)
        found = differences(world, line, answer)
        if not found:
            learn(world, line.response, _json(answer))
            return []
        if best is None or len(found) < len(best[0]):
            best = (found, dict(world.ids), _json(answer))
    found, world.ids, ours = best or ([], kept, None)
    learn(world, line.response, ours)
    return found


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def prepare(world: World, line: Line) -> None:
    """Report beforehand what a recorded answer of the events service gives back."""
    data = line.response.get("data") if isinstance(line.response, dict) else None
    if line.service != "events" or line.status != 200 or not isinstance(data, dict):
        return
    owner = next((world.ids[need.id] for need in needs(line) if need.id in world.ids), None)
    models = isinstance(line.request, dict) and bool(line.request.get("model_events"))
    events = [
        world.ours({key: value for key, value in event.items() if key not in {"@timestamp", "plot_len"}})
        | {"allow_locked": True}
        for event in _events(data)
    ]
    if line.endpoint == "events.scalar_metrics_iter_histogram" and owner:
        events += [
            {"type": "training_stats_scalar", "task": owner, "allow_locked": True, "metric": metric, "variant": variant, "iter": x, "value": y,
             "model_event": models, **({"x_axis_label": curve["x_axis_label"]} if "x_axis_label" in curve else {})}
            for metric, variants in data.items()
            for variant, curve in variants.items()
            for x, y in zip(curve["x"], curve["y"], strict=True)
        ]  # fmt: skip
    if line.endpoint == "events.multi_task_scalar_metrics_iter_histogram":
        events += [
            world.ours({"type": "training_stats_scalar", "task": task, "allow_locked": True, "metric": metric,
                        "variant": variant, "iter": x, "value": y})
            for metric, variants in data["metrics"].items()
            for variant, tasks in variants.items()
            for task, curve in tasks.items()
            for x, y in zip(curve["x"], curve["y"], strict=True)
        ]  # fmt: skip
    if events:
        world.batch(events)


def _events(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "type" in value and "task" in value:
            yield value
        else:
            for item in value.values():
                yield from _events(item)
    elif isinstance(value, list):
        for item in value:
            yield from _events(item)
