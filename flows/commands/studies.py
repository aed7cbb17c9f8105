"""Studies as a replay needs them: who was prompted when, what they answered and when.

A shipped survey definition is used where the study is one of those it was written for; for any other study one is
written into the state directory from the study's columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from flows.analyse.study import read_frame
from flows.commands.errors import CommandError
from flows.simulate import ItemRange, simulate
from flows.survey.definition import Survey, load, shipped

_CLOCKLESS_START = date(2026, 1, 5)
_PERIOD = 1000  # a later period's days are numbered from here, so that a day has one number
_BETWEEN = 75  # days between two periods of a study without clock times
_STRETCH = timedelta(days=7)
_MOST_STRETCHES = 12


@dataclass(frozen=True)
class Beep:
    """One prompt of the study. `answers` has the items that were answered; empty where the beep was missed.

    `scheduled` is the study's prompt time (None: the survey's own schedule decides); `answered` the study's answer
    time, or `delay` how long after the prompt.
    """

    answers: dict[str, float]
    scheduled: datetime | None = None
    answered: datetime | None = None
    delay: timedelta | None = None

    def time(self, slot: datetime) -> datetime | None:
        """When it is answered, given its prompt's time; None where it was missed."""
        if not self.answers:
            return None
        if self.answered is not None:
            return self.answered
        return slot + (self.delay or timedelta(minutes=1))


@dataclass(frozen=True)
class Replay:
    """A study ready to be replayed. `beeps` is keyed by the person's number, day and beep of the survey."""

    name: str
    survey: str
    beeps: dict[tuple[int, int, int], Beep]
    start: datetime
    end: datetime
    complaints: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        """The people's numbers."""
        return sorted({number for number, _, _ in self.beeps})

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self.numbers)

    @property
    def answers(self) -> int:
        """How many beeps have at least one item answered."""
        return sum(bool(beep.answers) for beep in self.beeps.values())

    def slots(self, number: int) -> list[tuple[datetime, int, int]]:
        """Prompt times the study prescribes for a person: (time, day, beep)."""
        return [
            (beep.scheduled, day, nth)
            for (who, day, nth), beep in self.beeps.items()
            if who == number and beep.scheduled is not None
        ]

    def stretches(self) -> Iterator[tuple[datetime, datetime]]:
        """The study in stretches of a week, at most twelve of them."""
        step = max(_STRETCH, (self.end - self.start) / _MOST_STRETCHES)
        start = self.start - timedelta(minutes=1)
        while start < self.end:
            stop = min(start + step, self.end)
            yield start, stop
            start = stop

    @staticmethod
    def morning_after(end: datetime, timezone: str) -> datetime:
        """Ten o'clock local time on the day after `end`."""
        zone = ZoneInfo(timezone)
        following = end.astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(following, time_of_day(10), tzinfo=zone).astimezone(UTC)


def simulated(home: Path, *, persons: int, days: int) -> Replay:
    """Simulated respondents of the default survey, prompted by its own random schedule."""
    survey = load("mood")
    items = [
        ItemRange(item.id, int(item.scale.lo), int(item.scale.hi), -1 if item.polarity == "negative" else 1)
        for item in survey.items
        if item.scale.lo is not None and item.scale.hi is not None
    ]
    first = datetime(2026, 3, 2, tzinfo=UTC)
    frame = simulate(items, persons=persons, days=days, start=first)
    (home / "simulated.csv").touch(mode=0o600)
    frame.to_csv(home / "simulated.csv", index=False)
    delays = (frame["timestamp"] - frame["scheduled"]).to_numpy()
    names = [item.name for item in items]
    beeps = {}
    for row, delay in zip(frame.itertuples(index=False), delays, strict=True):
        answers = {name: float(getattr(row, name)) for name in names if not np.isnan(getattr(row, name))}
        wait = None if np.isnat(delay) else timedelta(seconds=float(delay / np.timedelta64(1, "s")))
        # the day of enrolment is day 1, and people enrol the evening before
        beeps[int(row.person), int(row.day) + 1, int(row.beep)] = Beep(answers if wait else {}, delay=wait)
    start = datetime.combine(first.date(), time_of_day(), tzinfo=ZoneInfo(survey.timezone)).astimezone(UTC)
    return Replay("simulated", "mood", beeps, start, start + timedelta(days=days))


def read(path: Path, home: Path, *, persons: int | None = None) -> Replay:
    """Read a study's CSV for replay.

    Raises
    ------
    CommandError
        The file is unusable: which file, row and column, and why. Rows that are unusable are left out and complained
        about by row and column; what was good is kept.
    """
    try:
        with path.open("rb") as source:
            study = read_frame(source, str(path))
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error
    frame = study.data
    if persons is not None:
        keep = list(dict.fromkeys(frame["person"]))[:persons]
        frame = frame[frame["person"].isin(keep)]
    items = tuple(name for name in study.schema.items if name in frame.columns)
    survey = _survey_for(path.stem, items, study.schema.targets[0].items, frame, home)
    known = load(survey)
    frame, complaints = _on_scale(frame, known, path)
    beeps = _beeps(frame, [i for i in known.item_ids if i in frame.columns], ZoneInfo(known.timezone))
    if not any(beep.answers for beep in beeps.values()):
        raise CommandError(f"{path}: no row has an answer that could be used")
    times = [b.scheduled for b in beeps.values() if b.scheduled is not None]
    late = [b.answered for b in beeps.values() if b.answered is not None]
    end = max([*times, *late]) + timedelta(minutes=1)
    return Replay(path.stem, survey, beeps, min(times), end, [*_complaints(study.quality, path), *complaints])


