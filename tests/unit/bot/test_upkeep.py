"""Studies end, answers are kept no longer than promised, and prompts expire: what time itself brings about."""

from __future__ import annotations

from datetime import timedelta

from flows.bot import upkeep
from flows.bot.engine import apply
from flows.store import Store
from flows.survey.flow import plan_study
from tests.unit.bot.hands import NOW, enrol, message, prompted, tap, value

DAY = timedelta(days=1)


def end(store: Store, *, after: timedelta, retention_days: int | None) -> None:
    known = store.studies.get("mood")
    assert known is not None
    store.studies.put("mood", known.survey_version, NOW + after, retention_days)


def test_a_study_that_ends_says_goodbye_once_and_asks_nobody_any_more(store: Store) -> None:
    """Planned prompts are withdrawn with a note, everybody is told in their language, and nobody can join."""
    person = enrol(store, 5)
    prompted(store, person, state="planned")
    end(store, after=10 * DAY, retention_days=None)
    upkeep.daily(store, NOW + 9 * DAY)
    assert store.people.get(person).state == "active"
    for _ in range(2):
        upkeep.daily(store, NOW + 11 * DAY)
    assert store.people.get(person).state == "ended"
    assert store.outbox.get(f"{person}:ended") is not None
    assert [event for event, _, _ in store.ledger.of(person)].count("ended") == 1
    assert [(event, why) for event, _, why in store.ledger.of("a" * 16)] == [("cancelled", "the study ended")]
    assert plan_study(store, "mood", NOW + 11 * DAY, NOW + 12 * DAY).new == 0
    apply(store, [message(6, NOW + 11 * DAY, text="/start mood")], "mood")
    assert store.people.by_chat(6) is None


def test_an_end_set_by_hand_survives_the_planner_until_the_study_is_opened_again(store: Store) -> None:
    """Each run of the planner opens its study; only a researcher's own opening brings an ended one back."""
    end(store, after=-DAY, retention_days=30)
    store.surveys.open("mood", NOW)
    known = store.studies.get("mood")
    assert known is not None
    assert (known.ends_at, known.retention_days) == (NOW - DAY, 30)
    assert store.surveys.enrollable("mood", NOW) is None
    store.surveys.open("mood", NOW, again=True)
    assert store.surveys.enrollable("mood", NOW) is not None


def test_answers_are_erased_when_their_retention_is_over(store: Store) -> None:
    """As if everybody had asked for it: nothing is left here, and Sheet and models are told."""
    people = [enrol(store, chat) for chat in (5, 6)]
    end(store, after=DAY, retention_days=30)
    upkeep.daily(store, NOW + 2 * DAY)
    assert len(store.people.list("mood")) == 2
    upkeep.daily(store, NOW + 31 * DAY)
    assert store.people.list("mood") == []
    assert sorted(store.people.erasures_open("sheet")) == sorted(store.people.erasures_open("models")) == sorted(people)
    assert store.people.chat(5) is None
    (entry,) = store.ledger.of("mood")
    assert (entry[0], entry[2]) == ("purged", "2 people, kept 30 days")
    upkeep.daily(store, NOW + 40 * DAY)
    assert len(store.ledger.of("mood")) == 1


def test_expired_prompts_are_answered_kindly_and_what_was_given_is_kept(store: Store) -> None:
    """A tap that comes too late says so; an abandoned form is a partial response at the time of its last answer."""
    person = enrol(store, 5)
    prompt = prompted(store, person)
    touched = NOW + timedelta(minutes=5)
    apply(store, [tap(5, value(prompt.prompt_id, prompt.survey_version, 0, "4"), at=touched)], "mood")
    late = NOW + timedelta(hours=2)
    assert upkeep.sweep(store, late) == 1
    (made,) = store.responses.of(person)
    assert (made.status, made.answered_at, list(made.answers.values())) == ("partial", touched, [4])
    effects = apply(store, [tap(5, value(prompt.prompt_id, prompt.survey_version, 1, "4"), at=late)], "mood")
    assert list(effects.notices.values()) == ["This one has run out of time, which is fine."]
    assert store.responses.of(person) == [made]
