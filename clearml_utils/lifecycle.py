"""What happens to a ClearML record when a Prefect run begins, ends an attempt, or reaches its final state.

Prefect's own truth comes from two sides: the wrapper around the function sees every attempt, its arguments, its result
and its exception; the state hooks see the final state, also where the function is never called (cached). What neither
sees (a SIGKILL, an upstream that failed) is the reconciler's.
"""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prefect.context import FlowRunContext, TaskRunContext

from clearml_utils import links, parameters, prefect_api
from clearml_utils.environment import script
from clearml_utils.errors import TrackingError
from clearml_utils.logs import listen
from clearml_utils.pipeline import Graph, Step
from clearml_utils.record import NULL, Capture, Record
from clearml_utils.recorder import Recorder, recorder
from clearml_utils.states import LOST, settled, tags

log = logging.getLogger("clearml_utils")
CURRENT: ContextVar[str] = ContextVar("clearml_utils_run", default="")
FLOW: ContextVar[str] = ContextVar("clearml_utils_flow_run", default="")
T = TypeVar("T")
META = "__clearml_utils__"
_IN_PROCESS = {"ThreadPoolTaskRunner", "ConcurrentTaskRunner", "SequentialTaskRunner"}
_SETTLE_SECONDS = 8.0


@dataclass(frozen=True)
class Meta:
    """How a decorated function is to be recorded; it travels with the function, also to other processes."""

    what: str
    function: str
    project: str | None = None
    capture: Capture | None = None
    strict: bool = False
    task_type: str = "data_processing"
    secrets: frozenset[str] = field(default=frozenset())


def current_record() -> Record:
    """The record of the run this code is in.

    Returns
    -------
    Record
        Outside a tracked run, or where recording is off, a record that takes everything, keeps nothing and is false:
        `if current_record(): ...` asks whether there is one.
    """
    return recorder().live.get(CURRENT.get(), NULL) if CURRENT.get() else NULL


def meta_of(thing: Any) -> Meta | None:
    """The `Meta` of a decorated flow or task, None of a plain one."""
    return getattr(getattr(thing, "fn", None), META, None)


class Attempt:
    """One call of a tracked function: as a context manager it makes its record current."""

    def __init__(self, record: Record, finish: Callable[[Record, str, BaseException | None], None]) -> None:
        self.record = record
        self._finish = finish
        self._tokens: list[tuple[ContextVar[str], Token[str]]] = []
        self._result: Any = None
        self._returned = False

    def enter(self, flow: str | None = None) -> Attempt:
        """Make the record current; `flow` where the run is a flow's."""
        self._tokens = [(CURRENT, CURRENT.set(self.record.run))]
        if flow:
            self._tokens.append((FLOW, FLOW.set(flow)))
        return self

    def returned(self, value: Any) -> None:
        """The function's result."""
        self.record.result(value)

    def leave(self, error: BaseException | None) -> None:
        """The function is done, well or not."""
        for var, token in reversed(self._tokens):
            try:
                var.reset(token)
            except ValueError:  # a generator closed in another context: there is nothing to restore there
                continue
        self._finish(self.record, "" if error is None else type(error).__name__, error)


def safely(meta: Meta, make: Callable[[], T]) -> T | None:
    """Do a piece of tracking; its failure is the flow's only where the flow is strict."""
    try:
        return make()
    except TrackingError:
        if meta.strict:
            raise
        log.exception("clearml_utils: %s is not recorded", meta.function)
    except Exception as error:
        if meta.strict:
            raise TrackingError(f"{meta.function} could not be recorded: {error!r}") from error
        log.exception("clearml_utils: %s is not recorded", meta.function)
    return None


# Tasks


