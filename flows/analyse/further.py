"""Indices beyond level and change: differentiation, uneven spacing, rhythm, early warning, compliance."""

from __future__ import annotations

import numpy as np
from scipy import stats

from flows.analyse.indices import MIN_PAIRS
from flows.analyse.panel import Floats, Ints, Mask, Panel, linked, run_starts

MIN_OCCASIONS = 5
"""Occasions with all items that an intraclass correlation needs."""

RHYTHM_DAYS = 10
"""Days a daily rhythm needs; a weekly one needs every weekday twice."""


def item_sums(group: Ints, items: Floats, person: Ints, groups: int) -> dict[str, Floats]:
    """Sums per group of occasions for the two-way analysis of variance; occasions with a missing item are left out.

    Items are centred on one of the person's own answers, which changes no variance and keeps sums exact.
    """
    full = np.isfinite(items).all(axis=1)
    x, group, person = items[full], group[full], person[full]
    starts = run_starts(person)
    if len(starts):
        x = x - np.repeat(x[starts].mean(axis=1), np.diff(starts, append=len(x)))[:, None]
    row = x.sum(axis=1)
    columns = np.column_stack([np.bincount(group, weights=c, minlength=groups) for c in x.T])
    return {
        "n": np.bincount(group, minlength=groups).astype(float)[:, None],
        "rows": np.bincount(group, weights=row * row, minlength=groups)[:, None],
        "all": np.bincount(group, weights=(x * x).sum(axis=1), minlength=groups)[:, None],
        "columns": columns,
    }


def differentiation_of(sums: dict[str, Floats]) -> tuple[Floats, Floats]:
    """1 - ICC(A,k) and 1 - ICC(A,1) from `item_sums`: McGraw & Wong 1996, two-way random, absolute agreement."""
    n, k = sums["n"][:, 0], sums["columns"].shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        grand = sums["columns"].sum(axis=1) ** 2 / (n * k)
        rows = sums["rows"][:, 0] / k - grand
        columns = (sums["columns"] ** 2).sum(axis=1) / n - grand
        rest = sums["all"][:, 0] - grand - rows - columns
        ms_rows, ms_columns = rows / (n - 1), columns / (k - 1)
        ms_rest = np.maximum(rest, 0) / ((n - 1) * (k - 1))
        average = (ms_rows - ms_rest) / (ms_rows + (ms_columns - ms_rest) / n)
        single = (ms_rows - ms_rest) / (ms_rows + (k - 1) * ms_rest + k * (ms_columns - ms_rest) / n)
    bad = (n < MIN_OCCASIONS) | (rows <= 1e-12 * np.maximum(sums["all"][:, 0], 1e-300))
    return np.where(bad, np.nan, 1 - average), np.where(bad, np.nan, 1 - single)


def differentiation(code: Ints, items: Floats, people: int) -> Floats:
    """1 - ICC over items x occasions: how far a person tells feelings apart (Tugade et al. 2004).

    The ICC is the average-measures, absolute-agreement one, ICC(A,k), as that literature uses. It can be negative,
    and then the index is above 1. nan with one item, fewer than five full occasions or no variance over occasions.
    """
    if items.shape[1] < 2:
        return np.full(people, np.nan)
    return differentiation_of(item_sums(code, items, code, people))[0]


def spacing(step: Floats, gap: Floats) -> tuple[float, float]:
    """Median gap between the answers of all pairs, and lambda; nan with too few gaps known."""
    good = gap > 0
    if good.sum() < MIN_PAIRS:
        return float("nan"), float("nan")
    median = float(np.median(gap[good]))
    return median, _spacing_power(step[good], gap[good] / median)


def timing(part: Panel, people: int, median: float, power: float) -> dict[str, Floats]:
    """Instability adjusted for uneven spacing (Jahng et al. 2008), and the share of answers at the scale's floor.

    Differences are divided by (gap / median gap)^lambda, lambda being what makes their size independent of the gap
    over all people: the slope of log squared difference on log gap (both from `spacing`). Without clock times it is
    nan.
    """
    link = linked(part.day, part.beep)
    step, gap, who = (part.y[1:] - part.y[:-1])[link], (part.hour[1:] - part.hour[:-1])[link], part.code[1:][link]
    good = gap > 0
    out = np.full(people, np.nan)
    if np.isfinite(power) and good.any():
        who = who[good]
        adjusted = (step[good] / (gap[good] / median) ** power) ** 2
        pairs = np.bincount(who, minlength=people)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.bincount(who, weights=adjusted, minlength=people) / pairs
        out = np.where(pairs >= MIN_PAIRS, mean, np.nan)
    n = np.bincount(part.code, minlength=people)
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = np.bincount(part.code[part.y <= part.scale[0] + 1e-9], minlength=people) / n
    return {"mssd_adjusted": out, "floor_share": floor}


def _spacing_power(step: Floats, ratio: Floats) -> float:
    """Lambda: half the exponent with which the mean squared difference grows with the gap, never negative."""
    square, log_gap = step * step, np.log(ratio)
    if np.ptp(log_gap) < 0.05 or not square.any():
        return 0.0
    power = 0.0
    for _ in range(25):  # Newton on the Poisson likelihood of square ~ exp(c + power * log gap)
        fitted = np.exp(power * log_gap)
        fitted *= square.sum() / fitted.sum()
        centred = log_gap - np.average(log_gap, weights=fitted)
        move = float(np.sum((square - fitted) * centred) / np.sum(fitted * centred**2))
        power = float(np.clip(power + move, -2, 4))
        if abs(move) < 1e-8:
            break
    return max(power, 0.0) / 2


def compliance(panel: Panel, there: Mask) -> dict[str, Floats]:
    """Share of the listed beeps that were answered, and the median minutes from beep to answer."""
    people = len(panel.persons)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.bincount(panel.code[there], minlength=people) / np.bincount(panel.code, minlength=people)
    known = there & (panel.late >= 0)
    return {"compliance": share, "latency_minutes": medians(panel.code[known], panel.late[known], people)}


def medians(code: Ints, values: Floats, people: int) -> Floats:
    """Median of each person's values, nan for none."""
    order = np.lexsort((values, code))
    code, values = code[order], values[order]
    starts = run_starts(code)
    out = np.full(people, np.nan)
    if len(starts):
        size = np.diff(starts, append=len(code))
        out[code[starts]] = (values[starts + (size - 1) // 2] + values[starts + size // 2]) / 2
    return out


def rhythms(part: Panel, people: int) -> dict[str, Floats]:
    """Daily and weekly rhythm with their checks; see `flows.analyse.rhythm`."""
    from flows.analyse.rhythm import daily, weekly  # noqa: PLC0415 - it uses the constants above

    return daily(part, people) | weekly(part, people)


def early_warning(part: Panel, people: int) -> dict[str, Floats]:
    """Kendall's tau of rolling autocorrelation and variance; see `flows.analyse.warning`."""
    from flows.analyse.warning import trends  # noqa: PLC0415 - it uses the constants above

    return trends(part, people)


def f_test(statistic: Floats, between: Floats | int, within: Floats) -> Floats:
    """p-value of an F statistic; nan stays nan."""
    return np.asarray(stats.f.sf(statistic, between, np.maximum(within, 1)), dtype=float)
