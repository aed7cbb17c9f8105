"""The bot through the wire: python-telegram-bot against the local Telegram."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.clock import SharedClock
from flows.survey.flow import plan_study
from tests.integration.survey.wire import datas, until, world

pytestmark = pytest.mark.xdist_group("survey-wire")


def test_a_person_enrols_answers_a_whole_survey_and_it_is_a_response(tmp_path: Path) -> None:
    """From /start to a stored response: consent, country, timezone, a prompt at its slot, taps, submit."""
    clock = SharedClock(tmp_path / "home")
    began = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    clock.set(began)
    with world(tmp_path) as w, w.store() as store:
        w.people.enrol(7, "fried2021")
        person = store.people.by_chat(7)
        assert person is not None
        assert (person.state, person.country, person.timezone) == (
            "active",
            "NL",
            "Europe/Amsterdam",
        )
        slot = began + timedelta(hours=1)
        store.slots.add(person.person, [(slot, 1, 1)])
        clock.set(slot - timedelta(minutes=5))
        assert plan_study(store, "fried2021", clock.now(), clock.now() + timedelta(minutes=15)).new == 1
        assert plan_study(store, "fried2021", clock.now(), clock.now() + timedelta(minutes=15)).new == 0
        clock.set(slot)
        survey = store.surveys.of_study("fried2021")
        assert survey is not None
        for n, item in enumerate(survey.items):
            message, data = w.people.button(
                7, f"v.{store.prompts.of(person.person)[0].prompt_id}.{survey.version[:4]}.{n}."
            )
            skip = next(one for one in datas(message) if one.startswith("s."))
            w.people.tap(7, message, skip if item.id == "home" else data[: data.rindex(".")] + f".{1 + n % 5}")
        message, data = w.people.button(7, "u.")
        clock.set(slot + timedelta(minutes=7, seconds=3))
        w.people.tap(7, message, data)
        until(lambda: store.responses.of(person.person), what="a response")
        (got,) = store.responses.of(person.person)
        assert got.answered_at == slot + timedelta(minutes=7, seconds=3)
        assert (got.slot_at, got.sent_at, got.status, got.day, got.beep) == (slot, slot, "partial", 1, 1)
        expected = {item.id: 1 + n % 5 for n, item in enumerate(survey.items)} | {"home": None}
        assert got.answers == expected
        until(lambda: not datas(w.people.last(7)), what="the message to be closed")
