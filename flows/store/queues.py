"""What came in and what goes out, on disk: the inbox of updates and the outbox of messages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.store.database import Database, micros, micros_or_none, moment, moment_or_none

IN_DOUBT = "in doubt"
"""Reason of a waiting message that may have been delivered already."""


@dataclass(frozen=True)
class Incoming:
    """One update as Telegram sent it, and when it was received."""

    update_id: int
    body: dict[str, Any]
    received_at: datetime


@dataclass(frozen=True)
class Outgoing:
    """One thing to send.

    `payload`: {"method": Bot API method, ...its arguments} or {"method": "prompt", "prompt_id"}.
    `state`: waiting, sending, sent, cancelled, expired (too late), refused (400, 403: never tried again),
    unknown (the process died between sending and noting it).
    """

    key: str
    person: str | None
    chat_id: int | None
    kind: str
    payload: dict[str, Any]
    due_at: datetime
    expires_at: datetime | None
    state: str
    attempts: int


class Inbox:
    """Updates, each once, in the order of their ids."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, updates: Iterable[tuple[int, int | None, str]], at: datetime) -> int:
        """Keep updates (id, chat, JSON) in one commit; one seen before is not kept again. How many were new."""
        stamp = micros(at)
        return self._db.write_many(
            "INSERT OR IGNORE INTO inbox (update_id, chat_id, body, received_at) VALUES (?,?,?,?)",
            [(number, chat, body, stamp) for number, chat, body in updates],
        )

    def waiting(self, limit: int = 200) -> list[Incoming]:
        """Updates not yet applied, lowest id first."""
        rows = self._db.rows(
            "SELECT update_id, body, received_at FROM inbox WHERE done_at IS NULL ORDER BY update_id LIMIT ?", (limit,)
        )
        return [Incoming(row[0], json.loads(row[1]), moment(row[2])) for row in rows]

    def last_done(self) -> int | None:
        """Highest id of an update that was applied."""
        row = self._db.row("SELECT MAX(update_id) FROM inbox WHERE done_at IS NOT NULL")
        return None if row is None else row[0]

    def last_heard(self) -> int:
        """Highest id of an update that was kept, 0 where there is none."""
        row = self._db.row("SELECT MAX(update_id) FROM inbox")
        return (row and row[0]) or 0

    def done(self, update_ids: Iterable[int], at: datetime, failure: str | None = None) -> None:
        """Note that updates were applied; the words in them are dropped, the id stays to know a repeat by."""
        self._db.write_many(
            "UPDATE inbox SET done_at = ?, failure = ?, body = '', chat_id = NULL WHERE update_id = ?",
            [(micros(at), failure, number) for number in update_ids],
        )

    def prune(self, before: datetime) -> int:
        """Forget applied updates received before a time."""
        return self._db.write("DELETE FROM inbox WHERE done_at IS NOT NULL AND received_at < ?", (micros(before),))

    def counts(self) -> dict[str, int]:
        """Number of updates waiting, done and failed."""
        waiting = self._db.number("SELECT COUNT(*) FROM inbox WHERE done_at IS NULL")
        failed = self._db.number("SELECT COUNT(*) FROM inbox WHERE failure IS NOT NULL")
        total = self._db.number("SELECT COUNT(*) FROM inbox")
        return {"waiting": waiting, "done": total - waiting - failed, "failed": failed}


