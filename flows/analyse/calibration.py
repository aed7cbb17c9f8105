"""How `thresholds.json` was made: the procedure of `change.py` itself on simulated people whose level never changes.

    python -m flows.analyse.calibration > flows/analyse/thresholds.json

People are first-order autoregressions of unit variance with a given inertia between the beeps of a day and, across
nights, the one of {none, half, all} of it that gives the highest statistics. For each inertia and number of beeps a
day the threshold is the quantile of the largest statistic of a person, so that the stated share of people, and no
more, ever passes it. As the procedure looks its threshold up by *estimated* inertia, the table is then scaled until
that share holds for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from flows.analyse import change
from flows.analyse.daily import Days, daily

Floats = npt.NDArray[np.float64]

INERTIA = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
PER_DAY = (3, 5, 10)
NIGHTS = (0.0, 0.5, 1.0)
EARLY_SHARE = 0.92
"""Share of a test's alpha that is spent in the first `change.EARLY` days."""
YEAR = 365
PEOPLE = 4000
LATE_MARGIN = 1.04
"""Few simulated people pass so high a threshold: the room for the table's own error."""
SPILL = 1.02
"""Where a correction beyond this is needed, estimates fall short of the truth: the point below is raised as well."""
SEED = 20260501


def stable(people: int, days: int, per_day: int, inertia: float, night: float, rng: np.random.Generator) -> Floats:
    """Simulate people whose level never changes; shape (people, days * per_day)."""
    x = rng.standard_normal((people, days * per_day))
    for t in range(1, x.shape[1]):
        phi = inertia * night if t % per_day == 0 else inertia
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi * phi) * x[:, t]
    return x


def summed(x: Floats, per_day: int) -> Days:
    """Daily sums of complete series."""
    people, n = x.shape
    fresh = np.tile(np.arange(n) % per_day == 0, people)
    return daily(np.repeat(np.arange(people), n), fresh, ~fresh, x.ravel())


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
        for _ in range(0, people, 500):
            z, phi = statistics(summed(stable(500, days, per_day, inertia, night, rng), per_day))
            looks = z.shape[1] // days
            z, phi = z[:, skip * looks :], phi[:, skip * looks :]
            some = (z > 0).any(axis=0)
            parts.append((z[:, some].astype(np.float32), phi[:, some].astype(np.float32)))
        found.append((np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])))
    return found


def row(cells: list[Simulated], alpha: float) -> list[float]:
    """Thresholds by inertia such that, looked up by estimated inertia, at most `alpha` of people pass."""
    limits = np.array([max(np.quantile(z.max(axis=1), 1 - alpha) for z, _ in cell) for cell in cells])
    for _ in range(8):
        for k, cell in enumerate(cells):
            ratio = max(np.quantile((z / np.interp(phi, INERTIA, limits)).max(axis=1), 1 - alpha) for z, phi in cell)
            limits[k] *= ratio
            if k and ratio > SPILL:
                limits[k - 1] *= np.sqrt(ratio)
        limits = np.maximum.accumulate(limits)
    return [round(float(limit), 3) for limit in limits]


def table(statistics: Statistics, alpha: float, people: int = PEOPLE) -> dict[str, object]:
    """Both eras for every inertia and number of beeps a day."""
    early = []
    for per_day in PER_DAY:
        cells = [simulate(statistics, change.EARLY, 0, per_day, inertia, people) for inertia in INERTIA]
        early.append(row(cells, EARLY_SHARE * alpha))
        print(f"{statistics.__name__} {per_day} beeps a day, early: {early[-1]}", file=sys.stderr, flush=True)
    cells = [simulate(statistics, YEAR, change.EARLY, PER_DAY[1], inertia, people // 2) for inertia in INERTIA]
    late = [round(LATE_MARGIN * limit, 3) for limit in row(cells, (1 - EARLY_SHARE) * alpha)]
    print(f"{statistics.__name__} late: {late}", file=sys.stderr, flush=True)
    # a year of ten beeps a day would take hours to simulate; by then the estimates no longer depend on beeps a day
    return {"inertia": INERTIA, "per_day": PER_DAY, "early": early, "late": [late] * len(PER_DAY)}


def main() -> None:
    """Print the table."""
    tables = {"change": table(_shifts, change.CHANGE_ALPHA), "trend": table(_trends, change.TREND_ALPHA)}
    print(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
