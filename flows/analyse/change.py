"""Lasting shifts and drifts of one person's level, told at most once by chance in twenty people over a whole study.

Answers carry over to the next (inertia), so an ordinary change-point test calls every stretch of bad days a change.
Here each answer counts only for what is new in it: generalised least squares under a first-order autoregression whose
coefficient is estimated apart for consecutive beeps and for everything further apart (nights, skipped beeps),
within the two stretches compared, so that a shift does not pass for inertia. The statistic of a shift at the start
of a day is

    z = (level after - level before) / its standard error,

a window-limited generalised likelihood ratio (Lai 1995, JRSS B 57:613; Tartakovsky, Nikiforov & Basseville 2014,
ch. 8). It is looked at after every day, so its threshold is that of the maximum over all looks, simulated for this
very procedure (`calibration.py`; `thresholds.json`): no more than `CHANGE_ALPHA` of stable people are ever told of
a change, and no more than `TREND_ALPHA` of a trend, in a study of up to a year; nearly all of that in the first
four weeks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from flows.analyse.daily import WIDTH, Days, Floats, Ints, Stretch, daily, inertia, moved_on
from flows.analyse.report import ChangePoint, Estimate, Trend

CHANGE_ALPHA = 0.045
"""Share of stable people who are ever told of a change, at most."""
TREND_ALPHA = 0.005
"""Share of stable people who are ever told of a trend, at most."""

WINDOWS = {5: 1.0, 8: 1.15}
"""Days after a shift that are compared with all days before it, each with the factor on its threshold: five days
are what a shift of one standard deviation takes, a smaller one gets a second, stricter look."""
LOCATED_IN = max(WINDOWS) + 2
"""Days in which the beginning of a shift is looked for once it is told."""
FIRST_DAYS = 8
"""Days before a shift, at least."""
LEAST_BEFORE, LEAST_AFTER = 30, 9
"""Answers before and after a shift, at least."""
TREND_FROM, TREND_DAYS, TREND_EVERY = 21, 28, 7
"""First day a trend is looked for, most days it is looked for in, days between two looks."""
EARLY = 28
"""Days of the first era; later looks have a higher threshold, for there may be hundreds of them."""

_CHUNK = 400
"""People at a time: bounds memory."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a statistic first passed its threshold, in days of a person: shift before day `start`, seen after `end`."""

    start: int
    end: int
    z: float
    threshold: float


def detect(frame: pd.DataFrame, target: str) -> dict[str, tuple[ChangePoint | None, Trend | None]]:
    """Latest change and trend of everybody.

    Parameters
    ----------
    frame
        Columns `person`, `day`, `beep`, `slot_at` or `answered_at` (UTC) and the target; `period` where a study has
        several. Rows of a person in order of time.
    target
        Column to look at; rows without a value count for nothing.

    Returns
    -------
    dict
        Person -> (change, trend), None where the check did not pass or there is too little to check.
    """
    rows = frame[np.isfinite(frame[target].to_numpy(dtype=float))]
    found: dict[str, tuple[ChangePoint | None, Trend | None]] = {}
    for person in frame["person"].unique():
        found[str(person)] = (None, None)
    if rows.empty:
        return found
    codes, persons = pd.factorize(rows["person"])
    order = np.argsort(codes, kind="stable")
    rows, codes = rows.iloc[order], codes[order]
    starts = np.searchsorted(codes, np.arange(len(persons) + 1))
    for first in range(0, len(persons), _CHUNK):
        last = min(first + _CHUNK, len(persons))
        part = slice(starts[first], starts[last])
        results = _part(rows.iloc[part], codes[part] - first, target)
        found |= {str(person): both for person, both in zip(persons[first:last], results, strict=True)}
    return found


def _part(rows: pd.DataFrame, codes: Ints, target: str) -> list[tuple[ChangePoint | None, Trend | None]]:
    values = rows[target].to_numpy(dtype=float)
    period = rows["period"].to_numpy() if "period" in rows else np.zeros(len(rows), dtype=int)
    day, beep = rows["day"].to_numpy(dtype=float), rows["beep"].to_numpy(dtype=float)
    fresh = np.ones(len(rows), dtype=bool)
    fresh[1:] = (codes[1:] != codes[:-1]) | (day[1:] != day[:-1]) | (period[1:] != period[:-1])
    step = np.zeros(len(rows))
    step[1:] = beep[1:] - beep[:-1]
    days = daily(codes, fresh, step == 1, values)
    seconds = _seconds(rows)
    changes, trends = changes_of(days), trends_of(days)
    out = []
    day_starts = np.flatnonzero(fresh)
    first_day = np.searchsorted(codes[day_starts], np.arange(len(days.count)))
    for k in range(len(days.count)):
        mine = _Rows(values, seconds, day_starts, int(first_day[k]), int(np.searchsorted(codes, k, side="right")))
        out.append((_change(mine, changes[k]), _trend(mine, trends[k], days, k)))
    return out


