"""Every call to Telegram, through python-telegram-bot; what went wrong comes back as one of a few outcomes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import BaseRequest, HTTPXRequest

from flows.settings import Settings

TIMEOUT = 20.0
CONNECTIONS = 32


class TelegramSettingsError(ValueError):
    """The bot cannot be set up: which setting is missing or wrong."""


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    `kind`: ok, wait (try again after `seconds`), gone (blocked or deactivated: not again), moved (chat has a new id,
    `value`), refused (a mistake in what was sent: never again), unsure (it may have been delivered), down (Telegram or
    the network does not work: again later).
    """

    kind: str
    value: int | None = None
    seconds: float = 0.0
    reason: str = ""


class RecordingRequest(HTTPXRequest):
    """Long polling that hands every answer on before the library sees it.

    `record` gets the updates as Telegram sent them and must have them on disk when it returns: the library confirms
    them with its next call. What the library is then given is their ids alone, so that an update it cannot read is not
    lost either.
    """

    def __init__(self, record: Callable[[list[dict[str, Any]]], None], **options: Any) -> None:
        super().__init__(**options)
        self._record = record

    async def do_request(self, url: str, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Make one call; see `telegram.request.BaseRequest.do_request`."""
        status, payload = await super().do_request(url, *args, **kwargs)
        if status != 200 or not url.endswith("/getUpdates"):
            return status, payload
        updates = json.loads(payload).get("result") or []
        self._record(updates)
        ids = [{"update_id": update["update_id"]} for update in updates]
        return status, json.dumps({"ok": True, "result": ids}).encode()


class Lanes(BaseRequest):
    """Calls side by side, each on a connection of its own.

    One pool of many connections looks at all of them for every call; many pools of one do not. Of an edit only the
    success is handed on: reading back the message that was just written costs more than all the rest of the call.
    """

    def __init__(self, count: int, **options: Any) -> None:
        self._all = [HTTPXRequest(connection_pool_size=1, **options) for _ in range(count)]
        self._free: asyncio.LifoQueue[HTTPXRequest] = asyncio.LifoQueue()
        for lane in self._all:
            self._free.put_nowait(lane)

    @property
    def read_timeout(self) -> float | None:
        """Seconds to wait for an answer."""
        return self._all[0].read_timeout

    async def initialize(self) -> None:
        """Open all lanes."""
        for lane in self._all:
            await lane.initialize()

    async def shutdown(self) -> None:
        """Close all lanes."""
        for lane in self._all:
            await lane.shutdown()

    async def do_request(self, url: str, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Make one call on a free lane; see `telegram.request.BaseRequest.do_request`."""
        lane = await self._free.get()
        try:
            status, payload = await lane.do_request(url, *args, **kwargs)
        finally:
            self._free.put_nowait(lane)
        if status == 200 and url.endswith("/editMessageText"):
            return status, b'{"ok":true,"result":true}'
        return status, payload


def make_bot(settings: Settings, record: Callable[[list[dict[str, Any]]], None] | None = None) -> Bot:
    """Make the bot the settings name.

    Raises
    ------
    TelegramSettingsError
        No token: MOODFLOW_TELEGRAM_TOKEN, or a running local stack.
    """
    if settings.telegram_token is None or not settings.telegram_token.get_secret_value().strip():
        raise TelegramSettingsError(
            "no bot token: set MOODFLOW_TELEGRAM_TOKEN (from @BotFather), or start the local stack with `moodflow up`"
        )
    root = settings.telegram_url.rstrip("/")
    timeouts: dict[str, Any] = {
        "connect_timeout": TIMEOUT,
        "read_timeout": TIMEOUT,
        "write_timeout": TIMEOUT,
        "pool_timeout": TIMEOUT,
    }
    # A polling call waits while nothing happens; what it has to fetch may be a hundred updates long.
    polling = RecordingRequest(record or (lambda _: None), connection_pool_size=2, **timeouts)
    return Bot(
        settings.telegram_token.get_secret_value(),
        base_url=f"{root}/bot",
        base_file_url=f"{root}/file/bot",
        request=Lanes(CONNECTIONS, **timeouts),
        get_updates_request=polling,
    )


async def attempt(call: Awaitable[Any]) -> Outcome:
    """Await a call of the bot; its result's message id, or what went wrong."""
    try:
        result = await call
    except TelegramError as error:
        return judged(error)
    return Outcome("ok", getattr(result, "message_id", None))


def judged(error: TelegramError) -> Outcome:  # noqa: PLR0911 - one line per kind of error
    """Sort an error of Telegram's."""
    reason = error.message[:200]
    if isinstance(error, RetryAfter):
        after = error.retry_after
        return Outcome("wait", seconds=float(after if isinstance(after, (int, float)) else after.total_seconds()))
    if isinstance(error, ChatMigrated):
        return Outcome("moved", error.new_chat_id)
    if isinstance(error, Forbidden):
        return Outcome("gone", reason=reason)
    if isinstance(error, BadRequest):
        return Outcome("gone" if "chat not found" in reason.lower() else "refused", reason=reason)
    if isinstance(error, TimedOut):
        return Outcome("unsure", reason="timed out")
    if isinstance(error, (NetworkError, InvalidToken, Conflict)):
        return Outcome("down", reason=reason)
    return Outcome("refused", reason=reason)


async def send(bot: Bot, chat_id: int, payload: Mapping[str, Any]) -> Outcome:
    """Send what the outbox holds: a message, a photo or a document."""
    more = _markup(payload.get("reply_markup"))
    method = payload["method"]
    if method == "sendMessage":
        call: Awaitable[Any] = bot.send_message(
            chat_id, payload["text"], parse_mode=payload.get("parse_mode"), api_kwargs=more
        )
    elif method == "sendPhoto":
        call = bot.send_photo(
            chat_id,
            base64.b64decode(payload["photo_base64"]),
            caption=payload.get("caption"),
            parse_mode=payload.get("parse_mode"),
            api_kwargs=more,
            filename="chart.png",
        )
    elif method == "sendDocument":
        call = bot.send_document(
            chat_id,
            base64.b64decode(payload["document_base64"]),
            caption=payload.get("caption"),
            filename=payload["filename"],
        )
    else:
        return Outcome("refused", reason=f"the outbox holds a method the bot does not know: {method}")
    return await attempt(call)


async def edit(bot: Bot, chat_id: int, message_id: int, words: str, markup: Mapping[str, Any] | None) -> Outcome:
    """Change a message on a person's screen."""
    outcome = await attempt(
        bot.edit_message_text(words, chat_id=chat_id, message_id=message_id, api_kwargs=_markup(markup))
    )
    same = outcome.kind == "refused" and "not modified" in outcome.reason
    return Outcome("ok") if same else outcome


async def notice(bot: Bot, query_id: str, words: str) -> Outcome:
    """Answer a tap, so that the button stops waiting."""
    return await attempt(bot.answer_callback_query(query_id, text=words or None))


def _markup(plain: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Buttons as they are kept: plain data needs no objects around it to be sent."""
    return {"reply_markup": dict(plain)} if plain and plain.get("inline_keyboard") else None
