"""A dozen and more constructed people, each made to be told one thing. Nothing here is random."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from flows.analyse.report import ChangePoint, Estimate, PersonReport, Rhythm, Trend
from flows.forecast import Forecast
from flows.notify.context import Context, Told, Waiting

START = datetime(2026, 5, 4, 7, 0, tzinfo=UTC)
"""A Monday, 10:00 in Moscow."""
WAVE = (0.0, 0.6, -0.5, 0.3, -0.2, 0.5, -0.6, 0.1, -0.3, 0.4)


@dataclass(frozen=True)
class Constructed:
    """A person, as the decision sees them."""

    report: PersonReport
    context: Context


def estimate(value: float, n: int) -> Estimate:
    return Estimate(value, value - 0.2, value + 0.2, n)


def person(
    name: str,
    days: int,
    level: Callable[[int], float] = lambda _: 3.0,
    *,
    beeps: int = 4,
    polarity: str = "negative",
    scale: tuple[float, float] = (1.0, 7.0),
    timezone: str = "Europe/Moscow",
) -> Constructed:
    """`days` days of `beeps` answers about `level(day)`; it is noon of the day after."""
    series = [
        (START + timedelta(days=d, hours=3 * b), min(max(level(d) + WAVE[(3 * d + b) % 10], scale[0]), scale[1]))
        for d in range(days)
        for b in range(beeps)
    ]
    n = len(series)
    mean = sum(v for _, v in series) / n
    report = PersonReport(
        person=name,
        target="na",
        polarity="positive" if polarity == "positive" else "negative",
        scale=scale,
        timezone=timezone,
        data_hash="d" * 16,
        start=series[0][0],
        end=series[-1][0],
        n_prompts=None,
        n_answers=n,
        n_pairs=n * 3 // 4,
        level=estimate(mean, n),
        sd=estimate(0.4, n),
        rmssd=estimate(0.5, n),
        inertia=estimate(0.3, n),
        change=None,
        trend=None,
        rhythm=None,
        compliance=None,
        series=tuple(series),
    )
    noon = START + timedelta(days=days, hours=2)
    return Constructed(report, Context(now=noon, language="en", timezone=timezone))


def report(one: Constructed, **fields: object) -> Constructed:
    return replace(one, report=replace(one.report, **fields))


def context(one: Constructed, **fields: object) -> Constructed:
    return replace(one, context=replace(one.context, **fields))


def told(one: Constructed, *kinds: str, days_ago: float = 1.0) -> Constructed:
    """As if these kinds had been told lately, about something else."""
    at = one.context.now - timedelta(days=days_ago)
    return context(one, told=[*one.context.told, *(Told(kind, "before", at) for kind in kinds)])


def prompts(one: Constructed, *states: str) -> Constructed:
    """Prompts an hour apart up to now: "answered", "missed" or "open"."""
    made: list[Waiting] = []
    for k, state in enumerate(states):
        sent = one.context.now - timedelta(minutes=25 + 60 * (len(states) - 1 - k))
        made.append(
            Waiting(f"q{k}", sent, sent + timedelta(minutes=55), answered=state == "answered", open=state == "open")
        )
    return context(one, prompts=made)


QUIETED = ("summary", "streak", "compliance")


def everybody() -> dict[str, Constructed]:
    """Name -> person."""
    shifted = person("worse", 20, lambda d: 2.5 if d < 14 else 4.1)
    at = START + timedelta(days=14)
    improved = person("better", 21, lambda d: 30 if d < 15 else 62, polarity="positive", scale=(0.0, 100.0))
    drift = person("drifting", 21, lambda d: 2.2 + 0.08 * d)
    odd = person("odd-day", 15, lambda d: 5.4 if d == 14 else 2.6)
    back = told(person("back", 16, lambda d: 5.4 if d == 14 else 2.6), *QUIETED)
    fell = {"value": 5.4, "usual": 2.6, "day": "2026-05-18", "low": 2.4, "high": 2.8}
    steady = person("steady", 15)
    found: dict[str, Constructed] = {
        "worse": report(shifted, change=ChangePoint(at, 2.5, 4.1, 56, 24, 0.001)),
        "better": report(improved, change=ChangePoint(START + timedelta(days=15), 30.0, 62.0, 61, 21, 0.004)),
        "drifting-up": report(
            drift, trend=Trend(Estimate(0.56, 0.31, 0.81, 52), at - timedelta(days=7), drift.report.end, 0.002)
        ),
        "drifting-down": report(
            person("drifting-down", 21, lambda d: 4.0 - 0.08 * d),
            trend=Trend(Estimate(-0.56, -0.81, -0.31, 51), at - timedelta(days=7), drift.report.end, 0.002),
        ),
        "odd-day": odd,
        "back": context(
            back,
            told=[
                *back.context.told,
                Told("unusual_day", "unusual:2026-05-18", back.context.now - timedelta(days=1, hours=20), fell),
            ],
        ),
        "by-the-clock": report(told(steady, *QUIETED), rhythm=Rhythm("daily", 0.4, 18.5, 0.09, 0.003, 60)),
        "by-the-week": report(told(steady, *QUIETED), rhythm=Rhythm("weekly", 0.3, 0, 0.05, 0.01, 61)),
        "first-week": person("first-week", 6),
        "second-week": steady,
        "looking-ahead": context(
            told(steady, *QUIETED),
            forecast=Forecast(
                "steady", "na", steady.context.now + timedelta(hours=3), 3.2, 3.1, 2.4, 4.0, "model-1", 3
            ),
        ),
        "seven-in-a-row": person("seven-in-a-row", 7, beeps=2),
        "faithful": report(told(steady, "summary", "streak"), n_prompts=64, compliance=0.9375),
        "went-quiet": prompts(told(steady, *QUIETED), "answered", "missed", "missed", "missed", "missed", "missed"),
        "every-other": prompts(told(steady, *QUIETED), *["missed", "answered"] * 4),
        "prompt-open": prompts(told(steady, *QUIETED), "answered", "open"),
        "too-few": person("too-few", 2),
        "asleep": context(steady, now=START + timedelta(days=15, hours=13)),
        "unknown-numbers": report(
            steady,
            change=ChangePoint(steady.context.now, math.nan, math.nan, 40, 20, math.nan),
            series=((START, math.nan),) * 40,
        ),
        "own-words": context(steady, label="Настрой_ение 🙂 (*сегодня*)"),
        "right-to-left": context(steady, label="مزاج"),
    }
    return found


def names() -> Sequence[str]:
    return sorted(everybody())
