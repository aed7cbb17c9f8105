"""Several experiments, or models, side by side: what differs, metrics with their distance from the first."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.embedded import objects
from server.embedded.auth import COMPANY
from server.embedded.objects import MODEL, TASK
from server.embedded.viewer.read import curves
from server.embedded.viewer.read.task import metrics

MOST = 12  # that fit side by side
ROWS = 400
NUMBER = "metric."  # how names of numbers begin in a model's metadata


@dataclass(frozen=True)
class Row:
    """One line of the comparison: a value for each of the compared, in their order."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """One metric: values in the order of the compared; deltas from the first, None where one is missing."""

    name: str
    values: tuple[float | None, ...]

    @property
    def deltas(self) -> tuple[float | None, ...]:
        """Distance from the first of the compared."""
        base = self.values[0]
        return tuple(None if v is None or base is None else v - base for v in self.values)


def tasks(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Any]:
    """Compare experiments: parameters, code and data that differ, metrics, curves over each other."""
    found = [task for i in dict.fromkeys(ids) if (task := objects.get(db, TASK, i, COMPANY)) is not None][:MOST]
    facts = {
        "Parameters": [_parameters(task) for task in found],
        "Code": [_code(task) for task in found],
        "Data and artifacts": [_artifacts(task) for task in found],
        "Run": [_about(task) for task in found],
    }
    names = [task["name"] for task in found]
    return {
        "compared": found, "sections": _sections(facts), "metrics": _metrics(db, found),
        "charts": curves.of_tasks(db, [task["id"] for task in found], names),
    }  # fmt: skip


def models(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Any]:
    """Compare models: metadata, labels and design that differ, metrics."""
    found = [model for i in dict.fromkeys(ids) if (model := objects.get(db, MODEL, i, COMPANY)) is not None][:MOST]
    facts = {
        "Metadata": [{k: v[:500] for k, v in _metadata(m).items() if not k.startswith(NUMBER)} for m in found],
        "Labels": [{k: str(v) for k, v in (m.get("labels") or {}).items()} for m in found],
        "Model": [
            {"tags": ", ".join(m.get("tags", [])), "framework": m.get("framework", ""), "uri": m.get("uri", "")}
            for m in found
        ],
    }
    makers = [(m["task"], m["name"]) for m in found if m.get("task")]
    charts = curves.of_tasks(db, [task for task, _ in makers], [name for _, name in makers])
    numbers = _metrics(db, found) + _numbers([_metadata(m) for m in found])
    return {"compared": found, "sections": _sections(facts), "metrics": numbers, "charts": charts}


def _metadata(model: Mapping[str, Any]) -> dict[str, str]:
    return {k: str(v.get("value", "")) for k, v in (model.get("metadata") or {}).items()}


def _numbers(columns: Sequence[Mapping[str, str]]) -> list[Metric]:
    """Numbers that a registry keeps in the metadata, as metrics."""
    names = sorted({name for column in columns for name in column if name.startswith(NUMBER)})
    return [Metric(n.removeprefix(NUMBER), tuple(_float(column.get(n)) for column in columns)) for n in names]


def _float(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _sections(facts: Mapping[str, Sequence[Mapping[str, str]]]) -> list[dict[str, Any]]:
    sections = []
    for title, columns in facts.items():
        names = sorted({name for column in columns for name in column})
        rows = [Row(name, tuple(column.get(name, "") for column in columns)) for name in names]
        differ = [row for row in rows if len(set(row.values)) > 1]
        if rows:
            sections.append({"title": title, "differ": differ[:ROWS], "same": len(rows) - len(differ)})
    return sections


def _metrics(db: sqlite3.Connection, found: Sequence[Mapping[str, Any]]) -> list[Metric]:
    columns = [{f"{m['metric']} / {m['variant']}": m["value"] for m in metrics(db, item["id"])} for item in found]
    names = sorted({name for column in columns for name in column})[:ROWS]
    return [Metric(name, tuple(column.get(name) for column in columns)) for name in names]


def _parameters(task: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{section}/{name}": str(item.get("value", ""))[:500]
        for section, items in (task.get("hyperparams") or {}).items()
        if section != "properties"
        for name, item in items.items()
    }


def _code(task: Mapping[str, Any]) -> dict[str, str]:
    script = task.get("script") or {}
    names = ("repository", "branch", "version_num", "entry_point", "working_dir", "binary")
    return {name: str(script[name])[:300] for name in names if script.get(name)}


def _artifacts(task: Mapping[str, Any]) -> dict[str, str]:
    listed = (task.get("execution") or {}).get("artifacts") or []
    found = {item["key"]: str(item.get("hash") or item.get("uri") or "")[:80] for item in listed}
    properties = (task.get("hyperparams") or {}).get("properties") or {}
    return found | {n: str(p.get("value", ""))[:200] for n, p in properties.items() if "hash" in n}


def _about(task: Mapping[str, Any]) -> dict[str, str]:
    return {
        "status": str(task["status"]), "type": str(task["type"]), "tags": ", ".join(task.get("tags", [])),
        "iterations": str(task.get("last_iteration", "")),
    }  # fmt: skip