def changes_of(days: Days) -> list[Found | None]:
    """Latest shift of each person: after one is found, its first day is a new beginning."""
    people = len(days.count)
    latest: list[Found | None] = [None] * people
    start = np.zeros(people, dtype=np.int64)
    rows = np.arange(people)
    while len(rows):
        part = Days(moved_on(days.sums[rows], start[rows]), days.count[rows] - start[rows], days.offset[rows])
        found = _first_change(part)
        again = []
        for k, hit in enumerate(found):
            if hit is not None:
                person, base = int(rows[k]), int(start[rows[k]])
                latest[person] = Found(hit.start + base, hit.end + base, hit.z, hit.threshold)
                start[person] = base + hit.start
                again.append(person)
        rows = np.array(again, dtype=np.int64)
    return latest


def shift_statistics(days: Days) -> tuple[Floats, Floats, Floats]:
    """Every look at every window.

    Returns
    -------
    z, inertia, per_day
        Shape (people, days, windows): |z| of a shift `window` days before the end of a day (0 where there is too
        little), the inertia it was computed with, and answers a day.
    """
    people, longest, _ = days.sums.shape
    cumulative = np.zeros((people, longest + 1, WIDTH))
    np.cumsum(days.sums, axis=1, out=cumulative[:, 1:])
    shape = (people, longest, len(WINDOWS))
    z, phi, per_day = np.zeros(shape), np.zeros(shape), np.ones(shape)
    for k, (window, factor) in enumerate(WINDOWS.items()):
        ends = np.arange(FIRST_DAYS + window, longest + 1)
        if len(ends):
            got = _statistic(cumulative, ends - window, ends)
            z[:, ends - 1, k], phi[:, ends - 1, k], per_day[:, ends - 1, k] = got[0] / factor, got[1], got[2]
    z[np.arange(longest)[None, :] >= days.count[:, None]] = 0.0
    return z, phi, per_day


def _statistic(
    cumulative: Floats, cut: Ints, end: Ints, least_after: int = LEAST_AFTER
) -> tuple[Floats, Floats, Floats]:
    """|z| of a shift at the start of day `cut` seen after day `end` - 1; inertia; answers a day."""
    begin = np.zeros_like(cut)
    before, after = Stretch(cumulative, begin, cut), Stretch(cumulative, cut, end)
    pair, far = inertia((before, after))
    (a1, b1), (a2, b2) = before.weighted(pair, far), after.weighted(pair, far)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = before.n * (1 - 1 / a1) + after.n * (1 - 1 / a2)
        variance = (before.scatter + after.scatter) / freedom
        z = np.abs(b2 / a2 - b1 / a1) / np.sqrt(variance * (1 / a1 + 1 / a2))
    enough = (before.n >= LEAST_BEFORE) & (after.n >= least_after) & (freedom > 3) & (variance > 0)
    z = np.where(enough & np.isfinite(z), z, 0.0)
    return z, pair, (before.n + after.n) / np.maximum(end, 1)


def _first_change(days: Days) -> list[Found | None]:
    z, phi, per_day = shift_statistics(days)
    limits = threshold("change", phi, per_day, np.arange(1, z.shape[1] + 1)[None, :, None])
    passed = z > limits
    found: list[Found | None] = [None] * len(z)
    for k in np.flatnonzero(passed.any(axis=(1, 2))):
        end = int(np.argmax(passed[k].any(axis=1)))
        window = int(np.argmax(np.where(passed[k, end], z[k, end], 0.0)))
        start = _located(days.sums[k : k + 1], end + 1)
        found[k] = Found(start, end + 1, float(z[k, end, window]), float(limits[k, end, window]))
    return found


def _located(sums: Floats, end: int) -> int:
    """Most likely first day of a shift told after day `end` - 1: a clear one is told before its window is full."""
    cumulative = np.concatenate([np.zeros_like(sums[:, :1]), np.cumsum(sums, axis=1)], axis=1)
    cuts = np.arange(max(end - LOCATED_IN, FIRST_DAYS), end)
    z, *_ = _statistic(cumulative, cuts, np.full_like(cuts, end), least_after=1)
    return int(cuts[np.argmax(z[0])])


