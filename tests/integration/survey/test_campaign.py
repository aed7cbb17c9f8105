"""Everything is killed and everything fails: each answer is a row in the Sheet, once, in the right columns.

Short and seeded here; `make campaign` runs 200 people and 30 prompts each, with at least 100 kills.
"""

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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.clients.sheets import read_answers
from flows.clock import SharedClock
from flows.settings import Settings
from flows.survey.callbacks import Callback, encode
from flows.survey.flow import plan_study
from tests.integration.survey.wire import World, until, world
from tests.services import Service, start

FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
PEOPLE, PROMPTS, KILLS = (200, 30, 100) if FULL else (5, 3, 3)
SEED = 20261123
BEGAN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DEFINITION = """
languages = ["ru", "en"]
title = {ru = "Проба", en = "Trial"}
timezone = "Europe/Moscow"
[schedule]
kind = "explicit"
expires_after = 60
[scales.five]
kind = "likert"
lo = 1
hi = 5
[[items]]
id = "one"
text = {ru = "Раз", en = "One"}
scale = "five"
[[items]]
id = "two"
text = {ru = "Два", en = "Two"}
scale = "five"
[[items]]
id = "three"
text = {ru = "Три", en = "Three"}
scale = {kind = "text"}
"""
TELEGRAM_FAULTS = [
    {"method": "sendMessage", "probability": 0.04, "seed": 1, "status": 429, "retry_after": 1},
    {"method": "sendMessage", "probability": 0.02, "seed": 2, "status": 503, "after_commit": True},
    {"method": "editMessageText", "probability": 0.05, "seed": 3, "status": 429, "retry_after": 1},
    {"method": "editMessageText", "probability": 0.03, "seed": 4, "drop": True},
    {"method": "answerCallbackQuery", "probability": 0.05, "seed": 5, "status": 400, "description": "query is too old"},
    {"method": "getUpdates", "probability": 0.03, "seed": 6, "status": 502},
    {"method": "getUpdates", "probability": 0.02, "seed": 7, "drop": True},
]
SHEETS_FAULTS = [
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
    kills: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def kill(self, which: str) -> None:
        """SIGKILL one process and start it again."""
        with self.lock:
            if which == "bot":
                assert self.world.bot is not None
                self.world.bot.kill()
                self.world.start_bot()
            elif which == "collector":
                self.collector.kill()
                self.collector.wait()
                self.collector = start_collector(self.world)
            else:
                port = self.sheets.ready["urls"]["api"].rpartition(":")[2]
                self.sheets.kill()
                self.sheets = start("server.sheets", self.sheets_data, "--port", port)
            self.kills[which] += 1


def start_collector(w: World) -> subprocess.Popen[str]:
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
def chaos(folder: Path) -> Iterator[Chaos]:
    """Telegram, Sheets, bot and collector, with faults, all of which end with the test."""
    home = folder / "home"
    home.mkdir(parents=True)
    definition = home / "trial.toml"
    definition.write_text(DEFINITION)
    SharedClock(home).set(BEGAN)
    sheets = start("server.sheets", folder / "sheets", "--port", "0")
    more = {
        "MOODFLOW_SURVEY": str(definition),
        "MOODFLOW_SHEETS_CREDENTIALS": sheets.ready["credentials"],
        "MOODFLOW_SHEETS_URL": sheets.ready["urls"]["api"],
        "MOODFLOW_SHEETS_PER_MINUTE": "100000",
    }
    try:
        with world(folder, **more) as w:
            made = Chaos(w, sheets, folder / "sheets", start_collector(w))
            try:
                yield made
            finally:
                made.collector.kill()
                made.collector.wait()
                sheets = made.sheets
    finally:
        sheets.stop()


def answers_of(person: int, prompt: int) -> dict[str, Any]:
    """What a respondent answers: a function of who and when, so that a swapped row shows."""
    return {"one": 1 + person % 5, "two": 1 + (person + prompt) % 5, "three": f"={person}+{prompt}"}


def respond(w: World, user: int, ident: str, version: str, given: dict[str, Any]) -> None:
    """Answer a prompt as fast as a person never could: all taps at once, in their order."""
    message, _ = w.people.button(user, f"s.{ident}", 90)
    taps: list[dict[str, Any]] = []
    for n, value in enumerate(given.values()):
        if isinstance(value, int):
            data = encode(Callback("value", ident, version, n, str(value)))
            where = {"user_id": user, "message_id": message["message_id"]}
            taps.append({"method": "tap", **where, "data": data, "force": True})
        else:
            taps.append({"method": "send", "user_id": user, "text": value})
    w.people.post_list("batch", taps)


def submit(w: World, user: int, ident: str) -> None:
    """Tap the submit button once it shows."""
    message, data = w.people.button(user, f"u.{ident}", 90)
    w.people.tap(user, message, data, force=True)


@pytest.mark.campaign
@pytest.mark.xdist_group("survey-campaign")
@pytest.mark.timeout(7200 if FULL else 400)
def test_no_answer_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    """Responses completed = rows in the Sheet, once each, in the right columns; the ledger adds up."""
    dice = random.Random(SEED)
    with chaos(tmp_path) as c, c.world.store() as store:
        w, clock = c.world, SharedClock(c.world.home)
        users = list(range(1, PEOPLE + 1))
        for user in users:
            w.people.enrol(user, country="RU", zone="Europe/Moscow")
        names = {user: store.people.by_chat(user).person for user in users}
        slots = [BEGAN + timedelta(hours=2 * (n + 1)) for n in range(PROMPTS)]
        for user in users:
            store.slots.add(names[user], [(slot, 1 + n // 6, 1 + n % 6) for n, slot in enumerate(slots)])
        w.people.post_list("faults", TELEGRAM_FAULTS)
        assert httpx.post(c.sheets.ready["urls"]["api"] + "/admin/faults", json=SHEETS_FAULTS).status_code == 200
        stop = threading.Event()
        killer = threading.Thread(target=_kill, args=(c, stop, dice.randrange(2**31)))
        killer.start()
        expected: dict[str, dict[str, Any]] = {}
        silent: set[str] = set()
        try:
            for n, slot in enumerate(slots):
                plan_study(store, "trial", clock.now(), slot + timedelta(minutes=5))
                clock.set(slot)
                mine = {user: next(p for p in store.prompts.of(names[user]) if p.slot_at == slot) for user in users}
                silent |= {mine[user].prompt_id for user in users if (user + n) % 7 == 0}
                answering = [user for user in users if mine[user].prompt_id not in silent]
                for user in answering:
                    ident = mine[user].prompt_id
                    expected[ident] = answers_of(user, n) | {"person": names[user], "beep": 1 + n % 6}
                    respond(w, user, ident, mine[user].survey_version, answers_of(user, n))
                clock.set(slot + timedelta(minutes=9))
                for user in answering:
                    submit(w, user, mine[user].prompt_id)
                waiting = {mine[user].prompt_id for user in answering}
                until(lambda waiting=waiting: waiting <= {r.prompt_id for r in store.responses.of()}, 120, "responses")
            until(lambda: sum(c.kills.values()) >= KILLS, 600, "enough kills")
        finally:
            stop.set()
            killer.join()
        clock.set(slots[-1] + timedelta(hours=3))
        until(lambda: not [p for p in store.prompts.overdue(clock.now()) if p.open], 60, "the rest to expire")
        until(lambda: not store.responses.unwritten(1) and not store.prompts.unwritten(1), 120, "all rows written")
        settings = Settings(
            home=w.home,
            sheets_credentials=w.environment["MOODFLOW_SHEETS_CREDENTIALS"],
            sheets_url=w.environment["MOODFLOW_SHEETS_URL"],
            sheets_per_minute=100_000,
        )
        httpx.delete(c.sheets.ready["urls"]["api"] + "/admin/faults")
        header, *rows = read_answers(settings, store)
        table = [dict(zip(header, row, strict=True)) for row in rows]
        print(f"kills: {dict(c.kills)}, responses: {len(table)}, ledger: {store.ledger.counts()}")
        assert Counter(row["prompt_id"] for row in table) == Counter(list(expected))
        for row in table:
            wanted = expected[row["prompt_id"]]
            assert {key: row[key] for key in wanted} == {key: str(value) for key, value in wanted.items()}
            assert (row["status"], row["study"], row["response_id"]) == ("complete", "trial", row["prompt_id"] + "-1")
            assert row["answered_at"] == row["slot_at"].replace(":00:00Z", ":09:00Z")
        states = store.prompts.counts()
        assert states == {"answered": len(expected), "expired": len(silent)}
        closed = Counter(
            subject
            for (subject,) in store.database.rows("SELECT subject FROM ledger WHERE event IN ('answered', 'expired')")
        )
        assert closed == Counter([*expected, *silent])
        assert store.inbox.counts()["failed"] == 0
        assert store.inbox.counts()["waiting"] == 0
        assert sum(c.kills.values()) >= KILLS


def _kill(c: Chaos, stop: threading.Event, seed: int) -> None:
    dice = random.Random(seed)
    while not stop.is_set():
        time.sleep(dice.uniform(0.3, 1.5))
        c.kill(dice.choice(["bot", "bot", "collector", "sheets"]))
