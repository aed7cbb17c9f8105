"""The way from Prefect to ClearML: labels and a link artifact on the flow run, a table of the task runs."""

from __future__ import annotations

import contextvars
import logging
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_UI_URL

if TYPE_CHECKING:
    from clearml_utils.recorder import Recorder

log = logging.getLogger("clearml_utils")
_WAITING: dict[str, contextvars.Context] = {}


def flow_run_url(run: str) -> str:
    """Page of a flow run in Prefect's UI."""
    return f"{PREFECT_UI_URL.value() or ''}/runs/flow-run/{run}"


def task_run_url(run: str) -> str:
    """Page of a task run in Prefect's UI."""
    return f"{PREFECT_UI_URL.value() or ''}/runs/task-run/{run}"


def later(rec: Recorder, run: str) -> None:  # noqa: ARG001 - the recorder names the process this is for
    """Link this flow run once its ClearML id is known."""
    if FlowRunContext.get() is not None:
        _WAITING[run] = contextvars.copy_context()


def finish(rec: Recorder) -> None:
    """Link what is known by now; a link that cannot be made is not worth a failure."""
    for run, context in list(_WAITING.items()):
        task = rec.clearml_id(run)
        _WAITING.pop(run, None)
        if task is None:
            continue
        try:
            context.run(_link, rec, run, task)
        except Exception as error:  # noqa: BLE001 - Prefect's API may fail in many ways, none of them the flow's
            log.warning("flow run %s has no link to ClearML task %s: %s", run, task, type(error).__name__)


def _link(rec: Recorder, run: str, task: str) -> None:
    url = task_url(rec, task)
    with get_client(sync_client=True) as client:
        client.update_flow_run_labels(flow_run_id=UUID(run), labels={"clearml.task": task, "clearml.url": url})
        artifact = Artifact(
            key=f"clearml-{task}", type="markdown", description="ClearML", data=f"[ClearML task {task}]({url})"
        )
        created = artifact.model_dump(exclude_none=True) | {"flow_run_id": run}
        client.request("POST", "/artifacts/", json=created)


def task_url(rec: Recorder, task: str) -> str:
    """Page of a task in ClearML's web application."""
    return f"{rec.connection.web}/projects/*/experiments/{task}/output/log"
