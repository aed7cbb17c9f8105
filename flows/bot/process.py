"""The bot process: hear, apply, draw, send, in one loop over one store.

Order of a round: updates first, because answers matter most; then the screen; then what is due.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from telegram import BotCommand
from telegram.error import TelegramError
from telegram.ext import Updater

from flows.bot import upkeep
from flows.bot.commands import MENU
from flows.bot.engine import apply
from flows.bot.hearing import DurableQueue, Hearing
from flows.bot.order import Order
from flows.bot.pace import Pace
from flows.bot.painter import Painter
from flows.bot.sender import Sender
from flows.bot.texts import LANGUAGES
from flows.clients.events import Events
from flows.clients.telegram import TelegramSettingsError, make_bot
from flows.clock import SharedClock
from flows.collect.intake import ALLOWED_UPDATES
from flows.settings import Settings
from flows.store import Incoming, Store
from flows.survey.screen import words

log = logging.getLogger(__name__)
POLL = 10
BATCH = 400
TICK = 0.2
GLANCE = 0.003
"""Seconds between two looks at a replay's clock while it moves."""
AT_REST = 5.0
"""Seconds without a move after which a replay's clock is looked at once a tick."""
UPKEEP_EVERY = 5.0
BREATH = 0.002
"""Seconds between two rounds, at least: what comes in meanwhile is applied in one commit."""


class BotProcess:
    """Everything the bot does, until it is asked to stop."""

    def __init__(self, settings: Settings, store: Store, clock: SharedClock, events: Events) -> None:
        self._settings, self._store, self._clock, self._events = settings, store, clock, events
        self._hearing = Hearing(store, clock)
        self._bot = make_bot(settings, self._hearing.record)
        self._queue = DurableQueue(self._hearing, clock, webhook=settings.webhook_url is not None)
        self._updater = Updater(self._bot, self._queue)
        pace = Pace(settings.outbox_per_second, settings.outbox_chat_interval)
        self._sender = Sender(store, clock, self._bot, pace)
        self._painter = Painter(store, self._bot)
        self._pace = pace
        self._wake = self._hearing.arrived
        self._sender.wake = self._wake
        self._order = Order(store.inbox.last_done())
        self._stopping = False
        self._swept = self._kept_up = self._moved = 0.0
        self._seen_clock = clock.now()
        self._reached = clock.replayed()
        self._study = store.surveys.open(settings.survey, clock.now()).name

    async def run(self, ready: Callable[[str], None]) -> None:
        """Start, tell `ready` the bot's username, and go on until `stop`."""
        self._sender.recover()
        async with self._updater:
            await self._listen()
            ready(self._bot.username)
            menu = asyncio.create_task(self._menu())
            try:
                while not self._stopping:
                    self._round()
                    await self._rest()
            finally:
                menu.cancel()
                await self._updater.stop()
                self._apply()
                await self._painter.drain(3)
                await self._sender.drain(3)
                await self._events.close()

    def stop(self) -> None:
        """Ask the process to end after what is on its way."""
        self._stopping = True
        self._wake.set()

    async def _listen(self) -> None:
        if self._settings.webhook_url is None:
            await self._updater.start_polling(
                timeout=POLL,
                allowed_updates=ALLOWED_UPDATES,
                bootstrap_retries=-1,
                error_callback=lambda error: log.warning("Telegram cannot be heard: %s", type(error).__name__),
            )
            return
        if self._settings.webhook_secret is None:
            raise TelegramSettingsError("a webhook needs MOODFLOW_WEBHOOK_SECRET: anybody could post answers otherwise")
        await self._updater.start_webhook(
            listen="127.0.0.1",
            port=self._settings.webhook_port,
            url_path=urlsplit(self._settings.webhook_url).path.strip("/"),
            webhook_url=self._settings.webhook_url,
            secret_token=self._settings.webhook_secret.get_secret_value(),
            allowed_updates=ALLOWED_UPDATES,
            bootstrap_retries=-1,
        )

    async def _menu(self) -> None:
        """Tell Telegram the commands; a bot without its menu still works."""
        for language in LANGUAGES:
            said = words(language)
            commands = [BotCommand(name, said[f"menu_{name}"]) for name in MENU]
            with contextlib.suppress(TelegramError):
                await self._bot.set_my_commands(commands, language_code=None if language == "en" else language)

    def _round(self) -> None:
        self._wake.clear()
        if (reached := self._clock.replayed()) != self._reached:
            self._reached, self._moved = reached, time.monotonic()
        if self._settings.webhook_url is not None:
            self._hearing.listening(self._clock.now())
        self._apply()
        self._painter.step()
        self._sender.step()
        self._painter.ask(self._sender.redraw)
        self._sender.redraw.clear()
        self._upkeep()

    def _apply(self) -> None:
        while waiting := self._next():
            effects = apply(self._store, waiting, self._study)
            self._painter.notices(effects.notices)
            self._painter.ask(effects.redraw)
            self._sender.fresh = self._sender.fresh or effects.said
            self._events.answers(effects.responses)
            if len(waiting) < BATCH:
                return

    def _next(self) -> list[Incoming]:
        """Updates that wait; of those a webhook posted, only as far as none before them is missing."""
        waiting = self._store.inbox.waiting(BATCH)
        if self._settings.webhook_url is None or not waiting:
            return waiting
        return waiting[: self._order.ready([one.update_id for one in waiting], time.monotonic())]

    def _upkeep(self) -> None:
        """Sweep now and then, and soon after a replay moved the clock; only while people can be heard."""
        now, machine = self._clock.now(), time.monotonic()
        jumped = abs((now - self._seen_clock).total_seconds()) > UPKEEP_EVERY
        due = machine - self._swept > (0.1 if jumped else UPKEEP_EVERY)
        if not due or not self._hearing.heard:
            return
        self._swept, self._seen_clock = machine, now
        self._events.answers(upkeep.sweep(self._store, now))
        self._painter.look()
        self._pace.forget(machine)
        if jumped or machine - self._kept_up > 60:
            self._kept_up = machine
            upkeep.daily(self._store, now)

    async def _rest(self) -> None:
        """Until something happens or a replay moves the clock, at most a tick: others write to the outbox too."""
        if self._reached is None or time.monotonic() - self._moved > AT_REST:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK)
            await asyncio.sleep(BREATH)
            return
        late = time.monotonic() + TICK
        while not self._wake.is_set() and self._clock.replayed() == self._reached and time.monotonic() < late:  # noqa: ASYNC110 - another process moves the clock
            await asyncio.sleep(GLANCE)


__all__ = ["BotProcess"]
