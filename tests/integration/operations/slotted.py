"""The flow of the operations test: it notes its slot, and one of them meets a full disk. Or it fails, if asked to."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from pathlib import Path

from prefect.runtime import flow_run

from clearml_utils import current_record, flow, task


@task(name="note")
def note(slot: str) -> int:
    with Path(os.environ["SLOTS_FILE"]).open("a") as file:
        file.write(f"{slot} {flow_run.id}\n")
    return 1


@flow(name="slotted")
def slotted(fail: str = "") -> None:
    if fail:
        raise RuntimeError(fail)
    slot = flow_run.scheduled_start_time.isoformat()
    number = note(slot)
    current_record().values({"noted": number})
    full = Path(os.environ["SLOTS_FILE"]).with_suffix(".full")
    with contextlib.suppress(FileNotFoundError):  # another slot met it
        full.rename(full.with_suffix(f".met-{flow_run.id}"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        full.with_suffix(".big").write_bytes(b"x" * 100_000)
    time.sleep(0.2)
