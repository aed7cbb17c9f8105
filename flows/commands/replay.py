"""A study's people as respondents in the local Telegram: they see what a person sees and tap what a person taps.

Nothing goes past the bot: a respondent gets prompts as messages and taps their buttons, one item after the other.
The study's time is kept by the shared clock. Between two times at which somebody is prompted, people tap through
their items side by side; each then submits at the study's own answer time, in order, because a response's time is
that of its submission. Time moves on as soon as the bot has heard what was tapped: it notes with every update when
that was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from flows.clock import SharedClock
from flows.commands.errors import ServiceError
from flows.commands.studies import Beep, Replay
from flows.settings import Settings
from flows.store import Prompt, Store
from flows.survey.callbacks import Callback, decode, encode
from flows.survey.definition import Survey, load

FIRST_USER = 500_000_000
PATIENCE = 120.0
GLANCE = 0.001
"""Seconds between two looks at what the bot has heard."""


@dataclass
class Screen:
    """A message with buttons as it stands in a chat now."""

    chat_id: int
    message_id: int
    buttons: tuple[tuple[str, Callback], ...]

    def find(self, kind: str, value: str | None = None) -> str | None:
        """Callback data of the first button of a kind (and value), None where there is none."""
        for data, callback in self.buttons:
            if callback.kind == kind and (value is None or callback.value == value):
                return data
        return None


@dataclass
class Respondent:
    """One person of the study: who they are in Telegram and in the store."""

    number: int
    user_id: int
    language: str
    chat_id: int = 0
    person: str = ""


@dataclass
class Filling:
    """A prompt somebody is answering."""

    respondent: Respondent
    beep: Beep
    prompt: Prompt
    at: datetime


class Phone:
    """All respondents' phones: one stream of what they see, one batch of what they tap."""

    def __init__(self, root: str) -> None:
        self._http = httpx.Client(base_url=f"{root.rstrip('/')}/client/", timeout=60)
        self._after = 0
        self._taps: list[dict[str, Any]] = []

    def call(self, method: str, **body: Any) -> Any:
        """One call of the user side."""
        return self._http.post(method, json=body).raise_for_status().json()

    def tap(self, user_id: int, screen: Screen, data: str) -> None:
        """Tap a button, with the next batch; one that is about to be drawn, too."""
        self._taps.append(
            {
                "method": "tap",
                "user_id": user_id,
                "chat_id": screen.chat_id,
                "message_id": screen.message_id,
                "data": data,
                "force": True,
            }
        )

    def write(self, user_id: int, text: str) -> None:
        """Write a message, with the next batch."""
        self._taps.append({"method": "send", "user_id": user_id, "text": text})

    def flush(self) -> int:
        """Send what was tapped since; the number of its last update, 0 where there is none."""
        taps, self._taps = self._taps, []
        if not taps:
            return 0
        answers: list[dict[str, Any]] = self._http.post("batch", json=taps).raise_for_status().json()
        refused = [answer for answer in answers if answer.get("ok") is False]
        if refused:
            raise ServiceError(f"the local Telegram refused {len(refused)} of {len(taps)} taps: {refused[0]}")
        return max(int(answer["update_id"]) for answer in answers)

    def look(self, seconds: float = 5.0) -> list[dict[str, Any]]:
        """What changed in the chats since the last look; waits for something to change."""
        self.flush()
        answer = self._http.get("events", params={"after": self._after, "timeout": seconds, "limit": 1000})
        said = answer.raise_for_status().json()
        self._after = said["last"] if said["events"] else self._after
        events: list[dict[str, Any]] = said["events"]
        return events

    def close(self) -> None:
        """Hang up."""
        self._http.close()


