"""The graph of a flow run as ClearML's Pipelines page reads it. Pure: steps in, JSON out.

The page wants the configuration item `Pipeline`: `{step: {parents, status, job_id, job_type, job_started, job_ended,
job_code_section}}`. A step without `parents`, or a cycle, empties the whole graph without a word; so parents that are
not
steps are left out here, and an edge that would close a cycle is dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

STATUSES = ("queued", "pending", "skipped", "cached", "executed", "running", "failed", "aborted", "completed")


@dataclass(slots=True)
class Step:
    """One node: a task run or a nested flow run.

    Attributes
    ----------
    run
        Prefect's id of the run.
    name
        As in Prefect.
    status
        One of `STATUSES`.
    parents
        Task-run ids it takes inputs from.
    started, ended
        Epoch seconds.
    """

    run: str
    name: str
    status: str = "pending"
    parents: tuple[str, ...] = ()
    type: str = "data_processing"
    started: float | None = None
    ended: float | None = None
    section: str = ""


@dataclass
class Graph:
    """Steps of one flow run, in the order they were met.

    Attributes
    ----------
    steps
        By run id.
    nested
        The step of a nested flow run, by its flow-run id: what takes its result names that.
    """

    steps: dict[str, Step] = field(default_factory=dict)
    nested: dict[str, str] = field(default_factory=dict)

    def update(self, step: Step) -> None:
        """Add a step or replace it."""
        self.steps[step.run] = step


def names(steps: Iterable[Step]) -> dict[str, str]:
    """A name for each run, unique within the graph."""
    taken: dict[str, int] = {}
    found: dict[str, str] = {}
    for step in steps:
        count = taken.get(step.name, 0)
        taken[step.name] = count + 1
        found[step.run] = f"{step.name} ({count + 1})" if count else step.name
    return found


def dag(graph: Graph, ids: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """The configuration item's content.

    Parameters
    ----------
    graph
        The steps.
    ids
        ClearML task ids by Prefect run id; a step without one shows no link yet.
    """
    name = names(graph.steps.values())
    order: dict[str, int] = {}
    result: dict[str, dict[str, object]] = {}
    for step in _sorted(graph):
        order[step.run] = len(order)
        parents = [name[p] for p in _parents(graph, step) if p in order and p != step.run]
        result[name[step.run]] = {
            "parents": parents,
            "status": step.status,
            "job_id": ids.get(step.run),
            "job_type": step.type,
            "job_started": step.started,
            "job_ended": step.ended,
            "job_code_section": step.section or None,
            "base_task_id": None,
            "executed": ids.get(step.run) if step.status not in {"pending", "queued", "running"} else None,
        }
    return result


def _parents(graph: Graph, step: Step) -> list[str]:
    return list(dict.fromkeys(graph.nested.get(p, p) for p in step.parents))


def _sorted(graph: Graph) -> list[Step]:
    """Steps with parents first; members of a cycle in the order they were met."""
    done: dict[str, Step] = {}
    left = dict(graph.steps)
    while left:
        ready = [s for s in left.values() if not any(p in left and p != s.run for p in _parents(graph, s))]
        for step in ready or [next(iter(left.values()))]:
            done[step.run] = left.pop(step.run)
    return list(done.values())


def pipeline_hash(graph_dag: Mapping[str, Mapping[str, object]], version: str) -> str:
    """`runtime._pipeline_hash`: without it the page shows every step as pending."""
    shape = {name: step["parents"] for name, step in graph_dag.items()}
    return f"{hashlib.md5(json.dumps(shape, sort_keys=True).encode(), usedforsecurity=False).hexdigest()}:{version}"
