"""What a comparison is made of, read from ClearML: numbers, parameters, data, code and curves of tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearml_utils.connection import Connection

POINTS = 300  # of one curve: what a picture shows
_FIELDS = [
    "id", "name", "parent", "last_metrics", "hyperparams", "configuration", "script", "execution.artifacts", "models",
]  # fmt: skip
_CODE = ("repository", "branch", "version_num", "entry_point", "working_dir", "binary")


@dataclass(frozen=True)
class Source:
    """One task as a comparison sees it.

    Attributes
    ----------
    metrics
        Last values; single values under their own name, others as `title/series`.
    parameters
        `section/name` to value.
    data
        Hashes of artifacts, configuration objects and data; ids of the models it read.
    code
        Repository, revision, entry point, interpreter, and `package NAME` to version.
    text
        The uncommitted source, or changes to source, that it ran; mostly empty.
    """

    name: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    data: Mapping[str, str]
    code: Mapping[str, str]
    text: str


def read_sources(call: Connection, tasks: Sequence[str]) -> dict[str, Source]:
    """Read tasks, in the order asked for; those that are not there are left out.

    A child task of a flow carries no code of its own: it has its controller's.
    """
    rows = _read(call, tasks, _FIELDS)
    above = _read(call, [r["parent"] for r in rows.values() if r.get("parent") and not _told(r)], ["id", "script"])
    return {task: _source(rows[task], above.get(rows[task].get("parent") or "", {})) for task in tasks if task in rows}


def read_curves(
    call: Connection, tasks: Mapping[str, str]
) -> dict[str, dict[str, tuple[Sequence[float], Sequence[float]]]]:
    """Read scalars over iterations: by metric (`title/series`) and row; metrics of one point each are no curves.

    Parameters
    ----------
    tasks
        Row's name to the task's id.
    """
    if not tasks:
        return {}
    ids = sorted(set(tasks.values()))
    said = call.call("events.multi_task_scalar_metrics_iter_histogram", tasks=ids, samples=POINTS, key="iter")
    found: dict[str, dict[str, tuple[Sequence[float], Sequence[float]]]] = {}
    for title, variants in sorted((said.get("metrics") or said).items()):
        for series, by_task in sorted(variants.items()):
            curves = {row: (by_task[t]["x"], by_task[t]["y"]) for row, t in tasks.items() if t in by_task}
            if any(len(x) > 1 for x, _ in curves.values()):
                found[f"{title}/{series}"] = curves
    return found


def _read(call: Connection, tasks: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    if not tasks:
        return {}
    rows = call.call("tasks.get_all", id=list(dict.fromkeys(tasks)), search_hidden=True, only_fields=list(fields))
    return {row["id"]: row for row in rows["tasks"]}


def _told(row: Mapping[str, Any]) -> bool:
    return bool((row.get("script") or {}).get("entry_point"))


def _source(row: Mapping[str, Any], parent: Mapping[str, Any]) -> Source:
    script = (row if _told(row) else parent).get("script") or {}
    return Source(
        name=str(row["name"]), metrics=_last(row), parameters=_parameters(row), data=_data(row), code=_code(script),
        text=str(script.get("diff") or ""),
    )  # fmt: skip


def _last(row: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for variants in (row.get("last_metrics") or {}).values():
        for item in variants.values():
            name = item["variant"] if item["metric"] == "Summary" else f"{item['metric']}/{item['variant']}"
            found[name] = float(item["value"])
    return found


def _parameters(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{section}/{name}": str(item.get("value"))
        for section, items in (row.get("hyperparams") or {}).items()
        if section != "properties"
        for name, item in items.items()
    }


def _data(row: Mapping[str, Any]) -> dict[str, str]:
    listed = (row.get("execution") or {}).get("artifacts") or []
    found = {f"artifact {item['key']}": str(item.get("hash") or item.get("uri") or "") for item in listed}
    for name, item in ((row.get("hyperparams") or {}).get("properties") or {}).items():
        if "hash" in name or "snapshot" in name:
            found[name] = str(item.get("value") or "")
    for name, item in (row.get("configuration") or {}).items():
        if name != "Pipeline":  # the graph of a run: its times differ always
            digest = hashlib.sha256(str(item.get("value") or "").encode()).hexdigest()[:16]
            found[f"configuration {name}"] = digest
    for item in (row.get("models") or {}).get("input") or []:
        found[f"input model {item.get('name') or ''}".strip()] = str(item.get("model") or "")
    return found


def _code(script: Mapping[str, Any]) -> dict[str, str]:
    found = {name: str(script[name]) for name in _CODE if script.get(name)}
    requirements = script.get("requirements") or {}
    listed = requirements.get("pip") if isinstance(requirements, Mapping) else ""
    lines = listed if isinstance(listed, list) else str(listed or "").splitlines()
    for line in lines:
        name, equals, version = str(line).partition("==")
        if equals:
            found[f"package {name.strip()}"] = version.strip()
    return found
