"""A server to replay recordings on, and what recorded ids became on it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

HEX = re.compile(r"\b[0-9a-f]{32}\b")
NOBODY = "f" * 32
CUT = re.compile(r"^<\+\d+ (more|chars)>$")
TASK_FIELDS = ("name", "type", "comment", "tags", "system_tags", "hyperparams", "configuration", "script", "container")
ENDS = ("first_value", "min_value", "max_value")


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
        body = {name: like[name] for name in TASK_FIELDS if like.get(name) and not was_cut(like[name])}
        for name in ("project", "parent"):
            if like.get(name):
                body[name] = self._reference(name, like[name])
        if body.get("type") == "report":
            return self._make_report(state, like)
        body = {"name": f"replayed {self.made}", "type": "training"} | body
        task = str(self.call("tasks.create", **body)["id"])
        if like.get("runtime"):
            self.call("tasks.edit", task=task, runtime=like["runtime"], force=True)
        events = metric_events(task, like.get("last_metrics") or {})
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
        events = [event | {"model_event": True} for event in metric_events(model, like.get("last_metrics") or {})]
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
        text = json.dumps(uncut(value))
        return json.loads(HEX.sub(lambda match: self.ids.get(match[0], match[0]), text))

    def theirs(self, text: str) -> str:
        """Put the recorded ids where ours are."""
        back = {mine: recorded for recorded, mine in self.ids.items()}
        return HEX.sub(lambda match: "<company>" if match[0] == self.company else back.get(match[0], match[0]), text)


def metric_events(owner: str, last_metrics: dict[str, Any]) -> list[dict[str, Any]]:
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


def uncut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: uncut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [uncut(item) for item in value if not (isinstance(item, str) and CUT.match(item))]
    return value


def was_cut(value: Any) -> bool:
    return "<+" in json.dumps(value)
