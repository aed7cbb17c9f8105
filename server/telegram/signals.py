"""Wakeups in memory for those who wait for news, so that nobody polls the disk."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable


class Signals:
    """Named bells: `wait` until one rings."""

    def __init__(self) -> None:
        self._waiting: defaultdict[Hashable, set[asyncio.Future[None]]] = defaultdict(set)

    def listen(self, name: Hashable) -> asyncio.Future[None]:
        """A future that is done at the next ring; `forget` it when no longer needed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[name].add(future)
        return future

    def forget(self, name: Hashable, future: asyncio.Future[None]) -> None:
        """Stop listening."""
        self._waiting[name].discard(future)

    def ring(self, name: Hashable) -> None:
        """Wake everybody who listens."""
        for future in self._waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)
