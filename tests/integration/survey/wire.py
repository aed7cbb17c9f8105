"""A bot, the local Telegram and the people in front of it, for tests: real processes, real HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from flows.store import Store
from tests.services import Service, running, start

TOKEN = "4242424242:" + "A" * 35


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = 60, what: str = "") -> Any:
    """Wait until a condition holds; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"did not happen within {seconds} s: {what or condition}")


@dataclass
class People:
    """The people's side of the local Telegram."""

    api: str
    client: httpx.Client

    def post(self, method: str, **body: Any) -> Any:
        got = self.client.post(f"{self.api}/client/{method}", json=body)
        assert got.status_code == 200, got.text
        return got.json()

    def post_list(self, method: str, body: list[dict[str, Any]]) -> Any:
        got = self.client.post(f"{self.api}/client/{method}", json=body)
        assert got.status_code == 200, got.text
        return got.json()

    def start(self, user: int, payload: str = "", language: str = "ru") -> int:
        body = {"user_id": user, "first_name": "N", "language_code": language, "bot": TOKEN}
        return int(self.post("start", **body, payload=payload)["chat_id"])

    def say(self, user: int, text: str) -> None:
        self.post("send", user_id=user, text=text)

    def messages(self, chat: int) -> list[dict[str, Any]]:
        got = self.client.get(f"{self.api}/client/chats/{chat}/messages").json()
        return got["messages"] if isinstance(got, dict) else got

    def last(self, chat: int) -> dict[str, Any]:
        """Newest message of the bot's in a chat."""
        mine = [m for m in self.messages(chat) if m["from"]["is_bot"]]
        return mine[-1] if mine else {}

    def reads(self, chat: int, words: str, seconds: float = 60) -> None:
        """Wait until the newest message of the bot's contains words."""
        until(lambda: words in self.last(chat).get("text", ""), seconds, f"{words!r} in chat {chat}")

    def tap(self, user: int, message: dict[str, Any], data: str, *, force: bool = False) -> int:
        return self.post("tap", user_id=user, message_id=message["message_id"], data=data, force=force)["update_id"]

    def button(self, chat: int, starts: str, seconds: float = 60) -> tuple[dict[str, Any], str]:
        """Wait for a message with a button whose data begins so; the message and the data."""

        def found() -> tuple[dict[str, Any], str] | None:
            for message in reversed(self.messages(chat)):
                for data in datas(message):
                    if data.startswith(starts):
                        return message, data
            return None

        return until(found, seconds, f"button {starts} in {chat}")

    def press(self, user: int, starts: str) -> None:
        """Wait for a button, tap it."""
        message, data = self.button(user, starts)
        self.tap(user, message, data)

    def enrol(self, user: int, study: str = "", country: str = "NL", zone: str = "Europe/Amsterdam") -> None:
        """Go through consent, country and timezone."""
        self.start(user, study)
        for starts in ("c.yes", f"k.{country}", f"z.{zone}"):
            self.press(user, starts)
        until(lambda: len(self.messages(user)) >= 5, what="welcome")


def datas(message: dict[str, Any]) -> list[str]:
    """Callback data of a message's buttons."""
    rows = (message.get("reply_markup") or {}).get("inline_keyboard", [])
    return [button["callback_data"] for row in rows for button in row if "callback_data" in button]


@dataclass
class World:
    """Everything that runs."""

    home: Path
    telegram: Service
    people: People
    environment: dict[str, str]
    bot: Service | None = None

    def start_bot(self, **more: str) -> Service:
        """Start the bot, with more in its environment than the world has."""
        log = self.home / "bot.log"
        with log.open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.bot"],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | self.environment | more,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bot did not start (exit {process.wait()}):\n{log.read_text()[-4000:]}")
        process.stdout.close()
        self.bot = Service(process, json.loads(line), log)
        return self.bot

    def store(self) -> Store:
        return Store.open(self.home / "private.db")


def settings_of(home: Path, telegram: Service, **more: str) -> dict[str, str]:
    """Environment of the product's processes."""
    return {
        "MOODFLOW_HOME": str(home),
        "MOODFLOW_TELEGRAM_TOKEN": TOKEN,
        "MOODFLOW_TELEGRAM_URL": telegram.ready["urls"]["api"],
        "MOODFLOW_OUTBOX_PER_SECOND": "10000",
        "MOODFLOW_OUTBOX_CHAT_INTERVAL": "0",
        "PREFECT_API_URL": "",
        **more,
    }


@contextmanager
def world(folder: Path, *, bot: bool = True, **more: str) -> Iterator[World]:
    """A local Telegram and a bot in a folder, stopped at the end."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    with running("server.telegram", folder / "telegram", ["--port", "0"]) as telegram, httpx.Client(timeout=30) as http:
        people = People(telegram.ready["urls"]["api"], http)
        here = World(home, telegram, people, settings_of(home, telegram, **more))
        try:
            if bot:
                here.start_bot()
            yield here
        finally:
            if here.bot is not None:
                here.bot.stop()


__all__ = ["TOKEN", "People", "World", "datas", "start", "until", "world"]
