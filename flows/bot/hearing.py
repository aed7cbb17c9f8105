"""From Telegram to disk: updates are kept before they are confirmed, and so is when the bot could hear at all."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from telegram import Update

from flows.clock import SharedClock
from flows.collect.intake import chat_of
from flows.store import Store

DEAF_AFTER = 45.0
"""Seconds (of the machine's time) without a word from Telegram after which people could not be heard: more than one
long poll and its retry."""
NOTE_EVERY = 5.0


class Hearing:
    """Keeps updates and notes the gaps."""

    def __init__(self, store: Store, clock: SharedClock) -> None:
        self._store = store
        self._clock = clock
        self._noted = 0.0
        self.arrived = asyncio.Event()
        self.heard = False

    def record(self, updates: list[dict[str, Any]]) -> None:
        """Keep what a poll brought, in one commit."""
        now = self._clock.now()
        self.listening(now)
        if updates:
            self._keep(updates, now)

    def _keep(self, updates: list[dict[str, Any]], now: datetime) -> None:
        rows = [(one["update_id"], chat_of(one), json.dumps(one, ensure_ascii=False)) for one in updates]
        self._store.inbox.add(rows, now)
        self.arrived.set()

    def listening(self, now: datetime) -> None:
        """Note that Telegram answers; a gap since it last did is downtime of the bot's."""
        real = time.time()
        if self.heard and real - self._noted < NOTE_EVERY:
            return
        last: Mapping[str, Any] | None = self._store.facts.get("heard")
        if last is not None and real - last["real"] > DEAF_AFTER:
            started = datetime.fromisoformat(last["clock"])
            if started < now:
                self._store.prompts.down(started, now)
        self._store.facts.set("heard", {"real": real, "clock": now.isoformat()})
        self._noted, self.heard = real, True


class DurableQueue(asyncio.Queue[object]):
    """The library's queue of updates, on disk: what a webhook posts is kept before its 200 goes out.

    Updates of polling have been kept by then and carry nothing but their id.
    """

    def __init__(self, hearing: Hearing, clock: SharedClock, *, webhook: bool) -> None:
        super().__init__()
        self._hearing = hearing
        self._clock = clock
        self._webhook = webhook

    async def put(self, item: object) -> None:
        """Keep an update."""
        if self._webhook and isinstance(item, Update):
            self._hearing.record([item.to_dict()])
