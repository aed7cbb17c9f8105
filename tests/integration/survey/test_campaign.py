"""Everything is killed and everything fails: each answer is a row in the Sheet, once, in the right columns.

Short and seeded here; `make campaign` runs 200 people and 30 prompts each, with at least 100 kills.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.clients.sheets import read_answers
from flows.clock import SharedClock
from flows.settings import Settings
from flows.store import Prompt, Store
from flows.survey.callbacks import Callback, encode
from flows.survey.flow import plan_study
from tests.integration.survey.chaos import SHEETS_FAULTS, TELEGRAM_FAULTS, TIMEOUTS, Chaos, chaos, enough
from tests.integration.survey.crowd import Crowd, Filling, tap

FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
PEOPLE, PROMPTS, KILLS = (200, 30, 100) if FULL else (9, 3, 3)
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
ENDS = {
    "whole": {"answered"},
    "silent": {"expired"},
    "late": {"expired"},
    "left": {"abandoned"},
    "blocked": {"cancelled", "refused"},
    "missed": {"skipped"},
}
"""What people do with a prompt, and what the ledger may say became of it."""
CLOSING = {"answered", "empty", "abandoned", "expired", "skipped", "cancelled", "refused"}


def fate(user: int, number: int) -> str:
    """What a person does with a prompt; the planner runs too late for one prompt of all."""
    if number == PROMPTS // 2:
        return "missed"
    return {0: "silent", 1: "late", 2: "left", 3: "blocked"}.get((user + 4 * number) % 9, "whole")


def answers_of(person: int, prompt: int) -> dict[str, Any]:
    """What a respondent answers: a function of who and when, so that a swapped row shows."""
    return {"one": 1 + person % 5, "two": 1 + (person + prompt) % 5, "three": f"={person}+{prompt}"}


class Study:
    """The study being run: who answers what, and what is expected of it."""

    def __init__(self, c: Chaos, crowd: Crowd, store: Store) -> None:
        self._people, self._crowd, self._store = c.world.people, crowd, store
        self._clock = SharedClock(c.world.home)
        self.users = list(range(1, PEOPLE + 1))
        self.names: dict[int, str] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.fates: dict[str, str] = {}

    def enrol(self) -> None:
        """Everybody joins, and has a plan of prompts."""
        for user in self.users:
            self._people.enrol(user, country="RU", zone="Europe/Moscow")
            found = self._store.people.by_chat(user)
            assert found is not None
            self.names[user] = found.person
            plan = [(slot(n), 1 + n // 6, 1 + n % 6) for n in range(PROMPTS)]
            self._store.slots.add(found.person, plan)

    def round(self, number: int) -> None:
        """One prompt of everybody's, from planning to what became of it."""
        at = slot(number)
        if fate(1, number) == "missed":
            self._clock.set(at + timedelta(minutes=70))
            plan_study(self._store, "trial", self._clock.now(), self._clock.now() + timedelta(minutes=5))
            self._doomed(number)
            return
        plan_study(self._store, "trial", self._clock.now(), at + timedelta(minutes=5))
        groups = self._doomed(number)
        for user in groups["blocked"]:
            self._people.post("block", user_id=user)
        self._clock.set(at)
        self._answer(groups, number)
        self._clock.set(at + timedelta(minutes=95))
        self._late(groups)

    def _doomed(self, number: int) -> dict[str, dict[int, Prompt]]:
        groups: dict[str, dict[int, Prompt]] = defaultdict(dict)
        for user in self.users:
            (prompt,) = [p for p in self._store.prompts.of(self.names[user], slot(number)) if p.slot_at == slot(number)]
            groups[fate(user, number)][user] = prompt
            self.fates[prompt.prompt_id] = fate(user, number)
        return groups

    def _answer(self, groups: dict[str, dict[int, Prompt]], number: int) -> None:
        fillings = {
            user: Filling(p.prompt_id, p.survey_version, answers_of(user, number))
            for user, p in groups["whole"].items()
        }
        self._crowd.fill(fillings)
        self._leave(groups["left"], number)
        seen = [p.prompt_id for kind in ("silent", "late") for p in groups[kind].values()]
        self._until(seen, "sent")
        self._clock.set(slot(number) + timedelta(minutes=9))
        self._crowd.submit(fillings)
        self._until([f.prompt for f in fillings.values()], "answered")
        for user, prompt in groups["whole"].items():
            self._expect(prompt, user, number, answers_of(user, number), "complete", 9)

    def _leave(self, group: dict[int, Prompt], number: int) -> None:
        """Some answer one item and never come back."""
        for user, prompt in group.items():
            self._crowd.wait(lambda u=user, p=prompt: self._crowd.shown(u, p.prompt_id) is not None, what="a prompt")
            message = self._crowd.shown(user, prompt.prompt_id)
            assert message is not None
            value = answers_of(user, number)["one"]
            data = encode(Callback("value", prompt.prompt_id, prompt.survey_version, 0, str(value)))
            self._crowd.do([tap(user, message, data)])
            self._expect(prompt, user, number, {"one": value, "two": "", "three": ""}, "partial", 0)
        self._until([p.prompt_id for p in group.values()], "started")

    def _expect(self, prompt: Prompt, user: int, number: int, given: dict[str, Any], status: str, after: int) -> None:
        answered_at = f"{slot(number) + timedelta(minutes=after):%Y-%m-%dT%H:%M:%SZ}"
        keys = {"person": self.names[user], "beep": 1 + number % 6, "status": status, "answered_at": answered_at}
        self.rows[prompt.prompt_id] = given | keys

    def _late(self, groups: dict[str, dict[int, Prompt]]) -> None:
        """Some tap after the prompt is over; those who blocked the bot let it in again."""
        calls = []
        for user, prompt in groups["late"].items():
            message = self._crowd.shown(user, prompt.prompt_id) or {"message_id": prompt.message_id or 1}
            data = encode(Callback("value", prompt.prompt_id, prompt.survey_version, 0, "3"))
            calls.append(tap(user, message, data))
        self._crowd.do(calls)
        over = [p.prompt_id for kind in ("silent", "late", "left") for p in groups[kind].values()]
        self._until(over, "expired")
        for user in groups["blocked"]:
            self._people.post("unblock", user_id=user)
            self._people.start(user)
        names = [self.names[user] for user in groups["blocked"]]
        self._crowd.wait(lambda: all(self._store.people.get(n).state == "active" for n in names), what="unblocking")

    def _until(self, prompts: Iterable[str], state: str) -> None:
        wanted = list(prompts)
        marks = ",".join("?" * len(wanted))
        sql = f"SELECT COUNT(*) FROM prompts WHERE prompt_id IN ({marks}) AND state = ?"  # noqa: S608 - question marks
        self._crowd.wait(
            lambda: self._store.database.number(sql, [*wanted, state]) == len(wanted), what=f"prompts to be {state}"
        )

    def finish(self) -> None:
        """Everything is written and nothing is left open."""
        self._clock.set(slot(PROMPTS) + timedelta(hours=3))
        database = self._store.database
        open_ones = "SELECT COUNT(*) FROM prompts WHERE state IN ('planned', 'sent', 'started')"
        self._crowd.wait(lambda: database.number(open_ones) == 0, what="the rest to close")
        left = "SELECT COUNT(*) FROM outbox WHERE state IN ('waiting', 'sending')"
        self._crowd.wait(lambda: database.number(left) == 0, what="the outbox to be empty")
        self._crowd.wait(
            lambda: not self._store.responses.unwritten(1) and not self._store.prompts.unwritten(1), what="all rows"
        )


