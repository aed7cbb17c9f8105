"""Who receives a bot's updates by long polling: one at a time, the newest wins, as on Telegram."""

from __future__ import annotations

import asyncio

from server.telegram.errors import Conflict

OTHER = "terminated by other getUpdates request; make sure that only one bot instance is running"


class Pollers:
    """The one long poll each bot may have."""

    def __init__(self) -> None:
        self._open: dict[int, asyncio.Future[None]] = {}

    def take(self, bot_id: int) -> asyncio.Future[None]:
        """End the poll before this one with a conflict, and hand out the place."""
        self.end(bot_id, Conflict(OTHER))
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open[bot_id] = place
        return place

    def open(self) -> list[int]:
        """The bots that are waiting in a long poll."""
        return sorted(self._open)

    def end(self, bot_id: int, error: Conflict) -> None:
        """End the open poll of a bot, if there is one."""
        place = self._open.pop(bot_id, None)
        if place is not None and not place.done():
            place.set_exception(error)

    def leave(self, bot_id: int, place: asyncio.Future[None]) -> None:
        """Give the place back."""
        if self._open.get(bot_id) is place:
            del self._open[bot_id]
        if place.done():
            place.exception()
        else:
            place.cancel()
