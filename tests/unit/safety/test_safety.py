"""The rule that nothing overrules."""

from __future__ import annotations

import math
import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import safety
from flows.safety.phrases import normalise, says
from flows.survey.definition import Item, Safety, Scale, Schedule, Survey, load, shipped

LISTED = tomllib.loads(resources.files("flows.safety").joinpath("phrases.toml").read_text(encoding="utf-8"))
TEXTS = tomllib.loads(resources.files("flows.safety").joinpath("texts.toml").read_text(encoding="utf-8"))
TWINS = dict(zip("асеорхук", "aceopxyk", strict=True))
"""Cyrillic letters with a Latin twin."""


def survey(*items: Item) -> Survey:
    return Survey("test", "v", {"en": "test"}, items, (), Schedule("fixed"), "UTC", ("en",))


def item(name: str, kind: str = "likert", polarity: str | None = "positive", rule: Safety | None = None) -> Item:
    scale = Scale(kind, 1, 7) if kind in {"likert", "slider", "number"} else Scale(kind)
    return Item(name, {"en": name}, scale, polarity, safety=rule)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_survey_watches_somebody(name):
    """Each shipped definition has a very low answer, and exactly the answers at or beyond its bounds are one."""
    definition = load(name)
    watched = safety.watched(definition)
    assert watched
    for one in definition.items:
        if not one.scale.numeric or one.scale.lo is None:
            continue
        for value in range(int(one.scale.lo), int(one.scale.hi) + 1):
            bounds = watched.get(one.id)
            low = bounds is not None and (value <= bounds.low or value >= bounds.high)
            assert (safety.check(definition, {one.id: value}) is not None) == low


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from([int, float, str, lambda v: f" {v},0 "]))
def test_stated_bounds_fire_for_every_way_an_answer_is_given(bound, value, given_as):
    """At or beyond a stated bound, and nowhere else, whether the answer comes as a number or as text."""
    low = survey(item("a", rule=Safety(at_or_below=bound)), item("b"))
    high = survey(item("a", rule=Safety(at_or_above=bound)), item("b"))
    assert (safety.check(low, {"a": given_as(value)}) is not None) == (value <= bound)
    assert (safety.check(high, {"a": given_as(value)}) is not None) == (value >= bound)
    assert safety.check(low, {"b": given_as(value)}) is None


@given(st.integers(1, 7), st.sampled_from(["positive", "negative"]))
def test_a_survey_without_rules_is_watched_at_its_worst_ends(value, polarity):
    """Without a stated rule the worst point of a graded scale is very low; the best one and all between are not."""
    found = safety.check(survey(item("a", polarity=polarity)), {"a": value})
    assert (found is not None) == (value == (1 if polarity == "positive" else 7))


@pytest.mark.parametrize("kind", ["yesno", "choice", "multi", "text"])
def test_what_has_no_depth_has_no_worst_end(kind):
    """Yes and no, choices and texts are never a low answer by derivation."""
    assert safety.watched(survey(item("a", kind))) == {}


@pytest.mark.parametrize("value", [None, math.nan, True, [], {}, "", "seven"])
def test_what_is_no_number_is_no_low_answer(value):
    """A skipped or unreadable answer is not taken for a low one, nor does it raise."""
    assert safety.check(survey(item("a", rule=Safety(at_or_below=7))), {"a": value}) is None


def test_the_first_hit_of_the_survey_is_reported_without_the_answer():
    """A hit names item and reason, and nothing that was answered."""
    hit = safety.check(survey(item("a"), item("b")), {"b": 1, "a": 1, "zzz": "kill myself"})
    assert hit == safety.SafetyHit("a", "low_answer")
    assert set(safety.SafetyHit.__slots__) == {"item", "reason"}


def test_free_text_is_read_whatever_the_item():
    """A listed phrase fires also in an item the survey does not watch, or does not know."""
    for name in ("a", "unknown"):
        assert safety.check(survey(item("a", "text", None)), {name: "честно, не хочу жить"}) == safety.SafetyHit(
            name, "phrase"
        )


def spoken() -> list[str]:
    return [phrase.replace(" ...", "").replace("*", "") for listed in LISTED["phrases"].values() for phrase in listed]


