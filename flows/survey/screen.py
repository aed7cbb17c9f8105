"""How a form looks in Telegram: text and inline buttons, as plain data."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from flows.survey.callbacks import Callback, encode
from flows.survey.definition import Item, Survey
from flows.survey.form import Form, ends, show

Button = tuple[str, str]
SHOWN = 3500
"""Characters of a message that answers may fill: Telegram takes 4,096."""


@dataclass(frozen=True)
class Screen:
    """One message: its text and its rows of buttons (label, callback data)."""

    text: str
    rows: tuple[tuple[Button, ...], ...] = ()

    def markup(self) -> dict[str, list[list[dict[str, str]]]]:
        """Bot API's InlineKeyboardMarkup."""
        return {"inline_keyboard": [[{"text": text, "callback_data": data} for text, data in r] for r in self.rows]}


@cache
def words(language: str) -> dict[str, str]:
    """Words of the survey's own screens in a language (English where there is no other)."""
    table = tomllib.loads((resources.files(__package__) / "words.toml").read_text("utf-8"))
    return {key: text.get(language, text["en"]) for key, text in table.items()}


def draw(form: Form, prompt: str, language: str) -> Screen:
    """The message of an open prompt."""
    return _question(form, prompt, language) if form.item else _last_look(form, prompt, language)


def closed(state: str, language: str) -> Screen:
    """The message of a prompt that is closed: what became of it, no buttons."""
    said = words(language)
    return Screen(said.get(f"closed_{state}", said["closed_expired"]))


def _question(form: Form, prompt: str, language: str) -> Screen:
    item, said = form.item, words(language)
    if item is None:
        raise ValueError("the last look has no question")
    asked = form.asked()
    place = asked.index(item) + 1 if item in asked else 1
    lines = [f"{place}/{len(asked)}", item.words(language)]
    lines += [text for text in (ends(item.scale, language), said.get(f"hint_{item.scale.kind}", "")) if text]
    if item.id in form.answers:
        lines.append(said["now"].format(value=show(item, form.answers[item.id], language)[:SHOWN]))
    rows = [*_answers(form, item, prompt, language), _steering(form, prompt, language, first=place == 1)]
    return Screen("\n".join(lines), tuple(row for row in rows if row))


def _steering(form: Form, prompt: str, language: str, *, first: bool) -> tuple[Button, ...]:
    said, version, at = words(language), form.survey.version, form.position
    row = [] if first else [(said["back"], encode(Callback("back", prompt, version, at)))]
    item = form.item
    if item is not None and item.scale.kind == "multi" and form.answers.get(item.id):
        row.append((said["next"], encode(Callback("next", prompt, version, at))))
    else:
        row.append((said["skip"], encode(Callback("skip", prompt, version, at))))
    return tuple(row)


def _answers(form: Form, item: Item, prompt: str, language: str) -> list[tuple[Button, ...]]:
    scale, version, at = item.scale, form.survey.version, form.position

    def button(label: str, value: object, kind: str = "value") -> Button:
        return label, encode(Callback(kind, prompt, version, at, str(value)))

    match scale.kind:
        case "likert":
            points = range(int(scale.lo or 0), int(scale.hi or 0) + 1)
            return _wrapped([button(str(point), point) for point in points], 6)
        case "yesno":
            said = words(language)
            return [(button(said["yes"], 1), button(said["no"], 0))]
        case "slider":
            return _wrapped([button(*one) for one in _slider(form, item)], 5)
        case "choice":
            return [(button(_option(item, n, language), one),) for n, one in enumerate(scale.options)]
        case "multi":
            ticked = form.answers.get(item.id)
            chosen = ticked if isinstance(ticked, list) else []
            return [
                (button(("☑ " if one in chosen else "☐ ") + _option(item, n, language), one, "toggle"),)
                for n, one in enumerate(scale.options)
            ]
    return []


def _slider(form: Form, item: Item) -> list[tuple[str, object, str]]:
    """Tens first; then the ten numbers from the ten that was tapped."""
    lo, hi = int(item.scale.lo or 0), int(item.scale.hi or 100)
    step = max(1, round((hi - lo) / 10))
    if form.scratch:
        start = int(form.scratch)
        return [(str(n), n, "value") for n in range(max(lo, start), min(hi, start + step - 1) + 1)]
    return [(str(n), n, "tens" if step > 1 and n < hi else "value") for n in range(lo, hi + 1, step)]


def _option(item: Item, number: int, language: str) -> str:
    labels = item.scale.labels.get(language) or item.scale.options
    return labels[number]


def _wrapped(buttons: list[Button], width: int) -> list[tuple[Button, ...]]:
    rows = -(-len(buttons) // width)
    width = -(-len(buttons) // rows)
    return [tuple(buttons[start : start + width]) for start in range(0, len(buttons), width)]


def _last_look(form: Form, prompt: str, language: str) -> Screen:
    said, version = words(language), form.survey.version
    given, asked = form.given(), form.asked()
    each = max(20, (SHOWN - 100) // max(1, len(asked)))
    lines = [f"{item.words(language)}: {show(item, given.get(item.id), language)}"[:each] for item in asked]
    back = (said["back"], encode(Callback("back", prompt, version, len(form.survey.items))))
    submit = (said["submit"], encode(Callback("submit", prompt, version)))
    return Screen("\n".join([said["look"], "", *lines]), ((back, submit),))


def title(survey: Survey, language: str) -> str:
    """A survey's title in a language."""
    return survey.title.get(language) or next(iter(survey.title.values()))
