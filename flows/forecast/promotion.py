"""Whether a new version takes over: only if it is better beyond doubt on the same test answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flows.analyse.panel import Floats, Ints

DRAWS = 2000
MIN_PEOPLE = 5


@dataclass(frozen=True)
class Verdict:
    """A decision with its reason.

    `gain` is how much of the champion's squared error the challenger saves (0.01 = 1%), with the 95% interval over
    resampled people, or over resampled weeks of a single person. `champion` is the version compared with.
    """

    promote: bool
    reason: str
    gain: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    champion: int | None = None


def compare(code: Ints, y: Floats, challenger: Floats, champion: Floats, *, seed: int = 0) -> Verdict:
    """Compare two forecasts of the same test answers.

    Parameters
    ----------
    code, y
        Person and answer of each test row, in order, shape (n,).
    challenger, champion
        Their forecasts.
    """
    group = _groups(code)
    theirs, mine = (np.bincount(group, weights=(y - f) ** 2) for f in (champion, challenger))
    if len(mine) < MIN_PEOPLE or theirs.sum() == 0:
        return Verdict(promote=False, reason=f"kept: only {len(mine)} groups of test answers, too few to tell")
    gain = float(1 - mine.sum() / theirs.sum())
    draws = np.random.default_rng(seed).multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=DRAWS)
    base = draws @ theirs
    low, high = (float(q) for q in np.quantile(1 - (draws @ mine) / np.where(base > 0, base, np.nan), [0.025, 0.975]))
    told = f"saves {gain:.1%} of the squared error (95% interval {low:.1%} to {high:.1%}) on {len(y)} test answers"
    if low > 0:
        return Verdict(promote=True, reason=f"promoted: {told}", gain=gain, low=low, high=high)
    return Verdict(promote=False, reason=f"kept: {told}, not better beyond doubt", gain=gain, low=low, high=high)


def _groups(code: Ints) -> Ints:
    """People, or blocks of twenty answers where there are too few people to resample."""
    people = np.unique(code)
    if len(people) >= MIN_PEOPLE:
        return np.searchsorted(people, code)
    return np.arange(len(code)) // 20
