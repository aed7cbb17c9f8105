"""Telegram's flood limits, for those who want to meet them: off unless switched on."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import Any

from server.telegram.errors import TooManyRequests


@dataclass(frozen=True)
class Rates:
    """How much a bot may send.

    Parameters
    ----------
    enabled
        Whether anything is limited.
    per_second
        Messages per second, all chats together.
    chat_per_second
        Messages per second to one chat.
    group_per_minute
        Messages per minute to one group.
    """

    enabled: bool = False
    per_second: int = 30
    chat_per_second: int = 1
    group_per_minute: int = 20


class Limits:
    """Sliding windows over what was sent, in memory."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self._sent: defaultdict[tuple[object, ...], deque[float]] = defaultdict(deque)

    def change(self, **rates: Any) -> Rates:
        """Switch on or off, or set other rates; what was sent before is forgotten."""
        self.rates = replace(self.rates, **rates)
        self._sent.clear()
        return self.rates

    def check(self, bot_id: int, chat_id: int, now: float) -> None:
        """Count one message at `now` (seconds); `TooManyRequests` where it is one too many (it then does not count)."""
        if not self.rates.enabled:
            return
        windows: list[tuple[tuple[object, ...], int, float]] = [
            ((bot_id,), self.rates.per_second, 1.0),
            ((bot_id, chat_id), self.rates.chat_per_second, 1.0),
        ]
        if chat_id < 0:
            windows.append(((bot_id, chat_id, "minute"), self.rates.group_per_minute, 60.0))
        for key, most, seconds in windows:
            sent = self._sent[key]
            while sent and sent[0] <= now - seconds:
                sent.popleft()
            if len(sent) >= most:
                raise TooManyRequests(max(1, math.ceil(sent[0] + seconds - now)))
        for key, _, _ in windows:
            self._sent[key].append(now)
