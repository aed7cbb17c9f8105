"""What goes wrong around the bot and the Sheet: outages, webhooks, moved chats, a Sheet that vanished."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from flows.clients.google import SheetForbiddenError, SheetGoneError, SheetSettingsError, connect
from flows.clients.sheets import count_answers, keys, read_answers
from flows.clock import SharedClock
from flows.settings import Settings
from flows.store import Store
from tests.integration.survey.test_sheet import answer, collect
from tests.integration.survey.wire import TOKEN, free_port, until, world
from tests.services import Service, running

pytestmark = pytest.mark.xdist_group("survey-wire")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("again", [False, True], ids=["sent once", "sent again"])
def test_a_tap_made_while_the_bot_was_down_is_not_expired_by_the_downtime(tmp_path: Path, *, again: bool) -> None:
    """The bot is away for three hours; a tap from then still counts, and one long after does not. Nor does it matter that
    the prompt, in doubt when the bot stopped, was sent again before the tap was heard.
    """
    clock, late = SharedClock(tmp_path / "home"), NOW + timedelta(hours=3)
    clock.set(NOW)
    with world(tmp_path) as w, w.store() as store:
        w.people.enrol(9, "mood")
        person = store.people.by_chat(9).person
        w.people.say(9, "/now")
        message, data = w.people.button(9, "v.")
        until(lambda: store.prompts.of(person)[0].sent_at, what="the prompt to be written down as sent")
        w.bot.kill()
        if again:
            store.database.write("UPDATE prompts SET sent_at = ?", (int(late.timestamp() * 1e6),))
        heard = store.facts.get("heard")
        store.facts.set("heard", heard | {"real": time.time() - 3 * 3600})
        w.people.tap(9, message, data)
        clock.set(late)
        w.start_bot()
        until(lambda: store.prompts.of(person)[0].answers, what="the tap to count")
        assert store.prompts.of(person)[0].state == "started"
        clock.set(NOW + timedelta(hours=9))
        until(lambda: store.responses.of(person), what="what was answered to become a partial response")
        assert [(r.status, len(r.answers)) for r in store.responses.of(person)] == [("partial", 1)]
        assert store.prompts.of(person)[0].state == "expired"


def test_webhooks_posted_twice_and_out_of_order(tmp_path: Path) -> None:
    """Updates posted twice are applied once, swapped ones in the order of their numbers, unsigned ones not at all."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/hook"
    more = {"WEBHOOK_URL": address, "WEBHOOK_SECRET": "s3cret", "WEBHOOK_PORT": str(port)}
    with world(tmp_path, bot=False, **{f"MOODFLOW_{key}": value for key, value in more.items()}) as w:
        method = f"{w.people.api}/bot{TOKEN}"
        httpx.post(f"{method}/getMe").raise_for_status()
        w.people.start(9)
        (first,) = httpx.post(f"{method}/getUpdates").json()["result"]
        httpx.post(f"{method}/getUpdates", json={"offset": first["update_id"] + 1}).raise_for_status()
        w.start_bot()
        httpx.post(f"{method}/deleteWebhook").raise_for_status()
        signed = {"X-Telegram-Bot-Api-Secret-Token": "s3cret"}
        user = {"id": 9, "is_bot": False, "first_name": "N", "language_code": "en"}
        chat = {"id": 9, "type": "private", "first_name": "N"}

        def update(number: int, **content: object) -> dict[str, object]:
            return {
                "update_id": number,
                "message": {"message_id": number, "date": 1, "chat": chat, "from": user} | content,
            }

        def tap(number: int, data: str) -> dict[str, object]:
            query = {"id": f"q{number}", "from": user, "chat_instance": "1", "data": data}
            return {"update_id": number, "callback_query": query}

        def post(body: dict[str, object], headers: dict[str, str] = signed) -> int:
            return httpx.post(address, json=body, headers=headers).status_code

        with w.store() as store:
            assert post(update(50, text="/start"), {}) == 403
            assert post(update(50, text="/start"), {"X-Telegram-Bot-Api-Secret-Token": "guess"}) == 403
            assert store.inbox.counts() == {"waiting": 0, "done": 0, "failed": 0}
            assert post(update(100, text="/start")) == 200
            until(lambda: store.inbox.counts()["done"] == 1, what="the first update")
            order = [tap(103, "z.Europe/Riga"), tap(102, "k.LV"), tap(101, "c.yes")]
            for body in [*order, *order]:
                assert post(body) == 200
            until(lambda: (p := store.people.by_chat(9)) and p.state == "active", what="enrolment in the right order")
            person = store.people.by_chat(9)
            assert (person.country, person.timezone, len(store.people.list())) == ("LV", "Europe/Riga", 1)
            assert store.inbox.counts() == {"waiting": 0, "done": 4, "failed": 0}


