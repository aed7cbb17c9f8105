"""When people are asked: random and fixed slots, over clock changes, idempotent however often computed."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.survey import parse
from flows.survey.planning import EPOCH, MICROSECOND, People, Slots, micros, plan, prompt_id, utc
from flows.survey.reading import is_quiet

HEAD = 'languages = ["en"]\ntitle = "T"\n[[items]]\nid = "a"\ntext = "A"\nscale = {kind = "yesno"}\n[schedule]\n'


def survey(schedule: str):
    return parse(HEAD + schedule, "t")


RANDOM = survey(
    'kind = "random"\nwindows = [["09:00", "12:00"], ["12:00", "18:00", 3]]\nmin_gap = 45\nquiet = ["22:00", "07:00"]'
)
FIXED = survey('kind = "fixed"\ntimes = ["02:30", "12:00"]')
ZONES = ["Europe/Moscow", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]


def people(
    count: int = 1, zone: str = "Europe/Berlin", enrolled: datetime = datetime(2025, 1, 1, tzinfo=UTC)
) -> People:
    return People([f"p{n}" for n in range(count)], [zone] * count, np.full(count, micros(enrolled)))


def times(slots: Slots, zone: str) -> list[datetime]:
    return [(EPOCH + int(at) * MICROSECOND).astimezone(ZoneInfo(zone)) for at in slots.at]


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2025, 2, 1), date(2027, 12, 1)),
    cuts=st.lists(st.integers(0, 48 * 60), min_size=1, max_size=6),
)
def test_any_way_of_cutting_time_gives_the_same_slots(zone, day, cuts):
    """Planning two days at once, or in pieces that overlap, gives the same slots: each once, none missed."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + timedelta(days=2)
    who = people(3, zone)
    whole = plan(RANDOM, who, start, end)
    marks = [start, *sorted(start + timedelta(minutes=cut) for cut in cuts), end]
    found = set()
    for a, b in itertools.pairwise(marks):
        piece = plan(RANDOM, who, max(start, a - timedelta(minutes=30)), b)
        found |= set(zip(piece.who.tolist(), piece.at.tolist(), piece.day.tolist(), piece.beep.tolist(), strict=True))
    assert found == set(
        zip(whole.who.tolist(), whole.at.tolist(), whole.day.tolist(), whole.beep.tolist(), strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(zone=st.sampled_from(ZONES), day=st.dates(date(2025, 2, 1), date(2027, 12, 1)))
def test_random_slots_keep_to_windows_gap_and_quiet_hours(zone, day):
    """On a day without a clock change every prompt is in its window, `min_gap` after the one before."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    if midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset():
        return
    slots = plan(RANDOM, people(1, zone), midnight.astimezone(UTC), midnight.astimezone(UTC) + timedelta(hours=24))
    local = times(slots, zone)
    assert len(local) == 4
    assert slots.beep.tolist() == [1, 2, 3, 4]
    assert 9 <= local[0].hour < 12
    assert all(12 <= at.hour < 18 for at in local[1:])
    assert all(b - a >= timedelta(minutes=45) for a, b in itertools.pairwise(local))
    assert not any(is_quiet(RANDOM.schedule.quiet, at.time()) for at in local)


def test_random_slots_fill_their_window_evenly():
    """Over many people the first prompt is uniform over its window: each quarter holds about a quarter."""
    slots = plan(RANDOM, people(20_000), datetime(2026, 1, 12, tzinfo=UTC), datetime(2026, 1, 13, tzinfo=UTC))
    first = slots.at[slots.beep == 1]
    low = utc(date(2026, 1, 12), RANDOM.schedule.windows[0].start, ZoneInfo("Europe/Berlin"))
    shares = np.histogram((first - low) / (3 * 3600e6), bins=4, range=(0, 1))[0] / len(first)
    assert np.abs(shares - 0.25).max() < 0.015


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-03-29", ["03:30+02:00", "12:00+02:00"]),  # 02:30 does not exist
        ("2026-10-25", ["02:30+02:00", "12:00+01:00"]),  # 02:30 comes twice
        ("2026-06-01", ["02:30+02:00", "12:00+02:00"]),
    ],
)
def test_clock_changes_in_both_directions(day, expected):
    """A time that is skipped moves on by the change, one that comes twice is taken once, the first time."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    slots = plan(FIXED, people(1), start, start + timedelta(hours=25))
    assert [at.isoformat()[11:16] + at.isoformat()[19:] for at in times(slots, "Europe/Berlin")][:2] == expected
    assert len({(d, b) for d, b in zip(slots.day.tolist(), slots.beep.tolist(), strict=True)}) == len(slots)


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_random_windows_over_a_clock_change(day):
    """A window that the change falls into is shorter or longer, and still holds its prompts, in order."""
    night = survey('kind = "random"\nwindows = [["00:30", "05:00", 3]]\nmin_gap = 30')
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    slots = plan(night, people(500), start, start + timedelta(hours=26))
    mine = slots.at[slots.day == slots.day.min()]
    low = utc(day, night.schedule.windows[0].start, ZoneInfo("Europe/Berlin"))
    high = utc(day, night.schedule.windows[0].end, ZoneInfo("Europe/Berlin"))
    assert len(mine) == 1500
    assert mine.min() >= low
    assert mine.max() <= high
    assert high - low == (4.5 + (-1 if day.month == 3 else 1)) * 3600e6


def test_nobody_is_asked_before_enrolment_after_the_study_or_on_other_days():
    """Enrolment, `length_days`, `ends_on` and `days` all bound the slots; day 1 is the local day of enrolment."""
    head = HEAD.replace('title = "T"', 'title = "T"\nends_on = 2026-01-16')
    asked = parse(head + 'kind = "fixed"\ntimes = ["08:00", "20:00"]\ndays = ["mon", "tue", "fri", "sat"]', "t")
    noon = datetime(2026, 1, 12, 12, tzinfo=UTC)  # a Monday
    slots = plan(asked, people(1, "UTC", noon), noon - timedelta(days=9), noon + timedelta(days=30))
    got = [(at.day, at.hour, day) for at, day in zip(times(slots, "UTC"), slots.day.tolist(), strict=True)]
    assert got == [(12, 20, 1), (13, 8, 2), (13, 20, 2), (16, 8, 5), (16, 20, 5)]
    short = survey('kind = "fixed"\ntimes = ["08:00"]\nlength_days = 2')
    assert plan(short, people(1, "UTC", noon), noon, noon + timedelta(days=30)).day.tolist() == [2]


def test_prompt_ids_are_stable_and_fit_the_callback():
    """The same person, version and slot give the same 16 digits for ever."""
    assert prompt_id("p1", "v1", 1_700_000_000_000_000) == "3de0b007be15ff35"
    ids = {prompt_id(f"p{n}", "v1", n % 7) for n in range(1000)}
    assert len(ids) == 1000
    assert all(one.isascii() and one == one.lower() and len(one) == 16 for one in ids)
