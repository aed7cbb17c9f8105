"""What time itself brings about: prompts expire, pauses and studies end, old things are forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from flows.bot.answers import deadline, expire
from flows.bot.texts import text
from flows.store import Store

KEEP_UPDATE_IDS = timedelta(days=8)
"""Telegram starts update ids afresh after a week of silence: none from before that can come again."""


def sweep(store: Store, now: datetime) -> int:
    """Close what is overdue; number of (partial) responses that came of it.

    Must not run while updates wait that were made in time.
    """
    made = 0
    overdue = store.prompts.overdue(now)
    if overdue:
        with store.transaction():
            for prompt in overdue:
                if deadline(store, prompt, now) < now:
                    made += expire(store, prompt, now)
    return made


def daily(store: Store, now: datetime) -> None:
    """End pauses and studies, forget what need not be kept."""
    store.people.resume_due(now)
    for study in store.studies.list():
        if study.ends_at is None or study.ends_at > now:
            continue
        for person in store.people.list(study.study):
            if person.state in {"active", "paused"}:
                _end(store, person.person, person.language, now)
    purge(store, now)
    store.inbox.prune(now - KEEP_UPDATE_IDS)


def purge(store: Store, now: datetime) -> int:
    """Erase everybody of studies whose retention period is over, as /delete does; how many people."""
    erased = 0
    for study in store.studies.list():
        if study.ends_at is None or study.retention_days is None or study.purged_at is not None:
            continue
        if study.ends_at + timedelta(days=study.retention_days) > now:
            continue
        for person in store.people.list(study.study):
            store.erase(person.person, now)
            erased += 1
        store.studies.purged(study.study, now)
        store.ledger.add(study.study, "purged", now, f"{erased} people, kept {study.retention_days} days")
    return erased


def _end(store: Store, person: str, language: str, now: datetime) -> None:
    with store.transaction():
        store.cancel_planned(person, now, "the study ended")
        store.people.change(person, state="ended")
        store.ledger.add(person, "ended", now)
        payload = {"method": "sendMessage", "text": text("ended", language)}
        store.outbox.enqueue(f"{person}:ended", person, "reply", payload, now)
