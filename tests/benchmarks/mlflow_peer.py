"""An MLflow tracking server on SQLite, one worker, in an environment of its own: the peer of the server benchmark."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-bench-mlflow"
CLIENT = Path(__file__).with_name("mlflow_client.py")
DURABILITY = "rollback journal, synchronous=FULL (SQLite's defaults, which MLflow keeps)"


def python() -> str:
    """The interpreter of MLflow's environment, made on first use."""
    found = VENV / "bin" / "python"
    if not (VENV / "bin" / "mlflow").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(found), "-m", "pip", "install", "-q", "mlflow>=3,<4"], check=True)
    return str(found)


def environment() -> dict[str, str]:
    """Quiet: no telemetry, nothing of the ClearML settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLEARML_")}
    lean = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # its job helpers would weigh in memory and start time
    return kept | lean | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Peer:
    """A running MLflow server."""

    pid: int
    url: str
    start_s: float


@contextmanager
def serving(data: Path) -> Iterator[Peer]:
    """Start it, wait for its first answered API call, stop it at the end."""
    data.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python(), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{data / 'mlflow.db'}", "--artifacts-destination", str(data / "files")]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    with (data / "log.txt").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), start_new_session=True)
    try:
        while not _answers(url):
            if process.poll() is not None:
                sys.exit(f"MLflow did not start: {(data / 'log.txt').read_text()[-2000:]}")
            time.sleep(0.02)
        yield Peer(process.pid, url, time.perf_counter() - began)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: its helpers outlive the server otherwise."""
    os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(url: str) -> bool:
    body = json.dumps({"max_results": 1}).encode()
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{url}/api/2.0/mlflow/experiments/search", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - see above
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
