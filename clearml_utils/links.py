"""The way from Prefect to ClearML: labels and a link artifact on the flow run, a table of the task runs."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.artifacts import Artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import FlowRunContext, SyncClientContext
from prefect.settings import PREFECT_UI_URL

if TYPE_CHECKING:
    from clearml_utils.recorder import Recorder

log = logging.getLogger("clearml_utils")
_WAITING: dict[str, contextvars.Context] = {}
_LINKING: list[threading.Thread] = []
_PATIENCE_SECONDS = 5.0


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


def known(rec: Recorder, ids: Mapping[str, str]) -> None:
    """These flow runs have a ClearML id now: link them beside the flow, while Prefect's server is not yet busy.

    At a flow's end Prefect's server still works through the events of its task runs, for seconds on SQLite; a link
    made then would make the flow wait for all of them.
    """
    for run in [run for run in list(_WAITING) if run in ids]:
        url = task_url(rec, ids[run])
        thread = threading.Thread(
            target=_try, args=(url, run, ids[run], _WAITING.pop(run)), name="clearml-utils-link", daemon=True
        )
        _LINKING.append(thread)
        thread.start()


def finish(rec: Recorder) -> None:
    """Link what is known by now; nobody waits for links on their way but the end of the process (`wait`)."""
    known(rec, rec.ids)
    _WAITING.clear()
    _LINKING[:] = [thread for thread in _LINKING if thread.is_alive()]


def wait() -> None:
    """At the end of the process: until links on their way are made, but not for ever."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while _LINKING:
        _LINKING.pop().join(max(0.0, end - time.monotonic()))


def _try(url: str, run: str, task: str, context: contextvars.Context) -> None:
    """Link; one that cannot be made is not worth a failure."""
    try:
        try:
            context.run(_link, url, run, task)
        except RuntimeError:  # the flow is over, and its client closed
            context.run(_link, url, run, task, own=True)
    except Exception as error:  # noqa: BLE001 - Prefect's API may fail in many ways, none of them the flow's
        log.warning("flow run %s has no link to ClearML task %s: %s", run, task, type(error).__name__)


def _link(url: str, run: str, task: str, *, own: bool = False) -> None:
    with _client(own=own) as client:
        client.update_flow_run_labels(flow_run_id=UUID(run), labels={"clearml.task": task, "clearml.url": url})
        artifact = Artifact(
            key=f"clearml-{task}", type="markdown", description="ClearML", data=f"[ClearML task {task}]({url})"
        )
        created = artifact.model_dump(exclude_none=True) | {"flow_run_id": run}
        client.request("POST", "/artifacts/", json=created)


@contextmanager
def _client(*, own: bool) -> Iterator[Any]:
    """The flow's own client, which is open; asynchronous flows have none that serves here."""
    context = FlowRunContext.get()
    if not own and context is not None and isinstance(context.client, SyncPrefectClient):
        yield context.client
        return
    # in this copy of the flow's context: else its closed client is given again
    SyncClientContext.__var__.set(None)  # type: ignore[arg-type]
    with get_client(sync_client=True) as client:
        yield client


def task_url(rec: Recorder, task: str) -> str:
    """Page of a task in ClearML's web application."""
    return f"{rec.connection.web}/projects/*/experiments/{task}/output/log"
