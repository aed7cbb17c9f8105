"""Definitions: what ships is fine; what is wrong is named with its line."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.survey import SurveyError, load, parse, shipped
from flows.survey.callbacks import KINDS, OF_PROMPT, Callback, decode, encode
from flows.survey.condition import Condition

SHARED = Path(os.environ.get("MOODFLOW_SHARED", Path(__file__).resolve().parents[4] / "shared"))
GOOD = """languages = ["en"]
title = "T"

[schedule]
kind = "fixed"
times = ["09:00"]

[scales.five]
kind = "likert"
lo = 1
hi = 5

[[items]]
id = "worry"
text = "Worry?"
scale = "five"
polarity = "negative"

[[items]]
id = "why"
text = "Why?"
scale = {kind = "text"}
ask_if = "worry >= 4"

[[targets]]
name = "na"
items = ["worry"]
polarity = "negative"
"""


@pytest.mark.parametrize("name", shipped())
def test_shipped_definitions_are_whole(name):
    """Every shipped survey reads, asks in Russian and English, has a target, and states its safety rule."""
    survey = load(name)
    assert survey.targets
    assert all({"ru", "en"} <= set(item.text) for item in survey.items)
    assert any(item.safety for item in survey.items)
    assert survey == load(name)


@pytest.mark.study
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("fried2021", "fried2021.csv"),
        ("mpath", "mpath_example.csv"),
        ("geschwind", "geschwind2011_bringmann2013.csv"),
        ("kossakowski", "kossakowski2017.csv"),
    ],
)
def test_the_studies_fit_their_definitions(name, file):
    """Every answer of the real studies is on the scale of its item, and `na` is the mean of the target's items."""
    path = SHARED / "data" / file
    if not path.exists():
        pytest.skip(f"the real studies are not beside this checkout ({file})")
    data, survey = pd.read_csv(path), load(name)
    for item in survey.items:
        values = data[item.id].dropna()
        assert values.between(item.scale.lo, item.scale.hi).all(), item.id
        assert (values == values.round()).all(), item.id
    items = list(survey.target("na").items)
    whole = data[data[items].notna().all(axis=1)]
    assert (whole[items].mean(axis=1) - whole["na"]).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('scale = "five"', 'scale = "six"', 16, "no scale 'six'; defined: five"),
        ('id = "why"', 'id = "worry"', 20, "used twice"),
        ('ask_if = "worry >= 4"', 'ask_if = "later >= 4"', 23, "not asked before it"),
        ('ask_if = "worry >= 4"', 'ask_if = "import os"', 23, "no condition"),
        ('times = ["09:00"]', 'times = ["9 o clock"]', 6, "no time of day"),
        ("hi = 5", "hi = 0", 10, "lo < hi"),
        ('items = ["worry"]', 'items = ["why"]', 27, "ids of numeric items"),
        ('polarity = "negative"\n\n[[items]]', 'polarity = "bad"\n\n[[items]]', 17, "positive or negative"),
        ('title = "T"', 'title = "T"\ntimezone = "Mars/Base"', 3, "no timezone"),
        ('title = "T"', 'title = "T"\ncolour = "red"', 3, "unknown key 'colour'"),
        ('title = "T"', 'title = "T', 2, "line 2"),
    ],
)
def test_a_mistake_is_named_with_its_line(old, new, line, words):
    """`file:line: what is wrong`, for mistakes of every kind."""
    assert old in GOOD
    with pytest.raises(SurveyError) as caught:
        parse(GOOD.replace(old, new, 1), "t", "t.toml")
    said = str(caught.value)
    assert words in said
    assert f"t.toml:{line}: " in said or f"(at line {line}" in said


def test_all_mistakes_are_named_at_once():
    """Two mistakes, two lines."""
    with pytest.raises(SurveyError) as caught:
        parse(GOOD.replace('"09:00"', '"x"').replace('"worry"]', '"w"]'), "t", "t.toml")
    assert len(str(caught.value).splitlines()) == 2


def test_a_version_is_the_files_words():
    """Another word is another version; line ends are not."""
    assert parse(GOOD, "a").version == parse(GOOD.replace("\n", "\r\n"), "b").version
    assert parse(GOOD, "a").version != parse(GOOD.replace("Why?", "Why so?"), "a").version


@given(st.text(max_size=40))
def test_conditions_never_run_code(text):
    """Whatever is written, it is a condition over answers or a named mistake."""
    condition = Condition(text)
    try:
        condition.names()
    except (ValueError, RecursionError, MemoryError):
        return
    assert condition.holds({}) in {True, False}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("worry >= 4", True),
        ("worry >= 4 and (beep == 1 or beep == 2)", True),
        ("not worry >= 4", False),
        ("skipped > 0", False),
        ("'alone' in company", True),
        ("worry == 'x'", False),
    ],
)
def test_conditions(text, holds):
    """Comparisons; what was not answered makes them false."""
    assert Condition(text).holds({"worry": 5, "beep": 2, "skipped": None, "company": ["alone"]}) is holds


@given(
    kind=st.sampled_from(sorted(KINDS)),
    item=st.integers(0, 999),
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
)
def test_callbacks_come_back_as_they_went(kind, item, value):
    """decode(encode(x)) == x, within Telegram's 64 bytes."""
    callback = Callback(kind, value=value)
    if kind in OF_PROMPT:
        with_value = value if kind in {"value", "toggle", "tens"} else ""
        callback = Callback(kind, "a" * 16, "0123", -1 if kind == "submit" else item, with_value)
    data = encode(callback)
    assert len(data.encode()) <= 64
    assert decode(data) == callback


@given(st.text(max_size=80))
def test_any_callback_data_is_read_or_refused(data):
    """Somebody else's data never raises."""
    got = decode(data)
    assert got is None or encode(got) == data