@pytest.mark.parametrize("phrase", spoken())
def test_every_listed_phrase_is_found(phrase):
    """As listed, shouted, with punctuation, inside a sentence."""
    for text in (phrase, phrase.upper(), phrase.replace(" ", ",  ") + "!!!", f"well... {phrase} (yes)"):
        assert says(text), text


@given(st.sampled_from(spoken()), st.text(max_size=40), st.text(max_size=40))
def test_a_phrase_is_found_in_any_surroundings(phrase, before, after):
    """Whatever stands around a phrase, on lines of its own, does not hide it."""
    assert says(f"{before}\n{phrase}\n{after}")


@pytest.mark.parametrize(
    "text",
    ["Не хочу ЖИТЬ", "нехочу, ну то есть не  хочу   жить", "не хочу́ жи́ть", "нe хoчу жить", "не\u200b хочу жить", "I don’t want to live",
     "I dont want to really live", "ВСКРОЮ ВЕНЫ", "думаю о самоубийстве", "suicidal", "SELF-HARM", "Хочется просто умереть", "суи-цид", "с у и ц и д",
     "хочууу умереееть", "su1cide", "kіll myself", "suiсidе", "ＫＩＬＬ myself", "he хочу жить", "нe хo4у жить", "I want to diiiie", "k-i-l-l myself",
     "лучше бы меня не было", "Устала жить.", "зачем я живу?", "порезала себя", "Мысли о смерти каждый день", "ik wil dood", "Ich will nicht mehr leben",
     "j'ai envie de mourir", "quiero morirme", "не хочу жити",
     "нехочужить", "#хочуумереть", "Х О Ч У   У М Е Р Е Т Ь", "i wanttodie", "killmyself", "kill my self", "не хачу жить", "сиуцид", "sucidal"],
)  # fmt: skip
def test_disguises_do_not_hide_a_phrase(text):
    """Case, stress marks, look-alike letters, invisible signs, punctuation, letters drawn out or spelt, filler words."""
    assert says(text)


@given(st.data())
def test_disguises_in_any_combination(data):
    """Every letter in either case, ё or е, doubled script, with invisible signs and any punctuation between words."""
    phrase = data.draw(st.sampled_from(spoken()))
    signs = []
    for sign in phrase:
        ways = [sign, sign.upper(), *([TWINS[sign]] if sign in TWINS else []), *("ё" if sign == "е" else "")]
        way = data.draw(st.sampled_from(ways if sign.upper().casefold() == sign else [sign]))
        signs.append(way + data.draw(st.sampled_from(["", "", "", "\u200b", "\u00ad", "\u0301"])))
    between = data.draw(st.sampled_from([" ", ", ", "... ", "\n", " - ", "\u00a0"]))
    assert says("".join(signs).replace(" ", between))


@pytest.mark.parametrize(
    ("root", "endings"),
    [("думаю о самоубийств", "е"), ("самоубийц", "ауеы"), ("суицид", ["", "а", "ом", "альные мысли"]), ("хотел", ["а умереть", " бы умереть", "ось умереть"]),
     ("покончил", ["а с собой", " бы с собой", "а бы я с собой"]), ("лучше бы я умер", ["", "ла"]), ("резал", ["а себя", " себя"]), ("устал", ["а жить", " жить", " от жизни"]), ("вскр", ["ыл вены", "ыла себе вены", "ою вены"]),
     ("чтоб я сдох", ["", "ла", "нуть"]), ("хочу уснуть и", [" не проснуться", " больше не проснуться"]), ("жизнь", [" не имеет смысла", " больше не имеет никакого смысла"]),
     ("руки на себя", [" наложу", " наложить"]), ("cut", [" my wrists", "ting my wrists", "ting myself"]), ("no point", [" living", " in living", " in even living"])],
)  # fmt: skip
def test_inflected_forms_are_found(root, endings):
    """Gender, case and mood do not hide a phrase."""
    assert [root + ending for ending in endings if not says(root + ending)] == []