def test_a_chat_that_moves_and_a_group(tmp_path: Path) -> None:
    """A group is told to write in private; after a migration the old chat's person is found under the new id."""
    with world(tmp_path) as w, w.store() as store:
        w.people.enrol(9, "mood")
        person = store.people.by_chat(9).person
        store.inbox.add(
            [(10**9, 9, '{"update_id": 1000000000, "message": {"chat": {"id": 9}, "migrate_to_chat_id": 77}}')], NOW
        )
        until(lambda: store.people.chat_id(person) == 77, what="the move")


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running("server.sheets", tmp_path_factory.mktemp("sheets"), ["--port", "0"]) as service:
        yield service


def settings_for(home: Path, sheets: Service, **more: object) -> Settings:
    return Settings(
        home=home,
        sheets_credentials=SecretStr(sheets.ready["credentials"]),
        sheets_url=sheets.ready["urls"]["api"],
        sheets_per_minute=100_000,
        **more,
    )


def test_a_sheet_that_vanished_or_was_taken_away_is_a_clear_error_and_loses_nothing(
    tmp_path: Path, sheets: Service
) -> None:
    """404 and 403 say what to do; once it is put right, everything that waited is written."""
    settings = settings_for(tmp_path, sheets)
    admin = sheets.ready["urls"]["api"] + "/admin/faults"
    with Store.open(settings.database) as store:
        store.surveys.open("mood", NOW)
        answer(store, 1)
        collect(settings, store)
        answer(store, 2)
        for kind, error, words in (
            ("vanished", SheetGoneError, "MOODFLOW_SPREADSHEET"),
            ("revoked", SheetForbiddenError, "share it as editor"),
        ):
            httpx.post(admin, json={"kind": kind, "match": {"path": "/v4/"}}).raise_for_status()
            with pytest.raises(error, match=words):
                collect(settings, store)
            httpx.delete(admin)
        assert len(store.responses.unwritten()) == 1
        collect(settings, store)
        assert count_answers(settings) == 2


def test_a_full_spreadsheet_is_followed_by_a_new_one(tmp_path: Path, sheets: Service) -> None:
    """Before the limit of cells a new spreadsheet is begun; reading joins both."""
    settings = settings_for(tmp_path, sheets, sheet_cells=75_000)
    with Store.open(settings.database) as store:
        store.surveys.open("mood", NOW)
        total = 0
        for _ in range(3):
            with store.transaction():
                for _ in range(1200):
                    total += 1
                    answer(store, total)
            collect(settings, store)
        assert len(keys(settings, store)) >= 2
        _header, *rows = read_answers(settings, store)
        assert len({row[0] for row in rows}) == len(rows) == total


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "no Sheets credentials"),
        ("/nowhere/key.json", "cannot be read"),
        ("{not json", "no JSON"),
        ('{"type": "service_account"}', "no service-account key"),
    ],
)
def test_wrong_credentials_are_named_before_anything_starts(tmp_path: Path, given: str | None, words: str) -> None:
    """Each names the setting."""
    settings = Settings(home=tmp_path, sheets_credentials=SecretStr(given) if given else None)
    with pytest.raises(SheetSettingsError, match=words) as caught:
        connect(settings)
    assert "MOODFLOW_SHEETS_CREDENTIALS" in str(caught.value)
    assert isinstance(caught.value, ValueError)