def trend_statistics(days: Days) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Slope of the daily levels over the last weeks, looked at every week.

    Returns
    -------
    z, inertia, per_day, slope, error
        Shape (people, days); |z| is 0 on days without a look. Slope and its standard error are per day.
    """
    people, longest, _ = days.sums.shape
    shape = (people, longest)
    out = tuple(np.zeros(shape) for _ in range(5))
    cumulative = np.zeros((people, longest + 1, WIDTH))
    np.cumsum(days.sums, axis=1, out=cumulative[:, 1:])
    for end in range(TREND_FROM, longest + 1, TREND_EVERY):
        for whole, part in zip(out, _slope(cumulative, end), strict=True):
            whole[:, end - 1] = part
    out[0][np.arange(longest)[None, :] >= days.count[:, None]] = 0.0
    return out  # type: ignore[return-value]


def _slope(cumulative: Floats, end: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    length = min(end, TREND_DAYS)
    start = np.array([end - length])
    whole = Stretch(cumulative, start, np.array([end]))
    pair, far = inertia((whole,))
    edges = np.arange(end - length, end)
    weight, total = Stretch(cumulative, edges, edges + 1).weighted(pair, far)
    time = np.arange(length)[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        all_weight = weight.sum(axis=1)
        middle = (weight * time).sum(axis=1) / all_weight
        spread = (weight * (time - middle[:, None]) ** 2).sum(axis=1)
        slope = (total * (time - middle[:, None])).sum(axis=1) / spread
        explained = slope**2 * spread * whole.n[:, 0] / all_weight
        freedom = whole.n[:, 0] * (1 - 2 / all_weight)
        variance = np.maximum(whole.scatter[:, 0] - explained, 0) / freedom
        error = np.sqrt(variance / spread)
        z = np.abs(slope) / error
    enough = (whole.n[:, 0] >= LEAST_BEFORE) & (freedom > 3) & (variance > 0) & np.isfinite(z)
    return np.where(enough, z, 0.0), pair[:, 0], whole.n[:, 0] / length, slope, error


def trends_of(days: Days) -> list[tuple[Found, float, float] | None]:
    """Latest trend of each person with its slope and standard error, per day."""
    z, phi, per_day, slope, error = trend_statistics(days)
    limits = threshold("trend", phi, per_day, np.arange(1, z.shape[1] + 1)[None, :])
    passed = z > limits
    found: list[tuple[Found, float, float] | None] = [None] * len(z)
    for k in np.flatnonzero(passed.any(axis=1)):
        last = int(np.flatnonzero(passed[k])[-1])
        hit = Found(max(last + 1 - TREND_DAYS, 0), last + 1, float(z[k, last]), float(limits[k, last]))
        found[k] = (hit, float(slope[k, last]), float(error[k, last]))
    return found


def threshold(what: str, phi: Floats, per_day: Floats, day: Any) -> Floats:
    """Threshold for |z| by inertia, answers a day and era; linear between the simulated points, level beyond."""
    table = _table()[what]
    grid, rates = np.asarray(table["inertia"]), np.asarray(table["per_day"])
    early, late = np.asarray(table["early"]), np.asarray(table["late"])
    at = np.clip(np.interp(per_day, rates, np.arange(len(rates))), 0, len(rates) - 1)
    low = np.minimum(at.astype(int), len(rates) - 2) if len(rates) > 1 else np.zeros(at.shape, dtype=int)
    share = at - low
    limits = []
    for rows in (early, late):
        columns = np.stack([np.interp(phi, grid, row) for row in rows])
        below = np.take_along_axis(columns, low[None], axis=0)[0]
        above = np.take_along_axis(columns, np.minimum(low + 1, len(rates) - 1)[None], axis=0)[0]
        limits.append(below + share * (above - below))
    chosen: Floats = np.where(np.asarray(day) <= EARLY, limits[0], limits[1])
    return chosen


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    text = resources.files(__package__).joinpath("thresholds.json").read_text(encoding="utf-8")
    table: Mapping[str, Mapping[str, Any]] = json.loads(text)
    return table


@dataclass(frozen=True, eq=False)
class _Rows:
    """One person's answers with where their days begin."""

    values: Floats
    seconds: Floats
    day_starts: Ints
    first: int
    stop: int

    def row(self, day: int) -> int:
        """Row at which a day of this person begins; the end of the person beyond the last."""
        at = self.first + day
        return min(int(self.day_starts[at]), self.stop) if at < len(self.day_starts) else self.stop


def _change(rows: _Rows, found: Found | None) -> ChangePoint | None:
    if found is None:
        return None
    cut, begin = rows.row(found.start), rows.row(0)
    before, after = rows.values[begin:cut], rows.values[cut : rows.stop]
    return ChangePoint(
        at=_moment(rows.seconds[cut]),
        before=float(before.mean()),
        after=float(after.mean()),
        n_before=len(before),
        n_after=len(after),
        p_value=_p(found, CHANGE_ALPHA),
    )


def _trend(rows: _Rows, hit: tuple[Found, float, float] | None, days: Days, k: int) -> Trend | None:
    if hit is None or hit[0].end > days.count[k]:
        return None
    found, slope, error = hit
    begin, stop = rows.row(found.start), rows.row(found.end)
    week, reach = 7 * slope, 7 * 1.96 * error
    return Trend(
        per_week=Estimate(week, week - reach, week + reach, stop - begin),
        start=_moment(rows.seconds[begin]),
        end=_moment(rows.seconds[stop - 1]),
        p_value=_p(found, TREND_ALPHA),
    )


def _p(found: Found, alpha: float) -> float:
    """Chance of so large a maximum over a study: `alpha` at the threshold, beyond it as the normal tail falls."""
    return float(min(1.0, alpha * stats.norm.sf(found.z) / stats.norm.sf(found.threshold)))


def _seconds(rows: pd.DataFrame) -> Floats:
    times = rows["slot_at"]
    if "answered_at" in rows:
        times = times.where(times.notna(), rows["answered_at"])
    micros: Floats = times.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64) / 1e6
    return micros


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
