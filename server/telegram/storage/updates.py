"""Updates that wait for a bot, and how it wants them delivered."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import Any

import orjson

from server.telegram.storage.database import Database

RETENTION_S = 24 * 3600
KINDS = (
    "message", "edited_message", "channel_post", "edited_channel_post", "business_connection", "business_message",
    "edited_business_message", "deleted_business_messages", "inline_query", "chosen_inline_result", "callback_query",
    "shipping_query", "pre_checkout_query", "purchased_paid_media", "poll", "poll_answer", "my_chat_member",
    "chat_member", "chat_join_request", "chat_boost", "removed_chat_boost", "message_reaction",
    "message_reaction_count", "managed_bot", "guest_message",
)  # fmt: skip
NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


@dataclass
class Delivery:
    """How one bot receives: which kinds, and the webhook where one is set."""

    allowed: list[str]
    url: str = ""
    secret: str = ""
    max_connections: int = 40
    error_date: int | None = None
    error: str | None = None


class Updates:
    """The queue of every bot: added in order, gone once confirmed or a day old."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._delivery: dict[int, Delivery] = {}
        db.on_rollback.append(self._delivery.clear)

    def delivery(self, bot_id: int) -> Delivery:
        """How a bot receives."""
        known = self._delivery.get(bot_id)
        if known is None:
            row = self._db.one(
                "SELECT allowed, url, secret, max_connections, error_date, error FROM delivery WHERE bot_id = ?", bot_id
            )
            known = Delivery(orjson.loads(row[0]), *row[1:]) if row else Delivery([])
            self._delivery[bot_id] = known
        return known

    def save_delivery(self, bot_id: int) -> None:
        """Keep what was changed in `delivery`."""
        d = self.delivery(bot_id)
        values = (orjson.dumps(d.allowed).decode(), d.url, d.secret, d.max_connections, d.error_date, d.error)
        self._db.run("REPLACE INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?)", bot_id, *values)

    def wanted(self, bot_id: int, kind: str) -> bool:
        """Whether a bot asked for this kind; what it did not ask for is never kept."""
        allowed = self.delivery(bot_id).allowed
        return kind in allowed if allowed else kind not in NOT_BY_DEFAULT

    def add(self, bot_id: int, kind: str, body: Any) -> int | None:
        """Queue an update; its id, None where the bot does not want the kind."""
        if not self.wanted(bot_id, kind):
            return None
        # The first id of a bot is anyone's guess on Telegram too; clients must not expect 1.
        update_id = self._db.next(f"updates {bot_id}", 100_000_000 + zlib.crc32(str(bot_id).encode()) % 800_000_000)
        packed = orjson.dumps({"update_id": update_id, kind: body}).decode()
        self._db.run("INSERT INTO updates VALUES (?, ?, ?, ?)", bot_id, update_id, time.time(), packed)
        return update_id

    def waiting(self, bot_id: int, limit: int) -> list[tuple[int, str]]:
        """The oldest unconfirmed updates: (update_id, JSON)."""
        rows = self._db.all(
            "SELECT update_id, body FROM updates WHERE bot_id = ? AND created > ? ORDER BY update_id LIMIT ?",
            bot_id,
            time.time() - RETENTION_S,
            limit,
        )
        return [(int(number), body) for number, body in rows]

    def confirm(self, bot_id: int, offset: int) -> int:
        """Forget what a client has seen: all before `offset`, or all but the last ``-offset``. How many."""
        if offset < 0:
            row = self._db.one(
                "SELECT update_id FROM updates WHERE bot_id = ? ORDER BY update_id DESC LIMIT 1 OFFSET ?",
                bot_id,
                -offset - 1,
            )
            offset = int(row[0]) if row else 0
        return self._db.run("DELETE FROM updates WHERE bot_id = ? AND update_id < ?", bot_id, offset) if offset else 0

    def remove(self, bot_id: int, update_id: int) -> None:
        """Forget one update, delivered by webhook."""
        self._db.run("DELETE FROM updates WHERE (bot_id, update_id) = (?, ?)", bot_id, update_id)

    def pending(self, bot_id: int) -> int:
        """How many wait."""
        row = self._db.one(
            "SELECT count(*) FROM updates WHERE bot_id = ? AND created > ?", bot_id, time.time() - RETENTION_S
        )
        return int(row[0]) if row else 0

    def drop_old(self) -> int:
        """Forget what waited a day."""
        return self._db.run("DELETE FROM updates WHERE created <= ?", time.time() - RETENTION_S)

    def drop_all(self, bot_id: int) -> None:
        """Forget everything a bot waits for."""
        self._db.run("DELETE FROM updates WHERE bot_id = ?", bot_id)
