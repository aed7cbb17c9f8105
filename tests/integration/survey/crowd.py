"""Many people in front of their screens: they see what is sent and answer what is asked, faster than people could."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from flows.survey.callbacks import Callback, decode, encode
from tests.integration.survey.wire import People, datas

LOOK_AGAIN = 10.0
"""Seconds after which somebody whose form did not move looks at the screen and answers what it asks."""
EMPTY = ": –"
"""What the last look shows of an item without an answer."""


@dataclass(frozen=True)
class Filling:
    """What one person answers to one prompt: item id -> value, in the survey's order."""

    prompt: str
    version: str
    answers: Mapping[str, Any]


class Crowd:
    """The screens of everybody, kept up to date by one long poll."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._screens: defaultdict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    @classmethod
    @contextmanager
    def watching(cls, people: People) -> Iterator[Crowd]:
        """A crowd that sees, until the end of the block."""
        crowd = cls(people)
        crowd._watcher.start()
        try:
            yield crowd
        finally:
            crowd._stop.set()
            crowd._watcher.join()

    def _watch(self) -> None:
        after = 0
        with httpx.Client(timeout=30) as http:
            while not self._stop.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    query = {"after": after, "timeout": 1}
                    got = http.get(f"{self._people.api}/client/events", params=query).json()
                    after = got["last"]
                    with self._news:
                        for event in got["events"]:
                            self._see(event)
                        self._news.notify_all()

    def _see(self, event: dict[str, Any]) -> None:
        screen = self._screens[event["chat_id"]]
        if event["type"] in {"message", "edit"}:
            screen[event["message"]["message_id"]] = event["message"]
        elif event["type"] == "delete":
            screen.pop(event["message_id"], None)

    def shown(self, user: int, prompt: str) -> dict[str, Any] | None:
        """The newest message that shows a prompt with buttons."""
        with self._news:
            for message in reversed(self._screens[user].values()):
                if any(f".{prompt}." in data for data in datas(message)):
                    return message
        return None

    def wait(self, condition: Callable[[], bool], seconds: float = 300, what: str = "") -> None:
        """Wait until something holds, looking after every piece of news and now and then."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"did not happen within {seconds} s: {what}")
            with self._news:
                self._news.wait(0.1)

    def fill(self, wanted: Mapping[int, Filling], seconds: float = 300) -> None:
        """Everybody answers every item, and waits for the last look to show all of them."""
        begun: dict[int, float] = {}
        left = set(wanted)

        def done() -> bool:
            calls: list[dict[str, Any]] = []
            for user in list(left):
                message = self.shown(user, wanted[user].prompt)
                if message is None:
                    continue
                if _complete(message):
                    left.discard(user)
                elif user not in begun:
                    begun[user] = time.monotonic()
                    calls += _all(user, message, wanted[user])
                elif time.monotonic() - begun[user] > LOOK_AGAIN:
                    begun[user] = time.monotonic()
                    calls += _asked(user, message, wanted[user])
            self.do(calls)
            return not left

        self.wait(done, seconds, f"{sorted(wanted)} to see their last look")

    def submit(self, wanted: Mapping[int, Filling]) -> None:
        """Everybody taps the button that submits."""
        calls = []
        for user, filling in wanted.items():
            message = self.shown(user, filling.prompt)
            assert message is not None, f"no button left for {user}"
            calls.append(tap(user, message, encode(Callback("submit", filling.prompt, filling.version))))
        self.do(calls)

    def do(self, calls: list[dict[str, Any]]) -> None:
        """Do many things in one go."""
        for start in range(0, len(calls), 200):
            self._people.post_list("batch", calls[start : start + 200])


def tap(user: int, message: dict[str, Any], data: str) -> dict[str, Any]:
    """A tap, whether or not the button is still there."""
    return {"method": "tap", "user_id": user, "message_id": message["message_id"], "data": data, "force": True}


def _complete(message: dict[str, Any]) -> bool:
    return any(data.startswith("u.") for data in datas(message)) and EMPTY not in message["text"]


def _all(user: int, message: dict[str, Any], filling: Filling) -> list[dict[str, Any]]:
    """Every answer at once, in their order, without waiting for the screen to follow."""
    return [_one(user, message, filling, item, value) for item, value in enumerate(filling.answers.values())]


def _asked(user: int, message: dict[str, Any], filling: Filling) -> list[dict[str, Any]]:
    """The answer to what the screen asks now."""
    buttons = [found for data in datas(message) if (found := decode(data)) is not None]
    item = next((button.item for button in buttons if button.kind in {"value", "skip"}), None)
    if item is None:
        return []
    return [_one(user, message, filling, item, list(filling.answers.values())[item])]


def _one(user: int, message: dict[str, Any], filling: Filling, item: int, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"method": "send", "user_id": user, "text": value}
    return tap(user, message, encode(Callback("value", filling.prompt, filling.version, item, str(value))))
