"""One clock for every process of a state directory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.clock import SharedClock

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def test_without_a_replay_it_is_the_machines_time(tmp_path):
    """No replay, no virtual time."""
    assert abs(SharedClock(tmp_path).now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert SharedClock(tmp_path).replayed() is None


@given(steps=st.lists(MOMENTS, min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_every_reader_sees_the_last_time_set(steps, tmp_path_factory):
    """A reader that looked before sees each later time exactly, and time is never turned back."""
    home = tmp_path_factory.mktemp("home")
    writer, reader = SharedClock(home), SharedClock(home)
    reached = None
    for step in steps:
        if reached is not None and step < reached:
            with pytest.raises(ValueError, match="backwards"):
                writer.set(step)
        else:
            writer.set(step)
            reached = step
        assert reader.now() == reached


def test_naive_time_is_refused(tmp_path):
    """A time without a zone is no time."""
    with pytest.raises(ValueError, match="timezone"):
        SharedClock(tmp_path).set(datetime(2026, 1, 1))


def test_release_returns_to_the_machines_time(tmp_path):
    """After a replay, the machine's time again."""
    clock = SharedClock(tmp_path)
    clock.set(datetime(2000, 1, 1, tzinfo=UTC))
    clock.release()
    assert clock.now().year >= 2026