@dataclass
class Replayer:
    """Drives one study through a running stack."""

    settings: Settings
    study: Replay
    survey: Survey
    phone: Phone
    clock: SharedClock
    store: Store
    people: dict[int, Respondent] = field(default_factory=dict)
    screens: dict[str, Screen] = field(default_factory=dict)
    chats: dict[int, Screen] = field(default_factory=dict)
    filling: dict[str, Filling] = field(default_factory=dict)
    planned: dict[str, tuple[Respondent, Beep, Prompt]] = field(default_factory=dict)
    advance: Callable[[], None] = lambda: None
    once_planned: Callable[[], None] = lambda: None
    _given: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Enrol everybody, live through the study, and stop on the morning after it."""
        self.clock.set(self.study.start - timedelta(hours=1))
        self._enrol()
        for number, (start, end) in enumerate(self.study.stretches()):
            self._plan(start, end)
            if number == 0:
                self.once_planned()
            self._live(start, end)
        self._rest()

    # -- enrolment ---------------------------------------------------------------------------------------------

    def _enrol(self) -> None:
        waiting = {}
        for number in self.study.numbers:
            one = Respondent(number, FIRST_USER + number, self.survey.languages[number % len(self.survey.languages)])
            body = {"user_id": one.user_id, "first_name": f"Respondent {number}", "language_code": one.language}
            one.chat_id = self.phone.call("start", **body, payload=self.survey.name)["chat_id"]
            self.people[one.chat_id] = waiting[one.chat_id] = one
        self._until(lambda: not self._still_outside(waiting), "everybody to be enrolled", self._agree)
        for one in self.people.values():
            slots = self.study.slots(one.number)
            if slots:
                self.store.slots.add(one.person, slots)

    def _still_outside(self, waiting: dict[int, Respondent]) -> bool:
        for chat_id, one in list(waiting.items()):
            known = self.store.people.by_chat(chat_id)
            if known is not None and known.state == "active":
                one.person = known.person
                del waiting[chat_id]
        return bool(waiting)

    def _agree(self, screen: Screen) -> None:
        """Answer whatever the enrolment asks."""
        one = self.people[screen.chat_id]
        data = screen.find("consent", "yes") or screen.find("country")
        if data:
            self.phone.tap(one.user_id, screen, data)
        elif screen.find("timezone"):
            self.phone.write(one.user_id, self.survey.timezone)

    # -- the study ---------------------------------------------------------------------------------------------

    def _plan(self, start: datetime, end: datetime) -> None:
        """Let the survey flow plan a stretch, and learn which prompts it made."""
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        from flows.survey.flow import survey  # imports Prefect, which is slow

        self.clock.set(max(start, self.clock.now()))
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # the end of a run waits for the next beat
            survey(lookahead_minutes=int((end - start) / timedelta(minutes=1)))
        for one in self.people.values():
            for prompt in self.store.prompts.of(one.person, since=start):
                beep = self.study.beeps.get((one.number, prompt.day, prompt.beep))
                if beep is not None and prompt.prompt_id not in self.planned:
                    self.planned[prompt.prompt_id] = (one, beep, prompt)

    def _live(self, start: datetime, end: datetime) -> None:
        """Go from prompt to prompt, answering in between."""
        moments = sorted({p.slot_at for _, _, p in self.planned.values() if start < p.slot_at <= end})
        for moment in moments:
            self._submit_until(moment)
            self.clock.set(max(moment, self.clock.now()))
            due = {key: self.planned.pop(key) for key in [k for k, v in self.planned.items() if v[2].slot_at == moment]}
            self._until(partial(self._shown, due.keys()), f"the prompts of {moment.isoformat()}")
            for key, (one, beep, prompt) in due.items():
                at = beep.time(prompt.slot_at)
                if at is not None:
                    self.filling[key] = Filling(one, beep, prompt, at)
                else:
                    self.advance()
        self._submit_until(end)
        self._until(lambda: not self._given & self.screens.keys(), "every form that was handed in to be taken")
        self._given.clear()

    def _tap_through(self, filling: Filling, screen: Screen) -> None:
        """Answer or skip item after item and submit, faster than the screen is redrawn: taps arrive in order."""
        user, prompt, given = filling.respondent.user_id, filling.prompt, filling.beep.answers
        for index, item in enumerate(self.survey.items):
            if not self.survey.asked(item, given, prompt.day, prompt.beep):
                continue
            button = Callback("skip", prompt.prompt_id, self.survey.version, index)
            if item.id in given:
                value = f"{given[item.id]:g}"
                if item.scale.kind in {"slider", "number"}:
                    self.phone.write(user, value)
                    continue
                button = replace(button, kind="value", value=value)
            self.phone.tap(user, screen, encode(button))
        self.phone.tap(user, screen, encode(Callback("submit", prompt.prompt_id, self.survey.version)))

    def _submit_until(self, until: datetime) -> None:
        """Fill in and submit, one by one at the study's time, what is answered by `until`."""
        for key, filling in sorted(self.filling.items(), key=lambda entry: entry[1].at):
            if filling.at > until:
                break
            self.clock.set(max(filling.at, self.clock.now()))
            self._tap_through(filling, self.screens[key])
            self._await_heard(self.phone.flush())
            self._given.add(key)
            del self.filling[key]
            self.advance()

    def _await_heard(self, update_id: int) -> None:
        """Wait until the bot has an update on disk, with the time it came at."""
        deadline = time.monotonic() + PATIENCE
        while self.store.inbox.last_heard() < update_id:
            self._in_time(deadline, f"update {update_id} to be heard")
            time.sleep(GLANCE)

    def _rest(self) -> None:
        """Let what is left expire, and stop at ten on the morning after, when people may be written to."""
        schedule = self.survey.schedule
        end = self.clock.now() + schedule.expires_after + schedule.finish_within + timedelta(minutes=1)
        self.clock.set(end)
        self.clock.set(self.study.morning_after(end, self.survey.timezone))

    # -- what people see ---------------------------------------------------------------------------------------

    def _until(self, reached: Callable[[], bool], what: str, react: Callable[[Screen], None] = lambda _: None) -> None:
        deadline = time.monotonic() + PATIENCE
        self.phone.flush()
        while not reached():
            for screen in self._see(self.phone.look(0.2)):
                react(screen)
                deadline = time.monotonic() + PATIENCE
            self._in_time(deadline, what)

    def _in_time(self, deadline: float, what: str) -> None:
        if time.monotonic() > deadline:
            log = self.settings.home / "logs" / "bot.log"
            raise ServiceError(f"waited {PATIENCE:.0f} s for {what}; the bot's log is {log}")

    def _see(self, events: Iterable[dict[str, Any]]) -> Iterator[Screen]:
        for event in events:
            if event["type"] not in {"message", "edit"} or event["chat_id"] not in self.people:
                continue
            screen = _screen(event)
            key = _prompt_of(screen)
            if key:
                self.screens[key] = screen
            else:
                self._forget(screen)
            if screen.buttons:
                yield screen

    def _shown(self, keys: Collection[str]) -> bool:
        return all(key in self.screens for key in keys)

    def _forget(self, screen: Screen) -> None:
        """Drop a prompt whose buttons are gone: it was taken or has expired."""
        for key, shown in list(self.screens.items()):
            if (shown.chat_id, shown.message_id) == (screen.chat_id, screen.message_id):
                del self.screens[key]


