"""Which messages a person gets now: pure, explained either way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from flows.analyse.report import PersonReport
from flows.notify.context import Context, Send, Skip, quiet, zone
from flows.notify.insights import INSIGHTS, LEVEL_KINDS, Seen
from flows.notify.policy import REMINDERS, Policy
from flows.notify.reminders import missed, reminder

Decision = Send | Skip


def decide(report: PersonReport, context: Context, policy: Policy) -> tuple[Decision, ...]:
    """Decide about every kind the policy knows, best first.

    Parameters
    ----------
    report
        Of the person, from data up to `context.now`.
    context
        Time, person, earlier messages, prompts, forecast.
    policy
        Which insight, when.

    Returns
    -------
    tuple of Send or Skip
        One per kind of `policy.order`; the Sends keep every limit together.

    Raises
    ------
    PersonError
        The person's timezone is missing or unknown.
    """
    return decided(Seen(report, context, policy, zone(context.timezone, report.person)))


def decided(seen: Seen) -> tuple[Decision, ...]:
    """`decide`, for who goes on working with what was seen."""
    policy = seen.policy
    if quiet(seen.now.astimezone(seen.zone).time(), *policy.quiet):
        return tuple(Skip(kind, "quiet hours") for kind in policy.order)
    limits = _Limits(seen)
    return tuple(limits.apply(_propose(kind, seen)) for kind in policy.order)


def sends(decisions: tuple[Decision, ...]) -> list[Send]:
    """Those that are to be said."""
    return [decision for decision in decisions if isinstance(decision, Send)]


_REMINDERS: dict[str, Callable[[Context, Policy], Decision]] = {"reminder": reminder, "missed": missed}


def _propose(kind: str, seen: Seen) -> Decision:
    """What one rule alone would do."""
    if kind in _REMINDERS:
        return _REMINDERS[kind](seen.context, seen.policy)
    if kind in LEVEL_KINDS and seen.lacking:
        return Skip(kind, seen.lacking)
    return INSIGHTS[kind](seen)


class _Limits:
    """What holds across kinds: daily limits, cool-downs, nothing told twice."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._told = list(seen.context.told)
        today = [t.kind for t in self._told if t.at.astimezone(seen.zone).date() == seen.today]
        self._messages = len(today)
        self._insights = sum(kind not in REMINDERS for kind in today)

    def apply(self, decision: Decision) -> Decision:
        """Keep `decision`, or turn it into a Skip that says which limit it met."""
        if isinstance(decision, Skip):
            return decision
        reason = self._reason(decision)
        if reason:
            return Skip(decision.kind, reason)
        self._messages += 1
        self._insights += decision.kind not in REMINDERS
        return decision

    def _reason(self, send: Send) -> str | None:
        policy, now = self._seen.policy, self._seen.now
        if self._messages >= policy.per_day:
            return "daily limit"
        if send.kind not in REMINDERS and self._insights >= policy.insights_per_day:
            return "daily limit of insights"
        if self._since(now, policy.cooldown_days.get(send.kind, 1.0), kind=send.kind):
            return "cool-down"
        if self._since(now, policy.repeat_days, kind=send.kind, subject=send.subject):
            return "told before"
        return None

    def _since(self, now: datetime, days: float, *, kind: str, subject: str | None = None) -> bool:
        return any(
            t.kind == kind and (subject is None or t.subject == subject) and now - t.at < timedelta(days=days)
            for t in self._told
        )
