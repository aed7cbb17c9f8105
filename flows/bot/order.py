"""The order of updates where a webhook may post them out of it: a gap is waited for, but not for ever."""

from __future__ import annotations

from collections.abc import Sequence

PATIENCE = 1.5


class Order:
    """Lets updates through in the order of their ids.

    Telegram numbers updates one after the other (and afresh after a week of silence), so a number left out is one that
    is still on its way, or one that was filtered out and will never come.

    Parameters
    ----------
    last
        Id of the last update applied, None where there is none.
    """

    def __init__(self, last: int | None, patience: float = PATIENCE) -> None:
        self._last, self._patience = last, patience
        self._since: float | None = None

    def ready(self, ids: Sequence[int], now: float) -> int:
        """How many of the waiting ids, lowest first, may be applied at a time (seconds, monotonic)."""
        for count, number in enumerate(ids):
            if self._last is not None and number > self._last + 1 and not self._waited(now):
                return count
            self._since = None
            self._last = number if self._last is None else max(self._last, number)
        return len(ids)

    def _waited(self, now: float) -> bool:
        if self._since is None:
            self._since = now
        return now - self._since >= self._patience
