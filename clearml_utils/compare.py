"""Model versions, or experiments, side by side: numbers with their distance, curves, what differs in data and code.

`compare_models` and `compare_experiments` read from ClearML. A `Comparison` is plain data: it writes itself as a table,
as a page (`comparison_page`), and as a ClearML task.

A metric has a confidence interval where two others are named after it, `NAME_low` and `NAME_high`.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clearml_utils import comparison_page, registry
from clearml_utils.comparison_sources import Source, read_curves, read_sources
from clearml_utils.connection import Connection
from clearml_utils.errors import TrackingError
from clearml_utils.forms import hyperparams
from clearml_utils.projects import Projects

Texts = Mapping[str, Mapping[str, str]]
Curve = tuple[Sequence[float], Sequence[float]]
LOW, HIGH = "_low", "_high"


@dataclass(frozen=True)
class Delta:
    """Distance of a number from the first row's.

    Attributes
    ----------
    value
        This row's minus the first row's.
    low, high
        Ends of its confidence interval as if both were measured on different answers (the widths add in squares); None
        where one of the two has no interval. On the same answers the true interval is narrower.
    """

    value: float
    low: float | None = None
    high: float | None = None


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
        Parameters, or a model's metadata, by row and name.
    data, code
        Hashes of what was read and made, and revision, entry point and packages, by row and name.
    curves
        By metric and row: iterations and values.
    diffs
        By row: how its uncommitted source differs from the first row's, as a unified diff; rows without are left out.
    kind
        `experiments` or `models`.
    ids
        ClearML's id of each row.
    """

    title: str
    rows: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, float]]
    facts: Texts
    data: Texts = field(default_factory=dict)
    code: Texts = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    diffs: Mapping[str, str] = field(default_factory=dict)
    kind: str = "experiments"
    ids: tuple[str, ...] = ()

    @property
    def metric_names(self) -> list[str]:
        """Every metric some row has."""
        return sorted({name for row in self.rows for name in self.metrics[row]})

    @property
    def shown_metrics(self) -> list[str]:
        """Every metric but those that are ends of another's interval."""
        names = self.metric_names
        ends = {n + end for n in names if {n + LOW, n + HIGH} <= set(names) for end in (LOW, HIGH)}
        return [name for name in names if name not in ends]

    @property
    def differ(self) -> list[str]:
        """Facts in which the rows differ."""
        return self._differing(self.facts)

    @property
    def sections(self) -> dict[str, dict[str, list[str]]]:
        """What differs, by section and name: the texts in the order of the rows; sections without any are left out."""
        own = {"Parameters" if self.kind == "experiments" else "Metadata": self.facts, "Data": self.data}
        found = {
            title: {n: [t.get(row, {}).get(n, "") for row in self.rows] for n in self._differing(t)}
            for title, t in (own | {"Code": self.code}).items()
        }
        return {title: rows for title, rows in found.items() if rows}

    def _differing(self, texts: Texts) -> list[str]:
        # a row that tells nothing of its code has no other code: it was not recorded
        told = [row for row in self.rows if texts is not self.code or texts.get(row)]
        found = sorted({name for row in told for name in texts.get(row, {})})
        return [n for n in found if len({texts.get(row, {}).get(n) for row in told}) > 1]

    def interval(self, row: str, name: str) -> tuple[float, float] | None:
        """Confidence interval of a number, None where it has none."""
        found = self.metrics[row]
        low, high = found.get(name + LOW), found.get(name + HIGH)
        return None if low is None or high is None else (low, high)

    def delta(self, row: str, name: str) -> Delta | None:
        """Distance of a number from the first row's; None for the first row and where one of the two is missing."""
        first = self.rows[0]
        here, base = self.metrics[row].get(name), self.metrics[first].get(name)
        if row == first or here is None or base is None:
            return None
        mine, theirs = self.interval(row, name), self.interval(first, name)
        if mine is None or theirs is None:
            return Delta(here - base)
        down = math.hypot(here - mine[0], theirs[1] - base)
        up = math.hypot(mine[1] - here, base - theirs[0])
        return Delta(here - base, here - base - down, here - base + up)

    def link(self, web: str) -> str:
        """Address of the same comparison in ClearML's web app at `web`."""
        page, end = ("compare-tasks", "") if self.kind == "experiments" else ("compare-models", "/models-details")
        return f"{web.rstrip('/')}/projects/*/{page};ids={','.join(self.ids)}{end}"

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
        """A plotly bar chart for each metric, with its intervals; a chart of lines over each other for each curve."""
        bars = {name: self._bar(name) for name in self.shown_metrics}
        lines = {
            f"{name} by iteration": {
                "data": [
                    {"type": "scatter", "mode": "lines", "name": row, "x": list(x), "y": list(y)}
                    for row, (x, y) in curves.items()
                ],
                "layout": {"title": name, "xaxis": {"title": "iteration"}},
            }
            for name, curves in self.curves.items()
        }
        return bars | lines

    def _bar(self, name: str) -> dict[str, Any]:
        rows = [row for row in self.rows if name in self.metrics[row]]
        values = [self.metrics[row][name] for row in rows]
        bar: dict[str, Any] = {"type": "bar", "x": rows, "y": values}
        spans = [self.interval(row, name) for row in rows]
        if any(spans):
            ends = [span or (value, value) for span, value in zip(spans, values, strict=True)]
            bar["error_y"] = {
                "type": "data", "symmetric": False,
                "array": [high - v for (_, high), v in zip(ends, values, strict=True)],
                "arrayminus": [v - low for (low, _), v in zip(ends, values, strict=True)],
            }  # fmt: skip
        return {"data": [bar], "layout": {"title": name, "xaxis": {"type": "category"}}}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        header, *body = self.table()
        return {
            "title": self.title, "kind": self.kind, "ids": list(self.ids),
            "rows": [dict(zip(header, row, strict=True)) for row in body],
            "deltas": self._by_metric(self.delta), "intervals": self._by_metric(self.interval),
            "differ": {title: dict(rows) for title, rows in self.sections.items()}, "diffs": dict(self.diffs),
            "curves": {n: {r: [list(x), list(y)] for r, (x, y) in c.items()} for n, c in self.curves.items()},
        }  # fmt: skip

    def _by_metric(self, of: Any) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name in self.shown_metrics:
            for row in self.rows:
                value = of(row, name)
                if value is not None:
                    found.setdefault(name, {})[row] = vars(value) if isinstance(value, Delta) else list(value)
        return found

    def write_html(self, path: str | Path, link: str = "") -> None:
        """A page with table, bars, curves over each other and what differs; it loads nothing.

        Parameters
        ----------
        link
            Address of the same comparison in ClearML, shown at its top.
        """
        Path(path).write_text(comparison_page.page(self, link))

    def record(self, project: str, connection: Connection | None = None) -> str:
        """Store the comparison as a ClearML task: table, bars, curves, what differs; its id."""
        call = connection or _shared()
        diffs = {f"source of {row}": text for row, text in self.diffs.items()}
        made = str(
            call.call(
                "tasks.create",
                name=f"compare {self.title}"[:200],
                type="qc",
                project=Projects(call).id(project),
                tags=["comparison"],
                hyperparams=hyperparams({"Args": {"compared": ", ".join(self.rows), "ids": ", ".join(self.ids)}}),
                configuration={n: {"name": n, "type": "diff", "description": "", "value": v} for n, v in diffs.items()},
            )["id"]
        )
        call.call("tasks.started", task=made, force=True)
        header, *body = self.table()
        plots = {"comparison": _plotly_table("comparison", header, body)} | self.figures()
        for title, rows in self.sections.items():
            if title not in {"Parameters", "Metadata"}:  # those are in the table above
                plots[f"{title} that differs"] = _plotly_table(
                    title, ["name", *self.rows], [[n, *v] for n, v in rows.items()]
                )
        now = int(time.time() * 1000)
        call.lines(
            "events.add_batch",
            [
                {"type": "plot", "task": made, "metric": name, "variant": "compare", "iter": 0, "timestamp": now,
                 "plot_str": json.dumps(plot, default=str)}
                for name, plot in plots.items()
            ],
        )  # fmt: skip
        call.call("tasks.completed", task=made, force=True)
        return made