class Outbox:
    """Messages to send, each key once."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def enqueue(
        self,
        key: str,
        person: str | None,
        kind: str,
        payload: dict[str, Any],
        due_at: datetime,
        expires_at: datetime | None = None,
        *,
        chat_id: int | None = None,
    ) -> bool:
        """Queue one message; False where the key is there already, whatever became of it."""
        return self.enqueue_many([(key, person, kind, payload, due_at, expires_at)], chat_id=chat_id) > 0

    def enqueue_many(
        self,
        rows: Iterable[tuple[str, str | None, str, dict[str, Any], datetime, datetime | None]],
        *,
        chat_id: int | None = None,
    ) -> int:
        """Queue messages (key, person, kind, payload, due_at, expires_at) in one commit; how many were new."""
        return self._db.write_many(
            "INSERT OR IGNORE INTO outbox (key, person, chat_id, kind, payload, due_at, expires_at)"
            " VALUES (?,?,?,?,?,?,?)",
            [
                (key, person, chat_id, kind, json.dumps(payload, ensure_ascii=False), micros(due), micros_or_none(ends))
                for key, person, kind, payload, due, ends in rows
            ],
        )

    def due(self, now: datetime, limit: int = 200) -> list[Outgoing]:
        """Messages whose time has come, earliest first."""
        rows = self._db.rows(
            "SELECT * FROM outbox WHERE state = 'waiting' AND due_at <= ?"
            " ORDER BY kind = 'safety' DESC, due_at, key LIMIT ?",
            (micros(now), limit),
        )
        return [_outgoing(row) for row in rows]

    def next_due(self) -> datetime | None:
        """When the next message is due."""
        row = self._db.row("SELECT MIN(due_at) FROM outbox WHERE state = 'waiting'")
        return None if row is None else moment_or_none(row[0])

    def claim(self, keys: Iterable[str]) -> set[str]:
        """Note, before the network is touched, that these are on their way; those of them that still waited."""
        sql = "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE key = ? AND state = 'waiting'"
        with self._db.transaction():
            return {key for key in keys if self._db.write(sql, (key,))}

    def arrived(self, key: str, at: datetime) -> bool:
        """Note that one whose delivery was in doubt has been seen by its person: it is not sent again."""
        changed = self._db.write(
            "UPDATE outbox SET state = 'sent', closed_at = ?, payload = '{}' WHERE key = ? AND state = 'waiting'"
            " AND reason = ?",
            (micros(at), key, IN_DOUBT),
        )
        return changed > 0

    def release(self, key: str, *, doubt: bool = False) -> None:
        """Put one back to be sent again: it was not delivered, or (`doubt`) nobody knows."""
        self._db.write(
            "UPDATE outbox SET state = 'waiting', reason = COALESCE(?, reason) WHERE key = ? AND state = 'sending'",
            (IN_DOUBT if doubt else None, key),
        )

    def close(self, key: str, state: str, at: datetime, *, telegram_id: int | None = None, reason: str = "") -> None:
        """Note what became of a message; its words are dropped."""
        self._db.write(
            "UPDATE outbox SET state = ?, closed_at = ?, telegram_id = ?, reason = ?, payload = '{}',"
            " chat_id = NULL WHERE key = ?",
            (state, micros(at), telegram_id, reason, key),
        )

    def cancel(self, key: str) -> bool:
        """Withdraw a message not yet sent."""
        return self._db.write("UPDATE outbox SET state = 'cancelled' WHERE key = ? AND state = 'waiting'", (key,)) > 0

    def cancel_all(self, person: str, kinds: Iterable[str]) -> int:
        """Withdraw everything of these kinds not yet sent to a person."""
        return self._db.write_many(
            "UPDATE outbox SET state = 'cancelled' WHERE person = ? AND kind = ? AND state = 'waiting'",
            [(person, kind) for kind in kinds],
        )

    def interrupted(self) -> list[Outgoing]:
        """Messages a dead process left on their way."""
        return [_outgoing(row) for row in self._db.rows("SELECT * FROM outbox WHERE state = 'sending'")]

    def get(self, key: str) -> Outgoing | None:
        """One message, None where there is none."""
        row = self._db.row("SELECT * FROM outbox WHERE key = ?", (key,))
        return None if row is None else _outgoing(row)

    def missed(self, person: str, now: datetime) -> set[str]:
        """Keys of what was queued for a person and had not been sent when it became too late, before `now`."""
        rows = self._db.rows(
            "SELECT key FROM outbox WHERE person = ? AND expires_at <= ?"
            " AND state IN ('waiting', 'expired', 'cancelled')",
            (person, micros(now)),
        )
        return {row[0] for row in rows}

    def delivered_counts(self) -> dict[str, int]:
        """Number of messages delivered, by kind."""
        rows = self._db.rows("SELECT kind, COUNT(*) FROM outbox WHERE state = 'sent' GROUP BY kind ORDER BY kind")
        return {row[0]: row[1] for row in rows}

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of messages by (kind, state)."""
        rows = self._db.rows("SELECT kind, state, COUNT(*) FROM outbox GROUP BY kind, state ORDER BY kind, state")
        return {(row[0], row[1]): row[2] for row in rows}


def _outgoing(row: sqlite3.Row) -> Outgoing:
    return Outgoing(
        row["key"],
        row["person"],
        row["chat_id"],
        row["kind"],
        json.loads(row["payload"]),
        moment(row["due_at"]),
        moment_or_none(row["expires_at"]),
        row["state"],
        row["attempts"],
    )
