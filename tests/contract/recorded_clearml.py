"""Replay recorded calls of the official server: objects are made as the calls need them, ids mapped, answers compared.

A recording names tasks, models, queues and projects that only the recorded server had. Before a call is replayed, every id
in it that is not known yet gets an object of the same kind here, in the state that the recording shows or implies.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.contract.recorded_compare import differences
from tests.contract.recorded_world import HEX, NOBODY, Line, World, lines, was_cut

__all__ = ["Line", "World", "differences", "lines", "replay"]
STATES = ("created", "in_progress", "stopped", "completed", "failed", "published", "queued")
IN_CASE = re.compile(rf" on ({'|'.join(STATES)})$")
SERVICE_KINDS = {"tasks": "task", "models": "model", "queues": "queue", "projects": "project", "reports": "report",
                 "pipelines": "task", "events": "task", "workers": "queue"}  # fmt: skip
FIELD_KINDS = {
    "task": "task", "tasks": "task", "parent": "task", "new_task_parent": "task", "model": "model", "models": "model",
    "project": "project", "projects": "project", "new_task_project": "project", "destination_project": "project",
    "queue": "queue", "queues": "queue", "queue_ids": "queue",
}  # fmt: skip
REFERENCES = {"company", "user", "project", "parent", "task", "entries.task"}


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
        if isinstance(body, dict) and was_cut(body.get("only_fields")):
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
