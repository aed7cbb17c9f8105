"""Updates applied to the store: many in one commit, each at most once, none able to hold up the others."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from flows.bot import answers, commands, enrolling, guarding
from flows.bot.texts import text
from flows.bot.turn import Effects, Turn
from flows.collect import intake
from flows.collect.intake import Command, Group, Membership, Moved, Odd, Tap, Words
from flows.store import Incoming, Store
from flows.survey.callbacks import Callback, decode

log = logging.getLogger(__name__)


def apply(store: Store, updates: Iterable[Incoming], study: str) -> Effects:
    """Apply updates in their order, in one transaction with the note that they were applied.

    An update that cannot be applied is undone alone, noted with the kind of error, and does not come back.

    Parameters
    ----------
    study
        Study that /start without a deep link enrols in.
    """
    effects = Effects()
    with store.transaction():
        done: list[int] = []
        now: datetime | None = None
        for incoming in updates:
            now = incoming.received_at
            guarding.watch(store, effects, incoming)
            try:
                with store.database.attempt():
                    _apply_one(store, effects, incoming, study)
                done.append(incoming.update_id)
            except Exception as error:  # noqa: BLE001 - one person's strange update must not stop everybody's answers
                log.error("update %d could not be applied: %s", incoming.update_id, _place(error))  # noqa: TRY400 - a traceback would show what people wrote
                store.inbox.done([incoming.update_id], incoming.received_at, type(error).__name__)
                store.ledger.add(f"u{incoming.update_id}", "failed", incoming.received_at, type(error).__name__)
        if now is not None:
            store.inbox.done(done, now)
    return effects


def _place(error: Exception) -> str:
    """Where an error arose, without what it says."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} at {where}"


def _apply_one(store: Store, effects: Effects, incoming: Incoming, study: str) -> None:
    event = intake.read(incoming.body)
    if isinstance(event, Moved):
        store.people.migrate_chat(event.chat_id, event.new_id)
        return
    if isinstance(event, intake.Ignored):
        return
    language = "" if isinstance(event, Membership) else event.language
    turn = Turn.of(store, effects, incoming.update_id, incoming.received_at, event.chat_id, language)
    match event:
        case Tap():
            _tap(turn, event, study)
        case Command(name=name, argument=argument):
            _heard(turn)
            commands.run(turn, name, argument, study)
        case Words(text=words):
            _heard(turn)
            _words(turn, words)
        case Odd():
            _heard(turn)
            turn.say("odd" if turn.person else "not_enrolled")
        case Group(direct=True):
            turn.person = None
            turn.say("group")
        case Membership(here=here):
            _membership(turn, here=here)


def _heard(turn: Turn) -> None:
    """Somebody who writes has let the bot in again, whatever was noted before."""
    if turn.person and turn.person.state == "blocked":
        turn.change(state="active")
        turn.store.ledger.add(turn.person.person, "unblocked", turn.now)


def _membership(turn: Turn, *, here: bool) -> None:
    if here:
        _heard(turn)
    elif turn.person and turn.person.state in {"active", "paused"}:
        turn.store.cancel_planned(turn.person.person, turn.now, "blocked")
        turn.change(state="blocked")
        turn.store.ledger.add(turn.person.person, "blocked", turn.now)


def _tap(turn: Turn, event: Tap, study: str) -> None:
    callback = decode(event.data)
    notice = text("refused_strange", turn.language) if callback is None else _tapped(turn, event, callback, study)
    turn.effects.notice(event.query_id, event.chat_id, event.message_id, notice)


def _tapped(turn: Turn, event: Tap, callback: Callback, study: str) -> str:
    _heard(turn)
    if callback.of_prompt:
        return answers.tap(turn, event, callback)
    if callback.kind == "consent":
        enrolling.consent(turn, callback.value, study)
    elif callback.kind == "language":
        commands.speak(turn, callback.value)
    elif turn.person is None:
        turn.say("not_enrolled")
    elif callback.kind == "country" and turn.person.state == "enrolling":
        enrolling.country(turn, callback.value)
    elif callback.kind == "timezone":
        enrolling.timezone(turn, callback.value)
    elif callback.kind == "delete":
        commands.deleted(turn, callback.value)
    elif callback.kind == "pause":
        commands.paused(turn, callback.value)
    return ""


def _words(turn: Turn, words: str) -> None:
    person = turn.person
    if person is None:
        turn.say("not_enrolled")
        return
    if person.state == "enrolling" and turn.chat.step == "country":
        enrolling.country(turn, words)
    elif turn.chat.step == "timezone":
        enrolling.timezone(turn, words)
    elif not answers.words(turn, words):
        turn.say("words")
