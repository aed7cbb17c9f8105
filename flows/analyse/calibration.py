"""How `thresholds.json` was made: the procedure of `change.py` itself on simulated people whose level never changes.

    python -m flows.analyse.calibration > flows/analyse/thresholds.json

People are first-order autoregressions of unit variance with a given inertia between the beeps of a day and, across
nights, none or all of it, whichever gives the higher statistics. For each inertia and number of beeps a
day the threshold is the quantile of the largest statistic of a person, so that the stated share of people, and no
more, ever passes it. As the procedure looks its threshold up by *estimated* inertia, the table is then corrected
until that share holds for it. No study's answers take part in this.

In the file, the thresholds of a change in the first four weeks come from this; those of the year after, and of a
trend, from the same simulations on a coarser grid with every point raised until all of them held, which is stricter.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from flows.analyse import change
from flows.analyse.daily import FIRST, LINKS, SQUARES, STARTS, TOTAL, WIDTH, Days, N

Floats = npt.NDArray[np.float64]

INERTIA = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
COARSE = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
"""Inertia simulated over a year, which takes long; between them the thresholds are interpolated."""
PER_DAY = (3, 5, 10)
NIGHTS = (0.0, 1.0)
EARLY_SHARE = 0.92
"""Share of a test's alpha that is spent in the first `change.EARLY` days."""
YEAR = 365
PEOPLE, PEOPLE_YEAR = 8000, 2000
"""Simulated for every point of the table, and of the year after."""
LATE_MARGIN = 1.04
"""Few simulated people pass so high a threshold: the room for the table's own error."""
ROUNDS, STEP = 12, 0.7
"""Rounds of correction and how much of each is made: a point of the table also serves people of its neighbours."""
SEED = 20260501


def stable(people: int, days: int, per_day: int, inertia: float, night: float, rng: np.random.Generator) -> Floats:
    """Simulate people whose level never changes; shape (people, days * per_day)."""
    x = rng.standard_normal((people, days * per_day))
    for t in range(1, x.shape[1]):
        phi = inertia * night if t % per_day == 0 else inertia
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi * phi) * x[:, t]
    return x


def summed(x: Floats, per_day: int) -> Days:
    """Daily sums of complete series: those of `daily`, without a row per answer."""
    offset = x.mean(axis=1)
    beeps = (x - offset[:, None]).reshape(len(x), -1, per_day)
    sums = np.zeros((*beeps.shape[:2], WIDTH))
    sums[..., N], sums[..., TOTAL], sums[..., SQUARES] = per_day, beeps.sum(axis=2), (beeps * beeps).sum(axis=2)
    sums[:, 0, STARTS], sums[:, 0, FIRST] = 1.0, beeps[:, 0, 0]
    sums[..., LINKS["pair"] : LINKS["pair"] + 6] = _links(beeps[..., 1:], beeps[..., :-1])
    sums[:, 1:, LINKS["night"] : LINKS["night"] + 6] = _links(beeps[:, 1:, :1], beeps[:, :-1, -1:])
    return Days(sums, np.full(len(x), beeps.shape[1]), offset)


def _links(x: Floats, previous: Floats) -> Floats:
    """Links of a day: how many, and sums of both answers, their squares and products."""
    parts = (np.ones_like(x), x, previous, x * x, previous * previous, x * previous)
    return np.stack([part.sum(axis=2) for part in parts], axis=-1)


def _shifts(days: Days) -> tuple[Floats, Floats]:
    z, inertia, _ = change.shift_statistics(days)
    return z.reshape(len(z), -1), inertia.reshape(len(z), -1)


def _trends(days: Days) -> tuple[Floats, Floats]:
    z, inertia, *_ = change.trend_statistics(days)
    return z, inertia


Statistics = Callable[[Days], tuple[Floats, Floats]]
Simulated = list[tuple[Floats, Floats]]


