"""Prompts of the next minutes, planned and put into the outbox; the bot sends each at its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from clearml_utils import current_record, flow, task
from flows import settings as configuration
from flows.clock import SharedClock
from flows.settings import Settings
from flows.store import Prompt, Store
from flows.survey.definition import Survey
from flows.survey.planning import EPOCH, MICROSECOND, People, micros, plan, prompt_id

CHUNK = 2000
"""Prompts per commit: the bot writes to the same file and must not wait long."""
LOOK_BACK = timedelta(days=2)
"""How far back a late run looks for prompts it missed."""


@dataclass(frozen=True)
class Planned:
    """What one run of the planner did."""

    study: str
    new: int
    skipped: int


@flow(name="survey", flow_run_name="survey", capture="summary")
def survey(lookahead_minutes: int = 15) -> list[Planned]:
    """Plan the prompts due until `lookahead_minutes` from now, in every open study.

    Safe to run late, twice, or at the same time as another run: a prompt's id is made of person, survey version and
    slot. What is still valid is sent, what is too late is recorded as skipped.
    """
    settings = configuration.load()
    now = SharedClock(settings.home).now()
    end = now + timedelta(minutes=lookahead_minutes)
    planned: Any = plan_prompts(settings, now, end)
    return list(planned)


@task(name="plan prompts", retries=2, retry_delay_seconds=5)
def plan_prompts(settings: Settings, now: datetime, end: datetime) -> list[Planned]:
    """Plan every open study."""
    with Store.open(settings.database) as store:
        store.surveys.open(settings.survey, now)
        store.people.resume_due(now)
        done = [plan_study(store, one.study, now, end) for one in store.studies.list() if not _over(one.ends_at, now)]
    record = current_record()
    record.values({"prompts_planned": sum(p.new for p in done), "prompts_skipped": sum(p.skipped for p in done)})
    return done


def _over(ends_at: datetime | None, now: datetime) -> bool:
    return ends_at is not None and ends_at <= now


def plan_study(store: Store, study: str, now: datetime, end: datetime) -> Planned:
    """Plan one study: from where the last run stood until `end`."""
    asked = store.surveys.of_study(study)
    if asked is None:
        return Planned(study, 0, 0)
    key = f"planned:{study}"
    last = store.facts.get(key)
    start = max(datetime.fromisoformat(last), now - LOOK_BACK) if last else now - LOOK_BACK
    prompts = _slots(store, asked, study, start, end)
    due = [p for p in prompts if p.expires_at > now]
    missed = [p for p in prompts if p.expires_at <= now]
    new = sum(_enqueue(store, due[n : n + CHUNK]) for n in range(0, len(due), CHUNK))
    skipped = _skip(store, missed, now)
    store.facts.set(key, min(now, end).isoformat())
    return Planned(study, new, skipped)


def _slots(store: Store, asked: Survey, study: str, start: datetime, end: datetime) -> list[Prompt]:
    expires = asked.schedule.expires_after
    if asked.schedule.kind == "explicit":
        zones = {p.person: p.timezone for p in store.people.list(study, "active")}
        return [
            _prompt(asked, study, person, zones[person], at, day, beep, expires)
            for person, at, day, beep in store.slots.between(study, start, end)
        ]
    members = store.people.list(study, "active")
    enrolled = np.array([micros(p.enrolled_at or p.consented_at) for p in members], dtype=np.int64)
    slots = plan(asked, People([p.person for p in members], [p.timezone for p in members], enrolled), start, end)
    return [
        _prompt(asked, study, members[who].person, members[who].timezone, EPOCH + at * MICROSECOND, day, beep, expires)
        for who, at, day, beep in zip(
            slots.who.tolist(), slots.at.tolist(), slots.day.tolist(), slots.beep.tolist(), strict=True
        )
    ]


def _prompt(
    asked: Survey, study: str, person: str, zone: str, at: datetime, day: int, beep: int, expires: timedelta
) -> Prompt:
    ident = prompt_id(person, asked.version, micros(at))
    return Prompt(ident, person, study, asked.version, day, beep, at, at + expires, zone)


def _enqueue(store: Store, prompts: list[Prompt]) -> int:
    """Write prompts and their sending in one commit; how many were new."""
    with store.transaction():
        known = store.prompts.known([p.prompt_id for p in prompts])
        fresh = [p for p in prompts if p.prompt_id not in known]
        store.prompts.add(fresh)
        store.outbox.enqueue_many(
            (
                f"{p.prompt_id}:prompt",
                p.person,
                "prompt",
                {"method": "prompt", "prompt_id": p.prompt_id},
                p.slot_at,
                p.expires_at,
            )
            for p in fresh
        )
    return len(fresh)


def _skip(store: Store, missed: list[Prompt], now: datetime) -> int:
    """Record prompts found too late, in the ledger and with their state."""
    with store.transaction():
        known = store.prompts.known([p.prompt_id for p in missed])
        fresh = [p for p in missed if p.prompt_id not in known]
        store.prompts.add(Prompt(**{**vars(p), "state": "skipped"}) for p in fresh)
        store.ledger.add_many((p.prompt_id, "skipped", now, "planned too late to be sent") for p in fresh)
    return len(fresh)
