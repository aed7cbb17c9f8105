"""In what an answer is not as recorded: codes, words, the fields clients read and the values that must agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx

from tests.contract.recorded_world import CUT, HEX, Line, World, was_cut

RECORDED_COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"
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
NEVER = frozenset({"min_iteration", "scroll_id", "timestamp", "@timestamp", "worker", "started_flag"})


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
        skipped = COUNTS if was_cut(recorded.get("data")) or was_cut(line.request) else ()
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
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _same(recorded: Any, ours: Any) -> bool:
    if isinstance(recorded, bool) or isinstance(ours, bool):
        return recorded is ours
    if isinstance(recorded, int | float) and isinstance(ours, int | float):
        return abs(recorded - ours) <= 1e-6 * max(1.0, abs(recorded))
    if isinstance(recorded, dict | list):
        return True
    return bool(recorded == ours)
