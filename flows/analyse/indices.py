"""Indices of state dynamics for every person at once.

A pair (a, b) is two consecutive answered beeps of one day, one beep apart: no overnight lag, no skipped beep.
All indices are sums over a person's answers or pairs, so one pass of segment sums serves everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from flows.analyse.panel import Floats, Ints, Panel, linked, run_starts
from flows.analyse.spread import Spread, in_turn

MIN_PAIRS = 10
"""Pairs an index of change needs (facts on reliability: Wendt et al. 2020)."""

BLOCK = 2_000
"""People whose indices are computed together."""

ACUTE = 0.9
"""Quantile of the absolute differences of all people above which a rise is acute (Jahng et al. 2008)."""

FIRST = ("person", "n", "n_pairs", "mean", "sd", "rel_sd", "mssd", "rmssd", "pac", "inertia", "differentiation")


def six(
    code: Ints,
    day: Ints,
    beep: Ints,
    y: Floats,
    scale: tuple[float, float],
    people: int,
    *,
    min_pairs: int = MIN_PAIRS,
    cut: float | None = None,
) -> dict[str, Floats | Ints]:
    """Count, level, variability, relative variability, instability and acute change of every person.

    Parameters
    ----------
    code, day, beep, y
        Answered beeps sorted by person, day and beep (see `Panel`), each of shape (n,); `y` without nan.
    scale
        Lowest and highest possible value.
    people
        Number of people p; those without rows get n = 0 and nan.
    min_pairs
        Pairs below which `mssd`, `rmssd` and `pac` are nan.
    cut
        Size from which a rise is acute, where these are not all the people; from these rows by default.

    Returns
    -------
    dict of arrays of shape (p,)
        n, n_pairs, mean, sd (ddof 1), rel_sd (Mestdagh et al. 2018), mssd (von Neumann 1941), rmssd, and pac: the
        share of b - a at or above the 90th percentile of |b - a| over all people (Jahng et al. 2008; Trull 2008).
    """
    n = np.bincount(code, minlength=people)
    starts = run_starts(code)
    here = code[starts]
    base = np.zeros(people)
    base[here] = y[starts]
    # sums of distances from a person's first answer: exactly zero for a constant series
    off = y - np.repeat(y[starts], np.diff(starts, append=len(y)))
    total, square = _sums(off, starts, here, people), _sums(off * off, starts, here, people)
    link = linked(day, beep)
    step, who = (y[1:] - y[:-1])[link], code[1:][link]
    pairs = np.bincount(who, minlength=people)
    moved = np.bincount(who, weights=step * step, minlength=people)
    acute = np.bincount(who[step >= (acute_cut(step) if cut is None else cut)], minlength=people)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, base + total / n, np.nan)
        sd = np.sqrt(np.maximum(np.where(n > 1, (square - total * total / n) / (n - 1), np.nan), 0))
        enough = pairs >= max(min_pairs, 1)
        mssd = np.where(enough, moved / pairs, np.nan)
        pac = np.where(enough, acute / pairs, np.nan)
    return {
        "n": n,
        "n_pairs": pairs,
        "mean": mean,
        "sd": sd,
        "rel_sd": relative_sd(sd, mean, n, scale),
        "mssd": mssd,
        "rmssd": np.sqrt(mssd),
        "pac": pac,
    }


def _sums(values: Floats, starts: Ints, here: Ints, people: int) -> Floats:
    """Sum of each person's run of rows."""
    out = np.zeros(people)
    if len(starts):
        out[here] = np.add.reduceat(values, starts)
    return out


def acute_cut(step: Floats) -> float:
    """Size from which a rise counts as acute: the 90th percentile of |b - a|; no rise does where that is nothing."""
    return float(np.quantile(np.abs(step), ACUTE)) or np.inf if len(step) else np.inf


def relative_sd(sd: Floats, mean: Floats, n: Ints, scale: tuple[float, float]) -> Floats:
    """SD over the largest SD that n answers with this mean can have on a bounded scale.

    The largest variance puts as many answers as possible on either end and one between them
    (Mestdagh, M., et al. 2018, Psychol Methods 23(4):690, eq. 3). nan where the mean is on an end.
    """
    lo, hi = scale
    with np.errstate(divide="ignore", invalid="ignore"):
        top = np.clip(np.floor(n * (mean - lo) / (hi - lo)), 0, np.maximum(n - 1, 0))
        bottom = n - 1 - top
        rest = n * mean - top * hi - bottom * lo
        largest = (top * (hi - mean) ** 2 + bottom * (lo - mean) ** 2 + (rest - mean) ** 2) / (n - 1)
        # an end of the scale is reached up to rounding of the mean
        largest = np.where(np.minimum(mean - lo, hi - mean) < 1e-9 * (hi - lo), 0.0, largest)
        return np.where((n > 1) & (largest > 0), sd / np.sqrt(largest), np.nan)


