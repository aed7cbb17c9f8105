"""What goes out through the wire: limits, waits, refusals, and what is too late; each message once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.clock import SharedClock
from flows.store import Store
from tests.integration.survey.wire import World, datas, until, world

pytestmark = pytest.mark.xdist_group("survey-wire")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def calls(w: World, method: str) -> dict[str, int]:
    """Calls of a method by status."""
    made = w.people.client.get(f"{w.people.api}/client/stats").json()["calls"]
    return next((counts for name, counts in made.items() if name.lower() == method.lower()), {})


def texts(w: World, chat: int) -> list[str]:
    """What the bot wrote in a chat."""
    return [m.get("text", "") for m in w.people.messages(chat) if m["from"]["is_bot"]]


def queue(store: Store, key: str, person: str, words: str, kind: str = "insight", **more: Any) -> None:
    payload = {"method": "sendMessage", "text": words} | more.pop("payload", {})
    assert store.outbox.enqueue(key, person, kind, payload, more.pop("due", NOW), **more)


def settled(store: Store, key: str) -> str:
    """Wait for what became of a message."""
    return until(
        lambda: (one := store.outbox.get(key)) and one.state not in {"waiting", "sending"} and one.state, 120, key
    )


def test_each_kind_of_refusal_is_met_in_its_own_way(tmp_path: Path) -> None:
    """429 waits as long as asked, 400 is never tried again, 5xx is, a lost answer is doubted, a block pauses."""
    SharedClock(tmp_path / "home").set(NOW)
    with world(tmp_path) as w, w.store() as store:
        for user in range(1, 6):
            w.people.enrol(user, "mood")
        person = {user: store.people.by_chat(user).person for user in range(1, 6)}
        until(lambda: not store.outbox.interrupted() and not store.outbox.due(NOW), what="an empty outbox")
        rules = [
            {"chat_id": 1, "status": 429, "retry_after": 2},
            {"chat_id": 2, "status": 400, "description": "can't parse entities"},
            {"chat_id": 3, "status": 502},
            {"chat_id": 4, "status": 503, "after_commit": True},
        ]
        w.people.post_list("faults", [{"method": "sendMessage", "times": 1} | rule for rule in rules])
        w.people.post("block", user_id=5)
        until(lambda: store.people.get(person[5]).state == "blocked", what="the block")
        before = sum(calls(w, "sendMessage").values())
        for user, one in person.items():
            queue(store, f"m{user}", one, f"message {user}")
        assert {user: settled(store, f"m{user}") for user in person} == {
            1: "sent",
            2: "refused",
            3: "sent",
            4: "sent",
            5: "refused",
        }
        assert [texts(w, user).count(f"message {user}") for user in person] == [1, 0, 1, 2, 0]
        assert sum(calls(w, "sendMessage").values()) - before == 2 + 1 + 2 + 2 + 1
        assert [event for event, _, _ in store.ledger.of("m2")] == ["refused"]
        assert "parse entities" in store.ledger.of("m2")[0][2]


def test_what_is_late_is_dropped_and_an_answered_prompt_is_not_reminded(tmp_path: Path) -> None:
    """A reminder due while the bot was away is dropped with a note; one for a prompt begun meanwhile is withdrawn."""
    clock = SharedClock(tmp_path / "home")
    clock.set(NOW)
    with world(tmp_path) as w, w.store() as store:
        for user in (1, 2):
            w.people.enrol(user, "mood")
        one, two = (store.people.by_chat(user).person for user in (1, 2))
        until(lambda: not store.outbox.interrupted() and not store.outbox.due(NOW), what="an empty outbox")
        w.bot.kill()
        queue(store, "old", one, "too late", "reminder", expires_at=NOW + timedelta(minutes=30))
        queue(store, "good", one, "still valid", "reminder", expires_at=NOW + timedelta(hours=9))
        clock.set(NOW + timedelta(hours=1))
        w.start_bot()
        assert (settled(store, "old"), settled(store, "good")) == ("expired", "sent")
        assert texts(w, 1)[-1] == "still valid"
        assert [(event, why) for event, _, why in store.ledger.of("old")] == [("expired", "too late to be sent")]
        assert "late" in store.ledger.of("good")[0][2]
        survey = store.surveys.of_study("mood")
        after = survey.schedule.reminder_after
        prompts = {}
        for user, person in ((1, one), (2, two)):
            w.people.say(user, "/now")
            (prompts[user],) = until(lambda p=person: store.prompts.of(p), what="a prompt")
            until(lambda n=user: store.outbox.get(f"{prompts[n].prompt_id}:nudge"), what="a reminder to be planned")
        message, data = w.people.button(1, "v.")
        w.people.tap(1, message, data)
        until(lambda: store.outbox.get(f"{prompts[1].prompt_id}:nudge").state == "cancelled", what="withdrawal")
        clock.set(clock.now() + after + timedelta(minutes=1))
        assert settled(store, f"{prompts[2].prompt_id}:nudge") == "sent"
        assert store.outbox.get(f"{prompts[1].prompt_id}:nudge").state == "cancelled"


def test_telegrams_limits_are_kept_and_each_chat_keeps_its_order(tmp_path: Path) -> None:
    """With the local Telegram's flood limits on and the shipped settings nobody is ever told to wait."""
    limits = {"MOODFLOW_OUTBOX_PER_SECOND": "25", "MOODFLOW_OUTBOX_CHAT_INTERVAL": "1.0"}
    with world(tmp_path, bot=False, **limits) as w, w.store() as store:
        store.surveys.open("mood", NOW)
        api = f"{w.people.api}/bot{w.environment['MOODFLOW_TELEGRAM_TOKEN']}"
        w.people.client.post(f"{api}/getMe").raise_for_status()  # a bot exists from its first call on
        for user in range(1, 31):
            w.people.start(user)
            place = {"timezone": "UTC", "consent_version": "1", "at": NOW}
            person = store.people.enrol(user, study="mood", language="en", **place).person
            for n in range(3):
                queue(store, f"{user:02d}:{n}", person, f"number {n}")
        # a /start each in the updates: the bot answers them as well
        assert w.people.post("limits", enabled=True)["enabled"]
        w.start_bot()
        until(lambda: store.outbox.counts().get(("insight", "sent")) == 90, 120, "all of them")
        assert list(calls(w, "sendMessage")) == ["200"]
        for user in range(1, 31):
            assert [text for text in texts(w, user) if text.startswith("number")] == [f"number {n}" for n in range(3)]


