"""Simulated respondents: a small, documented generator for people who have no study at hand.

Each person has a latent mood that follows a first-order autoregression within the day,

    m[t] = inertia * m[t-1] + e[t],      e ~ N(0, 1 - inertia**2),

to which a daily rhythm (one cosine), a weekday effect and, for one person in five, a lasting shift half-way
through the study are added. An item is that mood, scaled to the item's range with a loading and noise of its
own, rounded and clipped to the scale (so there is a floor, as in real studies). Beeps are missed independently
with the person's own probability, items of an answered beep now and then.
The numbers below are of the size reported for daily-life studies: inertia .2 to .5, compliance 60-95 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class ItemRange:
    """What the generator must know of a survey's item: `sign` -1 where a high answer means feeling worse."""

    name: str
    low: int
    high: int
    sign: int


def simulate(
    items: list[ItemRange],
    *,
    persons: int = 20,
    days: int = 14,
    hours: tuple[int, ...] = (10, 13, 17, 21),
    start: datetime = datetime(2026, 3, 2, tzinfo=UTC),
    seed: int = 1,
) -> pd.DataFrame:
    """Draw a study.

    Parameters
    ----------
    items
        The survey's numeric items.
    hours
        Hours of the day (UTC) at which prompts are sent; their count is the number of beeps a day.
    seed
        The same seed draws the same study.

    Returns
    -------
    DataFrame
        One row a prompt: `person` (1..persons), `timestamp` (answer time, NaT where missed), `scheduled`, `day`,
        `beep` (from 1) and the items (NaN where not answered): the columns of a replayed study.
    """
    rng = np.random.default_rng(seed)
    frames = [_person(number, items, days, hours, start, rng) for number in range(1, persons + 1)]
    return pd.concat(frames, ignore_index=True)


def _person(
    number: int, items: list[ItemRange], days: int, hours: tuple[int, ...], start: datetime, rng: np.random.Generator
) -> pd.DataFrame:
    beeps = len(hours)
    size = days * beeps
    mood = _latent(days, beeps, rng) + _rhythm(days, hours, rng)
    if rng.random() < 0.2:
        mood[size // 2 :] += rng.choice([-1.0, 1.0])
    slots = [start + timedelta(days=d, hours=h) for d in range(days) for h in hours]
    answered = rng.random(size) < rng.uniform(0.6, 0.95)
    delay = pd.to_timedelta(np.clip(rng.exponential(300, size), 20, 2400).round(), unit="s")
    scheduled = pd.Series(pd.DatetimeIndex(slots).tz_localize(None))
    frame = pd.DataFrame(
        {
            "person": number,
            "timestamp": (scheduled + delay).where(answered),
            "scheduled": scheduled,
            "day": np.repeat(np.arange(1, days + 1), beeps),
            "beep": np.tile(np.arange(1, beeps + 1), days),
        }
    )
    for item in items:
        frame[item.name] = _answers(item, mood, answered, rng)
    return frame


def _latent(days: int, beeps: int, rng: np.random.Generator) -> np.ndarray:
    inertia = rng.uniform(0.2, 0.5)
    shocks = rng.normal(0, np.sqrt(1 - inertia**2), (days, beeps))
    mood = np.empty((days, beeps))
    mood[:, 0] = rng.normal(0, 1, days)
    for beep in range(1, beeps):
        mood[:, beep] = inertia * mood[:, beep - 1] + shocks[:, beep]
    return mood.ravel()


def _rhythm(days: int, hours: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    daily = 0.3 * np.cos(2 * np.pi * (np.array(hours) - rng.uniform(12, 20)) / 24)
    weekly = np.where(np.arange(days) % 7 >= 5, 0.2, 0.0)
    return (daily[None, :] + weekly[:, None]).ravel()


def _answers(item: ItemRange, mood: np.ndarray, answered: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    width = item.high - item.low
    centre = item.low + width * (0.62 if item.sign > 0 else 0.3)
    value = centre + width * 0.2 * (item.sign * mood * rng.uniform(0.6, 0.9) + rng.normal(0, 0.5, mood.size))
    value = np.clip(np.rint(value + rng.normal(0, 0.03 * width)), item.low, item.high)
    return np.where(answered & (rng.random(mood.size) > 0.01), value, np.nan)
