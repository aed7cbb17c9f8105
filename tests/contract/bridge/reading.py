"""What ClearML says of Prefect runs, read back over its API."""

from __future__ import annotations

import json
from typing import Any

from clearml_utils.connection import Connection


class Reader:
    """Reads what a test's runs became."""

    def __init__(self) -> None:
        self.connection = Connection()

    def tasks(self, **where: Any) -> list[dict[str, Any]]:
        """Tasks, the oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.connection.call(
                "tasks.get_all", search_hidden=True, order_by=["created", "id"], page=len(found) // 500, page_size=500,
                **where,
            )["tasks"]  # fmt: skip
            found += page
            if len(page) < 500:
                return found

    def of(self, run: Any) -> dict[str, Any]:
        """The one task of a Prefect run."""
        found = self.tasks(system_tags=["__$all", f"prefect:{run}"])
        assert len(found) == 1, [t["name"] for t in found]
        return found[0]

    def children(self, flow_run: Any) -> list[dict[str, Any]]:
        """Children of a flow run's controller."""
        return self.tasks(parent=self.of(flow_run)["id"])

    def graph(self, flow_run: Any) -> dict[str, dict[str, Any]]:
        """The graph of the Pipelines page."""
        return json.loads(self.of(flow_run)["configuration"]["Pipeline"]["value"])

    def log(self, task: dict[str, Any]) -> list[str]:
        """Console lines, the oldest first."""
        got = self.connection.call("events.get_task_log", task=task["id"], batch_size=500, order="asc")["events"]
        return [e["msg"] for e in sorted(got, key=lambda e: e["timestamp"])]

    def scalars(self, task: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Curves by title and series."""
        return self.connection.call("events.scalar_metrics_iter_histogram", task=task["id"])

    def values(self, task: dict[str, Any]) -> dict[str, float]:
        """Single values by name."""
        got = self.connection.call("events.get_task_single_value_metrics", tasks=[task["id"]])["tasks"]
        return {v["variant"]: v["value"] for t in got for v in t["values"]}

    def plots(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        """Plot events."""
        return self.connection.call("events.get_task_plots", task=task["id"], iters=10)["plots"]

    def artifacts(self, task: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Artifacts by key."""
        return {a["key"]: a for a in (task.get("execution") or {}).get("artifacts") or []}


def properties(task: dict[str, Any]) -> dict[str, str]:
    """User properties of a task."""
    return {n: p["value"] for n, p in task["hyperparams"].get("properties", {}).items()}


def parameters(task: dict[str, Any]) -> dict[str, str]:
    """Recorded arguments of a task."""
    return {n: p["value"] for n, p in task["hyperparams"].get("Args", {}).items()}


def everything(reader: Reader, task: dict[str, Any]) -> str:
    """All of a task's record as one text, to look for what must not be in it."""
    parts = [task, reader.log(task), reader.scalars(task), reader.plots(task)]
    return json.dumps(parts, default=str, ensure_ascii=False)
