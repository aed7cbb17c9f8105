"""How the store does: ages of what waits, and counts of the last day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.store.database import Database, micros, moment

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Vitals:
    """Ages in seconds, 0 where nothing waits; `bot_heard` is epoch seconds of the machine's clock."""

    bot_heard: float | None
    sheet_lag_s: float
    outbox_age_s: float
    inbox_waiting: int
    responses_1d: int
    messages_1d: int
    people: int


def vitals(database: Database, heard: float | None, now: datetime) -> Vitals:
    """Read them; `now` is the product's clock, `heard` the fact the bot keeps."""
    unwritten = database.number("SELECT MIN(answered_at) FROM responses WHERE written_at IS NULL")
    due = database.number("SELECT MIN(due_at) FROM outbox WHERE state = 'waiting'")
    since = micros(now - _DAY)
    return Vitals(
        heard,
        _age(unwritten, now),
        _age(due, now),
        database.number("SELECT COUNT(*) FROM inbox WHERE done_at IS NULL"),
        database.number("SELECT COUNT(*) FROM responses WHERE answered_at >= ?", (since,)),
        database.number("SELECT COUNT(*) FROM outbox WHERE state = 'sent' AND closed_at >= ?", (since,)),
        database.number("SELECT COUNT(*) FROM people"),
    )


def _age(stamp: int, now: datetime) -> float:
    return max((now - moment(stamp)).total_seconds(), 0.0) if stamp else 0.0
