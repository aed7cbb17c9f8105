"""Whether people answer otherwise than they did: input drift, per item and within people.

Between people answers differ by nature, and who takes part changes; so each person's recent answers are compared with
that person's own earlier ones, and people are what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from flows.analyse.panel import Floats, Ints

RECENT_DAYS = 7.0
MIN_PEOPLE = 8
MIN_ANSWERS = 5
"""Answers of a person on either side of the cut."""

ALPHA = 0.01
LEAST = 0.4
"""Mean shift, in within-person SDs, below which a drift is not worth a retraining."""


@dataclass(frozen=True)
class ItemDrift:
    """One item: mean shift of people in within-person SDs with its 95% interval, corrected p, population stability.

    `psi` compares the pooled distributions (population stability index); it is shown and decides nothing.
    """

    item: str
    people: int
    shift: float
    low: float
    high: float
    p_value: float
    psi: float

    @property
    def drifts(self) -> bool:
        """Beyond chance and large enough to matter."""
        return self.p_value < ALPHA and abs(self.shift) >= LEAST


def item_drift(data: pd.DataFrame, items: Sequence[str], recent_days: float = RECENT_DAYS) -> tuple[ItemDrift, ...]:
    """Compare the last days of a frame with the days before.

    Parameters
    ----------
    data
        Typed rows (see `flows.analyse.frame.Frame.data`).
    items
        Columns to look at; p-values are corrected for their number (Holm 1979).
    recent_days
        Days up to the last answer that count as recent.
    """
    times = data["slot_at"]
    if not times.notna().any():
        return ()
    recent = (times > times.max() - pd.Timedelta(days=recent_days)).to_numpy()
    code = pd.factorize(data["person"])[0].astype(np.int64)
    found = [_one(item, data[item].to_numpy(dtype=float), code, recent) for item in items]
    known = [f for f in found if f is not None]
    order = np.argsort([f.p_value for f in known])
    worst, out = 0.0, list(known)
    for place, k in enumerate(order):
        worst = max(worst, min(1.0, (len(known) - place) * known[k].p_value))
        f = known[k]
        out[k] = ItemDrift(f.item, f.people, f.shift, f.low, f.high, worst, f.psi)
    return tuple(out)


def _one(item: str, y: Floats, code: Ints, recent: np.ndarray) -> ItemDrift | None:
    there = np.isfinite(y)
    people = int(code.max(initial=-1)) + 1
    sums = {}
    for name, rows in (("old", there & ~recent), ("new", there & recent)):
        n = np.bincount(code[rows], minlength=people)
        mean = np.bincount(code[rows], weights=y[rows], minlength=people) / np.maximum(n, 1)
        sums[name] = (n, mean, np.bincount(code[rows], weights=(y[rows] - mean[code[rows]]) ** 2, minlength=people))
    (n_old, old, square), (n_new, new, _) = sums["old"], sums["new"]
    use = (n_old >= MIN_ANSWERS) & (n_new >= MIN_ANSWERS)
    if use.sum() < MIN_PEOPLE:
        return None
    sd = float(np.sqrt(square[use].sum() / max((n_old[use] - 1).sum(), 1)))
    if sd == 0:
        return None
    moved = (new - old)[use] / sd
    shift, error = float(moved.mean()), float(moved.std(ddof=1) / np.sqrt(len(moved)))
    reach = error * float(stats.t.ppf(0.975, len(moved) - 1))
    p = float(stats.ttest_1samp(moved, 0.0).pvalue) if error > 0 else float(shift == 0)
    inside = use[np.maximum(code, 0)] & there
    psi = stability(y[inside & ~recent], y[inside & recent])
    return ItemDrift(item, int(use.sum()), shift, shift - reach, shift + reach, p, psi)


def stability(old: Floats, new: Floats) -> float:
    """Population stability index over the deciles of the old values; half a count is added to each cell."""
    edges = np.unique(np.quantile(old, np.linspace(0.1, 0.9, 9)))
    a = np.bincount(np.searchsorted(edges, old), minlength=len(edges) + 1) + 0.5
    b = np.bincount(np.searchsorted(edges, new), minlength=len(edges) + 1) + 0.5
    a, b = a / a.sum(), b / b.sum()
    return float(np.sum((b - a) * np.log(b / a)))
