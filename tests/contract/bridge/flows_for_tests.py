"""Flows that tests run in processes of their own, to kill them or to spread them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from prefect.context import FlowRunContext
from prefect.task_runners import ProcessPoolTaskRunner

from clearml_utils import current_record, flow, task


@task
def square(x: int) -> int:
    return x * x


@task
def sleep_for_ever(mark: str) -> None:
    record = current_record()
    record.scalar("loss", "train", 0.5, 0)
    record.scalar("loss", "train", 0.25, 1)
    if "unflushed" not in mark:
        record.flush()
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    Path(mark + ".pid").write_text(str(os.getpid()))
    Path(mark + ".new").write_text(str(context.flow_run.id))
    Path(mark + ".new").rename(mark)
    time.sleep(600)


@task
def broken() -> None:
    raise KeyError("no such thing")


@flow(project="Bridge")
def failing() -> None:
    broken()


@flow(name="sleeper", project="Bridge")
def sleeper(mark: str) -> None:
    sleep_for_ever(mark)


@flow(name="spread", project="Bridge")
def spread() -> int:
    return sum(f.result() for f in square.map(list(range(6))))


def main(name: str, *args: str) -> None:
    if name == "sleeper":
        sleeper(*args)
        return
    if name == "serve":
        sleeper.serve(name=args[0], pause_on_shutdown=False)
        return
    if name == "dask":
        from prefect_dask import DaskTaskRunner

        runner = DaskTaskRunner(cluster_kwargs={"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None})
    else:
        runner = ProcessPoolTaskRunner(max_workers=2)
    state = spread.with_options(task_runner=runner)(return_state=True)
    assert state.result() == 55
    print(state.state_details.flow_run_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
