"""What an answer of Telegram's means for the message that was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TimedOut,
)
from telegram.request import HTTPXRequest

from flows.clients.telegram import RecordingRequest, TelegramSettingsError, judged, make_bot
from flows.settings import Settings


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RetryAfter(7), "wait"),
        (Forbidden("bot was blocked by the user"), "gone"),
        (BadRequest("Chat not found"), "gone"),
        (BadRequest("can't parse entities"), "refused"),
        (ChatMigrated(-100), "moved"),
        (TimedOut(), "unsure"),
        (NetworkError("Bad Gateway"), "down"),
        (InvalidToken(), "down"),
        (Conflict("terminated by other getUpdates request"), "down"),
    ],
)
def test_errors_are_sorted(error, kind):
    """A 400 is never tried again although its class is a network error; waits and moves carry their numbers."""
    outcome = judged(error)
    assert outcome.kind == kind
    assert outcome.seconds == (7 if kind == "wait" else 0)
    assert outcome.value == (-100 if kind == "moved" else None)


def test_a_missing_token_is_named(tmp_path):
    """The setting and both ways out."""
    for token in (None, SecretStr("  ")):
        with pytest.raises(TelegramSettingsError, match=r"MOODFLOW_TELEGRAM_TOKEN.*moodflow up"):
            make_bot(Settings(home=tmp_path, telegram_token=token))


async def polled(monkeypatch, payload: dict[str, Any], record) -> dict[str, Any]:
    async def answer(self, url, *args, **kwargs):
        return 200, json.dumps(payload).encode()

    monkeypatch.setattr(HTTPXRequest, "do_request", answer)
    _status, body = await RecordingRequest(record).do_request("http://127.0.0.1/bot1:x/getUpdates")
    return json.loads(body)


def test_updates_are_handed_on_whole_before_the_library_sees_their_ids(monkeypatch):
    """Also updates of a kind the library does not know; if they cannot be kept, they are not confirmed."""
    import asyncio

    kept: list[dict[str, Any]] = []
    news = {"ok": True, "result": [{"update_id": 5, "hologram": {"text": "x"}}]}
    assert asyncio.run(polled(monkeypatch, news, kept.extend)) == {"ok": True, "result": [{"update_id": 5}]}
    assert kept == news["result"]

    def full(_: list[dict[str, Any]]) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        asyncio.run(polled(monkeypatch, news, full))
