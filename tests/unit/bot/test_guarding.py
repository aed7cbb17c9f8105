"""The safety rule in the bot: every path that leads to a low answer or a listed phrase, and none other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows import safety
from flows.bot import engine
from flows.store import Incoming, Prompt, Store
from flows.survey.callbacks import Callback, encode

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PHRASE = "честно, не хочу больше жить"
CHAT, GROUP = 700, -100
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class World:
    """A store with one person in it, and updates as Telegram sends them."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(path)
        self.survey = self.store.surveys.open("mood", NOW)
        self.ids = count(1)

    def enrol(self, chat: int = CHAT, language: str = "ru", **fields: Any) -> str:
        made = self.store.people.enrol(
            chat, study="mood", language=language, timezone="UTC", consent_version="1", at=NOW, country="NL"
        )
        if fields:
            self.store.people.change(made.person, **fields)
        return made.person

    def prompt(self, person: str, state: str = "sent", at: datetime = NOW) -> str:
        """A prompt on the person's screen, or one that was closed since."""
        ident = f"{next(self.ids):016x}"
        ends = at + timedelta(minutes=90)
        self.store.prompts.add([Prompt(ident, person, "mood", self.survey.version, 1, 1, at, ends, "UTC")])
        self.store.prompts.sent(ident, 1, at)
        if state != "sent":
            self.store.prompts.close(ident, state)
        return ident

    def get(self, body: dict[str, Any], at: datetime = NOW) -> None:
        """Apply one update."""
        number = next(self.ids)
        engine.apply(self.store, [Incoming(number, {"update_id": number, **body}, at)], "mood")

    def tap(self, prompt: str, item: str, value: object, chat: int = CHAT, at: datetime = NOW) -> None:
        position = self.survey.item_ids.index(item)
        data = encode(Callback("value", prompt, self.survey.version, position, str(value)))
        self.press(data, chat, at)

    def press(self, data: str, chat: int = CHAT, at: datetime = NOW) -> None:
        query = {"id": "q", "from": {"id": chat, "language_code": "ru"}, "data": data, "message": {"message_id": 1}}
        self.get({"callback_query": query}, at)

    def write(self, key: str = "message", chat: int = CHAT, at: datetime = NOW, **parts: Any) -> None:
        kind = {"id": chat, "type": "private"}
        sender = {"id": chat, "language_code": "ru"}
        self.get({key: {"message_id": 5, "from": sender, "chat": kind, **parts}}, at)

    @property
    def helped(self) -> list[tuple[str | None, int | None]]:
        """Whom help waits for: (person, chat)."""
        due = self.store.outbox.due(NOW + timedelta(days=30), 10_000)
        return [(one.person, one.chat_id) for one in due if one.kind == "safety"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "private.db")
    yield made
    made.store.close()


def low(world: World, item: str, value: int) -> bool:
    return safety.check(world.survey, {item: value}) is not None


items = st.sampled_from(["cheerful", "calm", "sad", "anxious", "irritable", "energetic"])


@MANY
@given(items, st.integers(1, 7), st.sampled_from(["sent", "answered", "empty", "expired", "cancelled"]), st.integers(0, 300))  # fmt: skip
def test_a_tap_brings_help_exactly_where_it_is_a_low_answer(tmp_path_factory, item, value, state, minutes):
    """In time, late, or to a prompt that was submitted, expired or withdrawn: the value alone decides."""
    world = World(tmp_path_factory.mktemp("taps") / "private.db")
    person = world.enrol()
    world.tap(world.prompt(person, state), item, value, at=NOW + timedelta(minutes=minutes))
    assert world.helped == [(person, None)] * low(world, item, value)
    world.store.close()


@MANY
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 100))
def test_a_typed_number_brings_help_exactly_where_it_is_a_low_answer(tmp_path_factory, values, late):
    """Each number answers the item on screen; help is queued for the low ones, and once for each."""
    world = World(tmp_path_factory.mktemp("typed") / "private.db")
    person = world.enrol()
    prompt = world.prompt(person)
    wanted = 0
    for item, value in zip(world.survey.item_ids, values, strict=False):
        world.write(text=f" {value} ", at=NOW + timedelta(minutes=late))
        wanted += low(world, item, value)
        if late > 90:
            wanted = int(low(world, world.survey.item_ids[0], values[0]))
            break
    assert len(world.helped) == wanted
    assert world.store.prompts.get(prompt) is not None
    world.store.close()


