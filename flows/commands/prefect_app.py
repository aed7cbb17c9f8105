"""Prefect's own server, with Python's garbage collector kept off the thread that serves.

On SQLite every connection of Prefect's server is worked by a thread; where one waits for the write lock, SQLite holds
that connection's mutex for up to a minute. A cursor that died in a cycle is finalised by the collector and wants the
mutex: run on the event loop's thread, the collector stops the loop, and with it the commit everybody waits for. The
server then answers nobody until the minute is over. On a thread of its own the collector waits alone.

    python -m uvicorn --factory flows.commands.prefect_app:create_app
"""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

YOUNG = 1.0
"""Seconds between two collections of what is young."""
ALL = 60
"""Collections of what is young between two of everything."""


def collect_apart() -> threading.Thread:
    """Turn the automatic collector off and collect on a thread instead, for as long as the process lives."""
    gc.disable()
    thread = threading.Thread(target=_collect, name="garbage collector", daemon=True)
    thread.start()
    return thread


def _collect() -> None:
    while True:
        for _ in range(ALL):
            time.sleep(YOUNG)
            gc.collect(1)
        gc.collect()


def create_app() -> FastAPI:
    """The application `prefect server start` serves."""
    from prefect.server.api.server import create_app as prefect_app

    collect_apart()
    return prefect_app()
