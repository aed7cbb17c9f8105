"""New answers from the store to the Sheet, each once, by one writer."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearml_utils import current_record, flow, task
from flows import settings as configuration
from flows.clients.sheets import ANSWERS, HEADERS, Sheet, open_sheet, rolled_over
from flows.clock import Clock, SharedClock
from flows.collect.rows import KEYS, MESSAGES, PEOPLE, PROMPTS, Row, answer_row, plain_row
from flows.settings import Settings
from flows.store import Response, Store
from flows.survey.definition import Survey

INTENT = "sheet_intent"
BATCH = 5000
FOLLOW_EVERY = 4.2
"""Seconds between two writes while following: an answer is in the Sheet within five, and two calls a write stay far
below Google's quota."""
OTHERS_EVERY = 60.0


@dataclass(frozen=True)
class Collected:
    """What one run wrote."""

    responses: int
    prompts: int
    people: int
    messages: int
    erased: int
    calls: int


@flow(name="collect", flow_run_name="collect", capture="summary")
def collect(follow_seconds: float = 0) -> Collected:
    """Write what the Sheet lacks: answers, prompts, people, messages; carry out deletions.

    Parameters
    ----------
    follow_seconds
        Go on for so long, writing new answers every few seconds.
    """
    done: Any = write_new(configuration.load(), follow_seconds)
    written: Collected = done
    return written


@task(name="write to the Sheet", retries=3, retry_delay_seconds=[2, 10, 30])
def write_new(settings: Settings, follow_seconds: float = 0) -> Collected:
    """Do what `collect` says, and count it."""
    with one_writer(settings.home), Store.open(settings.database) as store:
        writer = Writer(settings, store, SharedClock(settings.home))
        writer.everything()
        end = time.monotonic() + follow_seconds
        while time.monotonic() < end:
            time.sleep(min(FOLLOW_EVERY, max(0.0, end - time.monotonic())))
            writer.follow()
        done = writer.done()
    record = current_record()
    record.values({"rows_written": done.responses, "rows_erased": done.erased, "api_calls": done.calls})
    return done


@contextmanager
def one_writer(home: Path) -> Iterator[None]:
    """Hold the right to write to the Sheet: two writers could overwrite each other's rows. The second one waits."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "sheet.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


class Writer:
    """Writes to the Sheet what it lacks."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._sheet: Sheet = open_sheet(settings, store)
        self._counts = dict.fromkeys(("responses", "prompts", "people", "messages", "erased"), 0)
        self._others_at = 0.0
        self._calls = 0

    def everything(self) -> None:
        """One full round."""
        self._headers(HEADERS)
        self._recover()
        self._erasures()
        self._answers()
        self._others()

    def follow(self) -> None:
        """A small round: new answers, the rest once a minute."""
        if time.monotonic() - self._others_at > OTHERS_EVERY or self._store.people.erasures_open("sheet"):
            self.everything()
        elif self._store.responses.unwritten(1):
            self._headers([ANSWERS])
            self._answers()

    def done(self) -> Collected:
        """What was written so far."""
        return Collected(**self._counts, calls=self._calls + self._sheet.calls)

    def _headers(self, titles: Collection[str]) -> None:
        items = self._item_columns()
        wanted = {title: HEADERS[title] for title in HEADERS if title in titles}
        if ANSWERS in wanted:
            wanted[ANSWERS] = (*KEYS, *items)
        self._sheet.headers(wanted)

    def _item_columns(self) -> list[str]:
        """Items of every survey that is asked or waits to be written."""
        versions = {study.survey_version for study in self._store.studies.list()}
        surveys = [self._store.surveys.by_version(version) for version in sorted(versions)]
        return list(dict.fromkeys(item for survey in surveys for item in survey.item_ids))

    def _answers(self) -> None:
        while waiting := self._store.responses.unwritten(BATCH):
            surveys = {v: self._store.surveys.by_version(v) for v in {r.survey_version for r in waiting}}
            self._cover(surveys)
            if not self._sheet.room_for(len(waiting)):
                self._sheet = rolled_over(self._settings, self._store, self._sheet)
                self._headers(HEADERS)
                self._cover(surveys)
            self._write(waiting, surveys)

    def _cover(self, surveys: dict[str, Survey]) -> None:
        """Columns for items of older versions that still wait."""
        header = set(self._sheet.pages[ANSWERS].header)
        items = [item for survey in surveys.values() for item in survey.item_ids]
        if not header.issuperset(items):
            self._sheet.headers({ANSWERS: (*KEYS, *self._item_columns(), *items)})

    def _write(self, waiting: list[Response], surveys: dict[str, Survey]) -> None:
        """Append responses. The intent is noted first: a writer that dies is followed by one that reads back."""
        self._store.facts.set(INTENT, self._clock.now().isoformat())
        rows: list[Row] = [answer_row(response, surveys[response.survey_version]) for response in waiting]
        self._sheet.append(ANSWERS, rows, "response_id")
        with self._store.transaction():
            self._store.responses.written([r.response_id for r in waiting], self._clock.now())
            self._store.facts.set(INTENT, None)
        self._counts["responses"] += len(waiting)

    def _recover(self) -> None:
        """After a writer that died: rows that arrived are marked as written."""
        if self._store.facts.get(INTENT) is None:
            return
        there = self._sheet.column(ANSWERS, "response_id")
        arrived = [r.response_id for r in self._store.responses.unwritten(-1) if r.response_id in there]
        with self._store.transaction():
            self._store.responses.written(arrived, self._clock.now())
            self._store.facts.set(INTENT, None)

    def _others(self) -> None:
        """People and what became of prompts and messages; rows that are there already are written over."""
        self._others_at = time.monotonic()
        now = self._clock.now()
        people = self._store.people.unwritten()
        if people:
            self._sheet.upsert("people", [plain_row(person, PEOPLE) for person in people], "person")
            self._store.people.written(people, now)
        while prompts := self._store.prompts.unwritten(BATCH):
            self._sheet.upsert("prompts", [plain_row(prompt, PROMPTS) for prompt in prompts], "prompt_id")
            self._store.prompts.written(prompts, now)
            self._counts["prompts"] += len(prompts)
        messages = self._store.messages.unwritten()
        if messages:
            self._sheet.upsert("messages", [plain_row(one, MESSAGES) for one in messages], "message_id")
            self._store.messages.written([one.message_id for one in messages], now)
        self._counts["people"] += len(people)
        self._counts["messages"] += len(messages)

    def _erasures(self) -> None:
        for person in self._store.people.erasures_open("sheet"):
            self._counts["erased"] += self._sheet.erase(person)
            self._store.people.erasure_done(person, "sheet", self._clock.now())