@pytest.mark.parametrize("state", ["active", "paused", "stopped", "ended", "blocked", "enrolling"])
@pytest.mark.parametrize("language", ["ru", "en"])
def test_whatever_a_person_agreed_to_since_helps_no_less(world, state, language):
    """Paused, stopped, ended: a low tap and a phrase bring help in the person's language, for their country."""
    person = world.enrol(language=language, state=state)
    world.tap(world.prompt(person), "sad", 7)
    world.write(text=PHRASE)
    assert world.helped == [(person, None)] * 2
    texts = {one.payload["text"] for one in world.store.outbox.due(NOW, 99) if one.kind == "safety"}
    assert texts == {safety.help_text("NL", language)}


def test_back_edit_and_again(world):
    """Going back and answering anew asks the rule anew; the same answer once more does not send the text twice."""
    person = world.enrol()
    prompt = world.prompt(person)
    world.tap(prompt, "sad", 3)
    assert world.helped == []
    world.press(encode(Callback("back", prompt, world.survey.version, 3)))
    world.tap(prompt, "sad", 7)
    world.press(encode(Callback("back", prompt, world.survey.version, 3)))
    world.tap(prompt, "sad", 7)
    assert world.helped == [(person, None)]
    world.tap(prompt, "cheerful", 1)
    assert len(world.helped) == 1 + low(world, "cheerful", 1)


@pytest.mark.parametrize(
    "parts",
    [
        {"text": PHRASE},
        {"text": f"/now {PHRASE}"},
        {"text": f"/start {PHRASE}"},
        {"text": f"/nonsense {PHRASE}"},
        {"caption": PHRASE, "photo": [{}]},
        {"caption": PHRASE, "voice": {}},
        {"text": PHRASE, "forward_origin": {"type": "user"}},
        {"poll": {"question": PHRASE}},
        {"poll": {"question": "?", "options": [{"text": "1"}, {"text": PHRASE}]}},
        {"key": "edited_message", "text": PHRASE},
    ],
)
@pytest.mark.parametrize("asked", [False, True])
def test_a_phrase_is_heard_wherever_it_is_written(world, parts, asked):
    """As words, behind a command, under a picture, forwarded, edited in later; also while a number is asked for."""
    person = world.enrol()
    if asked:
        world.prompt(person)
    world.write(**parts)
    assert world.helped == [(person, None)]


@pytest.mark.parametrize("step", ["country", "timezone", "consent"])
def test_a_phrase_is_heard_while_the_bot_asks_something_else(world, step):
    """The answer to "which country?" may be a cry for help; a 7 there is no answer to "how sad?"."""
    person = world.enrol(state="enrolling")
    world.prompt(person)
    chat = world.store.people.chat(CHAT)
    world.store.people.save_chat(type(chat)(**{**vars(chat), "step": step}))
    world.write(text=PHRASE)
    assert world.helped == [(person, None)]


def test_people_who_do_not_take_part_get_the_international_text(world):
    """No consent, no country: the text still comes, in the language of their Telegram."""
    world.write(chat=31, text="i want to die")
    assert world.helped == [(None, 31)]
    (one,) = [o for o in world.store.outbox.due(NOW, 9) if o.kind == "safety"]
    assert one.payload["text"] == safety.help_text(None, "ru")


def test_in_a_group_help_comes_in_private(world):
    """Somebody who takes part is written to alone; who does not is answered only where they spoke to the bot."""
    person = world.enrol()
    group = {"id": GROUP, "type": "group"}
    world.get({"message": {"message_id": 1, "from": {"id": CHAT}, "chat": group, "text": PHRASE}})
    assert world.helped == [(person, None)]
    world.get({"message": {"message_id": 2, "from": {"id": 31}, "chat": group, "text": PHRASE}})
    assert len(world.helped) == 1
    world.get({"message": {"message_id": 3, "from": {"id": 31}, "chat": group, "text": f"/help {PHRASE}"}})
    assert sorted(world.helped, key=str) == sorted([(person, None), (None, GROUP)], key=str)


