"""Answers by the person's own days, also where clocks change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.notify.insights import Seen
from flows.notify.policy import Policy
from tests.golden.people import everybody

STEADY = everybody()["second-week"]
CHANGES = {
    "Europe/Berlin": datetime(2026, 3, 28, 12, tzinfo=UTC),
    "America/New_York": datetime(2026, 10, 31, 12, tzinfo=UTC),
    "America/Sao_Paulo": datetime(2018, 11, 3, 12, tzinfo=UTC),  # midnight was skipped
    "Asia/Beirut": datetime(2022, 10, 29, 12, tzinfo=UTC),  # midnight went back to eleven
    "Pacific/Apia": datetime(2011, 12, 29, 12, tzinfo=UTC),  # a whole day was skipped
    "Asia/Kathmandu": datetime(2026, 5, 4, tzinfo=UTC),
}


def seen(zone: str, series: list[tuple[datetime, float]], now: datetime) -> Seen:
    return Seen(
        replace(STEADY.report, series=tuple(series)), replace(STEADY.context, now=now), Policy(), ZoneInfo(zone)
    )


@pytest.mark.parametrize("zone", CHANGES)
@given(st.lists(st.integers(0, 5 * 24 * 4), max_size=40))
def test_an_answer_belongs_to_the_date_on_the_persons_clock(zone, quarters):
    """In any order, around summer time, a skipped midnight, one that came twice and a skipped day: as counted one by one."""
    series = [(CHANGES[zone] + timedelta(minutes=15 * q), float(k)) for k, q in enumerate(quarters)]
    one_by_one: dict = {}
    for at, value in sorted(series, key=lambda answer: answer[0]):
        one_by_one.setdefault(at.astimezone(ZoneInfo(zone)).date(), []).append(value)
    found = seen(zone, series, CHANGES[zone] + timedelta(days=9)).days
    assert found == one_by_one
    assert list(found) == sorted(found)


def test_a_midnight_struck_twice_ends_the_day_once():
    """Newfoundland used to turn its clocks back a minute after midnight: every answer is there, once, days in order."""
    begin = datetime(2006, 10, 28, 12, tzinfo=UTC)
    series = [(begin + timedelta(minutes=m), float(m)) for m in range(0, 2880, 1)]
    found = seen("America/St_Johns", series, begin + timedelta(days=9)).days
    assert sorted(value for values in found.values() for value in values) == [value for _, value in series]
    assert list(found) == sorted(found)


def test_answers_after_the_decision_and_what_is_no_number_do_not_count():
    """Only what was known and said at the time."""
    at = CHANGES["Europe/Berlin"]
    series = [(at, 1.0), (at, float("nan")), (at + timedelta(days=2), 2.0)]
    assert seen("Europe/Berlin", series, at + timedelta(days=1)).answers == [(at, 1.0)]
