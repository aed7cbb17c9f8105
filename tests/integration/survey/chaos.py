"""What can be killed and what goes wrong: bot, collector and Sheets endpoint, and the faults of both wires."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.survey.wire import World, free_port, world
from tests.services import Service, start

TELEGRAM_FAULTS: list[dict[str, Any]] = [
    {"method": "sendMessage", "probability": 0.04, "seed": 1, "status": 429, "retry_after": 1},
    {"method": "sendMessage", "probability": 0.02, "seed": 2, "status": 503, "after_commit": True},
    {"method": "editMessageText", "probability": 0.05, "seed": 3, "status": 429, "retry_after": 1},
    {"method": "editMessageText", "probability": 0.03, "seed": 4, "drop": True},
    {"method": "answerCallbackQuery", "probability": 0.05, "seed": 5, "status": 400, "description": "query is too old"},
    {"method": "getUpdates", "probability": 0.03, "seed": 6, "status": 502},
    {"method": "getUpdates", "probability": 0.02, "seed": 7, "drop": True},
    {"method": "webhook", "probability": 0.15, "seed": 8, "twice": True},
    {"method": "webhook", "probability": 0.15, "seed": 9, "loose": True, "delay": 0.4},
]
TIMEOUTS: list[dict[str, Any]] = [
    {"method": "sendMessage", "probability": 0.01, "seed": 10, "times": 8, "delay": 25, "after_commit": True},
    {"method": "editMessageText", "probability": 0.002, "seed": 11, "times": 8, "delay": 25},
]
"""Longer than the bot waits for an answer."""
SHEETS_FAULTS: list[dict[str, Any]] = [
    {"kind": "after_commit", "match": {"path": ":append"}, "probability": 0.2, "seed": 1},
    {"kind": "status", "status": 503, "match": {"path": ":append"}, "probability": 0.1, "seed": 2},
    {"kind": "drop", "after_commit": True, "match": {"path": ":append"}, "probability": 0.1, "seed": 3},
    {"kind": "status", "status": 429, "probability": 0.03, "seed": 4},
    {"kind": "status", "status": 500, "match": {"method": "GET"}, "probability": 0.03, "seed": 5},
]


@dataclass
class Chaos:
    """What can be killed, and how often it was."""

    world: World
    sheets: Service
    sheets_data: Path
    collector: subprocess.Popen[str]
    hook: dict[str, str]
    kills: Counter[str] = field(default_factory=Counter)
    listened: Counter[str] = field(default_factory=Counter)

    def kill(self, which: str) -> None:
        """SIGKILL one process and start it again; the bot by turns hears by polling and by webhook."""
        if which == "bot":
            assert self.world.bot is not None
            self.world.bot.kill()
            mode = "webhook" if self.listened["webhook"] <= self.listened["polling"] else "polling"
            self.world.start_bot(**(self.hook if mode == "webhook" else {}))
            self.listened[mode] += 1
        elif which == "collector":
            self.collector.kill()
            self.collector.wait()
            self.collector = start_collector(self.world)
        else:
            port = self.sheets.ready["urls"]["api"].rpartition(":")[2]
            self.sheets.kill()
            self.sheets.stop()
            self.sheets = start("server.sheets", self.sheets_data, "--port", port)
        self.kills[which] += 1

    @contextmanager
    def killing(self, seed: int) -> Iterator[None]:
        """Kill one after the other at random until the end of the block."""
        stop, dice = threading.Event(), random.Random(seed)
        problems: list[BaseException] = []

        def run() -> None:
            try:
                while not stop.wait(dice.uniform(0.3, 3)):
                    self.kill(dice.choice(["bot", "bot", "collector", "sheets"]))
            except BaseException as error:  # the thread's own end must fail the test
                problems.append(error)
                raise

        killer = threading.Thread(target=run)
        killer.start()
        try:
            yield
        finally:
            stop.set()
            killer.join()
        assert problems == []


def start_collector(w: World) -> subprocess.Popen[str]:
    """A collector that writes to the Sheet until it is killed."""
    with (w.home / "collector.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.survey.collector"],
            env=os.environ | w.environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    return process


@contextmanager
def chaos(folder: Path, definition: Path) -> Iterator[Chaos]:
    """Telegram, Sheets, bot and collector, all of which end with the block."""
    sheets = start("server.sheets", folder / "sheets", "--port", "0")
    more = {
        "MOODFLOW_SURVEY": str(definition),
        "MOODFLOW_SHEETS_CREDENTIALS": sheets.ready["credentials"],
        "MOODFLOW_SHEETS_URL": sheets.ready["urls"]["api"],
        "MOODFLOW_SHEETS_PER_MINUTE": "100000",
    }
    port = free_port()
    hook = {
        "MOODFLOW_WEBHOOK_URL": f"http://127.0.0.1:{port}/hook",
        "MOODFLOW_WEBHOOK_SECRET": "s3cret",
        "MOODFLOW_WEBHOOK_PORT": str(port),
    }
    try:
        with world(folder, **more) as w:
            made = Chaos(w, sheets, folder / "sheets", start_collector(w), hook)
            try:
                yield made
            finally:
                made.collector.kill()
                made.collector.wait()
                sheets = made.sheets
    finally:
        sheets.stop()


def enough(c: Chaos, kills: int, seconds: float = 600) -> None:
    """Wait for so many kills."""
    end = time.monotonic() + seconds
    while sum(c.kills.values()) < kills:
        assert time.monotonic() < end, f"only {dict(c.kills)}"
        time.sleep(0.2)
