"""The help text comes from the bot process alone: with everything else away, by every way an answer can be given."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows import safety
from flows.clock import SharedClock
from tests.integration.survey.wire import until, world

pytestmark = pytest.mark.xdist_group("survey-wire")


def nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_help_comes_while_clearml_prefect_and_the_sheet_are_away(tmp_path: Path) -> None:
    """A low tap, a low typed number, a late tap, phrases in two languages and behind a command: each brings the text."""
    away = {name: nowhere() for name in ("CLEARML_API_HOST", "CLEARML_FILES_HOST", "CLEARML_WEB_HOST", "MOODFLOW_SHEETS_URL")}  # fmt: skip
    clock = SharedClock(tmp_path / "home")
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    clock.set(now)
    with world(tmp_path, **{**away, "PREFECT_API_URL": f"{nowhere()}/api"}) as w, w.store() as store:
        w.people.enrol(9, "mood", country="NL")
        person = store.people.by_chat(9)
        assert person is not None
        text = safety.help_text("NL", person.language)

        def helped(times: int) -> None:
            until(
                lambda: len([m for m in w.people.messages(9) if m.get("text") == text]) == times, 120, f"{times} texts"
            )
            until(lambda: store.outbox.delivered_counts().get("safety") == times, 120, "noted as delivered")

        survey = store.surveys.of_study("mood")
        assert survey is not None
        sad = survey.item_ids.index("sad")

        def asked(day: int) -> str:
            """A prompt the person asks for on a day; how its buttons' data begin."""
            clock.set(now + timedelta(days=day))
            w.people.say(9, "/now")
            prompts = until(lambda: (got := store.prompts.of(person.person)) and len(got) == day + 1 and got)
            begins = f"v.{prompts[-1].prompt_id}.{survey.version[:4]}"
            w.people.button(9, f"{begins}.0.")
            return begins

        begins = asked(0)
        for n in range(sad + 1):
            message, data = w.people.button(9, f"{begins}.{n}.7")
            w.people.tap(9, message, data)
        helped(1)
        begins = asked(1)
        for words in [*["4"] * sad, "7"]:
            w.people.say(9, words)
        helped(2)
        begins = asked(2)
        message, _ = w.people.button(9, f"{begins}.0.")
        clock.set(now + timedelta(days=4))
        w.people.tap(9, message, f"{begins}.{sad}.7", force=True)
        helped(3)
        for times, words in enumerate(("НЕ ХОЧУ ЖИ́ТЬ", "i want to die", "/stats лучше бы меня не было"), start=4):
            w.people.say(9, words)
            helped(times)
        w.people.say(9, "всё хорошо, 7 из 7")
        until(lambda: store.inbox.counts()["waiting"] == 0)
        helped(6)
        assert store.ledger.counts()["safety"] == 6
    assert not [line for line in (tmp_path / "home" / "bot.log").read_text().splitlines() if "жить" in line.lower()]
