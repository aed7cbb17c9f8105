"""What the bot makes of an update: forms, doubtful deliveries, and what people send that nobody asked for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from flows.bot.engine import apply
from flows.store import Prompt, Store
from flows.survey.callbacks import Callback, encode
from tests.unit.bot.hands import NOW, enrol, message, prompted, said, tap, value

DAY = timedelta(days=1)


def test_a_form_can_be_gone_back_in_and_changed_until_it_is_submitted(store: Store) -> None:
    """Back, another answer, submit: the last answer counts; after that nothing changes it."""
    person = enrol(store, 5)
    prompt = prompted(store, person)
    survey = store.surveys.by_version(prompt.survey_version)

    def data(kind: str, item: int = 0, chosen: str = "") -> str:
        return encode(Callback(kind, prompt.prompt_id, prompt.survey_version, item, chosen))

    every = [data("value", item, "3") for item in range(len(survey.items))]
    steps = [*every, data("back", len(survey.items)), data("value", 0, "5"), data("submit"), data("value", 0, "1")]
    effects = apply(store, [tap(5, step) for step in steps], "mood")
    (made,) = store.responses.of(person)
    assert made.answers == dict.fromkeys(survey.item_ids, 3) | {survey.items[0].id: 5}
    assert made.status == "complete"
    assert list(effects.notices.values())[-1] == "Already kept, thank you!"


def test_a_second_copy_of_a_prompt_is_followed_where_it_is_tapped(store: Store) -> None:
    """A delivery in doubt may have put the form on screen twice: the copy in use is the one that is drawn."""
    person = enrol(store, 5)
    prompt = prompted(store, person)
    for item, copy in enumerate((11, 12)):
        apply(store, [tap(5, value(prompt.prompt_id, prompt.survey_version, item, "4"), copy)], "mood")
        known = store.prompts.get(prompt.prompt_id)
        assert known is not None
        assert known.message_id == copy
    assert store.prompts.stale_ids() == [prompt.prompt_id]


def test_a_prompt_in_doubt_that_is_answered_is_not_sent_again(store: Store) -> None:
    """The tap is proof of delivery: the copy that waits is withdrawn, the ledger says why."""
    person = enrol(store, 5)
    prompt = prompted(store, person, state="planned")
    key = f"{prompt.prompt_id}:prompt"
    store.outbox.enqueue(key, person, "prompt", {"method": "prompt", "prompt_id": prompt.prompt_id}, NOW)
    store.outbox.claim([key])
    store.outbox.release(key, doubt=True)
    apply(store, [tap(5, value(prompt.prompt_id, prompt.survey_version, 0, "4"), 11)], "mood")
    assert not [one for one in store.outbox.due(NOW + DAY) if one.key == key]
    assert [(event, why) for event, _, why in store.ledger.of(prompt.prompt_id)] == [("sent", "known by the answers")]


@pytest.mark.parametrize("state", ["sending", "doubt", "waiting"])
def test_typed_words_count_once_a_prompt_may_be_on_the_screen(store: Store, state: str) -> None:
    """While its delivery is under way or in doubt they are an answer; before that they are words to nobody's question."""
    person = enrol(store, 5)
    prompt = prompted(store, person, state="planned")
    key = f"{prompt.prompt_id}:prompt"
    store.outbox.enqueue(key, person, "prompt", {"method": "prompt", "prompt_id": prompt.prompt_id}, NOW)
    if state != "waiting":
        store.outbox.claim([key])
    if state == "doubt":
        store.outbox.release(key, doubt=True)
    apply(store, [message(5, text="4")], "mood")
    known = store.prompts.get(prompt.prompt_id)
    assert known is not None
    assert list((known.answers or {}).values()) == ([] if state == "waiting" else [4])


LONG = "а" * 4096
ODD_WORDS = {
    "control": ("a\x00b\x1b[31m", "ab[31m"),
    "formula": ("=HYPERLINK(1)", "=HYPERLINK(1)"),
    "emoji": ("🙂👨‍👩‍👧", "🙂👨‍👩‍👧"),
    "long": (LONG, LONG),
    "too long": (LONG + "!", None),
    "only control": ("\x00\x07", None),
}


@pytest.mark.parametrize(("words", "kept"), ODD_WORDS.values(), ids=ODD_WORDS.keys())
def test_free_text_is_kept_as_it_is_but_for_control_characters(tmp_path: Path, words: str, kept: str | None) -> None:
    """Formulas, emoji and the longest message Telegram takes are answers like any other; what is none has a reply."""
    definition = tmp_path / "talk.toml"
    definition.write_text(
        'languages = ["en"]\ntitle = {en = "Talk"}\ntimezone = "UTC"\n[schedule]\nkind = "explicit"\n'
        'expires_after = 60\n[[items]]\nid = "note"\ntext = {en = "?"}\nscale = {kind = "text"}\n'
    )
    with Store.open(tmp_path / "private.db") as store:
        survey = store.surveys.open(str(definition), NOW)
        person = enrol(store, 5, "talk")
        ends = NOW + DAY
        store.prompts.add([Prompt("b" * 16, person, "talk", survey.version, 1, 1, NOW, ends, "UTC", "sent")])
        before = len(said(store, person))
        apply(store, [message(5, text=words)], "talk")
        known = store.prompts.get("b" * 16)
        assert known is not None
        assert known.answers == ({} if kept is None else {"note": kept})
        assert len(said(store, person)) == before + (kept is None)


def test_keyboards_of_others_and_of_other_versions_say_so(store: Store) -> None:
    """Each has its words on the tap, and changes nothing."""
    person, other = enrol(store, 5), enrol(store, 6)
    prompt = prompted(store, person)
    version = prompt.survey_version
    taps = [
        tap(6, value(prompt.prompt_id, version, 0, "4"), 1),
        tap(5, value(prompt.prompt_id, "f" * 4, 0, "4"), 2),
        tap(5, "v.nonsense", 3),
        tap(5, value("c" * 16, version, 0, "4"), 4),
        tap(5, value(prompt.prompt_id, version, 99, "4"), 5),
    ]
    assert list(apply(store, taps, "mood").notices.values()) == [
        "These are not your questions.",
        "The survey has changed since: this button does not work any more.",
        *["This button does not work any more."] * 3,
    ]
    assert (store.prompts.of(other), store.prompts.of(person)[0].answers) == ([], {})


def test_groups_are_asked_to_write_in_private(store: Store) -> None:
    """A command in a group has a reply there; talk among people has none, and nobody is enrolled by it."""
    group = {"id": -77, "type": "group", "title": "G"}
    apply(store, [message(5, chat=group, text="/start mood"), message(5, chat=group, text="hello")], "mood")
    assert said(store) == ["I only talk in private: please write to me in a chat of our own."]
    assert store.people.list() == []
