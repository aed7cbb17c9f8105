"""The report of somebody about whom nothing is known yet: reminders still work, insights stay silent."""

from __future__ import annotations

import math

from flows.analyse.report import Estimate, PersonReport

_UNKNOWN = Estimate(math.nan, math.nan, math.nan, 0)


def nothing_known(person: str, target: str, timezone: str, data_hash: str) -> PersonReport:
    """Build a report without a single answer."""
    return PersonReport(
        person=person,
        target=target,
        polarity="negative",
        scale=(math.nan, math.nan),
        timezone=timezone,
        data_hash=data_hash,
        start=None,
        end=None,
        n_prompts=None,
        n_answers=0,
        n_pairs=0,
        level=_UNKNOWN,
        sd=_UNKNOWN,
        rmssd=_UNKNOWN,
        inertia=_UNKNOWN,
        change=None,
        trend=None,
        rhythm=None,
        compliance=None,
        series=(),
    )
