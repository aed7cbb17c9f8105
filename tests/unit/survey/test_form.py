"""Filling in a form: any order of taps, typed words, back, skip; what is asked follows from the answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.survey import form as forms
from flows.survey import parse
from flows.survey.callbacks import Callback, decode
from flows.survey.form import Form, Refused
from flows.survey.screen import draw

SURVEY = parse(
    """
languages = ["ru", "en"]
title = {ru = "Т", en = "T"}
[schedule]
kind = "explicit"
[[items]]
id = "mood"
text = {ru = "Как?", en = "How?"}
scale = {kind = "likert", lo = 1, hi = 5, labels = {ru = ["а", "б", "в", "г", "д"], en = ["a", "b", "c", "d", "e"]}}
[[items]]
id = "pain"
text = {ru = "Боль?", en = "Pain?"}
scale = {kind = "slider"}
[[items]]
id = "alone"
text = {ru = "Одни?", en = "Alone?"}
scale = {kind = "yesno"}
[[items]]
id = "who"
text = {ru = "Кто?", en = "Who?"}
scale = {kind = "multi", options = ["friend", "family", "other"]}
ask_if = "alone == 0"
[[items]]
id = "where"
text = {ru = "Где?", en = "Where?"}
scale = {kind = "choice", options = ["home", "work"]}
[[items]]
id = "note"
text = {ru = "Что ещё?", en = "What else?"}
scale = {kind = "text"}
""",
    "t",
)


def tap(form: Form, kind: str, item: int, value: str = "") -> Form:
    got = forms.tapped(form, Callback(kind, "a" * 16, SURVEY.version[:4], item, value))
    assert isinstance(got, Form), got
    return got


def test_a_whole_form_by_buttons_and_words():
    """Each answer leads to the next item asked; the last look shows them all."""
    form = forms.opened(SURVEY, 1, 1)
    form = tap(form, "value", 0, "4")
    form = tap(form, "tens", 1, "40")
    assert (form.position, form.scratch) == (1, "40")
    assert [label for row in draw(form, "a" * 16, "en").rows[:-1] for label, _ in row] == [
        str(n) for n in range(40, 50)
    ]
    form = tap(form, "value", 1, "47")
    form = tap(form, "value", 2, "0")
    assert form.item.id == "who"
    form = tap(form, "toggle", 3, "family")
    form = tap(form, "toggle", 3, "friend")
    form = tap(form, "toggle", 3, "family")
    form = tap(form, "next", 3)
    form = tap(form, "value", 4, "work")
    form = forms.answered(form, form.position, " =1+1 \u0000 and 🙂\n")
    assert form.item is None
    assert form.complete
    assert form.given() == {
        "mood": 4,
        "pain": 47,
        "alone": 0,
        "who": ["friend"],
        "where": "work",
        "note": "=1+1  and 🙂",
    }
    assert "How?: 4 (d)" in draw(form, "a" * 16, "en").text


def test_branching_follows_later_edits():
    """An answer that an edit made pointless is not handed in."""
    form = forms.opened(SURVEY, 1, 1)
    for item, value in ((0, "1"), (1, "5"), (2, "0")):
        form = tap(form, "value", item, value)
    form = tap(form, "toggle", 3, "other")
    form = tap(form, "back", 3)
    assert form.item.id == "alone"
    form = tap(form, "value", 2, "1")
    assert form.item.id == "where"
    assert "who" not in form.given()


@pytest.mark.parametrize(
    ("item", "words", "reason"),
    [
        (0, "6", "range"),
        (0, "good", "number"),
        (0, "2.5", "number"),
        (0, "nan", "number"),
        (0, "1e9", "range"),
        (1, "-1", "range"),
        (1, "inf", "number"),
        (3, "friend", "strange"),
        (4, "elsewhere", "strange"),
        (5, " \u0007 ", "nothing"),
        (5, "x" * 4097, "long"),
    ],
)
def test_answers_that_are_none(item, words, reason):
    """Each is refused with a reason that has a reply."""
    got = forms.answered(forms.opened(SURVEY, 1, 1), item, words)
    assert isinstance(got, Refused)
    assert got.reason == reason


@given(st.data())
def test_no_sequence_of_buttons_breaks_a_form(data):
    """Whatever is tapped in whatever order: the form stays drawable, within limits, and what it hands in is asked for."""
    form = forms.opened(SURVEY, 1, 1)
    for _ in range(data.draw(st.integers(0, 25))):
        if data.draw(st.booleans()):
            shown = [d for row in draw(form, "a" * 16, "ru").rows for _, d in row]
            callback = decode(data.draw(st.sampled_from(shown)))
        else:
            kind = data.draw(st.sampled_from(["value", "toggle", "tens", "skip", "next", "back"]))
            callback = Callback(kind, "a" * 16, "", data.draw(st.integers(0, 9)), data.draw(st.text(max_size=6)))
        assert callback is not None
        if callback.kind != "submit":
            got = forms.tapped(form, callback)
            form = got if isinstance(got, Form) else form
        screen = draw(form, "a" * 16, "ru")
        assert 0 < len(screen.text) <= 4096
        assert all(len(d.encode()) <= 64 for row in screen.rows for _, d in row)
        assert set(form.given()) <= {item.id for item in form.asked()}
