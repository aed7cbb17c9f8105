"""What a policy did for the people it was drawn for: did they answer, how soon, and how was the next day. Pure.

People are the unit: each gives one number per measure, so that somebody with many messages counts once.
Differences are Welch's (1947), with 95% intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, median, variance
from typing import Literal

from scipy import special

MEASURES = ("response_rate", "latency_minutes", "next_day_change")
LEAST_PEOPLE = 20
"""People an arm needs before anything is concluded."""
WORSE_AT_MOST = 0.1
"""Share of the scale by which the next day may be worse, at the interval's unfavourable end."""
_AFTER = timedelta(hours=24)


@dataclass(frozen=True)
class Lived:
    """One person's time under an arm.

    Attributes
    ----------
    person, arm
        Pseudonym; registry version of the policy drawn.
    told
        Times of insights.
    prompts
        (sent, answered or None) of every prompt delivered.
    answers
        (time, value) of the target.
    """

    person: str
    arm: str
    told: Sequence[datetime]
    prompts: Sequence[tuple[datetime, datetime | None]]
    answers: Sequence[tuple[datetime, float]]


@dataclass(frozen=True)
class Measured:
    """One person's numbers; None where there was nothing to measure."""

    person: str
    arm: str
    response_rate: float | None
    latency_minutes: float | None
    next_day_change: float | None


@dataclass(frozen=True)
class Difference:
    """Challenger minus champion in one measure, with a 95% interval and the people behind it."""

    measure: str
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    n_champion: int
    n_challenger: int


def measured(lived: Lived, polarity: Literal["negative", "positive"]) -> Measured:
    """Measure one person.

    The response rate and latency are of prompts sent within 24 hours after an insight. The next-day change is the mean
    answer 24 to 48 hours after an insight less that of the 24 hours before it, positive for the better.
    """
    near = [(s, a) for s, a in lived.prompts if any(t <= s < t + _AFTER for t in lived.told)]
    waits = [(a - s).total_seconds() / 60 for s, a in near if a is not None]
    changes = [change for t in lived.told if (change := _change(lived.answers, t)) is not None]
    sign = -1 if polarity == "negative" else 1
    return Measured(
        lived.person,
        lived.arm,
        len(waits) / len(near) if near else None,
        median(waits) if waits else None,
        sign * fmean(changes) if changes else None,
    )


def compared(people: Sequence[Measured], champion: str, challenger: str) -> tuple[Difference, ...]:
    """Every measure of two arms beside each other; nan where an arm has fewer than two people."""
    return tuple(_difference(measure, people, champion, challenger) for measure in MEASURES)


def verdict(differences: Sequence[Difference], span: float) -> tuple[bool, str]:
    """Whether the challenger may become champion, and why.

    As a model must show on data it has not seen that it is better than the champion, a policy must show on people drawn
    at random that they answer more, at the lower end of the interval, while their next day is not worse.

    Parameters
    ----------
    differences
        From `compared`.
    span
        Width of the target's scale.
    """
    by_name = {d.measure: d for d in differences}
    rate, day = by_name["response_rate"], by_name["next_day_change"]
    if min(rate.n_champion, rate.n_challenger) < LEAST_PEOPLE:
        return False, f"fewer than {LEAST_PEOPLE} people in an arm"
    if not rate.low > 0:
        return False, f"no more answers: {rate.difference:+.3f} ({rate.low:+.3f} to {rate.high:+.3f})"
    if not day.low > -WORSE_AT_MOST * span:
        return False, f"the next day may be worse: {day.difference:+.3f} ({day.low:+.3f} to {day.high:+.3f})"
    return True, f"more answers: {rate.difference:+.3f} ({rate.low:+.3f} to {rate.high:+.3f}), next day not worse"


def _change(answers: Sequence[tuple[datetime, float]], at: datetime) -> float | None:
    before = [v for t, v in answers if at - _AFTER <= t < at]
    after = [v for t, v in answers if at + _AFTER <= t < at + 2 * _AFTER]
    return fmean(after) - fmean(before) if before and after else None


def _difference(measure: str, people: Sequence[Measured], champion: str, challenger: str) -> Difference:
    a, b = (
        [value for p in people if p.arm == arm and (value := getattr(p, measure)) is not None]
        for arm in (champion, challenger)
    )
    if min(len(a), len(b)) < 2:
        unknown = math.nan
        return Difference(measure, unknown, unknown, unknown, unknown, unknown, len(a), len(b))
    u, v = variance(a) / len(a), variance(b) / len(b)
    gap = fmean(b) - fmean(a)
    reach = 0.0
    if u + v > 0:
        freedom = (u + v) ** 2 / (u * u / (len(a) - 1) + v * v / (len(b) - 1))
        reach = float(special.stdtrit(freedom, 0.975)) * math.sqrt(u + v)
    return Difference(measure, fmean(a), fmean(b), gap, gap - reach, gap + reach, len(a), len(b))
