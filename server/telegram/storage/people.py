"""People, their private chats with bots, and groups."""

from __future__ import annotations

import time
from typing import Any

import orjson

from server.telegram.errors import BadRequest, Forbidden, Migrated
from server.telegram.storage.bots import Bot, Bots
from server.telegram.storage.database import Database

FIRST_USER = 700_000_000
SUPERGROUP = -1_000_000_000_000
IN_GROUP = ("creator", "administrator", "member", "restricted")


class People:
    """Who is there, who has started which bot, who has blocked it."""

    def __init__(self, db: Database, bots: Bots) -> None:
        self._db = db
        self._bots = bots
        self._users: dict[int, dict[str, Any]] = {}
        self._contacts: dict[tuple[int, int], str] = {}
        db.on_rollback += [self._users.clear, self._contacts.clear]

    def user(self, user_id: int) -> dict[str, Any]:
        """A person as a Bot API `User`; `BadRequest` for nobody."""
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = self._read_user(user_id)
        return user

    def _read_user(self, user_id: int) -> dict[str, Any]:
        row = self._db.one(
            "SELECT first_name, last_name, username, language_code FROM users WHERE user_id = ?", user_id
        )
        if row is None:
            raise BadRequest("user not found")
        named = zip(("first_name", "last_name", "username", "language_code"), row, strict=True)
        return {"id": user_id, "is_bot": False} | {key: value for key, value in named if value}

    def anyone(self, user_id: int) -> dict[str, Any]:
        """A person or a bot as a `User`."""
        bot = self._bots.by_id(user_id)
        return bot.user() if bot else self.user(user_id)

    def put_user(self, user_id: int | None, first_name: str, **optional: str | None) -> int:
        """Add a person or rename one; a missing id is chosen."""
        if user_id is None:
            user_id = self._db.next("users", FIRST_USER)
        elif user_id <= 0 or self._bots.by_id(user_id):
            raise BadRequest("invalid user_id specified")
        self._users.pop(user_id, None)
        self._db.run(
            "INSERT INTO users (user_id, first_name, last_name, username, language_code) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET first_name = excluded.first_name,"
            " last_name = coalesce(excluded.last_name, last_name), username = coalesce(excluded.username, username),"
            " language_code = coalesce(excluded.language_code, language_code)",
            user_id,
            first_name,
            optional.get("last_name"),
            optional.get("username"),
            optional.get("language_code"),
        )
        return user_id

    def users(self) -> list[dict[str, Any]]:
        """Everybody."""
        return [self.user(user_id) for (user_id,) in self._db.all("SELECT user_id FROM users ORDER BY user_id")]

    def is_deactivated(self, user_id: int) -> bool:
        """Whether the account was deleted."""
        row = self._db.one("SELECT deactivated FROM users WHERE user_id = ?", user_id)
        return bool(row and row[0])

    def set_deactivated(self, user_id: int, value: bool) -> None:  # noqa: FBT001 - the one thing it sets
        """Delete an account, or bring it back."""
        self._db.run("UPDATE users SET deactivated = ? WHERE user_id = ?", int(value), user_id)
        self._contacts.clear()

    def contact(self, bot_id: int, user_id: int) -> str | None:
        """`member`, `kicked` (the person blocked the bot), `gone` (deleted account) or None (never started)."""
        key = (bot_id, user_id)
        if key not in self._contacts:
            row = self._db.one("SELECT status FROM contacts WHERE (bot_id, user_id) = (?, ?)", *key)
            status = row[0] if row else None
            if status and self.is_deactivated(user_id):
                status = "gone"
            if status is None:
                return None
            self._contacts[key] = status
        return self._contacts[key]

    def set_contact(self, bot_id: int, user_id: int, status: str) -> None:
        """Record a start, a block or an unblock."""
        self._contacts.pop((bot_id, user_id), None)
        self._db.run(
            "INSERT INTO contacts (bot_id, user_id, status, started) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET status = excluded.status, started = excluded.started",
            bot_id,
            user_id,
            status,
            time.time(),
        )

    def last_bot(self, user_id: int) -> int | None:
        """The bot a person started last."""
        row = self._db.one("SELECT bot_id FROM contacts WHERE user_id = ? ORDER BY started DESC LIMIT 1", user_id)
        return int(row[0]) if row else None

    def contacts(self) -> list[tuple[int, int, str]]:
        """(bot, person, status) of every private chat."""
        return [(int(b), int(u), s) for b, u, s in self._db.all("SELECT bot_id, user_id, status FROM contacts")]

    def private_chat(self, user_id: int) -> dict[str, Any]:
        """A private chat as a Bot API `Chat`."""
        user = self.user(user_id)
        kept: dict[str, Any] = {key: user[key] for key in ("first_name", "last_name", "username") if key in user}
        return {"id": user_id, "type": "private", **kept}

    # --- groups

    def add_group(self, title: str, kind: str = "group", info: dict[str, Any] | None = None) -> int:
        """A new group or supergroup; its id, negative."""
        number = self._db.next("groups", 4_000_000)
        chat_id = -number if kind == "group" else SUPERGROUP - number
        packed = orjson.dumps(info or {}).decode()
        self._db.run(
            "INSERT INTO groups (chat_id, type, title, info) VALUES (?, ?, ?, ?)", chat_id, kind, title, packed
        )
        return chat_id

    def group(self, chat_id: int) -> dict[str, Any] | None:
        """A group as a `Chat`, None where there is none; `migrated_to` beside it."""
        row = self._db.one("SELECT type, title, migrated_to FROM groups WHERE chat_id = ?", chat_id)
        return {"id": chat_id, "type": row[0], "title": row[1], "_migrated_to": row[2]} if row else None

    def groups(self) -> list[int]:
        """Every group that has not migrated."""
        return [int(i) for (i,) in self._db.all("SELECT chat_id FROM groups WHERE migrated_to IS NULL")]

    def migrate_group(self, chat_id: int, new_id: int) -> None:
        """Leave a note where a group went, and take its members along."""
        self._db.run("UPDATE groups SET migrated_to = ? WHERE chat_id = ?", new_id, chat_id)
        self._db.run("INSERT INTO members SELECT ?, user_id, status FROM members WHERE chat_id = ?", new_id, chat_id)

    def set_member(self, chat_id: int, user_id: int, status: str) -> None:
        """Somebody's place in a group."""
        self._db.run("REPLACE INTO members VALUES (?, ?, ?)", chat_id, user_id, status)

    def member(self, chat_id: int, user_id: int) -> str | None:
        """Somebody's place in a group, None for a stranger."""
        row = self._db.one("SELECT status FROM members WHERE (chat_id, user_id) = (?, ?)", chat_id, user_id)
        return str(row[0]) if row else None

    def members(self, chat_id: int) -> list[tuple[int, str]]:
        """Everybody who is in a group."""
        rows = self._db.all("SELECT user_id, status FROM members WHERE chat_id = ?", chat_id)
        return [(int(u), s) for u, s in rows if s in IN_GROUP]

    def chat_info(self, bot: Bot, chat_id: int) -> dict[str, Any]:
        """What was set in a chat: pinned message, description, permissions, menu button."""
        row = (
            self._db.one("SELECT info FROM contacts WHERE (bot_id, user_id) = (?, ?)", bot.bot_id, chat_id)
            if chat_id > 0
            else self._db.one("SELECT info FROM groups WHERE chat_id = ?", chat_id)
        )
        return dict(orjson.loads(row[0])) if row else {}

    def set_chat_info(self, bot: Bot, chat_id: int, **changes: Any) -> None:
        """Change what is set in a chat; None removes."""
        info = {k: v for k, v in (self.chat_info(bot, chat_id) | changes).items() if v is not None}
        packed = orjson.dumps(info).decode()
        if chat_id > 0:
            self._db.run("UPDATE contacts SET info = ? WHERE (bot_id, user_id) = (?, ?)", packed, bot.bot_id, chat_id)
        else:
            title = info.pop("title", None)
            packed = orjson.dumps(info).decode()
            self._db.run(
                "UPDATE groups SET info = ?, title = coalesce(?, title) WHERE chat_id = ?", packed, title, chat_id
            )

    # --- what a bot may do

    def chat_for(self, bot: Bot, chat_id: int, *, write: bool = True) -> dict[str, Any]:
        """The chat a bot addresses, as a `Chat`, or the error Telegram gives where it cannot."""
        if chat_id > 0:
            self._check_private(bot, chat_id, write=write)
            return self.private_chat(chat_id)
        chat = self.group(chat_id)
        if chat is None or (status := self.member(chat_id, bot.bot_id)) is None:
            raise BadRequest("chat not found")
        moved = chat.pop("_migrated_to")
        if write and moved:
            raise Migrated(moved)
        if status not in IN_GROUP:
            how = "was kicked from" if status == "kicked" else "is not a member of"
            raise Forbidden(f"bot {how} the {chat['type']} chat")
        return chat

    def _check_private(self, bot: Bot, user_id: int, *, write: bool) -> None:
        status = self.contact(bot.bot_id, user_id)
        if status == "member":
            return
        if status is None:
            if self._seen(bot, user_id):
                raise Forbidden("bot can't initiate conversation with a user")
            raise BadRequest("chat not found")
        if write:
            raise Forbidden("user is deactivated" if status == "gone" else "bot was blocked by the user")

    def _seen(self, bot: Bot, user_id: int) -> bool:
        return bool(
            self._db.one(
                "SELECT 1 FROM members a JOIN members b USING (chat_id) WHERE a.user_id = ? AND b.user_id = ? LIMIT 1",
                bot.bot_id,
                user_id,
            )
        )
