"""Messages on people's screens, kept like the store says: one edit at a time each, the newest state only."""

from __future__ import annotations

import asyncio
import time

from telegram import Bot

from flows.bot.answers import form_of
from flows.clients import telegram
from flows.clients.telegram import Outcome
from flows.store import Prompt, Store
from flows.survey.screen import Screen, closed, draw

AT_ONCE = 24
NOTICES = 1000
"""Notices on taps that may wait; more than that are worth nothing by the time they could be shown."""


class Painter:
    """Draws what is stale."""

    def __init__(self, store: Store, bot: Bot) -> None:
        self._store, self._bot = store, bot
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._done: list[Prompt] = []
        self._not_before: dict[str, float] = {}
        self._notices: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.wake = asyncio.Event()

    def step(self) -> int:
        """Note what is drawn, start drawing what is stale; how many drawings are on their way."""
        if self._done:
            done, self._done = self._done, []
            self._store.prompts.drawn(done)
        if len(self._busy) < AT_ONCE:
            now = time.monotonic()
            for prompt in self._store.prompts.stale():
                waits = prompt.prompt_id in self._busy or self._not_before.get(prompt.prompt_id, 0) > now
                if not waits and len(self._busy) < AT_ONCE:
                    self._busy[prompt.prompt_id] = asyncio.create_task(self._draw(prompt))
        return len(self._busy)

    async def _draw(self, prompt: Prompt) -> None:
        chat_id = self._store.people.chat_id(prompt.person)
        person = self._store.people.find(prompt.person)
        outcome = Outcome("refused")
        if chat_id is not None and person is not None and prompt.message_id is not None:
            screen = self._screen(prompt, person.language)
            outcome = await telegram.edit(self._bot, chat_id, prompt.message_id, screen.text, screen.markup())
        if outcome.kind in {"wait", "down", "unsure"}:
            self._not_before[prompt.prompt_id] = time.monotonic() + max(outcome.seconds, 0.5)
        else:
            self._not_before.pop(prompt.prompt_id, None)
            self._done.append(prompt)
        self._busy.pop(prompt.prompt_id, None)
        self.wake.set()

    def _screen(self, prompt: Prompt, language: str) -> Screen:
        if prompt.open:
            return draw(form_of(self._store, prompt), prompt.prompt_id, language)
        return closed(prompt.state, language)

    def notices(self, notices: dict[str, str]) -> None:
        """Answer taps; lost ones are no loss."""
        for query_id, words in notices.items():
            if len(self._notices) < NOTICES:
                task = asyncio.create_task(self._notice(query_id, words))
                self._notices.add(task)
                task.add_done_callback(self._notices.discard)

    async def _notice(self, query_id: str, words: str) -> None:
        async with self._gate:
            await telegram.notice(self._bot, query_id, words)

    async def drain(self, seconds: float) -> None:
        """Wait for what is on its way."""
        tasks = [*self._busy.values(), *self._notices]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        self.step()
