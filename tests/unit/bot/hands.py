"""Updates by hand, for tests of what the bot makes of them without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from flows.bot.engine import apply
from flows.store import Incoming, Prompt, Store
from flows.survey.callbacks import Callback, encode

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NUMBERS: Iterator[int] = count(1)


def user(chat: int, language: str = "en") -> dict[str, Any]:
    return {"id": chat, "is_bot": False, "first_name": "N", "language_code": language}


def message(sender: int, at: datetime = NOW, **content: Any) -> Incoming:
    number = next(NUMBERS)
    frame = {"message_id": number, "date": 0, "from": user(sender), "chat": {"id": sender, "type": "private"}}
    body = frame | content
    return Incoming(number, {"update_id": number, "message": body}, at)


def tap(chat: int, data: str, message_id: int = 1, at: datetime = NOW) -> Incoming:
    number = next(NUMBERS)
    query = {"id": f"q{number}", "from": user(chat), "data": data, "message": {"message_id": message_id}}
    return Incoming(number, {"update_id": number, "callback_query": query}, at)


def enrol(store: Store, chat: int, study: str = "mood", at: datetime = NOW) -> str:
    """Through the dialogue: /start, consent, country, timezone; the pseudonym."""
    steps = [message(chat, at, text=f"/start {study}")]
    steps += [tap(chat, data, at=at) for data in ("c.yes", "k.NL", "z.Europe/Amsterdam")]
    apply(store, steps, study)
    found = store.people.by_chat(chat)
    assert found is not None
    return found.person


def prompted(store: Store, person: str, ident: str = "a" * 16, state: str = "sent") -> Prompt:
    survey = store.surveys.of_study("mood")
    assert survey is not None
    made = Prompt(ident, person, "mood", survey.version, 1, 1, NOW, NOW + timedelta(hours=1), "Europe/Amsterdam", state)
    store.prompts.add([made])
    return made


def value(prompt: str, version: str, item: int, chosen: str) -> str:
    return encode(Callback("value", prompt, version, item, chosen))


def said(store: Store, person: str | None = None) -> list[str]:
    """Texts that wait to be sent, oldest first."""
    rows = store.database.rows(
        "SELECT payload FROM outbox WHERE state = 'waiting' AND (?1 IS NULL OR person = ?1) ORDER BY due_at, key",
        (person,),
    )
    return [json.loads(row[0]).get("text", "") for row in rows]
