"""Early-warning signals: rolling autocorrelation and variance (Dakos 2012; van de Leemput 2014; Wichers 2016).

Weak evidence, and to be called that: such signals preceded a third of recurrences (Smit et al. 2025). Nothing in the
product acts on them; they are columns for researchers.
"""

from __future__ import annotations

import numpy as np

from flows.analyse.panel import Floats, Ints, Panel, run_starts

AT_ONCE = 1000
"""Values of one person up to which all pairs are compared at once."""

MIN_ANSWERS = 40
"""Answers from which a rolling window of half the series means anything."""


def trends(part: Panel, people: int) -> dict[str, Floats]:
    """Kendall's tau of time with the rolling lag-1 autocorrelation and variance, window half of the series.

    Answers are taken in order, as that literature does. Each window is centred on its own mean.

    Returns
    -------
    dict of arrays of shape (p,)
        warning_autocorrelation, warning_variance: tau from -1 to 1, nan below forty answers or for a constant series.
    """
    n = np.bincount(part.code, minlength=people)
    rows = n[part.code] >= MIN_ANSWERS
    code, y = part.code[rows], part.y[rows]
    nothing = np.full(people, np.nan)
    if not len(y):
        return {"warning_autocorrelation": nothing, "warning_variance": nothing.copy()}
    variance, autocorrelation, last = rolling(code, y, n // 2)
    owner = code[last]
    return {
        "warning_autocorrelation": kendall(owner, autocorrelation, people),
        "warning_variance": kendall(owner, variance, people),
    }


def rolling(code: Ints, y: Floats, window: Ints) -> tuple[Floats, Floats, Ints]:
    """Variance (ddof 1) and lag-1 autocorrelation of each full window, with the row at which it ends.

    Parameters
    ----------
    code, y
        Answers sorted by person, shape (n,).
    window
        Answers in a window, by person.
    """
    starts = run_starts(code)
    size = np.diff(starts, append=len(y))
    first = np.repeat(starts, size)
    z = y - np.repeat(np.add.reduceat(y, starts) / size, size)
    w = window[code]
    last = np.flatnonzero(np.arange(len(y)) - first + 1 >= w)
    w = w[last]
    lag = np.where(np.arange(len(y)) > first, z * np.concatenate(([0.0], z[:-1])), 0.0)

    def window_sum(values: Floats, shift: int = 0) -> Floats:
        total = np.concatenate(([0.0], np.cumsum(values)))
        part: Floats = total[last + 1] - total[last + 1 - w + shift]
        return part

    mean = window_sum(z) / w
    square = np.maximum(window_sum(z * z) - w * mean**2, 0)
    head, tail = z[last + 1 - w], z[last]
    # sum over pairs of (a - mean)(b - mean), from sums that leave out one end each
    cross = window_sum(lag, 1) - mean * (2 * w * mean - head - tail) + (w - 1) * mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        autocorrelation = np.where(square > 1e-12, cross / square, np.nan)
    return square / (w - 1), autocorrelation, last


def kendall(owner: Ints, values: Floats, people: int) -> Floats:
    """Kendall's tau-b of each person's values with their order; every lag is compared for all people at once."""
    good = np.isfinite(values)
    owner, values = owner[good], values[good]
    m = np.bincount(owner, minlength=people)
    if people == 1 and len(values) <= AT_ONCE:
        rise = np.sign(values[:, None] - values[None, :])[np.tri(len(values), k=-1, dtype=bool)]
        return _tau(np.array([rise.sum()]), np.array([(rise == 0).sum()]), m)
    score, tied = np.zeros(people), np.zeros(people)
    for lag in range(1, int(m.max(initial=0))):
        same = owner[lag:] == owner[:-lag]
        rise = np.sign(values[lag:] - values[:-lag])[same]
        who = owner[lag:][same]
        score += np.bincount(who, weights=rise, minlength=people)
        tied += np.bincount(who, weights=rise == 0, minlength=people)
    return _tau(score, tied, m)


def _tau(score: Floats, tied: Floats, m: Ints) -> Floats:
    """Tau-b from concordant less discordant pairs, tied pairs and values, none of which tie in time."""
    pairs = m * (m - 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        tau = score / np.sqrt(pairs * (pairs - tied))
    return np.where((m >= 10) & (pairs > tied), tau, np.nan)
