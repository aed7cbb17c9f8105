"""Prefect's own server, made steady on SQLite: transactions that wait, and a garbage collector off the serving thread.

A transaction that reads before it writes fails at once as "database is locked" where another has written in between; no
timeout helps. Prefect gives up the event it was working on after four tries: a task run it then never hears of, a
trigger that does not fire. So every transaction of Prefect's begins as a writing one, and waits for its turn instead.

On SQLite every connection of Prefect's server is worked by a thread. A statement that was given up on its way leaves a
cursor that died in a cycle, and two things come of it until the collector has finalised that cursor:

- Its connection stays in the past it was reading; whatever is written through it fails as "database is locked".
- Where the connection waits for the write lock, SQLite holds its mutex for up to a minute, and so long whoever
  finalises the cursor waits. Were that the event loop's thread, the commit that everybody waits for could not run, and
  the server would answer nobody until the minute is over.

So what came into being since the start is collected every second, on a thread that may wait.

    python -m uvicorn --factory flows.commands.prefect_app:create_app
"""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

EVERY = 1.0
"""Seconds between two collections."""
STARTED = (10.0, 30.0, 60.0)
"""Seconds after which what is there, modules and all they made for good, is looked through no more."""
SHARE = 20
"""Rests that a whole collection earns, each as long as it took; what came into being since is collected meanwhile."""


def collect_apart() -> None:
    """Turn the automatic collector off and collect on a thread instead, for as long as the process lives."""
    gc.disable()
    threading.Thread(target=_collect, name="garbage collector", daemon=True).start()


def _collect() -> None:
    began = time.monotonic()
    time.sleep(STARTED[0])
    due, rested = list(STARTED), 0.0
    while True:
        now = time.monotonic()
        if whole := now >= rested:
            gc.collect()
            rested = time.monotonic() + SHARE * (time.monotonic() - now)
        else:
            gc.collect(1)
        if whole and due and now - began >= due[0]:
            del due[0]
            gc.freeze()
        time.sleep(EVERY)


def begin_as_writers() -> None:
    """Let every transaction on SQLite ask for the write lock when it begins."""
    from prefect.server.database.configurations import AioSqliteConfiguration

    begin = AioSqliteConfiguration.begin_transaction

    def immediate(self: Any, session: Any, with_for_update: bool = True) -> Any:  # noqa: ARG001, FBT001, FBT002 - its signature
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = immediate  # type: ignore[method-assign]


def create_app() -> FastAPI:
    """The application `prefect server start` serves."""
    collect_apart()  # before Prefect is imported, a fifth of which would be collecting
    from prefect.server.api.server import create_app as prefect_app

    begin_as_writers()
    return prefect_app()