def compare_models(name: str, project: str, versions: Sequence[int] | None = None) -> Comparison:
    """Versions of a model side by side; data, code and curves are those of the tasks that made them.

    Parameters
    ----------
    versions
        Which; default: all.

    Raises
    ------
    TrackingError
        No such version, or ClearML does not answer.
    """
    known = {v.version: v for v in registry.versions(name, project)}
    lost = sorted(set(versions or ()) - known.keys())
    if known and lost:
        listed = ", ".join(map(str, known))
        raise TrackingError(
            f"there is no version {', '.join(map(str, lost))}", where=f"{project}/{name}", hint=f"There are {listed}."
        )
    found = [known[number] for number in dict.fromkeys(versions or known)]
    if not found:
        raise TrackingError("there is nothing to compare", where=f"{project}/{name}", hint="Register a version first.")
    label = {v.id: f"v{v.version} ({v.stage})" for v in found}
    call = _shared()
    made = read_sources(call, [v.task_id for v in found if v.task_id])
    sources = {label[v.id]: made[v.task_id] for v in found if v.task_id in made}
    tasks = {label[v.id]: v.task_id for v in found if v.task_id in made}
    return Comparison(
        title=f"{project}/{name}",
        rows=tuple(label.values()),
        metrics={label[v.id]: v.metrics for v in found},
        facts={label[v.id]: {**v.metadata, "stage": v.stage, "created": v.created} for v in found},
        data={row: source.data for row, source in sources.items()},
        code={row: source.code for row, source in sources.items()},
        curves=read_curves(call, tasks),
        diffs=_diffs([(row, sources[row]) for row in label.values() if row in sources]),
        kind="models",
        ids=tuple(label),
    )


