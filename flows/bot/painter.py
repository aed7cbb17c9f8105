"""Messages on people's screens, kept like the store says: one edit at a time each, the newest state only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable

from telegram import Bot

from flows.bot.answers import form_of
from flows.clients import telegram
from flows.clients.telegram import Outcome
from flows.store import Prompt, Store
from flows.survey.screen import Screen, closed, draw

AT_ONCE = 24
NOTICES = 2000
"""Notices on taps that may wait; more than that are worth nothing by the time they could be shown."""
FLUSH_EVERY = 0.1
FLUSH_AT = 200


class Painter:
    """Draws what is stale. What is stale is kept in the store; `ask` only says where to look first."""

    def __init__(self, store: Store, bot: Bot) -> None:
        self._store, self._bot = store, bot
        self._pending: dict[str, None] = {}
        self._busy: set[str] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._done: list[Prompt] = []
        self._flushed = 0.0
        self._waiting: dict[str, float] = {}
        self._notices: dict[str, str] = {}
        self._notifiers: set[asyncio.Task[None]] = set()

    def ask(self, prompt_ids: Iterable[str]) -> None:
        """Draw these soon."""
        self._pending.update(dict.fromkeys(prompt_ids))

    def look(self) -> None:
        """Draw whatever the store says is stale."""
        self.ask(one for one in self._store.prompts.stale_ids() if one not in self._busy)

    def step(self) -> None:
        """Note what is drawn; put workers to what is not."""
        now = time.monotonic()
        if self._done and (now - self._flushed > FLUSH_EVERY or len(self._done) >= FLUSH_AT):
            self._flush(now)
        for prompt_id in [one for one, until in self._waiting.items() if until <= now]:
            del self._waiting[prompt_id]
            self._pending[prompt_id] = None
        for _ in range(min(len(self._pending), AT_ONCE - len(self._workers))):
            self._start(self._workers, self._work())
        for _ in range(min(len(self._notices), AT_ONCE // 2 - len(self._notifiers))):
            self._start(self._notifiers, self._notify())

    @staticmethod
    def _start(group: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        group.add(task)
        task.add_done_callback(group.discard)

    def _flush(self, now: float) -> None:
        done, self._done, self._flushed = self._done, [], now
        self._store.prompts.drawn(done)

    async def _work(self) -> None:
        """Draw one after the other until nothing is left that nobody else is drawing."""
        while prompt_id := next((one for one in self._pending if one not in self._busy), None):
            del self._pending[prompt_id]
            self._busy.add(prompt_id)
            try:
                await self._draw(prompt_id)
            finally:
                self._busy.discard(prompt_id)

    async def _draw(self, prompt_id: str) -> None:
        prompt = self._store.prompts.get(prompt_id)
        if prompt is None:
            return
        chat_id = self._store.people.chat_id(prompt.person)
        outcome = Outcome("refused")
        if chat_id is not None and prompt.message_id is not None:
            screen = self._screen(prompt)
            outcome = await telegram.edit(self._bot, chat_id, prompt.message_id, screen.text, screen.markup())
        if outcome.kind in {"wait", "down", "unsure"}:
            self._waiting[prompt_id] = time.monotonic() + max(outcome.seconds, 0.5)
        else:
            self._done.append(prompt)

    def _screen(self, prompt: Prompt) -> Screen:
        language = self._store.people.get(prompt.person).language
        if prompt.open:
            return draw(form_of(self._store, prompt), prompt.prompt_id, language)
        return closed(prompt.state, language)

    def notices(self, notices: dict[str, str]) -> None:
        """Answer taps; lost ones are no loss."""
        self._notices.update(notices)
        for query_id in list(self._notices)[: max(0, len(self._notices) - NOTICES)]:
            del self._notices[query_id]

    async def _notify(self) -> None:
        while self._notices:
            query_id = next(iter(self._notices))
            await telegram.notice(self._bot, query_id, self._notices.pop(query_id))

    async def drain(self, seconds: float) -> None:
        """Wait for what is on its way."""
        tasks = [*self._workers, *self._notifiers]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        self._flush(time.monotonic())
