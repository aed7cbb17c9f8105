"""How fast messages may go out, in the machine's time: all chats together, and each chat."""

from __future__ import annotations

from collections import defaultdict


class Pace:
    """A token bucket for all, a least interval for each chat, and the waits Telegram asked for.

    Parameters
    ----------
    per_second
        Messages a second, all chats together; the bucket holds one second's worth.
    interval
        Seconds between two messages to a chat, at least.
    """

    def __init__(self, per_second: float, interval: float) -> None:
        self._rate, self._interval = per_second, interval
        self._tokens = max(1.0, per_second)
        self._filled = 0.0
        self._chats: dict[int, float] = defaultdict(float)
        self._all = 0.0

    def take(self, chat_id: int, now: float) -> bool:
        """Whether a message to a chat may go out now (seconds, monotonic); if so, it is counted."""
        if self._filled:
            self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1 or now < self._all or now < self._chats[chat_id]:
            return False
        self._tokens -= 1
        self._chats[chat_id] = now + self._interval
        return True

    def wait(self, chat_id: int, until: float) -> None:
        """Telegram asked for patience with one chat."""
        self._chats[chat_id] = max(self._chats[chat_id], until)

    def wait_all(self, until: float) -> None:
        """Telegram, or the way to it, does not work."""
        self._all = max(self._all, until)

    def forget(self, now: float) -> None:
        """Drop chats that may be written to anyway."""
        for chat_id in [chat for chat, free in self._chats.items() if free <= now]:
            del self._chats[chat_id]