@pytest.mark.parametrize(
    "text",
    ["всё хорошо", "не хочу", "умираю от смеха", "убить время", "режу хлеб", "хочу спать", "to die for", "kill time",
     "I cut my hair", "living my best life", "жить хочу", "повесил картину", "skill myself", "", "🙂", "ran 10 kms today", "не хочу просыпаться рано",
     "смотрю в окно", "еду в поезде", "под дождём", "умереть как смешно", "хочу жить", "устала", "надоело", "нет сил", "сил нет, но жить можно", "нет смысла спорить",
     "мне лучше", "всем лучше", "у меня болит голова", "порезала салат", "сам себе хозяин", "вышел из дома", "прыгнул с парашютом", "I want to sleep", "die Sonne",
     "dead tired", "end of my shift", "my own life is good", "self care", "wish you were here", "I don't want to go out", "not worth the money",
     "wil graag naar huis", "ich will schlafen", "je veux dormir", "quiero comer", "хочу їсти", "устала, но жить можно", "жизнь прекрасна",
     "режу лук", "прыгнул в бассейн", "умерла со смеху", "порезал палец", "отравилась суши", "утопил телефон", "I want to end my shift", "my phone is dead", "dead end", "777", "1", "...", "а б в г д", "i o u a e"],
)  # fmt: skip
def test_ordinary_words_do_not_fire(text):
    """Words that only resemble a phrase, or hold one inside another word, send nothing."""
    assert not says(text)


def test_reading_a_long_text_takes_no_longer_than_it_is():
    """The longest text Telegram sends, made to mislead the search, is read to its end: the rule cannot be stalled."""
    for part in ("не хочу ", "want to ", "х ", "ааа", "a\u0301", "лучше бы я "):
        assert not says((part * 4096)[:4096])


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    """Normal text is its own normal form, and е stands for ё in it."""
    once = normalise(text)
    assert normalise(once) == once
    assert "ё" not in once


def test_the_texts_say_that_a_clinician_has_yet_to_review_them():
    """Both files are marked until somebody signs them, in words and in a field."""
    assert safety.review_status() == "to be reviewed by a clinician"
    for listed, name in ((TEXTS, "texts.toml"), (LISTED, "phrases.toml")):
        assert listed["review"] == {"status": "to be reviewed by a clinician", "reviewed_by": "", "reviewed_on": ""}
        assert "TO BE REVIEWED BY A CLINICIAN" in resources.files("flows.safety").joinpath(name).read_text(
            encoding="utf-8"
        )


@pytest.mark.parametrize("country", sorted(TEXTS["country"]))
def test_every_number_says_what_it_was_looked_up_in(country):
    """Each line names the service's own page and what its number was looked up in, and awaits a reviewer."""
    listed = TEXTS["country"][country]
    assert country == "INT" or (listed["emergency"] and listed["emergency_against"])
    for line in listed["lines"]:
        assert line["source"].startswith("https://")
        assert line["against"]
        assert line["reviewed_by_clinician"] is False


@pytest.mark.parametrize("language", ["en", "ru", "RU", "ru-RU", "de", "", None])
@pytest.mark.parametrize("country", [*safety.countries(), "ru", "XX", "", None])
def test_everybody_gets_a_whole_text(country, language):
    """For any country and language: an emergency number or words for one, the directory, that nobody watches, /help."""
    text = safety.help_text(country, language)
    assert "findahelpline.com" in text
    assert "/help" in text
    assert ("Никто не читает" in text) == str(language).lower().startswith("ru")
    assert "{" not in text
    assert len(text.encode("utf-16-le")) // 2 <= 4096


@pytest.mark.parametrize(
    ("country", "numbers"),
    [("RU", ["112", "8-800-2000-122"]), ("US", ["988", "911"]), ("GB", ["116 123", "999"]), ("DE", ["0800 1110111", "112"]), ("NL", ["113", "112"])],
)  # fmt: skip
def test_a_country_gets_its_own_numbers(country, numbers):
    """The person's own country comes first, then the international directory."""
    text = safety.help_text(country, "en")
    for number in numbers:
        assert number in text
    assert safety.resources(country, "en")[-1] == safety.resources(None, "en")[0]


def test_an_unknown_country_gets_the_international_directory():
    """No country's numbers are guessed."""
    assert safety.help_text("XX", "en") == safety.help_text(None, "en")
    assert [r.contact for r in safety.resources("XX", "ru")] == ["https://findahelpline.com"]
