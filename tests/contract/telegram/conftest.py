"""A local Telegram per test module, and real python-telegram-bot against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from tests.services import Service, running
from tests.services import start as start_service

Start = Callable[..., Service]
TOKEN = "4242:AAH-local_token"


@dataclass
class Local:
    """Where a local Telegram listens, and the people's side of it."""

    api: str
    http: httpx.Client

    def bot(self, token: str = TOKEN) -> Bot:
        """An unmodified PTB bot."""
        return Bot(
            token,
            base_url=f"{self.api}/bot",
            base_file_url=f"{self.api}/file/bot",
            request=HTTPXRequest(connection_pool_size=20, read_timeout=20),
            get_updates_request=HTTPXRequest(read_timeout=20),
        )

    def client(self, action: str, **body: Any) -> dict[str, Any]:
        """One action of a person; fails the test where it is refused."""
        response = self.http.post(f"/client/{action}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def raw(self, method: str, token: str = TOKEN, **body: Any) -> httpx.Response:
        """A Bot API call without a library."""
        return self.http.post(f"/bot{token}/{method}", json=body)

    def person(self, name: str = "Аня", token: str = TOKEN, **more: Any) -> int:
        """A new person who has started the bot; their /start is confirmed."""
        self.raw("getMe", token)
        user_id = self.client("start", first_name=name, bot=token, **more)["user_id"]
        self.drain(token)
        return user_id

    def drain(self, token: str = TOKEN) -> list[dict[str, Any]]:
        """Everything that waits, confirmed."""
        waiting = self.raw("getUpdates", token).json()["result"]
        if waiting:
            self.raw("getUpdates", token, offset=waiting[-1]["update_id"] + 1)
        return waiting


def local(url: str) -> Local:
    """A `Local` at an address."""
    return Local(url, httpx.Client(base_url=url, timeout=30, trust_env=False))


@pytest.fixture(scope="module")
def telegram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A running server with nobody in it."""
    with running("server.telegram", tmp_path_factory.mktemp("telegram"), ["--port", "0"]) as service:
        yield local(service.ready["urls"]["api"])


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Local]:
    """A running server for one test."""
    with running("server.telegram", tmp_path / "telegram", ["--port", "0"]) as service:
        yield local(service.ready["urls"]["api"])


@pytest.fixture
def start() -> Iterator[Start]:
    """Start servers that are gone at the end of the test, however it ends."""
    begun: list[Service] = []

    def begin(module: str, data: Path, *options: str) -> Service:
        begun.append(start_service(module, data, *options))
        return begun[-1]

    yield begin
    for service in begun:
        if service.process.poll() is None:
            service.kill()
