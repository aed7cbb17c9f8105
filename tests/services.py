"""Start the project's own servers for a test: real processes, free ports, loopback, stopped with the test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy.engine import make_url

from flows.commands.prefect_seed import seed_path


@dataclass
class Service:
    """A running server and what it said of itself when it was ready."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    log: Path

    def kill(self) -> None:
        """SIGKILL, as a machine that loses power would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to stop, as Ctrl-C would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(module: str, data: Path, *options: str, env: dict[str, str] | None = None) -> Service:
    """Start `python -m MODULE --data DATA OPTIONS` and wait for its one JSON line that says it is ready."""
    data.mkdir(parents=True, exist_ok=True)
    log = data / "stderr.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--data", str(data), *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **(env or {})},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{module} did not start (exit {process.wait()}):\n{log.read_text()[-4000:]}")
    return Service(process, json.loads(line), log)


@contextmanager
def running(module: str, data: Path, options: Sequence[str] = (), **env: str) -> Iterator[Service]:
    """`start`, stopped at the end."""
    service = start(module, data, *options, env=env)
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def prefect_harness() -> Iterator[str]:
    """Prefect's test harness with the server as the product starts it: from a migrated database, never stopped by gc.

    Heartbeats of flows are off; each would cost its flow a second.
    """
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        patch.object(SubprocessASGIServer, "_run_uvicorn_command", _prefect),
        prefect_test_harness(server_startup_timeout=400),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield str(PREFECT_API_URL.value())


def _prefect(server: Any) -> subprocess.Popen[bytes]:
    from prefect.settings import get_current_settings

    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    database = make_url(settings["PREFECT_SERVER_DATABASE_CONNECTION_URL"]).database
    if seed_path().is_file():
        shutil.copyfile(seed_path(), str(database))
    command = [sys.executable, "-m", "uvicorn", "--factory", "flows.commands.prefect_app:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(server.port), "--log-level", "error"]
    return subprocess.Popen(command, env={**os.environ, "PREFECT_UI_ENABLED": "0", **settings})
