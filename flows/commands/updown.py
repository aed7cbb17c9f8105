"""`moodflow up`, `down` and `status`: the local stack as a service of this directory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.commands import prefect_api, stack
from flows.commands.doctor import require
from flows.commands.errors import CommandError, ServiceError, StateError
from flows.settings import Settings


def up(settings: Settings, ports: stack.Ports, *, foreground: bool, webapp: Path | None, console: Console) -> None:
    """Start the stack here, or as a process of its own that `down` stops."""
    require(settings)
    if foreground:
        _serve(settings, ports, webapp, console)
        return
    if stack.read(settings.home) is not None:
        raise StateError(
            f"a stack runs in {settings.home} already: `moodflow status` shows it, `moodflow down` stops it"
        )
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = settings.home / "up.log"
    options = [f"--{name.replace('_', '-')}-port={port}" for name, port in vars(ports).items()]
    options += [f"--webapp={webapp}"] if webapp else []
    log.touch(mode=0o600)
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows", "up", "--foreground", *options],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    with console.status("starting the local stack"):
        while not _ready(settings.home, process.pid):
            if process.poll() is not None:
                raise ServiceError(log.read_text(errors="replace").strip() or f"it ended at once; see {log}")
            time.sleep(0.2)
    status(settings, as_json=False, console=console)


def _ready(home: Path, pid: int) -> bool:
    said = stack.read(home)
    return said is not None and said["pid"] == pid and "worker" in said["processes"]


def _serve(settings: Settings, ports: stack.Ports, webapp: Path | None, console: Console) -> None:
    with (
        stack.running(settings, ports, strict_ports=True, webapp=webapp, tell=console.print) as running,
        contextlib.suppress(KeyboardInterrupt),
    ):
        environment = running.full_environment
        stack.await_prefect(running)
        prefect_api.make_pool(environment, stack.WORK_POOL)
        if "PREFECT_API_URL" not in running.environment:  # somebody else's Prefect: others may work for it
            prefect_api.require_sole_worker(environment, stack.WORK_POOL, "local")
        prefect_api.deploy_all(environment, running.home / "logs" / "deploy.log")
        stack.start_bot(running)
        stack.start_worker(running)
        for name, url in running.urls.items():
            console.print(f"{name}: {url}")
        while True:
            time.sleep(1.0)
            _revive(running, console)


def _revive(running: stack.Stack, console: Console) -> None:
    """Start again what may be started again; without a server nothing below it can work."""
    for child in running.dead():
        running.children.remove(child)
        console.print(f"{child.name} ended with status {child.process.returncode}:\n{child.last_words(5)}")
        if child.name == "bot":
            stack.start_bot(running)
        elif child.name == "worker":
            stack.start_worker(running)
        else:
            raise ServiceError(f"{child.name} ended; its log is {child.log}. Start again with `moodflow up`")


def down(settings: Settings, *, console: Console, seconds: float = 60) -> None:
    """Stop the stack of this directory and wait until it is gone."""
    said = stack.read(settings.home)
    if said is None:
        console.print(f"nothing runs in {settings.home}")
        return
    os.kill(said["pid"], signal.SIGTERM)
    deadline = time.monotonic() + seconds
    with console.status("stopping"):
        while stack.read(settings.home) is not None:
            if time.monotonic() > deadline:
                raise CommandError(f"process {said['pid']} does not stop; see {settings.home}/up.log")
            time.sleep(0.1)
    console.print("stopped")


def status(settings: Settings, *, as_json: bool, console: Console) -> int:
    """Show the services of this directory; 0 if all run, 1 if not."""
    said = stack.read(settings.home)
    if said is None:
        if as_json:
            print(json.dumps({"running": False, "home": str(settings.home)}))
        else:
            console.print(f"nothing runs in {settings.home}; start it with `moodflow up`")
        return 1
    alive = {name: Path(f"/proc/{pid}").exists() for name, pid in said["processes"].items()}
    if as_json:
        print(json.dumps({"running": True, "processes": alive, "urls": said["urls"]}))
    else:
        table = Table("service", "state", box=None, pad_edge=False)
        for name, running in alive.items():
            table.add_row(name, "running" if running else "[red]gone[/]")
        for name, url in said["urls"].items():
            table.add_row(name, url)
        console.print(table)
    return 0 if all(alive.values()) else 1
