"""When people are asked: slots from the schedule and the person's timezone, the same ones however often computed.

Everything runs over arrays: all people of a timezone share the arithmetic of its days. Times are int64 microseconds
since 1970 UTC. A local time that a clock change skips is moved on by the change; one that comes twice is taken once,
the first time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from flows.survey.definition import Schedule, Survey
from flows.survey.reading import is_quiet

Micros = NDArray[np.int64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class People:
    """Who is to be asked, as columns: pseudonyms, timezones, and when each was enrolled (microseconds)."""

    person: Sequence[str]
    timezone: Sequence[str]
    enrolled: Micros


@dataclass(frozen=True)
class Slots:
    """Prompts to be: index of the person, time (microseconds), day and beep, both from 1; in order of time."""

    who: NDArray[np.intp]
    at: Micros
    day: NDArray[np.int64]
    beep: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at)


def micros(at: datetime) -> int:
    """Aware datetime -> microseconds since 1970 UTC."""
    return (at - EPOCH) // MICROSECOND


def prompt_id(person: str, version: str, at: int) -> str:
    """Id of the prompt of a person at a slot (microseconds): 16 hexadecimal digits, the same for ever."""
    return hashlib.blake2b(f"{person}|{version}|{at}".encode(), digest_size=8).hexdigest()


def plan(survey: Survey, people: People, start: datetime, end: datetime) -> Slots:
    """Slots with start < time <= end, of people already enrolled then.

    Random slots depend on person, local date and survey version only, so a later call gives the same ones.

    Parameters
    ----------
    survey
        With a fixed or random schedule; an explicit one has no slots of its own.
    people
        n people as columns.
    start, end
        Aware datetimes.
    """
    parts = [
        part
        for zone, members in _by_zone(people.timezone)
        for part in _zone_slots(survey, people, zone, members, start, end)
    ]
    if not parts:
        none = np.empty(0, np.int64)
        return Slots(np.empty(0, np.intp), none, none, none)
    who, at, day, beep = (np.concatenate([part[n] for part in parts]) for n in range(4))
    keep = (at > micros(start)) & (at <= micros(end)) & (at > people.enrolled[who])
    order = np.argsort(at[keep], kind="stable")
    return Slots(who[keep][order], at[keep][order], day[keep][order], beep[keep][order])


def _by_zone(timezones: Sequence[str]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    if not len(timezones):
        return
    names, inverse = np.unique(np.asarray(timezones), return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(names) + 1))
    for number, name in enumerate(names):
        yield str(name), order[bounds[number] : bounds[number + 1]]


def _zone_slots(
    survey: Survey, people: People, name: str, members: NDArray[np.intp], start: datetime, end: datetime
) -> Iterator[tuple[NDArray[np.intp], Micros, NDArray[np.int64], NDArray[np.int64]]]:
    """(who, at, day, beep) of the people of one timezone, a part per local date and beep."""
    zone, schedule = ZoneInfo(name), survey.schedule
    first = _first_days(people.enrolled[members], zone)
    for when in _dates(start.astimezone(zone).date(), end.astimezone(zone).date()):
        if when.weekday() not in schedule.days or (survey.ends_on and when > survey.ends_on):
            continue
        day = when.toordinal() - first + 1
        take = day >= 1
        if schedule.length_days is not None:
            take &= day <= schedule.length_days
        who = members[take]
        for beep, at in enumerate(_times(survey, people, who, when, zone), start=1):
            quiet = _quiet(schedule, at, zone)
            yield who[~quiet], at[~quiet], day[take][~quiet], np.full((~quiet).sum(), beep)


def _dates(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _first_days(enrolled: Micros, zone: ZoneInfo) -> NDArray[np.int64]:
    """Ordinal of the local date on which each was enrolled; the few different hours are looked up once each."""
    hours, inverse = np.unique(enrolled // 900_000_000, return_inverse=True)  # offsets change on quarters of an hour
    offsets = np.array([_offset(int(hour) * 900_000_000, zone) for hour in hours], dtype=np.int64)
    local = enrolled + offsets[inverse]
    return np.asarray(local // 86_400_000_000 + EPOCH.toordinal(), dtype=np.int64)


def _offset(at: int, zone: ZoneInfo) -> int:
    offset = (EPOCH + timedelta(microseconds=at)).astimezone(zone).utcoffset() or timedelta(0)
    return offset // MICROSECOND


def _times(survey: Survey, people: People, who: NDArray[np.intp], when: date, zone: ZoneInfo) -> list[Micros]:
    """Times of the day's beeps, an array over people each."""
    schedule = survey.schedule
    if schedule.kind == "fixed":
        return [np.full(len(who), utc(when, at, zone)) for at in schedule.times]
    if schedule.kind == "random":
        return _random_times(survey, people, who, when, zone)
    return []


def utc(when: date, at: time, zone: ZoneInfo) -> int:
    """Local date and time -> microseconds since 1970 UTC."""
    return micros(datetime.combine(when, at, tzinfo=zone).astimezone(UTC))


def _random_times(survey: Survey, people: People, who: NDArray[np.intp], when: date, zone: ZoneInfo) -> list[Micros]:
    """Uniform within each window, at least `min_gap` apart.

    k uniform points with a gap g between them are k sorted uniform points of a stretch shorter by (k-1) g, spread
    apart again by g.
    """
    schedule = survey.schedule
    gap = schedule.min_gap // MICROSECOND
    drawn = _uniform(survey.version, [people.person[one] for one in who], when, schedule.beeps)
    made: list[Micros] = []
    for window in schedule.windows:
        low = np.full(len(who), utc(when, window.start, zone))
        if made:
            low = np.maximum(low, made[-1] + gap)
        high = utc(when, window.end, zone)
        room = np.maximum(high - low - gap * (window.count - 1), 0)
        shares = np.sort(drawn[:, len(made) : len(made) + window.count], axis=1)
        steps = (shares * room[:, None]).astype(np.int64) // 1_000_000 * 1_000_000
        made.extend(low + steps[:, n] + n * gap for n in range(window.count))
    return made


def _uniform(version: str, persons: Sequence[str], when: date, count: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), shape (persons, count), from SplitMix64 seeded by person, date and survey version."""
    seeds = np.array([_seed(person) for person in persons], dtype=np.uint64)
    salt = np.uint64(int.from_bytes(hashlib.blake2b(f"{version}|{when}".encode(), digest_size=8).digest(), "big"))
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (seeds ^ salt)[:, None] + steps[None, :]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def _seed(person: str) -> int:
    return int.from_bytes(hashlib.blake2b(person.encode(), digest_size=8).digest(), "big")


def _quiet(schedule: Schedule, at: Micros, zone: ZoneInfo) -> NDArray[np.bool_]:
    """Which times fall into quiet hours, as the wall clock shows them: a clock change can push one there."""
    if schedule.quiet is None or not len(at):
        return np.zeros(len(at), dtype=bool)
    minutes, inverse = np.unique(at // 60_000_000, return_inverse=True)
    local = [(EPOCH + timedelta(minutes=int(one))).astimezone(zone).time() for one in minutes]
    return np.array([is_quiet(schedule.quiet, one) for one in local])[inverse]
