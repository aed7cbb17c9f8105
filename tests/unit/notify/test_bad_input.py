"""What is wrong is caught before sending, stops nobody else, and the operator learns which."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.notify import locale
from flows.notify.check import problems
from flows.notify.context import Told, zone
from flows.notify.deliver import draft
from flows.notify.errors import MessageError, PersonError, TooLongError, WordingError
from flows.notify.policy import KINDS, Policy
from flows.notify.wording import escape, fitting, isolated, plain, write
from tests.golden.people import everybody

STEADY = everybody()["second-week"]


def worded(kind: str, template: str, language: str = "en") -> Policy:
    """The shipped policy with one template replaced."""
    shipped = Policy()
    return replace(shipped, wording={**shipped.wording, language: {**shipped.wording[language], kind: template}})


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ f.valeu }}", "valeu"),
        ("{{ f.value | nmu }}", "nmu"),
        ("{% if f.value %}", "end"),
        ("{{ f.value | plural }}", "summary"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("x" * 2000, "2000 characters"),
    ],
)
def test_a_template_with_an_error_is_named(template, said):
    """A missing fact, filter or end, code that reaches out, a text too long: no message, and what, where, which language."""
    policy = worded("summary", template)
    outcome = draft(STEADY.report, STEADY.context, policy)
    assert [d.send.kind for d in outcome.drafts] == []
    (problem,) = outcome.problems
    assert "'summary'" in problem
    assert said in problem
    assert len(problems(policy)) == 1


def test_a_missing_translation_is_named():
    """A kind without words in a language, and a language without words at all."""
    shipped = Policy()
    lacking = replace(
        shipped, wording={**shipped.wording, "en": {k: v for k, v in shipped.wording["en"].items() if k != "summary"}}
    )
    assert draft(STEADY.report, STEADY.context, lacking).problems == (
        "no wording for 'summary' in 'en': add it to the policy's wording",
    )
    assert problems(lacking) == ["no wording for 'summary' in 'en': add it to the policy's wording"]
    (problem,) = draft(STEADY.report, replace(STEADY.context, language="de"), shipped).problems
    assert "no wording in language 'de'" in problem


def test_a_language_without_forms_is_refused_with_its_policy():
    """Words in a language whose plural forms nobody wrote are caught when the policy is registered."""
    policy = replace(Policy(), wording={**Policy().wording, "de": Policy().wording["en"]})
    assert problems(policy) == ["no forms for language 'de': one of en, ru"]


def test_a_policy_without_a_language_of_the_bots_is_refused():
    """People who read it would be told nothing: said when the policy is registered, and again in a cycle."""
    policy = replace(Policy(), wording={"en": Policy().wording["en"]})
    assert problems(policy) == ["no wording in language 'ru': people who read it would be told nothing"]
    (problem,) = draft(STEADY.report, replace(STEADY.context, language="ru"), policy).problems
    assert "no wording in language 'ru'" in problem


def test_the_shipped_policy_has_no_problem():
    """Every template of every language fills in every plural form and fits."""
    assert problems(Policy()) == []
    assert all(set(KINDS) <= set(templates) for templates in Policy().wording.values())


@pytest.mark.parametrize("timezone", ["", None, "Mars/Olympus", "../etc/passwd", "Europe", "\0"])
def test_a_person_without_timezone_is_named(timezone):
    """No guess is made about somebody's night."""
    with pytest.raises(PersonError, match="p1"):
        zone(timezone, "p1")
    outcome = draft(STEADY.report, replace(STEADY.context, timezone=timezone), Policy())
    assert outcome.drafts == ()
    assert "timezone" in outcome.problems[0]


@pytest.mark.parametrize(
    ("report", "context"),
    [
        ({}, {"told": [Told("unusual_day", "x", STEADY.context.now - timedelta(days=1), {})]}),
        ({"series": ((STEADY.context.now, "7"),) * 40}, {}),
        ({"scale": (1.0,)}, {}),
        ({"series": ((None, 3.0),) * 40}, {}),
    ],
)
def test_a_damaged_report_or_history_is_named_without_what_is_in_it(report, context):
    """Something nobody foresaw about one person: no message, who and where it failed, and none of their answers."""
    outcome = draft(replace(STEADY.report, **report), replace(STEADY.context, **context), Policy())
    assert outcome.drafts == ()
    (problem,) = outcome.problems
    assert problem.startswith(f"person {STEADY.report.person}: ")
    assert "damaged" in problem
    assert "7" not in problem


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_never_written(value):
    """The last check before the words: what slips through the decision is an error, not a text."""
    with pytest.raises(WordingError, match="'value'"):
        write(
            {"x": "{{ f.value | num }}"},
            "x",
            language="en",
            timezone=ZoneInfo("UTC"),
            facts={"value": value},
            evidence={"n": 1},
        )


@given(st.text())
def test_any_text_survives_telegrams_markup(text):
    """What is escaped reads as it was written, whatever is in it."""
    clean = text.replace("\ue000", "").replace("\ue001", "")
    assert plain(escape(clean)) == clean


@given(st.text())
def test_inserted_words_cannot_turn_or_break_a_sentence(text):
    """No control signs, no direction that leaks: opened isolates are closed."""
    inserted = isolated(text)
    assert inserted.count("\u2068") == inserted.count("\u2069") <= 1
    assert not set(inserted) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\n\r\0\ue000\ue001")


def test_length_is_counted_as_telegram_counts():
    """UTF-16 units of what is read: emoji count twice, escapes not at all."""
    assert fitting("\\." * 1024, 1024, "x")
    assert fitting("🙂" * 512, 1024, "x")
    with pytest.raises(TooLongError):
        fitting("🙂" * 513, 1024, "x")


@pytest.mark.parametrize(
    ("n", "form"),
    [(0, "ответов"), (1, "ответ"), (2, "ответа"), (4, "ответа"), (5, "ответов"), (11, "ответов"), (12, "ответов"), (14, "ответов"), (21, "ответ"),
     (22, "ответа"), (25, "ответов"), (101, "ответ"), (111, "ответов"), (112, "ответов"), (1002, "ответа")],
)  # fmt: skip
def test_russian_plural_forms(n, form):
    """CLDR's rules for Russian."""
    assert locale.of("ru").plural(n, "ответ", "ответа", "ответов") == form


@pytest.mark.parametrize(
    ("value", "en", "ru"),
    [(3.0, "3", "3"), (3.14, "3.1", "3,1"), (0.05, "0.05", "0,05"), (62.4, "62", "62"), (-0.6, "−0.6", "−0,6"), (-0.001, "0", "0"), (0.0, "0", "0"),
     (9.96, "10", "10"), (100.0, "100", "100")],
)  # fmt: skip
def test_numbers_are_short_and_in_the_language(value, en, ru):
    """No more digits than tell something, the language's decimal sign, a real minus."""
    assert (locale.of("en").number(value), locale.of("ru").number(value)) == (en, ru)


def test_errors_are_one_tree():
    """Whoever catches MessageError catches them all."""
    assert all(issubclass(e, MessageError) for e in (WordingError, PersonError, TooLongError))
