"""The outbox, emptied: each message at its time, once, within the limits; what became of it goes to the ledger."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime, timedelta
from typing import Any

from telegram import Bot

from flows.bot.answers import form_of
from flows.bot.attachments import attachment
from flows.bot.pace import Pace
from flows.bot.texts import text
from flows.clients import telegram
from flows.clients.telegram import Outcome
from flows.clock import SharedClock
from flows.store import Outgoing, Store
from flows.survey.screen import draw

log = logging.getLogger(__name__)
BATCH = 500
IN_FLIGHT = 24
LATE = timedelta(minutes=2)
LOOK_EVERY = 0.2
SETTLE_EVERY = 0.01
ONCE = ("insight", "reminder", "nudge")
"""Kinds that a doubt about their delivery ends: better one message less than the same one twice."""


class Sender:
    """Sends what is due."""

    def __init__(self, store: Store, clock: SharedClock, bot: Bot, pace: Pace) -> None:
        self._store, self._clock, self._bot, self._pace = store, clock, bot, pace
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._results: list[tuple[Outgoing, int, Outcome, datetime]] = []
        self._retry_at: dict[str, float] = {}
        self._due: list[Outgoing] = []
        self._read = (0.0, clock.now(), -1)
        self._settled = 0.0
        self.wake = asyncio.Event()
        self.fresh = True
        """Set where this process has put something into the outbox."""
        self.redraw: set[str] = set()
        """Prompts that were answered before their delivery was noted."""

    def recover(self) -> None:
        """Settle what a dead process left on its way: what must not come twice is given up, the rest goes again."""
        now = self._clock.now()
        with self._store.transaction():
            for one in self._store.outbox.interrupted():
                if one.kind in ONCE:
                    self._store.outbox.close(one.key, "unknown", now, reason="the bot stopped while sending")
                    self._store.ledger.add(_subject(one), "unknown", now, "the bot stopped while sending")
                elif self._arrived(one):
                    self._store.outbox.close(one.key, "sent", now)
                    self._store.ledger.add(_subject(one), "sent", now, "known by the answers")
                else:
                    self._store.outbox.release(one.key, doubt=True)
                    self._store.ledger.add(_subject(one), "again", now, "the bot stopped while sending")

    def _arrived(self, one: Outgoing) -> bool:
        """Whether a prompt in doubt has been answered already."""
        if one.kind != "prompt":
            return False
        prompt = self._store.prompts.get(one.payload["prompt_id"])
        return prompt is not None and prompt.message_id is not None

    def step(self) -> int:
        """Settle what came back, start what is due; how many are on their way."""
        if self._results and (time.monotonic() - self._settled > SETTLE_EVERY or len(self._results) >= IN_FLIGHT // 2):
            self.settle()
        free = IN_FLIGHT - len(self._busy)
        if free > 0:
            self._look()
            if self._due:
                self._start(self._choose(free))
        return len(self._busy)

    def _look(self) -> None:
        """Read what is due, where something can have changed since: here, elsewhere, or the time."""
        machine, now, changes = time.monotonic(), self._clock.now(), self._store.database.changes()
        read_at, read_now, read_changes = self._read
        jumped = abs((now - read_now).total_seconds() - (machine - read_at)) > 1e-3
        if self.fresh or jumped or changes != read_changes or machine - read_at > LOOK_EVERY:
            self._due = self._store.outbox.due(now, BATCH)
            self._read, self.fresh = (machine, now, changes), False

    def _choose(self, free: int) -> list[tuple[Outgoing, int]]:
        now, machine = self._clock.now(), time.monotonic()
        chosen: list[tuple[Outgoing, int]] = []
        late: list[Outgoing] = []
        taken: set[int] = set()
        for one in self._due:
            if one.expires_at is not None and one.expires_at <= now:
                late.append(one)
                continue
            chat_id = one.chat_id if one.person is None else self._store.people.chat_id(one.person)
            if chat_id is None:
                self._results.append((one, 0, Outcome("refused", reason="the chat is gone"), now))
            elif (
                len(chosen) < free
                and chat_id not in taken
                and chat_id not in self._busy
                and self._retry_at.get(one.key, 0) <= machine
                and self._pace.take(chat_id, machine)
            ):
                chosen.append((one, chat_id))
            if chat_id is not None:
                taken.add(chat_id)  # what comes after it waits for it: a chat keeps its order
        if late:
            self._expire(late, now)
        gone = {one.key for one, _ in chosen} | {one.key for one in late} | {one.key for one, *_ in self._results}
        self._due = [one for one in self._due if one.key not in gone]
        self.fresh = self.fresh or not self._due
        return chosen

    def _expire(self, late: list[Outgoing], now: datetime) -> None:
        with self._store.transaction():
            for one in late:
                self._store.outbox.close(one.key, "expired", now, reason="too late to be sent")
                closed = one.kind == "prompt" and self._store.prompts.undelivered(one.payload["prompt_id"], "skipped")
                event = "skipped" if closed else "expired"
                self._store.ledger.add(_subject(one) if closed else one.key, event, now, "too late to be sent")

    def _start(self, chosen: list[tuple[Outgoing, int]]) -> None:
        if not chosen:
            return
        claimed = self._store.outbox.claim([one.key for one, _ in chosen])
        for one, chat_id in chosen:
            if one.key not in claimed:
                continue  # withdrawn since it was read
            self._busy[chat_id] = asyncio.create_task(self._send(one, chat_id))

    async def _send(self, one: Outgoing, chat_id: int) -> None:
        try:
            outcome = await self._deliver(one, chat_id)
        except Exception as error:  # noqa: BLE001 - a message that cannot be made must not stop the others
            log.error("%s could not be made: %s", one.kind, type(error).__name__)  # noqa: TRY400 - a traceback would show people's answers
            outcome = Outcome("refused", reason=f"could not be made: {type(error).__name__}")
        self._results.append((one, chat_id, outcome, self._clock.now()))
        self._busy.pop(chat_id, None)
        self.wake.set()

    async def _deliver(self, one: Outgoing, chat_id: int) -> Outcome:
        method = one.payload.get("method")
        if method == "prompt":
            return await self._prompt(one, chat_id)
        if method in {"stats", "export"} and one.person is not None:
            made = await asyncio.to_thread(attachment, self._store.database.path, one.person, method)
            return await telegram.send(self._bot, chat_id, made)
        return await telegram.send(self._bot, chat_id, one.payload)

    async def _prompt(self, one: Outgoing, chat_id: int) -> Outcome:
        prompt = self._store.prompts.get(one.payload["prompt_id"])
        person = self._store.people.find(one.person) if one.person else None
        if prompt is None or person is None or not prompt.open:
            return Outcome("refused", reason="the prompt is closed")
        if one.kind == "nudge":
            return await telegram.send(self._bot, chat_id, _message(text("nudge", person.language)))
        screen = draw(form_of(self._store, prompt), prompt.prompt_id, person.language)
        return await telegram.send(self._bot, chat_id, _message(screen.text, screen.markup()))

    def settle(self) -> None:
        """Write down what became of the messages that came back."""
        if not self._results:
            return
        results, self._results, self._settled = self._results, [], time.monotonic()
        self.fresh = True
        with self._store.transaction():
            for one, chat_id, outcome, at in results:
                self._settle_one(one, chat_id, outcome, at)

    def _settle_one(self, one: Outgoing, chat_id: int, outcome: Outcome, at: datetime) -> None:
        match outcome.kind:
            case "ok":
                self._delivered(one, outcome.value, at)
            case "wait":
                self._pace.wait(chat_id, time.monotonic() + outcome.seconds)
                self._store.outbox.release(one.key)
            case "moved" if outcome.value is not None:
                self._store.people.migrate_chat(chat_id, outcome.value)
                self._store.outbox.release(one.key)
            case "unsure" if one.kind in ONCE:
                self._closed(one, "unknown", outcome.reason, at)
            case "unsure" | "down":
                self._put_off(one, outcome)
            case "gone":
                self._gone(one, outcome.reason, at)
            case _:
                self._closed(one, "refused", outcome.reason, at)

    def _delivered(self, one: Outgoing, message_id: int | None, at: datetime) -> None:
        self._retry_at.pop(one.key, None)
        self._store.outbox.close(one.key, "sent", at, telegram_id=message_id)
        late = at - one.due_at
        self._store.ledger.add(_subject(one), "sent", at, f"late {late.total_seconds():.0f} s" if late > LATE else "")
        if one.kind not in {"prompt", "again"}:
            return
        prompt = self._store.prompts.get(one.payload["prompt_id"])
        if prompt is None:
            return
        self._store.prompts.sent(prompt.prompt_id, message_id, at)
        if prompt.started_at is not None or one.kind == "again":
            self._store.prompts.mark_stale(prompt.prompt_id)
            self.redraw.add(prompt.prompt_id)
        after = self._store.surveys.by_version(prompt.survey_version).schedule.reminder_after
        if one.kind == "prompt" and prompt.started_at is None and after is not None:
            payload: dict[str, Any] = {"method": "prompt", "prompt_id": prompt.prompt_id}
            key = f"{prompt.prompt_id}:nudge"
            self._store.outbox.enqueue(key, one.person, "nudge", payload, at + after, prompt.expires_at)

    def _put_off(self, one: Outgoing, outcome: Outcome) -> None:
        """Again later, longer each time; nothing is due twice in the meantime."""
        delay = min(60.0, 0.5 * 2 ** min(one.attempts, 7))
        self._retry_at[one.key] = time.monotonic() + delay
        if outcome.kind == "down" and one.attempts > 1:
            self._pace.wait_all(time.monotonic() + min(delay, 5))
        self._store.outbox.release(one.key, doubt=outcome.kind == "unsure")

    def _gone(self, one: Outgoing, reason: str, at: datetime) -> None:
        """The person blocked the bot: nothing more until they come back."""
        self._closed(one, "refused", reason, at)
        person = self._store.people.find(one.person) if one.person else None
        if person is not None and person.state in {"active", "paused"}:
            self._store.cancel_planned(person.person, at, "blocked")
            self._store.people.change(person.person, state="blocked")
            self._store.ledger.add(person.person, "blocked", at)

    def _closed(self, one: Outgoing, state: str, reason: str, at: datetime) -> None:
        self._retry_at.pop(one.key, None)
        self._store.outbox.close(one.key, state, at, reason=reason)
        closed = one.kind == "prompt" and self._store.prompts.undelivered(one.payload["prompt_id"], "refused")
        self._store.ledger.add(_subject(one) if closed else one.key, state, at, reason)

    async def drain(self, seconds: float) -> None:
        """Wait for what is on its way, then write it down."""
        if self._busy:
            await asyncio.wait(list(self._busy.values()), timeout=seconds)
        self.settle()


def _message(words: str, markup: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"method": "sendMessage", "text": words, "reply_markup": markup}


def _subject(one: Outgoing) -> str:
    """What the ledger says it about: the prompt, or the message by its outbox key."""
    return str(one.payload["prompt_id"]) if one.kind == "prompt" else one.key