def _complaints(quality: pd.DataFrame, path: Path) -> list[str]:
    """What reading the file made of what was wrong in it."""
    return [
        f"{path}, {row.example or 'whole file'}: {row.rule} ({row.rows}); {row.action}"
        for row in quality.itertuples(index=False)
    ]


def _survey_for(stem: str, items: tuple[str, ...], target: tuple[str, ...], frame: pd.DataFrame, home: Path) -> str:
    """Name of the shipped definition whose items these are, else the path of one written for them."""
    for name in shipped():
        survey = load(name)
        if survey.schedule.kind == "explicit" and set(survey.item_ids) <= set(items):
            return name
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"{stem}.toml"
    path.write_text(definition_of(stem, items, target, frame))
    return str(path.resolve())


def definition_of(stem: str, items: tuple[str, ...], target: tuple[str, ...], frame: pd.DataFrame) -> str:
    """Write a survey definition for the columns of a study: a number per item, prompted when the study says."""
    parts = [
        f"# Written from the columns of {stem}: the study gives every prompt time.",
        'languages = ["en", "ru"]\ntimezone = "UTC"\n',
        f"[title]\nen = {json.dumps(stem)}\nru = {json.dumps(stem)}\n",
        '[schedule]\nkind = "explicit"\nexpires_after = 1440\nfinish_within = 1440\n',
        f'[[targets]]\nname = "na"\nitems = {json.dumps(list(target or items))}\npolarity = "negative"\n',
    ]
    for item in items:
        low, high = float(frame[item].min()), float(frame[item].max())
        if high <= low:
            high = low + 1
        scale = f'{{kind = "number", lo = {low:g}, hi = {high:g}}}'
        words = json.dumps(item.replace("_", " "))
        parts.append(f"[[items]]\nid = {json.dumps(item)}\ntext = {{en = {words}, ru = {words}}}\nscale = {scale}\n")
    return "\n".join(parts)


def _on_scale(frame: pd.DataFrame, survey: Survey, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Blank answers off their item's scale, and say which."""
    frame = frame.copy()
    complaints: list[str] = []
    for item in survey.items:
        if item.id not in frame.columns or not item.scale.numeric:
            continue
        value = frame[item.id]
        off = value.notna() & ~value.between(item.scale.lo, item.scale.hi)
        scale = f"{item.scale.lo:g}-{item.scale.hi:g}"
        complaints += [
            f"{path}, row {line}, column {item.id}: {wrong:g} is off the scale {scale}; left out"
            for line, wrong in zip(frame.loc[off, "line"], value[off], strict=True)
        ]
        frame.loc[off, item.id] = np.nan
    return frame, complaints


def _beeps(frame: pd.DataFrame, items: list[str], zone: ZoneInfo) -> dict[tuple[int, int, int], Beep]:
    numbers = {person: number for number, person in enumerate(dict.fromkeys(frame["person"]), 1)}
    beeps: dict[tuple[int, int, int], Beep] = {}
    answers = frame[items].to_numpy(float)
    for place, row in enumerate(frame.itertuples(index=False)):
        given = {name: float(v) for name, v in zip(items, answers[place], strict=True) if not np.isnan(v)}
        slot = _moment(row.slot_at, zone)
        at = _moment(row.answered_at, zone)
        if slot is None:
            slot = at or _clockless(_BETWEEN * int(row.period) + int(row.day), int(row.beep), zone)
        at = max(at, slot + timedelta(seconds=1)) if at is not None else slot + timedelta(minutes=2)
        beeps[numbers[row.person], _PERIOD * int(row.period) + int(row.day), int(row.beep)] = Beep(
            given, slot, at if given else None
        )
    return beeps


def _moment(value: pd.Timestamp | None, zone: ZoneInfo) -> datetime | None:
    """Local time of the study (kept as if it were UTC) -> UTC."""
    if value is None or pd.isna(value):
        return None
    moment: datetime = value.to_pydatetime()
    return moment.replace(tzinfo=zone).astimezone(UTC)


def _clockless(day: int, beep: int, zone: ZoneInfo) -> datetime:
    """Time of a beep of a study without clock times: nine, and eighty minutes between beeps."""
    local = datetime.combine(_CLOCKLESS_START + timedelta(days=day - 1), time_of_day(9), tzinfo=zone)
    return (local + timedelta(minutes=80 * (beep - 1))).astimezone(UTC)