def _screen(event: dict[str, Any]) -> Screen:
    message = event["message"]
    rows = (message.get("reply_markup") or {}).get("inline_keyboard", [])
    found = [(b["callback_data"], decode(b["callback_data"])) for row in rows for b in row if "callback_data" in b]
    buttons = tuple((data, callback) for data, callback in found if callback is not None)
    return Screen(event["chat_id"], message["message_id"], buttons)


def _prompt_of(screen: Screen) -> str:
    return next((callback.prompt for _, callback in screen.buttons if callback.prompt), "")


def replay_study(
    settings: Settings, study: Replay, *, console: Console, once_planned: Callable[[], None] = lambda: None
) -> None:
    """Replay `study` into the stack that `settings` names, with a progress bar.

    `once_planned` is called between planning the first prompts and answering them.

    Raises
    ------
    ServiceError
        If the bot does not react within two minutes: what was awaited, and where its log is.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Store.open(settings.database) as store, Progress(*columns, console=console) as progress:
        bar = progress.add_task("replaying beeps", total=len(study.beeps))
        phone = Phone(settings.telegram_url)
        try:
            driver = Replayer(
                settings,
                study,
                load(settings.survey),
                phone,
                SharedClock(settings.home),
                store,
                advance=lambda: progress.advance(bar),
                once_planned=once_planned,
            )
            driver.run()
            progress.update(bar, completed=len(study.beeps))
        finally:
            phone.close()
