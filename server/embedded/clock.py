"""Times as the API writes them: kept as microseconds since 1970, answered as ISO-8601 with an offset.

Mutations answer with microseconds, reads with milliseconds, as the official server does: its store keeps milliseconds.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def iso(micros: int) -> str:
    """Write a time to the microsecond, as mutations answer."""
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds")


def iso_millis(micros: int) -> str:
    """Write a time cut to the millisecond, as reads answer."""
    return iso(micros - micros % 1000)


def parse(text: str) -> int:
    """Read an ISO-8601 time; without an offset it is UTC.

    Raises
    ------
    ValueError
        It is no time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICRO
