"""A message written again from what it came from, to be compared bit by bit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flows.analyse.report import PersonReport
from flows.forecast import Forecast
from flows.notify.context import Context, Told, Waiting
from flows.notify.deliver import draft
from flows.notify.policy import REMINDERS, Policy
from flows.notify.reports import nothing_known


def seen_prompts(prompts: Sequence[Waiting]) -> list[list[Any]]:
    """What a reminder keeps of the prompts it was decided upon: their times stay in the private store."""
    return [[prompt.prompt_id, prompt.answered, prompt.open] for prompt in prompts]


def reminder_again(
    person: str,
    kind: str,
    language: str,
    evidence: Mapping[str, Any],
    policy: Policy,
    *,
    times: Mapping[str, tuple[datetime, datetime]],
    told: Sequence[Told],
    now: datetime,
) -> str | None:
    """Decide about a reminder and write it once more.

    Parameters
    ----------
    person, kind, language, evidence
        As kept with the message; of the evidence only what is no finding is used: timezone, prompts, daily limit.
    policy
        The version that decided.
    times
        Prompt id -> (sent, expires), from the private store.
    told, now
        What had been told, and the time of the decision.

    Returns
    -------
    str or None
        None where the decision would not be taken again.

    Raises
    ------
    KeyError
        A prompt it was decided upon is not in `times`.
    """
    prompts = [Waiting(ident, *times[ident], answered, open_) for ident, answered, open_ in evidence["prompts"]]
    context = Context(now=now, language=language, timezone=evidence["timezone"], told=told, prompts=prompts)
    only = replace(policy, order=tuple(k for k in policy.order if k in REMINDERS)).limited(evidence["per_day"])
    outcome = draft(nothing_known(person, "", evidence["timezone"], ""), context, only)
    return next((d.text for d in outcome.drafts if d.send.kind == kind), None)


def insight_again(
    report: PersonReport,
    kind: str,
    language: str,
    evidence: Mapping[str, Any],
    policy: Policy,
    *,
    told: Sequence[Told],
    now: datetime,
) -> str | None:
    """Decide and write once more about a report made from the snapshot.

    Parameters
    ----------
    report
        From the rows under the message's data hash.
    kind, language, evidence
        As kept with the message; of the evidence only what is no finding is used: timezone, forecast, prompts due.
    policy
        The version that decided.
    told, now
        What had been told, and the time of the decision.

    Returns
    -------
    str or None
        None where the decision would not be taken again.
    """
    report = replace(report, n_prompts=evidence["n_prompts"], compliance=evidence["compliance"])
    ahead = evidence["forecast"]
    context = Context(
        now=now,
        language=language,
        timezone=evidence["timezone"],
        told=told,
        forecast=Forecast(**{**ahead, "at": datetime.fromisoformat(ahead["at"])}) if ahead else None,
    )
    without = replace(policy, order=tuple(k for k in policy.order if k not in REMINDERS))
    outcome = draft(report, context, without.limited(evidence["per_day"]))
    return next((d.text for d in outcome.drafts if d.send.kind == kind), None)
