"""The bot watches the monitor: that one runs in Prefect, and cannot tell that Prefect or its last worker is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flows.monitor.alerts import Alerting, Pace, decide, delivered
from flows.monitor.bookkeeping import LOOKED
from flows.monitor.checks import Problem, problems
from flows.monitor.observation import Observation, StoreSeen
from flows.store import Store

STATE = "watching"
"""Fact in the store: what operators know of the monitor's silence."""
EVERY = 60.0
_NO_DIGEST = Pace(digest_hour=24)


class Watch:
    """Tells operators once that the monitor no longer looks, and once that it looks again."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Callable[[Mapping[str, Any]], bool]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._channels, self._clock = store, channels, clock
        self._since = clock()

    async def run(self) -> None:
        """Look every minute until cancelled; where nobody is to be told there is nothing to do."""
        while self._channels:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look once, and deliver what waits; a channel that does not take it gets it at the next look."""
        state = decide(
            Alerting.of(self._store.facts.get(STATE)), self._found(), self._seen(0.0), self._channels, _NO_DIGEST
        )
        self._store.facts.set(STATE, state.as_dict())
        for name, channel in self._channels.items():
            for notice in state.queue.get(name, ()):
                if not await asyncio.to_thread(channel, notice.as_dict()):
                    break
                state = delivered(state, name, notice)
                self._store.facts.set(STATE, state.as_dict())

    def _found(self) -> list[Problem]:
        looked = self._store.facts.get(LOOKED)
        if looked is None:  # no monitor ever ran here
            return []
        silent = self._clock() - max(looked, self._since)  # while all was stopped nobody could look
        return [problem for problem in problems(self._seen(silent)) if problem.key == "monitor"]

    def _seen(self, silent: float) -> Observation:
        at = datetime.fromtimestamp(self._clock(), UTC)
        return Observation(at, None, StoreSeen(None, 0.0, 0.0, monitor_silent_s=silent), None, 0.0, 0o700)
