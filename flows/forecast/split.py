"""Which rows may be learnt from and which are the test: by each person's own order, never by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flows.analyse.panel import Ints, Mask, Panel, run_starts

MIN_ANSWERS = 30
"""Answers below which a person is not in the backtest."""

TRAIN = 0.7
"""Share of a person's answers that may be learnt from; the rest is the test."""

INNER = 0.65
"""Share of those on which candidates are fitted to forecast the rest of them, from which the combination learns."""


@dataclass(frozen=True, eq=False)
class Split:
    """Masks over rows, shape (n,): `train` and `test` part the answered ones, `inner` is a part of `train`."""

    train: Mask
    inner: Mask
    test: Mask

    @property
    def held(self) -> Mask:
        """Rows learnt from that the inner fit has not seen: forecasts of them are out of sample."""
        return self.train & ~self.inner


def rank(panel: Panel) -> tuple[Ints, Ints]:
    """How many answers of the person lie before each row, and how many the person has, each of shape (n,)."""
    answered = np.isfinite(panel.y)
    total = np.cumsum(answered) - answered
    starts = run_starts(panel.code)
    before = total - np.repeat(total[starts], np.diff(starts, append=len(panel))) if len(panel) else total
    return before, np.bincount(panel.code[answered], minlength=len(panel.persons))[panel.code]


def eligible(panel: Panel, least: int = MIN_ANSWERS) -> Panel:
    """People with answers enough."""
    n = np.bincount(panel.code[np.isfinite(panel.y)], minlength=len(panel.persons))
    return panel.people(np.flatnonzero(n >= least))


def split(panel: Panel, train: float = TRAIN) -> Split:
    """The last answers of each person as test, the first `train` of them to learn from."""
    before, n = rank(panel)
    answered = np.isfinite(panel.y)
    cut = np.floor(train * n)
    return Split(answered & (before < cut), answered & (before < np.floor(INNER * cut)), answered & (before >= cut))
