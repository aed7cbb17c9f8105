"""Daily and weekly rhythms, each with a check that it is one.

Rhythm explains 0.02-1.9% of within-person variance in published data: a claim about a time of day needs a test first.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from flows.analyse.panel import Floats, Ints, Panel, run_starts

RHYTHM_DAYS = 10
"""Days a daily rhythm needs."""

RHYTHM_WEEKS = 3
"""Times every weekday must have been seen for a weekly rhythm."""


def daily(part: Panel, people: int) -> dict[str, Floats]:
    """Cosinor with a 24-hour period, checked by a Wald test whose covariance is clustered by day.

    Returns
    -------
    dict of arrays of shape (p,)
        daily_amplitude (scale points), daily_peak (local hour 0-24 of the highest value), daily_explained (share of
        the variance, 0-1), daily_p (Hotelling's small-sample form, Bell & McCaffrey 2002). nan without clock times or
        with fewer than ten days.
    """
    there = np.isfinite(part.hour)
    code, day, y = part.code[there], part.day[there], part.y[there]
    angle = 2 * np.pi * (part.hour[there] % 24) / 24
    design = np.column_stack([np.ones(len(y)), np.cos(angle), np.sin(angle)])
    gram, moment = _by(code, design[:, :, None] * design[:, None, :], people), _by(code, design * y[:, None], people)
    days = np.bincount(code[run_starts(day)], minlength=people)
    solvable = (days >= RHYTHM_DAYS) & (np.linalg.cond(np.where(np.isfinite(gram), gram, 0) + 1e-12 * np.eye(3)) < 1e6)
    out = {k: np.full(people, np.nan) for k in ("daily_amplitude", "daily_peak", "daily_explained", "daily_p")}
    who = np.flatnonzero(solvable)
    if not len(who):
        return out
    bread = np.linalg.inv(gram[who])
    beta = np.zeros((people, 3))
    beta[who] = np.einsum("pij,pj->pi", bread, moment[who])
    rest = y - np.einsum("ni,ni->n", design, beta[code])
    starts = run_starts(day)
    score = np.add.reduceat(design * rest[:, None], starts, axis=0)
    meat = _by(code[starts], score[:, :, None] * score[:, None, :], people)[who]
    cover = np.einsum("pij,pjk,pkl->pil", bread, meat, bread)[:, 1:, 1:]
    d = days[who]
    wave = beta[who, 1:]
    wald = np.einsum("pi,pij,pj->p", wave, np.linalg.pinv(cover), wave)
    out["daily_p"][who] = stats.f.sf((d - 2) / (2 * (d - 1)) * wald, 2, d - 2)
    out["daily_amplitude"][who] = np.hypot(wave[:, 0], wave[:, 1])
    out["daily_peak"][who] = (np.arctan2(wave[:, 1], wave[:, 0]) * 24 / (2 * np.pi)) % 24
    out["daily_explained"][who] = _explained(code, y, rest, people)[who]
    return out


def weekly(part: Panel, people: int) -> dict[str, Floats]:
    """Weekday means, checked by an analysis of variance over the means of days, which overnight hardly hang together.

    Returns
    -------
    dict of arrays of shape (p,)
        weekly_amplitude (half the distance from the lowest to the highest weekday), weekly_peak (0 Monday - 6
        Sunday), weekly_explained (share of the variance of day means), weekly_p. nan without clock times or before
        every weekday was seen three times.
    """
    there = np.isfinite(part.hour)
    code, day, y, hour = part.code[there], part.day[there], part.y[there], part.hour[there]
    starts = run_starts(day)
    out = {k: np.full(people, np.nan) for k in ("weekly_amplitude", "weekly_peak", "weekly_explained", "weekly_p")}
    if not len(starts):
        return out
    size = np.diff(starts, append=len(y))
    mean, who = np.add.reduceat(y, starts) / size, code[starts]
    weekday = (hour[starts] // 24 + 3).astype(np.int64) % 7  # 1 January 1970 was a Thursday
    cell = who * 7 + weekday
    n = np.bincount(cell, minlength=people * 7).reshape(people, 7)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.bincount(cell, weights=mean, minlength=people * 7).reshape(people, 7) / n
        days = n.sum(axis=1)
        grand = np.bincount(who, weights=mean, minlength=people) / days
        between = (n * (means - grand[:, None]) ** 2).sum(axis=1)
        total = np.bincount(who, weights=(mean - grand[who]) ** 2, minlength=people)
        statistic = (between / 6) / ((total - between) / (days - 7))
        explained = between / total
    ok = (n >= RHYTHM_WEEKS).all(axis=1) & (total > 0)
    out["weekly_amplitude"][ok] = np.ptp(means[ok], axis=1) / 2
    out["weekly_peak"][ok] = np.argmax(means[ok], axis=1)
    out["weekly_explained"][ok] = explained[ok]
    out["weekly_p"][ok] = stats.f.sf(statistic[ok], 6, days[ok] - 7)
    return out


def _by(group: Ints, values: Floats, groups: int) -> Floats:
    """Sums over sorted groups along the first axis."""
    out = np.zeros((groups, *values.shape[1:]))
    starts = run_starts(group)
    if len(starts):
        out[group[starts]] = np.add.reduceat(values, starts, axis=0)
    return out


def _explained(code: Ints, y: Floats, rest: Floats, people: int) -> Floats:
    n = np.maximum(np.bincount(code, minlength=people), 1)
    mean = np.bincount(code, weights=y, minlength=people) / n
    total = np.bincount(code, weights=(y - mean[code]) ** 2, minlength=people)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 1 - np.bincount(code, weights=rest * rest, minlength=people) / total
    return np.where(total > 0, share, np.nan)