def slot(number: int) -> datetime:
    """When a prompt is due."""
    return BEGAN + timedelta(hours=2 * (number + 1))


@pytest.mark.campaign
@pytest.mark.xdist_group("survey-campaign")
@pytest.mark.timeout(7200 if FULL else 500)
def test_no_answer_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    """Responses = rows in the Sheet, once each, in the right columns; the ledger adds up.

    Bot, collector and Sheets endpoint are killed; the bot hears by turns by polling and by a webhook, whose posts come
    twice and out of order; some people never answer, stop half way, tap too late or block the bot.
    """
    home = tmp_path / "home"
    home.mkdir()
    definition = home / "trial.toml"
    definition.write_text(DEFINITION)
    SharedClock(home).set(BEGAN)
    with chaos(tmp_path, definition) as c, c.world.store() as store, Crowd.watching(c.world.people) as crowd:
        study = Study(c, crowd, store)
        study.enrol()
        c.world.people.post_list("faults", [*TELEGRAM_FAULTS, *(TIMEOUTS if FULL else [])])
        sheets = c.sheets.ready["urls"]["api"]
        assert httpx.post(sheets + "/admin/faults", json=SHEETS_FAULTS).status_code == 200
        with c.killing(SEED):
            for number in range(PROMPTS):
                study.round(number)
                print(f"round {number + 1}: kills {dict(c.kills)}")
            enough(c, KILLS)
        study.finish()
        httpx.delete(sheets + "/admin/faults")
        header, *rows = read_answers(
            Settings(
                home=home,
                sheets_credentials=c.world.environment["MOODFLOW_SHEETS_CREDENTIALS"],
                sheets_url=sheets,
                sheets_per_minute=100_000,
            ),
            store,
        )
        table = [dict(zip(header, row, strict=True)) for row in rows]
        heard = f"restarted by {dict(c.listened)}"
        print(f"kills: {dict(c.kills)}, {heard}, rows: {len(table)}, ledger: {store.ledger.counts()}")
        the_rows_are_right(study, table)
        the_ledger_adds_up(study, store)
        assert sum(c.kills.values()) >= KILLS


def the_rows_are_right(study: Study, table: list[dict[str, str]]) -> None:
    """Each answered prompt is one row with what was answered to it."""
    assert Counter(row["prompt_id"] for row in table) == Counter(list(study.rows))
    for row in table:
        wanted = study.rows[row["prompt_id"]]
        assert {key: row[key] for key in wanted} == {key: str(value) for key, value in wanted.items()}
        assert (row["study"], row["response_id"]) == ("trial", row["prompt_id"] + "-1")


def the_ledger_adds_up(study: Study, store: Store) -> None:
    """Every prompt has one end in the ledger, and it is the one its person chose; no update is left."""
    ends: defaultdict[str, list[str]] = defaultdict(list)
    for subject, event in store.database.rows("SELECT subject, event FROM ledger"):
        if event in CLOSING and subject in study.fates:
            ends[subject].append(event)
    assert len(study.fates) == PEOPLE * PROMPTS
    wrong = {prompt: (kind, ends[prompt]) for prompt, kind in study.fates.items() if len(ends[prompt]) != 1}
    assert wrong == {}
    assert {k: ends[k] for k, kind in study.fates.items() if ends[k][0] not in ENDS[kind]} == {}
    told = Counter("expired" if ends[p][0] == "abandoned" else ends[p][0] for p in study.fates)
    assert store.prompts.counts() == dict(told)
    assert store.inbox.counts()["failed"] == 0
    assert store.inbox.counts()["waiting"] == 0
