"""Answers to prompts: taps and typed words, applied to the form that the store keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from flows.bot.texts import text
from flows.bot.turn import Turn
from flows.collect.intake import Tap
from flows.store import Prompt, Response, Store
from flows.survey import form as forms
from flows.survey.callbacks import VERSION_CHARS, Callback
from flows.survey.form import Form, Refused


def form_of(store: Store, prompt: Prompt) -> Form:
    """The form as far as it is filled in."""
    survey = store.surveys.by_version(prompt.survey_version)
    if prompt.started_at is None:
        return forms.opened(survey, prompt.day, prompt.beep)
    return Form(survey, prompt.day, prompt.beep, prompt.answers or {}, prompt.position, prompt.scratch)


def deadline(store: Store, prompt: Prompt, now: datetime) -> datetime:
    """Until when an answer still counts.

    The prompt's expiry, or the time to finish once begun; and on top of either the time in which the bot could not
    hear anybody: from when the prompt was due, as one that was on its way when the bot stopped is sent again, and was
    there before.
    """
    survey = store.surveys.by_version(prompt.survey_version)
    ends = prompt.expires_at + store.prompts.deaf(prompt.slot_at, now)
    if prompt.started_at is None:
        return ends
    finish = prompt.started_at + survey.schedule.finish_within + store.prompts.deaf(prompt.started_at, now)
    return max(ends, finish)


def tap(turn: Turn, tapped: Tap, callback: Callback) -> str:
    """Apply a tap on a prompt's button; the notice to show."""
    prompt = turn.store.prompts.get(callback.prompt)
    if prompt is None or turn.person is None or prompt.person != turn.person.person:
        return text("tap_not_yours" if prompt else "refused_strange", turn.language)
    if not prompt.survey_version.startswith(callback.version) or len(callback.version) != VERSION_CHARS:
        return text("tap_version", turn.language)
    prompt = _looked_at(turn, prompt, tapped)
    if not prompt.open:
        turn.store.prompts.mark_stale(prompt.prompt_id)
        turn.effects.redraw.add(prompt.prompt_id)
        return text({"answered": "tap_done", "expired": "tap_expired"}.get(prompt.state, "tap_closed"), turn.language)
    if turn.now > deadline(turn.store, prompt, turn.now):
        turn.effects.responses += expire(turn.store, prompt, turn.now)
        turn.effects.redraw.add(prompt.prompt_id)
        return text("tap_expired", turn.language)
    if callback.kind == "submit":
        return submit(turn, prompt)
    return _filled(turn, prompt, forms.tapped(form_of(turn.store, prompt), callback), callback.item)


def _looked_at(turn: Turn, prompt: Prompt, tapped: Tap) -> Prompt:
    """The prompt, shown where the person tapped: a message whose delivery was in doubt may be there twice."""
    if tapped.message_id is None or tapped.message_id == prompt.message_id:
        return prompt
    turn.store.prompts.sent(prompt.prompt_id, tapped.message_id, turn.now)
    if turn.store.outbox.arrived(f"{prompt.prompt_id}:prompt", turn.now):
        turn.store.ledger.add(prompt.prompt_id, "sent", turn.now, "known by the answers")
    state = "sent" if prompt.state == "planned" else prompt.state
    return replace(prompt, state=state, message_id=tapped.message_id)


def words(turn: Turn, said: str) -> bool:
    """Take typed words as the answer of the item on screen; False where nothing is asked."""
    prompt = turn.store.prompts.current(turn.person.person) if turn.person else None
    if prompt is None or turn.now > deadline(turn.store, prompt, turn.now):
        return False
    form = form_of(turn.store, prompt)
    if form.item is None:
        return False
    notice = _filled(turn, prompt, forms.answered(form, form.position, said), form.position)
    if notice:
        turn.send(notice)
    return True


def _filled(turn: Turn, prompt: Prompt, result: Form | Refused, item: int) -> str:
    """Keep a changed form; the notice to show."""
    if isinstance(result, Refused):
        return refusal(result, turn, prompt, item)
    changed = replace(prompt, answers=dict(result.answers), position=result.position, scratch=result.scratch)
    turn.store.prompts.draft(changed, turn.now)
    if prompt.started_at is None:
        turn.store.outbox.cancel(f"{prompt.prompt_id}:nudge")
    turn.effects.redraw.add(prompt.prompt_id)
    return ""


def refusal(refused: Refused, turn: Turn, prompt: Prompt, item: int) -> str:
    """What to say to an answer that is none."""
    survey = turn.store.surveys.by_version(prompt.survey_version)
    scale = survey.items[item].scale if 0 <= item < len(survey.items) else None
    if refused.reason == "range" and scale is not None and scale.lo is not None and scale.hi is not None:
        return text("refused_range", turn.language, lo=f"{scale.lo:g}", hi=f"{scale.hi:g}")
    return text(f"refused_{refused.reason}", turn.language)


def submit(turn: Turn, prompt: Prompt) -> str:
    """Turn a form into a response; the notice to show."""
    form = form_of(turn.store, prompt)
    turn.effects.redraw.add(prompt.prompt_id)
    turn.store.outbox.cancel(f"{prompt.prompt_id}:nudge")
    if form.empty:
        turn.store.prompts.close(prompt.prompt_id, "empty")
        turn.store.ledger.add(prompt.prompt_id, "empty", turn.now)
        return text("tap_thanks", turn.language)
    turn.store.prompts.close(prompt.prompt_id, "answered")
    status = "complete" if form.complete else "partial"
    turn.store.responses.add(response(prompt, form, status, turn.now))
    turn.store.ledger.add(prompt.prompt_id, "answered", turn.now, status)
    turn.effects.responses += 1
    return text("tap_thanks", turn.language)


def expire(store: Store, prompt: Prompt, now: datetime) -> int:
    """Close a prompt whose time is over; answers given until then are a partial response. Responses made (0 or 1)."""
    form = form_of(store, prompt)
    store.outbox.cancel(f"{prompt.prompt_id}:nudge")
    state = "expired" if prompt.state != "planned" else "skipped"
    if not store.prompts.close(prompt.prompt_id, state):
        return 0
    if prompt.started_at is None or form.empty or prompt.touched_at is None:
        store.ledger.add(prompt.prompt_id, state, now, prompt.state)
        return 0
    store.responses.add(response(prompt, form, "partial", prompt.touched_at))
    store.ledger.add(prompt.prompt_id, "abandoned", now, "partial")
    return 1


def response(prompt: Prompt, form: Form, status: str, at: datetime) -> Response:
    """The row that came of a prompt."""
    return Response(
        response_id=f"{prompt.prompt_id}-1",
        prompt_id=prompt.prompt_id,
        person=prompt.person,
        study=prompt.study,
        survey_version=prompt.survey_version,
        revision=1,
        status=status,
        day=prompt.day,
        beep=prompt.beep,
        slot_at=prompt.slot_at,
        sent_at=prompt.sent_at,
        started_at=prompt.started_at,
        answered_at=at,
        timezone=prompt.timezone,
        answers=form.given(),
    )
