"""Delivery by webhook: in order within a chat, several chats at once, again until the bot says 2xx."""

from __future__ import annotations

import asyncio
import http
import logging
import time
from typing import Any

import httpx
import orjson

from server.telegram.dispatch import Dropped, perform
from server.telegram.errors import ApiError
from server.telegram.faults import WEBHOOK, Rule
from server.telegram.hub import Hub
from server.telegram.params import Params
from server.telegram.storage.updates import Delivery

log = logging.getLogger("server.telegram.webhooks")
TIMEOUT_S = 60.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0


class Webhooks:
    """Runs one delivery per bot that has a webhook."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._running: dict[int, tuple[str, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Start and stop deliveries as webhooks are set and deleted; for ever."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, verify=False) as client:  # noqa: S501 - loopback, self-signed
            try:
                while True:
                    bell = self._hub.signals.listen("webhooks")
                    self._arrange(client)
                    await bell
            finally:
                for _, task in self._running.values():
                    task.cancel()

    def _arrange(self, client: httpx.AsyncClient) -> None:
        for bot in self._hub.bots.all():
            url = self._hub.updates.delivery(bot.bot_id).url
            known, task = self._running.get(bot.bot_id, ("", None))
            if known == url:
                continue
            if task is not None:
                task.cancel()
                del self._running[bot.bot_id]
            if url:
                delivering = _Bot(self._hub, bot.bot_id, bot.token, client).run()
                self._running[bot.bot_id] = (url, asyncio.create_task(delivering))


class _Bot:
    """The delivery of one bot."""

    def __init__(self, hub: Hub, bot_id: int, token: str, client: httpx.AsyncClient) -> None:
        self._hub, self._bot_id, self._token, self._client = hub, bot_id, token, client
        self._busy: dict[Any, asyncio.Task[None]] = {}
        self._faulty: dict[int, Rule | None] = {}

    async def run(self) -> None:
        try:
            while True:
                bell = self._hub.signals.listen(self._bot_id)
                self._start_due()
                await asyncio.wait({bell, *self._busy.values()}, return_when=asyncio.FIRST_COMPLETED)
                self._hub.signals.forget(self._bot_id, bell)
                self._busy = {chat: task for chat, task in self._busy.items() if not task.done()}
        finally:
            for task in self._busy.values():
                task.cancel()

    def _start_due(self) -> None:
        most = self._hub.updates.delivery(self._bot_id).max_connections
        for update_id, body in self._hub.updates.waiting(self._bot_id, 10 * most):
            if len(self._busy) >= most:
                return
            chat = chat_of(orjson.loads(body))
            rule = self._rule(update_id, chat)
            lane = ("loose", update_id) if rule is not None and rule.loose else chat
            if lane not in self._busy:
                self._busy[lane] = asyncio.create_task(self._deliver(update_id, body, rule))

    def _rule(self, update_id: int, chat: Any) -> Rule | None:
        """The fault rule a delivery falls under: the dice are thrown once for each."""
        if not self._hub.faults.rules:
            return None
        if update_id not in self._faulty:
            self._faulty[update_id] = self._hub.faults.strike(WEBHOOK, self._bot_id, str(chat))
        return self._faulty[update_id]

    async def _deliver(self, update_id: int, body: str, rule: Rule | None) -> None:
        if rule is not None:
            await asyncio.sleep(rule.delay)
            if rule.twice:
                await self._send(body)
        pause = FIRST_PAUSE_S
        while (problem := await self._post(update_id, body)) is not None:
            delivery = self._hub.updates.delivery(self._bot_id)
            delivery.error, delivery.error_date = problem, int(time.time())
            with self._hub.db.change():
                self._hub.updates.save_delivery(self._bot_id)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _post(self, update_id: int, body: str) -> str | None:
        """Post one update, gone once the bot took it; what was wrong, None for nothing."""
        response = await self._send(body)
        if isinstance(response, str):
            return response
        with self._hub.db.change():
            self._hub.updates.remove(self._bot_id, update_id)
        self._faulty.pop(update_id, None)
        await self._reply(response)
        return None

    async def _send(self, body: str) -> httpx.Response | str:
        """Post what there is to post; the bot's 2xx, or what was wrong."""
        delivery: Delivery = self._hub.updates.delivery(self._bot_id)
        headers = {"content-type": "application/json"}
        if delivery.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = delivery.secret
        try:
            response = await self._client.post(delivery.url, content=body, headers=headers)
        except httpx.TimeoutException:
            return "Read timeout expired"
        except httpx.ConnectError:
            return "Connection refused"
        except httpx.HTTPError as error:
            return f"Connection failed: {type(error).__name__}"
        if not response.is_success:
            phrase = http.HTTPStatus(response.status_code).phrase
            return f"Wrong response from the webhook: {response.status_code} {phrase}"
        return response

    async def _reply(self, response: httpx.Response) -> None:
        """A bot may call a method in its answer; what comes of it, it does not learn."""
        try:
            values = orjson.loads(response.content)
            if not isinstance(values, dict) or "method" not in values:
                return
            name = str(values.pop("method")).lower()
            await perform(self._hub, self._token, name, Params(values), _never)
        except (orjson.JSONDecodeError, ApiError, Dropped) as error:
            log.debug("answer to a webhook: %s", error)


async def _never() -> None:
    await asyncio.Event().wait()


def chat_of(update: dict[str, Any]) -> Any:
    """The chat an update belongs to: those of one chat arrive in order."""
    for body in update.values():
        if isinstance(body, dict):
            message = body.get("message", body)
            if isinstance(message, dict) and "chat" in message:
                return message["chat"]["id"]
    return None
