"""Dates as Sheets keeps them: days since 30 December 1899, the time of day as the fraction."""

from __future__ import annotations

import datetime as dt

EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - serial numbers have no time zone
SECOND = 86_400


def to_serial(moment: dt.datetime) -> int | float:
    """Days since the epoch; whole days as `int`."""
    delta = moment - EPOCH
    days = delta.days + (delta.seconds + delta.microseconds / 1e6) / SECOND
    return int(days) if days == int(days) else days


def from_serial(serial: float) -> dt.datetime:
    """The moment, to the millisecond (a day's fraction in a float says no more)."""
    days = int(serial // 1)
    milliseconds = round((serial - days) * SECOND * 1000)
    return EPOCH + dt.timedelta(days=days, milliseconds=milliseconds)
