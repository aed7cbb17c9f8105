"""Whatever somebody wrote in an update, and where: message, caption, command, edit, forward, poll; private or group.

Wider than `intake`: what the bot cannot take as an answer it can still read. Pure and total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """Words of one person.

    Attributes
    ----------
    sender
        Telegram user, which is also the id of their private chat.
    chat_id
        Where it was said.
    private
        Whether that is the private chat with the bot.
    direct
        Whether the bot was spoken to: always in private, by a command in a group.
    words
        Everything written, line by line.
    language
        Of their Telegram, two letters or empty.
    """

    sender: int
    chat_id: int
    private: bool
    direct: bool
    words: str
    language: str


def said(update: Mapping[str, Any]) -> Said | None:
    """What was written; None where nothing was."""
    message = _mapping(update.get("message")) or _mapping(update.get("edited_message"))
    sender, chat = _mapping(message.get("from")), _mapping(message.get("chat"))
    poll = _mapping(message.get("poll"))
    options = poll.get("options")
    offered = [_mapping(one).get("text") for one in options] if isinstance(options, list) else []
    found = [message.get("text"), message.get("caption"), poll.get("question"), *offered]
    words = "\n".join(part for part in found if isinstance(part, str))
    ids = sender.get("id"), chat.get("id")
    if not words or sender.get("is_bot") or not all(type(one) is int for one in ids):
        return None
    private, code = chat.get("type") == "private", sender.get("language_code")
    language = code[:2].lower() if isinstance(code, str) else ""
    return Said(sender["id"], chat["id"], private, private or words.startswith("/"), words, language)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
