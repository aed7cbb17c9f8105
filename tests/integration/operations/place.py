"""The processes of the operations test: PostgreSQL, Prefect's server, workers; each can be killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[3]
BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=Path("/nowhere"))
"""Programs of Debian's newest PostgreSQL that is installed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.5)


def descendants(pid: int) -> list[int]:
    """Living children, theirs, and so on."""
    try:
        text = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [found for child in map(int, text.split()) for found in (child, *descendants(child))]


class Postgres:
    """A cluster of its own below /tmp, run by the user `postgres` where we are root (initdb refuses root)."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "-D", str(folder / "data"), "-U", "prefect", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.process = subprocess.Popen(
            [*self._as, BIN / "postgres", "-D", folder / "data", "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "fsync=off"],
            cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        asked = [BIN / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)]
        until(lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0, 300, "PostgreSQL")
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "prefect", "prefect")
        self.url = f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/prefect"

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run([*self._as, BIN / name, *arguments], cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


class Place:
    """The processes of the test, each leading its own group."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env, self.alive = folder, env, {}

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as sink:
            self.alive[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=self.env,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def server(self) -> None:
        port = self.env["PREFECT_API_URL"].split(":")[2].removesuffix("/api")
        factory = ("uvicorn", "--factory", "prefect.server.api.server:create_app", "--log-level", "warning")
        self.start("server", *factory, "--host", "127.0.0.1", "--port", port)

        def healthy() -> bool:
            assert self.alive["server"].poll() is None, (self.folder / "server.log").read_text()[-3000:]
            try:
                return httpx.get(f"{self.env['PREFECT_API_URL']}/health", timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        until(healthy, 600, "healthy Prefect server")

    def worker(self, name: str) -> None:
        options = ("--pool", "moodflow", "--type", "process", "--name", name, "--limit", "2")
        self.start(name, "prefect", "worker", "start", *options)

    def kill(self, name: str) -> None:
        """SIGKILL it with the flow runs it started, which lead groups of their own."""
        process = self.alive.pop(name)
        started = descendants(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def supervise(self, but: str = "") -> None:
        """Start a worker that gave up again, as its service does."""
        for name in {"one", "two"} - {but}:
            if self.alive[name].poll() is not None:
                self.worker(name)

    def flow_runs(self) -> list[int]:
        """Processes of flow runs that still live."""
        return [pid for name in ("one", "two") for pid in descendants(self.alive[name].pid)]

    def stop(self) -> None:
        for name in list(self.alive):
            self.kill(name)
