"""Answers of many people as flat sorted arrays: the one form in which indices and forecasts compute.

Rows of one person stand together, in order of day and beep; nothing here loops over people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from flows.analyse.errors import TargetError
from flows.analyse.frame import Frame

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Panel:
    """n beeps of p people.

    Attributes
    ----------
    persons
        Names, shape (p,).
    code
        Position in `persons`, shape (n,), ascending.
    day
        A number for each day of each person, unique over people and periods, shape (n,), ascending.
    beep
        Beep of the day, shape (n,).
    hour
        Local time of the beep in hours since 1970, nan where the source has no clock times, shape (n,).
    late
        Minutes from the beep to its answer, nan where unknown, shape (n,).
    y
        The target, nan where not answered, shape (n,).
    items
        Numeric items, nan where not answered, shape (n, k), named by `names`.
    scale
        Ends of the target's scale.
    target
        Its name.
    """

    persons: npt.NDArray[np.object_]
    code: Ints
    day: Ints
    beep: Ints
    hour: Floats
    late: Floats
    y: Floats
    items: Floats
    names: tuple[str, ...]
    scale: tuple[float, float]
    target: str

    def __len__(self) -> int:
        return len(self.y)

    @property
    def starts(self) -> Ints:
        """First row of each person that has rows."""
        return run_starts(self.code)

    def take(self, rows: Mask | Ints | slice) -> Panel:
        """Some of the rows; people keep their codes."""
        columns = ("code", "day", "beep", "hour", "late", "y", "items")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def answered(self) -> Panel:
        """Rows with a value of the target."""
        there = np.isfinite(self.y)
        return self if there.all() else self.take(there)

    def people(self, codes: Sequence[int] | Ints) -> Panel:
        """Rows of some people, who are numbered anew."""
        codes = np.asarray(codes, dtype=np.int64)
        to = np.full(len(self.persons), -1, dtype=np.int64)
        to[codes] = np.arange(len(codes))
        part = self.take(to[self.code] >= 0)
        part = replace(part, persons=self.persons[codes], code=to[part.code])
        return part.take(np.argsort(part.code, kind="stable"))

    def stretch(self, first: int, end: int) -> Panel:
        """Rows of the people from `first` up to `end`, who are numbered anew; nothing is copied but their numbers."""
        rows = slice(*(int(k) for k in np.searchsorted(self.code, [first, end])))
        part = self.take(rows)
        return replace(part, persons=self.persons[first:end], code=part.code - first)


def joined(one: Panel, other: Panel) -> Panel:
    """Rows of both panels, which have the same people and items; rows are not sorted."""
    return replace(
        one,
        code=np.concatenate([one.code, other.code]),
        day=np.concatenate([one.day, other.day]),
        beep=np.concatenate([one.beep, other.beep]),
        hour=np.concatenate([one.hour, other.hour]),
        late=np.concatenate([one.late, other.late]),
        y=np.concatenate([one.y, other.y]),
        items=np.concatenate([one.items, other.items]),
    )


def run_starts(values: npt.NDArray[np.generic]) -> Ints:
    """Where runs of equal neighbours begin."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))


def linked(day: Ints, beep: Ints) -> Mask:
    """Which rows continue the row before them: same day, one beep later; shape (n - 1,)."""
    link: Mask = (day[1:] == day[:-1]) & (beep[1:] - beep[:-1] == 1)
    return link


def local_hours(data: pd.DataFrame) -> Floats:
    """Local time of `slot_at` in hours since 1970 by each row's own timezone; nan where there is no time."""
    hours = np.full(len(data), np.nan)
    known = data["slot_at"].notna().to_numpy()
    for zone, index in data.groupby("timezone", observed=True).indices.items():
        rows = index[known[index]]
        times = data["slot_at"].iloc[rows].dt.tz_convert(str(zone)).dt.tz_localize(None)
        hours[rows] = times.to_numpy().astype("datetime64[s]").astype(np.int64) / 3600.0
    return hours


def panel(frame: Frame, target: str | None = None, items: Sequence[str] | None = None) -> Panel:
    """Arrays of one target.

    Parameters
    ----------
    frame
        Sorted by person, period, day and beep, as `build_frame` and `read_study` leave it.
    target
        Name; the first target by default.
    items
        Item columns to carry along; all by default.

    Raises
    ------
    TargetError
        The target or an item is not there.
    """
    spec, data = frame.schema.target(target), frame.data
    names = tuple(frame.schema.items if items is None else items)
    unknown = [n for n in names if n not in data]
    if unknown:
        raise TargetError(f"no item {', '.join(unknown)}; there are: {', '.join(frame.schema.items)}")
    code = data["person"].cat.codes.to_numpy().astype(np.int64)
    if np.any(code[1:] < code[:-1]):  # people in another order than their categories
        order = np.argsort(code, kind="stable")
        data, code = data.iloc[order].reset_index(drop=True), code[order]
    period, day = data["period"].to_numpy(), data["day"].to_numpy()
    fresh = np.ones(len(data), dtype=bool)
    fresh[1:] = (code[1:] != code[:-1]) | (period[1:] != period[:-1]) | (day[1:] != day[:-1])
    return Panel(
        persons=data["person"].cat.categories.to_numpy(dtype=object),
        code=code,
        day=np.cumsum(fresh) - 1,
        beep=data["beep"].to_numpy(dtype=np.int64),
        hour=local_hours(data),
        late=np.asarray((data["answered_at"] - data["slot_at"]).dt.total_seconds() / 60, dtype=np.float64),
        y=data[spec.name].to_numpy(dtype=float),
        items=data[list(names)].to_numpy(dtype=float) if names else np.zeros((len(data), 0)),
        names=names,
        scale=(spec.lo, spec.hi),
        target=spec.name,
    )
