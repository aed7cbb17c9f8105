"""80% intervals: quantile forecasts, corrected online so that they cover as often as they say.

A person's correction is widened after every miss and narrowed a little after every hit (Gibbs & Candes 2021;
Angelopoulos et al. 2023), which holds in the long run whatever the series does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flows.analyse.panel import Floats, Ints, Mask, run_starts

COVERAGE = 0.8
RATE = 0.12
"""Step of a person's correction, in units of the person's spread."""

TRUST = 0.5
"""Share of the starting correction that is used: it comes from models fitted to fewer answers, which miss by more."""


@dataclass(frozen=True)
class Conformal:
    """Shared starting correction `start` in units of a person's spread, and the online step `rate`."""

    start: float
    rate: float = RATE
    coverage: float = COVERAGE

    def apply(
        self,
        code: Ints,
        y: Floats,
        low: Floats,
        high: Floats,
        spread: Floats,
        scale: tuple[float, float],
        learn: Mask,
    ) -> tuple[Floats, Floats]:
        """Corrected ends of every row, cut to the scale.

        Parameters
        ----------
        code, y, low, high, spread
            Person, answer, quantile forecasts and spread so far of each row, shape (n,), rows in order.
        scale
            Ends of the scale.
        learn
            Rows whose answer may move the correction of rows after it.
        """
        starts = run_starts(code)
        size = np.diff(starts, append=len(code))
        wider = np.full(len(starts), self.start)
        lows, highs = np.empty(len(y)), np.empty(len(y))
        learn = learn & np.isfinite(y)
        longest = np.argsort(-size, kind="stable")
        active = len(longest)
        for step in range(int(size.max(initial=0))):
            while active and size[longest[active - 1]] <= step:
                active -= 1
            who = longest[:active]
            rows = starts[who] + step
            reach = wider[who] * spread[rows]
            lows[rows], highs[rows] = self._ends(low[rows] - reach, high[rows] + reach, scale)
            now = learn[rows]
            who, rows = who[now], rows[now]
            missed = (y[rows] < lows[rows] - 1e-9) | (y[rows] > highs[rows] + 1e-9)
            wider[who] += self.rate * (missed - (1 - self.coverage))
        return lows, highs

    @staticmethod
    def _ends(low: Floats, high: Floats, scale: tuple[float, float]) -> tuple[Floats, Floats]:
        """Ends in order and on the scale."""
        middle = (low + high) / 2
        return np.clip(np.minimum(low, middle), *scale), np.clip(np.maximum(high, middle), *scale)


def fit_conformal(y: Floats, low: Floats, high: Floats, spread: Floats, rows: Mask) -> Conformal:
    """Half the correction with which forecasts made out of sample would have covered as often as they say."""
    use = rows & np.isfinite(y)
    if not use.any():
        return Conformal(0.0)
    # the least correction with which each answer would have been covered
    need = np.maximum((low - y) / spread, (y - high) / spread)[use]
    n = len(need)
    start = np.quantile(need, min(1.0, COVERAGE * (n + 1) / n), method="higher")
    return Conformal(float(np.clip(TRUST * start, -1.0, 5.0)))


def winkler(y: Floats, low: Floats, high: Floats, coverage: float = COVERAGE) -> float:
    """Mean interval score (Winkler 1972; Gneiting & Raftery 2007): width, plus 2/alpha times what lies outside."""
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return float(np.mean(high - low + 2 / (1 - coverage) * outside))


def constant_width(y: Floats, centre: Floats, scale: tuple[float, float]) -> float:
    """Lowest Winkler score any interval of one width around `centre` could have had, found in hindsight."""
    widths = np.quantile(np.abs(y - centre), np.linspace(0.4, 0.99, 60))
    return min(winkler(y, np.clip(centre - w, *scale), np.clip(centre + w, *scale)) for w in widths)