def test_somebody_elses_prompt_and_what_is_no_answer_bring_nothing(world):
    """A forged tap, a value off the scale, half an answer, a skip, a number where a timezone is asked."""
    mine, other = world.enrol(), world.enrol(chat=701)
    prompt = world.prompt(mine)
    world.tap(prompt, "sad", 7, chat=701)
    for value in (8, 0, "7.5", "x", "", "sad"):
        world.tap(prompt, "sad", value)
    for kind in ("tens", "toggle"):
        world.press(encode(Callback(kind, prompt, world.survey.version, 2, "7")))
    world.press(encode(Callback("skip", prompt, world.survey.version, 2)))
    world.press(f"v.{prompt}.zzzz.2.7")
    chat = world.store.people.chat(CHAT)
    world.store.people.save_chat(type(chat)(**{**vars(chat), "step": "timezone"}))
    for words in ("7", "1", "привет", "/now 7", "/help"):
        world.write(text=words)
    assert world.helped == []
    assert other


def test_a_redelivered_update_brings_no_second_text(world):
    """Telegram may deliver an update twice; the text is keyed by the answer."""
    world.enrol()
    body = {"update_id": 9, "message": {"message_id": 5, "from": {"id": CHAT}, "chat": {"id": CHAT, "type": "private"}, "text": PHRASE}}  # fmt: skip
    for _ in range(2):
        engine.apply(world.store, [Incoming(9, body, NOW)], "mood")
    assert len(world.helped) == 1


def test_what_fails_later_does_not_take_the_help_back(world, monkeypatch):
    """The rest of the update is undone alone: the text stays queued."""
    person = world.enrol()

    def broken(*_: object) -> None:
        raise RuntimeError("a defect in the dialogue")

    monkeypatch.setattr(engine, "_apply_one", broken)
    world.tap(world.prompt(person), "sad", 7)
    assert world.helped == [(person, None)]


def test_what_fails_in_the_rule_loses_no_answer(world, monkeypatch):
    """The answer is kept, and the ledger tells the operator that the rule could not read it."""
    person = world.enrol()
    prompt = world.prompt(person)

    def broken(*_: object) -> None:
        raise RuntimeError("a defect in the rule")

    monkeypatch.setattr(safety, "check", broken)
    world.tap(prompt, "sad", 7)
    assert world.store.prompts.get(prompt).answers == {"sad": 7}
    assert world.store.ledger.counts()["failed"] == 1


@MANY
@given(st.recursive(st.none() | st.integers(-5, 5) | st.text(max_size=5), lambda c: st.lists(c, max_size=3) | st.dictionaries(st.sampled_from(["message", "edited_message", "callback_query", "from", "chat", "id", "text", "type", "data", "poll"]), c, max_size=4), max_leaves=12))  # fmt: skip
def test_strange_updates_are_survived(tmp_path_factory, body):
    """Whatever JSON comes in: no update fails because of the rule, and nobody is helped out of nothing."""
    world = World(tmp_path_factory.mktemp("strange") / "private.db")
    world.get(body if isinstance(body, dict) else {"message": body})
    assert [reason for _, _, reason in world.store.ledger.of("u2") if "safety" in reason] == []
    assert world.helped == []
    world.store.close()


def test_it_is_logged_without_the_answer(world, caplog):
    """The ledger holds prompt and item and that it was a low answer; no log holds words or values."""
    caplog.set_level(logging.DEBUG)
    person = world.enrol()
    prompt = world.prompt(person)
    world.tap(prompt, "sad", 7)
    world.write(text=PHRASE)
    assert [(event, reason) for event, _, reason in world.store.ledger.of(f"{prompt}:sad:safety")] == [("safety", "low_answer")]  # fmt: skip
    rows = world.store.database.rows("SELECT subject, event, reason FROM ledger")
    assert not [row for row in rows if "жить" in str(tuple(row)) or "7" in str(row["reason"])]
    assert "жить" not in caplog.text
