"""The safety rule, before everything else the bot does with an update.

Whatever became of the prompt, of the person's consent or of the code that comes after, a very low answer or a listed
phrase brings the help text. It looks at the update as it came: an answer counts when it is tapped or typed, not when
it is submitted; late ones, ones to a closed prompt and ones of people who stopped count too. Nothing here asks a
model, an experiment, the Sheet, Prefect or ClearML.
"""

from __future__ import annotations

import logging

from flows import safety
from flows.bot.answers import form_of
from flows.bot.turn import Effects, Turn
from flows.collect import intake
from flows.collect.said import said
from flows.safety import SafetyHit
from flows.store import Incoming, Store
from flows.survey import form as forms
from flows.survey.callbacks import VERSION_CHARS, decode
from flows.survey.form import Refused

log = logging.getLogger(__name__)

ASKING = frozenset({"country", "timezone"})
"""Steps of a chat at which words answer a question of the bot's own."""
Found = tuple[SafetyHit, str]
"""A hit, and the answer it is about: each gets one help text."""


def watch(store: Store, effects: Effects, incoming: Incoming) -> None:
    """Queue the help text where the rule says so.

    On a savepoint of its own: what fails later does not take it back, and what fails here loses no answer.
    """
    try:
        with store.database.attempt():
            _watch(store, effects, incoming)
    except Exception as error:  # noqa: BLE001 - a strange update must lose neither the answers in it nor the others
        log.error("the safety rule could not read update %d: %s", incoming.update_id, type(error).__name__)  # noqa: TRY400 - a traceback would show what people wrote
        store.ledger.add(f"u{incoming.update_id}", "failed", incoming.received_at, f"safety: {type(error).__name__}")


def _watch(store: Store, effects: Effects, incoming: Incoming) -> None:
    event = intake.read(incoming.body)
    if isinstance(event, intake.Tap):
        turn = _turn(store, effects, incoming, event.chat_id, event.language)
        _help(turn, _tapped(turn, event))
        return
    written = said(incoming.body)
    if written is None:
        return
    turn = _turn(store, effects, incoming, written.sender, written.language)
    if turn.person is None:
        if not written.direct:
            return  # somebody in a group who neither takes part nor speaks to the bot
        turn = _turn(store, effects, incoming, written.chat_id, written.language)
    hit = safety.check_words(written.words)
    _help(turn, _typed(turn, event) or ((hit, f"u{incoming.update_id}") if hit else None))


def _turn(store: Store, effects: Effects, incoming: Incoming, chat_id: int, language: str) -> Turn:
    return Turn.of(store, effects, incoming.update_id, incoming.received_at, chat_id, language)


def _tapped(turn: Turn, event: intake.Tap) -> Found | None:
    """A tap on a value of a prompt of one's own, open or not."""
    callback = decode(event.data)
    if callback is None or callback.kind != "value" or turn.person is None:
        return None
    prompt = turn.store.prompts.get(callback.prompt)
    if prompt is None or prompt.person != turn.person.person:
        return None
    if len(callback.version) != VERSION_CHARS or not prompt.survey_version.startswith(callback.version):
        return None
    return _answer(turn, prompt.survey_version, prompt.prompt_id, callback.item, callback.value)


def _typed(turn: Turn, event: intake.Event) -> Found | None:
    """A number typed where the last open prompt asks for one, be it too late."""
    if turn.person is None or not isinstance(event, intake.Words) or turn.chat.step in ASKING:
        return None
    prompt = turn.store.prompts.current(turn.person.person)
    if prompt is None:
        return None
    position = form_of(turn.store, prompt).position
    return _answer(turn, prompt.survey_version, prompt.prompt_id, position, event.text)


def _answer(turn: Turn, version: str, prompt_id: str, position: int, words: str) -> Found | None:
    """What an answer to an item comes to; free text is judged as words, wherever it is written."""
    survey = turn.store.surveys.by_version(version)
    if not 0 <= position < len(survey.items):
        return None
    item = survey.items[position]
    value = forms.read(item.scale, words)
    if isinstance(value, Refused | str):
        return None
    hit = safety.check(survey, {item.id: value})
    return (hit, f"{prompt_id}:{item.id}") if hit else None


def _help(turn: Turn, found: Found | None) -> None:
    """Queue the text once for each answer; the ledger notes that, and not the answer."""
    if found is None:
        return
    hit, about = found
    key = f"{about}:safety"
    if turn.store.outbox.get(key) is not None:
        return
    country, language = (turn.person.country, turn.person.language) if turn.person else (None, turn.chat.language)
    turn.send(safety.help_text(country, language), kind="safety", key=key)
    turn.store.ledger.add(key, "safety", turn.now, hit.reason)
