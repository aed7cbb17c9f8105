"""Polls and who voted for what."""

from __future__ import annotations

from typing import Any

import orjson

from server.telegram.storage.database import Database


class Polls:
    """Polls by their id; a stored poll is a Bot API `Poll` without counts, which are counted from the votes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, bot_id: int, chat_id: int, message_id: int, poll: dict[str, Any]) -> None:
        """A new poll."""
        self._db.run(
            "INSERT INTO polls VALUES (?, ?, ?, ?, ?)",
            poll["id"],
            bot_id,
            chat_id,
            message_id,
            orjson.dumps(poll).decode(),
        )

    def get(self, poll_id: str) -> dict[str, Any] | None:
        """A poll with its counts."""
        row = self._db.one("SELECT body FROM polls WHERE poll_id = ?", poll_id)
        return self._counted(orjson.loads(row[0])) if row else None

    def owner(self, poll_id: str) -> tuple[int, int, int]:
        """(bot, chat, message) a poll was sent by and in."""
        row = self._db.one("SELECT bot_id, chat_id, message_id FROM polls WHERE poll_id = ?", poll_id)
        assert row is not None  # noqa: S101 - asked only for polls that are there
        return int(row[0]), int(row[1]), int(row[2])

    def save(self, poll: dict[str, Any]) -> None:
        """Replace a poll."""
        self._db.run("UPDATE polls SET body = ? WHERE poll_id = ?", orjson.dumps(poll).decode(), poll["id"])

    def vote(self, poll_id: str, user_id: int, options: list[int]) -> None:
        """Somebody's vote, replacing the one before; empty takes it back."""
        self._db.run("DELETE FROM votes WHERE (poll_id, user_id) = (?, ?)", poll_id, user_id)
        if options:
            self._db.run("INSERT INTO votes VALUES (?, ?, ?)", poll_id, user_id, orjson.dumps(options).decode())

    def _counted(self, poll: dict[str, Any]) -> dict[str, Any]:
        votes = [
            orjson.loads(chosen)
            for (chosen,) in self._db.all("SELECT options FROM votes WHERE poll_id = ?", poll["id"])
        ]
        for number, option in enumerate(poll["options"]):
            option["voter_count"] = sum(number in chosen for chosen in votes)
        poll["total_voter_count"] = len(votes)
        return poll
