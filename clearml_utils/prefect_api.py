"""What is asked of Prefect's API: runs by id, task runs of a flow run, and the states of what died."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    TaskRunFilter,
    TaskRunFilterId,
)
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.states import Crashed

_PAGE = 200
_ORDER = TaskRunSort.EXPECTED_START_TIME_ASC
_FLOW_ORDER = FlowRunSort.EXPECTED_START_TIME_ASC


def flow_runs(ids: Iterable[str]) -> dict[str, Any]:
    """Flow runs by id; those Prefect does not know are left out."""
    found: dict[str, Any] = {}
    with get_client(sync_client=True) as client:
        for part in _parts(ids):
            for run in client.read_flow_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=part)), sort=_FLOW_ORDER, limit=_PAGE
            ):
                found[str(run.id)] = run
    return found


def task_runs(ids: Iterable[str]) -> dict[str, Any]:
    """Task runs by id."""
    found: dict[str, Any] = {}
    with get_client(sync_client=True) as client:
        for part in _parts(ids):
            for run in client.read_task_runs(
                task_run_filter=TaskRunFilter(id=TaskRunFilterId(any_=part)), sort=_ORDER, limit=_PAGE
            ):
                found[str(run.id)] = run
    return found


def task_runs_of(flow_run: str) -> list[Any]:
    """All task runs of a flow run, the earliest first."""
    found: list[Any] = []
    with get_client(sync_client=True) as client:
        while True:
            page = client.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[UUID(flow_run)])),
                sort=_ORDER,
                limit=_PAGE,
                offset=len(found),
            )
            found += page
            if len(page) < _PAGE:
                return sorted(found, key=lambda r: (r.expected_start_time or r.created, str(r.id)))


def children_of(flow_run: str) -> list[Any]:
    """Nested flow runs of a flow run."""
    where = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[UUID(flow_run)]))
    found: list[Any] = []
    with get_client(sync_client=True) as client:
        while True:
            page = client.read_flow_runs(flow_run_filter=where, sort=_FLOW_ORDER, limit=_PAGE, offset=len(found))
            found += page
            if len(page) < _PAGE:
                return found


def crash(flow_runs_gone: Sequence[str], task_runs_gone: Sequence[str]) -> None:
    """Tell Prefect that these died."""
    if not flow_runs_gone and not task_runs_gone:
        return
    state: Any = Crashed(message="The process of this run is gone (found by clearml_utils reconcile).")
    with get_client(sync_client=True) as client:
        for run in flow_runs_gone:
            client.set_flow_run_state(UUID(run), state, force=True)
        for run in task_runs_gone:
            client.set_task_run_state(UUID(run), state, force=True)


def _parts(ids: Iterable[str]) -> Iterable[list[UUID]]:
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), _PAGE):
        yield [UUID(run) for run in wanted[start : start + _PAGE]]