def lag_sums(code: Ints, day: Ints, beep: Ints, y: Floats, people: int) -> dict[str, Floats]:
    """Sums over pairs from which slope and correlation of b on a follow; values are centred on the person's mean."""
    n = np.maximum(np.bincount(code, minlength=people), 1)
    z = y - (np.bincount(code, weights=y, minlength=people) / n)[code]
    link = linked(day, beep)
    a, b, who = z[:-1][link], z[1:][link], code[1:][link]
    columns = {"m": np.ones(len(a)), "a": a, "b": b, "aa": a * a, "bb": b * b, "ab": a * b}
    return {k: np.bincount(who, weights=v, minlength=people).astype(float) for k, v in columns.items()}


def inertia(sums: dict[str, Floats], min_pairs: int = MIN_PAIRS) -> tuple[Floats, Floats]:
    """Slope and correlation of b on a over a person's pairs (Kuppens et al. 2010); nan for too few or constant a."""
    m = sums["m"]
    with np.errstate(divide="ignore", invalid="ignore"):
        sxx = sums["aa"] - sums["a"] ** 2 / m
        syy = sums["bb"] - sums["b"] ** 2 / m
        sxy = sums["ab"] - sums["a"] * sums["b"] / m
        flat = sxx <= 1e-12 * np.maximum(sums["aa"], 1e-300)
        slope = np.where(flat | (m < min_pairs), np.nan, sxy / sxx)
        level = flat | (syy <= 1e-12 * np.maximum(sums["bb"], 1e-300)) | (m < min_pairs)
        correlation = np.where(level, np.nan, sxy / np.sqrt(sxx * syy))
    return slope, correlation


def indices(panel: Panel, items: Floats | None = None, spread: Spread = in_turn) -> pd.DataFrame:
    """Every index of every person, those named in `FIRST` first.

    Parameters
    ----------
    panel
        Beeps, unanswered ones included where the source lists them.
    items
        Items for the differentiation, shape (n, k), rows as in `panel`; those of the panel by default.
    spread
        Where the work is done: here, or on workers (see `flows.clients.workers`). It is parted by people in the same
        way everywhere, so results are the same to the bit.

    Returns
    -------
    DataFrame
        One row per person. nan where an index needs more than the person answered. `*_low` and `*_high` are the
        ends of 95% intervals (see `flows.analyse.uncertainty`).
    """
    from flows.analyse import further  # noqa: PLC0415 - it builds on the functions above

    carried = panel if items is None else replace(panel, items=items, names=())
    there = np.isfinite(panel.y)
    link = linked(panel.day[there], panel.beep[there])
    step, gap = (np.diff(v[there])[link] for v in (panel.y, panel.hour))
    pooled = Pooled(acute_cut(step), *further.spacing(step, gap))
    people = len(panel.persons)
    blocks = [carried.stretch(k, min(k + BLOCK, people)) for k in range(0, people, BLOCK)] or [carried]
    return pd.concat(spread(_indices, blocks, pooled), ignore_index=True)


@dataclass(frozen=True)
class Pooled:
    """What is known from everybody: the size of an acute rise, the median gap and the power by which steps grow."""

    acute: float
    gap: float
    power: float


def _indices(panel: Panel, pooled: Pooled) -> pd.DataFrame:
    """Indices of some of the people."""
    from flows.analyse import further, uncertainty  # noqa: PLC0415 - both build on the functions above

    people, there = len(panel.persons), np.isfinite(panel.y)
    part = panel.take(there)
    table: dict[str, object] = {"person": panel.persons}
    table |= six(part.code, part.day, part.beep, part.y, part.scale, people, cut=pooled.acute)
    slope, correlation = inertia(lag_sums(part.code, part.day, part.beep, part.y, people))
    table["inertia"] = slope
    table["differentiation"] = further.differentiation(part.code, part.items, people)
    table["autocorrelation"] = correlation
    table |= uncertainty.intervals(part, part.items, table, pooled.acute)
    table |= further.timing(part, people, pooled.gap, pooled.power)
    table |= further.compliance(panel, there)
    table |= further.rhythms(part, people)
    table |= further.early_warning(part, people)
    return pd.DataFrame(table)
