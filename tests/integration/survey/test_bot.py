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


def enrolled(w, user: int, study: str = "mood") -> str:
    w.people.enrol(user, study)
    person = w.store().people.by_chat(user)
    assert person is not None
    return person.person


def answer_now(w, store, user: int, value: int = 3) -> str:
    """/now, every item answered, submitted; the prompt's id."""
    before = {p.prompt_id for p in store.prompts.of(store.people.by_chat(user).person)}
    w.people.say(user, "/now")
    person = store.people.by_chat(user).person
    fresh = until(lambda: {p.prompt_id for p in store.prompts.of(person)} - before, what="a prompt")
    (ident,) = fresh
    survey = store.surveys.of_study(store.people.get(person).study)
    for n in range(len(survey.items)):
        message, data = w.people.button(user, f"v.{ident}.{survey.version[:4]}.{n}.{value}")
        w.people.tap(user, message, data)
    w.people.press(user, f"u.{ident}")
    until(lambda: any(r.prompt_id == ident for r in store.responses.of(person)), what="the response")
    return ident


def test_every_command_has_its_answer(tmp_path: Path) -> None:
    """/help before consent, twice /start, /now, /stats with a chart, /export, /pause, /language, /timezone, /stop."""
    with world(tmp_path) as w, w.store() as store:
        w.people.start(9)
        w.people.say(9, "/help")
        w.people.reads(9, "Команды:")
        assert store.people.list() == []
        person = enrolled(w, 9)
        w.people.start(9)
        w.people.reads(9, "уже участвуете")
        assert len(store.people.list()) == 1
        w.people.say(9, "/stats")
        w.people.reads(9, "Пока мало")
        answer_now(w, store, 9, 3)
        answer_now(w, store, 9, 5)
        w.people.say(9, "/stats")
        until(lambda: "photo" in w.people.last(9), 30, "a chart")
        w.people.say(9, "/export")
        until(lambda: "document" in w.people.last(9), what="a file")
        assert w.people.last(9)["document"]["file_name"] == "answers.csv"
        w.people.say(9, "/pause 3")
        until(lambda: store.people.get(person).state == "paused", what="pause")
        w.people.say(9, "/resume")
        until(lambda: store.people.get(person).state == "active", what="resume")
        w.people.say(9, "/timezone Asia/Tokyo")
        until(lambda: store.people.get(person).timezone == "Asia/Tokyo", what="timezone")
        w.people.say(9, "/language")
        w.people.press(9, "l.en")
        until(lambda: store.people.get(person).language == "en", what="language")
        w.people.say(9, "/stop")
        until(lambda: store.people.get(person).state == "stopped", what="stop")
        w.people.start(9)
        w.people.press(9, "c.yes")
        w.people.press(9, "k.NL")
        w.people.press(9, "z.Europe")
        until(lambda: store.people.by_chat(9).state == "active", what="back again")
        assert store.people.by_chat(9).person == person


