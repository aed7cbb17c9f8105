"""Bots: a token each, a name, and what BotFather or the bot itself has set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from server.telegram.errors import NotFound, Unauthorized
from server.telegram.storage.database import Database

TOKEN = re.compile(r"(\d{1,15}):[\w-]{1,100}", re.ASCII)


@dataclass(frozen=True)
class Bot:
    """A bot as the server knows it."""

    bot_id: int
    token: str
    username: str
    first_name: str

    def user(self) -> dict[str, Any]:
        """The bot as a Bot API `User`."""
        return {"id": self.bot_id, "is_bot": True, "first_name": self.first_name, "username": self.username}


class Bots:
    """The bots of this server.

    Parameters
    ----------
    tokens
        The only tokens served. Empty: a token of valid shape is a bot from its first call on.
    """

    def __init__(self, db: Database, tokens: tuple[str, ...] = ()) -> None:
        self._db = db
        self._tokens = tokens
        self._cache: dict[str, Bot] = {}
        db.on_rollback.append(self._cache.clear)

    def by_token(self, token: str) -> Bot:
        """The bot of a token; `NotFound` for no token at all, `Unauthorized` for one that is nobody's."""
        bot = self._cache.get(token)
        if bot is None:
            bot = self._cache[token] = self._find(token)
        return bot

    def _find(self, token: str) -> Bot:
        shape = TOKEN.fullmatch(token)
        if shape is None:
            raise NotFound
        if self._tokens and token not in self._tokens:
            raise Unauthorized
        bot = self.by_id(int(shape[1]))
        if bot is None:
            return self._add(int(shape[1]), token)
        if bot.token != token:
            raise Unauthorized
        return bot

    def _add(self, bot_id: int, token: str) -> Bot:
        bot = Bot(bot_id, token, f"local{bot_id}_bot", f"Local bot {bot_id}")
        with self._db.change():
            self._db.run(
                "INSERT INTO bots (bot_id, token, username, first_name) VALUES (?, ?, ?, ?)",
                bot.bot_id,
                bot.token,
                bot.username,
                bot.first_name,
            )
        return bot

    def all(self) -> list[Bot]:
        """Every bot."""
        return [
            Bot(*row) for row in self._db.all("SELECT bot_id, token, username, first_name FROM bots ORDER BY rowid")
        ]

    def by_id(self, bot_id: int) -> Bot | None:
        """A bot by the number before the colon of its token."""
        row = self._db.one("SELECT bot_id, token, username, first_name FROM bots WHERE bot_id = ?", bot_id)
        return Bot(*row) if row else None

    def by_username(self, name: str) -> Bot | None:
        """A bot by its username, with or without the at sign."""
        row = self._db.one(
            "SELECT bot_id, token, username, first_name FROM bots WHERE username = ? COLLATE NOCASE", name.lstrip("@")
        )
        return Bot(*row) if row else None

    def rename(self, bot: Bot, first_name: str) -> None:
        """The name people see."""
        self._cache.pop(bot.token, None)
        self._db.run("UPDATE bots SET first_name = ? WHERE bot_id = ?", first_name, bot.bot_id)

    def text(self, bot: Bot, kind: str, scope: str, language: str) -> Any:
        """What was set under (kind, scope, language), None where nothing was."""
        row = self._db.one(
            "SELECT value FROM bot_texts WHERE (bot_id, kind, scope, language) = (?, ?, ?, ?)",
            bot.bot_id,
            kind,
            scope,
            language,
        )
        return orjson.loads(row[0]) if row else None

    def set_text(self, bot: Bot, kind: str, scope: str, language: str, value: Any) -> None:
        """Keep `value` under (kind, scope, language); None or nothing in it removes it."""
        key = (bot.bot_id, kind, scope, language)
        if value:
            self._db.run("REPLACE INTO bot_texts VALUES (?, ?, ?, ?, ?)", *key, orjson.dumps(value).decode())
        else:
            self._db.run("DELETE FROM bot_texts WHERE (bot_id, kind, scope, language) = (?, ?, ?, ?)", *key)
