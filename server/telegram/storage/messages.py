"""Messages as bots and people see them."""

from __future__ import annotations

from typing import Any

import orjson

from server.telegram.storage.database import Database

Message = dict[str, Any]


def space(bot_id: int, chat_id: int) -> int:
    """Where a message is filed: private chats belong to a bot, groups to everybody in them."""
    return bot_id if chat_id > 0 else 0


class Messages:
    """The messages of every chat; ids count up per bot in private chats and per group in groups, as Telegram's do."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def next_id(self, bot_id: int, chat_id: int) -> int:
        """The id of the next message."""
        return self._db.next(f"messages {bot_id}" if chat_id > 0 else f"messages {chat_id}")

    def add(self, bot_id: int, message: Message, keyboard: Any = None) -> None:
        """File a message; `keyboard` is a reply keyboard, which only people see."""
        chat_id = message["chat"]["id"]
        self._db.run(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
            space(bot_id, chat_id),
            chat_id,
            message["message_id"],
            message["from"]["id"],
            message["date"],
            orjson.dumps(message).decode(),
            orjson.dumps(keyboard).decode() if keyboard else None,
        )

    def get(self, bot_id: int, chat_id: int, message_id: int) -> Message | None:
        """One message, None where it is not (or no longer)."""
        row = self._db.one(
            "SELECT body FROM messages WHERE (space, chat_id, message_id) = (?, ?, ?)",
            space(bot_id, chat_id),
            chat_id,
            message_id,
        )
        return dict(orjson.loads(row[0])) if row else None

    def save(self, bot_id: int, message: Message) -> None:
        """Replace a message by its edited form."""
        chat_id = message["chat"]["id"]
        self._db.run(
            "UPDATE messages SET body = ? WHERE (space, chat_id, message_id) = (?, ?, ?)",
            orjson.dumps(message).decode(),
            space(bot_id, chat_id),
            chat_id,
            message["message_id"],
        )

    def delete(self, bot_id: int, chat_id: int, message_id: int) -> bool:
        """Remove a message; False where there was none."""
        return bool(
            self._db.run(
                "DELETE FROM messages WHERE (space, chat_id, message_id) = (?, ?, ?)",
                space(bot_id, chat_id),
                chat_id,
                message_id,
            )
        )

    def history(self, bot_id: int, chat_id: int, limit: int, before: int | None = None) -> list[Message]:
        """The last `limit` messages of a chat (before one), oldest first, reply keyboards under `keyboard`."""
        rows = self._db.all(
            "SELECT body, keyboard FROM messages WHERE (space, chat_id) = (?, ?) AND message_id < ?"
            " ORDER BY message_id DESC LIMIT ?",
            space(bot_id, chat_id),
            chat_id,
            before or 2**62,
            limit,
        )
        return [_with_keyboard(body, keyboard) for body, keyboard in reversed(rows)]


def _with_keyboard(body: str, keyboard: str | None) -> Message:
    message: Message = orjson.loads(body)
    if keyboard:
        message["keyboard"] = orjson.loads(keyboard)
    return message
