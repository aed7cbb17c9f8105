"""The local stack: what is not named in the environment is started here, on loopback.

A service is local unless its address or credentials are set: `CLEARML_API_HOST`, `MOODFLOW_TELEGRAM_TOKEN`,
`MOODFLOW_SHEETS_CREDENTIALS`, `PREFECT_API_URL`. `stack.json` tells every other command where things are.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from flows.commands.errors import StateError
from flows.commands.prefect_seed import plant_seed
from flows.commands.processes import Child, Interruption, await_http, await_line, choose_port, launch, stop_all
from flows.settings import Settings

WORK_POOL = "moodflow"
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
_CLIENTS = ("bot", "worker")


@dataclass(frozen=True)
class Ports:
    """Ports of the local services, each named by its option of `moodflow up`."""

    clearml_api: int = 8008
    clearml_files: int = 8081
    clearml_web: int = 8080
    telegram: int = 8082
    sheets: int = 8083
    prefect: int = 4200

    def chosen(self, *, strict: bool) -> Ports:
        """Return ports that are free now."""
        return Ports(
            **{
                name: choose_port(port, f"--{name.replace('_', '-')}-port", strict=strict)
                for name, port in vars(self).items()
            }
        )


@dataclass
class Stack:
    """The services that run, and how to reach them."""

    home: Path
    children: list[Child] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    run_log_level: str = "INFO"
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def full_environment(self) -> dict[str, str]:
        """Environment of every process of the stack."""
        return {**os.environ, **self.environment}

    def write(self) -> None:
        """Tell other commands where things are (0600: it holds local credentials)."""
        path = self.home / "stack.json"
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "settings": self.settings,
                    "environment": self.environment,
                    "urls": self.urls,
                    "processes": {c.name: c.process.pid for c in self.children},
                },
                indent=2,
            )
        )
        fresh.replace(path)

    def stop(self) -> None:
        """Stop what was started, clients before servers, and say so to other commands."""
        clients = [child for child in self.children if child.name in _CLIENTS]
        stop_all(clients, patience=6)
        stop_all([child for child in self.children if child not in clients], patience=6)
        (self.home / "stack.json").unlink(missing_ok=True)

    def dead(self) -> list[Child]:
        """Return the services that ended by themselves."""
        return [child for child in self.children if not child.alive()]


def read(home: Path) -> dict[str, Any] | None:
    """What `stack.json` says, None where no stack runs in `home`."""
    path = home / "stack.json"
    if not path.is_file():
        return None
    said: dict[str, Any] = json.loads(path.read_text())
    return said if Path(f"/proc/{said['pid']}").exists() or _answers(said["pid"]) else None


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def adopt(home: Path) -> None:
    """Put the running stack's ClearML and Prefect addresses into this process, below what a person set."""
    said = read(home)
    for name, value in (said or {}).get("environment", {}).items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def lock(home: Path) -> Iterator[None]:
    """Hold the state directory: two stacks in one would mix their answers.

    Whatever is written meanwhile, by this process and by those it starts, is its owner's alone.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    home.chmod(0o700)
    mask = os.umask(0o077)
    try:
        with (home / "stack.lock").open("a+") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateError(
                    f"another run uses {home}: stop it with `moodflow down`, or set MOODFLOW_HOME to another directory"
                ) from error
            _note_holder(held)
            yield
    finally:
        os.umask(mask)


def _note_holder(held: IO[str]) -> None:
    held.seek(0)
    held.truncate()
    held.write(f"{os.getpid()}\n")
    held.flush()


@contextlib.contextmanager
def running(
    settings: Settings,
    ports: Ports,
    *,
    strict_ports: bool,
    webapp: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Stack]:
    """Start the local services, yield the stack, stop all of it whatever happens. Call it in the main thread.

    Prefect takes longest and may not answer yet: `await_prefect` before anything asks it.
    """
    home = settings.home.resolve()
    with lock(home):
        interruption = Interruption()
        stack = Stack(home)
        stack.environment |= {"MOODFLOW_HOME": str(home), "CLEARML_UTILS_PROJECT": settings.project}
        try:
            # a demo names no port: each server takes a free one itself, and two demos cannot want the same
            free = (
                ports.chosen(strict=True)
                if strict_ports
                else replace(Ports(0, 0, 0, 0, 0), prefect=choose_port(0, "--prefect-port", strict=False))
            )
            _start_prefect(stack, free, os.environ)
            tell("starting ClearML")
            _start_clearml(stack, free, os.environ, webapp)
            tell("starting Telegram")
            _start_telegram(stack, settings, free)
            tell("starting Sheets")
            _start_sheets(stack, settings, free)
            stack.write()
            yield stack
        finally:
            interruption.heard()
            stack.stop()
            interruption.restore()


def _server(stack: Stack, name: str, module: str, data: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", module, "--data", str(stack.home / data), *options]
    child = launch(name, command, stack.home / "logs", stack.full_environment, pipe=True)
    stack.children.append(child)
    return await_line(child)


def _start_clearml(stack: Stack, ports: Ports, environment: Mapping[str, str], webapp: Path | None) -> None:
    if environment.get("CLEARML_API_HOST"):
        stack.urls["ClearML"] = environment.get("CLEARML_WEB_HOST", environment["CLEARML_API_HOST"])
        return
    options = ["--api-port", ports.clearml_api, "--files-port", ports.clearml_files, "--web-port", ports.clearml_web]
    if webapp is not None:
        options += ["--webapp", webapp]
    ready = _server(stack, "clearml", "server.embedded", "clearml", *map(str, options))
    keys = json.loads(Path(ready["credentials"]).read_text())
    stack.environment |= {
        "CLEARML_API_HOST": ready["urls"]["api"],
        "CLEARML_WEB_HOST": ready["urls"]["web"],
        "CLEARML_FILES_HOST": ready["urls"]["files"],
        "CLEARML_API_ACCESS_KEY": keys["access_key"],
        "CLEARML_API_SECRET_KEY": keys["secret_key"],
    }
    stack.urls["ClearML"] = ready["urls"]["web"]


def _start_telegram(stack: Stack, settings: Settings, ports: Ports) -> None:
    if settings.telegram_token is not None and "telegram_token" in settings.model_fields_set:
        stack.urls["Telegram"] = settings.telegram_url
        return
    ready = _server(stack, "telegram", "server.telegram", "telegram", "--port", str(ports.telegram))
    stack.settings |= {"telegram_token": _bot_token(stack.home), "telegram_url": ready["urls"]["api"]}
    stack.urls["Telegram"] = ready["urls"]["chat"]


def _bot_token(home: Path) -> str:
    """Return this directory's bot token, drawn once: the local Telegram knows a bot by it."""
    path = home / "telegram" / "bot_token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"{secrets.randbelow(9 * 10**8) + 10**8}:{secrets.token_hex(18)[:35]}")
    return path.read_text()


