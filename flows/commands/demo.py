"""`moodflow demo`: a study through the whole path, once, and what came of it."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from flows import settings as product
from flows.commands import prefect_api, stack
from flows.commands.doctor import require
from flows.commands.errors import CommandError, ServiceError, SettingError, StateError
from flows.settings import Settings

_MARK = "demo.json"


def run(
    settings: Settings,
    data: Path | None,
    *,
    persons: int | None,
    days: int,
    keep: bool,
    webapp: Path | None,
    console: Console,
) -> None:
    """Start what is needed, replay, run one cycle, print the summary, stop what was started."""
    began = time.monotonic()
    require(settings)
    _replayable(settings)
    _fresh_home(settings.home)
    study = _study(data, persons, days, settings.home, console)
    # the local Telegram has no limits to respect, and a study of weeks is to be told in a minute
    os.environ |= {
        "MOODFLOW_SURVEY": study.survey,
        "MOODFLOW_OUTBOX_PER_SECOND": "10000",
        "MOODFLOW_OUTBOX_CHAT_INTERVAL": "0",
    }
    settings = product.load()
    meter = _MemoryMeter()
    with stack.running(
        settings,
        stack.Ports(),
        strict_ports=False,
        webapp=webapp,
        tell=lambda text: console.print(f"[dim]{text}[/]"),
    ) as running:
        meter.start()
        summary = _path(running, study, console)
        figures = {
            "wall_s": round(summary.pop("wall_end") - began, 1),
            "peak_rss_mb": round(meter.stop()),
            "people": study.people,
            "answers": study.answers,
        }
        _write_figures(figures)
        console.print(
            f"{study.people} people, {study.answers} answered beeps in {figures['wall_s']} s, "
            f"peak memory {figures['peak_rss_mb']} MB"
        )
        if keep:
            _stay(running, console)


def _replayable(settings: Settings) -> None:
    """Respondents can only be replayed into the local Telegram: nobody can be made to tap in the real one."""
    if "telegram_token" in settings.model_fields_set and os.environ.get("MOODFLOW_TELEGRAM_TOKEN"):
        raise SettingError(
            "MOODFLOW_TELEGRAM_TOKEN is set: a demo's respondents live in the local Telegram. Unset it for the demo; "
            "`moodflow up` runs the bot with it"
        )


def _fresh_home(home: Path) -> None:
    """Begin with an empty state directory, made by a demo or by nobody."""
    with stack.lock(home):
        if (home / "private.db").exists() and not (home / _MARK).exists():
            raise StateError(
                f"{home} holds a study that is not a demo's; "
                "run this one elsewhere: MOODFLOW_HOME=.moodflow-demo make demo"
            )
        for entry in home.iterdir():
            if entry.name != "stack.lock":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        (home / _MARK).write_text(json.dumps({"demo": True}))


def _study(data: Path | None, persons: int | None, days: int, home: Path, console: Console) -> Any:
    from flows.commands import studies

    if data is None:
        console.print("No DATA given: simulated respondents answer (flows/simulate.py says how they are drawn).")
        study = studies.simulated(home, persons=persons or 20, days=days)
    else:
        study = studies.read(data, home, persons=persons)
    for line in study.complaints[:20]:
        console.print(f"[yellow]{line}[/]", highlight=False)
    if len(study.complaints) > 20:
        console.print(f"[yellow]... and {len(study.complaints) - 20} more like these[/]")
    return study


def _path(running: stack.Stack, study: Any, console: Console) -> dict[str, Any]:
    from flows.commands.replay import replay_study
    from flows.commands.summary import summarise

    environment = running.full_environment
    os.environ.update(running.environment)
    settings = product.load()
    with _background(importlib.import_module, "flows.survey.flow"):  # Prefect, a slow import, while its server starts
        stack.start_bot(running)
        console.print("[dim]starting Prefect[/]")
        stack.await_prefect(running)
    with contextlib.ExitStack() as beside:

        def deploy() -> None:
            # the worker waits beside the replay, so that the cycle starts at once, and starts nothing before it
            prefect_api.make_pool(environment, stack.WORK_POOL, paused=True)
            stack.start_worker(running, limit=1)
            beside.enter_context(_background(prefect_api.deploy_all, environment, running.home / "logs" / "deploy.log"))

        replay_study(settings, study, console=console, once_planned=deploy)
    prefect_api.set_paused(environment, paused=True)

    def alone(cycle: str) -> None:
        prefect_api.drop_waiting(environment, besides=cycle)  # it collects what the events asked to be collected
        prefect_api.resume_pool(environment, stack.WORK_POOL)

    with console.status("running the cycle") as spinner:
        run = prefect_api.run_deployment(
            environment,
            "cycle/cycle",
            made=alone,
            watch=lambda state: spinner.update(f"running the cycle: {state.lower()}"),
        )
    _await_outbox(settings)
    ended = time.monotonic()
    summary = summarise(settings, _addresses(running, run))
    console.print(summary.as_table())
    (running.home / "summary.json").write_text(json.dumps(summary.as_dict(), indent=2))
    return {"wall_end": ended}


def _addresses(running: stack.Stack, run: dict[str, Any]) -> dict[str, str]:
    urls = dict(running.urls)
    prefect = f"{urls.pop('Prefect')}/runs/flow-run/{run['id']}"
    return {"ClearML": urls.pop("ClearML"), "Prefect, this cycle": prefect, **urls}


def _await_outbox(settings: Settings, seconds: float = 120) -> None:
    """Wait until the bot has sent what is due at the replay's time."""
    from flows.clock import SharedClock
    from flows.store import Store

    clock = SharedClock(settings.home)
    deadline = time.monotonic() + seconds
    with Store.open(settings.database) as store:
        while store.outbox.due(clock.now(), 1):
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"the bot did not send everything in {seconds:.0f} s; see {settings.home}/logs/bot.log"
                )
            time.sleep(0.05)


@contextlib.contextmanager
def _background(work: Any, *arguments: Any) -> Iterator[None]:
    """Do `work` meanwhile; its error is raised at the end."""
    failed: list[BaseException] = []

    def body() -> None:
        try:
            work(*arguments)
        except CommandError as error:
            failed.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    yield
    thread.join()
    if failed:
        raise failed[0]


def _stay(running: stack.Stack, console: Console) -> None:
    console.print("Everything stays up until Ctrl-C.")
    with contextlib.suppress(KeyboardInterrupt):
        while not running.dead():
            time.sleep(0.5)


class _MemoryMeter:
    """Peak memory of this process and everything below it, sampled twice a second."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> float:
        """Return the peak in MB."""
        self._stop.set()
        self._thread.join()
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e3 if sys.platform == "linux" else 1e6)
        return max(self._peak / 1e6, own)

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.5):
            self._peak = max(self._peak, _resident(me))


def _resident(me: psutil.Process) -> int:
    total = 0
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _write_figures(figures: dict[str, Any]) -> None:
    target = Path("build/bench")
    target.mkdir(parents=True, exist_ok=True)
    (target / "demo.json").write_text(json.dumps(figures, indent=2) + "\n")


def replay_into_running(settings: Settings, data: Path, *, persons: int | None, console: Console) -> None:
    """Replay a study into the stack that runs in this state directory."""
    from flows.commands import studies
    from flows.commands.replay import replay_study

    if stack.read(settings.home) is None:
        raise ServiceError(f"nothing runs in {settings.home}: start it with `moodflow up`")
    study = studies.read(data, settings.home, persons=persons)
    replay_study(settings, replace(study, survey=settings.survey), console=console)
