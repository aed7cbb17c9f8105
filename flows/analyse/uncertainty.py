"""95% intervals by the jackknife over days.

Answers of one day hang together, days hardly do; so a person's days are what is left out one at a time
(Efron & Stein 1981; Wolter 2007, ch. 4). Every index is a function of sums, so leaving a day out is a subtraction,
and all days of all people are left out in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import stdtrit

from flows.analyse.indices import MIN_PAIRS, inertia
from flows.analyse.panel import Floats, Ints, Panel, linked, run_starts

MIN_DAYS = 4
"""Days below which no interval is given: the jackknife's own error is larger than what it measures."""

Sums = dict[str, Floats]
Statistic = Callable[[Sums], Floats]


def intervals(part: Panel, items: Floats, table: Mapping[str, object], cut: float) -> dict[str, Floats]:
    """`<index>_low` and `<index>_high` of every index.

    Parameters
    ----------
    part
        Answered beeps.
    items
        Items of the differentiation, rows as in `part`.
    table
        The indices themselves, each of shape (p,).
    cut
        Size from which a rise is acute.
    """
    people = len(part.persons)
    starts = run_starts(part.day)
    owner = part.code[starts]
    out: dict[str, Floats] = {}
    sums = day_sums(part, starts, cut)
    for name, statistic, bounds in STATISTICS:
        value = np.asarray(table[name], dtype=float)
        error, days = jackknife(statistic, sums, owner, people)
        low, high = bounds(value, error * stdtrit(np.maximum(days - 1, 1), 0.975))
        out[f"{name}_low"], out[f"{name}_high"] = low, high
    sd = np.asarray(table["sd"], dtype=float)
    ratio = np.asarray(table["rel_sd"], dtype=float) / np.where(sd > 0, sd, np.nan)
    for end in ("low", "high"):
        out[f"rel_sd_{end}"] = np.clip(ratio * out[f"sd_{end}"], 0, 1)
        out[f"rmssd_{end}"] = np.sqrt(out[f"mssd_{end}"])
    return out | _differentiation(part, items, starts, owner, table)


def _differentiation(
    part: Panel, items: Floats, starts: Ints, owner: Ints, table: Mapping[str, object]
) -> dict[str, Floats]:
    from flows.analyse.further import differentiation_of, item_sums  # noqa: PLC0415 - it builds on this module's peers

    value = np.asarray(table["differentiation"], dtype=float)
    if items.shape[1] < 2:
        return {f"differentiation_{end}": np.full(len(value), np.nan) for end in ("low", "high")}
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(part)))
    sums = item_sums(group, items, part.code, len(starts))
    error, days = jackknife(lambda s: differentiation_of(s)[0], sums, owner, len(value))
    reach = error * stdtrit(np.maximum(days - 1, 1), 0.975)
    return {"differentiation_low": np.maximum(value - reach, 0), "differentiation_high": value + reach}


def day_sums(part: Panel, starts: Ints, cut: float) -> Sums:
    """Sums of each person-day, shape (days,): answers and pairs, centred on the person's mean."""
    people = len(part.persons)
    n = np.maximum(np.bincount(part.code, minlength=people), 1)
    z = part.y - (np.bincount(part.code, weights=part.y, minlength=people) / n)[part.code]
    days = len(starts)
    group = np.repeat(np.arange(days), np.diff(starts, append=len(part)))
    link = linked(part.day, part.beep)
    a, b, day = z[:-1][link], z[1:][link], group[1:][link]
    step = (part.y[1:] - part.y[:-1])[link]
    one = {"n": np.ones(len(z)), "z": z, "zz": z * z}
    two = {"m": np.ones(len(a)), "a": a, "b": b, "aa": a * a, "bb": b * b, "ab": a * b, "dd": step * step}
    two["up"] = (step >= cut).astype(float)
    sums = {k: np.bincount(group, weights=v, minlength=days).astype(float) for k, v in one.items()}
    return sums | {k: np.bincount(day, weights=v, minlength=days).astype(float) for k, v in two.items()}


def jackknife(statistic: Statistic, sums: Sums, owner: Ints, people: int) -> tuple[Floats, Ints]:
    """Standard error of a statistic of sums, and the number of days behind it.

    Parameters
    ----------
    statistic
        From sums (arrays of any one shape) to values of that shape.
    sums
        Per person-day, shape (days,) or (days, k).
    owner
        Person of each day, shape (days,), ascending.
    """
    starts = run_starts(owner)
    totals = {k: _by_person(v, owner[starts], starts, people) for k, v in sums.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        left = statistic({k: totals[k][owner] - v for k, v in sums.items()})
        good = np.isfinite(left)
        days = np.bincount(owner[good], minlength=people)
        mean = np.bincount(owner[good], weights=left[good], minlength=people) / days
        spread = np.bincount(owner[good], weights=(left - mean[owner])[good] ** 2, minlength=people)
        error = np.sqrt((days - 1) / days * spread)
    return np.where(days >= MIN_DAYS, error, np.nan), days


def _by_person(values: Floats, who: Ints, starts: Ints, people: int) -> Floats:
    out = np.zeros((people, *values.shape[1:]))
    if len(starts):
        out[who] = np.add.reduceat(values, starts, axis=0)
    return out


def _mean(s: Sums) -> Floats:
    return s["z"] / s["n"]


def _sd(s: Sums) -> Floats:
    return np.sqrt(np.maximum((s["zz"] - s["z"] ** 2 / s["n"]) / (s["n"] - 1), 0))


def _per_pair(name: str) -> Statistic:
    return lambda s: s[name] / s["m"]


def _slope(s: Sums) -> Floats:
    return inertia(s, MIN_PAIRS // 2)[0]


def _correlation(s: Sums) -> Floats:
    return inertia(s, MIN_PAIRS // 2)[1]


def _around(value: Floats, reach: Floats) -> tuple[Floats, Floats]:
    return value - reach, value + reach


def _positive(value: Floats, reach: Floats) -> tuple[Floats, Floats]:
    """Ends on the log scale, where the error of a variance is nearly symmetric."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.exp(np.where(value > 0, reach / value, np.nan))
    return value / factor, value * factor


def _share(value: Floats, reach: Floats) -> tuple[Floats, Floats]:
    return np.clip(value - reach, 0, 1), np.clip(value + reach, 0, 1)


def _bounded(value: Floats, reach: Floats) -> tuple[Floats, Floats]:
    return np.clip(value - reach, -1, 1), np.clip(value + reach, -1, 1)


STATISTICS: tuple[tuple[str, Statistic, Callable[[Floats, Floats], tuple[Floats, Floats]]], ...] = (
    ("mean", _mean, _around),
    ("sd", _sd, _positive),
    ("mssd", _per_pair("dd"), _positive),
    ("pac", _per_pair("up"), _share),
    ("inertia", _slope, _around),
    ("autocorrelation", _correlation, _bounded),
)
