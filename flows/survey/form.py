"""A prompt as a person fills it in: which item is next, what a tap or a typed word means, what the screen shows.

Pure: a `Form` goes in, a `Form` or a `Refused` comes out.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from flows.survey.callbacks import Callback
from flows.survey.definition import LONGEST_TEXT, Item, Scale, Survey

Value = float | int | str | list[str]


@dataclass(frozen=True)
class Refused:
    """An answer that is none. `reason` names the text to reply with; `item` where it was tried."""

    reason: str
    item: Item | None = None


@dataclass(frozen=True)
class Form:
    """Answers to one prompt so far. `position` counts items; `len(survey.items)` is the last look before submitting."""

    survey: Survey
    day: int
    beep: int
    answers: Mapping[str, Value | None] = field(default_factory=dict)
    position: int = 0
    scratch: str = ""

    @property
    def item(self) -> Item | None:
        """The item on screen, None on the last look."""
        return self.survey.items[self.position] if self.position < len(self.survey.items) else None

    def asked(self) -> list[Item]:
        """Items that are asked, given the answers so far."""
        return [i for i in self.survey.items if self.survey.asked(i, self.answers, self.day, self.beep)]

    def given(self) -> dict[str, Value | None]:
        """Answers to items that are asked: an item that a later edit made pointless is dropped."""
        return {item.id: self.answers[item.id] for item in self.asked() if item.id in self.answers}

    @property
    def empty(self) -> bool:
        """Whether nothing at all was answered."""
        return all(value is None for value in self.given().values())

    @property
    def complete(self) -> bool:
        """Whether every item asked has an answer."""
        given = self.given()
        return all(given.get(item.id) is not None for item in self.asked())


def opened(survey: Survey, day: int, beep: int) -> Form:
    """A new form, at the first item asked."""
    form = Form(survey, day, beep, position=-1)
    return replace(form, position=_after(form, -1))


def tapped(form: Form, callback: Callback) -> Form | Refused:
    """Apply a button of this form (submit is not one of them: it does not change the form)."""
    if callback.kind == "back":
        return replace(form, position=_before(form, callback.item), scratch="")
    if callback.item >= len(form.survey.items) or callback.kind not in _TAPS:
        return Refused("strange")
    return _TAPS[callback.kind](form, callback.item, callback.value)


def _tens(form: Form, position: int, value: str) -> Form | Refused:
    item = form.survey.items[position]
    fits = item.scale.kind == "slider" and re.fullmatch(r"-?[0-9]{1,4}", value)
    return replace(form, position=position, scratch=value) if fits else Refused("strange", item)


def _next(form: Form, position: int, _value: str) -> Form:
    return _put(form, position, form.answers.get(form.survey.items[position].id))


def _skip(form: Form, position: int, _value: str) -> Form:
    return _put(form, position, None)


def answered(form: Form, position: int, words: str) -> Form | Refused:
    """Answer the item at a position with what was tapped or typed."""
    item = form.survey.items[position]
    if not form.survey.asked(item, form.answers, form.day, form.beep):
        return Refused("strange", item)
    value = read(item.scale, words)
    return value if isinstance(value, Refused) else _put(form, position, value)


def read(scale: Scale, words: str) -> Value | Refused:
    """What words mean on a scale: a number for numeric ones, text as it is for free text."""
    if scale.kind == "text":
        return _text(words)
    if scale.kind == "choice":
        return words if words in scale.options else Refused("strange")
    if scale.kind == "multi":
        return Refused("tap")
    return _number(scale, words)


def _number(scale: Scale, words: str) -> Value | Refused:
    try:
        number = float(words.strip().replace(",", ".").replace("−", "-").removesuffix("%"))
    except ValueError:
        return Refused("number")
    whole = scale.kind in {"likert", "slider", "yesno"}
    if not math.isfinite(number) or (whole and number != int(number)):
        return Refused("number")
    if scale.lo is None or scale.hi is None or not scale.lo <= number <= scale.hi:
        return Refused("range")
    return int(number) if number == int(number) else number


def _text(words: str) -> Value | Refused:
    """Free text without control characters; line breaks and emoji stay."""
    clean = "".join(c for c in words if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Co", "Cn"}).strip()
    if len(clean) > LONGEST_TEXT:
        return Refused("long")
    return clean or Refused("nothing")


def _toggled(form: Form, position: int, option: str) -> Form | Refused:
    item = form.survey.items[position]
    if item.scale.kind != "multi" or option not in item.scale.options:
        return Refused("strange", item)
    ticked = form.answers.get(item.id)
    chosen = set(ticked) if isinstance(ticked, list) else set()
    chosen ^= {option}
    value = [one for one in item.scale.options if one in chosen]
    return replace(form, answers={**form.answers, item.id: value}, position=position, scratch="")


def _put(form: Form, position: int, value: Value | None) -> Form:
    """Keep an answer and go on to the next item not yet answered."""
    item = form.survey.items[position]
    changed = replace(form, answers={**form.answers, item.id: value}, scratch="")
    return replace(changed, position=_after(changed, position))


def _after(form: Form, position: int) -> int:
    """Next asked item without an answer, past `position`; the last look where there is none."""
    survey = form.survey
    for at in range(position + 1, len(survey.items)):
        item = survey.items[at]
        if item.id not in form.answers and survey.asked(item, form.answers, form.day, form.beep):
            return at
    return len(survey.items)


def _before(form: Form, position: int) -> int:
    """Asked item before `position`; the first one asked where there is none."""
    survey = form.survey
    for at in range(min(position, len(survey.items)) - 1, -1, -1):
        if survey.asked(survey.items[at], form.answers, form.day, form.beep):
            return at
    return position


def show(item: Item, value: Value | None, language: str) -> str:
    """An answer in words, for the last look."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(_label(item.scale, one, language) for one in value) or "–"
    return _label(item.scale, value, language)


def _label(scale: Scale, value: Value, language: str) -> str:
    words = scale.labels.get(language) or ()
    if scale.options and words and value in scale.options:
        return words[scale.options.index(str(value))]
    if scale.kind == "likert" and isinstance(value, int) and scale.lo is not None and scale.hi is not None:
        at = value - int(scale.lo)
        return f"{value} ({words[at]})" if len(words) == int(scale.hi - scale.lo) + 1 else str(value)
    return str(value)


def ends(scale: Scale, language: str) -> str:
    """The words at the ends of a scale, as in "1 not at all ... 7 very much"; empty where there are none."""
    words = scale.labels.get(language) or ()
    if scale.options or len(words) < 2 or scale.lo is None or scale.hi is None:
        return ""
    return f"{scale.lo:g} = {words[0]} … {scale.hi:g} = {words[-1]}"


def item_columns(survey: Survey) -> Iterable[str]:
    """Columns the items have in the Sheet and in exports."""
    return survey.item_ids


_TAPS: Mapping[str, Callable[[Form, int, str], Form | Refused]] = {
    "value": answered,
    "toggle": _toggled,
    "tens": _tens,
    "skip": _skip,
    "next": _next,
}
