"""What happened in the chats, in order, for those who watch from the people's side."""

from __future__ import annotations

from typing import Any

import orjson

from server.telegram.storage.database import Database

KEPT = 200_000


class Events:
    """The stream of `GET /client/events`; the last 200,000 are kept."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.last = self._read_last()
        db.on_rollback.append(self._reread)

    def _read_last(self) -> int:
        row = self._db.one("SELECT max(seq) FROM events")
        return int(row[0] or 0) if row else 0

    def _reread(self) -> None:
        self.last = self._read_last()

    def add(self, kind: str, bot_id: int, chat_id: int, **body: Any) -> int:
        """Append an event; its number."""
        seq = self.last + 1
        packed = orjson.dumps({"seq": seq, "type": kind, "bot_id": bot_id, "chat_id": chat_id, **body}).decode()
        self._db.run("INSERT INTO events VALUES (?, ?, ?, ?)", seq, bot_id, chat_id, packed)
        self.last = seq
        if seq % 10_000 == 0:
            self._db.run("DELETE FROM events WHERE seq <= ?", seq - KEPT)
        return seq

    def after(
        self, seq: int, limit: int, bot_id: int | None = None, chat_id: int | None = None
    ) -> list[tuple[int, str]]:
        """Events after `seq`: (seq, JSON), of one chat or of all."""
        rows = self._db.all(
            "SELECT seq, body FROM events WHERE seq > ?1 AND (?2 IS NULL OR bot_id = ?2)"
            " AND (?3 IS NULL OR chat_id = ?3) ORDER BY seq LIMIT ?4",
            seq,
            bot_id,
            chat_id,
            limit,
        )
        return [(int(number), body) for number, body in rows]