def _start_sheets(stack: Stack, settings: Settings, ports: Ports) -> None:
    if settings.sheets_credentials is not None:
        stack.urls["Sheets"] = settings.sheets_url or "https://docs.google.com/spreadsheets"
        return
    ready = _server(stack, "sheets", "server.sheets", "sheets", "--port", str(ports.sheets))
    stack.settings |= {"sheets_credentials": ready["credentials"], "sheets_url": ready["urls"]["api"]}
    stack.urls["Sheets"] = ready["urls"]["api"]


def _start_prefect(stack: Stack, ports: Ports, environment: Mapping[str, str]) -> None:
    """Begin with Prefect, which takes longest."""
    if environment.get("PREFECT_API_URL"):
        stack.urls["Prefect"] = environment["PREFECT_API_URL"].removesuffix("/api")
        return
    address = f"http://127.0.0.1:{ports.prefect}"
    plant_seed(stack.home / "prefect")
    stack.environment |= {
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_HOME": str(stack.home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # one worker on one machine may ask often: a run starts within a second instead of ten
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_UI_API_URL": f"{address}/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # a run's place under a deployment's limit outlives the server that gave it away: kept in memory, as by default,
        # it would never be free again after a restart, and the flow would never run again
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_LOGGING_LEVEL": environment.get("PREFECT_LOGGING_LEVEL", "WARNING"),
    }
    stack.run_log_level = environment.get("PREFECT_LOGGING_LEVEL", "INFO")
    stack.urls["Prefect"] = address
    command = [sys.executable, "-m", "uvicorn", "--factory", "flows.commands.prefect_app:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(ports.prefect), "--log-level", "warning"]
    stack.children.append(launch("prefect", command, stack.home / "logs", stack.full_environment, pipe=False))


def await_prefect(stack: Stack) -> None:
    """Wait until the Prefect server of this stack answers; somebody else's is not ours to wait for."""
    child = next((child for child in stack.children if child.name == "prefect"), None)
    if child is not None:
        await_http(child, f"{stack.environment['PREFECT_API_URL']}/health")


def start_bot(stack: Stack) -> Child:
    """Start the bot process and wait until it polls."""
    child = launch("bot", [sys.executable, "-m", "flows.bot"], stack.home / "logs", stack.full_environment, pipe=True)
    stack.children.append(child)
    await_line(child)
    stack.write()
    return child


def start_worker(stack: Stack, *, limit: int = 2) -> Child:
    """Start a process worker of the work pool the deployments name."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process"]
    command += ["--limit", str(limit), "--name", "local"]
    # thousands of small systems of equations: a second thread for each costs more than it brings
    environment = {"OPENBLAS_NUM_THREADS": "1", **stack.full_environment}
    environment["PREFECT_LOGGING_LEVEL"] = stack.run_log_level  # what runs log is read in Prefect's pages
    child = launch("worker", command, stack.home / "logs", environment, pipe=False)
    stack.children.append(child)
    stack.write()
    return child