def begin_task(meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attempt | None:
    """Begin an attempt of a task run; None where this is not one, or nothing is recorded."""
    context = TaskRunContext.get()
    rec = recorder()
    if context is None or meta_of(context.task) != meta or not rec.on:
        return None
    return safely(meta, lambda: _begin_task(rec, meta, fn, args, kwargs, context))


def _begin_task(
    rec: Recorder, meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any
) -> Attempt:
    run = str(context.task_run.id)
    record = rec.live.get(run)
    if record is None:
        record = _open_task(rec, meta, context.task_run, parameters.bound(fn, args, kwargs))
    record.attempts += 1
    if record.attempts > 1:
        record.text(f"attempt {record.attempts} begins")
    return Attempt(record, lambda r, name, error: _task_attempt_over(rec, r, name, error)).enter()


def _open_task(rec: Recorder, meta: Meta, task_run: Any, values: dict[str, Any]) -> Record:
    listen()
    flow_context = FlowRunContext.get()
    flow_meta = meta_of(flow_context.flow) if flow_context else None
    policy: Capture = meta.capture or (flow_meta.capture if flow_meta else None) or "full"
    record = Record(rec, str(task_run.id), policy=policy, strict=meta.strict)
    upstream = _upstream(task_run)
    flow_run = str(task_run.flow_run_id) if task_run.flow_run_id and flow_meta else ""
    record.extra = {}
    body = {
        "name": task_run.name,
        "type": meta.task_type,
        "project": meta.project or (flow_meta.project if flow_meta else None) or rec.options.project,
        "flow": flow_context.flow.name if flow_context and flow_context.flow else "",
        "parent": flow_run or None,
        "tags": sorted(task_run.tags or ()),
        "hyperparams": {
            "Args": parameters.recorded(values, policy, rec.redactor, meta.secrets),
            "properties": {
                "prefect_task_run": run_id(task_run),
                "prefect_flow_run": str(task_run.flow_run_id or ""),
                "prefect_name": task_run.name,
                "prefect_url": links.task_run_url(run_id(task_run)),
                "upstream": ",".join(upstream),
                "capture": policy,
            },
        },
    }
    rec.open(record, body)
    rec.step(
        str(task_run.flow_run_id),
        Step(record.run, task_run.name, "running", upstream, meta.task_type, record.started, None, meta.function),
    )
    return record


def _task_attempt_over(rec: Recorder, record: Record, name: str, error: BaseException | None) -> None:
    if error is None:
        record.outcome = {"status": "completed", "reason": "", "message": ""}
        return
    say_error(record, error, f"attempt {record.attempts} raised {name}")
    record.outcome = {"status": "failed", "reason": name, "message": message_of(rec, record, error)}
    if not isinstance(error, Exception) and not isinstance(error, GeneratorExit):
        # Prefect calls no hook for a crash; should a hook come after all (an async timeout), it has the last word
        _close_task(rec, record, "failed", "crashed", record.outcome["message"], "failed")


def task_hook(task: Any, task_run: Any, state: Any) -> None:
    """Prefect's final word on a task run."""
    meta = meta_of(task)
    rec = recorder()
    if meta is not None and rec.on:
        safely(meta, lambda: _task_over(rec, meta, task_run, state))


def _task_over(rec: Recorder, meta: Meta, task_run: Any, state: Any) -> None:
    record = rec.live.get(str(task_run.id))
    if record is None:
        record = _open_task(rec, meta, task_run, {})
    if state.is_completed():
        cached = state.name == "Cached"
        _close_task(rec, record, "completed", "cached" if cached else "", "", "cached" if cached else "completed")
        return
    outcome = record.outcome or {}
    timed_out = state.name == "TimedOut"
    reason = "timed out" if timed_out else str(outcome.get("reason") or state.name)
    message = str(outcome.get("message") or (state.name if record.policy != "full" else state.message or state.name))
    _close_task(rec, record, "failed", reason, rec.redactor.text(message), "failed")


def _close_task(rec: Recorder, record: Record, status: str, reason: str, message: str, shown: str) -> None:
    properties: dict[str, Any] = {**record.extra}
    if record.attempts > 1:
        properties["attempts"] = record.attempts
    marks = [*tags(reason), *(["retried"] if record.attempts > 1 else [])]
    body: dict[str, Any] = {"status": status, "reason": reason, "message": message or _took(record)}
    if properties:
        body["hyperparams"] = {"properties": properties}
    if marks:
        body["tags"] = marks
    rec.close(record, body)
    for graph in list(rec.graphs):
        step = rec.graphs[graph].steps.get(record.run)
        if step is not None:
            step.status, step.ended = shown, time.time()
            rec.step(graph, step)


# Flows


def begin_flow(meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attempt | None:
    """Begin an attempt of a flow run; None where this is not one, or nothing is recorded."""
    context = FlowRunContext.get()
    rec = recorder()
    if context is None or context.flow_run is None or meta_of(context.flow) != meta:
        return None
    if meta.strict:
        rec.require()
    if not rec.on:
        return None
    return safely(meta, lambda: _begin_flow(rec, meta, fn, args, kwargs, context))


def _begin_flow(
    rec: Recorder, meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any
) -> Attempt:
    run = str(context.flow_run.id)
    record = rec.live.get(run)
    if record is None:
        record = _open_flow(rec, meta, context.flow, context.flow_run, parameters.bound(fn, args, kwargs))
    record.attempts += 1
    if record.attempts > 1:
        record.text(f"attempt {record.attempts} begins")
    return Attempt(record, lambda r, name, error: _flow_attempt_over(rec, r, name, error)).enter(flow=run)


def _open_flow(rec: Recorder, meta: Meta, flow: Any, flow_run: Any, values: dict[str, Any]) -> Record:
    listen()
    rec.flow_began()
    policy: Capture = meta.capture or "full"
    record = Record(rec, str(flow_run.id), policy=policy, strict=meta.strict)
    rec.graphs[record.run] = Graph()
    parent = FLOW.get()
    dummy = str(flow_run.parent_task_run_id) if flow_run.parent_task_run_id else ""
    version = str(flow.version or "1")[:12]
    body = {
        "name": flow_run.name,
        "type": "controller",
        "project": meta.project or rec.options.project,
        "flow": flow.name,
        "parent": parent if parent in rec.graphs and parent != record.run else None,
        "also": [dummy] if dummy else [],
        "tags": sorted(flow_run.tags or ()),
        "hyperparams": {
            "Args": parameters.recorded(values, policy, rec.redactor, meta.secrets),
            "properties": {
                "version": version,
                "prefect_flow_run": record.run,
                "prefect_flow": flow.name,
                "project": meta.project or rec.options.project,
                "prefect_name": flow_run.name,
                "prefect_url": links.flow_run_url(record.run),
                "prefect_parent_task_run": dummy,
                "capture": policy,
            },
        },
        "configuration": {"Pipeline": "{}"},
        "runtime": {"_pipeline_hash": f"{record.run}:{version}", "version": version},
        "script": script(flow),
    }
    rec.open(record, body)
    links.later(rec, record.run)
    if body["parent"]:
        rec.graphs[parent].nested[record.run] = dummy or record.run
        rec.step(parent, Step(dummy or record.run, flow_run.name, "running", (), "controller", record.started))
    return record


def _flow_attempt_over(rec: Recorder, record: Record, name: str, error: BaseException | None) -> None:
    if error is None:
        record.outcome = {"status": "completed", "reason": "", "message": ""}
        return
    say_error(record, error, f"the flow raised {name}")
    record.outcome = {"status": "failed", "reason": name, "message": message_of(rec, record, error)}


def flow_hook(flow: Any, flow_run: Any, state: Any) -> None:
    """Prefect's final word on a flow run; after the outermost one everything is delivered, in bounded time."""
    meta = meta_of(flow)
    rec = recorder()
    if meta is not None and rec.on:
        safely(meta, lambda: _flow_over(rec, meta, flow, flow_run, state))


def _flow_over(rec: Recorder, meta: Meta, flow: Any, flow_run: Any, state: Any) -> None:
    run = str(flow_run.id)
    record = rec.live.get(run) or _open_flow(rec, meta, flow, flow_run, {})
    _sweep(rec, run)
    end = settled(state) or LOST
    status, reason = end.status, end.reason
    outcome = record.outcome or {}
    body: dict[str, Any] = {
        "status": status,
        "reason": reason or (str(outcome.get("reason") or "") if status == "failed" else ""),
        "message": str(outcome.get("message") or "") or _took(record),
    }
    if record.extra:
        body["hyperparams"] = {"properties": record.extra}
    if reason:
        body["tags"] = tags(reason)
    if rec.troubled(run) or flow.task_runner.__class__.__name__ not in _IN_PROCESS:
        safely(meta, lambda: _complete(rec, run))
    else:
        rec.draw(run)
    rec.close(record, body)
    parent = next((f for f, g in rec.graphs.items() if f != run and _of_parent(g, flow_run)), None)
    rec.graphs.pop(run, None)
    if parent is not None:
        key = str(flow_run.parent_task_run_id) if str(flow_run.parent_task_run_id) in rec.graphs[parent].steps else run
        step = rec.graphs[parent].steps[key]
        safely(meta, lambda: _draw_edges(step))
        step.status, step.ended = (
            {"completed": "completed", "failed": "failed", "stopped": "aborted"}[status],
            time.time(),
        )
        rec.step(parent, step)
    if rec.flow_ended() and not rec.live:
        rec.flush()
        links.finish(rec)
        rec.rest()


def _draw_edges(step: Step) -> None:
    """What a nested flow takes its inputs from, Prefect alone keeps: with the task run that stands for it."""
    for dummy in prefect_api.task_runs([step.run]).values():
        step.parents = _upstream(dummy)


def _complete(rec: Recorder, run: str) -> None:
    """Ask Prefect for what this process could not see: tasks never started, tasks of other processes."""
    from clearml_utils.reconcile import complete  # noqa: PLC0415 - it needs Prefect's client; only some flows end here

    rec.flush()
    if not rec.sender.away:
        complete(rec, run, wait=_SETTLE_SECONDS)


def _of_parent(graph: Graph, flow_run: Any) -> bool:
    return str(flow_run.parent_task_run_id) in graph.steps or str(flow_run.id) in graph.steps


def _sweep(rec: Recorder, flow_run: str) -> None:
    """Close task runs of this flow whose hooks did not fire: replaced by `with_options`, or crashed in a thread."""
    graph = rec.graphs.get(flow_run)
    for run in list(graph.steps) if graph else ():
        record = rec.live.get(run)
        if record is not None and record.outcome is not None:
            out = record.outcome
            _close_task(rec, record, out["status"], out["reason"], out["message"], out["status"])


# Shared


def say_error(record: Record, error: BaseException, what: str) -> None:
    """Put an exception into the log, as much of it as the policy allows."""
    if record.policy == "none":
        return
    if record.policy == "full":
        record.text(f"{what}\n{''.join(traceback.format_exception(error))}", "error")
        return
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    record.text(
        what + "".join(f"\n  at {f.name} ({f.filename.rsplit('/', 1)[-1]}:{f.lineno})" for f in frames), "error"
    )


def message_of(rec: Recorder, record: Record, error: BaseException) -> str:
    """Status message for an exception: its text only under `full`."""
    return rec.redactor.text(f"{type(error).__name__}: {error}") if record.policy == "full" else type(error).__name__


def run_id(task_run: Any) -> str:
    """Prefect's id of a task run, as text."""
    return str(task_run.id)


def _took(record: Record) -> str:
    return f"took {time.time() - record.started:.3f} s"


def _upstream(task_run: Any) -> tuple[str, ...]:
    """Ids of the task runs, and nested flow runs, whose results a task run takes."""
    inputs = task_run.task_inputs or {}
    return tuple(dict.fromkeys(str(i.id) for group in inputs.values() for i in group if hasattr(i, "id")))


def secret_parameters(fn: Callable[..., Any]) -> frozenset[str]:
    """Parameters of `fn` whose annotation forbids recording."""
    from clearml_utils.redact import is_sensitive_annotation  # noqa: PLC0415 - once per decoration

    try:
        hints = inspect.get_annotations(fn, eval_str=True)
    except Exception:  # noqa: BLE001 - annotations are user code; unresolvable ones are compared as text below
        hints = inspect.get_annotations(fn)
    return frozenset(
        name
        for name, hint in hints.items()
        if (isinstance(hint, str) and ("Sensitive" in hint or "Secret" in hint)) or is_sensitive_annotation(hint)
    )
