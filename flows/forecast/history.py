"""What was known before each beep: features from a person's past and the beep's scheduled time, nothing else.

People are walked through in step: at step t everybody's t-th beep is looked at together, so the work is a loop over
the longest series and never over people. A beep that was not answered has features and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flows.analyse.panel import Floats, Ints, Mask, Panel

RATES = (0.05, 0.15, 0.3, 0.5)
"""Forgetting rates of the moving averages: from weeks to a few beeps."""

PRIOR_MEAN = 1.0
"""Answers that the prior of a person's mean counts for."""

PRIOR_SD = 4.0
"""Answers that the prior of a person's standard deviation counts for."""

NAMES = (
    "last", "before_last", "third_last", *(f"ewma_{r:g}" for r in RATES), "today", "yesterday", "same_beep",
    "last_linked", "last_night",
)  # fmt: skip
"""Columns that are values of the target, as distances from the person's mean so far."""

CONTEXT = ("beep_share", "beep_share_2", "gap_missed", "first_of_day", "n_log", "floor_share", "change_size")
"""Columns without the unit of the target."""


@dataclass(frozen=True, eq=False)
class Prior:
    """What is believed of a person before the first answer, in units of the target.

    `mean` and `sd` of a typical person; `rate` of the plain EWMA.
    """

    mean: float
    sd: float
    rate: float = 0.3


@dataclass(frozen=True, eq=False)
class History:
    """Features of n beeps; every row from what came before it.

    Attributes
    ----------
    values
        Columns `NAMES`, as distances from `centre`, shape (n, len(NAMES)).
    context
        Columns `CONTEXT`, shape (n, len(CONTEXT)).
    items
        Last answers of the items, as distances from their means so far, shape (n, k).
    own
        The same in standard deviations of the person's item so far, shape (n, k).
    centre
        Mean so far, drawn to the prior by one answer's weight, shape (n,).
    plain
        Mean so far without prior (the prior's mean before the first answer).
    spread
        Standard deviation so far, drawn to the prior, shape (n,), positive.
    seen
        Answers before this beep.
    y
        The answer, nan where there is none.
    """

    values: Floats
    context: Floats
    items: Floats
    own: Floats
    centre: Floats
    plain: Floats
    spread: Floats
    seen: Ints
    y: Floats

    def take(self, rows: Mask | Ints) -> History:
        """Some of the rows."""
        names = ("values", "context", "items", "own", "centre", "plain", "spread", "seen", "y")
        return History(**{n: getattr(self, n)[rows] for n in names})


def prior_of(panel: Panel) -> Prior:
    """Mean and spread of a typical person, from answers that may be learnt from.

    The median over people with ten answers or more, all people where nobody has; with no answer at all a quarter of
    the way up the scale, and an eighth of it as spread.
    """
    part = panel.answered()
    lo, hi = panel.scale
    fallback = Prior(lo + (hi - lo) / 4, (hi - lo) / 8)
    if not len(part):
        return fallback
    people = len(part.persons)
    n = np.bincount(part.code, minlength=people)
    mean = np.bincount(part.code, weights=part.y, minlength=people) / np.maximum(n, 1)
    square = np.bincount(part.code, weights=(part.y - mean[part.code]) ** 2, minlength=people)
    use = n >= min(10, n.max())
    weight = square[use].sum() / max((n[use] - 1).sum(), 1)
    return Prior(float(np.mean(mean[use])), float(np.sqrt(weight)) or fallback.sd)


def day_share(panel: Panel) -> Floats:
    """Place of a beep in the day, 0-1: by the clock where there is one, by its number otherwise."""
    beeps = max(int(panel.beep.max(initial=1)), 2)
    by_number = (panel.beep - 1) / (beeps - 1)
    by_clock = np.clip((panel.hour % 24 - 7) / 16, 0, 1)
    return np.where(np.isfinite(panel.hour), by_clock, by_number)


def history(panel: Panel, prior: Prior) -> History:
    """Features of every beep of a panel.

    Parameters
    ----------
    panel
        Beeps in order; unanswered ones may be among them.
    prior
        What is believed before the first answer.
    """
    from flows.forecast.walk import Walk  # noqa: PLC0415 - it uses the names above

    return Walk(panel, prior).run()
