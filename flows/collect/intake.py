"""An update as Telegram sent it -> what a person did. Pure, and total: whatever comes in, something comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Update = Mapping[str, Any]


@dataclass(frozen=True)
class Tap:
    """A button was tapped."""

    chat_id: int
    query_id: str
    message_id: int | None
    data: str
    language: str


@dataclass(frozen=True)
class Words:
    """Text was written (a caption counts)."""

    chat_id: int
    text: str
    language: str


@dataclass(frozen=True)
class Command:
    """A command was given; `argument` is the rest of the line."""

    chat_id: int
    name: str
    argument: str
    language: str


@dataclass(frozen=True)
class Odd:
    """Something the bot cannot read: sticker, voice, photo, forward and so on."""

    chat_id: int
    what: str
    language: str


@dataclass(frozen=True)
class Group:
    """The bot was spoken to in a group or channel; `direct` where a reply is in place."""

    chat_id: int
    direct: bool
    language: str


@dataclass(frozen=True)
class Membership:
    """The person blocked the bot (`here` is false) or let it back in."""

    chat_id: int
    here: bool


@dataclass(frozen=True)
class Moved:
    """A chat has a new id."""

    chat_id: int
    new_id: int


@dataclass(frozen=True)
class Ignored:
    """An update that asks for nothing."""

    what: str
    chat_id: int | None = None


Event = Tap | Words | Command | Odd | Group | Membership | Moved | Ignored
ALLOWED_UPDATES = ("message", "edited_message", "callback_query", "my_chat_member")
ODD = (
    "sticker", "voice", "video_note", "photo", "video", "animation", "audio", "document", "location", "venue",
    "contact", "poll", "dice", "game", "story", "paid_media", "checklist",
)  # fmt: skip


def chat_of(update: Update) -> int | None:
    """Chat an update belongs to: updates of one chat are applied in their order."""
    query = update.get("callback_query")
    if isinstance(query, Mapping):
        return _int(_at(query, "from", "id"))
    for key in ("message", "edited_message", "my_chat_member"):
        if key in update:
            return _int(_at(update, key, "chat", "id"))
    return None


def read(update: Update) -> Event:
    """What happened."""
    if "callback_query" in update:
        return _tap(update["callback_query"])
    if "message" in update:
        return _message(update["message"])
    if "my_chat_member" in update:
        return _membership(update["my_chat_member"])
    return Ignored(next((key for key in update if key != "update_id"), "nothing"), chat_of(update))


def _tap(query: Any) -> Event:
    person, data = _int(_at(query, "from", "id")), _at(query, "data")
    if person is None or not isinstance(data, str) or not isinstance(query.get("id"), str):
        return Ignored("callback_query", person)
    return Tap(person, query["id"], _int(_at(query, "message", "message_id")), data, _language(query))


def _message(message: Any) -> Event:
    chat, kind = _int(_at(message, "chat", "id")), _at(message, "chat", "type")
    if chat is None:
        return Ignored("message")
    new_id = _int(message.get("migrate_to_chat_id"))
    if new_id is not None:
        return Moved(chat, new_id)
    language = _language(message)
    if kind != "private":
        return Group(chat, str(message.get("text", "")).startswith("/"), language)
    return _private(message, chat, language)


def _private(message: Mapping[str, Any], chat: int, language: str) -> Event:
    if "forward_origin" in message or "forward_date" in message:
        return Odd(chat, "forward", language)
    odd = next((key for key in ODD if key in message), None)
    if odd is not None:
        return Odd(chat, odd, language)
    text = message.get("text")
    if not isinstance(text, str):
        return Ignored("service message", chat)
    if text.startswith("/"):
        name, _, argument = text[1:].strip().partition(" ")
        return Command(chat, name.partition("@")[0].lower(), argument.strip(), language)
    return Words(chat, text, language)


def _membership(change: Any) -> Event:
    chat, status = _int(_at(change, "chat", "id")), _at(change, "new_chat_member", "status")
    if chat is None or _at(change, "chat", "type") != "private":
        return Ignored("my_chat_member", chat)
    return Membership(chat, status not in {"kicked", "left"})


def _language(message: Mapping[str, Any]) -> str:
    code = _at(message, "from", "language_code")
    return code[:2].lower() if isinstance(code, str) else ""


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
