"""Model versions, or experiments, side by side: a table, plots, and the same as a ClearML task."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearml_utils import registry
from clearml_utils.connection import Connection
from clearml_utils.delivery import Projects, hyperparams
from clearml_utils.errors import TrackingError


@dataclass(frozen=True)
class Comparison:
    """A table of things by their numbers and texts.

    Attributes
    ----------
    title
        What is compared.
    rows
        Name of each thing, in the order of the table.
    metrics
        Numbers by row and name; a row that has none of a name leaves it out.
    facts
        Texts by row and name.
    differ
        Names of facts that are not the same in all rows.
    """

    title: str
    rows: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, float]]
    facts: Mapping[str, Mapping[str, str]]

    @property
    def metric_names(self) -> list[str]:
        """Every metric some row has."""
        return sorted({name for row in self.rows for name in self.metrics[row]})

    @property
    def differ(self) -> list[str]:
        """Facts in which the rows differ."""
        found = sorted({name for row in self.rows for name in self.facts[row]})
        return [n for n in found if len({self.facts[row].get(n) for row in self.rows}) > 1]

    def table(self) -> list[list[Any]]:
        """Header and rows: name, metrics, facts that differ."""
        names, facts = self.metric_names, self.differ
        body = [
            [row, *(self.metrics[row].get(n, "") for n in names), *(self.facts[row].get(n, "") for n in facts)]
            for row in self.rows
        ]
        return [["name", *names, *facts], *body]

    def to_frame(self) -> Any:
        """`table` as a DataFrame (needs pandas)."""
        import pandas as pd  # noqa: PLC0415 - an optional way to have it

        header, *body = self.table()
        return pd.DataFrame(body, columns=header)

    def figures(self) -> dict[str, dict[str, Any]]:
        """A plotly bar chart for each metric."""
        return {
            name: {
                "data": [
                    {
                        "type": "bar",
                        "x": [r for r in self.rows if name in self.metrics[r]],
                        "y": [self.metrics[r][name] for r in self.rows if name in self.metrics[r]],
                    }
                ],
                "layout": {"title": {"text": name}, "xaxis": {"type": "category"}},
            }
            for name in self.metric_names
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"title": self.title, "rows": [dict(zip(self.table()[0], r, strict=True)) for r in self.table()[1:]]}

    def write_html(self, path: str | Path) -> None:
        """A page with the table and a bar for every number; it loads nothing."""
        header, *body = self.table()
        cells = "".join(f"<tr>{''.join(f'<td>{html.escape(str(c))}</td>' for c in row)}</tr>" for row in body)
        bars = "".join(_bars(name, {r: self.metrics[r][name] for r in self.rows if name in self.metrics[r]})
                       for name in self.metric_names)  # fmt: skip
        head = "".join(f"<th>{html.escape(str(h))}</th>" for h in header)
        Path(path).write_text(
            f"<!doctype html><meta charset=utf-8><title>{html.escape(self.title)}</title>"
            "<style>body{font:14px sans-serif}td,th{padding:4px;border-bottom:1px solid #ccc;text-align:left}</style>"
            f"<h1>{html.escape(self.title)}</h1><table><tr>{head}</tr>{cells}</table>{bars}"
        )

    def record(self, project: str, connection: Connection | None = None) -> str:
        """Store the comparison as a ClearML task with table and plots; its id."""
        call = connection or _shared()
        made = str(
            call.call(
                "tasks.create",
                name=f"compare {self.title}"[:200],
                type="qc",
                project=Projects(call).id(project),
                tags=["comparison"],
                hyperparams=hyperparams({"Args": {"compared": ", ".join(self.rows)}}),
            )["id"]
        )
        call.call("tasks.started", task=made, force=True)
        header, *body = self.table()
        table = {
            "data": [
                {"type": "table", "header": {"values": header}, "cells": {"values": list(zip(*body, strict=True))}}
            ],
            "layout": {},
        }
        plots = {"comparison": table, **self.figures()}
        call.lines(
            "events.add_batch",
            [
                {"type": "plot", "task": made, "metric": name, "variant": "compare", "iter": 0, "timestamp": _now(),
                 "plot_str": json.dumps(plot, default=str)}
                for name, plot in plots.items()
            ],
        )  # fmt: skip
        call.call("tasks.completed", task=made, force=True)
        return made


def compare_models(name: str, project: str, versions: Sequence[int] | None = None) -> Comparison:
    """Versions of a model side by side.

    Parameters
    ----------
    versions
        Which; default: all.
    """
    found = [v for v in registry.versions(name, project) if versions is None or v.version in versions]
    if not found:
        raise TrackingError("there is nothing to compare", where=f"{project}/{name}", hint="Register a version first.")
    label = {v.id: f"v{v.version} ({v.stage})" for v in found}
    return Comparison(
        title=f"{project}/{name}",
        rows=tuple(label.values()),
        metrics={label[v.id]: v.metrics for v in found},
        facts={label[v.id]: {**v.metadata, "stage": v.stage, "created": v.created} for v in found},
    )


def compare_experiments(tasks: Sequence[str], connection: Connection | None = None) -> Comparison:
    """ClearML tasks side by side: last scalars, single values and parameters.

    Parameters
    ----------
    tasks
        ClearML task ids.
    """
    call = connection or _shared()
    rows = call.call(
        "tasks.get_all", id=list(tasks), search_hidden=True, only_fields=["id", "name", "last_metrics", "hyperparams"]
    )["tasks"]
    if not rows:
        raise TrackingError("no such tasks", where=", ".join(tasks))
    order = {task: i for i, task in enumerate(tasks)}
    rows.sort(key=lambda row: order[row["id"]])
    label = {row["id"]: f"{row['name']} {row['id'][:6]}" for row in rows}
    return Comparison(
        title=", ".join(str(row["name"]) for row in rows)[:80],
        rows=tuple(label.values()),
        metrics={label[row["id"]]: _last(row) for row in rows},
        facts={label[row["id"]]: _parameters(row) for row in rows},
    )


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


def _bars(name: str, values: Mapping[str, float]) -> str:
    most = max((abs(v) for v in values.values()), default=0) or 1
    lines = "".join(
        f"<div>{html.escape(row)} <span style='display:inline-block;height:12px;background:#48c;"
        f"width:{300 * abs(v) / most:.0f}px'></span> {v:.6g}</div>"
        for row, v in values.items()
    )
    return f"<h2>{html.escape(name)}</h2>{lines}"


def _now() -> int:
    import time  # noqa: PLC0415 - one use

    return int(time.time() * 1000)


def _shared() -> Connection:
    from clearml_utils.recorder import recorder  # noqa: PLC0415 - as in registry

    return recorder().connection
