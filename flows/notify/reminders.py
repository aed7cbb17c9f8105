"""Reminders: an open prompt that waits, or several lately that went by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flows.notify.context import Context, Send, Skip, Waiting
from flows.notify.policy import Policy


def reminder(context: Context, policy: Policy) -> Send | Skip:
    """The newest open prompt, once, while there is time to answer it."""
    open_ones = [p for p in context.prompts if p.open and not p.answered and p.expires_at > context.now]
    if not open_ones:
        return Skip("reminder", "no prompt is open")
    prompt = open_ones[-1]
    if context.now - prompt.sent_at < timedelta(minutes=policy.reminder_after):
        return Skip("reminder", "the prompt is too fresh")
    if prompt.expires_at - context.now < timedelta(minutes=policy.reminder_left):
        return Skip("reminder", "the prompt is about to close")
    facts = {"sent": prompt.sent_at.isoformat(), "until": prompt.expires_at.isoformat()}
    return Send("reminder", f"prompt:{prompt.prompt_id}", facts, {"prompt": prompt.prompt_id, "n": 1})


def missed(context: Context, policy: Policy) -> Send | Skip:
    """Several prompts in a row without an answer up to now, or half of the last ones."""
    closed = [p for p in context.prompts if p.answered or not p.open or p.expires_at <= context.now]
    row = 0
    while row < len(closed) and not closed[-1 - row].answered:
        row += 1
    if row >= policy.missed_in_a_row:
        return _missed(closed[-row:])
    last = closed[-policy.missed_among :]
    if len(last) == policy.missed_among and 2 * sum(not p.answered for p in last) >= len(last):
        return _missed(last)
    return Skip("missed", "too few prompts went by")


def _missed(prompts: Sequence[Waiting]) -> Send:
    without = [p for p in prompts if not p.answered]
    first = without[0]
    facts = {"missed": len(without), "of": len(prompts), "since": first.sent_at.isoformat()}
    return Send("missed", f"missed:{first.prompt_id}", facts, {"n": len(prompts)})
