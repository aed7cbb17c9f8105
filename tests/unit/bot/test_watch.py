"""Somebody watches the monitor: when it no longer looks the operators hear of it from the bot."""

from __future__ import annotations

import asyncio
from pathlib import Path

from flows.bot.watch import Watch
from flows.store import Store

START = 1_772_000_000.0


class Place:
    def __init__(self, folder: Path) -> None:
        self.store = Store.open(folder / "private.db")
        self.now, self.takes, self.got = START, True, []
        self.watch = Watch(self.store, {"chat": self.channel}, clock=lambda: self.now)

    def channel(self, notice) -> bool:
        if self.takes:
            self.got.append((notice["kind"], *notice["keys"]))
        return self.takes

    def looks(self) -> None:
        self.store.facts.set("looked", self.now)

    def after(self, minutes: float) -> None:
        self.now += 60 * minutes
        asyncio.run(self.watch.look())


def test_a_monitor_that_no_longer_looks_is_told_once_and_its_return_once(tmp_path):
    """Silence up to half an hour is nothing; then one alert however long it lasts, and one word of its end."""
    place = Place(tmp_path)
    place.after(600)
    assert place.got == []  # no monitor ever looked here
    place.looks()
    place.after(29)
    assert place.got == []
    for _ in range(3):
        place.after(10)
    assert place.got == [("problem", "monitor")]
    place.looks()
    place.after(1)
    place.after(1)
    assert place.got == [("problem", "monitor"), ("recovery", "monitor")]


def test_a_channel_that_is_away_hears_it_later(tmp_path):
    """What was not taken is delivered at the next look, once."""
    place = Place(tmp_path)
    place.looks()
    place.takes = False
    place.after(40)
    assert place.got == []
    place.takes = True
    place.after(1)
    place.after(1)
    assert place.got == [("problem", "monitor")]


def test_a_bot_that_was_stopped_itself_waits_before_it_complains(tmp_path):
    """After a night in which everything was off the monitor is given its time."""
    place = Place(tmp_path)
    place.looks()
    place.now += 86_400
    place.watch = Watch(place.store, {"chat": place.channel}, clock=lambda: place.now)
    place.after(1)
    assert place.got == []
    place.after(30)
    assert place.got == [("problem", "monitor")]