def test_delete_forgets_everything_but_the_request(tmp_path: Path) -> None:
    """/delete asks first; then no row, chat or word of the person is left in the private store."""
    with world(tmp_path) as w, w.store() as store:
        person = enrolled(w, 9)
        answer_now(w, store, 9)
        w.people.say(9, "/delete")
        w.people.press(9, "x.yes")
        w.people.reads(9, "Удалено")
        until(lambda: store.outbox.interrupted() == [], what="the goodbye to be settled")
        assert store.people.erased() == [person]
        assert store.people.chat(9) is None
        tables = [r[0] for r in store.database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in set(tables) - {"erasures", "ledger"}:
            rows = store.database.rows(f"SELECT * FROM {table}")  # noqa: S608 - names from the schema
            assert person not in str([tuple(row) for row in rows]), table


def test_odd_input_gets_a_reply_and_loses_nothing(tmp_path: Path) -> None:
    """Stickers, voice, forwards, unknown commands, text where a button is meant, long text, foreign keyboards."""
    with world(tmp_path) as w, w.store() as store:
        one = enrolled(w, 9)
        two = enrolled(w, 10)
        w.people.post("send", user_id=9, sticker="🙂")
        w.people.reads(9, "только текст")
        w.people.post("send", user_id=9, voice=True)
        w.people.post("send", user_id=9, text="hi", forward=True)
        w.people.say(9, "/nonsense")
        w.people.reads(9, "Такой команды нет")
        w.people.say(9, "/now")
        _, data = w.people.button(9, "v.")
        w.people.say(9, "many words")
        w.people.reads(9, "Здесь нужно число")
        w.people.say(9, "99")
        w.people.reads(9, "от 1 до 7")
        w.people.say(9, "4")
        until(lambda: store.prompts.of(one)[0].answers == {"cheerful": 4}, what="a typed answer")
        w.people.say(10, "x")
        target = w.people.last(10)
        for bad in (
            data,
            data.replace(data.split(".")[2], "zzzz"),
            "v.x",
            "🙂",
            "u." + "a" * 16 + ".abcd",
            "k.RU",
            "q.1",
        ):
            w.people.tap(10, target, bad, force=True)
        until(lambda: store.inbox.counts()["waiting"] == 0, what="all taps to be applied")
        assert store.prompts.of(two) == []
        assert store.prompts.of(one)[0].answers == {"cheerful": 4}
        assert store.inbox.counts()["failed"] == 0


def test_a_very_low_answer_sends_help_before_anything_else(tmp_path: Path) -> None:
    """The safety text goes out on the answer itself, not on submitting, and once."""
    with world(tmp_path) as w, w.store() as store:
        enrolled(w, 9)
        w.people.say(9, "/now")
        survey = store.surveys.of_study("mood")
        (prompt,) = until(lambda: store.prompts.of(store.people.by_chat(9).person))
        for n in range(survey.item_ids.index("sad") + 1):
            message, data = w.people.button(9, f"v.{prompt.prompt_id}.{survey.version[:4]}.{n}.7")
            w.people.tap(9, message, data)
        until(lambda: store.outbox.delivered_counts().get("safety") == 1, what="the help text")
        assert store.responses.of() == []


def test_blocked_and_unblocked(tmp_path: Path) -> None:
    """Blocking stops everything planned; unblocking resumes; nothing fails in between."""
    with world(tmp_path) as w, w.store() as store:
        person = enrolled(w, 9)
        w.people.post("block", user_id=9)
        until(lambda: store.people.get(person).state == "blocked", what="blocked")
        w.people.post("unblock", user_id=9)
        w.people.start(9)
        until(lambda: store.people.get(person).state == "active", what="active again")
        answer_now(w, store, 9)


def test_words_typed_before_telegram_has_confirmed_a_prompt_count(tmp_path: Path) -> None:
    """The prompt is on the screen, Telegram's answer to its sending is still on the way: a typed answer is kept.

    The bot is then killed, so that it never hears that the prompt arrived: the answer stays, the form comes once more.
    """
    with world(tmp_path) as w, w.store() as store:
        person = enrolled(w, 9)
        until(lambda: store.outbox.counts().get(("reply", "waiting"), 0) == 0, what="the welcome to be sent")
        until(lambda: not store.outbox.interrupted(), what="the welcome to be noted")
        slow = {"method": "sendMessage", "delay": 15, "after_commit": True, "times": 1}
        w.people.post_list("faults", [slow])
        w.people.say(9, "/now")
        w.people.button(9, "v.")
        w.people.say(9, "4")
        (prompt,) = until(lambda: [p for p in store.prompts.of(person) if p.answers], what="the typed answer")
        assert (prompt.answers, prompt.state, prompt.message_id) == ({"cheerful": 4}, "started", None)
        w.bot.kill()
        w.start_bot()
        survey = store.surveys.of_study("mood")
        w.people.button(9, f"v.{prompt.prompt_id}.{survey.version[:4]}.1.")
        until(lambda: store.prompts.get(prompt.prompt_id).message_id, what="the delivery to be noted")
        assert store.prompts.get(prompt.prompt_id).answers == {"cheerful": 4}
