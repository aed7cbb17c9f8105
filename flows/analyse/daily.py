"""Daily sums of people's answers, and from them the level, spread and inertia of any stretch of days at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PAIRS, FAR = ("pair",), ("gap", "night")
"""Links between neighbouring answers: one beep apart; further apart within the day, or across a night."""

_PAIR_PRIOR, _FAR_WEIGHT = (0.4, 5.0), 10.0
"""Usual inertia between consecutive beeps, and how many pairs of one's own weigh as much."""

# Columns of the daily sums: answers, their sum and squares, the very first answer, then six per kind of link.
N, TOTAL, SQUARES, STARTS, FIRST = range(5)
LINKS = {"pair": 5, "gap": 11, "night": 17}
WIDTH = 23


@dataclass(frozen=True, eq=False)
class Days:
    """Daily sums of people, padded to the longest.

    Attributes
    ----------
    sums
        Shape (people, days, 23): counts, sums and products a day adds.
    count
        Days with answers, shape (people,).
    offset
        What was subtracted from each person's answers, shape (people,).
    """

    sums: Floats
    count: Ints
    offset: Floats


def daily(codes: Ints, fresh: npt.NDArray[np.bool_], consecutive: npt.NDArray[np.bool_], values: Floats) -> Days:
    """Sum answers by person and day.

    Parameters
    ----------
    codes
        Person of each answer, 0..people-1, ascending, shape (n,).
    fresh
        Whether an answer is the first of its day, shape (n,).
    consecutive
        Whether it comes one beep after the answer before it, shape (n,); ignored where `fresh`.
    values
        Answers, finite, shape (n,).
    """
    people = int(codes[-1]) + 1 if len(codes) else 0
    starts = np.searchsorted(codes, np.arange(people))
    counts = np.diff(np.append(starts, len(codes)))
    offset = np.add.reduceat(values, starts) / counts
    x = values - offset[codes]
    previous = np.concatenate(([0.0], x[:-1]))
    opening = np.zeros(len(x), dtype=bool)
    opening[starts] = True
    kinds = {"pair": consecutive & ~fresh, "gap": ~consecutive & ~fresh, "night": fresh & ~opening}
    columns = np.zeros((len(x), WIDTH))
    columns[:, N], columns[:, TOTAL], columns[:, SQUARES] = 1.0, x, x * x
    columns[:, STARTS], columns[:, FIRST] = opening, np.where(opening, x, 0.0)
    for name, mask in kinds.items():
        at = LINKS[name]
        for k, part in enumerate((np.ones_like(x), x, previous, x * x, previous * previous, x * previous)):
            columns[:, at + k] = np.where(mask, part, 0.0)
    return _padded(codes, fresh, columns, offset, people)


def _padded(codes: Ints, fresh: npt.NDArray[np.bool_], columns: Floats, offset: Floats, people: int) -> Days:
    day_rows = np.flatnonzero(fresh)
    by_day = np.add.reduceat(columns, day_rows, axis=0)
    owner = codes[day_rows]
    count = np.bincount(owner, minlength=people)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    sums = np.zeros((people, int(count.max(initial=0)), WIDTH))
    sums[owner, place] = by_day
    return Days(sums, count, offset)


def moved_on(sums: Floats, start: Ints) -> Floats:
    """Sums with each person's days moved forward so that `start` comes first."""
    longest = sums.shape[1]
    index = np.minimum(start[:, None] + np.arange(longest)[None, :], longest - 1)
    moved = np.take_along_axis(sums, index[:, :, None], axis=1)
    moved[(start[:, None] + np.arange(longest)[None, :]) >= longest] = 0.0
    # the first answer has nothing before it now
    opened = start > 0
    night = LINKS["night"]
    moved[opened, 0, STARTS] = moved[opened, 0, night]
    moved[opened, 0, FIRST] = moved[opened, 0, night + 1]
    moved[opened, 0, night : night + 6] = 0.0
    result: Floats = moved
    return result


class Stretch:
    """Sums over days [a, b) of everybody, for many (a, b) at once."""

    def __init__(self, cumulative: Floats, a: Ints, b: Ints) -> None:
        self.total = cumulative[:, b] - cumulative[:, a]
        # what links the first answer to the stretch before it tells nothing about inertia within this one
        inner = np.minimum(a + 1, b)
        night = LINKS["night"]
        self.inside = self.total.copy()
        self.inside[..., night : night + 6] = (cumulative[:, b] - cumulative[:, inner])[..., night : night + 6]
        self.n = self.total[..., N]
        with np.errstate(divide="ignore", invalid="ignore"):
            self.mean = np.where(self.n > 0, self.total[..., TOTAL] / self.n, 0.0)
        self.scatter = np.maximum(self.total[..., SQUARES] - self.n * self.mean**2, 0.0)

    def products(self, link: str) -> tuple[Floats, Floats, Floats]:
        """Covariance and mean square of linked answers about the stretch's mean, summed; number of links."""
        at = LINKS[link]
        n, x, p, xx, pp, xp = (self.inside[..., at + k] for k in range(6))
        linear = self.mean * (x + p) - n * self.mean**2
        return xp - linear, 0.5 * (xx + pp) - linear, n

    def weighted(self, pair: Floats, far: Floats) -> tuple[Floats, Floats]:
        """Weight of the stretch in independent answers, and its weighted sum."""
        weight, total = self.total[..., STARTS].copy(), self.total[..., FIRST].copy()
        for link, phi in (("pair", pair), ("gap", far), ("night", far)):
            at = LINKS[link]
            weight += self.total[..., at] * (1 - phi) / (1 + phi)
            total += (self.total[..., at + 1] - phi * self.total[..., at + 2]) / (1 + phi)
        return weight, total


def inertia(stretches: tuple[Stretch, ...]) -> tuple[Floats, Floats]:
    """Autocorrelation between consecutive beeps, and of everything further apart, over all stretches together.

    Corrected for its bias (Kendall 1954, Biometrika 41:403), drawn towards what is usual where there are few links,
    and one standard error too high: who takes inertia for smaller than it is sees changes where there are none.
    """
    pair = _cautious(stretches, PAIRS, *_PAIR_PRIOR)
    return pair, _cautious(stretches, FAR, pair, _FAR_WEIGHT)


def _cautious(stretches: tuple[Stretch, ...], links: tuple[str, ...], usual: Floats | float, weight: float) -> Floats:
    parts = [stretch.products(link) for stretch in stretches for link in links]
    covariance, energy, n = (np.sum([part[k] for part in parts], axis=0) for k in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = np.where(energy > 0, covariance / energy, 0.0)
    size = np.sum([stretch.n for stretch in stretches], axis=0)
    raw = raw + (1 + 3 * raw) / np.maximum(size, 4)
    drawn = (n * raw + weight * usual) / (n + weight)
    cautious: Floats = np.clip(drawn + np.sqrt(np.maximum(1 - drawn**2, 0) / (n + weight)), 0.0, 0.95)
    return cautious
