"""The operators' two channels: a Telegram chat and a webhook. Each takes a notice or says that it did not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from telegram.error import TelegramError

from flows.clients import telegram
from flows.settings import Settings

log = logging.getLogger(__name__)
TIMEOUT = 15.0
Channel = Callable[[Mapping[str, Any]], bool]
"""Takes a notice (plain data: id, kind, keys, text, at); True where it arrived."""


def channels(settings: Settings) -> dict[str, Channel]:
    """The channels the settings name: `MOODFLOW_OPERATOR_CHAT`, `MOODFLOW_ALERT_WEBHOOK`."""
    found: dict[str, Channel] = {}
    if settings.operator_chat is not None and settings.telegram_token is not None:
        chat = settings.operator_chat
        found["telegram"] = lambda notice: asyncio.run(_chat(settings, chat, str(notice["text"])))
    if settings.alert_webhook:
        address = settings.alert_webhook
        found["webhook"] = lambda notice: _post(address, notice)
    return found


async def _chat(settings: Settings, chat: int, text: str) -> bool:
    try:
        async with telegram.make_bot(settings) as bot:
            outcome = await telegram.send(bot, chat, {"method": "sendMessage", "text": text[:4000]})
    except TelegramError as error:  # entering asks getMe
        outcome = telegram.judged(error)
    if outcome.kind != "ok":
        log.warning("the operators' chat did not take a notice: %s %s", outcome.kind, outcome.reason)
    # sent, or perhaps sent: a second copy of an alert does no harm, so only certainty ends the trying
    return outcome.kind == "ok"


def _post(address: str, notice: Mapping[str, Any]) -> bool:
    """POST a notice; receivers know a repeat by its `Idempotency-Key`."""
    try:
        answer = httpx.post(
            address, json=dict(notice), headers={"Idempotency-Key": str(notice["id"])}, timeout=TIMEOUT
        ).raise_for_status()
    except httpx.HTTPError as error:
        log.warning("the alert webhook did not take a notice: %s", type(error).__name__)
        return False
    return answer.is_success
