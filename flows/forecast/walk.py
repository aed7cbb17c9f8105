"""The walk through everybody's beeps in step, and the state it keeps of each person."""

from __future__ import annotations

import numpy as np

from flows.analyse.panel import Floats, Ints, Panel, run_starts
from flows.forecast.history import CONTEXT, NAMES, PRIOR_MEAN, PRIOR_SD, RATES, History, Prior, day_share

PLENTY = 100
"""Answers beyond which more of them change nothing."""

BEEPS = 12
"""Beeps of a day whose last value is remembered; later ones share a place."""


class Walk:
    """State of p people, and the features it gives for the next beep of each."""

    def __init__(self, panel: Panel, prior: Prior) -> None:
        self.panel, self.prior = panel, prior
        self.starts = run_starts(panel.code)
        self.size = np.diff(self.starts, append=len(panel))
        people = len(self.starts)
        self.n = np.zeros(people)
        self.total, self.square = np.zeros(people), np.zeros(people)
        self.floor, self.moved = np.zeros(people), np.zeros(people)
        self.lags = np.full((people, 3), np.nan)
        self.ewma = np.full((people, len(RATES)), np.nan)
        self.day, self.beep = np.full(people, -1), np.zeros(people, dtype=np.int64)
        self.today = np.zeros((people, 2))
        self.yesterday = np.full(people, np.nan)
        self.same = np.full((people, BEEPS), np.nan)
        self.missed = np.zeros(people)
        k = panel.items.shape[1]
        self.item_n, self.item_total, self.item_square = (np.zeros((people, k)) for _ in range(3))
        self.item_last = np.full((people, k), np.nan)

    def run(self) -> History:
        """Features of every beep."""
        n, k = len(self.panel), self.item_n.shape[1]
        self.out = History(
            values=np.zeros((n, len(NAMES))),
            context=np.zeros((n, len(CONTEXT))),
            items=np.zeros((n, k)),
            own=np.zeros((n, k)),
            centre=np.zeros(n),
            plain=np.zeros(n),
            spread=np.zeros(n),
            seen=np.zeros(n, dtype=np.int64),
            y=self.panel.y,
        )
        self.share = day_share(self.panel)
        longest = np.argsort(-self.size, kind="stable")
        active = len(longest)
        for step in range(int(self.size.max(initial=0))):
            while active and self.size[longest[active - 1]] <= step:
                active -= 1
            who = longest[:active]
            rows = self.starts[who] + step
            self._begin(who, rows)
            self._look(who, rows)
            answered = np.isfinite(self.panel.y[rows])
            self.missed[who[~answered]] += 1
            self._learn(who[answered], rows[answered])
        return self.out

    def _begin(self, who: Ints, rows: Ints) -> None:
        """Turn the page where a day begins."""
        fresh = who[self.panel.day[rows] != self.day[who]]
        had = self.today[fresh, 1] > 0
        mean = self.today[fresh, 0] / np.maximum(self.today[fresh, 1], 1)
        self.yesterday[fresh] = np.where(had, mean, self.yesterday[fresh])
        self.today[fresh] = 0

    def _look(self, who: Ints, rows: Ints) -> None:
        """Write the features of these rows."""
        out, panel, n = self.out, self.panel, self.n[who]
        centre = (self.total[who] + PRIOR_MEAN * self.prior.mean) / (n + PRIOR_MEAN)
        plain = np.where(n > 0, self.total[who] / np.maximum(n, 1), self.prior.mean)
        spread2 = np.maximum(self.square[who] - n * plain**2, 0) + PRIOR_SD * self.prior.sd**2
        out.centre[rows], out.plain[rows], out.seen[rows] = centre, plain, n
        out.spread[rows] = np.sqrt(spread2 / (np.maximum(n - 1, 0) + PRIOR_SD))
        same_day = (panel.day[rows] == self.day[who]) & (n > 0)
        next_beep = same_day & (panel.beep[rows] == self.beep[who] + 1)
        today = np.where(self.today[who, 1] > 0, self.today[who, 0] / np.maximum(self.today[who, 1], 1), np.nan)
        slot = np.minimum(panel.beep[rows] - 1, BEEPS - 1)
        last = self.lags[who, 0]
        columns = [
            *self.lags[who].T, *self.ewma[who].T, today, self.yesterday[who], self.same[who, slot],
            np.where(next_beep, last, np.nan), np.where(same_day, np.nan, last),
        ]  # fmt: skip
        out.values[rows] = np.nan_to_num(np.column_stack(columns) - centre[:, None])
        share = self.share[rows] - 0.5
        out.context[rows] = np.column_stack(
            [
                share,
                share**2 - 1 / 12,
                np.minimum(self.missed[who], 20) / 10,
                ~same_day,
                np.log1p(np.minimum(n, PLENTY)) / 5,
                self.floor[who] / np.maximum(n, 1),
                self.moved[who] / np.maximum(n - 1, 1) / out.spread[rows],
            ]
        )
        if self.item_n.shape[1]:
            self._look_at_items(who, rows)

    def _look_at_items(self, who: Ints, rows: Ints) -> None:
        count = np.maximum(self.item_n[who], 1)
        mean = self.item_total[who] / count
        away = np.nan_to_num(self.item_last[who] - mean)
        spread = np.sqrt(np.maximum(self.item_square[who] / count - mean**2, 0))
        moves = spread > 1e-6 * (np.abs(mean) + 1)  # an item that was always the same says nothing
        self.out.items[rows] = away
        self.out.own[rows] = np.where(moves, away / np.where(moves, spread, 1), 0)

    def _learn(self, who: Ints, rows: Ints) -> None:
        """Take in the answers of these rows."""
        y, first = self.panel.y[rows], self.n[who] == 0
        self.moved[who] += np.where(first, 0, np.abs(y - np.nan_to_num(self.lags[who, 0])))
        self.n[who] += 1
        self.total[who] += y
        self.square[who] += y * y
        self.floor[who] += y <= self.panel.scale[0] + 1e-9
        self.lags[who] = np.column_stack([y, self.lags[who, :2]])
        old = self.ewma[who]
        rate = np.maximum(
            np.asarray(RATES)[None, :], 1 / self.n[who][:, None]
        )  # a plain mean until the rate is reached
        self.ewma[who] = np.where(np.isnan(old), y[:, None], old + rate * (y[:, None] - np.nan_to_num(old)))
        self.today[who, 0] += y
        self.today[who, 1] += 1
        self.same[who, np.minimum(self.panel.beep[rows] - 1, BEEPS - 1)] = y
        self.day[who], self.beep[who], self.missed[who] = self.panel.day[rows], self.panel.beep[rows], 0
        if self.item_n.shape[1]:
            self._learn_items(who, self.panel.items[rows])

    def _learn_items(self, who: Ints, x: Floats) -> None:
        there = np.isfinite(x)
        x = np.nan_to_num(x)
        self.item_n[who] += there
        self.item_total[who] += x
        self.item_square[who] += x * x
        self.item_last[who] = np.where(there, x, np.nan)
