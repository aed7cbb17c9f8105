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
TEXT, SHOWN = 20_000, 2_000  # characters of a text whose lines are compared, and of what is shown of it
VERSIONS = ("registry.version", "version")  # names of the metadata that number a model
NUMBER = "metric."  # how names of numbers begin in a model's metadata
LOW, HIGH = "_low", "_high"  # a metric has an interval where two others are named after it


@dataclass(frozen=True)
class Row:
    """One line of the comparison: a value for each of the compared, in their order."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """One metric: values in the order of the compared; deltas from the first, None where one is missing.

    Attributes
    ----------
    spans
        Confidence interval of each value, None where it has none.
    """

    name: str
    values: tuple[float | None, ...]
    spans: tuple[tuple[float, float] | None, ...]

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
        "compared": found, "heads": names, "sections": _sections(facts), "metrics": table(columns(db, found)),
        "charts": curves.of_tasks(db, [task["id"] for task in found], names),
    }  # fmt: skip


def models(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Any]:
    """Compare models: metadata, labels and design that differ, metrics."""
    found = [model for i in dict.fromkeys(ids) if (model := objects.get(db, MODEL, i, COMPANY)) is not None][:MOST]
    facts = {
        "Metadata": [{k: v[:TEXT] for k, v in metadata(m).items() if not k.startswith(NUMBER)} for m in found],
        "Labels": [{k: str(v) for k, v in (m.get("labels") or {}).items()} for m in found],
        "Model": [
            {"tags": ", ".join(m.get("tags", [])), "framework": m.get("framework", ""), "uri": m.get("uri", "")}
            for m in found
        ],
    }
    heads = [head(model) for model in found]
    makers = [(m["task"], head) for m, head in zip(found, heads, strict=True) if m.get("task")]
    charts = curves.of_tasks(db, [task for task, _ in makers], [head for _, head in makers])
    told = [own | numbers(metadata(m)) for own, m in zip(columns(db, found), found, strict=True)]
    return {
        "compared": found, "heads": heads, "sections": _sections(facts), "metrics": table(told), "charts": charts,
    }  # fmt: skip


def head(model: Mapping[str, Any]) -> str:
    """Name a model by its version, where the registry numbers them: the names are the same."""
    number = version(metadata(model))
    return f"{model['name']} v{number}" if number else str(model["name"])


def version(texts: Mapping[str, str]) -> str:
    """Read the number that a registry gave a model; empty where there is none."""
    return next((texts[name] for name in VERSIONS if name in texts), "")


def metadata(model: Mapping[str, Any]) -> dict[str, str]:
    """Texts of a model's metadata."""
    return {k: str(v.get("value", "")) for k, v in (model.get("metadata") or {}).items()}


def numbers(texts: Mapping[str, str]) -> dict[str, float]:
    """Numbers that a registry keeps in the metadata, as metrics."""
    found = {n.removeprefix(NUMBER): _float(text) for n, text in texts.items() if n.startswith(NUMBER)}
    return {name: value for name, value in found.items() if value is not None}


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _sections(facts: Mapping[str, Sequence[Mapping[str, str]]]) -> list[dict[str, Any]]:
    sections = []
    for title, columns in facts.items():
        names = sorted({name for column in columns for name in column})
        rows = [Row(name, tuple(column.get(name, "") for column in columns)) for name in names]
        differ = [Row(row.name, own_lines(row.values)) for row in rows if len(set(row.values)) > 1]
        if rows:
            sections.append({"title": title, "differ": differ[:ROWS], "same": len(rows) - len(differ)})
    return sections


def own_lines(texts: Sequence[str]) -> tuple[str, ...]:
    """Leave of long texts only the lines that not all of them have."""
    if not all(text.count("\n") for text in texts if text):
        return tuple(text[:SHOWN] for text in texts)
    common = set.intersection(*(set(text.splitlines()) for text in texts))
    return tuple("\n".join(line for line in text.splitlines() if line not in common)[:SHOWN] for text in texts)


def columns(db: sqlite3.Connection, found: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Metrics of each of the compared; single values, which have no variants, under their own name."""
    return [
        {m["variant"] if m["metric"] == "Summary" else f"{m['metric']} / {m['variant']}": m["value"] for m in rows}
        for rows in (metrics(db, item["id"]) for item in found)
    ]


def table(told: Sequence[Mapping[str, float]]) -> list[Metric]:
    """Put metrics side by side; the ends of an interval stand beside the metric they belong to."""
    names = sorted({name for column in told for name in column})
    ends = {n + end for n in names if {n + LOW, n + HIGH} <= set(names) for end in (LOW, HIGH)}
    return [
        Metric(name, tuple(column.get(name) for column in told), tuple(_span(column, name) for column in told))
        for name in names
        if name not in ends
    ][:ROWS]


def _span(column: Mapping[str, float], name: str) -> tuple[float, float] | None:
    low, high = column.get(name + LOW), column.get(name + HIGH)
    return None if low is None or high is None else (low, high)


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