def test_a_group_that_becomes_a_supergroup_is_followed(tmp_path: Path) -> None:
    """A reply to a group that has moved meanwhile reaches it under its new id, once."""
    with world(tmp_path) as w, w.store() as store:
        w.people.enrol(1, "mood")
        until(lambda: not store.outbox.interrupted(), what="an empty outbox")
        w.bot.kill()
        group = w.people.post("group", user_id=1, members=[1], title="G")["chat_id"]
        w.people.post("send", user_id=1, chat_id=group, text="/now")
        supergroup = w.people.post("migrate", chat_id=group)["chat_id"]
        w.start_bot()
        until(lambda: "private" in str(texts(w, supergroup)) or "личном" in str(texts(w, supergroup)), 120, "the reply")
        assert len(texts(w, supergroup)) == 1
        until(lambda: not store.outbox.interrupted() and not store.outbox.due(datetime.now(UTC)), what="the note of it")
        assert len(store.people.list()) == 1


def test_a_chat_that_moves_under_way_is_followed(tmp_path: Path) -> None:
    """Telegram's answer to a sending names the new id: the message goes there, and so does the person."""
    with world(tmp_path) as w, w.store() as store:
        w.people.start(2)
        group = w.people.post("group", user_id=2, members=[2], title="G")["chat_id"]
        until(lambda: store.inbox.counts()["waiting"] == 0 and store.inbox.counts()["done"] >= 3, what="the news of it")
        w.bot.kill()
        place = {"timezone": "UTC", "consent_version": "1", "at": NOW}
        store.surveys.open("mood", NOW)
        person = store.people.enrol(group, study="mood", language="en", **place).person
        supergroup = w.people.post("migrate", chat_id=group)["chat_id"]
        w.people.client.post(
            f"{w.people.api}/bot{w.environment['MOODFLOW_TELEGRAM_TOKEN']}/getUpdates", json={"offset": -1}
        )
        queue(store, "m", person, "hello")
        w.start_bot()
        assert settled(store, "m") == "sent"
        assert store.people.chat_id(person) == supergroup
        assert "hello" in texts(w, supergroup)


def test_export_is_the_persons_own_data(tmp_path: Path) -> None:
    """/export sends every answer of the person's and of nobody else's, as CSV."""
    SharedClock(tmp_path / "home").set(NOW)
    with world(tmp_path) as w, w.store() as store:
        w.people.enrol(1, "mood")
        w.people.enrol(2, "mood")
        survey = store.surveys.of_study("mood")
        for user, chosen in ((1, "6"), (2, "2")):
            w.people.say(user, "/now")
            for item in range(len(survey.items)):
                (prompt,) = until(lambda n=user: store.prompts.of(store.people.by_chat(n).person), what="a prompt")
                message, _ = w.people.button(user, f"v.{prompt.prompt_id}.{survey.version[:4]}.{item}.")
                data = next(one for one in datas(message) if one.endswith(f".{item}.{chosen}"))
                w.people.tap(user, message, data)
            w.people.press(user, "u.")
        until(lambda: len(store.responses.of()) == 2, what="two responses")
        w.people.say(1, "/export")
        sent = until(lambda: (m := w.people.last(1)) and "document" in m and m, what="a file")
        token = w.environment["MOODFLOW_TELEGRAM_TOKEN"]
        path = w.people.client.post(
            f"{w.people.api}/bot{token}/getFile", json={"file_id": sent["document"]["file_id"]}
        ).json()["result"]["file_path"]
        header, *lines = w.people.client.get(f"{w.people.api}/file/bot{token}/{path}").text.splitlines()
        rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
        assert [[row[item] for item in survey.item_ids] for row in rows] == [["6"] * len(survey.items)]
