"""Word to Prefect that answers came in: best effort, in the background, never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from datetime import UTC, datetime

import httpx

log = logging.getLogger(__name__)
EVENT = "moodflow.answers.new"
RESOURCE = "moodflow.bot"
EVERY = 10.0
"""Seconds between two events, at least: one says how many answers came since the last."""


class Events:
    """Emits `moodflow.answers.new` with the number of new responses; automations start `collect` on it."""

    def __init__(self, api_url: str | None, every: float = EVERY) -> None:
        self._url = f"{api_url.rstrip('/')}/events" if api_url else None
        self._every = every
        self._count = 0
        self._next = 0.0
        self._task: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None

    def answers(self, count: int) -> None:
        """Note new responses; an event follows soon."""
        self._count += count
        if self._url is None or not self._count or time.monotonic() < self._next:
            return
        if self._task is None or self._task.done():
            self._next = time.monotonic() + self._every
            self._task = asyncio.create_task(self._emit(self._count))
            self._count = 0

    async def _emit(self, count: int) -> None:
        event = {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": EVENT,
            "resource": {"prefect.resource.id": RESOURCE, "prefect.resource.name": "the bot"},
            "payload": {"responses": count},
        }
        try:
            self._client = self._client or httpx.AsyncClient(timeout=5)
            (await self._client.post(str(self._url), json=[event])).raise_for_status()
        except httpx.HTTPError as error:
            log.info("no event to Prefect (%s): the schedule collects anyway", type(error).__name__)

    async def close(self) -> None:
        """Let an event that is on its way finish."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=2)
        if self._client is not None:
            await self._client.aclose()
