"""Start the project's own servers for a test: real processes, free ports, loopback, stopped with the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
