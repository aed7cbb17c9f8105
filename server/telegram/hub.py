"""The town square: everything a bot or a person does goes through here, and the other side hears of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.telegram.errors import BadRequest
from server.telegram.faults import Faults
from server.telegram.limits import Limits, Rates
from server.telegram.markup import NONE, Markup
from server.telegram.params import Params
from server.telegram.pollers import Pollers
from server.telegram.signals import Signals
from server.telegram.storage.bots import Bot, Bots
from server.telegram.storage.database import Database
from server.telegram.storage.events import Events
from server.telegram.storage.files import Files
from server.telegram.storage.messages import Message, Messages
from server.telegram.storage.people import IN_GROUP, People
from server.telegram.storage.polls import Polls
from server.telegram.storage.updates import Updates

QUERY_LIFETIME_S = 900.0


@dataclass(frozen=True)
class Options:
    """What can be chosen at the start.

    Parameters
    ----------
    data
        Where everything is kept.
    tokens
        The only bots served; empty for any.
    rates
        Flood limits.
    query_lifetime_s
        How long a tap may wait for its answer.
    """

    data: Path
    tokens: tuple[str, ...] = ()
    rates: Rates = field(default_factory=Rates)
    query_lifetime_s: float = QUERY_LIFETIME_S


@dataclass(frozen=True)
class Call:
    """One call of one bot."""

    hub: Hub
    bot: Bot
    method: str
    params: Params

    def chat(self, name: str = "chat_id", *, write: bool = True) -> dict[str, Any]:
        """The chat the call is about."""
        chat_id = self.params.chat_id(name)
        if isinstance(chat_id, str):
            raise BadRequest("chat not found")  # there are no public chats here
        return self.hub.people.chat_for(self.bot, chat_id, write=write)


class Hub:
    """The state of the server and what can happen in it; opened on an event loop, closed with it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.db = Database(options.data)
        self.bots = Bots(self.db, options.tokens)
        self.people = People(self.db, self.bots)
        self.messages = Messages(self.db)
        self.updates = Updates(self.db)
        self.events = Events(self.db)
        self.polls = Polls(self.db)
        self.files = Files(self.db, options.data / "files")
        self.signals = Signals()
        self.pollers = Pollers()
        self.limits = Limits(options.rates)
        self.faults = Faults()
        self.calls: Counter[tuple[str, int]] = Counter()
        self.started = time.time()

    # --- towards bots

    def deliver(self, bot_id: int, kind: str, body: Any) -> int | None:
        """Queue an update for a bot and wake whoever waits for it; its id, None where it is not wanted."""
        update_id = self.updates.add(bot_id, kind, body)
        if update_id is not None:
            self.db.after_commit(lambda: self.signals.ring(bot_id))
        return update_id

    def hears(self, bot: Bot, message: Message) -> bool:
        """Whether a bot in privacy mode sees a message of a group."""
        reply = message.get("reply_to_message", {}).get("from", {}).get("id")
        text: str = message.get("text") or message.get("caption") or ""
        service = not any(key in message for key in ("text", "caption", *CONTENT))
        addressed = f"@{bot.username}" in text or (text.startswith("/") and "@" not in text.split(maxsplit=1)[0])
        admin = self.people.member(message["chat"]["id"], bot.bot_id) == "administrator"
        return bool(service or addressed or admin or reply == bot.bot_id)

    # --- towards people

    def emit(self, kind: str, bot_id: int, chat_id: int, **body: Any) -> None:
        """Tell those who watch the chats."""
        self.events.add(kind, bot_id, chat_id, **body)
        self.db.after_commit(lambda: self.signals.ring("events"))

    # --- messages

    def compose(self, bot_id: int, sender: dict[str, Any], chat: dict[str, Any], date: int | None = None) -> Message:
        """The frame of a new message."""
        return {
            "message_id": self.messages.next_id(bot_id, chat["id"]),
            "from": sender,
            "chat": chat,
            "date": date or int(time.time()),
        }

    def post(self, bot_id: int, message: Message, markup: Markup = NONE) -> Message:
        """File a message and show it to people."""
        if markup.inline:
            message["reply_markup"] = markup.inline
        self.messages.add(bot_id, message, markup.keyboard)
        shown = {**message, "keyboard": markup.keyboard} if markup.keyboard else message
        self.emit("message", bot_id, message["chat"]["id"], message=shown)
        return message

    def change(self, bot_id: int, message: Message) -> Message:
        """File an edited message and show it to people."""
        self.messages.save(bot_id, message)
        self.emit("edit", bot_id, message["chat"]["id"], message=message)
        return message

    def remove(self, bot_id: int, chat_id: int, message_id: int) -> None:
        """Delete a message on both sides."""
        self.messages.delete(bot_id, chat_id, message_id)
        self.emit("delete", bot_id, chat_id, message_id=message_id)

    def receive(self, bot_id: int, message: Message, kind: str = "message") -> int | None:
        """Queue what a person did for the bots of the chat; the update id for the first of them."""
        if message["chat"]["id"] > 0:
            return self.deliver(bot_id, kind, message)
        first = None
        for bot in self.bots_in(message["chat"]["id"]):
            if self.hears(bot, message):
                update_id = self.deliver(bot.bot_id, kind, message)
                first = first or update_id
        return first

    def bots_in(self, chat_id: int) -> list[Bot]:
        """The bots of a group."""
        found = (self.bots.by_id(user_id) for user_id, status in self.people.members(chat_id) if status in IN_GROUP)
        return [bot for bot in found if bot]

    def sweep(self) -> None:
        """Forget updates a day old and taps nobody can answer any more."""
        self.updates.drop_old()
        self.db.run("DELETE FROM queries WHERE asked < ?", time.time() - self.options.query_lifetime_s)

    def close(self) -> None:
        """Put everything on disk and let go."""
        self.db.close()


CONTENT = (
    "photo", "document", "voice", "audio", "video", "animation", "video_note", "sticker", "location", "venue",
    "contact", "poll", "dice",
)  # fmt: skip
