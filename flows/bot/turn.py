"""One update being applied: who it is from, when it came, and what is to be said and redrawn because of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flows.bot.texts import spoken, text
from flows.store import Chat, Person, Store
from flows.survey.callbacks import Callback, encode

Buttons = list[list[tuple[str, Callback]]]


@dataclass
class Effects:
    """What is left to do on the network once the store has committed.

    Messages wait in the outbox and drawings in the store; only the little notices on taps may be lost.
    """

    notices: dict[str, str] = field(default_factory=dict)
    shown: dict[tuple[int, int | None], str] = field(default_factory=dict)
    redraw: set[str] = field(default_factory=set)
    said: bool = False
    responses: int = 0

    def notice(self, query_id: str, chat_id: int, message_id: int | None, words: str = "") -> None:
        """Answer a tap; of several taps on one message only the last is worth an answer, unless it says something."""
        before = self.shown.get((chat_id, message_id))
        if before is not None and not self.notices.get(before):
            self.notices.pop(before, None)
        self.shown[(chat_id, message_id)] = query_id
        self.notices[query_id] = words


@dataclass
class Turn:
    """One update in the making."""

    store: Store
    effects: Effects
    update_id: int
    now: datetime
    chat: Chat
    person: Person | None
    count: int = 0

    @classmethod
    def of(cls, store: Store, effects: Effects, update_id: int, now: datetime, chat_id: int, language: str) -> Turn:
        """A turn of a chat, known or not."""
        known = store.people.chat(chat_id)
        chat = known or Chat(chat_id, None, spoken(language), None, "new", {})
        person = store.people.find(chat.person) if chat.person else None
        return cls(store, effects, update_id, now, chat, person)

    @property
    def language(self) -> str:
        """Language to speak."""
        return self.person.language if self.person else self.chat.language

    def say(self, key: str, buttons: Buttons | None = None, **values: object) -> None:
        """Send a text of the bot's."""
        self.send(text(key, self.language, **values), buttons)

    def send(self, words: str, buttons: Buttons | None = None, *, kind: str = "reply", key: str = "") -> None:
        """Send words, keyed by the update they answer."""
        payload: dict[str, Any] = {"method": "sendMessage", "text": words}
        if buttons:
            payload["reply_markup"] = {
                "inline_keyboard": [
                    [{"text": label, "callback_data": encode(call)} for label, call in row] for row in buttons
                ]
            }
        self.queue(payload, kind=kind, key=key)

    def queue(self, payload: dict[str, Any], *, kind: str = "reply", key: str = "") -> None:
        """Put something to send into the outbox."""
        key = key or f"u{self.update_id}:{self.count}"
        self.count += 1
        person = self.person.person if self.person else None
        chat_id = None if person else self.chat.chat_id
        self.store.outbox.enqueue(key, person, kind, payload, self.now, None, chat_id=chat_id)
        self.effects.said = True

    def keep(self, **changes: Any) -> None:
        """Change what is known of the chat."""
        fields = {**vars(self.chat), **changes}
        self.chat = Chat(**fields)
        self.store.people.save_chat(self.chat)

    def change(self, **changes: Any) -> Person:
        """Change the person."""
        if self.person is None:
            raise ValueError("nobody is enrolled in this chat")
        self.person = self.store.people.change(self.person.person, **changes)
        return self.person
