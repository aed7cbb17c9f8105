"""Pipelines: their runs, and the graph of one as its controller tells it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from html import escape
from typing import Any

from markupsafe import Markup

from server.embedded import objects
from server.embedded.auth import COMPANY
from server.embedded.objects import TASK
from server.embedded.query import find
from server.embedded.viewer.read.experiments import project_names

PAGE = 50
DRAWN = 120  # steps that a picture can show
LISTED = 500
NAME = 20  # characters of a name that fit into a box
BOX_W, BOX_H, GAP_X, GAP_Y, EDGE = 190, 46, 46, 16, 8
FINAL = frozenset({"completed", "failed", "stopped", "closed", "published", "aborted"})


@dataclass(frozen=True)
class Step:
    """One step of a pipeline."""

    name: str
    status: str
    parents: tuple[str, ...]
    task: str | None
    seconds: float | None


def runs(db: sqlite3.Connection, page: int, project: str | None = None) -> dict[str, Any]:
    """Read a page of pipeline runs, the newest first."""
    body: dict[str, Any] = {"type": ["controller"], "search_hidden": True, "project": [project] if project else None}
    fields = ["id", "name", "project", "status", "started", "active_duration", "tags"]
    request = body | {"order_by": ["-started"], "page": page, "page_size": PAGE, "only_fields": fields}
    found = find(db, TASK, request, COMPANY).objects
    return {"runs": found, "names": project_names(db, found), "page": page, "more": len(found) == PAGE}


def one(db: sqlite3.Connection, identifier: str) -> dict[str, Any] | None:
    """Read a pipeline run with its graph."""
    task = objects.get(db, TASK, identifier, COMPANY)
    if task is None:
        return None
    steps = read_steps(task)
    return {
        "task": task, "steps": steps[:LISTED], "total": len(steps), "live": task["status"] not in FINAL,
        "picture": draw(steps) if 0 < len(steps) <= DRAWN else None, "counts": _counts(steps),
    }  # fmt: skip


def read_steps(task: dict[str, Any]) -> list[Step]:
    """Read the steps out of the controller's configuration; none where it is not JSON of that shape."""
    item = (task.get("configuration") or {}).get("Pipeline") or {}
    try:
        graph = json.loads(item.get("value") or "{}")
        return [_step(name, node) for name, node in graph.items()]
    except (ValueError, AttributeError, TypeError):
        return []


def _step(name: str, node: dict[str, Any]) -> Step:
    start, end = node.get("job_started"), node.get("job_ended")
    seconds = float(end) - float(start) if start and end else None
    parents = tuple(str(parent) for parent in node.get("parents") or ())
    return Step(name, str(node.get("status") or "pending"), parents, node.get("job_id"), seconds)


def _counts(steps: list[Step]) -> dict[str, int]:
    found: dict[str, int] = {}
    for step in steps:
        found[step.status] = found.get(step.status, 0) + 1
    return dict(sorted(found.items()))


def layers(steps: list[Step]) -> list[list[Step]]:
    """Put every step one layer after the last of its parents; a cycle, which no run has, ends up in the first."""
    known = {step.name for step in steps}
    depth: dict[str, int] = {}
    left = list(steps)
    while left:
        ready = [s for s in left if all(p in depth or p not in known for p in s.parents)] or left
        for step in ready:
            depth[step.name] = max((depth[p] + 1 for p in step.parents if p in depth), default=0)
        left = [s for s in left if s.name not in depth]
    columns: list[list[Step]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for step in steps:
        columns[depth[step.name]].append(step)
    return columns


def draw(steps: list[Step]) -> Markup:
    """Draw the graph from left to right, every step a link to its task."""
    columns = layers(steps)
    place = {
        step.name: (EDGE + i * (BOX_W + GAP_X), EDGE + j * (BOX_H + GAP_Y))
        for i, column in enumerate(columns)
        for j, step in enumerate(column)
    }
    width = EDGE * 2 + len(columns) * (BOX_W + GAP_X) - GAP_X
    height = EDGE * 2 + max(map(len, columns)) * (BOX_H + GAP_Y) - GAP_Y
    parts = [_edge(place[p], place[s.name]) for s in steps for p in s.parents if p in place]
    parts += [_box(step, *place[step.name]) for step in steps]
    head = f'<svg class="graph" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="group" '
    return Markup(head + 'aria-label="Steps of the pipeline">' + "".join(parts) + "</svg>")  # noqa: S704 - escaped in _box


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1, x2, y2 = start[0] + BOX_W, start[1] + BOX_H // 2, end[0], end[1] + BOX_H // 2
    middle = (x1 + x2) // 2
    return f'<path class="edge" d="M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"/>'


def _box(step: Step, x: int, y: int) -> str:
    name = step.name if len(step.name) <= NAME else step.name[: NAME - 1] + "…"
    took = "" if step.seconds is None else f" · {step.seconds:.1f} s"
    inside = (
        f"<title>{escape(step.name)}</title>"
        f'<rect class="step st-{escape(step.status)}" x="{x}" y="{y}" width="{BOX_W}" height="{BOX_H}" rx="6"/>'
        f'<text class="step-name" x="{x + 12}" y="{y + 19}">{escape(name)}</text>'
        f'<text class="step-status" x="{x + 12}" y="{y + 36}">{escape(step.status)}{took}</text>'
    )
    label = escape(f"{step.name}: {step.status}")
    if step.task is None:
        return f'<g role="img" aria-label="{label}">{inside}</g>'
    return f'<a href="/tasks/{escape(step.task)}" aria-label="{label}">{inside}</a>'