def compare_experiments(tasks: Sequence[str], connection: Connection | None = None) -> Comparison:
    """ClearML tasks side by side: last scalars, single values, curves, parameters, data and code.

    Parameters
    ----------
    tasks
        ClearML task ids.

    Raises
    ------
    TrackingError
        One of them is not there, or ClearML does not answer.
    """
    call = connection or _shared()
    sources = read_sources(call, tasks)
    lost = [task for task in tasks if task not in sources]
    if lost or not tasks:
        raise TrackingError("no such tasks", where=", ".join(lost))
    label = {task: f"{sources[task].name} {task[:6]}" for task in dict.fromkeys(tasks)}
    return Comparison(
        title=", ".join(source.name for source in sources.values())[:80],
        rows=tuple(label.values()),
        metrics={label[task]: sources[task].metrics for task in label},
        facts={label[task]: sources[task].parameters for task in label},
        data={label[task]: sources[task].data for task in label},
        code={label[task]: sources[task].code for task in label},
        curves=read_curves(call, {row: task for task, row in label.items()}),
        diffs=_diffs([(label[task], sources[task]) for task in label]),
        ids=tuple(label),
    )


def newest_experiments(named: str, project: str, count: int = 3, connection: Connection | None = None) -> list[str]:
    """Ids of the newest completed experiments of a project, and of those below it, whose names begin so; newest first.

    Raises
    ------
    TrackingError
        There are not two of them, or ClearML does not answer.
    """
    call = connection or _shared()
    below = call.call("projects.get_all", name=f"^{re.escape(project)}(/.*)?$", search_hidden=True, only_fields=["id"])[
        "projects"
    ]
    rows = call.call(
        "tasks.get_all", project=[row["id"] for row in below] or [""], name=f"^{re.escape(named)}", search_hidden=True,
        status=["completed", "published"], order_by=["-created"], page=0, page_size=count, only_fields=["id"],
    )["tasks"]  # fmt: skip
    if len(rows) < 2:
        raise TrackingError(
            f"there are not two completed experiments named {named}...", where=project, hint="Is the name spelt so?"
        )
    return [row["id"] for row in rows]


def _diffs(sources: Sequence[tuple[str, Source]]) -> dict[str, str]:
    if not sources:
        return {}
    first, base = sources[0]
    found = {}
    for row, source in sources[1:]:
        lines = difflib.unified_diff(base.text.splitlines(), source.text.splitlines(), first, row, lineterm="", n=2)
        text = "\n".join(lines)
        if text:
            found[row] = text
    return found


def _plotly_table(title: str, header: Sequence[str], body: Sequence[Sequence[Any]]) -> dict[str, Any]:
    cells = list(zip(*body, strict=True))
    return {
        "data": [{"type": "table", "header": {"values": header}, "cells": {"values": cells}}],
        "layout": {"title": title},
    }


def _shared() -> Connection:
    from clearml_utils.recorder import recorder  # noqa: PLC0415 - as in registry

    return recorder().connection
