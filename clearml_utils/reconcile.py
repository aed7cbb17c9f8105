"""Settles what died silently: afterwards ClearML says of every run what Prefect says.

Evidence that a run is dead although Prefect still calls it running: the process that recorded it held a lock on its
part of the spool, and the operating system dropped that lock; or, for another machine, the task has been silent for
`stale_after` (a live process pings its tasks once a minute). A task run that Prefect never heard of, whose flow run it
knows, died before it could tell.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import prefect

from clearml_utils import links, prefect_api
from clearml_utils.delivery import MARK, OURS, find
from clearml_utils.options import Options
from clearml_utils.pipeline import Graph, Step
from clearml_utils.recorder import Recorder, recorder
from clearml_utils.spool import is_held
from clearml_utils.states import LOST, NEVER, UNKNOWN, Settled, settled, shown, tags

log = logging.getLogger("clearml_utils")
_OPEN = ["created", "queued", "in_progress"]


@dataclass
class Report:
    """What a reconciliation found and did.

    Attributes
    ----------
    adopted
        Parts of the spool that dead processes left, now delivered.
    settled
        ClearML task id by what became of it, e.g. `failed (lost)`.
    created
        Prefect run ids that had no ClearML task and have one now.
    running
        How many tasks are rightly running.
    """

    adopted: int = 0
    settled: dict[str, str] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    running: int = 0


@dataclass(frozen=True)
class _Seen:
    """A ClearML task that looks unfinished, or a controller of late."""

    id: str
    name: str
    run: str
    flow: str
    kind: str
    status: str
    parent: str
    process: str
    silent: timedelta


def reconcile(
    flow_run: str | None = None,
    *,
    stale_after: timedelta = timedelta(minutes=10),
    since: timedelta = timedelta(days=2),
    settle_prefect: bool = True,
) -> Report:
    """Compare Prefect and ClearML, and settle what differs.

    Parameters
    ----------
    flow_run
        Only this flow run and its task runs; default: every unfinished task of ours, and every flow run of late.
    stale_after
        How long a task recorded on another machine may be silent before it counts as dead.
    since
        Flow runs younger than this are also checked for task runs without a ClearML task.
    settle_prefect
        Tell Prefect too about runs that died (state Crashed).

    Raises
    ------
    Unreachable, BadCredentials, NotConfigured
        ClearML cannot be asked.
    """
    rec = recorder()
    _ = rec.connection.session
    report = Report(adopted=rec.sender.adopt())
    seen = _unfinished(rec, flow_run)
    ends = _ends(seen, stale_after, settle_prefect=settle_prefect)
    report.running = sum(task.run not in ends for task in seen)
    over = [task for task in seen if task.run in ends]
    for task in over:
        if task.kind == "task":
            _close(rec, task.run, ends[task.run])
    flows = [flow_run] if flow_run else [*_late(rec, since), *(t.run for t in over if t.kind == "flow")]
    for run in dict.fromkeys(flows):
        if ends.get(run) is not UNKNOWN:  # its graph stays as it was drawn
            unheard = {
                t.run: Step(t.run, t.name, ends[t.run].shown) for t in over if t.kind == "task" and t.flow == run
            }
            report.created += complete(rec, run, ends=ends, unheard=unheard, settle_prefect=settle_prefect)
    for task in over:
        if task.kind == "flow":  # after its graph: ClearML edits the configuration of running tasks only
            _close(rec, task.run, ends[task.run])
        end = ends[task.run]
        report.settled[task.id] = f"{end.status} ({end.reason})" if end.reason else end.status
    rec.flush()
    if rec.unused:
        rec.rest()
    return report


@prefect.flow(name="clearml-reconcile")
def reconcile_flow(stale_after_minutes: float = 10, since_hours: float = 48) -> dict[str, Any]:
    """`reconcile` as a flow, to be scheduled; not recorded itself."""
    report = reconcile(stale_after=timedelta(minutes=stale_after_minutes), since=timedelta(hours=since_hours))
    return {"settled": report.settled, "created": len(report.created), "running": report.running}


def _unfinished(rec: Recorder, flow_run: str | None) -> list[_Seen]:
    found = _ours(rec, status=_OPEN)
    return [task for task in found if flow_run is None or task.flow == flow_run]


def _ours(rec: Recorder, **where: Any) -> Iterable[_Seen]:
    page = 0
    fields = ["id", "name", "status", "type", "parent", "system_tags", "last_update", "hyperparams.properties"]
    while True:
        rows = rec.connection.call(
            "tasks.get_all", system_tags=["__$all", OURS], search_hidden=True, only_fields=fields, page=page,
            page_size=500, order_by=["created", "id"], **where,
        )["tasks"]  # fmt: skip
        yield from (_seen(row) for row in rows)
        if len(rows) < 500:
            return
        page += 1


def _seen(row: Mapping[str, Any]) -> _Seen:
    properties = (row.get("hyperparams") or {}).get("properties") or {}
    value = {name: str(item.get("value") or "") for name, item in properties.items()}
    controller = row.get("type") == "controller"
    run = value.get("prefect_flow_run" if controller else "prefect_task_run") or _first_mark(row)
    parent = row.get("parent")
    return _Seen(
        id=str(row["id"]),
        name=str(row.get("name") or ""),
        run=run,
        flow=value.get("prefect_flow_run") or (run if controller else ""),
        kind="flow" if controller else "task",
        status=str(row["status"]),
        parent=str(parent["id"] if isinstance(parent, Mapping) else parent or ""),
        process=value.get("process", ""),
        silent=_silence(row.get("last_update")),
    )


def _first_mark(row: Mapping[str, Any]) -> str:
    return next((t.removeprefix(MARK) for t in row.get("system_tags") or () if t.startswith(MARK)), "")


def _silence(last_update: Any) -> timedelta:
    if not last_update:
        return timedelta(0)
    when = datetime.fromisoformat(str(last_update))
    return datetime.now(UTC) - (when if when.tzinfo else when.replace(tzinfo=UTC))


def _ends(seen: list[_Seen], stale_after: timedelta, *, settle_prefect: bool) -> dict[str, Settled]:
    """How each of `seen` ended; those that rightly run are left out."""
    flows = prefect_api.flow_runs(t.flow for t in seen if t.flow)
    tasks = prefect_api.task_runs(t.run for t in seen if t.kind == "task")
    ends: dict[str, Settled] = {}
    dead: dict[str, list[str]] = {"flow": [], "task": []}
    for task in seen:
        flow = flows.get(task.flow)
        run = flow if task.kind == "flow" else tasks.get(task.run)
        end = settled(run.state) if run else None
        if end is None and _gone(task, stale_after):
            # a task run killed before it could tell Prefect of itself is known by its flow run only
            end = LOST if flow else UNKNOWN
            if run is not None:
                dead[task.kind].append(task.run)
        elif end is None and run is not None and flow is not None and settled(flow.state) is not None:
            end = LOST
        if end is not None:
            ends[task.run] = end
    if settle_prefect:
        prefect_api.crash(dead["flow"], dead["task"])
    return ends


def _gone(task: _Seen, stale_after: timedelta) -> bool:
    """Whether the process that recorded `task` is dead."""
    host, _, segment = task.process.partition("/")
    if host == socket.gethostname() and segment:
        return not is_held(recorder().options.spool, segment)
    return task.silent > stale_after


def _close(rec: Recorder, run: str, end: Settled) -> None:
    body: dict[str, Any] = {"status": end.status, "reason": end.reason, "message": "settled by reconcile"}
    if tags(end.reason):
        body["tags"] = tags(end.reason)
    rec.add(run, [("close", body)], essential=True)


def _late(rec: Recorder, since: timedelta) -> list[str]:
    """Flow runs whose controllers changed lately."""
    after = (datetime.now(UTC) - since).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return [t.run for t in _ours(rec, type=["controller"], status_changed=[f">={after}"]) if t.run]


def complete(
    rec: Recorder,
    flow_run: str,
    wait: float = 0.0,
    ends: Mapping[str, Settled] | None = None,
    *,
    unheard: Mapping[str, Step] | None = None,
    settle_prefect: bool = False,
) -> list[str]:
    """Give every task run of a flow run its child, and the flow run its graph, from what Prefect knows.

    Parameters
    ----------
    rec
        This process's recorder.
    flow_run
        Prefect's id.
    wait
        Longest time (seconds) to wait for Prefect to know the end of every task run: it hears of them by events. Not 0,
        other processes of this machine have `flush_seconds` to deliver what they recorded of them.
    ends
        Ends of runs that Prefect does not know of, for the graph. Where the flow run's is `LOST`, so are its task runs.
    unheard
        Steps of task runs that ClearML knows of, for the graph: Prefect may never have heard of them.
    settle_prefect
        Tell Prefect of task runs that died with their flow run.

    Returns
    -------
    list of str
        Task runs that had no child.
    """
    runs = _settled_runs(flow_run, wait)
    untold = rec.elsewhere({str(r.id) for r in runs}, rec.options.flush_seconds if wait else 0)
    nested = {str(r.parent_task_run_id): r for r in prefect_api.children_of(flow_run)}
    there = find(rec.connection, [flow_run, *(str(r.id) for r in runs)])
    if flow_run not in there:
        return []
    rec.learned({run: str(task["id"]) for run, task in there.items()})
    died = (ends or {}).get(flow_run) is LOST
    missing = {
        str(r.id): (r, end)
        for r in runs
        if str(r.id) not in there
        and str(r.id) not in nested
        and str(r.id) not in untold
        and (end := settled(r.state) or (_left(r) if died else None))
    }
    context = _context(rec, there[flow_run]["id"])
    for run, end in missing.values():
        _create(rec, run, end, flow_run, context)
    lost = {run: end for run, (r, end) in missing.items() if settled(r.state) is None}
    if settle_prefect:
        prefect_api.crash([], [run for run, end in lost.items() if end is LOST])
    steps = {**(unheard or {}), **{str(r.id): _step(r, nested.get(str(r.id))) for r in runs}}
    seen = rec.graphs.get(flow_run, Graph()).steps  # what ended in this process, Prefect may hear of late
    apart = {str(child.id) for child in nested.values()}
    steps |= {
        run: step for run, step in seen.items() if run not in apart and (run not in steps or steps[run].ended is None)
    }
    for name, end in {**lost, **(ends or {})}.items():
        if name in steps:
            steps[name].status = end.shown
    controller = there[flow_run]
    graph = Graph(steps, {str(child.id): dummy for dummy, child in nested.items()})
    if controller["status"] == "in_progress":
        rec.draw(flow_run, graph)
    elif missing:
        rec.draw(flow_run, graph, closed=_closed(controller))
    return list(missing)


def _left(run: Any) -> Settled:
    """What became of a task run whose flow died before either of them was told of its end."""
    return LOST if run.state is not None and run.state.is_running() else NEVER


def _closed(controller: Mapping[str, Any]) -> dict[str, str] | None:
    """How a controller ended, to be repeated after its graph was changed; None for one that never ran."""
    status = str(controller["status"])
    if status not in {"completed", "failed", "stopped"}:
        return None
    return {
        "status": status,
        "reason": str(controller.get("status_reason") or ""),
        "message": str(controller.get("status_message") or ""),
    }


def _settled_runs(flow_run: str, wait: float) -> list[Any]:
    end = time.monotonic() + wait
    while True:
        runs = prefect_api.task_runs_of(flow_run)
        if all(settled(r.state) is not None for r in runs) or time.monotonic() >= end:
            return runs
        time.sleep(0.1)


def _context(rec: Recorder, controller: str) -> tuple[str, str]:
    """Project and flow name a controller was recorded under."""
    row = rec.connection.call(
        "tasks.get_all", id=[controller], search_hidden=True, only_fields=["hyperparams.properties"]
    )["tasks"][0]
    properties = (row.get("hyperparams") or {}).get("properties") or {}
    value = {name: str(item.get("value") or "") for name, item in properties.items()}
    return value.get("project") or Options.load().project, value.get("prefect_flow", "")


def _create(rec: Recorder, run: Any, end: Settled, flow_run: str, context: tuple[str, str]) -> None:
    body = {
        "name": run.name,
        "type": "data_processing",
        "project": context[0],
        "flow": context[1],
        "parent": flow_run,
        "start": end.reason != "skipped",
        "hyperparams": {
            "properties": {
                "prefect_task_run": str(run.id),
                "prefect_flow_run": flow_run,
                "prefect_name": run.name,
                "prefect_url": links.task_run_url(str(run.id)),
                "upstream": ",".join(_inputs(run)),
            }
        },
    }
    rec.add(str(run.id), [("open", body)], essential=True)
    _close(rec, str(run.id), end)


def _step(run: Any, nested: Any) -> Step:
    state = nested.state if nested is not None else run.state
    return Step(
        run=str(run.id),
        name=nested.name if nested is not None else run.name,
        status=shown(state),
        parents=_inputs(run),
        type="controller" if nested is not None else "data_processing",
        started=run.start_time.timestamp() if run.start_time else None,
        ended=run.end_time.timestamp() if run.end_time else None,
    )


def _inputs(run: Any) -> tuple[str, ...]:
    inputs = run.task_inputs or {}
    return tuple(dict.fromkeys(str(i.id) for group in inputs.values() for i in group if hasattr(i, "id")))