def simulate(statistics: Statistics, days: int, skip: int, per_day: int, inertia: float, people: int) -> Simulated:
    """Statistics after day `skip` and their estimated inertia, for every kind of night."""
    found = []
    for night in NIGHTS if inertia else (0.0,):
        rng = np.random.default_rng([SEED, days, per_day, round(100 * inertia), round(10 * night)])
        parts = []
        for begun in range(0, people, 500):
            z, phi = statistics(summed(stable(min(500, people - begun), days, per_day, inertia, night, rng), per_day))
            looks = z.shape[1] // days
            z, phi = z[:, skip * looks :], phi[:, skip * looks :]
            some = (z > 0).any(axis=0)
            parts.append((z[:, some].astype(np.float32), phi[:, some].astype(np.float32)))
        found.append((np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])))
    return found


def row(cells: list[Simulated], alpha: float, grid: tuple[float, ...] = INERTIA) -> list[float]:
    """Thresholds by inertia such that, looked up by estimated inertia, `alpha` of people pass, as near as can be told.

    Each is moved until its own people pass as often as they may; what is left of chance is taken out by letting the
    thresholds rise with inertia (isotonic regression), as those of endlessly many people would.
    """
    limits = np.array([max(np.quantile(z.max(axis=1), 1 - alpha) for z, _ in cell) for cell in cells])
    for _ in range(ROUNDS):
        limits = isotonic_regression(limits * _ratios(cells, limits, alpha, grid) ** STEP).x
    return [round(float(limit), 3) for limit in limits]


def _ratios(cells: list[Simulated], limits: Floats, alpha: float, grid: tuple[float, ...]) -> Floats:
    """By how much each threshold is too low, for the kind of night that needs the highest."""
    return np.array(
        [
            max(np.quantile((z / np.interp(phi, grid, limits)).max(axis=1), 1 - alpha) for z, phi in cell)
            for cell in cells
        ]
    )


def early(statistics: Statistics, alpha: float, per_day: int, people: int = PEOPLE) -> list[float]:
    """Thresholds of the first `change.EARLY` days."""
    cells = [simulate(statistics, change.EARLY, 0, per_day, inertia, people) for inertia in INERTIA]
    return row(cells, EARLY_SHARE * alpha)


def late(statistics: Statistics, alpha: float, people: int = PEOPLE_YEAR) -> list[float]:
    """Thresholds of the year after; by then the estimates no longer depend on beeps a day."""
    cells = [simulate(statistics, YEAR, change.EARLY, 5, inertia, people) for inertia in COARSE]
    limits = np.interp(INERTIA, COARSE, row(cells, (1 - EARLY_SHARE) * alpha, COARSE))
    return [round(float(LATE_MARGIN * limit), 3) for limit in limits]


def table(
    statistics: Statistics, alpha: float, people: int = PEOPLE, people_year: int = PEOPLE_YEAR
) -> dict[str, object]:
    """Both eras for every inertia and number of beeps a day."""
    first = []
    for per_day in PER_DAY:
        first.append(early(statistics, alpha, per_day, people))
        print(f"{statistics.__name__} {per_day} beeps a day, early: {first[-1]}", file=sys.stderr, flush=True)
    rest = late(statistics, alpha, people_year)
    print(f"{statistics.__name__} late: {rest}", file=sys.stderr, flush=True)
    return {"inertia": INERTIA, "per_day": PER_DAY, "early": first, "late": [rest] * len(PER_DAY)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Simulate people whose level never changes; print the thresholds.")
    parser.add_argument("--people", type=int, default=PEOPLE, help="for every point of the first weeks")
    parser.add_argument("--people-year", type=int, default=PEOPLE_YEAR, help="for every point of the year after")
    asked = parser.parse_args()
    tables = {
        name: table(statistics, alpha, asked.people, asked.people_year)
        for name, statistics, alpha in (
            ("change", _shifts, change.CHANGE_ALPHA),
            ("trend", _trends, change.TREND_ALPHA),
        )
    }
    print(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
