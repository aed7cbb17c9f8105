"""reports.get_task_data: the tasks a chart is about, and what they reported, in one call."""

from __future__ import annotations

from typing import Any

from server.embedded.endpoints import Call, endpoint
from server.embedded.objects import MODEL, TASK
from server.embedded.query import find
from server.embedded.query.filters import Where
from server.embedded.services.events import samples, scalars
from server.embedded.services.projects import store as projects

MOST = 100  # tasks one chart may be about


@endpoint("reports.get_task_data", version="2.23")
def get_task_data(call: Call) -> dict[str, Any]:
    """Give tasks, or models, and those of their plots, samples, curves and single values that were asked for."""
    body = call.body
    models = body.get("model_events", False)
    query = {key: value for key, value in body.items() if key not in _PARTS} | {
        "page": 0,
        "page_size": max(1, min(body.get("size") or MOST, MOST)),
    }
    query.pop("size", None)
    if body.get("include_subprojects") and body.get("project"):
        asked = [body["project"]] if isinstance(body["project"], str) else [str(item) for item in body["project"]]
        query["project"] = projects.with_children(call.db, asked)
    where = Where()
    if body.get("allow_public") is False:
        where.add(f"{'model' if models else 'task'}.company = ?", call.company)
    fields = list(dict.fromkeys(["id", "name", *(body.get("only_fields") or [])]))
    kind = MODEL if models else TASK
    query["only_fields"] = fields if body.get("only_fields") else None
    found = find(call.db, kind, query, call.company, extra=where, expanded=True).objects
    names = {item["id"]: item["name"] for item in found}
    answer: dict[str, Any] = {"tasks": found}
    for part, read in _PARTS.items():
        if isinstance(body.get(part), dict) and read is not None:
            answer[part] = read(call, names, body[part])
    return answer


def _plots(call: Call, names: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    found = samples.latest(
        samples.places(call.db, samples.PLOT, list(names), asked.get("metrics")),
        max(1, asked.get("iters") or 1),
        per_task=asked.get("last_iters_per_task_metric") is False,
    )
    return samples.plots_tree(call, names, found)


def _images(call: Call, names: dict[str, str], asked: dict[str, Any]) -> list[dict[str, Any]]:
    shown = []
    for task in names:
        found = samples.places(call.db, samples.IMAGE, [task], asked.get("metrics"))
        picked = samples.next_window(found, None, max(1, asked.get("iters") or 1))
        events = samples.events_at(call.db, samples.IMAGE, picked)
        shown.append({"task": task, "iterations": samples.by_iteration(events)})
    return shown


_PARTS: dict[str, Any] = {
    "plots": _plots,
    "debug_images": _images,
    "scalar_metrics_iter_histogram": scalars.curves_of_tasks,
    "single_value_metrics": scalars.single_values_of,
    "model_events": None,
    "include_subprojects": None,
    "allow_public": None,
}
