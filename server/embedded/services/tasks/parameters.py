"""tasks.* over hyperparameters and configuration objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import TASK
from server.embedded.query.find import find
from server.embedded.services.tasks import status, store


def _several(call: Call, field: str) -> list[dict[str, Any]]:
    ids = store.check_ids(call.db, call.body["tasks"], call.company)
    return find(call.db, TASK, {"id": ids, "only_fields": ["id", field]}, call.company).objects


@endpoint("tasks.get_hyper_params", version="2.9")
def get_hyper_params(call: Call) -> dict[str, Any]:
    """List the hyperparameters of tasks."""
    found = _several(call, "hyperparams")
    params = [
        {
            "task": task["id"],
            "hyperparams": [item for items in task.get("hyperparams", {}).values() for item in items.values()],
        }
        for task in found
    ]
    return {"params": params}


@endpoint("tasks.edit_hyper_params", version="2.9", write=True)
def edit_hyper_params(call: Call) -> dict[str, Any]:
    """Add or replace hyperparameters: all, those of the sections named, or only those named."""
    task = store.find(call.db, call.body["task"], call.company)
    status.require_mutable(task, force=bool(call.body.get("force")) or _only_properties(call.body["hyperparams"]))
    items = call.body["hyperparams"]
    replace = call.body.get("replace_hyperparams") or "none"
    named = {str(item.get("section")) for item in items}
    old = {} if replace == "all" else dict(task.get("hyperparams") or {})
    if replace == "section":
        old = {section: values for section, values in old.items() if section not in named}
    store.save(call, task["id"], {"hyperparams": merged(old, items)})
    return {"updated": 1}


def _only_properties(items: Sequence[Mapping[str, Any]]) -> bool:
    """User properties may be edited while a task runs."""
    return bool(items) and all(item.get("section") == "properties" for item in items)


def merged(old: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put parameter items into their sections."""
    found = {section: dict(values) for section, values in old.items()}
    for item in items:
        if not item.get("section") or not item.get("name"):
            raise fail("missing_required_fields", missing=("section", "name"))
        clean = {key: value for key, value in item.items() if value is not None}
        found.setdefault(str(item["section"]), {})[str(item["name"])] = clean
    return found


@endpoint("tasks.delete_hyper_params", version="2.9", write=True)
def delete_hyper_params(call: Call) -> dict[str, Any]:
    """Delete hyperparameters, or whole sections where no name is given."""
    task = store.find(call.db, call.body["task"], call.company)
    keys = call.body["hyperparams"]
    status.require_mutable(task, force=bool(call.body.get("force")) or _only_properties(keys))
    found = {section: dict(values) for section, values in (task.get("hyperparams") or {}).items()}
    for key in keys:
        section, name = str(key.get("section")), key.get("name")
        if not name:
            found.pop(section, None)
        elif section in found:
            found[section].pop(str(name), None)
    store.save(call, task["id"], {"hyperparams": {section: values for section, values in found.items() if values}})
    return {"deleted": 1}


@endpoint("tasks.get_configurations", version="2.9")
def get_configurations(call: Call) -> dict[str, Any]:
    """List the configuration objects of tasks."""
    names = set(call.body.get("names") or ())
    return {
        "configurations": [
            {
                "task": task["id"],
                "configuration": [i for n, i in task.get("configuration", {}).items() if not names or n in names],
            }
            for task in _several(call, "configuration")
        ]
    }


@endpoint("tasks.get_configuration_names", version="2.9")
def get_configuration_names(call: Call) -> dict[str, Any]:
    """List the names of the configuration objects of tasks."""
    skip = call.body.get("skip_empty", True)
    return {
        "configurations": [
            {
                "task": task["id"],
                "names": sorted(n for n, i in task.get("configuration", {}).items() if i.get("value") or not skip),
            }
            for task in _several(call, "configuration")
        ]
    }


@endpoint("tasks.edit_configuration", version="2.9", write=True)
def edit_configuration(call: Call) -> dict[str, Any]:
    """Add or replace configuration objects."""
    task = store.find(call.db, call.body["task"], call.company)
    status.require_mutable(task, force=bool(call.body.get("force")))
    found = {} if call.body.get("replace_configuration") else dict(task.get("configuration") or {})
    for item in call.body["configuration"]:
        if not item.get("name"):
            raise fail("missing_required_fields", missing=("name",))
        found[str(item["name"])] = {key: value for key, value in item.items() if value is not None}
    store.save(call, task["id"], {"configuration": found})
    return {"updated": 1}


@endpoint("tasks.delete_configuration", version="2.9", write=True)
def delete_configuration(call: Call) -> dict[str, Any]:
    """Delete configuration objects by name."""
    task = store.find(call.db, call.body["task"], call.company)
    status.require_mutable(task, force=bool(call.body.get("force")))
    gone = {str(name) for name in call.body["configuration"]}
    store.save(
        call,
        task["id"],
        {"configuration": {n: i for n, i in (task.get("configuration") or {}).items() if n not in gone}},
    )
    return {"deleted": 1}
